//! The parameters of a query.

use super::server::headers;
use crate::error::{Error, Result};
use crate::ffi;
use std::ffi::{CStr, CString};
use std::fmt;
use std::mem::MaybeUninit;
use std::os::raw::{c_char, c_int};

/// The parameters of a query, in their order: names as they were written, values decoded.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Query(Vec<(Vec<u8>, Vec<u8>)>);

impl Query {
    /// The first value of that name, whatever the case of its letters.
    #[doc(alias = "evhttp_find_header")]
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        let name = name.as_ref();
        let mut found = self
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value)
    }

    /// All of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (&name[..], &value[..]))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let pairs = self.iter().map(|(name, value)| (text(name), text(value)));
        f.debug_map().entries(pairs).finish()
    }
}

/// The parameters of a URI's query; none when it has no query.
///
/// ```
/// use libevent2::evhttp::parse_query;
///
/// let query = parse_query("http://example.org/?q=two+words&page=2")?;
/// assert_eq!(query.get("q"), Some(&b"two words"[..]));
/// assert!(parse_query("/?no-value").is_err());
/// # Ok::<(), libevent2::Error>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`] when it is no URI, and when a parameter has no name or no `=`.
#[doc(alias = "evhttp_parse_query")]
pub fn parse_query(uri: &str) -> Result<Query> {
    parse(uri, ffi::evhttp_parse_query)
}

/// The parameters of a query: what follows the `?` of a URI.
///
/// A value ends at an escaped NUL (`%00`).
///
/// # Errors
/// [`Error::Invalid`] when a parameter has no name or no `=`.
#[doc(alias = "evhttp_parse_query_str")]
pub fn parse_query_str(query: &str) -> Result<Query> {
    parse(query, ffi::evhttp_parse_query_str)
}

type Parse = unsafe extern "C" fn(*const c_char, *mut ffi::evkeyvalq) -> c_int;

fn parse(text: &str, parse: Parse) -> Result<Query> {
    let invalid = || Error::invalid("query", format!("{text:?} is none"));
    let text = CString::new(text).map_err(|_| invalid())?;
    let mut list = MaybeUninit::<ffi::evkeyvalq>::uninit();
    let list = list.as_mut_ptr();
    // SAFETY: C initialises the list before anything else, and leaves an empty one when it fails.
    // It stays in its place until it is cleared; the strings are copied before.
    unsafe {
        let parsed = parse(text.as_ptr(), list);
        let pairs = headers::entries(list).map(|(name, value)| {
            let copy = |text| CStr::from_ptr(text).to_bytes().to_vec();
            (copy(name), copy(value))
        });
        let query = Query(pairs.collect());
        ffi::evhttp_clear_headers(list);
        match parsed {
            0 => Ok(query),
            _ => Err(invalid()),
        }
    }
}
