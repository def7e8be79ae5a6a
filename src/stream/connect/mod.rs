//! Connections by name: a lookup that does not block the loop, and a race of the addresses, which
//! begins when the first ones are there.
//!
//! [`resolve`] is all that knows where addresses come from: [`shared`] is the resolver that a base
//! has for it, [`system`] the system's on threads. [`order`] says which ones are tried first.

mod order;
mod race;
mod resolve;
mod shared;
mod system;
#[cfg(test)]
mod tests;

pub use resolve::Resolve;
#[cfg(feature = "http")]
pub(crate) use resolve::{Found as FoundAddresses, Lookup as AddressLookup};
pub(crate) use shared::SharedResolver;

use super::node::{Call, State};
use super::socket::new_socket;
use super::{BufferEvent, BufferEventRef, Direction, Handler, Peer, StreamError, StreamEvent};
use crate::error::{Error, Result};
use crate::event::InternalEvent;
use crate::{LoopHandle, ffi};
use race::{Loss, Race};
use resolve::{Found, Lookup};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::raw::{c_short, c_void};
use std::rc::{Rc, Weak};
use std::time::Duration;

/// An attempt to connect by name; dropping it ends it. Lives in the stream, which outlives it.
#[derive(Default)]
pub(super) struct Attempt {
    /// Goes on while the race runs if there are more addresses to come.
    lookup: Option<Lookup>,
    race: Option<Race>,
    deadline: Option<InternalEvent>,
}

impl BufferEvent {
    /// A stream to a host, by its name or its IP address. The handler hears
    /// [`Connected`](StreamEvent::Connected), or [`Failed`](StreamEvent::Failed) with the cause.
    /// What is written before goes out then. The write timeout, if one is set, is for the whole
    /// of it, the lookup too. Without one a lookup takes 30 s at most, and connecting as long as
    /// the system likes, which is minutes.
    ///
    /// The name is looked up on the loop, by evdns, as the system's `resolv.conf` and hosts file
    /// say; see [`Resolve::base`]. For another way there is
    /// [`connect_host_by`](Self::connect_host_by).
    ///
    /// Of several addresses the one that answers first is taken (RFC 8305, "happy eyeballs"):
    /// those to which this machine has the best way come first, which as a rule is IPv6, IPv6 and
    /// IPv4 take turns, and the next one is tried when one fails, or has not answered after
    /// 250 ms. IPv4 addresses that are there before those of IPv6 wait for them for 50 ms; what
    /// comes later joins the race.
    ///
    /// [`peer`](BufferEventRef::peer) is the name until there is a connection, and the address
    /// afterwards. A stream that is closed meanwhile is gone at once, with its lookup.
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
    /// [`Error::Closed`] when the base is gone; [`Error::Os`] when the system's configuration
    /// cannot be read. What becomes of the lookup is for the handler:
    /// [`StreamError::Lookup`].
    #[doc(alias = "bufferevent_socket_connect_hostname")]
    #[doc(alias = "bufferevent_socket_get_dns_error")]
    pub fn connect_host(
        base: &LoopHandle,
        host: &str,
        port: u16,
        handler: impl Handler,
    ) -> Result<Self> {
        Self::connect_host_by(base, &Resolve::base(), host, port, handler)
    }

    /// As [`connect_host`](Self::connect_host), with a choice of who looks up the name, and of
    /// IPv4 or IPv6 only. For TLS give the stream to a `Connector`'s `wrap`.
    ///
    /// ```
    /// use libevent2::dns::{Config, Resolver};
    /// use libevent2::stream::{BufferEvent, Callbacks, Resolve, StreamEvent};
    /// # use libevent2::EventBase;
    /// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// # let port = listener.local_addr().unwrap().port();
    /// # let mut base = EventBase::new()?;
    /// let mut config = Config::default();
    /// config.hosts.add("backend", "127.0.0.1".parse().unwrap());
    /// let resolver = Resolver::new(&base, config)?;
    ///
    /// let handler = Callbacks::new().on_event(|stream, event| match event {
    ///     StreamEvent::Connected => stream.close_when_flushed(),
    ///     StreamEvent::Failed(error) => panic!("{error}"),
    ///     _ => {}
    /// });
    /// let how = Resolve::by(&resolver);
    /// let stream = BufferEvent::connect_host_by(&base, &how, "backend", port, handler)?;
    /// base.run()?;
    /// # drop(stream);
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`connect_host`](Self::connect_host); [`Error::Closed`] for a resolver that is closed and
    /// [`Error::Invalid`] for one of another base; for the system's, [`Error::Os`] when there is no
    /// thread or no descriptor left.
    #[doc(alias = "bufferevent_socket_connect_hostname")]
    #[doc(alias = "bufferevent_socket_connect_hostname_hints")]
    pub fn connect_host_by(
        base: &LoopHandle,
        how: &Resolve,
        host: &str,
        port: u16,
        handler: impl Handler,
    ) -> Result<Self> {
        check(host, port)?;
        let state = State::DIRECT | State::CONNECTING;
        let stream = BufferEvent::new(new_socket(base, state, Box::new(handler))?);
        if let Some(address) = how.numeric(host, port) {
            stream.peer.replace(address.into());
            stream.node().race(&[address], false, None)?;
        } else {
            let name = format!("{host}:{port}");
            stream.peer.replace(Peer::Host(name.clone()));
            let waiting = Rc::downgrade(stream.node());
            let lookup = Lookup::start(base, how, host, port, move |found| {
                if let Some(stream) = waiting.upgrade() {
                    let inner = stream.handle().inner();
                    inner.guard(|| stream.found(found, &name));
                }
            })?;
            stream.attempt(|attempt| attempt.lookup = Some(lookup));
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

impl BufferEventRef {
    fn attempt<T>(&self, change: impl FnOnce(&mut Attempt) -> T) -> T {
        self.with_extra(|extra| change(extra.attempt.get_or_insert_default()))
    }

    /// The lookup has something.
    fn found(self: &Rc<Self>, found: Found, name: &str) {
        let more = matches!(found, Found::Some(_));
        if !more {
            let done = self.attempt(|attempt| attempt.lookup.take());
            drop(done);
        }
        let addresses = match found {
            Found::Some(addresses) | Found::All(Ok(addresses)) => addresses,
            Found::All(Err(source)) => {
                let peer = Peer::Host(name.to_owned());
                return self.lost(StreamError::Lookup { peer, source });
            }
        };
        let joined = self.attempt(|attempt| {
            let race = attempt.race.as_ref();
            race.map(|race| race.all(&addresses)).is_some()
        });
        if joined {
            return;
        }
        if let Err(error) = self.race(&addresses, more, Some(name.to_owned())) {
            self.lost(failure(Peer::Host(name.to_owned()), error.into()));
        }
    }

    /// Tries the addresses of a host, or one address without a name.
    fn race(
        self: &Rc<Self>,
        addresses: &[SocketAddr],
        more: bool,
        name: Option<String>,
    ) -> Result<()> {
        let waiting = Rc::downgrade(self);
        let race = Race::start(self.handle(), addresses, more, move |result| {
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
        self.attempt(|attempt| attempt.race = Some(race));
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
        self.set(State::STUCK, true);
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
