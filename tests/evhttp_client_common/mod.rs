//! Servers on threads that say what a test wants, right or wrong, and ways to ask them.
#![allow(dead_code, reason = "not every test needs all of it")]

use libevent2::EventBase;
use libevent2::evhttp::{ClientError, ClientRequest, ConnectionRef, Response};
use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

pub trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

/// A client's request, as the server has read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub line: String,
    /// The lines of the headers.
    pub headers: Vec<String>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap()
    }
}

/// The server's end of one connection.
pub struct Peer {
    wire: Box<dyn Wire>,
    read: Vec<u8>,
}

impl Peer {
    pub fn new(wire: impl Wire + 'static) -> Self {
        Peer {
            wire: Box::new(wire),
            read: Vec::new(),
        }
    }

    /// Reads more; false at the end.
    fn more(&mut self) -> bool {
        let mut some = [0; 16 * 1024];
        match self.wire.read(&mut some) {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.read.extend(&some[..count]);
                true
            }
        }
    }

    /// The head of the next request, without its body.
    pub fn head(&mut self) -> Option<Seen> {
        let mut looked = 0;
        loop {
            let new = self.read.len();
            let found = self.read[looked..]
                .windows(4)
                .position(|four| four == b"\r\n\r\n");
            if let Some(end) = found.map(|at| looked + at) {
                let head = String::from_utf8(self.read.drain(..end + 4).collect()).unwrap();
                let mut lines = head.trim_end().split("\r\n").map(str::to_owned);
                return Some(Seen {
                    line: lines.next().unwrap(),
                    headers: lines.collect(),
                    body: Vec::new(),
                });
            }
            looked = new.saturating_sub(3);
            if !self.more() {
                return None;
            }
        }
    }

    /// The body of the request whose head this is.
    pub fn body(&mut self, seen: &mut Seen) {
        let length = seen
            .header("Content-Length")
            .unwrap_or("0")
            .parse()
            .unwrap();
        while self.read.len() < length {
            if !self.more() {
                return;
            }
        }
        seen.body = self.read.drain(..length).collect();
    }

    pub fn request(&mut self) -> Option<Seen> {
        let mut seen = self.head()?;
        self.body(&mut seen);
        Some(seen)
    }

    pub fn send(&mut self, text: impl AsRef<[u8]>) {
        // A client that is gone is its own business.
        let _ = self.wire.write_all(text.as_ref());
        let _ = self.wire.flush();
    }

    /// 200 with a body.
    pub fn ok(&mut self, body: &str) {
        let length = body.len();
        self.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
    }

    /// Waits until the client closes; what it still sends is the result.
    pub fn until_end(&mut self) -> Vec<u8> {
        while self.more() {}
        std::mem::take(&mut self.read)
    }
}

/// A server with a thread for each connection, until it is dropped.
pub struct Server {
    pub addr: SocketAddr,
    connections: Arc<AtomicUsize>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn new(serve: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self::on(listener, move |stream| serve(&mut Peer::new(stream)))
    }

    pub fn on(listener: TcpListener, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let addr = listener.local_addr().unwrap();
        let connections = Arc::<AtomicUsize>::default();
        let end = Arc::<AtomicBool>::default();
        let thread = thread::spawn({
            let (connections, end) = (connections.clone(), end.clone());
            let serve = Arc::new(serve);
            move || {
                for stream in listener.incoming() {
                    if end.load(Ordering::SeqCst) {
                        return;
                    }
                    connections.fetch_add(1, Ordering::SeqCst);
                    let serve = serve.clone();
                    let stream = stream.unwrap();
                    stream.set_nodelay(true).unwrap();
                    thread::spawn(move || serve(stream));
                }
            }
        });
        Server {
            addr,
            connections,
            end,
            thread: Some(thread),
        }
    }

    /// Answers each request in this way.
    pub fn answering(answer: impl Fn(&mut Peer, Seen) + Send + Sync + 'static) -> Self {
        Self::new(move |peer| {
            while let Some(seen) = peer.request() {
                answer(peer, seen);
            }
        })
    }

    /// Answers one request of each connection with these bytes, and closes.
    pub fn saying(text: impl Into<Vec<u8>>) -> Self {
        let text = text.into();
        Self::new(move |peer| {
            peer.request();
            peer.send(&text);
        })
    }

    /// Reads what it is sent, and says nothing.
    pub fn silent() -> Self {
        Self::new(|peer| drop(peer.until_end()))
    }

    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.addr);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// A port that nobody listens on.
pub fn refused() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

pub type Got = Rc<RefCell<Vec<Result<Response, ClientError>>>>;

/// Notes how the request ends.
pub fn noting(request: ClientRequest, got: &Got) -> ClientRequest {
    let got = got.clone();
    request.on_done(move |_, response| got.borrow_mut().push(response))
}

/// Runs the loop until `done`.
pub fn until(base: &mut EventBase, done: impl Fn() -> bool) {
    while !done() {
        base.run_once().unwrap();
    }
}

/// Sends a request and waits for its end.
pub fn ask(
    base: &mut EventBase,
    connection: &ConnectionRef,
    request: ClientRequest,
) -> Result<Response, ClientError> {
    let got = Got::default();
    connection.send(noting(request, &got)).unwrap().detach();
    until(base, || !got.borrow().is_empty());
    got.take().remove(0)
}

/// Status and body.
pub fn text(response: Result<Response, ClientError>) -> (u16, String) {
    let response = response.unwrap();
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    (response.status().as_u16(), body)
}
