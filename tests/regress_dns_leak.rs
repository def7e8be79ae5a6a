//! libevent's own regress cases for DNS (test/regress_dns.c): whatever becomes of a lookup, no
//! memory of libevent's is left. The whole list, and what differs, is in docs/regress.md.
//!
//! Each is in a process of its own: the allocator is the process's, and at the end libevent is
//! told to give back all that it has.

#![cfg(unix)]

mod common;
mod dns_common;
#[path = "common/regress.rs"]
mod regress;
#[path = "common/regress_dns.rs"]
mod regress_dns;

use common::bounded;
use libevent2::dns::{Cause, Config, Lookup, Resolver};
use libevent2::{EventBase, Kind, enable_debug_mode, ffi};
use regress::alone;
use regress_dns::Got;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::raw::c_void;
use std::sync::atomic::{AtomicIsize, Ordering};

/// The blocks that libevent has.
static CHUNKS: AtomicIsize = AtomicIsize::new(0);

unsafe extern "C" fn counting_malloc(length: usize) -> *mut c_void {
    CHUNKS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: no preconditions.
    unsafe { libc::malloc(length) }
}

unsafe extern "C" fn counting_realloc(memory: *mut c_void, length: usize) -> *mut c_void {
    assert_ne!(length, 0, "libevent frees by free");
    if memory.is_null() {
        CHUNKS.fetch_add(1, Ordering::Relaxed);
    }
    // SAFETY: NULL, or from one of these functions.
    unsafe { libc::realloc(memory, length) }
}

unsafe extern "C" fn counting_free(memory: *mut c_void) {
    CHUNKS.fetch_sub(1, Ordering::Relaxed);
    // SAFETY: from one of these functions.
    unsafe { libc::free(memory) }
}

/// A lookup that nobody has been asked about yet.
struct Begun {
    base: EventBase,
    resolver: Resolver,
    lookup: Lookup,
    got: Got<Ipv4Addr>,
}

/// Runs the case in a process of its own, which has no block left then.
#[track_caller]
fn leaves_nothing(name: &str, case: impl FnOnce(Begun)) {
    alone(name, || {
        // SAFETY: the first call of libevent's in this process; the three belong together.
        unsafe {
            ffi::event_set_mem_functions(
                Some(counting_malloc),
                Some(counting_realloc),
                Some(counting_free),
            );
        }
        enable_debug_mode().unwrap();
        let base = EventBase::new().unwrap();
        // It never answers.
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let config = Config::with_servers([server.local_addr().unwrap()]);
        let resolver = Resolver::new(&base, config).unwrap();
        resolver.suspend().unwrap();
        let got = Got::new();
        let lookup = resolver.lookup_ipv4("example.com", got.note()).unwrap();
        assert!(got.is_empty());
        assert!(CHUNKS.load(Ordering::Relaxed) > 0);
        case(Begun {
            base,
            resolver,
            lookup,
            got,
        });
        // SAFETY: everything of libevent's is gone, and nothing comes after this.
        unsafe { ffi::libevent_global_shutdown() };
        assert_eq!(CHUNKS.load(Ordering::Relaxed), 0);
    });
}

/// Resumes, and ends it all: the resolver before the base, of which lookups hear, or after it,
/// when nobody is told anything any more.
fn resume(begun: Begun, cancel: bool, tell: bool) {
    let lookup = match cancel {
        true => {
            begun.lookup.cancel();
            None
        }
        false => Some(begun.lookup),
    };
    let (mut base, resolver, got) = (begun.base, begun.resolver, begun.got);
    resolver.resume().unwrap();
    base.run_nonblocking().unwrap();
    assert_eq!(got.is_empty(), !cancel);
    if tell {
        drop(resolver);
        base.run_nonblocking().unwrap();
        assert_eq!(base.stats().live_total(), 0);
        drop(base);
    } else {
        drop(base);
        assert!(resolver.is_closed());
        drop(resolver);
    }
    assert!(lookup.is_none_or(|lookup| lookup.is_done()));
    assert!(got.is_dropped());
    match (cancel, tell) {
        (true, _) => assert_eq!(got.cause(), Cause::Cancelled),
        (false, true) => assert_eq!(got.cause(), Cause::Closed),
        (false, false) => assert!(got.is_empty()),
    }
}

#[test]
fn leak_shutdown() {
    let _watchdog = bounded();
    leaves_nothing("leak_shutdown", |begun| {
        let mut base = begun.base;
        drop(begun.resolver);
        assert!(begun.got.is_empty());
        base.run_nonblocking().unwrap();
        assert_eq!(begun.got.cause(), Cause::Closed);
        drop(base);
        assert!(begun.lookup.is_done());
    });
}

#[test]
fn leak_cancel() {
    let _watchdog = bounded();
    leaves_nothing("leak_cancel", |mut begun| {
        assert_eq!(begun.base.stats().live(Kind::Lookup), 1);
        begun.lookup.cancel();
        begun.base.run_nonblocking().unwrap();
        assert_eq!(begun.base.stats().live(Kind::Lookup), 0);
        assert_eq!(begun.got.cause(), Cause::Cancelled);
        drop(begun.resolver);
        drop(begun.base);
    });
}

#[test]
fn leak_resume() {
    let _watchdog = bounded();
    leaves_nothing("leak_resume", |begun| resume(begun, false, false));
}

#[test]
fn leak_cancel_and_resume() {
    let _watchdog = bounded();
    let name = "leak_cancel_and_resume";
    leaves_nothing(name, |begun| resume(begun, true, false));
}

#[test]
fn leak_resume_send_err() {
    let _watchdog = bounded();
    leaves_nothing("leak_resume_send_err", |begun| resume(begun, false, true));
}

#[test]
fn leak_cancel_and_resume_send_err() {
    let _watchdog = bounded();
    let name = "leak_cancel_and_resume_send_err";
    leaves_nothing(name, |begun| resume(begun, true, true));
}
