//! evdns as C programs use it, on a loop of ours.

use libevent2::{EventBase, LoopEnd, ffi};
use socket2::SockAddr;
use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::net::SocketAddr;
use std::os::raw::{c_char, c_int, c_void};
use std::path::Path;
use std::ptr;

/// What C tells about a name that it was asked for.
#[derive(Default)]
pub struct Told {
    pub result: Cell<Option<c_int>>,
    pub list: Cell<*mut ffi::addrinfo>,
}

/// An `evdns_base` on `base`.
pub struct Raw<'a> {
    pub base: &'a mut EventBase,
    pub dns: *mut ffi::evdns_base,
}

impl<'a> Raw<'a> {
    pub fn new(base: &'a mut EventBase, flags: c_int) -> Self {
        // SAFETY: the base is alive.
        let dns = unsafe { ffi::evdns_base_new(base.as_ptr(), flags) };
        Raw { base, dns }
    }

    /// With a name server, little patience, and the flag by which it should let the loop end.
    pub fn asking(base: &'a mut EventBase, server: SocketAddr) -> Self {
        let raw = Self::new(base, ffi::EVDNS_BASE_DISABLE_WHEN_INACTIVE as c_int);
        let address = SockAddr::from(server);
        // SAFETY: alive; the address is as long as it says.
        let code = unsafe {
            let start = address.as_ptr().cast();
            ffi::evdns_base_nameserver_sockaddr_add(raw.dns, start, address.len() as _, 0)
        };
        assert_eq!(code, 0);
        raw.option(c"timeout:", "0.05");
        raw.option(c"attempts:", "1");
        raw
    }

    pub fn option(&self, name: &CStr, value: &str) {
        let value = CString::new(value).unwrap();
        // SAFETY: alive; C strings.
        let code = unsafe { ffi::evdns_base_set_option(self.dns, name.as_ptr(), value.as_ptr()) };
        assert_eq!(code, 0, "{name:?}");
    }

    pub fn load_hosts(&self, file: &Path) {
        let file = CString::new(file.to_str().unwrap()).unwrap();
        // SAFETY: alive; a C string.
        let code = unsafe { ffi::evdns_base_load_hosts(self.dns, file.as_ptr()) };
        assert_eq!(code, 0);
    }

    /// Begins with a question for IPv4 addresses.
    pub fn ask(&self, name: &CStr, told: &Told) {
        let arg = ptr::from_ref(told).cast_mut().cast();
        // SAFETY: alive; `told` is there until C has called back.
        let request = unsafe {
            let flags = ffi::DNS_QUERY_NO_SEARCH as c_int;
            ffi::evdns_base_resolve_ipv4(self.dns, name.as_ptr(), flags, Some(on_answer), arg)
        };
        assert!(!request.is_null());
    }

    /// Begins with `evdns_getaddrinfo`.
    pub fn getaddrinfo(&self, name: &CStr, family: c_int, flags: c_int, told: &Told) {
        let hints = ffi::addrinfo {
            ai_flags: flags,
            ai_family: family,
            ai_socktype: libc::SOCK_STREAM,
            ai_protocol: libc::IPPROTO_TCP,
            ai_addrlen: 0,
            ai_addr: ptr::null_mut(),
            ai_canonname: ptr::null_mut(),
            ai_next: ptr::null_mut(),
        };
        let arg = ptr::from_ref(told).cast_mut().cast();
        // SAFETY: alive; C copies the hints, and `told` is there until it has called back.
        unsafe {
            let service = c"80".as_ptr();
            let callback = Some(on_addrinfo as unsafe extern "C" fn(_, _, _));
            ffi::evdns_getaddrinfo(self.dns, name.as_ptr(), service, &hints, callback, arg);
        }
    }

    /// Lets the loop run until C has told something.
    pub fn wait(&mut self, told: &Told) -> c_int {
        loop {
            if let Some(result) = told.result.get() {
                return result;
            }
            self.base.run_once().unwrap();
        }
    }

    /// Whether a loop with nothing but this would go on.
    pub fn holds_the_loop(&mut self) -> bool {
        self.base.run_nonblocking().unwrap() != LoopEnd::NoEvents
    }

    /// Frees it, and lets the loop run until it has nothing to do any more.
    ///
    /// # Safety
    /// As sound as `evdns_base_free` is just now.
    pub unsafe fn free(self, fail_requests: bool) {
        // SAFETY: alive, freed once; for the rest the caller answers.
        unsafe { ffi::evdns_base_free(self.dns, fail_requests.into()) };
        self.base.run().unwrap();
    }
}

unsafe extern "C" fn on_answer(
    result: c_int,
    _: c_char,
    _: c_int,
    _: c_int,
    _: *mut c_void,
    arg: *mut c_void,
) {
    // SAFETY: `arg` is what `ask` was given.
    let told = unsafe { &*arg.cast::<Told>() };
    told.result.set(Some(result));
}

unsafe extern "C" fn on_addrinfo(result: c_int, list: *mut ffi::addrinfo, arg: *mut c_void) {
    // SAFETY: `arg` is what `getaddrinfo` was given.
    let told = unsafe { &*arg.cast::<Told>() };
    told.result.set(Some(result));
    told.list.set(list);
}
