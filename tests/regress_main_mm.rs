//! libevent's own regress case `mm_functions` (test/regress.c, group `main`): an allocator that
//! belongs to the program. It is of the whole process, so it has a test binary of its own.

#![cfg(unix)]

mod common;

use common::{Bump, Count, bounded, count};
use libevent2::util::{AddrHints, MonotonicFlags, MonotonicTimer, getaddrinfo, parse_socket_addr};
use libevent2::{CommonTimeout, EventConfig, LoopEnd, Timer, UserEvent, ffi, supported_methods};
use std::os::raw::c_void;
use std::rc::Rc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::Duration;

const GUARD: &[u8; 16] = b"{[<guardedram>]}";

/// The blocks that libevent has.
static BLOCKS: AtomicIsize = AtomicIsize::new(0);

unsafe extern "C" fn guarded_malloc(length: usize) -> *mut c_void {
    // SAFETY: sixteen bytes more than asked for, which hold the guard.
    unsafe {
        let block = libc::malloc(length + GUARD.len()).cast::<u8>();
        assert!(!block.is_null());
        block.copy_from_nonoverlapping(GUARD.as_ptr(), GUARD.len());
        BLOCKS.fetch_add(1, Ordering::Relaxed);
        block.add(GUARD.len()).cast()
    }
}

unsafe extern "C" fn guarded_realloc(memory: *mut c_void, length: usize) -> *mut c_void {
    // SAFETY: NULL, or from `guarded_malloc`, as the guard shows.
    unsafe {
        if memory.is_null() {
            return guarded_malloc(length);
        }
        assert!(is_guarded(memory), "realloc of foreign memory");
        let block = memory.cast::<u8>().sub(GUARD.len());
        let block = libc::realloc(block.cast(), length + GUARD.len()).cast::<u8>();
        assert!(!block.is_null());
        block.add(GUARD.len()).cast()
    }
}

unsafe extern "C" fn guarded_free(memory: *mut c_void) {
    // SAFETY: from `guarded_malloc`, as the guard shows. Unlike libc's, it never gets NULL.
    unsafe {
        assert!(is_guarded(memory), "free of foreign memory");
        BLOCKS.fetch_sub(1, Ordering::Relaxed);
        libc::free(memory.cast::<u8>().sub(GUARD.len()).cast());
    }
}

/// # Safety
/// Sixteen bytes before `memory` are readable.
unsafe fn is_guarded(memory: *mut c_void) -> bool {
    // SAFETY: says the caller.
    unsafe {
        let guard = memory.cast::<u8>().sub(GUARD.len());
        std::slice::from_raw_parts(guard, GUARD.len()) == GUARD
    }
}

fn bump(count: &Count) {
    count.bump();
}

#[test]
fn mm_functions() {
    let _watchdog = bounded();
    // SAFETY: the first call of libevent's in this process, which has no other test; the three
    // belong together.
    unsafe {
        ffi::event_set_mem_functions(
            Some(guarded_malloc),
            Some(guarded_realloc),
            Some(guarded_free),
        );
    }
    let mut base = EventConfig::new().avoid_method("Nonesuch").build().unwrap();
    // SAFETY: libevent's allocations begin sixteen bytes before what it got.
    assert!(unsafe { is_guarded(base.as_ptr().cast()) });
    let with_a_base = BLOCKS.load(Ordering::Relaxed);
    assert!(with_a_base > 0);

    // The bindings mix up no allocators either.
    let calls = count();
    let seen = Rc::clone(&calls);
    let event = UserEvent::new(&base, move |_| bump(&seen)).unwrap();
    event.trigger().unwrap();
    let soon = CommonTimeout::new(&base, Duration::from_millis(1)).unwrap();
    for _ in 0..100 {
        let seen = Rc::clone(&calls);
        let timer = Timer::after(&base, &soon, move |_| bump(&seen)).unwrap();
        timer.detach();
    }
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(calls.get(), 101);
    assert!(!supported_methods().is_empty());
    assert!(base.dump().is_ok());
    let mut clock = MonotonicTimer::new(MonotonicFlags::empty()).unwrap();
    clock.now();
    assert!(parse_socket_addr("[::1]:80").is_ok());
    for service in ["80", "81"] {
        let found = getaddrinfo(None, Some(service), AddrHints::new()).unwrap();
        assert!(!found.is_empty());
    }
    drop((event, clock, base));

    // What is left is the library's own: another round leaves no more of it.
    let after_one = BLOCKS.load(Ordering::Relaxed);
    drop(EventConfig::new().build().unwrap());
    assert_eq!(BLOCKS.load(Ordering::Relaxed), after_one);
    assert!(after_one < with_a_base);
}
