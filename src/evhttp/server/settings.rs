//! What clients may do and take.

use super::ServerRef;
use crate::error::{Error, Result};
use crate::{ffi, time};
use ::http::{HeaderValue, Method};
use std::cell::{Cell, RefCell};
use std::ffi::CString;
use std::ptr;
use std::time::Duration;

bitflags::bitflags! {
    /// Methods of requests.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    #[doc(alias = "evhttp_cmd_type")]
    pub struct Methods: u32 {
        /// GET.
        const GET = ffi::EVHTTP_REQ_GET as u32;
        /// POST.
        const POST = ffi::EVHTTP_REQ_POST as u32;
        /// HEAD.
        const HEAD = ffi::EVHTTP_REQ_HEAD as u32;
        /// PUT.
        const PUT = ffi::EVHTTP_REQ_PUT as u32;
        /// DELETE.
        const DELETE = ffi::EVHTTP_REQ_DELETE as u32;
        /// OPTIONS.
        const OPTIONS = ffi::EVHTTP_REQ_OPTIONS as u32;
        /// TRACE.
        const TRACE = ffi::EVHTTP_REQ_TRACE as u32;
        /// CONNECT. evhttp keeps the connection for further requests, so there is no tunnel: it is
        /// answered 501, allowed or not.
        const CONNECT = ffi::EVHTTP_REQ_CONNECT as u32;
        /// PATCH.
        const PATCH = ffi::EVHTTP_REQ_PATCH as u32;
    }
}

/// What C cannot be asked for, or keeps a pointer to.
pub(super) struct Settings {
    timeout: Cell<Duration>,
    methods: Cell<Methods>,
    content_type: RefCell<Option<CString>>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            timeout: Cell::new(Duration::from_secs(50)),
            methods: Cell::new(Methods::all()),
            content_type: RefCell::new(None),
        }
    }
}

impl ServerRef {
    /// C sets no limits.
    pub(super) fn set_defaults(&self) {
        self.set_max_headers_size(64 << 10);
        self.set_max_body_size(1 << 20);
        self.set_timeout(self.timeout());
        if !self.from_c.get() {
            use Methods as M;
            self.set_allowed_methods(M::GET | M::POST | M::HEAD | M::PUT | M::DELETE);
        }
    }

    /// The most bytes that the first line and the headers of a request may have together, for
    /// connections made from now on: more are answered 400. 64 KiB by default.
    #[doc(alias = "evhttp_set_max_headers_size")]
    pub fn set_max_headers_size(&self, bytes: usize) {
        let bytes = isize::try_from(bytes).unwrap_or(isize::MAX);
        self.with_raw(|raw| {
            // SAFETY: alive.
            unsafe { ffi::evhttp_set_max_headers_size(raw, bytes as _) }
        });
    }

    /// The most bytes that the body of a request may have, for connections made from now on: more
    /// are answered 413. The body is held in memory. 1 MiB by default.
    #[doc(alias = "evhttp_set_max_body_size")]
    pub fn set_max_body_size(&self, bytes: u64) {
        let bytes = isize::try_from(bytes).unwrap_or(isize::MAX);
        self.with_raw(|raw| {
            // SAFETY: alive.
            unsafe { ffi::evhttp_set_max_body_size(raw, bytes as _) }
        });
    }

    /// How long a client may send nothing of a request, or take nothing of an answer, before its
    /// connection is closed; for connections made from now on. At least a millisecond; 50 seconds
    /// by default. A handler may take as long as it likes.
    #[doc(alias = "evhttp_set_timeout")]
    #[doc(alias = "evhttp_set_timeout_tv")]
    pub fn set_timeout(&self, time: Duration) {
        let time = time.max(Duration::from_millis(1));
        self.settings.timeout.set(time);
        self.with_raw(|raw| {
            // SAFETY: alive; the timeval is copied.
            unsafe { ffi::evhttp_set_timeout_tv(raw, &time::timeval(time)) }
        });
    }

    /// That time.
    pub fn timeout(&self) -> Duration {
        self.settings.timeout.get()
    }

    /// The `Content-Type` of answers that have none; `None` leaves them without. By default it is
    /// C's `text/html; charset=ISO-8859-1`.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it cannot stand in a header.
    #[doc(alias = "evhttp_set_default_content_type")]
    pub fn set_default_content_type(&self, mime: Option<&str>) -> Result<()> {
        let invalid = || Error::invalid("content type", format!("{mime:?} cannot be one"));
        let valid = mime.is_none_or(|mime| HeaderValue::from_str(mime).is_ok());
        let new = mime.map(CString::new).transpose();
        let new = new.ok().filter(|_| valid).ok_or_else(invalid)?;
        let pointer = new.as_ref().map_or(ptr::null(), |mime| mime.as_ptr());
        // SAFETY: alive. C keeps the pointer: the string lives with this value, which is longer
        // than C uses it; the old one goes when C has the new one.
        self.with_raw(|raw| unsafe { ffi::evhttp_set_default_content_type(raw, pointer) });
        self.settings.content_type.replace(new);
        Ok(())
    }

    /// Which methods get to the handlers; others are answered 501. By default they are GET, POST,
    /// HEAD, PUT and DELETE. The server that has the connection decides, not a virtual host.
    #[doc(alias = "evhttp_set_allowed_methods")]
    pub fn set_allowed_methods(&self, methods: Methods) {
        self.settings.methods.set(methods);
        // C answers HEAD with a page, which would be taken for the next answer. So it lets all
        // through, but to callbacks of its own.
        let for_c = match self.from_c.get() {
            true => methods,
            false => Methods::all(),
        };
        self.with_raw(|raw| {
            // SAFETY: alive.
            unsafe { ffi::evhttp_set_allowed_methods(raw, for_c.bits() as _) }
        });
    }

    pub(super) fn allows(&self, method: &Method) -> bool {
        let method = Methods::from_name(method.as_str());
        method.is_some_and(|method| self.settings.methods.get().contains(method))
    }

    /// Whether a body that is too long is read to its end, and dropped, before it is answered 413:
    /// a client that does not read while it sends gets its answer then. For connections made
    /// from now on.
    #[doc(alias = "evhttp_set_flags")]
    #[doc(alias = "EVHTTP_SERVER_LINGERING_CLOSE")]
    pub fn set_lingering_close(&self, lingering: bool) {
        let flags = match lingering {
            true => ffi::EVHTTP_SERVER_LINGERING_CLOSE as i32,
            false => 0,
        };
        self.with_raw(|raw| {
            // SAFETY: alive.
            unsafe { ffi::evhttp_set_flags(raw, flags) };
        });
    }

    fn with_raw(&self, set: impl FnOnce(*mut ffi::evhttp)) {
        let raw = self.raw.get();
        if !raw.is_null() {
            set(raw);
        }
    }
}
