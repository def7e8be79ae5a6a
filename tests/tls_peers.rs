//! TLS with OpenSSL's own programs at the other end.
#![cfg(feature = "openssl")]

#[path = "common/tls.rs"]
mod certificates;
mod common;
#[path = "common/tls_streams.rs"]
mod streams;

use certificates::{Identity, WORLD, client, server};
use common::bounded;
use common::peers::peer;
use libevent2::stream::tls::{Acceptor, Connector};
use libevent2::stream::{BufferEvent, Callbacks, StreamEvent};
use libevent2::{EventBase, Listener, LoopHandle};
use openssl::ssl::SslOptions;
use std::cell::{Cell, RefCell};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::rc::Rc;
use std::thread;
use streams::said;

const VERSIONS: [&str; 2] = ["-tls1_2", "-tls1_3"];

/// PEM files, for as long as it lives.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let name = format!("libevent2-tls-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Files(folder)
    }

    fn write(&self, name: &str, bytes: Vec<u8>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn authority(&self) -> PathBuf {
        self.write("ca.pem", WORLD.authority.certificate.to_pem().unwrap())
    }

    fn identity(&self, identity: &Identity) -> (PathBuf, PathBuf) {
        (
            self.write("cert.pem", identity.certificate.to_pem().unwrap()),
            self.write("key.pem", identity.key.private_key_to_pem_pkcs8().unwrap()),
        )
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

// --- s_server ----------------------------------------------------------------------------------------

/// `openssl s_server`, which answers each line with its reverse.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(mut openssl: Command, files: &Files, identity: &Identity, version: &str) -> Self {
        let (certificate, key) = files.identity(identity);
        let mut child = openssl
            .args(["s_server", "-accept", "127.0.0.1:0", "-rev", version])
            .arg("-cert")
            .arg(certificate)
            .arg("-key")
            .arg(key)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("it says where it listens").unwrap();
            if let Some(address) = line.strip_prefix("ACCEPT ") {
                break address.parse().unwrap();
            }
        };
        thread::spawn(move || lines.for_each(drop));
        Server { child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_server_of_openssls_answers() {
    let _watchdog = bounded();
    let files = Files::new("answers");
    for version in VERSIONS {
        let Some(openssl) = peer("openssl") else {
            return;
        };
        let server = Server::start(openssl, &files, &WORLD.right, version);
        let mut base = EventBase::new().unwrap();
        let lines = Rc::new(RefCell::new(Vec::new()));
        let seen = lines.clone();
        let handler = Callbacks::new()
            .on_read(move |stream| {
                while let Some(line) = stream.input().read_line(libevent2::buffer::Eol::Lf) {
                    seen.borrow_mut().push(String::from_utf8(line).unwrap());
                    match seen.borrow().len() {
                        1 => stream.write(b"second\n").unwrap(),
                        _ => stream.close_when_flushed(),
                    }
                }
            })
            .on_event(|_, event| {
                assert!(
                    matches!(event, StreamEvent::Connected | StreamEvent::Closed),
                    "{event:?}"
                );
            });
        let stream = Connector::from(client().build())
            .connect(&base, server.address, "localhost", handler)
            .unwrap();
        stream.write(b"first\n").unwrap();
        base.run().unwrap();
        assert_eq!(*lines.borrow(), ["tsrif", "dnoces"], "{version}");
    }
}

#[test]
fn a_bad_certificate_of_openssls_server_is_refused() {
    let _watchdog = bounded();
    let files = Files::new("refused");
    for version in VERSIONS {
        for (identity, why) in [
            (&WORLD.expired, "certificate has expired"),
            (&WORLD.self_signed, "self-signed certificate"),
            (&WORLD.wrong_host, "hostname mismatch"),
        ] {
            let Some(openssl) = peer("openssl") else {
                return;
            };
            let server = Server::start(openssl, &files, identity, version);
            let mut base = EventBase::new().unwrap();
            let heard = Rc::new(RefCell::new(Vec::new()));
            let log = heard.clone();
            let handler = Callbacks::new().on_event(move |stream, event| {
                log.borrow_mut().push(said(&event));
                stream.close();
            });
            let stream = Connector::from(client().build())
                .connect(&base, server.address, "localhost", handler)
                .unwrap();
            base.run().unwrap();
            assert!(stream.is_closed());
            let whole = format!("truncated=false certificate verify failed: {why}");
            let heard = heard
                .borrow()
                .join("|")
                .replace("self signed", "self-signed");
            assert_eq!(heard, whole, "{version}");
        }
    }
}

#[test]
fn a_server_that_is_killed_has_cut_the_connection_off() {
    let _watchdog = bounded();
    let files = Files::new("killed");
    for version in VERSIONS {
        let Some(openssl) = peer("openssl") else {
            return;
        };
        let server = Server::start(openssl, &files, &WORLD.right, version);
        let address = server.address;
        let server = RefCell::new(Some(server));
        let mut base = EventBase::new().unwrap();
        let heard = Rc::new(RefCell::new(Vec::new()));
        let log = heard.clone();
        let handler = Callbacks::new()
            .on_read(move |stream| {
                stream.input().clear();
                drop(server.take());
            })
            .on_event(move |stream, event| {
                log.borrow_mut().push(said(&event));
                if event.is_end() {
                    stream.close();
                }
            });
        let stream = Connector::from(client().build())
            .connect(&base, address, "localhost", handler)
            .unwrap();
        stream.write(b"anything\n").unwrap();
        base.run().unwrap();
        assert_eq!(heard.borrow().len(), 2, "{heard:?}");
        assert!(
            heard.borrow()[1].starts_with("truncated=true "),
            "{heard:?}"
        );
    }
}

// --- s_client ----------------------------------------------------------------------------------------

/// An echo that ends with its peer, and what it hears.
fn echo_server(
    base: &LoopHandle,
    acceptor: Acceptor,
    log: &Rc<RefCell<Vec<String>>>,
) -> (Listener, SocketAddr) {
    let (handle, log) = (base.clone(), log.clone());
    let address = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind(base, address, move |_, accepted| {
        let log = log.clone();
        let handler = Callbacks::new()
            .on_read(|stream| stream.output().append_from(&stream.input()))
            .on_event(move |stream, event| {
                log.borrow_mut().push(said(&event));
                if event.is_end() {
                    stream.close_when_flushed();
                    if let StreamEvent::Failed(_) | StreamEvent::Closed = event {
                        stream.close();
                    }
                }
            });
        acceptor
            .accept(&handle, accepted, handler)
            .unwrap()
            .detach();
    })
    .unwrap();
    let address = match listener.local_addr().unwrap() {
        libevent2::listener::Address::Ip(address) => address,
        other => panic!("{other:?}"),
    };
    (listener, address)
}

/// Runs `openssl s_client` with this input, and the loop until it has ended.
fn s_client(
    base: &mut EventBase,
    mut openssl: Command,
    address: SocketAddr,
    arguments: &[&str],
    authority: &Path,
    input: &'static [u8],
) -> Output {
    let mut child = openssl
        .args(["s_client", "-servername", "localhost", "-connect"])
        .arg(address.to_string())
        .arg("-CAfile")
        .arg(authority)
        .args(["-verify_return_error", "-verify_hostname", "localhost"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let remote = base.remote().unwrap();
    let client = thread::spawn(move || {
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut text = Vec::new();
        // The end of its input ends it, so that comes after the echo. A command has to come alone.
        let expected = input.strip_suffix(b"R\n").unwrap_or(input);
        let _ = stdin.write_all(expected);
        let mut piece = [0; 4096];
        while !text.windows(expected.len()).any(|part| part == expected) {
            match stdout.read(&mut piece).unwrap() {
                0 => break,
                count => text.extend_from_slice(&piece[..count]),
            }
        }
        if input != expected {
            // It asks for another handshake, and gives up when that is refused.
            let _ = stdin.write_all(b"R\n");
            let _ = stdout.read_to_end(&mut text);
        }
        drop(stdin);
        let mut output = child.wait_with_output().unwrap();
        output.stdout.splice(0..0, text);
        let _ = remote.post(|handle| handle.exit());
        output
    });
    base.run_until_exit().unwrap();
    client.join().unwrap()
}

#[test]
fn a_client_of_openssls_is_answered() {
    let _watchdog = bounded();
    let files = Files::new("client");
    let authority = files.authority();
    for version in VERSIONS {
        let Some(openssl) = peer("openssl") else {
            return;
        };
        let mut base = EventBase::new().unwrap();
        let log = Rc::default();
        let acceptor = Acceptor::from(server(&WORLD.right).build());
        let (_listener, address) = echo_server(&base, acceptor, &log);
        let arguments = [version, "-quiet", "-no_ign_eof"];
        let input = b"hello from s_client\n";
        let output = s_client(&mut base, openssl, address, &arguments, &authority, input);
        assert!(output.stdout.windows(19).any(|part| part == &input[..19]));
        assert_eq!(log.borrow()[0], "Connected", "{output:?}");
    }
}

#[test]
fn a_client_of_openssls_objects_to_bad_certificates() {
    let _watchdog = bounded();
    let files = Files::new("objects");
    let authority = files.authority();
    for version in VERSIONS {
        for (identity, why) in [
            (&WORLD.expired, "expired"),
            (&WORLD.self_signed, "unknown ca"),
        ] {
            let Some(openssl) = peer("openssl") else {
                return;
            };
            let mut base = EventBase::new().unwrap();
            let log: Rc<RefCell<Vec<String>>> = Rc::default();
            let acceptor = Acceptor::from(server(identity).build());
            let (_listener, address) = echo_server(&base, acceptor, &log);
            let arguments = [version, "-quiet", "-no_ign_eof"];
            s_client(&mut base, openssl, address, &arguments, &authority, b"x\n");
            for _ in 0..20 {
                base.run_nonblocking().unwrap();
            }
            assert!(
                log.borrow().iter().any(|line| line.contains(why)),
                "{version} {why}: {log:?}"
            );
        }
    }
}

#[test]
fn renegotiation_is_refused() {
    let _watchdog = bounded();
    let files = Files::new("renegotiation");
    let authority = files.authority();
    let Some(openssl) = peer("openssl") else {
        return;
    };
    let mut base = EventBase::new().unwrap();
    let log: Rc<RefCell<Vec<String>>> = Rc::default();
    let handshakes = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let seen = handshakes.clone();
    let mut builder = server(&WORLD.right);
    // OpenSSL 3 refuses by itself, unless it is told not to: SSL_OP_ALLOW_CLIENT_RENEGOTIATION.
    builder.set_options(SslOptions::from_bits_retain(1 << 8));
    builder.set_servername_callback(move |_, _| {
        seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Ok(())
    });
    let (_listener, address) = echo_server(&base, Acceptor::from(builder.build()), &log);
    let input = b"before\nR\n";
    let arguments = ["-tls1_2", "-no_ign_eof"];
    let output = s_client(&mut base, openssl, address, &arguments, &authority, input);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("RENEGOTIATING"), "{text}{errors}");
    assert!(errors.contains("no renegotiation"), "{text}{errors}");
    assert_eq!(handshakes.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert_eq!(log.borrow()[0], "Connected");
}

#[test]
fn a_server_without_its_files_says_which() {
    let missing = Acceptor::from_pem("/nowhere/chain.pem", "/nowhere/key.pem").unwrap_err();
    assert!(
        missing.to_string().contains("/nowhere/chain.pem"),
        "{missing}"
    );
    let files = Files::new("pem");
    let (certificate, key) = files.identity(&WORLD.right);
    assert!(Acceptor::from_pem(&certificate, &key).is_ok());
    let other = WORLD.expired.key.private_key_to_pem_pkcs8().unwrap();
    let other = files.write("other.pem", other);
    let wrong = Acceptor::from_pem(&certificate, &other).unwrap_err();
    assert!(wrong.to_string().contains("other.pem"), "{wrong}");
}

#[test]
fn a_stream_tells_the_system_nothing_of_its_end_twice() {
    let _watchdog = bounded();
    // Closing, and dropping what is closed, with a handshake that never began.
    let base = EventBase::new().unwrap();
    let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let counted = Rc::new(Cell::new(0));
    let seen = counted.clone();
    let plain = BufferEvent::from_socket(&base, ours, Callbacks::new()).unwrap();
    let handler = Callbacks::new().on_event(move |_, _| seen.set(seen.get() + 1));
    let stream = Connector::from(client().build())
        .wrap(plain, "localhost", handler)
        .unwrap();
    stream.close();
    stream.close();
    assert!(stream.write(b"late").is_err());
    drop(stream);
    assert_eq!(counted.get(), 0);
}
