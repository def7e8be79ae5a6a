//! Locks are process-wide and come first: a test program of their own.

use libevent_sys::*;

#[test]
fn locks_can_be_switched_on() {
    #[cfg(unix)]
    // SAFETY: this program's first call of libevent, from its only test.
    let switched = unsafe { evthread_use_pthreads() };
    #[cfg(windows)]
    // SAFETY: as above.
    let switched = unsafe { evthread_use_windows_threads() };
    assert_eq!(switched, 0);

    // SAFETY: a fresh base, freed once. Only a base with locks can be made notifiable.
    unsafe {
        let base = event_base_new();
        assert_eq!(evthread_make_base_notifiable(base), 0);
        event_base_free(base);
    }
}
