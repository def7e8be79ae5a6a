//! Makes the C objects.

use super::super::node::{Form, State};
use super::super::socket::into_raw;
use super::super::{BufferEvent, BufferEventRef, Direction, Handler, Peer};
use super::awaited::over;
use super::session::{Session, turn_off};
use super::sys;
use crate::error::{Error, Result};
use crate::ffi::ssl as ffi_ssl;
use crate::{LoopHandle, ffi, later};
use foreign_types_shared::ForeignType;
use openssl::ssl::Ssl;
use std::mem;
use std::os::fd::OwnedFd;
use std::os::raw::{c_int, c_short, c_void};
use std::ptr;
use std::rc::Rc;

/// C frees the TLS connection and what is below, and calls nobody from inside a call of ours.
pub(super) const OPTIONS: c_int =
    (ffi::BEV_OPT_CLOSE_ON_FREE | ffi::BEV_OPT_DEFER_CALLBACKS) as c_int;

/// How much waits in the stream below at most, so that the output of the one above tells how much
/// there is still to be sent.
const WAITS_BELOW: usize = 64 * 1024;

/// Whose side of a TLS connection a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Who begins the handshake.
    #[doc(alias = "BUFFEREVENT_SSL_CONNECTING")]
    Client,
    /// Who waits for it.
    #[doc(alias = "BUFFEREVENT_SSL_ACCEPTING")]
    Server,
}

impl Role {
    fn to_c(self) -> ffi_ssl::bufferevent_ssl_state {
        match self {
            Role::Client => ffi_ssl::BUFFEREVENT_SSL_CONNECTING,
            Role::Server => ffi_ssl::BUFFEREVENT_SSL_ACCEPTING,
        }
    }
}

/// TLS over a stream, with an [`Ssl`] that is taken as it is: host name, verification and versions
/// are as they were set there.
///
/// The stream is consumed: it closes with the one that is returned. It may be of any kind, a filter
/// or TLS again, and may still be connecting. What is in its input is the peer's part of the
/// handshake; what is in its output goes out in clear, before it. Its handler is dropped, and its
/// timeouts and watermarks end. The socket of a stream with nothing in its buffers is taken out of
/// it, which spares a copy of all that comes and goes, unless the stream has a rate limit or C code
/// has seen it ([`as_ptr`](BufferEventRef::as_ptr)).
///
/// ```
/// use libevent2::EventBase;
/// use libevent2::stream::tls::{Role, wrap_ssl};
/// use libevent2::stream::{BufferEvent, Callbacks};
/// use openssl::ssl::{Ssl, SslContext, SslMethod};
///
/// let base = EventBase::new()?;
/// let context = SslContext::builder(SslMethod::tls()).unwrap().build();
/// let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
/// let plain = BufferEvent::from_socket(&base, ours, Callbacks::new())?;
/// let stream = wrap_ssl(plain, Ssl::new(&context).unwrap(), Role::Client, Callbacks::new())?;
/// assert!(stream.tls().is_some());
/// # Ok::<(), libevent2::Error>(())
/// ```
///
/// # Errors
/// [`Error::Closed`] when the stream is closed, or its base is gone; [`Error::Invalid`] when its
/// end has begun. Either way it is gone then.
#[doc(alias = "bufferevent_openssl_filter_new")]
pub fn wrap_ssl(
    stream: BufferEvent,
    ssl: Ssl,
    role: Role,
    handler: impl Handler,
) -> Result<BufferEvent> {
    over(stream, ssl, role, handler)
}

/// A stream over a socket that it does not have yet.
pub(super) fn over_socket(
    base: &LoopHandle,
    ssl: Ssl,
    role: Role,
    handler: Box<dyn Handler>,
) -> Result<BufferEvent> {
    let raw_base = base.inner().open()?;
    let ssl = prepare(ssl);
    // SAFETY: the base is alive. The connection has no transport yet, so that nothing can be wrong
    // with it: C fails for want of memory only, and has freed it then.
    let raw =
        unsafe { ffi_ssl::bufferevent_openssl_socket_new(raw_base, -1, ssl, role.to_c(), OPTIONS) };
    let node = adopt(base, raw, handler, "bufferevent_openssl_socket_new")?;
    node.with_extra(|extra| extra.tls = Some(Rc::new(Session::new())));
    // SAFETY: alive, and so is its input as long. Enabled without a socket only its timeout is on,
    // which then is that for connecting.
    unsafe {
        let input = ffi::bufferevent_get_input(raw);
        ffi::evbuffer_add_cb(input, Some(input_changed), raw.cast::<c_void>());
        ffi::bufferevent_enable(raw, ffi::EV_WRITE as c_short);
    }
    Ok(BufferEvent::new(node))
}

/// A stream over another one.
pub(super) fn over_stream(
    stream: BufferEvent,
    ssl: Ssl,
    role: Role,
    handler: Box<dyn Handler>,
) -> Result<BufferEvent> {
    let base = stream.handle().clone();
    let raw_base = base.inner().open()?;
    let peer = stream.peer();
    let _ = stream.set_timeouts(None, None);
    stream.set_watermarks(Direction::READ, 0, 0)?;
    stream.set_watermarks(Direction::WRITE, 0, WAITS_BELOW)?;
    let below = stream.into_below()?;
    let theirs = below.handler.take();
    let ssl = prepare(ssl);
    let entered = base.inner().enter();
    // SAFETY: both are alive, and the stream is nobody else's any more: `into_below`. As above, C
    // fails for want of memory only; whose the stream is then cannot be known, and it leaks.
    let raw = unsafe {
        let raw_below = below.raw.get();
        ffi_ssl::bufferevent_openssl_filter_new(raw_base, raw_below, ssl, role.to_c(), OPTIONS)
    };
    drop(entered);
    let node = adopt(&base, raw, handler, "bufferevent_openssl_filter_new")?;
    node.peer.replace(peer);
    let session = Session::new();
    session.watch(&node, &below);
    below.with_extra(|extra| extra.above = Rc::downgrade(&node));
    node.with_extra(|extra| {
        extra.tls = Some(Rc::new(session));
        extra.underlying = Some(below.clone());
    });
    // The time to read counts from the beginning. By `bufferevent_enable` C would read, which it
    // does after the handshake.
    // SAFETY: alive.
    unsafe { (*raw).enabled |= ffi::EV_READ as c_short };
    // What is there already, and the first word of a client, which C does not begin with unless
    // something happens below.
    // SAFETY: alive; deferred, so nothing is called from here.
    unsafe {
        let options = ffi::BEV_TRIG_IGNORE_WATERMARKS | ffi::BEV_TRIG_DEFER_CALLBACKS;
        ffi::bufferevent_trigger(below.raw.get(), ffi::EV_WRITE as c_short, options as _);
    }
    drop(theirs);
    later::run();
    Ok(BufferEvent::new(node))
}

/// For C, which owns it from then on.
pub(super) fn prepare(ssl: Ssl) -> *mut openssl_sys::SSL {
    sys::set_modes(&ssl);
    let raw = ssl.as_ptr();
    mem::forget(ssl);
    raw
}

fn adopt(
    base: &LoopHandle,
    raw: *mut ffi::bufferevent,
    handler: Box<dyn Handler>,
    op: &'static str,
) -> Result<Rc<BufferEventRef>> {
    if raw.is_null() {
        return Err(Error::Libevent { op });
    }
    // SAFETY: just made, on this base.
    let node = unsafe { BufferEventRef::adopt(base, raw, Form::Tls, State::CONNECTING, handler)? };
    node.enabled.set(Direction::BOTH);
    Ok(node)
}

impl BufferEventRef {
    /// Neither reads nor writes what is no longer enabled. The handshake goes on.
    pub(in super::super) fn disable_tls(&self) -> Result<()> {
        if !self.is(State::CONNECTING) {
            self.with(|raw| turn_off(self, raw, Direction::BOTH - self.enabled.get()))?;
        }
        Ok(())
    }

    /// Gives a stream over TLS its socket, and begins the handshake.
    pub(super) fn begin_tls(&self, fd: OwnedFd, peer: Peer) -> Result<()> {
        let raw = self.open()?;
        let fd = into_raw(fd);
        self.peer.replace(peer);
        // SAFETY: alive; the descriptor is open and ours to give. C makes the transport and begins,
        // from the loop.
        unsafe {
            let nonblocking = ffi::evutil_make_socket_nonblocking(fd);
            let mut error = Error::last_os(format!("making descriptor {fd} non-blocking"));
            if nonblocking == 0 {
                if ffi::bufferevent_setfd(raw, fd) == 0 {
                    self.fd.set(fd);
                    return Ok(());
                }
                error = Error::Libevent {
                    op: "bufferevent_setfd",
                };
                if let Some(ssl) = sys::ssl_of(raw) {
                    sys::forget_socket(&ssl);
                }
            }
            ffi::evutil_closesocket(fd);
            Err(error)
        }
    }
}

/// Something was taken out of the input. What OpenSSL has decrypted already does not make the
/// socket readable, so C has to be told when there is room for it.
unsafe extern "C" fn input_changed(
    _: *mut ffi::evbuffer,
    info: *const ffi::evbuffer_cb_info,
    arg: *mut c_void,
) {
    // SAFETY: C's `info` is alive, and so is the bufferevent, whose input this is.
    unsafe {
        if (*info).n_deleted > 0 {
            read_rest(arg.cast());
        }
    }
}

/// Has the loop read what OpenSSL has, if C waits for the socket. If it does not, it is not to read
/// now; made active then, the event would not be waited for when C adds it.
///
/// # Safety
/// `raw` is a bufferevent over TLS and over a socket, and alive.
unsafe fn read_rest(raw: *mut ffi::bufferevent) {
    // SAFETY: the caller's promise.
    unsafe {
        let event = &raw mut (*raw).ev_read;
        let read = ffi::EV_READ as c_short;
        if sys::has_pending(raw) && ffi::event_pending(event, read, ptr::null_mut()) != 0 {
            ffi::event_active(event, c_int::from(read), 1);
        }
    }
}

impl BufferEventRef {
    /// Whether OpenSSL has what would be in the input already but for a rate limit.
    pub(super) fn has_rest(&self) -> bool {
        let high = self.read_high();
        let Ok(raw) = self.open() else { return false };
        // SAFETY: alive.
        self.below().is_none()
            && self.enabled.get().contains(Direction::READ)
            && (high == 0 || self.input().len() < high)
            && unsafe { sys::has_pending(raw) }
    }

    /// Reading is enabled: lets the loop look at what OpenSSL has already.
    pub(in super::super) fn read_rest(&self) {
        if self.form == Form::Tls
            && self.below().is_none()
            && let Ok(raw) = self.open()
        {
            // SAFETY: alive.
            unsafe { read_rest(raw) };
        }
    }
}
