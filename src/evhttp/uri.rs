//! URIs, taken apart and put together.

use crate::error::{Error, Result};
use crate::ffi;
use std::alloc::{Layout, handle_alloc_error};
use std::ffi::{CStr, CString};
use std::fmt;
use std::os::raw::{c_char, c_int, c_uint};
use std::ptr::{self, NonNull};
use std::str::FromStr;

bitflags::bitflags! {
    /// How a [`Uri`] is taken apart.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct UriFlags: u32 {
        /// Path, query and fragment may have what RFC 3986 allows there in escaped form only, and
        /// escapes that are none. Scheme, host and port are as strict as ever.
        #[doc(alias = "EVHTTP_URI_NONCONFORMANT")]
        const NONCONFORMANT = ffi::EVHTTP_URI_NONCONFORMANT;
        /// [`Uri::host`] is without the brackets of an IPv6 address.
        #[cfg(libevent_2_2)]
        #[doc(alias = "EVHTTP_URI_HOST_STRIP_BRACKETS")]
        const HOST_STRIP_BRACKETS = ffi::EVHTTP_URI_HOST_STRIP_BRACKETS;
        /// The host may be a Unix socket, as in `http://unix:/run/control.sock:/path`.
        #[cfg(libevent_2_2)]
        #[doc(alias = "EVHTTP_URI_UNIX_SOCKET")]
        const UNIX_SOCKET = ffi::EVHTTP_URI_UNIX_SOCKET;
    }
}

/// A URI, or a part of one.
///
/// Nothing is decoded: [`uridecode`](super::uridecode) and
/// [`parse_query_str`](super::parse_query_str) do that with a part.
///
/// ```
/// use libevent2::evhttp::Uri;
///
/// let mut uri = Uri::parse("http://user@example.org:8080/a%20b?q=1#end")?;
/// assert_eq!(uri.host(), Some("example.org"));
/// assert_eq!(uri.port(), Some(8080));
/// assert_eq!(uri.path(), Some("/a%20b"));
/// assert_eq!(uri.query(), Some("q=1"));
///
/// uri.set_port(None).set_userinfo(None)?.set_fragment(None)?;
/// assert_eq!(uri.join()?, "http://example.org/a%20b?q=1");
/// # Ok::<(), libevent2::Error>(())
/// ```
#[doc(alias = "evhttp_uri")]
#[doc(alias = "evhttp_uri_free")]
pub struct Uri {
    raw: NonNull<ffi::evhttp_uri>,
    flags: UriFlags,
}

// SAFETY: plain memory of its own, which is changed through `&mut` only.
unsafe impl Send for Uri {}
// SAFETY: as above.
unsafe impl Sync for Uri {}

impl Uri {
    /// One without any part. It allocates like `String`: a program without memory ends.
    #[doc(alias = "evhttp_uri_new")]
    pub fn new() -> Self {
        // SAFETY: no precondition.
        match NonNull::new(unsafe { ffi::evhttp_uri_new() }) {
            Some(raw) => Uri {
                raw,
                flags: UriFlags::empty(),
            },
            None => handle_alloc_error(Layout::new::<[usize; 8]>()),
        }
    }

    /// Takes a URI apart, or a reference that is relative to one.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is none by RFC 3986.
    #[doc(alias = "evhttp_uri_parse")]
    pub fn parse(text: &str) -> Result<Self> {
        Self::parse_with(text, UriFlags::empty())
    }

    /// As [`parse`](Self::parse), by the rules that the flags say.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is none.
    #[doc(alias = "evhttp_uri_parse_with_flags")]
    pub fn parse_with(text: &str, flags: UriFlags) -> Result<Self> {
        let invalid = || Error::invalid("uri", format!("{text:?} is none"));
        let text = CString::new(text).map_err(|_| invalid())?;
        // SAFETY: a string, which is copied.
        let raw = unsafe { ffi::evhttp_uri_parse_with_flags(text.as_ptr(), flags.bits()) };
        let raw = NonNull::new(raw).ok_or_else(invalid)?;
        Ok(Uri { raw, flags })
    }

    /// The C object, for calls of `ffi`; it lives as long as this value. What is put into it must
    /// be UTF-8.
    pub fn as_ptr(&self) -> *mut ffi::evhttp_uri {
        self.raw.as_ptr()
    }

    // --- its parts --------------------------------------------------------------------------

    /// What is before the first `:`, such as `http`.
    #[doc(alias = "evhttp_uri_get_scheme")]
    pub fn scheme(&self) -> Option<&str> {
        self.part(ffi::evhttp_uri_get_scheme)
    }

    /// What is before the `@`.
    #[doc(alias = "evhttp_uri_get_userinfo")]
    pub fn userinfo(&self) -> Option<&str> {
        self.part(ffi::evhttp_uri_get_userinfo)
    }

    /// The host: a name, or an address; one of IPv6 is in brackets. It may be empty.
    #[doc(alias = "evhttp_uri_get_host")]
    pub fn host(&self) -> Option<&str> {
        self.part(ffi::evhttp_uri_get_host)
    }

    /// The port, if it says one.
    #[doc(alias = "evhttp_uri_get_port")]
    pub fn port(&self) -> Option<u16> {
        // SAFETY: alive.
        let port = unsafe { ffi::evhttp_uri_get_port(self.as_ptr()) };
        u16::try_from(port).ok()
    }

    /// The path, which is empty in `http://host`; `None` only when it was never set.
    #[doc(alias = "evhttp_uri_get_path")]
    pub fn path(&self) -> Option<&str> {
        self.part(ffi::evhttp_uri_get_path)
    }

    /// What is between the first `?` and the `#`.
    #[doc(alias = "evhttp_uri_get_query")]
    pub fn query(&self) -> Option<&str> {
        self.part(ffi::evhttp_uri_get_query)
    }

    /// What follows the `#`.
    #[doc(alias = "evhttp_uri_get_fragment")]
    pub fn fragment(&self) -> Option<&str> {
        self.part(ffi::evhttp_uri_get_fragment)
    }

    /// The path of the Unix socket, with [`UriFlags::UNIX_SOCKET`].
    #[cfg(libevent_2_2)]
    #[doc(alias = "evhttp_uri_get_unixsocket")]
    pub fn unix_socket(&self) -> Option<&str> {
        self.part(ffi::evhttp_uri_get_unixsocket)
    }

    fn part(&self, get: Get) -> Option<&str> {
        // SAFETY: alive; the string lives until the part is set, which takes `&mut self`.
        unsafe {
            let text = get(self.as_ptr());
            let text = (!text.is_null()).then(|| CStr::from_ptr(text))?;
            text.to_str().ok()
        }
    }

    // --- and to change them -----------------------------------------------------------------

    /// By which rules parts are taken from now on.
    #[doc(alias = "evhttp_uri_set_flags")]
    pub fn set_flags(&mut self, flags: UriFlags) -> &mut Self {
        self.flags = flags;
        // SAFETY: alive.
        unsafe { ffi::evhttp_uri_set_flags(self.as_ptr(), flags.bits() as c_uint) };
        self
    }

    /// Sets or removes the scheme.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is none; the old one stays. So it is with the other parts.
    #[doc(alias = "evhttp_uri_set_scheme")]
    pub fn set_scheme<'a>(&mut self, scheme: impl Into<Option<&'a str>>) -> Result<&mut Self> {
        self.set("scheme", scheme.into(), ffi::evhttp_uri_set_scheme)
    }

    /// Sets or removes what is before the `@`.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it cannot be there.
    #[doc(alias = "evhttp_uri_set_userinfo")]
    pub fn set_userinfo<'a>(&mut self, userinfo: impl Into<Option<&'a str>>) -> Result<&mut Self> {
        self.set("userinfo", userinfo.into(), ffi::evhttp_uri_set_userinfo)
    }

    /// Sets or removes the host.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is no name and no address in brackets.
    #[doc(alias = "evhttp_uri_set_host")]
    pub fn set_host<'a>(&mut self, host: impl Into<Option<&'a str>>) -> Result<&mut Self> {
        self.set("host", host.into(), ffi::evhttp_uri_set_host)
    }

    /// Sets or removes the port.
    #[doc(alias = "evhttp_uri_set_port")]
    pub fn set_port(&mut self, port: impl Into<Option<u16>>) -> &mut Self {
        let port = port.into().map_or(-1, c_int::from);
        // SAFETY: alive. All of these are ports to C.
        unsafe { ffi::evhttp_uri_set_port(self.as_ptr(), port) };
        self
    }

    /// Sets or removes the path.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it has a `?`, a `#`, or what has to be escaped.
    #[doc(alias = "evhttp_uri_set_path")]
    pub fn set_path<'a>(&mut self, path: impl Into<Option<&'a str>>) -> Result<&mut Self> {
        self.set("path", path.into(), ffi::evhttp_uri_set_path)
    }

    /// Sets or removes the query.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it has a `#`, or what has to be escaped.
    #[doc(alias = "evhttp_uri_set_query")]
    pub fn set_query<'a>(&mut self, query: impl Into<Option<&'a str>>) -> Result<&mut Self> {
        self.set("query", query.into(), ffi::evhttp_uri_set_query)
    }

    /// Sets or removes what follows the `#`.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it has a `#`, or what has to be escaped.
    #[doc(alias = "evhttp_uri_set_fragment")]
    pub fn set_fragment<'a>(&mut self, fragment: impl Into<Option<&'a str>>) -> Result<&mut Self> {
        self.set("fragment", fragment.into(), ffi::evhttp_uri_set_fragment)
    }

    /// Sets or removes the path of the Unix socket.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is none.
    #[cfg(libevent_2_2)]
    #[doc(alias = "evhttp_uri_set_unixsocket")]
    pub fn set_unix_socket<'a>(&mut self, path: impl Into<Option<&'a str>>) -> Result<&mut Self> {
        self.set("unix socket", path.into(), ffi::evhttp_uri_set_unixsocket)
    }

    fn set(&mut self, what: &'static str, text: Option<&str>, set: Set) -> Result<&mut Self> {
        let invalid = || Error::invalid(what, format!("{text:?} cannot be one"));
        let value = text.map(CString::new).transpose().map_err(|_| invalid())?;
        let value = value.as_ref().map_or(ptr::null(), |value| value.as_ptr());
        // SAFETY: alive; `value` is NULL or a string, which is copied. What C gave out before was
        // borrowed from `self`, and is so no more.
        match unsafe { set(self.as_ptr(), value) } {
            0 => Ok(self),
            _ => Err(invalid()),
        }
    }

    // --- as a whole -------------------------------------------------------------------------

    /// The URI as text.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is a host, and a path that does not begin with `/`.
    #[doc(alias = "evhttp_uri_join")]
    pub fn join(&self) -> Result<String> {
        /// For what stands between the parts, brackets, the port and the NUL.
        const BETWEEN: usize = 64;
        let parts = [
            self.scheme(),
            self.userinfo(),
            self.host(),
            self.path(),
            self.query(),
            self.fragment(),
            #[cfg(libevent_2_2)]
            self.unix_socket(),
        ];
        let length: usize = parts.iter().flatten().map(|part| part.len()).sum();
        let mut text = vec![0_u8; length + BETWEEN];
        // SAFETY: alive; C writes a string of no more than so many bytes.
        let joined =
            unsafe { ffi::evhttp_uri_join(self.as_ptr(), text.as_mut_ptr().cast(), text.len()) };
        if joined.is_null() {
            let why = "a path behind a host has to begin with /";
            return Err(Error::invalid("uri", why));
        }
        text.truncate(text.iter().position(|&byte| byte == 0).unwrap_or(0));
        String::from_utf8(text).map_err(|_| Error::invalid("uri", "it is not UTF-8"))
    }
}

type Get = unsafe extern "C" fn(*const ffi::evhttp_uri) -> *const c_char;
type Set = unsafe extern "C" fn(*mut ffi::evhttp_uri, *const c_char) -> c_int;

impl Drop for Uri {
    fn drop(&mut self) {
        // SAFETY: ours, freed once.
        unsafe { ffi::evhttp_uri_free(self.as_ptr()) };
    }
}

impl Default for Uri {
    fn default() -> Self {
        Uri::new()
    }
}

impl Clone for Uri {
    fn clone(&self) -> Self {
        let mut copy = Uri::new();
        copy.set_flags(self.flags).set_port(self.port());
        // C takes an IPv6 address in brackets only, also where it has stripped them.
        let address = self
            .host()
            .filter(|host| host.contains(':') && !host.starts_with('['));
        let address = address.map(|host| format!("[{host}]"));
        let host = address.as_deref().or(self.host());
        let parts: [(Option<&str>, Set); 6] = [
            (self.scheme(), ffi::evhttp_uri_set_scheme),
            (self.userinfo(), ffi::evhttp_uri_set_userinfo),
            (host, ffi::evhttp_uri_set_host),
            (self.path(), ffi::evhttp_uri_set_path),
            (self.query(), ffi::evhttp_uri_set_query),
            (self.fragment(), ffi::evhttp_uri_set_fragment),
        ];
        for (text, set) in parts {
            let copied = copy.set("part", text, set).map(drop);
            debug_assert!(copied.is_ok(), "it was taken before: {text:?}");
        }
        #[cfg(libevent_2_2)]
        let _ = copy.set_unix_socket(self.unix_socket());
        copy
    }
}

impl FromStr for Uri {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Uri::parse(text)
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.join() {
            Ok(text) => write!(f, "Uri({text:?})"),
            Err(_) => f.write_str("Uri(in parts)"),
        }
    }
}
