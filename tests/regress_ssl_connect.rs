//! libevent's own regress cases for TLS (test/regress_ssl.c): connections that are made, and
//! watermarks. The whole list is in docs/regress.md.
#![cfg(feature = "openssl")]

#[path = "common/tls.rs"]
mod certificates;
mod common;
#[path = "common/streams.rs"]
mod streams;

use certificates::ends;
use common::{Bump, Count, bounded, count};
use foreign_types_shared::ForeignTypeRef;
use libevent2::buffer::{Buffer, Eol, SharedBuffer};
use libevent2::listener::Accepted;
use libevent2::stream::{BufferEvent, BufferEventRef, Callbacks, Direction, Handler, StreamEvent};
use libevent2::{BoxError, EventBase, Listener, LoopEnd, LoopHandle, Timer};
use openssl::ssl::SslRef;
use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::raw::{c_char, c_int, c_long};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use streams::Plain;

/// Hands the first who comes to `accept`, and nobody else.
fn listen(
    base: &LoopHandle,
    mut accept: impl FnMut(&LoopHandle, Accepted) + 'static,
) -> (Listener, SocketAddr) {
    let any = (Ipv4Addr::LOCALHOST, 0).into();
    let listener = Listener::bind(base, any, move |listener, accepted| {
        accept(listener.handle(), accepted);
        listener.disable();
    });
    let listener = listener.unwrap();
    let address = listener.local_addr().unwrap().ip().unwrap();
    (listener, address)
}

// --- connect ---------------------------------------------------------------------------------------

/// Answers one number.
fn responder(connected: &Count, got: &Rc<RefCell<Vec<String>>>) -> impl Handler {
    let (connected, got) = (connected.clone(), got.clone());
    Callbacks::new()
        .on_read(move |stream| {
            if let Some(line) = stream.input().read_line(Eol::Lf) {
                let n: u32 = String::from_utf8(line)?.parse()?;
                got.borrow_mut().push(n.to_string());
                stream.write(format!("{}\n", n + 1).as_bytes())?;
                stream.enable(Direction::WRITE)?;
                stream.disable(Direction::READ)?;
            }
            Ok::<(), BoxError>(())
        })
        .on_event(move |stream, event| {
            if event.is_end() {
                stream.close();
            } else {
                connected.bump();
                assert!(stream.tls().unwrap().peer_certificate().is_none());
            }
        })
}

static READS: AtomicUsize = AtomicUsize::new(0);
static WRITES: AtomicUsize = AtomicUsize::new(0);

type BioCallback = unsafe extern "C" fn(
    *mut openssl_sys::BIO,
    c_int,
    *const c_char,
    usize,
    c_int,
    c_long,
    c_int,
    *mut usize,
) -> c_long;

unsafe extern "C" {
    fn BIO_set_callback_ex(bio: *mut openssl_sys::BIO, callback: BioCallback);
}

/// Counts what OpenSSL asks of a socket.
unsafe extern "C" fn count_calls(
    _: *mut openssl_sys::BIO,
    operation: c_int,
    _: *const c_char,
    _: usize,
    _: c_int,
    _: c_long,
    result: c_int,
    _: *mut usize,
) -> c_long {
    const BIO_CB_READ: c_int = 2;
    const BIO_CB_WRITE: c_int = 3;
    match operation {
        BIO_CB_READ => drop(READS.fetch_add(1, SeqCst)),
        BIO_CB_WRITE => drop(WRITES.fetch_add(1, SeqCst)),
        _ => {}
    }
    c_long::from(result)
}

/// The server sleeps before it says anything.
fn connect(sleep: Option<Duration>) {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (connector, acceptor) = ends();
    let connected = count();
    let got = Rc::new(RefCell::new(Vec::new()));
    let (shaken, numbers) = (connected.clone(), got.clone());
    let server = Rc::new(RefCell::new(None));
    let sleeping = Rc::new(RefCell::new(None));
    let (keep, timer) = (server.clone(), sleeping.clone());
    let (listener, address) = listen(&base, move |base, accepted| {
        let handler = responder(&shaken, &numbers);
        let (acceptor, keep) = (acceptor.clone(), keep.clone());
        let accept = move |base: &LoopHandle| {
            *keep.borrow_mut() = Some(acceptor.accept(base, accepted, handler).unwrap());
        };
        match sleep {
            None => accept(base),
            Some(time) => *timer.borrow_mut() = Some(Timer::after(base, time, accept).unwrap()),
        }
    });
    let heard = connected.clone();
    let handler =
        Callbacks::new()
            .on_write(|stream| stream.close())
            .on_event(move |stream, event| {
                assert!(matches!(event, StreamEvent::Connected), "{event:?}");
                assert!(stream.tls().unwrap().peer_certificate().is_some());
                heard.bump();
            });
    let begin = Instant::now();
    let stream = connector.connect(&base, address, "localhost", handler);
    let stream = stream.unwrap();
    stream.write(b"1\n").unwrap();
    if sleep.is_some() {
        while stream.raw_fd().is_none() {
            base.run_once().unwrap();
        }
        // SAFETY: the stream has its socket, so OpenSSL has a transport.
        let count = |ssl: &SslRef| unsafe {
            BIO_set_callback_ex(openssl_sys::SSL_get_rbio(ssl.as_ptr()), count_calls);
        };
        stream.tls().unwrap().ssl(count).unwrap();
    }
    // The client leaves when all is written. The server answers and does not read any more.
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert!(stream.is_closed());
    assert_eq!(*got.borrow(), ["1"]);
    assert_eq!(connected.get(), 2);
    if let Some(time) = sleep {
        assert!(begin.elapsed() + Duration::from_millis(20) > time);
        let calls = (READS.load(SeqCst), WRITES.load(SeqCst));
        assert!((1..=100).contains(&calls.0), "{calls:?}");
        assert!((1..=100).contains(&calls.1), "{calls:?}");
    }
    drop((listener, server.take(), sleeping.take()));
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn bufferevent_connect() {
    connect(None);
}

#[test]
fn bufferevent_connect_sleep() {
    connect(Some(Duration::from_millis(500)));
}

// --- watermarks ------------------------------------------------------------------------------------

const PAYLOAD: usize = 1 << 10;
const HIGH: usize = 5 << 10;
const LIMIT: usize = HIGH << 3;
const TAKEN: usize = PAYLOAD >> 1;

/// Takes half of what it writes each time, until it has enough.
struct Transfer {
    payload: SharedBuffer,
    got: Rc<Cell<usize>>,
    neighbour: Rc<Cell<usize>>,
    most: Rc<Cell<usize>>,
}

impl Handler for Transfer {
    fn on_read(&mut self, stream: &BufferEventRef) -> Result<(), BoxError> {
        let length = stream.input().len();
        self.most.set(self.most.get().max(length));
        if self.got.get() >= LIMIT {
            stream.set_handler(Callbacks::new())?;
            stream.disable(Direction::READ)?;
            if self.neighbour.get() >= LIMIT {
                stream.handle().exit_now();
            }
        } else {
            self.got.set(self.got.get() + stream.input().drain(TAKEN));
        }
        stream.output().append_shared_buffer(&self.payload)?;
        Ok(())
    }

    fn on_event(&mut self, _: &BufferEventRef, event: StreamEvent) -> Result<(), BoxError> {
        if event.is_end() {
            self.got.set(0);
        }
        Ok(())
    }
}

/// What the client's TLS is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Below {
    Nothing,
    /// A stream that keeps its socket.
    Socket,
    /// A filter that changes nothing.
    Filter,
}

fn watermarks(below: Below) {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (connector, acceptor) = ends();
    let (ours, theirs) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let most = Rc::new(Cell::new(0));
    let mut payload = Buffer::new();
    payload.append(&[b'A'; PAYLOAD]).unwrap();
    let payload = SharedBuffer::from(payload);
    let transfer = |got: &Rc<Cell<usize>>, neighbour: &Rc<Cell<usize>>| Transfer {
        payload: payload.clone(),
        got: got.clone(),
        neighbour: neighbour.clone(),
        most: most.clone(),
    };
    let mut handler = Some(transfer(&theirs, &ours));
    let server = Rc::new(RefCell::new(None));
    let keep = server.clone();
    let (listener, address) = listen(&base, move |base, accepted| {
        let handler = handler.take().unwrap();
        let stream = acceptor.accept(base, accepted, handler).unwrap();
        stream.set_watermarks(Direction::READ, 0, HIGH).unwrap();
        *keep.borrow_mut() = Some(stream);
    });
    let handler = transfer(&ours, &theirs);
    let client = if below == Below::Nothing {
        connector.connect(&base, address, "localhost", handler)
    } else {
        let mut stream = BufferEvent::connect(&base, address, Callbacks::new()).unwrap();
        if below == Below::Socket {
            stream.as_ptr();
        } else {
            stream = BufferEvent::filter(stream, Plain, Callbacks::new()).unwrap();
        }
        connector.wrap(stream, "localhost", handler)
    };
    let client = client.unwrap();
    client.set_watermarks(Direction::READ, 0, HIGH).unwrap();
    client.output().append_shared_buffer(&payload).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::Break);
    assert_eq!((ours.get(), theirs.get()), (LIMIT, LIMIT));
    // The mark was reached, and passed by no more than the rest of a record.
    let most = most.get();
    assert!((HIGH..HIGH + PAYLOAD).contains(&most), "{most}");
    drop((listener, client, server.take()));
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn bufferevent_wm() {
    watermarks(Below::Nothing);
}

#[test]
fn bufferevent_wm_filter() {
    watermarks(Below::Socket);
}

#[test]
fn bufferevent_wm_defer() {
    watermarks(Below::Nothing);
}

#[test]
fn bufferevent_wm_filter_defer() {
    watermarks(Below::Filter);
}
