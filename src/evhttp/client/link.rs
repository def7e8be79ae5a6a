//! The C object of one connection: made for each attempt to connect, never used for another one.
//!
//! C's own way to connect again has traps: its timer for a retry fires into a request that is under
//! way (assertion in `evhttp_request_dispatch`), and a mark of an idle connection that got bytes
//! survives into the next connection (assertion in `evhttp_error_cb`). A fresh object has neither.

use super::ConnectionRef;
use super::settings::Settings;
use crate::error::{Error, Result};
use crate::{ffi, util};
use std::ffi::{CString, c_void};
use std::io;
use std::net::SocketAddr;
use std::ptr;
use std::time::{Duration, Instant};

/// Where the bufferevent of a connection comes from.
pub(super) enum Streams {
    /// C makes one: TCP.
    Plain,
    /// The program does.
    Given(Box<Maker>),
    #[cfg(feature = "openssl")]
    Tls {
        connector: crate::stream::tls::Connector,
        allow_dirty_shutdown: bool,
    },
}

pub(super) type Maker = dyn FnMut(*mut ffi::event_base) -> *mut ffi::bufferevent;

/// A connection of C's. It has no request when it is dropped, or one that nobody asks about.
pub(super) struct Link {
    raw: *mut ffi::evhttp_connection,
    /// Tells when C begins to write.
    watch: *mut ffi::evbuffer_cb_entry,
    pub(super) address: SocketAddr,
    began: Instant,
    connect_timeout: Duration,
    over_tls: bool,
}

impl Link {
    /// One that is not connected.
    ///
    /// # Safety
    /// `base` is alive, `node` is what owns the result, and drops it before the base goes.
    pub(super) unsafe fn new(
        base: *mut ffi::event_base,
        node: *const ConnectionRef,
        streams: &mut Streams,
        host: &str,
        address: SocketAddr,
        settings: &Settings,
    ) -> Result<Self> {
        let over_tls = !matches!(streams, Streams::Plain | Streams::Given(_));
        let text = CString::new(numeric(&address)).unwrap_or_default();
        // SAFETY: the base is alive; the connection takes the stream over.
        let stream = unsafe { streams.make(base, host)? };
        // SAFETY: as above. Without a resolver C does not look up what is a number.
        let raw = unsafe {
            ffi::evhttp_connection_base_bufferevent_new(
                base,
                ptr::null_mut(),
                stream,
                text.as_ptr(),
                address.port(),
            )
        };
        if raw.is_null() {
            // C leaves the stream, or has freed it: which of the two cannot be known.
            return Err(Error::Libevent {
                op: "evhttp_connection_base_bufferevent_new",
            });
        }
        let mut link = Link {
            raw,
            watch: ptr::null_mut(),
            address,
            began: Instant::now(),
            connect_timeout: settings.connect_timeout(),
            over_tls,
        };
        let arg = node.cast_mut().cast::<c_void>();
        // SAFETY: alive and new. `arg` outlives the callbacks, which end when the link is dropped.
        unsafe {
            settings.apply(raw, &address);
            ffi::evhttp_connection_set_closecb(raw, Some(super::node::on_closed), arg);
            link.watch = ffi::evbuffer_add_cb(link.output(), Some(super::node::on_output), arg);
            if link.watch.is_null() {
                return Err(Error::Libevent {
                    op: "evbuffer_add_cb",
                });
            }
        }
        Ok(link)
    }

    pub(super) fn raw(&self) -> *mut ffi::evhttp_connection {
        self.raw
    }

    /// Whether there is input that no request has asked for.
    pub(super) fn has_leftover(&self) -> bool {
        // SAFETY: alive, with its stream.
        unsafe {
            let stream = ffi::evhttp_connection_get_bufferevent(self.raw);
            ffi::evbuffer_get_length(ffi::bufferevent_get_input(stream)) > 0
        }
    }

    fn output(&self) -> *mut ffi::evbuffer {
        // SAFETY: alive, with its stream.
        unsafe { ffi::bufferevent_get_output(ffi::evhttp_connection_get_bufferevent(self.raw)) }
    }

    pub(super) fn set_timeout(&mut self, settings: &Settings) {
        self.connect_timeout = settings.connect_timeout();
        // SAFETY: alive.
        unsafe { settings.apply_timeout(self.raw) };
    }

    /// Sets the clock for an attempt to connect; `late` is how old the loop's time is, from which C
    /// counts.
    pub(super) fn begin(&mut self, late: Duration) {
        let now = Instant::now();
        self.began = now.checked_sub(late).unwrap_or(now);
    }

    /// Why there is no connection, of which C tells neither in which way nor why: an attempt that
    /// took all its time has timed out, and else C gives up without an error for refusal only.
    pub(super) fn not_connected(&self) -> super::ClientError {
        let address = self.address;
        // libevent's clock is a coarse one.
        let early = (self.connect_timeout / 2).min(Duration::from_millis(20));
        if self.began.elapsed() + early >= self.connect_timeout {
            return super::ClientError::ConnectTimedOut { address };
        }
        let source = io::Error::from_raw_os_error(libc::ECONNREFUSED);
        super::ClientError::Connect { address, source }
    }

    /// Why TLS has failed, if it has.
    pub(super) fn tls_failure(&self) -> Option<String> {
        #[cfg(feature = "openssl")]
        if self.over_tls {
            // SAFETY: alive, and over TLS.
            return unsafe {
                let stream = ffi::evhttp_connection_get_bufferevent(self.raw);
                crate::stream::tls::for_c::failure(stream)
            };
        }
        let _ = self.over_tls;
        None
    }

    /// The address of the peer, once it is connected.
    pub(super) fn peer_addr(&self) -> Option<SocketAddr> {
        // SAFETY: alive. What C returns is part of its stream, and as large as an IPv6 address
        // (the header promises more).
        util::written_addr(|out, room| unsafe {
            let address = ffi::evhttp_connection_get_addr(self.raw);
            let size = size_of::<libc::sockaddr_in6>();
            if address.is_null() || size > room as usize {
                return -1;
            }
            ptr::copy_nonoverlapping(address.cast::<u8>(), out.cast::<u8>(), size);
            size as _
        })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // SAFETY: ours, freed once, under no frame of its own; without callbacks it calls nobody.
        // Its requests are ours: C only forgets them. Its stream may live on until C's deferred
        // callbacks have run.
        unsafe {
            if !self.watch.is_null() {
                ffi::evbuffer_remove_cb_entry(self.output(), self.watch);
            }
            ffi::evhttp_connection_set_closecb(self.raw, None, ptr::null_mut());
            ffi::evhttp_connection_free(self.raw);
        }
    }
}

impl Streams {
    /// The port that a `Host` header does not name.
    pub(super) fn default_port(&self) -> u16 {
        match self {
            Streams::Plain | Streams::Given(_) => 80,
            #[cfg(feature = "openssl")]
            Streams::Tls { .. } => 443,
        }
    }

    /// NULL when C is to make it.
    ///
    /// # Safety
    /// `base` is alive.
    unsafe fn make(
        &mut self,
        base: *mut ffi::event_base,
        host: &str,
    ) -> Result<*mut ffi::bufferevent> {
        let (stream, op) = match self {
            Streams::Plain => return Ok(ptr::null_mut()),
            Streams::Given(make) => (make(base), "a stream"),
            #[cfg(feature = "openssl")]
            Streams::Tls {
                connector,
                allow_dirty_shutdown,
            } => {
                let ssl = connector.ssl(host)?;
                // SAFETY: the caller's promise.
                let stream =
                    unsafe { crate::stream::tls::for_c::client(base, ssl, *allow_dirty_shutdown) };
                (stream, "bufferevent_openssl_socket_new")
            }
        };
        let _ = host;
        match stream.is_null() {
            true => Err(Error::Libevent { op }),
            false => Ok(stream),
        }
    }
}

/// The text of an address as getaddrinfo reads it without a lookup.
fn numeric(address: &SocketAddr) -> String {
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
        other => other.ip().to_string(),
    }
}
