//! `simple_proxy --tls`.

#[cfg(not(feature = "openssl"))]
#[test]
fn tls_is_refused_by_a_program_that_has_none() {
    let arguments = ["--tls", "127.0.0.1:0", "localhost:443"];
    let end = crate::program::Program::start("simple_proxy", &arguments).end();
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    assert!(end.stderr.contains("the feature openssl"), "{end:?}");
}

#[cfg(feature = "openssl")]
mod with_openssl {
    use crate::certificates::{Identity, WORLD, server};
    use crate::common::bounded;
    use crate::program::{Program, connect, noise};
    use openssl::ssl::{ShutdownResult, SslStream};
    use std::fs;
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::thread::{self, JoinHandle};

    /// A proxy to one connection that is served over TLS.
    fn proxy<R: Send + 'static>(
        identity: &Identity,
        serve: impl FnOnce(SslStream<TcpStream>) -> R + Send + 'static,
    ) -> (Program, u16, JoinHandle<Option<R>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let upstream = format!("localhost:{}", listener.local_addr().unwrap().port());
        let acceptor = server(identity).build();
        let server = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            // The proxy may not like the certificate.
            acceptor.accept(stream).ok().map(serve)
        });

        // What OpenSSL takes for what the system trusts.
        let name = format!("libevent2-trusted-{}-{upstream}.pem", std::process::id());
        let trusted = std::env::temp_dir().join(name);
        let authority = WORLD.authority.certificate.to_pem().unwrap();
        fs::write(&trusted, authority).unwrap();
        let environment = [("SSL_CERT_FILE", trusted.to_str().unwrap())];
        let arguments = ["--tls", "127.0.0.1:0", &upstream];
        let proxy = Program::start_with("simple_proxy", &arguments, &environment);
        let port = proxy.port();
        fs::remove_file(trusted).unwrap();
        (proxy, port, server)
    }

    #[test]
    fn a_plain_client_talks_with_a_server_over_tls() {
        let _watchdog = bounded();
        let all = noise(20_000_000);
        let expected = all.clone();
        let (proxy, port, server) = proxy(&WORLD.right, move |mut stream| {
            let mut question = Vec::new();
            stream.read_to_end(&mut question).unwrap();
            // The client has ended its half, and gets its answer.
            stream.write_all(&all).unwrap();
            while stream.shutdown().unwrap() == ShutdownResult::Sent {}
            question
        });
        let mut client = connect(port);
        client.write_all(&expected[..3_000_000]).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert!(answer == expected);
        assert!(server.join().unwrap().unwrap() == expected[..3_000_000]);
        proxy.has_less_than(24);
        proxy.signal(libc::SIGINT);
        let end = proxy.end();
        assert!(end.status.success(), "{end:?}");
        assert_eq!(end.stderr, "");
    }

    #[test]
    fn a_server_that_is_another_gets_and_gives_nothing() {
        let _watchdog = bounded();
        for identity in [&WORLD.wrong_host, &WORLD.expired, &WORLD.self_signed] {
            let (proxy, port, server) = proxy(identity, |mut stream| {
                let _ = stream.write_all(b"trust me");
                let mut secret = Vec::new();
                let _ = stream.read_to_end(&mut secret);
                secret
            });
            let mut client = connect(port);
            let _ = client.write_all(b"secret");
            let mut answer = Vec::new();
            let _ = client.read_to_end(&mut answer);
            assert_eq!(answer, b"");
            assert_eq!(server.join().unwrap().unwrap_or_default(), b"");
            proxy.signal(libc::SIGINT);
            let end = proxy.end();
            assert!(end.status.success(), "{end:?}");
            assert!(end.stderr.contains("certificate verify failed"), "{end:?}");
        }
    }

    #[test]
    fn an_end_that_may_have_been_cut_off_is_said() {
        let _watchdog = bounded();
        let (proxy, port, server) = proxy(&WORLD.right, |mut stream| {
            stream.write_all(b"half of it").unwrap();
            // Without the notice that TLS demands.
            stream.get_ref().shutdown(Shutdown::Both).unwrap();
        });
        let mut client = connect(port);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        server.join().unwrap().unwrap();
        assert_eq!(answer, b"half of it");
        proxy.signal(libc::SIGINT);
        let end = proxy.end();
        assert!(end.stderr.contains("TLS"), "{end:?}");
    }
}
