//! Listening sockets (C: `evconnlistener`): [`Listener`] owns one, its callback gets a
//! [`ListenerRef`] and the [`Accepted`] connection.
//!
//! C accepts all connections that wait before it returns to the loop. A callback that stops the
//! loop at once, fails or panics ends that: the connections that are left wait for the next run.

mod accepted;
mod address;
mod handler;
mod node;
mod options;

pub use accepted::Accepted;
pub use address::Address;
pub use node::ListenerRef;
pub use options::ListenerOptions;

use crate::callback::CallbackResult;
use crate::error::{Error, Result};
use crate::{LoopHandle, ffi};
use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::ptr;
use std::rc::Rc;

/// A listening socket: calls its closure with each connection.
///
/// Dropping it stops listening and closes the socket; connections that were accepted live on.
///
/// ```
/// use libevent2::{EventBase, Listener};
/// use std::io::{Read, Write};
/// use std::net::TcpStream;
///
/// let mut base = EventBase::new()?;
/// let listener = Listener::bind(&base, "127.0.0.1:0".parse().unwrap(), |listener, accepted| {
///     println!("a connection from {}", accepted.peer());
///     let mut stream = TcpStream::from(accepted);
///     listener.close();
///     stream.write_all(b"hello")
/// })?;
/// let mut client = TcpStream::connect(listener.local_addr()?.ip().unwrap()).unwrap();
/// base.run()?;
///
/// let mut greeting = String::new();
/// client.read_to_string(&mut greeting).unwrap();
/// assert_eq!(greeting, "hello");
/// # Ok::<(), libevent2::Error>(())
/// ```
#[doc(alias = "evconnlistener")]
#[doc(alias = "evconnlistener_free")]
#[must_use = "dropping it closes the listener; `detach` gives it to the base"]
pub struct Listener {
    /// Empty only while it is given to the base.
    node: Option<Rc<ListenerRef>>,
}

impl Listener {
    /// Listens on `addr`; with port 0 the system picks one, which
    /// [`local_addr`](ListenerRef::local_addr) tells.
    ///
    /// # Errors
    /// [`Error::Os`], which names the address, when it cannot be had; [`Error::Closed`] when the
    /// base is gone.
    #[doc(alias = "evconnlistener_new_bind")]
    pub fn bind<O: CallbackResult + 'static>(
        base: &LoopHandle,
        addr: SocketAddr,
        callback: impl FnMut(&ListenerRef, Accepted) -> O + 'static,
    ) -> Result<Self> {
        Self::options().bind(base, addr, callback)
    }

    /// Listens on a Unix socket, whose file is made at `path`. It stays there when the listener
    /// is closed, and has to be removed before the next one is made.
    ///
    /// # Errors
    /// [`Error::Os`], which names the path, when there is such a file already or it cannot be
    /// made; [`Error::Closed`] when the base is gone.
    #[doc(alias = "evconnlistener_new_bind")]
    pub fn bind_unix<O: CallbackResult + 'static>(
        base: &LoopHandle,
        path: impl AsRef<Path>,
        callback: impl FnMut(&ListenerRef, Accepted) -> O + 'static,
    ) -> Result<Self> {
        Self::options().bind_unix(base, path, callback)
    }

    /// Accepts on a socket that is listening already: a `TcpListener`, a `UnixListener`, or a
    /// descriptor that the program was started with. It is made non-blocking and close-on-exec.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is not listening, [`Error::Os`] when it is no socket,
    /// [`Error::Closed`] when the base is gone.
    #[doc(alias = "evconnlistener_new")]
    pub fn from_socket<O: CallbackResult + 'static>(
        base: &LoopHandle,
        socket: impl Into<OwnedFd>,
        callback: impl FnMut(&ListenerRef, Accepted) -> O + 'static,
    ) -> Result<Self> {
        Self::options().from_socket(base, socket, callback)
    }

    /// The options with which a listener can be made.
    pub fn options() -> ListenerOptions {
        ListenerOptions::new()
    }

    /// Takes over a listener that C made: `callback` takes the place of the one that it had, and
    /// it is enabled. It is freed with this value, and closes its socket then if it was made with
    /// `LEV_OPT_CLOSE_ON_FREE`; with `LEV_OPT_LEAVE_SOCKETS_BLOCKING` the accepted connections
    /// are blocking ones.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it belongs to another base, [`Error::Closed`] when the base is
    /// gone: the listener is left as it is. [`Error::Os`] when it cannot be enabled: it is freed.
    ///
    /// # Safety
    /// `raw` is a live `evconnlistener` that nobody else frees, changes, or uses from another
    /// thread.
    pub unsafe fn from_ptr<O: CallbackResult + 'static>(
        base: &LoopHandle,
        raw: *mut ffi::evconnlistener,
        callback: impl FnMut(&ListenerRef, Accepted) -> O + 'static,
    ) -> Result<Self> {
        assert!(!raw.is_null(), "the evconnlistener is NULL");
        // SAFETY: alive, says the caller.
        if unsafe { ffi::evconnlistener_get_base(raw) } != base.inner().open()? {
            return Err(Error::invalid("listener", "it belongs to another base"));
        }
        let node = ListenerRef::new(base, node::boxed(callback), None)?;
        let arg = node.data();
        // SAFETY: alive; the node outlives it, as an owner or the base has a count on it until it
        // is freed.
        unsafe { ffi::evconnlistener_set_cb(raw, Some(node::on_accept), arg) };
        let listener = Listener::own(node, raw);
        listener.enable()?;
        Ok(listener)
    }

    /// Gives it to the base: it lives until it is closed in its callback, or by the end of the
    /// base.
    pub fn detach(mut self) {
        self.give_to_base();
    }

    /// Gives the C listener to C, which has to free it with `evconnlistener_free`, and before the
    /// base goes. The closure for connections lives as long as the base; errors of `accept` are
    /// C's matter from now on. NULL when it was closed.
    pub fn into_ptr(mut self) -> *mut ffi::evconnlistener {
        let raw = self.give_away();
        self.give_to_base();
        raw
    }

    /// Ties the C listener to its node.
    fn own(node: Rc<ListenerRef>, raw: *mut ffi::evconnlistener) -> Self {
        node.begin(raw);
        Listener { node: Some(node) }
    }

    fn give_to_base(&mut self) {
        if let Some(node) = self.node.take() {
            let base = node.handle().clone();
            base.inner().adopt(node.key(), node);
        }
    }
}

impl Deref for Listener {
    type Target = ListenerRef;

    fn deref(&self) -> &ListenerRef {
        let node = self.node.as_ref();
        node.expect("taken only by what consumes the listener")
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(node) = &self.node {
            node.close();
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let raw = self
            .node
            .as_ref()
            .map_or(ptr::null_mut(), |node| node.as_ptr());
        f.debug_struct("Listener")
            .field("ptr", &raw)
            .finish_non_exhaustive()
    }
}
