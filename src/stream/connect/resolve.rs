//! Whom to ask for the addresses of a host, and the asking.

use super::{order, system};
use crate::LoopHandle;
use crate::dns::{self, ResolverRef};
use crate::error::{Error, Result};
use crate::util::{AddrHints, getaddrinfo};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

/// How a host's name becomes addresses, for
/// [`BufferEvent::connect_host_by`](super::BufferEvent::connect_host_by): who is asked, and
/// for which of them.
///
/// | | [`Resolve::base`] | [`Resolve::by`] | [`Resolve::system`] |
/// |---|---|---|---|
/// | Who | evdns, on the loop | evdns, on the loop | `getaddrinfo`, on a thread |
/// | Configured by | `/etc/resolv.conf`, `/etc/hosts` | your [`dns::Config`] | all that the system has, such as `nsswitch.conf` |
/// | At a time | as many as you like | as many as you like | 32 in a process; others wait |
/// | Cancelled | at once | at once | in the background, when the system is done |
/// | Takes at most | 30 s, [`dns::Config::deadline`] | [`dns::Config::deadline`] | as long as the system likes |
///
/// The system knows more ways than DNS: multicast DNS (`.local`), LDAP, the names of containers. It
/// also takes answers that are too long for a datagram, which libevent 2.1 does not.
///
/// ```
/// use libevent2::stream::{BufferEvent, Callbacks, Resolve, StreamEvent};
/// # use libevent2::EventBase;
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let port = listener.local_addr().unwrap().port();
/// # let mut base = EventBase::new()?;
/// let handler = Callbacks::new().on_event(|stream, event| match event {
///     StreamEvent::Connected => stream.close_when_flushed(),
///     StreamEvent::Failed(error) => panic!("{error}"),
///     _ => {}
/// });
/// let how = Resolve::system().ipv4();
/// let stream = BufferEvent::connect_host_by(&base, &how, "localhost", port, handler)?;
/// base.run()?;
/// # drop(stream);
/// # Ok::<(), libevent2::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Resolve {
    who: Who,
    family: Family,
}

#[derive(Debug, Clone, Default)]
enum Who {
    #[default]
    Base,
    Own(Rc<ResolverRef>),
    System,
}

#[derive(Debug, Clone, Copy, Default)]
enum Family {
    #[default]
    Any,
    Ipv4,
    Ipv6,
}

impl Resolve {
    /// By a resolver that the base has for its streams: what
    /// [`connect_host`](super::BufferEvent::connect_host) does.
    ///
    /// It is made when it is first needed, as [`dns::Config::system`] says, and goes with the base.
    /// When `/etc/resolv.conf` or `/etc/hosts` changes, it is configured anew within a second; a
    /// file that cannot be read leaves it as it was. Between lookups it has no socket and no
    /// event, and [`stats`](LoopHandle::stats) does not count it, but its lookups.
    pub fn base() -> Self {
        Resolve::default()
    }

    /// By this resolver. Lookups that are under way when it is closed fail.
    pub fn by(resolver: &ResolverRef) -> Self {
        Resolve {
            who: Who::Own(resolver.rc()),
            family: Family::Any,
        }
    }

    /// By the system, with its blocking `getaddrinfo` on a thread. At most 32 such threads run at
    /// a time in a process; other lookups wait for them. A stream that is closed meanwhile is gone
    /// at once, but a lookup that has begun cannot be stopped: its thread ends when the system
    /// answers.
    pub fn system() -> Self {
        Resolve {
            who: Who::System,
            family: Family::Any,
        }
    }

    /// IPv4 addresses only.
    pub fn ipv4(mut self) -> Self {
        self.family = Family::Ipv4;
        self
    }

    /// IPv6 addresses only.
    pub fn ipv6(mut self) -> Self {
        self.family = Family::Ipv6;
        self
    }

    fn hints(&self) -> AddrHints {
        let hints = AddrHints::new();
        match self.family {
            Family::Any => hints,
            Family::Ipv4 => hints.ipv4(),
            Family::Ipv6 => hints.ipv6(),
        }
    }

    /// The address, if `host` is one already, and of the right family.
    pub(crate) fn numeric(&self, host: &str, port: u16) -> Option<SocketAddr> {
        let hints = self.hints().tcp().numeric_host().numeric_service();
        let found = getaddrinfo(Some(host), Some(&port.to_string()), hints).ok()?;
        Some(found.first()?.address)
    }

    /// The resolver to ask, if it is not the system.
    fn resolver(&self, base: &LoopHandle) -> Result<Option<Rc<ResolverRef>>> {
        match &self.who {
            Who::System => Ok(None),
            Who::Base => base.inner().resolver().map(Some),
            Who::Own(resolver) if resolver.handle().same_base(base) => Ok(Some(resolver.clone())),
            Who::Own(_) => Err(Error::invalid("resolver", "it lives on another event base")),
        }
    }
}

/// What a lookup has found.
pub(crate) enum Found {
    /// The addresses of one family; the other one's are awaited.
    Some(Vec<SocketAddr>),
    /// All addresses, those told before among them, or why there are none. Nothing follows.
    All(Result<Vec<SocketAddr>>),
}

/// A lookup under way. Dropping it cancels it: nobody is called any more.
pub(crate) enum Lookup {
    Evdns { _cancel: dns::Lookup },
    System { _cancel: system::Lookup },
}

impl Lookup {
    /// Looks up the addresses of `host`, for `port`. The loop calls `tell` once, or twice when one
    /// family's are late: not from here, and not after the lookup was dropped.
    pub(crate) fn start(
        base: &LoopHandle,
        how: &Resolve,
        host: &str,
        port: u16,
        tell: impl Fn(Found) + 'static,
    ) -> Result<Self> {
        base.inner().open()?;
        let Some(resolver) = how.resolver(base)? else {
            let all = move |found| tell(Found::All(found));
            let cancel = system::Lookup::start(base, host, port, how.hints(), all)?;
            return Ok(Lookup::System { _cancel: cancel });
        };
        let with_port = move |ip: Vec<IpAddr>| -> Vec<SocketAddr> {
            order::order(ip.into_iter().map(|ip| (ip, port).into()).collect())
        };
        let tell = Rc::new(tell);
        let early = tell.clone();
        let cancel = resolver.lookup_addresses(
            host,
            how.hints().families(),
            move |addresses| early(Found::Some(with_port(addresses))),
            move |answer| {
                let addresses = answer.map(|answer| with_port(answer.records));
                tell(Found::All(addresses.map_err(Error::from)));
            },
        )?;
        Ok(Lookup::Evdns { _cancel: cancel })
    }
}
