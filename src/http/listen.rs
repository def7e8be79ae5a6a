//! Where a server listens, and how it takes connections.

use super::connection::Connection;
use super::preface::Prefaces;
use super::proxy_protocol::Source;
use super::server::ServerRef;
use crate::LoopHandle;
use crate::error::{Error, Result};
use crate::listener::{Accepted, Address, Listener, ListenerOptions, ListenerRef};
use crate::stream::{BufferEvent, Handler, RateLimit, Socket};
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// How many bytes the system may hold that are not even on their way to the client.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNSENT: u32 = 128 << 10;

/// A place to listen at; see [`ServerRef::listen_by`].
///
/// ```no_run
/// use libevent2::EventBase;
/// use libevent2::http::{Listen, Server};
///
/// let base = EventBase::new()?;
/// let server = Server::new(&base)?;
/// server.listen_by(Listen::tcp("[::]:8080")?.reuse_port())?;
/// server.listen_by(Listen::unix("/run/app/http.sock"))?;
/// # Ok::<(), libevent2::Error>(())
/// ```
#[derive(Debug)]
pub struct Listen {
    place: Place,
    reuse_port: bool,
    proxied: bool,
    manner: Manner,
}

/// How each connection is spoken with.
#[derive(Debug, Default)]
struct Manner {
    tls: Option<TlsAcceptor>,
    rate_limit: Option<RateLimit>,
}

#[derive(Debug)]
enum Place {
    /// The first of them that can be had.
    Tcp(Vec<SocketAddr>),
    Unix(PathBuf),
    Socket(OwnedFd),
}

impl Listen {
    /// An address and a port; port 0 picks a free one. Of several addresses the first one is
    /// taken that can be had.
    ///
    /// # Errors
    /// [`Error::Os`] when the address is none.
    pub fn tcp(addr: impl ToSocketAddrs) -> Result<Self> {
        let addrs = addr.to_socket_addrs().map_err(|source| Error::Os {
            op: "looking up the address".to_owned(),
            source,
        })?;
        Ok(Listen::at(Place::Tcp(addrs.collect())))
    }

    /// A Unix socket, whose file is made, and stays when the server is closed.
    pub fn unix(path: impl AsRef<Path>) -> Self {
        Listen::at(Place::Unix(path.as_ref().to_owned()))
    }

    /// A socket that is listening already, of TCP or Unix: one of std's, or one that the program
    /// was started with.
    pub fn socket(socket: impl Into<OwnedFd>) -> Self {
        Listen::at(Place::Socket(socket.into()))
    }

    fn at(place: Place) -> Self {
        Listen {
            place,
            reuse_port: false,
            proxied: false,
            manner: Manner::default(),
        }
    }

    /// Lets other sockets, of other processes too, listen on the same port: the system spreads
    /// the connections among them. For TCP only.
    #[must_use]
    pub fn reuse_port(mut self) -> Self {
        self.reuse_port = true;
        self
    }

    /// Takes connections from a proxy that speaks the PROXY protocol, version 1 or 2, and from
    /// nobody else: what begins in another way is closed. [`Request::peer`](super::Request::peer)
    /// is then the proxy's client.
    ///
    /// Whoever reaches such a place can say to be anybody: let only the proxy reach it.
    #[must_use]
    pub fn proxy_protocol(mut self) -> Self {
        self.proxied = true;
        self
    }

    /// Speaks TLS: https.
    #[cfg(any(feature = "openssl", feature = "rustls"))]
    #[must_use]
    pub fn tls(mut self, acceptor: impl Into<TlsAcceptor>) -> Self {
        self.manner.tls = Some(acceptor.into());
        self
    }

    /// Limits how fast each connection may go. With TLS it counts what goes over the wire.
    ///
    /// ```
    /// use libevent2::http::Listen;
    /// use libevent2::stream::RateLimit;
    ///
    /// let slow = Listen::tcp("127.0.0.1:0")?.rate_limit(RateLimit::new().write(64 << 10));
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    #[must_use]
    pub fn rate_limit(mut self, limit: RateLimit) -> Self {
        self.manner.rate_limit = Some(limit);
        self
    }
}

/// What makes the server's side of TLS: an acceptor of `stream::tls` or of `stream::rustls`.
#[derive(Debug)]
pub struct TlsAcceptor(Acceptor);

#[derive(Debug)]
enum Acceptor {
    #[cfg(feature = "openssl")]
    OpenSsl(crate::stream::tls::Acceptor),
    #[cfg(feature = "rustls")]
    Rustls(crate::stream::rustls::Acceptor),
}

#[cfg(feature = "openssl")]
impl From<crate::stream::tls::Acceptor> for TlsAcceptor {
    fn from(acceptor: crate::stream::tls::Acceptor) -> Self {
        TlsAcceptor(Acceptor::OpenSsl(acceptor))
    }
}

#[cfg(feature = "rustls")]
impl From<crate::stream::rustls::Acceptor> for TlsAcceptor {
    fn from(acceptor: crate::stream::rustls::Acceptor) -> Self {
        TlsAcceptor(Acceptor::Rustls(acceptor))
    }
}

impl TlsAcceptor {
    #[cfg_attr(
        not(any(feature = "openssl", feature = "rustls")),
        expect(unused_variables, reason = "there is none")
    )]
    fn accept(
        &self,
        base: &LoopHandle,
        socket: Socket,
        handler: impl Handler,
    ) -> Result<BufferEvent> {
        match self.0 {
            #[cfg(feature = "openssl")]
            Acceptor::OpenSsl(ref acceptor) => acceptor.accept(base, socket, handler),
            #[cfg(feature = "rustls")]
            Acceptor::Rustls(ref acceptor) => acceptor.accept(base, socket, handler),
        }
    }
}

impl ServerRef {
    /// Listens at a place. A server may listen at several.
    ///
    /// When the system is short of descriptors, it pauses for a tenth of a second at a time and
    /// clients wait.
    ///
    /// # Errors
    /// [`Error::Os`], with the address, when it cannot be had; [`Error::Closed`] when the server
    /// is closed.
    #[doc(alias = "evhttp_bind_listener")]
    pub fn listen_by(&self, listen: Listen) -> Result<()> {
        let me = self.counted()?;
        let base = self.handle();
        let Listen {
            place,
            reuse_port,
            proxied,
            manner,
        } = listen;
        let options = match reuse_port {
            true => ListenerOptions::new().reuse_port(),
            false => ListenerOptions::new(),
        };
        let weak = Rc::downgrade(&me);
        let manner = Rc::new(manner);
        // Dropped with the listener.
        let prefaces = proxied.then(Rc::<Prefaces>::default);
        let accept = move |_: &ListenerRef, accepted: Accepted| {
            let Some(server) = weak.upgrade() else {
                return;
            };
            let peer = accepted.peer().clone();
            if peer.ip().is_some() {
                tune(&accepted);
            }
            let Some(prefaces) = &prefaces else {
                return server.accept(accepted.into(), peer, &manner);
            };
            let (weak, manner) = (weak.clone(), Rc::clone(&manner));
            let time = server.limits().idle;
            let announced = server.announce();
            let then = move |socket, source| {
                drop(announced);
                let peer = match source {
                    Source::Own => peer,
                    Source::Client { addr, .. } => Address::Ip(addr),
                    Source::Unix => Address::Unix(None),
                };
                if let Some(server) = weak.upgrade() {
                    let socket = Socket::with_peer(socket, peer.clone().into());
                    server.accept(socket, peer, &manner);
                }
            };
            // When the system is short of something the connection is closed, and its client
            // sees that.
            let _ = prefaces.begin(server.handle(), accepted.into(), time, then);
        };
        let listener = match place {
            Place::Tcp(addrs) => bind_first(base, &addrs, options, accept)?,
            Place::Unix(path) => options.bind_unix(base, path, accept)?,
            Place::Socket(socket) => options.from_socket(base, socket, accept)?,
        };
        self.add_listener(listener);
        Ok(())
    }

    fn accept(self: &Rc<Self>, accepted: Socket, peer: Address, manner: &Manner) {
        if self.is_closing() {
            return;
        }
        let connection = Connection::new(self, &peer, manner.tls.is_some());
        let driver = connection.driver();
        let stream = match &manner.tls {
            Some(tls) => tls.accept(self.handle(), accepted, driver),
            None => BufferEvent::from_socket(self.handle(), accepted, driver),
        };
        // The connection is closed, and its client sees that.
        let Ok(stream) = stream else { return };
        if let Some(limit) = manner.rate_limit
            && stream.set_rate_limit(limit).is_err()
        {
            return;
        }
        connection.begin(self.add(Rc::clone(&connection)), stream.share());
        stream.detach();
    }
}

/// Each of it may fail, which does no harm.
fn tune(socket: &Accepted) {
    let socket = socket2::SockRef::from(socket);
    // Answers of more than a packet would wait for the client's ACK.
    let _ = socket.set_tcp_nodelay(true);
    // A client that hardly reads would make the system hold megabytes, for which all others wait
    // when there are many of its kind; and `Limits::idle` would not see it.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = socket.set_tcp_notsent_lowat(UNSENT);
}

fn bind_first(
    base: &LoopHandle,
    addrs: &[SocketAddr],
    options: ListenerOptions,
    accept: impl FnMut(&ListenerRef, Accepted) + 'static,
) -> Result<Listener> {
    let mut last = Error::invalid("address", "there is none");
    let mut accept = Some((options, accept));
    for (at, addr) in addrs.iter().enumerate() {
        // Only whether it can be had is asked, as long as there is another one to try.
        if at + 1 < addrs.len()
            && let Err(source) = std::net::TcpListener::bind(addr)
        {
            let op = format!("listening on {addr}");
            last = Error::Os { op, source };
            continue;
        }
        if let Some((options, accept)) = accept.take() {
            return options.bind(base, *addr, accept);
        }
    }
    Err(last)
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Tcp(addrs) => match addrs.first() {
                Some(addr) => addr.fmt(f),
                None => f.write_str("no address"),
            },
            Place::Unix(path) => path.display().fmt(f),
            Place::Socket(_) => f.write_str("a given socket"),
        }
    }
}
