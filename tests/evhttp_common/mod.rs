//! An HTTP client that says exactly what it sends, and a server of evhttp to say it to.

#![allow(dead_code, reason = "each test binary uses its own part")]

use libevent2::evhttp::{Request, Server};
use libevent2::{EventBase, Kind, Remote};
use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

/// An answer, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub reason: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The sizes of its chunks, the last one included.
    pub chunks: Vec<usize>,
}

impl Answer {
    /// All values of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let found = self
            .headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).collect()
    }

    /// The only value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} twice: {self:?}");
        all.first().copied()
    }

    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }
}

/// A connection, on which requests can follow one another.
pub struct Client<S = TcpStream> {
    stream: S,
    seen: Vec<u8>,
}

impl Client {
    pub fn new(addr: SocketAddr) -> Self {
        Client::over(connect(addr))
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

pub fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    // The watchdog is for a server that hangs; this says where.
    let limit = Some(Duration::from_secs(30));
    stream.set_read_timeout(limit).unwrap();
    stream.set_write_timeout(limit).unwrap();
    stream
}

impl<S: Read + Write> Client<S> {
    pub fn over(stream: S) -> Self {
        Client {
            stream,
            seen: Vec::new(),
        }
    }

    pub fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends as much as the server takes.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// One answer; `None` when the connection ends without.
    pub fn read(&mut self) -> Option<Answer> {
        let mut answer = self.read_head()?;
        if matches!(answer.status, 100 | 204 | 304) {
            return Some(answer);
        }
        if answer.header("transfer-encoding") == Some("chunked") {
            self.read_chunks(&mut answer);
        } else if let Some(length) = answer.header("content-length") {
            answer.body = self.take(length.parse().unwrap());
        } else {
            while self.more() {}
            answer.body = std::mem::take(&mut self.seen);
        }
        Some(answer)
    }

    /// The answer to a HEAD request, which is without the body that it tells of.
    pub fn read_head(&mut self) -> Option<Answer> {
        let end = self.find(b"\r\n\r\n")?;
        let head = String::from_utf8(self.seen.drain(..end + 4).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status_line = lines.next().unwrap();
        assert!(status_line.starts_with("HTTP/1."), "{status_line}");
        let pairs = lines.map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_owned(), value.to_owned())
        });
        Some(Answer {
            status: status_line[9..12].parse().unwrap(),
            reason: status_line[13..].to_owned(),
            headers: pairs.collect(),
            body: Vec::new(),
            chunks: Vec::new(),
        })
    }

    fn read_chunks(&mut self, answer: &mut Answer) {
        loop {
            let end = self.find(b"\r\n").expect("a chunk");
            let line = String::from_utf8(self.take(end)).unwrap();
            let size = usize::from_str_radix(&line, 16).unwrap();
            answer.chunks.push(size);
            self.take(2);
            answer.body.extend(self.take(size));
            assert_eq!(self.take(2), b"\r\n");
            if size == 0 {
                return;
            }
        }
    }

    /// Where the bytes are; `None` when the connection ends before anything came.
    fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        loop {
            let mut windows = self.seen.windows(bytes.len());
            if let Some(at) = windows.position(|window| window == bytes) {
                return Some(at);
            }
            if !self.more() {
                assert!(self.seen.is_empty(), "half an answer: {:?}", self.seen);
                return None;
            }
        }
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        while self.seen.len() < length {
            assert!(
                self.more(),
                "it ended after {} of {length}",
                self.seen.len()
            );
        }
        self.seen.drain(..length).collect()
    }

    fn more(&mut self) -> bool {
        let mut chunk = [0; 65536];
        match self.stream.read(&mut chunk) {
            Ok(n) => {
                self.seen.extend_from_slice(&chunk[..n]);
                n > 0
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// Whether the server has closed the connection, after everything that was read.
    pub fn is_closed(&mut self) -> bool {
        self.seen.is_empty() && !self.more()
    }

    /// Everything up to the end of the connection.
    pub fn read_to_end(mut self) -> Vec<u8> {
        while self.more() {}
        self.seen
    }
}

/// A request line and a `Host`; `more` is what follows them.
pub fn request(line: &str, more: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: test\r\n{more}")
}

/// Asks once, on a connection of its own.
pub fn ask(addr: SocketAddr, line: &str, more: &str) -> Answer {
    let mut client = Client::new(addr);
    client.send(request(line, &format!("Connection: close\r\n{more}")));
    let answer = if line.starts_with("HEAD ") {
        client.read_head()
    } else {
        client.read()
    };
    assert!(client.is_closed());
    answer.expect("an answer")
}

pub fn get(addr: SocketAddr, path: &str) -> Answer {
    ask(addr, &format!("GET {path}"), "\r\n")
}

pub fn post(addr: SocketAddr, path: &str, body: &str) -> Answer {
    let length = format!("Content-Length: {}\r\n\r\n{body}", body.len());
    ask(addr, &format!("POST {path}"), &length)
}

/// A base and a server that listens.
pub fn listening() -> (EventBase, Server, SocketAddr) {
    let base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    let addr = server.local_addrs()[0];
    (base, server, addr)
}

/// Runs a server that `setup` has given its handlers, until `client`, on a thread of its own, is
/// done; then closes it and looks that nothing is left.
pub fn with_server<T: Send + 'static>(
    setup: impl FnOnce(&Server),
    client: impl FnOnce(SocketAddr) -> T + Send + 'static,
) -> T {
    let (mut base, server, addr) = listening();
    setup(&server);
    let result = beside(&mut base, addr, client);
    finish(&mut base, server);
    result
}

/// Runs `client` beside the loop, which ends with it.
pub fn beside<T: Send + 'static>(
    base: &mut EventBase,
    addr: SocketAddr,
    client: impl FnOnce(SocketAddr) -> T + Send + 'static,
) -> T {
    let client = in_background(base, addr, client);
    base.run_until_exit().unwrap();
    client
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Runs `client` on a thread, and stops the loop after it.
pub fn in_background<T: Send + 'static>(
    base: &EventBase,
    addr: SocketAddr,
    client: impl FnOnce(SocketAddr) -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    struct StopAtEnd(Remote);
    impl Drop for StopAtEnd {
        fn drop(&mut self) {
            let _ = self.0.stop();
        }
    }
    let stop = StopAtEnd(base.remote().unwrap());
    thread::spawn(move || {
        let _stop = stop;
        client(addr)
    })
}

/// Closes the server, and checks that nothing is left of it when the loop has run.
pub fn finish(base: &mut EventBase, server: Server) {
    drop(server);
    base.run().unwrap();
    for kind in [Kind::HttpServer, Kind::HttpRequest] {
        assert_eq!(base.stats().live(kind), 0, "{kind:?}");
    }
}

/// Where a handler leaves a request for later.
pub type Held = Rc<RefCell<Option<Request>>>;

/// Has requests left there.
pub fn hold(server: &Server) -> Held {
    let held = Held::default();
    let to = Rc::clone(&held);
    server.set_gencb(move |request| {
        to.replace(Some(request));
    });
    held
}

/// Runs the loop until the handler has put a request there.
pub fn run_until_held(base: &mut EventBase, held: &Held) -> Request {
    loop {
        if let Some(request) = held.take() {
            return request;
        }
        base.run_once().unwrap();
    }
}
