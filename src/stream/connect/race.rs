//! Several addresses of one host, of which some may come later: the first that answers wins
//! (RFC 8305).

use crate::callback::retain;
use crate::error::Result;
use crate::event::InternalEvent;
use crate::stream::socket::is_under_way;
use crate::{LoopHandle, ffi};
use socket2::{Domain, Protocol, Socket, Type};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::raw::{c_short, c_void};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long IPv4 addresses wait for the first one of IPv6: RFC 8305's Resolution Delay.
pub(super) const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// How long an address has for itself before the next one is tried too: RFC 8305's Connection
/// Attempt Delay.
const DELAY: Duration = Duration::from_millis(250);

/// Why there is no connection: the error that says most, and whose it was.
pub(super) struct Loss {
    pub(super) address: SocketAddr,
    pub(super) error: io::Error,
}

type Outcome = std::result::Result<(OwnedFd, SocketAddr), Loss>;
type Done = Box<dyn FnOnce(Outcome)>;

/// A race under way. Dropping it ends it: all its sockets are closed, nobody is called any more.
pub(super) struct Race(Rc<Running>);

struct Running {
    base: LoopHandle,
    /// Starts the next attempt.
    next: InternalEvent,
    left: RefCell<VecDeque<SocketAddr>>,
    /// Those that were asked already.
    asked: RefCell<Vec<SocketAddr>>,
    /// When the last one was.
    last: Cell<Option<Instant>>,
    /// Whether more addresses may come.
    more: Cell<bool>,
    attempts: RefCell<Vec<Attempt>>,
    loss: RefCell<Option<Loss>>,
    done: Cell<Option<Done>>,
}

/// One address that was asked. The event goes before its socket.
struct Attempt {
    event: InternalEvent,
    socket: Socket,
    address: SocketAddr,
}

impl Race {
    /// Connects to one of the addresses, of which there is at least one. The loop calls `done`:
    /// not from here, and not after the race was dropped. With `more` to come it is not lost
    /// before [`all`](Self::all) are there.
    pub(super) fn start(
        base: &LoopHandle,
        addresses: &[SocketAddr],
        more: bool,
        done: impl FnOnce(Outcome) + 'static,
    ) -> Result<Self> {
        let race = Race(Rc::new(Running {
            base: base.clone(),
            next: InternalEvent::unset(),
            left: RefCell::default(),
            asked: RefCell::default(),
            last: Cell::new(None),
            more: Cell::new(more),
            attempts: RefCell::default(),
            loss: RefCell::default(),
            done: Cell::new(Some(Box::new(done))),
        }));
        let arg = Rc::as_ptr(&race.0).cast_mut().cast::<c_void>();
        // SAFETY: the base is alive; whoever has the race drops it, and with it the event, before
        // what `arg` points at or the base goes.
        unsafe { race.0.next.set(base.inner().open()?, on_next, arg)? };
        race.0.line_up(addresses);
        match more && addresses.iter().all(SocketAddr::is_ipv4) {
            true => race.0.next.trigger_after(RESOLUTION_DELAY),
            false => race.0.next.trigger(),
        }
        Ok(race)
    }

    /// All addresses are there, those of the beginning among them.
    pub(super) fn all(&self, addresses: &[SocketAddr]) {
        let race = &self.0;
        race.more.set(false);
        race.line_up(addresses);
        let wait = match race.last.get() {
            Some(last) if !race.attempts.borrow().is_empty() => {
                DELAY.saturating_sub(last.elapsed())
            }
            _ => Duration::ZERO,
        };
        race.next.trigger_after(wait);
    }
}

#[cfg(test)]
impl Race {
    pub(super) fn is_over(&self) -> bool {
        self.0.attempts.borrow().is_empty() && self.0.left.borrow().is_empty()
    }

    /// The system's number of the error that is kept.
    pub(super) fn note(&self, loss: Loss) -> Option<i32> {
        self.0.note(loss);
        self.0.loss.borrow().as_ref()?.error.raw_os_error()
    }
}

impl Drop for Race {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// The families take turns, beginning with the first address, or with the other family than the
/// one that was asked last; the order within each stays.
pub(super) fn interleaved(
    addresses: Vec<SocketAddr>,
    last: Option<&SocketAddr>,
) -> VecDeque<SocketAddr> {
    let first_is_v6 = match last {
        Some(last) => last.is_ipv4(),
        None => addresses.first().is_some_and(SocketAddr::is_ipv6),
    };
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut order = VecDeque::new();
    loop {
        let pair = (first.next(), second.next());
        if pair == (None, None) {
            return order;
        }
        order.extend(pair.0.into_iter().chain(pair.1));
    }
}

impl Running {
    fn stop(&self) {
        self.next.free();
        self.attempts.take();
        self.done.take();
    }

    fn finish(&self, outcome: Outcome) {
        let done = self.done.take();
        self.stop();
        if let Some(done) = done {
            done(outcome);
        }
    }

    /// What is left of these addresses.
    fn line_up(&self, addresses: &[SocketAddr]) {
        let asked = self.asked.borrow();
        let mut left: Vec<SocketAddr> = Vec::new();
        for address in addresses {
            if !asked.contains(address) && !left.contains(address) {
                left.push(*address);
            }
        }
        self.left.replace(interleaved(left, asked.last()));
    }

    /// Asks the next address that can be asked at all. Without one the race is lost when nobody
    /// is left in it, and nobody may come.
    fn go_on(self: &Rc<Self>) {
        loop {
            let Some(address) = self.left.borrow_mut().pop_front() else {
                break;
            };
            self.asked.borrow_mut().push(address);
            self.last.set(Some(Instant::now()));
            match self.attempt(address) {
                Ok(attempt) => {
                    self.attempts.borrow_mut().push(attempt);
                    if !self.left.borrow().is_empty() {
                        self.next.trigger_after(DELAY);
                    }
                    return;
                }
                Err(error) => self.note(Loss { address, error }),
            }
        }
        if self.more.get() || !self.attempts.borrow().is_empty() {
            return;
        }
        let loss = self.loss.take();
        if let Some(loss) = loss {
            self.finish(Err(loss));
        }
    }

    fn attempt(self: &Rc<Self>, address: SocketAddr) -> io::Result<Attempt> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        match socket.connect(&address.into()) {
            // Told by the loop too.
            Ok(()) => {}
            Err(error) if is_under_way(&error) => {}
            Err(error) => return Err(error),
        }
        let event = InternalEvent::unset();
        let arg = Rc::as_ptr(self).cast_mut().cast::<c_void>();
        let what = (ffi::EV_WRITE | ffi::EV_PERSIST) as c_short;
        // SAFETY: the base is alive; the event goes with its attempt, before the socket, and at
        // the latest with the `Race`, before `self` or the base goes.
        unsafe {
            let base = self.base.inner().open()?;
            event.set_fd(base, socket.as_raw_fd(), what, on_ready, arg)?;
        }
        if !event.add(None) {
            return Err(io::Error::last_os_error());
        }
        Ok(Attempt {
            event,
            socket,
            address,
        })
    }

    /// A socket has something to say.
    fn ready(self: &Rc<Self>, fd: ffi::evutil_socket_t) {
        let mut attempts = self.attempts.borrow_mut();
        let mut found = attempts.iter();
        let Some(index) = found.position(|attempt| attempt.socket.as_raw_fd() == fd) else {
            return;
        };
        let error = match attempts[index].socket.take_error() {
            Ok(Some(error)) if is_under_way(&error) => return,
            Ok(None) => None,
            Ok(Some(error)) | Err(error) => Some(error),
        };
        let Attempt {
            event,
            socket,
            address,
        } = attempts.swap_remove(index);
        drop(attempts);
        drop(event);
        match error {
            None => self.finish(Ok((socket.into(), address))),
            Some(error) => {
                drop(socket);
                self.note(Loss { address, error });
                self.go_on();
            }
        }
    }

    /// Keeps the error that says most; of two that say as much, the first.
    fn note(&self, loss: Loss) {
        let mut kept = self.loss.borrow_mut();
        let newer = kept
            .as_ref()
            .is_none_or(|kept| weight(&loss.error) > weight(&kept.error));
        if newer {
            *kept = Some(loss);
        }
    }
}

/// How much an error says of the host: that it has refused says more than that it was silent, and
/// that more than that there is no way to it.
fn weight(error: &io::Error) -> u8 {
    match error.kind() {
        io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::Unsupported => 0,
        // No such family here.
        _ if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => 0,
        io::ErrorKind::TimedOut => 1,
        _ => 2,
    }
}

unsafe extern "C" fn on_next(_: ffi::evutil_socket_t, _: c_short, arg: *mut c_void) {
    // SAFETY: `arg` is the `Running` of a race, alive while its events are.
    unsafe { retain::<Running>(arg) }.go_on();
}

unsafe extern "C" fn on_ready(fd: ffi::evutil_socket_t, _: c_short, arg: *mut c_void) {
    // SAFETY: as above.
    unsafe { retain::<Running>(arg) }.ready(fd);
}
