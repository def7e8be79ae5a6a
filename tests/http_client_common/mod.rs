//! Servers for the tests of the client: threads that say just the bytes that a test wants said.

#![allow(dead_code, reason = "each test binary uses its own part")]

use libevent2::EventBase;
use libevent2::http::{Answer, Client, ClientError, ClientErrorKind, ClientRequest, Pending};
use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A server on a thread of its own, and what it has been asked.
#[derive(Clone)]
pub struct Peer {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    accepted: Arc<AtomicUsize>,
}

impl Peer {
    /// Each connection is given to `serve`, on a thread of its own.
    pub fn start(serve: impl Fn(&mut Talk<TcpStream>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = Peer {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            accepted: Arc::default(),
        };
        let (me, serve) = (peer.clone(), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let number = me.accepted.fetch_add(1, Ordering::SeqCst);
                let (seen, serve) = (me.seen.clone(), serve.clone());
                let stream = stream.unwrap();
                stream.set_nodelay(true).unwrap();
                thread::spawn(move || {
                    serve(&mut Talk {
                        stream,
                        number,
                        seen,
                    });
                });
            }
        });
        peer
    }

    /// Answers each request with the same bytes, and keeps the connection.
    pub fn saying(answer: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Peer::start(move |talk| {
            while talk.request().is_some() {
                talk.say(answer.as_ref());
            }
        })
    }

    /// Answers one request with these bytes, and closes.
    pub fn saying_once(answer: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Peer::start(move |talk| {
            talk.request();
            talk.say(answer.as_ref());
            talk.end();
        })
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests that came, whole.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// How many connections it had.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

/// One connection of a [`Peer`].
pub struct Talk<S> {
    pub stream: S,
    pub number: usize,
    pub seen: Arc<Mutex<Vec<String>>>,
}

impl<S: Read + Write> Talk<S> {
    /// The next request with its body; None when the client has gone.
    pub fn request(&mut self) -> Option<String> {
        let mut text = self.head()?;
        let lower = text.to_lowercase();
        if let Some(length) = field(&lower, "content-length") {
            let mut body = vec![0; length.parse().unwrap()];
            self.stream.read_exact(&mut body).ok()?;
            text.push_str(&String::from_utf8_lossy(&body));
        } else if field(&lower, "transfer-encoding").is_some() {
            // Up to the end of the trailers.
            while !(text.contains("\r\n0\r\n") && text.ends_with("\r\n\r\n")) {
                text.push(self.byte()?);
            }
        }
        self.seen.lock().unwrap().push(text.clone());
        Some(text)
    }

    /// The head of the next request.
    pub fn head(&mut self) -> Option<String> {
        let mut text = String::new();
        while !text.ends_with("\r\n\r\n") {
            text.push(self.byte()?);
        }
        Some(text)
    }

    fn byte(&mut self) -> Option<char> {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(1) => Some(byte[0].into()),
            Ok(_) => None,
            Err(error) if error.kind() == ErrorKind::Interrupted => self.byte(),
            Err(_) => None,
        }
    }

    pub fn say(&mut self, bytes: impl AsRef<[u8]>) {
        // A client that has gone is what some tests are about.
        let _ = self.stream.write_all(bytes.as_ref());
        let _ = self.stream.flush();
    }

    /// Waits until the client has gone.
    pub fn until_gone(&mut self) {
        while let Ok(1..) = self.stream.read(&mut [0; 4096]) {}
    }
}

impl Talk<TcpStream> {
    /// Says that nothing follows, and waits for the client to go, so that nothing is reset.
    pub fn end(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        self.until_gone();
    }
}

/// The value of a header in a head in lower case.
pub fn field<'a>(lower: &'a str, name: &str) -> Option<&'a str> {
    lower
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// What becomes of a request.
pub type Slot<T> = Rc<RefCell<Option<T>>>;

/// Sends a request, its answer to be found in the slot. The loop stops then.
pub fn begin(request: ClientRequest, client: &Client) -> (Slot<Outcome>, Pending) {
    let slot: Slot<Outcome> = Rc::default();
    let (place, handle) = (slot.clone(), client.handle().clone());
    let pending = request.send(move |result| {
        assert!(place.borrow_mut().replace(result).is_none());
        handle.exit();
    });
    (slot, pending)
}

pub type Outcome = Result<Answer, ClientError>;

/// Sends a request, and runs the loop until it is answered.
pub fn ask(base: &mut EventBase, client: &Client, request: ClientRequest) -> Outcome {
    let (slot, pending) = begin(request, client);
    assert!(slot.borrow().is_none(), "not from inside the call");
    base.run().unwrap();
    drop(pending);
    let result = slot.borrow_mut().take();
    result.expect("the loop has nothing to do, and there is no answer")
}

/// A `GET` of one URL with a client of its own.
pub fn get(url: &str) -> Outcome {
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    ask(&mut base, &client, client.get(url).unwrap())
}

/// Why there was no answer.
pub fn kind(outcome: Outcome) -> ClientErrorKind {
    match outcome {
        Ok(answer) => panic!("{answer:?}"),
        Err(error) => {
            assert!(error.to_string().contains(error.url()), "{error}");
            error.into_kind()
        }
    }
}

/// A callback that must not be called.
pub fn never<T>(_: T) {
    panic!("nobody is to hear of it");
}
