//! Which libevent this is.

use crate::ffi;
use crate::sync::lock;
use std::ffi::CStr;
use std::sync::Mutex;

/// The version of the libevent that runs, such as `"2.1.12-stable"`.
#[doc(alias = "event_get_version")]
pub fn version() -> &'static str {
    // SAFETY: the string is a literal of libevent's.
    let version = unsafe { CStr::from_ptr(ffi::event_get_version()) };
    version.to_str().unwrap_or("")
}

/// The version of the libevent that runs, as a number: `0x02010c00` is 2.1.12.
#[doc(alias = "event_get_version_number")]
pub fn version_number() -> u32 {
    // SAFETY: no preconditions.
    unsafe { ffi::event_get_version_number() }
}

/// The back ends that this libevent was built with, the best first.
#[doc(alias = "event_get_supported_methods")]
pub fn supported_methods() -> Vec<String> {
    // C frees its previous answer at each call.
    static LOCK: Mutex<()> = Mutex::new(());
    let _one_at_a_time = lock(&LOCK);
    let mut methods = Vec::new();
    // SAFETY: a NULL-terminated array of C strings that lives until the next call, which the
    // mutex keeps away while they are copied.
    unsafe {
        let mut next = ffi::event_get_supported_methods();
        while !next.is_null() && !(*next).is_null() {
            methods.push(CStr::from_ptr(*next).to_string_lossy().into_owned());
            next = next.add(1);
        }
    }
    methods
}
