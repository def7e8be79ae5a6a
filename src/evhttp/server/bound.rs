//! Listening sockets that wait when the system cannot give another descriptor.
//!
//! A listening socket stays readable while a connection waits on it, so one that cannot be
//! accepted would be reported again and again. The listener pauses instead.

use super::ServerRef;
use crate::error::{Error, Result};
use crate::ffi;
use socket2::SockRef;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::os::raw::c_void;
use std::ptr;
use std::rc::{Rc, Weak};
use std::time::Duration;

/// How long a listener pauses.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

thread_local! {
    /// Whose a listener is: evhttp takes its data pointer for itself.
    static OWNERS: RefCell<HashMap<*mut ffi::evconnlistener, Weak<ServerRef>>> =
        RefCell::default();
}

/// A socket that a [`Server`](super::Server) listens on: its name, to ask about it and to
/// [remove it](ServerRef::remove_socket).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[doc(alias = "evhttp_bound_socket")]
pub struct BoundSocket {
    id: u64,
    addr: SocketAddr,
}

impl BoundSocket {
    /// The address that it listens on, with the port that was picked.
    #[doc(alias = "evhttp_bound_socket_get_fd")]
    #[doc(alias = "evhttp_bound_socket_get_listener")]
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }
}

/// What accepts on it; it is freed by [`close`](Self::close) or with the evhttp.
pub(super) struct Socket {
    bound: *mut ffi::evhttp_bound_socket,
    listener: *mut ffi::evconnlistener,
    pub(super) name: BoundSocket,
}

impl Socket {
    /// # Safety
    /// `base` and `http` are alive, and belong together and to `server`.
    pub(super) unsafe fn new(
        base: *mut ffi::event_base,
        http: *mut ffi::evhttp,
        server: &Rc<ServerRef>,
        socket: TcpListener,
    ) -> Result<Self> {
        let addr = internet_address(&SockRef::from(&socket))?;
        socket
            .set_nonblocking(true)
            .map_err(os("set_nonblocking"))?;
        let flags = ffi::LEV_OPT_CLOSE_ON_FREE | ffi::LEV_OPT_CLOSE_ON_EXEC;
        // SAFETY: the caller's promise. The descriptor is the listener's once there is one.
        unsafe {
            let fd = ffi::evutil_socket_t::from(into_raw(&socket));
            let listener = ffi::evconnlistener_new(base, None, ptr::null_mut(), flags as _, 0, fd);
            if listener.is_null() {
                return Err(Error::Libevent {
                    op: "evconnlistener_new",
                });
            }
            std::mem::forget(socket);
            Self::bind(http, server, listener, addr)
        }
    }

    /// Takes a listener, which is evhttp's then, or freed.
    ///
    /// # Safety
    /// As for [`new`](Self::new); `listener` is alive, on the same base, listens on `addr`, and is
    /// nobody else's.
    pub(super) unsafe fn bind(
        http: *mut ffi::evhttp,
        server: &Rc<ServerRef>,
        listener: *mut ffi::evconnlistener,
        addr: SocketAddr,
    ) -> Result<Self> {
        // SAFETY: the caller's promise. evhttp takes the listener's callback and data pointer.
        let bound = unsafe {
            ffi::evconnlistener_set_error_cb(listener, Some(on_accept_error));
            let bound = ffi::evhttp_bind_listener(http, listener);
            if bound.is_null() {
                ffi::evconnlistener_free(listener);
                return Err(Error::Libevent {
                    op: "evhttp_bind_listener",
                });
            }
            ffi::evconnlistener_enable(listener);
            bound
        };
        OWNERS.with_borrow_mut(|owners| owners.insert(listener, Rc::downgrade(server)));
        let id = server.next_socket.get();
        server.next_socket.set(id + 1);
        Ok(Socket {
            bound,
            listener,
            name: BoundSocket { id, addr },
        })
    }

    /// Stops accepting for good.
    ///
    /// # Safety
    /// `http` is the one that it was made for, and alive.
    pub(super) unsafe fn close(self, http: *mut ffi::evhttp) {
        // SAFETY: the caller's promise; `self` goes, so this happens once. It is legal in a
        // callback of the listener's too, which holds a count of its own.
        unsafe { ffi::evhttp_del_accept_socket(http, self.bound) };
    }

    /// Leaves errors to C's own way.
    ///
    /// # Safety
    /// The evhttp that it was made for is alive.
    pub(super) unsafe fn forget_owner(&self) {
        // SAFETY: alive as long as the evhttp is, unless closed, which takes `self`.
        unsafe {
            ffi::evconnlistener_set_error_cb(self.listener, None);
            // It may be pausing, and nobody else would end that.
            ffi::evconnlistener_enable(self.listener);
        }
    }

    /// Accepts again after a pause.
    ///
    /// # Safety
    /// The evhttp that it was made for is alive.
    pub(super) unsafe fn resume(&self) {
        // SAFETY: alive as long as the evhttp is, unless closed, which takes `self`.
        unsafe { ffi::evconnlistener_enable(self.listener) };
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // The thread-local is gone when the thread ends.
        let _ = OWNERS.try_with(|owners| owners.borrow_mut().remove(&self.listener));
    }
}

/// evhttp turns the address of each client into text, and ends the process when that fails: it can
/// be given sockets of the Internet only.
pub(super) fn internet_address(socket: &SockRef<'_>) -> Result<SocketAddr> {
    let addr = socket.local_addr().map_err(os("local address"))?;
    let why = "evhttp can do with TCP over IPv4 and IPv6 only";
    addr.as_socket()
        .ok_or_else(|| Error::invalid("listening socket", why))
}

fn os(op: &'static str) -> impl Fn(std::io::Error) -> Error {
    move |source| Error::Os {
        op: op.to_owned(),
        source,
    }
}

#[cfg(unix)]
fn into_raw(socket: &TcpListener) -> std::os::fd::RawFd {
    std::os::fd::AsRawFd::as_raw_fd(socket)
}

#[cfg(windows)]
fn into_raw(socket: &TcpListener) -> ffi::evutil_socket_t {
    std::os::windows::io::AsRawSocket::as_raw_socket(socket) as _
}

/// accept() failed, and not because there was nobody left: no descriptors, or no memory.
unsafe extern "C" fn on_accept_error(listener: *mut ffi::evconnlistener, _: *mut c_void) {
    // SAFETY: alive; C holds a count for the length of this call.
    unsafe { ffi::evconnlistener_disable(listener) };
    let server = OWNERS.with_borrow(|owners| owners.get(&listener).and_then(Weak::upgrade));
    if let Some(server) = server {
        server.pause();
    }
}
