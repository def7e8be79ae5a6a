//! Connections by name: a lookup that does not block the loop, then a race of the addresses.
//!
//! [`lookup`] is all that knows where addresses come from.

mod lookup;
mod race;
#[cfg(test)]
mod tests;

use super::node::{Call, State};
use super::socket::new_socket;
use super::{BufferEvent, BufferEventRef, Direction, Handler, Peer, StreamError, StreamEvent};
use crate::error::{Error, Result};
use crate::event::InternalEvent;
use crate::util::{AddrHints, getaddrinfo};
use crate::{LoopHandle, ffi};
use lookup::Lookup;
use race::{Loss, Race};
use std::any::Any;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::raw::{c_short, c_void};
use std::rc::{Rc, Weak};
use std::time::Duration;

/// An attempt to connect by name; dropping it ends it. Lives in the stream, which outlives it.
#[derive(Default)]
pub(super) struct Attempt {
    /// A [`Lookup`], then a [`Race`].
    step: Option<Box<dyn Any>>,
    deadline: Option<InternalEvent>,
}

impl BufferEvent {
    /// A stream to a host, by its name or its IP address. The handler hears
    /// [`Connected`](StreamEvent::Connected), or [`Failed`](StreamEvent::Failed) with the cause.
    /// What is written before goes out then. The write timeout, if one is set, is for the whole
    /// of it, the lookup too; without one the system's own limits hold, which are minutes.
    ///
    /// The name is looked up by the system (`getaddrinfo`: the hosts file, then DNS, as it is
    /// configured), on a thread of its own. At most 32 such threads run at a time in a process;
    /// other lookups wait for them. A stream that is closed meanwhile is gone at once, but a
    /// lookup that has begun cannot be stopped: its thread ends when the system answers.
    ///
    /// Of several addresses the one that answers first is taken (RFC 8305, "happy eyeballs"):
    /// IPv6 and IPv4 take turns, in the order of the system's preference, and the next one is
    /// tried when one fails, or has not answered after 250 ms. [`peer`](BufferEventRef::peer) is
    /// the name until then, and the address afterwards.
    ///
    /// ```
    /// use libevent2::stream::{BufferEvent, Callbacks, StreamEvent};
    /// # use libevent2::EventBase;
    /// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let port = listener.local_addr().unwrap().port();
    /// # let mut base = EventBase::new()?;
    /// let handler = Callbacks::new().on_event(|stream, event| match event {
    ///     StreamEvent::Connected => stream.close_when_flushed(),
    ///     StreamEvent::Failed(error) => panic!("{error}"),
    ///     _ => {}
    /// });
    /// let stream = BufferEvent::connect_host(&base, "localhost", port, handler)?;
    /// stream.write(b"GET / HTTP/1.0\r\n\r\n")?;
    /// base.run()?;
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] for a host that is empty or has a NUL, and for port 0;
    /// [`Error::Closed`] when the base is gone; [`Error::Os`] when there is no thread or no
    /// descriptor left.
    #[doc(alias = "bufferevent_socket_connect_hostname")]
    #[doc(alias = "bufferevent_socket_get_dns_error")]
    pub fn connect_host(
        base: &LoopHandle,
        host: &str,
        port: u16,
        handler: impl Handler,
    ) -> Result<Self> {
        check(host, port)?;
        let state = State::DIRECT | State::CONNECTING;
        let stream = BufferEvent::new(new_socket(base, state, Box::new(handler))?);
        if let Some(address) = numeric(host, port) {
            stream.peer.replace(address.into());
            stream.node().race(vec![address], None)?;
        } else {
            let name = format!("{host}:{port}");
            stream.peer.replace(Peer::Host(name.clone()));
            let waiting = Rc::downgrade(stream.node());
            let lookup = Lookup::start(base, host, port, move |found| {
                if let Some(stream) = waiting.upgrade() {
                    let inner = stream.handle().inner();
                    inner.guard(|| stream.found(found, name));
                }
            })?;
            stream.step(lookup);
        }
        Ok(stream)
    }
}

fn check(host: &str, port: u16) -> Result<()> {
    if host.is_empty() {
        return Err(Error::invalid("host", "it is empty"));
    }
    if host.contains('\0') {
        return Err(Error::invalid("host", format!("{host:?} has a NUL in it")));
    }
    if port == 0 {
        return Err(Error::invalid("port", "nobody can be reached at port 0"));
    }
    Ok(())
}

/// The address, if `host` is one already.
fn numeric(host: &str, port: u16) -> Option<SocketAddr> {
    let hints = AddrHints::new().tcp().numeric_host().numeric_service();
    let found = getaddrinfo(Some(host), Some(&port.to_string()), hints).ok()?;
    Some(found.first()?.address)
}

impl BufferEventRef {
    /// The next step of the attempt; the one before ends.
    fn step(&self, step: impl Any) {
        let before = self.with_extra(|extra| {
            let attempt = extra.attempt.get_or_insert_default();
            attempt.step.replace(Box::new(step))
        });
        drop(before);
    }

    /// The lookup has an answer.
    fn found(self: &Rc<Self>, found: Result<Vec<SocketAddr>>, name: String) {
        let begun = found
            .map_err(|source| StreamError::Lookup {
                peer: Peer::Host(name.clone()),
                source,
            })
            .and_then(|addresses| {
                self.race(addresses, Some(name.clone()))
                    .map_err(|error| failure(Peer::Host(name), error.into()))
            });
        if let Err(error) = begun {
            self.lost(error);
        }
    }

    /// Tries the addresses of a host, or one address without a name.
    fn race(self: &Rc<Self>, addresses: Vec<SocketAddr>, name: Option<String>) -> Result<()> {
        let waiting = Rc::downgrade(self);
        let race = Race::start(self.handle(), addresses, move |result| {
            let Some(stream) = Weak::upgrade(&waiting) else {
                return;
            };
            stream.handle().inner().guard(|| match result {
                Ok((socket, address)) => stream.won(socket, address),
                Err(Loss { address, error }) => {
                    let peer = match name {
                        Some(name) => Peer::Host(format!("{name} ({address})")),
                        None => address.into(),
                    };
                    stream.lost(failure(peer, error));
                }
            });
        })?;
        self.step(race);
        Ok(())
    }

    /// There is a connection.
    fn won(&self, socket: OwnedFd, address: SocketAddr) {
        self.end_attempt();
        self.peer.replace(address.into());
        if let Err(error) = self.take_over(socket) {
            return self.lost(failure(address.into(), error.into()));
        }
        self.handle().inner().count_callback();
        self.connected();
        self.dispatch(Call::Event(StreamEvent::Connected));
        self.settle();
    }

    /// There will be none.
    fn lost(&self, error: StreamError) {
        self.end_attempt();
        self.handle().inner().count_callback();
        self.set(State::CONNECTING, false);
        self.enabled.set(self.enabled.get() - Direction::WRITE);
        self.dispatch(Call::Event(StreamEvent::Failed(error)));
        self.settle();
    }

    /// Ends the attempt, if one is under way.
    pub(super) fn end_attempt(&self) {
        let attempt = self.extra(|extra| extra.attempt.take());
        drop(attempt);
    }

    /// The write timeout was set, from now on: it bounds an attempt that is under way.
    pub(super) fn limit_attempt(&self, limit: Option<Duration>) -> Result<()> {
        let before = self.extra(|extra| extra.attempt.as_mut()?.deadline.take());
        drop(before);
        let under_way = self.extra(|extra| extra.attempt.as_ref().map(|_| ()));
        let (Some(()), Some(limit)) = (under_way, limit) else {
            return Ok(());
        };
        let deadline = InternalEvent::unset();
        let arg = std::ptr::from_ref(self).cast_mut().cast::<c_void>();
        // SAFETY: the base is alive. The event is freed when the attempt ends, at the latest in
        // `close`, until when somebody has a count on the stream.
        unsafe { deadline.set(self.handle().inner().open()?, too_late, arg)? };
        deadline.trigger_after(limit);
        self.extra(|extra| extra.attempt.as_mut()?.deadline.replace(deadline));
        Ok(())
    }
}

fn failure(peer: Peer, error: io::Error) -> StreamError {
    match error.kind() {
        io::ErrorKind::TimedOut => StreamError::ConnectTimedOut { peer },
        _ => StreamError::from_os(peer, error),
    }
}

unsafe extern "C" fn too_late(_: ffi::evutil_socket_t, _: c_short, arg: *mut c_void) {
    // SAFETY: `arg` is the stream, alive while the event is.
    let stream = unsafe { crate::callback::retain::<BufferEventRef>(arg) };
    let inner = stream.handle().inner();
    inner.guard(|| {
        let peer = stream.peer();
        stream.lost(StreamError::ConnectTimedOut { peer });
    });
}
