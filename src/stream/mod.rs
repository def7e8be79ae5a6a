//! Buffered connections (C: bufferevent).
//!
//! A [`BufferEvent`] is a connection with a buffer in each direction. libevent fills the input and
//! empties the output; the program's [`Handler`] is called when there is something to read, when
//! all was sent, and when something has happened to the connection. Between the socket and the
//! handler there may be TLS or a filter of the program's own, and a pair needs no socket at all.
#![cfg_attr(
    feature = "async",
    doc = "To await what it does, instead of a handler, is what [`AsyncStream`] is for."
)]
//!
//! | C | Here |
//! |---|---|
//! | `bufferevent_socket_new` | [`BufferEvent::from_socket`] |
//! | `bufferevent_socket_connect` | [`BufferEvent::connect`], [`BufferEvent::connect_unix`] |
//! | `bufferevent_socket_connect_hostname` | [`BufferEvent::connect_host`], [`BufferEvent::connect_host_by`] |
//! | `bufferevent_pair_new` | [`BufferEvent::pair`] |
//! | `bufferevent_filter_new` | [`BufferEvent::filter`] |
//! | `bufferevent_set_rate_limit`, `bufferevent_add_to_rate_limit_group` | [`set_rate_limit`](BufferEventRef::set_rate_limit), [`RateLimitGroup`] |
//! | `bufferevent_setcb` | the handler given to the constructor, [`set_handler`](BufferEventRef::set_handler) |
//! | `bufferevent_get_input`, `bufferevent_get_output` | [`input`](BufferEventRef::input), [`output`](BufferEventRef::output) |
//! | `bufferevent_free` | drop, or [`close`](BufferEventRef::close) |
//!
//! # Differences to C
//!
//! - Reading is enabled from the beginning.
//! - A descriptor is closed when its stream is, not a turn of the loop later.
//! - A handler is called from the loop only, never from inside a call that writes, flushes or
//!   triggers, and never inside itself.
//! - A socket is read and written with fewer turns of the loop than libevent 2.1 takes, and what
//!   is written in a callback is sent when it returns. What can be seen of it: up to 64 KiB may
//!   arrive before the handler is called, not 4, and `ffi::bufferevent_get_enabled` does not show
//!   `EV_WRITE` while there is nothing to send. Asking for the C object with
//!   [`as_ptr`](BufferEventRef::as_ptr) ends that: C code finds what it expects.

mod below;
mod connect;
mod descriptor;
mod direct;
mod end;
mod event;
mod filter;
mod flush;
mod foreign;
#[cfg(feature = "async")]
mod futures;
mod handler;
mod input;
mod node;
mod output;
mod pair;
mod rate_limit;
mod rest;
#[cfg(feature = "rustls")]
pub mod rustls;
mod socket;
mod state;
mod std_io;
#[cfg(feature = "openssl")]
pub mod tls;
#[cfg(any(feature = "openssl", feature = "rustls"))]
mod unread;
mod view;

pub use connect::Resolve;
pub(crate) use connect::SharedResolver;
#[cfg(feature = "http")]
pub(crate) use connect::{AddressLookup, FoundAddresses};
pub use event::{Peer, StreamError, StreamEvent};
pub use filter::{Filter, FilterFn, FilterIo, filter_fn};
pub(crate) use flush::FlushQueue;
#[cfg(feature = "async")]
pub use futures::AsyncStream;
pub use handler::{Callbacks, Handler, Unset};
pub use input::Input;
pub use node::BufferEventRef;
pub use output::Output;
pub use rate_limit::{RateLimit, RateLimitGroup, RateLimitTotals};
pub use socket::Socket;
pub use view::FlushMode;

use crate::ffi;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

bitflags::bitflags! {
    /// One or both directions of a stream.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Direction: u16 {
        /// From the peer to us.
        #[doc(alias = "EV_READ")]
        const READ = ffi::EV_READ as u16;
        /// From us to the peer.
        #[doc(alias = "EV_WRITE")]
        const WRITE = ffi::EV_WRITE as u16;
        /// Both.
        const BOTH = ffi::EV_READ as u16 | ffi::EV_WRITE as u16;
    }
}

/// A connection with a buffer in each direction (C: `struct bufferevent`): the owner. Dropping it
/// closes the connection.
///
/// ```
/// use libevent2::stream::{BufferEvent, Callbacks, StreamEvent};
/// use libevent2::EventBase;
/// use std::io::{Read, Write};
/// use std::net::TcpListener;
///
/// let listener = TcpListener::bind("127.0.0.1:0").unwrap();
/// let mut base = EventBase::new()?;
/// let stream = BufferEvent::connect(
///     &base,
///     listener.local_addr().unwrap(),
///     Callbacks::new()
///         .on_read(|stream| println!("{:?}", stream.input().take().to_vec()))
///         .on_event(|stream, event| match event {
///             StreamEvent::Connected => stream.write(b"hello"),
///             _ => {
///                 stream.close();
///                 stream.handle().exit();
///                 Ok(())
///             }
///         }),
/// )?;
///
/// std::thread::spawn(move || {
///     let (mut peer, _) = listener.accept().unwrap();
///     let mut greeting = [0; 5];
///     peer.read_exact(&mut greeting).unwrap();
///     peer.write_all(b"bye").unwrap();
/// });
/// base.run()?;
/// # Ok::<(), libevent2::Error>(())
/// ```
#[must_use = "dropping it closes the connection; `detach` gives it to the base"]
#[doc(alias = "bufferevent")]
pub struct BufferEvent(Option<Rc<BufferEventRef>>);

impl BufferEvent {
    fn new(node: Rc<BufferEventRef>) -> Self {
        BufferEvent(Some(node))
    }

    fn node(&self) -> &Rc<BufferEventRef> {
        self.0.as_ref().expect("taken only by what consumes it")
    }

    /// Gives it to its base: it lives until it is closed, most likely in its own handler, or by
    /// the end of the base.
    pub fn detach(mut self) {
        if let Some(node) = self.0.take() {
            let (base, key) = (node.handle().clone(), node.key.get());
            base.inner().adopt(key as usize, node);
        }
    }

    /// Gives it to its base, and closes it when all that is in its output was sent.
    pub fn finish(self) {
        self.close_when_flushed();
        self.detach();
    }
}

impl Deref for BufferEvent {
    type Target = BufferEventRef;

    fn deref(&self) -> &BufferEventRef {
        self.node()
    }
}

impl Drop for BufferEvent {
    fn drop(&mut self) {
        if let Some(node) = &self.0 {
            node.close();
        }
    }
}

impl fmt::Debug for BufferEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// A share in a stream; see [`BufferEventRef::share`].
#[derive(Clone)]
pub struct StreamShare(Rc<BufferEventRef>);

impl Deref for StreamShare {
    type Target = BufferEventRef;

    fn deref(&self) -> &BufferEventRef {
        &self.0
    }
}

impl fmt::Debug for StreamShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
