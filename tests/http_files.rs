//! Files as answers: sent piece by piece, to clients that are fast, slow or gone.
#![cfg(all(feature = "http", unix))]

mod common;
mod http_client;

use common::bounded;
use http_client::{Client, ask, finish, get, in_background, request, with_server};
use libevent2::EventBase;
use libevent2::http::{Request, Response, Sent, Server, StatusCode};
use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A file that goes with the value.
struct TempFile(PathBuf);

impl TempFile {
    fn new(bytes: &[u8]) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "libevent2-files-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        fs::write(&path, bytes).unwrap();
        TempFile(path)
    }

    fn open(&self) -> File {
        File::open(&self.0).unwrap()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Bytes in which every place is different.
fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32)
        .flat_map(|place| place.wrapping_mul(2_654_435_761).to_le_bytes())
        .take(len)
        .collect()
}

type Log = Rc<RefCell<Vec<Sent>>>;

fn serve(server: &Server, path: PathBuf, log: &Log) {
    let log = Rc::clone(log);
    server.fallback(move |request: Request| {
        let log = Rc::clone(&log);
        request.on_sent(move |sent| log.borrow_mut().push(sent));
        request.respond(Response::file(File::open(&path)?)?);
        Ok::<(), io::Error>(())
    });
}

#[test]
fn a_file_arrives_byte_for_byte_whatever_its_size() {
    let _bounded = bounded();
    let chunk = (128 << 10) - 256;
    for len in [
        0,
        1,
        4096,
        chunk - 1,
        chunk,
        chunk + 1,
        2 * chunk,
        3_000_001,
    ] {
        let bytes = pattern(len);
        let file = TempFile::new(&bytes);
        let (path, log) = (file.0.clone(), Log::default());
        let answers = with_server(
            |server| serve(server, path, &log),
            move |addr| {
                let mut client = Client::new(addr);
                client.send(request("HEAD /", "\r\n"));
                let head = client.read_head().unwrap();
                client.send(request("GET /", "\r\n") + &request("GET /", "\r\n"));
                (head, client.read().unwrap(), client.read().unwrap())
            },
        );
        assert_eq!(answers.0.header("content-length"), Some(&*len.to_string()));
        assert!(answers.1.body == bytes && answers.2.body == bytes, "{len}");
        let sent: Vec<_> = log
            .borrow()
            .iter()
            .map(|s| (s.body_bytes, s.complete))
            .collect();
        assert_eq!(sent, [(0, true), (len as u64, true), (len as u64, true)]);
    }
}

#[test]
fn a_file_goes_to_old_clients_and_with_any_status() {
    let _bounded = bounded();
    let bytes = pattern(300_000);
    let file = TempFile::new(&bytes);
    let open = file.open();
    let answers = with_server(
        |server| {
            server.fallback(move |request: Request| {
                let response = Response::file(open.try_clone()?)?;
                request.respond(response.status(StatusCode::NOT_FOUND));
                Ok::<(), io::Error>(())
            });
        },
        |addr| {
            let mut old = Client::new(addr);
            old.send("GET / HTTP/1.0\r\n\r\n");
            let answer = old.read().unwrap();
            assert!(old.is_closed());
            [
                answer,
                get(addr, "/"),
                ask(addr, "POST /", "Content-Length: 0\r\n\r\n"),
            ]
        },
    );
    for answer in answers {
        assert_eq!(answer.status, 404);
        assert!(answer.body == bytes);
    }
}

#[test]
fn only_a_regular_file_can_be_sent() {
    let folder = File::open(std::env::temp_dir()).unwrap();
    let refused = Response::file(folder).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    assert!(Response::file(File::open("/dev/null").unwrap()).is_err());
}

/// A server, and a client that has read the beginning of a file of 64 MiB: more than the sockets'
/// buffers hold, so that the rest of it waits for the client.
struct HalfSent {
    base: EventBase,
    server: Server,
    file: TempFile,
    log: Log,
    client: Client,
}

const LONG: usize = 64 << 20;

fn half_sent() -> HalfSent {
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    let file = TempFile::new(&[]);
    let sparse = File::options().write(true).open(&file.0).unwrap();
    sparse.set_len(LONG as u64).unwrap();
    let log = Log::default();
    serve(&server, file.0.clone(), &log);
    let mut client = Client::new(server.local_addrs()[0]);
    client.send(request("GET /", "\r\n"));
    while server.in_flight() == 0 {
        base.run_once().unwrap();
    }
    HalfSent {
        base,
        server,
        file,
        log,
        client,
    }
}

#[test]
fn a_dropped_server_sends_its_file_to_the_end() {
    let _bounded = bounded();
    let mut it = half_sent();
    drop(it.server);
    let mut client = it.client;
    let reader = std::thread::spawn(move || client.read().unwrap().body.len());
    it.base.run().unwrap();
    assert_eq!(reader.join().unwrap(), LONG);
    assert_eq!(it.base.stats().live_total(), 0);
    assert!(it.log.borrow()[0].complete);
}

#[test]
fn a_client_that_goes_in_the_middle_harms_nobody() {
    let _bounded = bounded();
    let mut it = half_sent();
    drop(it.client);
    while it.log.borrow().is_empty() {
        it.base.run_once().unwrap();
    }
    let sent = it.log.borrow()[0];
    assert!(!sent.complete && sent.body_bytes < LONG as u64, "{sent:?}");
    let addr = it.server.local_addrs()[0];
    let client = in_background(&it.base, addr, |addr| get(addr, "/").body.len());
    it.base.run_until_exit().unwrap();
    assert_eq!(client.join().unwrap(), LONG);
    finish(&mut it.base, it.server);
}

#[test]
fn a_file_that_shrinks_ends_the_connection_and_not_the_server() {
    let _bounded = bounded();
    let mut it = half_sent();
    let file = File::options().write(true).open(&it.file.0).unwrap();
    file.set_len(1000).unwrap();
    let client = it.client;
    let reader = std::thread::spawn(move || client.read_to_end().len());
    while it.log.borrow().is_empty() {
        it.base.run_once().unwrap();
    }
    assert!(reader.join().unwrap() < LONG);
    assert!(!it.log.borrow()[0].complete);
    let addr = it.server.local_addrs()[0];
    let client = in_background(&it.base, addr, |addr| get(addr, "/").body.len());
    it.base.run_until_exit().unwrap();
    assert_eq!(client.join().unwrap(), 1000);
    finish(&mut it.base, it.server);
}

#[test]
fn a_base_may_go_in_the_middle_of_a_file() {
    let _bounded = bounded();
    let it = half_sent();
    drop(it.base);
    assert!(it.client.read_to_end().len() < LONG);
    assert_eq!(it.server.in_flight(), 0);
    assert!(it.log.borrow().is_empty());
}

#[test]
fn a_slow_client_may_take_longer_than_the_idle_time() {
    let _bounded = bounded();
    let mut it = half_sent();
    let limits = it
        .server
        .limits()
        .idle(std::time::Duration::from_millis(150));
    it.server.set_limits(limits);
    let mut client = Client::new(it.server.local_addrs()[0]);
    drop(it.client);
    let reader = std::thread::spawn(move || {
        client.send(request("GET /", "Connection: close\r\n\r\n"));
        // Something all the time, and for longer than the idle time in all.
        let mut got = 0;
        let mut chunk = vec![0; 1 << 20];
        loop {
            match client.stream().read(&mut chunk).unwrap() {
                0 => return got,
                n => got += n,
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    });
    while it.log.borrow().len() < 2 {
        it.base.run_once().unwrap();
    }
    assert!(reader.join().unwrap() > LONG);

    // One that takes nothing is given up.
    let mut stuck = Client::new(it.server.local_addrs()[0]);
    stuck.send(request("GET /", "\r\n"));
    while it.log.borrow().len() < 3 {
        it.base.run_once().unwrap();
    }
    assert!(!it.log.borrow()[2].complete);
    finish(&mut it.base, it.server);
    let _ = stuck.stream().write(b"");
}
