//! libevent's own regress cases for TLS (test/regress_ssl.c): two ends count to 1001 in turns. The
//! whole list is in docs/regress.md.
#![cfg(feature = "openssl")]

#[path = "common/tls.rs"]
mod certificates;
mod common;

use certificates::{WORLD, only};
use common::bounded;
use foreign_types_shared::ForeignTypeRef;
use libevent2::buffer::Eol;
use libevent2::stream::tls::{Role, wrap_ssl};
use libevent2::stream::{BufferEvent, BufferEventRef, Callbacks, Direction, Handler};
use libevent2::stream::{StreamError, StreamEvent};
use libevent2::{BoxError, Error, EventBase, LoopEnd, LoopHandle, ffi};
use openssl::ssl::{Ssl, SslContext, SslMethod, SslOptions, SslRef, SslVersion};
use std::cell::{Cell, RefCell};
use std::os::fd::AsRawFd;
use std::os::raw::{c_int, c_short};
use std::os::unix::net::UnixStream;
use std::ptr;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What a case is about.
#[derive(Debug, Clone, Copy, Default)]
struct Case {
    /// Over streams that keep their socket, not over sockets.
    filter: bool,
    /// The client begins when it is connected, not before.
    write_after_connect: bool,
    /// The game begins with other handlers, after the handshake.
    start_open: bool,
    /// The client wants a new handshake at 600.
    renegotiate: Option<Wish>,
    /// An end without notice is allowed.
    dirty_shutdown: bool,
    /// At the end looks at the descriptor.
    fd: bool,
    /// At the end looks at libevent's events.
    freed: bool,
}

/// What becomes of a wish for a new handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Granted,
    /// By the server.
    Refused,
    /// The client may not ask.
    Unheard,
}

/// How the one who has 1001 ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// As `close` does it.
    Notice,
    /// Without that, as libevent does it.
    Cut,
}

#[derive(Debug, Default)]
struct Seen {
    done: Cell<usize>,
    connected: Cell<usize>,
    closed: Cell<usize>,
    failed: RefCell<Vec<String>>,
    timed_out: Cell<usize>,
    /// Whether there was a second handshake.
    renegotiated: Cell<bool>,
}

fn bump(count: &Cell<usize>) {
    count.set(count.get() + 1);
}

struct Player {
    role: Role,
    case: Case,
    ending: Ending,
    seen: Rc<Seen>,
    /// What ended the first handshake.
    finished: Vec<u8>,
}

unsafe extern "C" {
    fn SSL_renegotiate(ssl: *mut openssl_sys::SSL) -> c_int;
}

fn finished(stream: &BufferEventRef) -> Vec<u8> {
    let look = |ssl: &SslRef| {
        let mut message = [0; 64];
        let length = ssl.finished(&mut message);
        message[..length].to_vec()
    };
    stream.tls().unwrap().ssl(look).unwrap()
}

impl Handler for Player {
    fn on_read(&mut self, stream: &BufferEventRef) -> Result<(), BoxError> {
        let Some(line) = stream.input().read_line(Eol::Lf) else {
            return Ok(());
        };
        let n: u32 = String::from_utf8(line)?.parse()?;
        assert!(n > 0);
        if n == 1001 {
            bump(&self.seen.done);
            let again = finished(stream) != self.finished;
            self.seen.renegotiated.set(again);
            if self.ending == Ending::Cut {
                let sent = openssl_sys::SSL_SENT_SHUTDOWN;
                // SAFETY: alive; a plain setting.
                let say_so = |ssl: &SslRef| unsafe {
                    openssl_sys::SSL_set_shutdown(ssl.as_ptr(), sent);
                };
                stream.tls().unwrap().ssl(say_so)?;
            }
            stream.close();
            return Ok(());
        }
        if let (Role::Client, Some(wish), 600) = (self.role, self.case.renegotiate, n) {
            // SAFETY: alive, in no call of OpenSSL.
            let ask = |ssl: &SslRef| unsafe { SSL_renegotiate(ssl.as_ptr()) };
            let asked = stream.tls().unwrap().ssl(ask)?;
            assert_eq!(asked == 1, wish != Wish::Unheard);
        }
        stream.write(format!("{}\n", n + 1).as_bytes())?;
        stream.enable(Direction::WRITE)?;
        stream.disable(Direction::READ)?;
        Ok(())
    }

    fn on_write(&mut self, stream: &BufferEventRef) -> Result<(), BoxError> {
        if stream.output().is_empty() {
            stream.disable(Direction::WRITE)?;
            stream.enable(Direction::READ)?;
        }
        Ok(())
    }

    fn on_event(&mut self, stream: &BufferEventRef, event: StreamEvent) -> Result<(), BoxError> {
        let seen = &self.seen;
        match event {
            StreamEvent::Connected => {
                bump(&seen.connected);
                let shown = stream.tls().unwrap().peer_certificate();
                assert_eq!(shown.is_some(), self.role == Role::Client);
                self.finished = finished(stream);
                if self.case.write_after_connect && self.role == Role::Client {
                    stream.write(b"1\n")?;
                }
                return Ok(());
            }
            StreamEvent::Eof => bump(&seen.closed),
            StreamEvent::Failed(StreamError::ConnectTimedOut { .. })
            | StreamEvent::TimedOut(Direction::READ) => bump(&seen.timed_out),
            StreamEvent::Failed(error) => seen.failed.borrow_mut().push(said(&error)),
            event => panic!("{event:?}"),
        }
        if self.case.fd {
            check_fd(stream);
        }
        if self.case.freed {
            check_freed(stream);
        }
        stream.close();
        assert_eq!(stream.raw_fd(), None);
        Ok(())
    }
}

const TRUNCATED: &str = "truncated";

fn said(error: &StreamError) -> String {
    match error {
        StreamError::Tls {
            truncated: true, ..
        } => TRUNCATED.to_owned(),
        StreamError::Tls { reason, .. } => reason.clone(),
        error => error.to_string(),
    }
}

/// The descriptor is there until the stream is closed, and cannot be taken out.
fn check_fd(stream: &BufferEventRef) {
    let fd = stream.raw_fd();
    assert!(fd.is_some());
    let error = stream.take_socket().unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    assert_eq!(stream.raw_fd(), fd);
}

/// Nothing waits for the connection any more.
fn check_freed(stream: &BufferEventRef) {
    let raw = stream.as_ptr();
    let any = (ffi::EV_READ | ffi::EV_WRITE | ffi::EV_TIMEOUT) as c_short;
    // SAFETY: open, so alive.
    unsafe {
        for event in [&raw const (*raw).ev_read, &raw const (*raw).ev_write] {
            assert_eq!(ffi::event_pending(event, any, ptr::null_mut()), 0);
        }
    }
}

/// OpenSSL 3 refuses a client's wish unless this is set.
const ALLOW_CLIENT_RENEGOTIATION: u64 = 1 << 8;

/// As in the original a client verifies nothing.
fn ssl(case: Case, role: Role) -> Ssl {
    let mut context = SslContext::builder(SslMethod::tls()).unwrap();
    if role == Role::Server {
        context.set_certificate(&WORLD.right.certificate).unwrap();
        context.set_private_key(&WORLD.right.key).unwrap();
    }
    if let Some(wish) = case.renegotiate {
        // There is no such thing in TLS 1.3.
        only(SslVersion::TLS1_2)(&mut context);
        let by = match wish {
            Wish::Granted => None,
            Wish::Refused => Some(Role::Server),
            Wish::Unheard => Some(Role::Client),
        };
        context.set_options(match by == Some(role) {
            true => SslOptions::NO_RENEGOTIATION,
            false => SslOptions::from_bits_retain(ALLOW_CLIENT_RENEGOTIATION as _),
        });
    }
    Ssl::new(&context.build()).unwrap()
}

impl Case {
    fn wrap(
        self,
        base: &LoopHandle,
        socket: UnixStream,
        role: Role,
        handler: impl Handler,
    ) -> BufferEvent {
        let fd = socket.as_raw_fd();
        let below = BufferEvent::from_socket(base, socket, Callbacks::new()).unwrap();
        // C code could have it: then it keeps its socket.
        let raw = match self.filter {
            true => below.as_ptr(),
            false => ptr::null_mut(),
        };
        let stream = wrap_ssl(below, ssl(self, role), role, handler).unwrap();
        // SAFETY: alive.
        let underlying = unsafe { ffi::bufferevent_get_underlying(stream.as_ptr()) };
        assert_eq!(underlying, raw);
        assert_eq!(stream.raw_fd(), Some(fd));
        stream
            .tls()
            .unwrap()
            .set_allow_dirty_shutdown(self.dirty_shutdown)
            .unwrap();
        stream
    }

    fn player(self, role: Role, ending: Ending, seen: &Rc<Seen>) -> Player {
        Player {
            role,
            case: self,
            ending,
            seen: seen.clone(),
            finished: Vec::new(),
        }
    }

    /// Counts to 1001.
    fn play(self, ending: Ending) -> Rc<Seen> {
        let mut base = EventBase::new().unwrap();
        let seen = Rc::new(Seen::default());
        let (ours, theirs) = UnixStream::pair().unwrap();
        let player = |role| self.player(role, ending, &seen);
        let (client, server);
        if self.start_open {
            let opening = |role| {
                let mut player = player(role);
                Callbacks::new().on_event(move |stream, event| {
                    player.on_event(stream, event)?;
                    if player.seen.connected.get() == 2 {
                        stream.handle().exit();
                    }
                    Ok::<(), BoxError>(())
                })
            };
            client = self.wrap(&base, ours, Role::Client, opening(Role::Client));
            server = self.wrap(&base, theirs, Role::Server, opening(Role::Server));
            assert_eq!(base.run().unwrap(), LoopEnd::Exit);
            assert_eq!(seen.connected.get(), 2);
            client.set_handler(player(Role::Client)).unwrap();
            server.set_handler(player(Role::Server)).unwrap();
        } else {
            client = self.wrap(&base, ours, Role::Client, player(Role::Client));
            server = self.wrap(&base, theirs, Role::Server, player(Role::Server));
        }
        for stream in [&client, &server] {
            stream.enable(Direction::BOTH).unwrap();
        }
        if !self.write_after_connect {
            client.write(b"1\n").unwrap();
        }
        assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
        assert!(client.is_closed() && server.is_closed());
        assert_eq!(base.stats().live_total(), 0);
        assert_eq!(seen.connected.get(), 2);
        assert_eq!(seen.timed_out.get(), 0);
        seen
    }

    /// As in the original the server ends without notice, and then with it, as it always does
    /// here unless it is kept from it.
    fn run(self) {
        let _watchdog = bounded();
        for ending in [Ending::Cut, Ending::Notice] {
            let seen = self.play(ending);
            assert_eq!(seen.done.get(), 1, "{ending:?}");
            let is_error = ending == Ending::Cut && !self.dirty_shutdown;
            let errors: &[&str] = if is_error { &[TRUNCATED] } else { &[] };
            assert_eq!(*seen.failed.borrow(), errors, "{ending:?}");
            assert_eq!(seen.closed.get(), usize::from(!is_error), "{ending:?}");
            let again = self.renegotiate == Some(Wish::Granted);
            if !self.start_open {
                assert_eq!(seen.renegotiated.get(), again, "{ending:?}");
            }
        }
    }

    fn renegotiate(self) {
        let with = |wish| Case {
            renegotiate: Some(wish),
            ..self
        };
        with(Wish::Granted).run();
        with(Wish::Unheard).run();
        let _watchdog = bounded();
        let seen = with(Wish::Refused).play(Ending::Cut);
        let failed = seen.failed.borrow();
        assert_eq!(seen.done.get(), 0);
        assert_eq!(failed[0], "no renegotiation");
        // From 2.1.13 on libevent takes what ends a handshake for a dirty shutdown as well.
        if self.dirty_shutdown && seen.closed.get() == 1 {
            return assert_eq!(failed.len(), 1, "{failed:?}");
        }
        assert_eq!(seen.closed.get(), 0);
        assert_eq!(failed.len(), 2, "{failed:?}");
        assert!(failed[1].ends_with("alert handshake failure"), "{failed:?}");
    }

    /// The other one says nothing: during the handshake, and after it.
    fn timeout(self) {
        const LIMIT: Duration = Duration::from_millis(300);
        let _watchdog = bounded();
        for connected in [0, 2] {
            let mut base = EventBase::new().unwrap();
            let seen = Rc::new(Seen::default());
            let (ours, theirs) = UnixStream::pair().unwrap();
            let player = |role| self.player(role, Ending::Cut, &seen);
            let client = self.wrap(&base, ours, Role::Client, player(Role::Client));
            let server = match connected {
                0 => BufferEvent::from_socket(&base, theirs, Callbacks::new()).unwrap(),
                _ => self.wrap(&base, theirs, Role::Server, player(Role::Server)),
            };
            server.disable(Direction::BOTH).unwrap();
            if connected > 0 {
                while seen.connected.get() < connected {
                    base.run_once().unwrap();
                }
            }
            client.set_timeouts(Some(LIMIT), Some(LIMIT)).unwrap();
            client.write(b"1\n").unwrap();
            let begin = Instant::now();
            while seen.timed_out.get() == 0 {
                base.run_once().unwrap();
            }
            assert!(begin.elapsed() + Duration::from_millis(20) > LIMIT);
            assert!(client.is_closed());
            assert_eq!(seen.connected.get(), connected);
            assert_eq!((seen.done.get(), seen.closed.get()), (0, 0));
            assert_eq!(seen.timed_out.get(), 1);
            assert!(seen.failed.borrow().is_empty());
            assert!(!server.is_closed());
            drop(server);
            assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
            assert_eq!(base.stats().live_total(), 0);
        }
    }
}

macro_rules! case {
    ($($flag:ident),*) => {
        Case { $($flag: true,)* ..Case::default() }
    };
}

#[test]
fn bufferevent_socketpair() {
    case!().run();
}

#[test]
fn bufferevent_socketpair_write_after_connect() {
    case!(write_after_connect).run();
}

#[test]
fn bufferevent_filter() {
    case!(filter).run();
}

#[test]
fn bufferevent_filter_write_after_connect() {
    case!(filter, write_after_connect).run();
}

#[test]
fn bufferevent_renegotiate_socketpair() {
    case!().renegotiate();
}

#[test]
fn bufferevent_renegotiate_filter() {
    case!(filter).renegotiate();
}

#[test]
fn bufferevent_socketpair_startopen() {
    case!(start_open).run();
}

#[test]
fn bufferevent_filter_startopen() {
    case!(filter, start_open).run();
}

#[test]
fn bufferevent_socketpair_dirty_shutdown() {
    case!(dirty_shutdown).run();
}

#[test]
fn bufferevent_filter_dirty_shutdown() {
    case!(filter, dirty_shutdown).run();
}

#[test]
fn bufferevent_renegotiate_socketpair_dirty_shutdown() {
    case!(dirty_shutdown).renegotiate();
}

#[test]
fn bufferevent_renegotiate_filter_dirty_shutdown() {
    case!(filter, dirty_shutdown).renegotiate();
}

#[test]
fn bufferevent_socketpair_startopen_dirty_shutdown() {
    case!(start_open, dirty_shutdown).run();
}

#[test]
fn bufferevent_filter_startopen_dirty_shutdown() {
    case!(filter, start_open, dirty_shutdown).run();
}

#[test]
fn bufferevent_socketpair_fd() {
    case!(fd).run();
}

#[test]
fn bufferevent_socketpair_freed() {
    case!(freed).run();
}

#[test]
fn bufferevent_socketpair_freed_fd() {
    case!(freed, fd).run();
}

#[test]
fn bufferevent_filter_freed_fd() {
    case!(filter, freed, fd).run();
}

#[test]
fn bufferevent_socketpair_timeout() {
    case!().timeout();
}

#[test]
fn bufferevent_socketpair_timeout_freed_fd() {
    case!(freed, fd).timeout();
}
