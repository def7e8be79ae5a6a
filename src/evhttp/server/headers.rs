//! Lists of headers, from C and to C.

use crate::ffi;
use ::http::{HeaderMap, HeaderName, HeaderValue};
use std::ffi::{CStr, CString};
use std::os::raw::c_char;

/// The names and values of a list, never NULL, which live as long as the list is not changed.
///
/// # Safety
/// `list` is alive and not changed while the iterator is used.
pub(in crate::evhttp) unsafe fn entries(
    list: *const ffi::evkeyvalq,
) -> impl Iterator<Item = (*const c_char, *const c_char)> {
    // SAFETY: the caller's promise.
    let mut entry = unsafe { (*list).tqh_first };
    std::iter::from_fn(move || {
        if entry.is_null() {
            return None;
        }
        // SAFETY: as above.
        unsafe {
            let found = ((*entry).key.cast_const(), (*entry).value.cast_const());
            entry = (*entry).next.tqe_next;
            Some(found)
        }
    })
}

/// The headers; `None` when there is a name or value that is none, such as `Content-Length :` or
/// one with a bare CR.
///
/// # Safety
/// `list` is alive.
pub(in crate::evhttp) unsafe fn read(list: *const ffi::evkeyvalq) -> Option<HeaderMap> {
    let mut map = HeaderMap::new();
    // SAFETY: the caller's promise; everything is copied at once.
    for (name, value) in unsafe { entries(list) } {
        // SAFETY: strings of C's that are alive.
        let (name, value) = unsafe { (CStr::from_ptr(name), CStr::from_ptr(value)) };
        let name = HeaderName::from_bytes(name.to_bytes()).ok()?;
        let value = HeaderValue::from_bytes(value.to_bytes()).ok()?;
        map.try_append(name, value).ok()?;
    }
    Some(map)
}

/// Adds the headers, with their names as most programs write them; false when memory is short.
///
/// # Safety
/// `list` is alive.
pub(in crate::evhttp) unsafe fn add(list: *mut ffi::evkeyvalq, headers: &HeaderMap) -> bool {
    headers.iter().all(|(name, value)| {
        let name = CString::new(title_case(name)).unwrap_or_default();
        let value = CString::new(value.as_bytes()).unwrap_or_default();
        // SAFETY: the caller's promise. The strings are copied; they hold no NUL, CR or LF: the
        // types see to that.
        unsafe { ffi::evhttp_add_header(list, name.as_ptr(), value.as_ptr()) == 0 }
    })
}

fn title_case(name: &HeaderName) -> String {
    let mut start = true;
    let letters = name.as_str().chars().map(|c| {
        let upper = std::mem::replace(&mut start, c == '-');
        if upper { c.to_ascii_uppercase() } else { c }
    });
    letters.collect()
}
