//! TLS by rustls with OpenSSL's own programs at the other end.
#![cfg(feature = "rustls")]

#[path = "common/rustls.rs"]
mod certificates;
mod common;

use certificates::{Identity, Log, WORLD, acceptor, connector, echo, run_until};
use common::bounded;
use common::peers::peer;
use libevent2::stream::BufferEvent;
use libevent2::{EventBase, Listener};
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Stdio};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("libevent2-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `openssl s_server`, which ends with the test.
struct Server {
    child: Child,
    input: ChildStdin,
    address: SocketAddr,
}

impl Server {
    fn new(folder: &Folder, identity: &Identity, arguments: &[&str]) -> Option<Self> {
        let chain = folder.file("chain.pem", &identity.certificate_pem);
        let key = folder.file("key.pem", &identity.key_pem);
        let mut openssl = peer("openssl")?;
        // Nobody else gets that port so soon.
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let mut child = openssl
            .args(["s_server", "-accept", &address.to_string(), "-cert"])
            .arg(chain)
            .arg("-key")
            .arg(key)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let mut text = Vec::new();
        let output = child.stdout.as_mut().unwrap();
        while !text.ends_with(b"ACCEPT\n") {
            let mut byte = [0];
            output.read_exact(&mut byte).unwrap();
            text.push(byte[0]);
        }
        Some(Server {
            child,
            input,
            address,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn s_server_answers_in_both_versions() {
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let _watchdog = bounded();
        let folder = Folder::new(name);
        let Some(server) = Server::new(&folder, &WORLD.right, &["-rev", version]) else {
            return;
        };
        let mut base = EventBase::new().unwrap();
        let log = Log::default();
        let client = connector()
            .connect(&base, server.address, "localhost", log.handler())
            .unwrap();
        client.write(b"stressed\n").unwrap();
        run_until(&mut base, || log.has("desserts"));
        assert_eq!(client.rustls().unwrap().version(), Some(name));
        drop(client);
        let _ = &server.input;
    }
}

#[test]
fn a_certificate_of_s_server_that_is_not_right_is_refused() {
    for (identity, why) in [
        (&WORLD.expired, "certificate expired"),
        (&WORLD.self_signed, "UnknownIssuer"),
        (&WORLD.wrong_host, "not valid for name"),
    ] {
        let _watchdog = bounded();
        let folder = Folder::new(&why.replace(' ', "-"));
        let Some(server) = Server::new(&folder, identity, &["-rev"]) else {
            return;
        };
        let mut base = EventBase::new().unwrap();
        let log = Log::default();
        let client = connector()
            .connect(&base, server.address, "localhost", log.handler())
            .unwrap();
        run_until(&mut base, || log.has("failed"));
        let lines = log.lines();
        assert!(lines.len() == 1 && lines[0].contains(why), "{lines:?}");
        drop(client);
    }
}

#[test]
fn s_server_that_is_killed_has_cut_the_end_off() {
    let _watchdog = bounded();
    let folder = Folder::new("killed");
    let Some(mut server) = Server::new(&folder, &WORLD.right, &[]) else {
        return;
    };
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let client = connector()
        .connect(&base, server.address, "localhost", log.handler())
        .unwrap();
    run_until(&mut base, || log.has("Connected"));
    server.input.write_all(b"half of a line\n").unwrap();
    run_until(&mut base, || log.has("half"));
    server.child.kill().unwrap();
    run_until(&mut base, || log.has("failed"));
    assert!(log.has("the end may be missing"), "{:?}", log.lines());
    drop(client);
}

#[test]
fn s_client_verifies_and_is_answered_in_both_versions() {
    for version in ["-tls1_2", "-tls1_3"] {
        let _watchdog = bounded();
        let folder = Folder::new(&format!("client{version}"));
        let authority = folder.file("authority.pem", &WORLD.authority.certificate_pem);
        let Some(mut openssl) = peer("openssl") else {
            return;
        };
        let mut base = EventBase::new().unwrap();
        let (acceptor, handle) = (acceptor(), base.handle().clone());
        let listener = Listener::bind(
            &base,
            (Ipv4Addr::LOCALHOST, 0).into(),
            move |_, accepted| {
                acceptor
                    .accept(&handle, accepted, echo())
                    .map(BufferEvent::detach)
            },
        )
        .unwrap();
        let address = listener.local_addr().unwrap().ip().unwrap();
        let mut child = openssl
            .args([
                "s_client",
                "-quiet",
                "-no_ign_eof",
                "-verify_return_error",
                version,
            ])
            .args([
                "-verify_hostname",
                "localhost",
                "-connect",
                &address.to_string(),
                "-CAfile",
            ])
            .arg(authority)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut output = child.stdout.take().unwrap();
        let remote = base.remote().unwrap();
        let thread = std::thread::spawn(move || {
            input.write_all(b"echo, please\n").unwrap();
            let mut text = [0; 13];
            output.read_exact(&mut text).unwrap();
            drop(input);
            let status = child.wait().unwrap();
            remote.stop().unwrap();
            (text, status.success())
        });
        base.run_until_exit().unwrap();
        let (text, fine) = thread.join().unwrap();
        assert_eq!(&text, b"echo, please\n");
        assert!(fine, "{version}");
        drop(listener);
    }
}
