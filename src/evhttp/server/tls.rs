//! TLS between evhttp and its sockets.
//!
//! C gets an OpenSSL bufferevent for each connection. It calls back from the loop only (otherwise
//! evhttp_send_reply_end writes to a request that a broken connection has freed meanwhile), and
//! that needs some care, as a call that waits can come at a time when evhttp does not expect it:
//!
//! - "there is something to read" while a request waits for its answer ends the process. So that
//!   callback is taken off as long.
//! - "all was written", which is of an earlier piece, is taken for the end of the answer. So it
//!   passes only when the output is empty.

use super::ServerRef;
use crate::base::Inner;
use crate::callback::Outcome;
use crate::error::{Error, Result};
use crate::ffi;
use crate::ffi::ssl as ffi_ssl;
use foreign_types_shared::ForeignType;
use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslContext, SslMethod};
use std::alloc::{Layout, handle_alloc_error};
use std::cell::RefCell;
use std::ffi::c_void;
use std::ptr;
use std::sync::OnceLock;

type Factory = Box<dyn FnMut() -> Result<Ssl, crate::BoxError>>;

/// What makes the TLS connections of a server.
#[derive(Default)]
pub(super) struct Tls(RefCell<Option<State>>);

struct State {
    /// Absent while it runs.
    factory: Option<Factory>,
    /// Has no certificate: every handshake fails.
    dead_end: SslContext,
}

impl Tls {
    /// Drops the factory.
    pub(super) fn forget(&self, base: &Inner) {
        let state = self.0.take();
        base.guard(|| drop(state));
    }
}

impl ServerRef {
    /// Makes every connection from now on one over TLS: `factory` is called for each, and gives
    /// what it is to be made with.
    ///
    /// When it fails, or panics, the connection is refused, and the base hears of the failure as
    /// of a callback's.
    ///
    /// ```no_run
    /// use libevent2::EventBase;
    /// use libevent2::evhttp::Server;
    /// use openssl::ssl::{Ssl, SslAcceptor, SslFiletype, SslMethod};
    ///
    /// let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    /// builder.set_certificate_chain_file("chain.pem")?;
    /// builder.set_private_key_file("key.pem", SslFiletype::PEM)?;
    /// let acceptor = builder.build();
    ///
    /// let base = EventBase::new()?;
    /// let server = Server::bind(&base, "127.0.0.1:8443")?;
    /// server.set_tls(move || Ssl::new(acceptor.context()))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Closed`] when the server is closed, [`Error::Libevent`] when OpenSSL has no memory.
    #[doc(alias = "evhttp_set_bevcb")]
    pub fn set_tls<E: Into<crate::BoxError>>(
        &self,
        mut factory: impl FnMut() -> Result<Ssl, E> + 'static,
    ) -> Result<()> {
        let raw = self.open()?;
        let Ok(dead_end) = SslContext::builder(SslMethod::tls_server()) else {
            return Err(Error::Libevent { op: "SSL_CTX_new" });
        };
        let state = State {
            factory: Some(Box::new(move || factory().map_err(Into::into))),
            dead_end: dead_end.build(),
        };
        let old = self.tls.0.replace(Some(state));
        // SAFETY: alive; this server lives as long as its C object, which makes no stream later.
        unsafe { ffi::evhttp_set_bevcb(raw, Some(new_stream), self.arg()) };
        drop(old);
        Ok(())
    }

    pub(super) fn has_tls(&self) -> bool {
        self.tls.0.borrow().is_some()
    }

    /// What a connection is made with; one that leads nowhere when the factory fails.
    fn ssl(&self) -> Ssl {
        let mut state = self.tls.0.borrow_mut();
        let taken = state.as_mut().and_then(|state| state.factory.take());
        drop(state);
        let mut made = None;
        if let Some(mut factory) = taken {
            let inner = self.base.inner();
            inner.guard(|| -> Outcome {
                made = Some(factory()?);
                Ok(())
            });
            // It may have been replaced meanwhile.
            let mut state = self.tls.0.borrow_mut();
            let place = state.as_mut().map(|state| &mut state.factory);
            let old = match place {
                Some(place @ None) => place.replace(factory),
                _ => Some(factory),
            };
            drop(state);
            inner.guard(|| drop(old));
        }
        let dead_end = || {
            let state = self.tls.0.borrow();
            Ssl::new(&state.as_ref()?.dead_end).ok()
        };
        // As everywhere, a program without memory ends: anything else would be a connection
        // without TLS.
        made.or_else(dead_end)
            .unwrap_or_else(|| handle_alloc_error(Layout::new::<Ssl>()))
    }

    /// To be called when a request waits for its answer, and when C has been told to send.
    ///
    /// # Safety
    /// `stream` is alive, and that of a connection of this server's.
    pub(super) unsafe fn tame(&self, stream: *mut ffi::bufferevent) {
        if !self.has_tls() {
            return;
        }
        let (mut write, mut event) = (None, None);
        let mut arg = ptr::null_mut();
        // SAFETY: alive. The callbacks are evhttp's, for which ours stands.
        unsafe {
            ffi::bufferevent_getcb(stream, ptr::null_mut(), &mut write, &mut event, &mut arg);
            let ours: Callback = on_written;
            if let Some(theirs) = write.filter(|&theirs| !ptr::fn_addr_eq(theirs, ours)) {
                WRITTEN.get_or_init(|| theirs);
            }
            ffi::bufferevent_setcb(stream, None, Some(ours), event, arg);
        }
    }

    /// Says to the client that nothing follows.
    ///
    /// # Safety
    /// `connection` is alive, and all was sent on it.
    pub(super) unsafe fn say_goodbye(&self, connection: *mut ffi::evhttp_connection) {
        if !self.has_tls() {
            return;
        }
        // SAFETY: the caller's promise. NULL for a connection that was made before there was TLS.
        unsafe {
            let stream = ffi::evhttp_connection_get_bufferevent(connection);
            let ssl = ffi_ssl::bufferevent_openssl_get_ssl(stream);
            if !ssl.is_null() && openssl_sys::SSL_is_init_finished(ssl) == 1 {
                openssl_sys::SSL_shutdown(ssl);
            }
        }
        // What it may have said of a client that is gone is nobody's business.
        drop(ErrorStack::get());
    }
}

type Callback = unsafe extern "C" fn(*mut ffi::bufferevent, *mut c_void);

/// What evhttp has called when something was written: one function for all connections.
static WRITTEN: OnceLock<Callback> = OnceLock::new();

/// Tells evhttp that all was written, if so.
unsafe extern "C" fn on_written(stream: *mut ffi::bufferevent, arg: *mut c_void) {
    // SAFETY: called by the stream, which is alive, with evhttp's own argument.
    unsafe {
        let left = ffi::evbuffer_get_length(ffi::bufferevent_get_output(stream));
        if let Some(theirs) = WRITTEN.get().filter(|_| left == 0) {
            theirs(stream, arg);
        }
    }
}

/// Makes the stream of a new connection.
unsafe extern "C" fn new_stream(
    base: *mut ffi::event_base,
    arg: *mut c_void,
) -> *mut ffi::bufferevent {
    // SAFETY: C calls until evhttp_free.
    let server = unsafe { crate::callback::retain::<ServerRef>(arg) };
    let ssl = server.ssl();
    crate::stream::tls::set_modes(&ssl);
    let options = ffi::BEV_OPT_CLOSE_ON_FREE | ffi::BEV_OPT_DEFER_CALLBACKS;
    let state = ffi_ssl::BUFFEREVENT_SSL_ACCEPTING;
    // SAFETY: C hands in its live base, and takes the stream over, which takes the connection.
    let stream = unsafe {
        let raw = ssl.as_ptr();
        std::mem::forget(ssl);
        ffi_ssl::bufferevent_openssl_socket_new(base, -1, raw, state, options as _)
    };
    if stream.is_null() {
        handle_alloc_error(Layout::new::<[usize; 64]>());
    }
    stream
}
