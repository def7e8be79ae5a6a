//! How a listening socket is made.

use super::node::{self, ErrorHandler};
use super::{Accepted, Listener, ListenerRef};
use crate::callback::CallbackResult;
use crate::error::{Error, Result};
use crate::{LoopHandle, ffi, util};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::path::Path;

/// The options with which a [`Listener`] is made; see [`Listener::options`].
///
/// ```
/// use libevent2::{EventBase, Listener};
///
/// let base = EventBase::new()?;
/// let listener = Listener::options()
///     .backlog(16)
///     .disabled()
///     .on_error(|listener, error| eprintln!("{listener:?}: {error}"))
///     .bind(&base, "127.0.0.1:0".parse().unwrap(), |_, accepted| drop(accepted))?;
/// assert!(!listener.is_enabled());
/// # Ok::<(), libevent2::Error>(())
/// ```
#[must_use]
pub struct ListenerOptions {
    backlog: Option<u32>,
    reuse_address: bool,
    reuse_port: bool,
    ipv6_only: Option<bool>,
    deferred_accept: bool,
    disabled: bool,
    on_error: Option<Box<ErrorHandler>>,
}

impl ListenerOptions {
    /// The address may be reused; everything else is left to the system.
    pub fn new() -> Self {
        ListenerOptions {
            backlog: None,
            reuse_address: true,
            reuse_port: false,
            ipv6_only: None,
            deferred_accept: false,
            disabled: false,
            on_error: None,
        }
    }

    /// How many connections may wait to be accepted. The system has a limit of its own, which is
    /// also what it is without this option.
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = Some(connections);
        self
    }

    /// Whether the address can be had while connections of a former listener on it still end; it
    /// is so unless this says no.
    #[doc(alias = "LEV_OPT_REUSEABLE")]
    #[doc(alias = "evutil_make_listen_socket_reuseable")]
    pub fn reuse_address(mut self, yes: bool) -> Self {
        self.reuse_address = yes;
        self
    }

    /// Several listeners may have the same address, in one process or several of one user, if
    /// each has this option; the system deals the connections out to them.
    #[doc(alias = "LEV_OPT_REUSEABLE_PORT")]
    #[doc(alias = "evutil_make_listen_socket_reuseable_port")]
    pub fn reuse_port(mut self) -> Self {
        self.reuse_port = true;
        self
    }

    /// Whether a listener on an IPv6 address takes IPv6 only. With `false` one on `[::]` takes
    /// IPv4 too, whose addresses are then of the form `::ffff:1.2.3.4`. Unless asked for it is as
    /// the system has it.
    #[doc(alias = "LEV_OPT_BIND_IPV6ONLY")]
    #[doc(alias = "LEV_OPT_BIND_IPV4_AND_IPV6")]
    #[doc(alias = "evutil_make_listen_socket_ipv6only")]
    pub fn ipv6_only(mut self, yes: bool) -> Self {
        self.ipv6_only = Some(yes);
        self
    }

    /// A TCP connection is accepted only once its peer has sent something, where the system can.
    #[doc(alias = "LEV_OPT_DEFERRED_ACCEPT")]
    pub fn deferred_accept(mut self) -> Self {
        self.deferred_accept = true;
        self
    }

    /// It does not accept before it is [enabled](ListenerRef::enable); connections wait until
    /// then.
    #[doc(alias = "LEV_OPT_DISABLED")]
    pub fn disabled(mut self) -> Self {
        self.disabled = true;
        self
    }

    /// Calls `handler` when a connection could not be accepted; see
    /// [`ListenerRef::set_error_callback`].
    #[doc(alias = "evconnlistener_set_error_cb")]
    pub fn on_error<O: CallbackResult + 'static>(
        mut self,
        handler: impl FnMut(&ListenerRef, &io::Error) -> O + 'static,
    ) -> Self {
        self.on_error = Some(node::boxed_error(handler));
        self
    }

    /// See [`Listener::bind`].
    ///
    /// # Errors
    /// As there.
    #[doc(alias = "evconnlistener_new_bind")]
    pub fn bind<O: CallbackResult + 'static>(
        self,
        base: &LoopHandle,
        addr: SocketAddr,
        callback: impl FnMut(&ListenerRef, Accepted) -> O + 'static,
    ) -> Result<Listener> {
        base.inner().open()?;
        let failed = listening_on(addr.to_string());
        let domain = Domain::for_address(addr);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP)).map_err(&failed)?;
        // As C does: connections inherit it.
        socket.set_keepalive(true).map_err(&failed)?;
        if self.reuse_address {
            // Elsewhere it would let two have the address at the same time.
            #[cfg(unix)]
            socket.set_reuse_address(true).map_err(&failed)?;
        }
        if self.reuse_port {
            socket.set_reuse_port(true).map_err(&failed)?;
        }
        if self.deferred_accept {
            util::set_deferred_accept(&socket)?;
        }
        if let (SocketAddr::V6(_), Some(yes)) = (addr, self.ipv6_only) {
            socket.set_only_v6(yes).map_err(&failed)?;
        }
        self.listen(&socket, &addr.into()).map_err(failed)?;
        self.start(base, socket.into(), callback)
    }

    /// See [`Listener::bind_unix`].
    ///
    /// # Errors
    /// As there, and [`Error::Invalid`] for options that only TCP has.
    #[doc(alias = "evconnlistener_new_bind")]
    pub fn bind_unix<O: CallbackResult + 'static>(
        self,
        base: &LoopHandle,
        path: impl AsRef<Path>,
        callback: impl FnMut(&ListenerRef, Accepted) -> O + 'static,
    ) -> Result<Listener> {
        base.inner().open()?;
        let path = path.as_ref();
        if path.as_os_str().is_empty() {
            return Err(Error::invalid("path", "it is empty"));
        }
        if self.reuse_port || self.deferred_accept {
            return Err(Error::invalid(
                "options",
                format!(
                    "{}: reuse_port and deferred_accept are of TCP",
                    path.display()
                ),
            ));
        }
        let failed = listening_on(path.display().to_string());
        let addr = SockAddr::unix(path).map_err(&failed)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(&failed)?;
        self.listen(&socket, &addr).map_err(failed)?;
        self.start(base, socket.into(), callback)
    }

    /// See [`Listener::from_socket`]. The options of the address have no meaning for a socket
    /// that has one, and the backlog changes only when it is set.
    ///
    /// # Errors
    /// As there.
    #[doc(alias = "evconnlistener_new")]
    pub fn from_socket<O: CallbackResult + 'static>(
        self,
        base: &LoopHandle,
        socket: impl Into<OwnedFd>,
        callback: impl FnMut(&ListenerRef, Accepted) -> O + 'static,
    ) -> Result<Listener> {
        base.inner().open()?;
        let socket: OwnedFd = socket.into();
        let fd = socket.as_raw_fd();
        let failed = listening_on(format!("descriptor {fd}"));
        let view = SockRef::from(&socket);
        if !is_listening(&view).map_err(&failed)? {
            let why = format!("descriptor {fd} is not listening");
            return Err(Error::invalid("socket", why));
        }
        view.set_nonblocking(true).map_err(&failed)?;
        view.set_cloexec(true).map_err(&failed)?;
        if self.deferred_accept {
            util::set_deferred_accept(&socket)?;
        }
        if self.backlog.is_some() {
            view.listen(self.c_backlog()).map_err(&failed)?;
        }
        self.start(base, socket, callback)
    }

    fn c_backlog(&self) -> i32 {
        let wanted = self.backlog.map(i32::try_from);
        wanted.map_or(libc::SOMAXCONN, |number| number.unwrap_or(i32::MAX))
    }

    fn listen(&self, socket: &Socket, addr: &SockAddr) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        socket.bind(addr)?;
        socket.listen(self.c_backlog())
    }

    /// Makes the C listener for a socket that is listening.
    fn start<O: CallbackResult + 'static>(
        self,
        base: &LoopHandle,
        socket: OwnedFd,
        callback: impl FnMut(&ListenerRef, Accepted) -> O + 'static,
    ) -> Result<Listener> {
        let node = ListenerRef::new(base, node::boxed(callback), self.on_error)?;
        // Disabled, as C would ignore it if it could not be enabled.
        let flags = ffi::LEV_OPT_CLOSE_ON_FREE | ffi::LEV_OPT_CLOSE_ON_EXEC | ffi::LEV_OPT_DISABLED;
        let (fd, arg) = (socket.as_raw_fd(), node.data());
        let base = base.inner().open()?;
        // SAFETY: the base is alive and the descriptor open. The node outlives the listener: an
        // owner or the base has a count on it until evconnlistener_free.
        let raw =
            unsafe { ffi::evconnlistener_new(base, Some(node::on_accept), arg, flags as _, 0, fd) };
        if raw.is_null() {
            return Err(Error::Libevent {
                op: "evconnlistener_new",
            });
        }
        // The C listener closes it.
        let _ = socket.into_raw_fd();
        let listener = Listener::own(node, raw);
        if !self.disabled {
            listener.enable()?;
        }
        Ok(listener)
    }
}

impl Default for ListenerOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ListenerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerOptions")
            .field("backlog", &self.backlog)
            .field("reuse_address", &self.reuse_address)
            .field("reuse_port", &self.reuse_port)
            .field("ipv6_only", &self.ipv6_only)
            .field("deferred_accept", &self.deferred_accept)
            .field("disabled", &self.disabled)
            .finish_non_exhaustive()
    }
}

fn listening_on(what: String) -> impl Fn(io::Error) -> Error {
    move |source| Error::Os {
        op: format!("listening on {what}"),
        source,
    }
}

/// Where the system does not tell, the first accept will.
fn is_listening(socket: &Socket) -> io::Result<bool> {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    return socket.is_listener();
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
    socket.r#type().map(|_| true)
}
