//! The library that was linked runs.

use std::ffi::{CStr, c_short, c_void};
use std::ptr::null_mut;

use libevent_sys::*;

unsafe extern "C" fn count(_: evutil_socket_t, _: c_short, counter: *mut c_void) {
    // SAFETY: each test passes a pointer to its own u32, which outlives the loop.
    unsafe { *counter.cast::<u32>() += 1 }
}

#[test]
fn a_timer_fires() {
    let mut fired = 0u32;
    // SAFETY: one thread; the event is freed before its base, and the counter outlives both.
    unsafe {
        let base = event_base_new();
        assert!(!base.is_null());
        let timer = evtimer_new(base, Some(count), (&raw mut fired).cast());
        assert_eq!(
            evtimer_add(
                timer,
                &timeval {
                    tv_sec: 0,
                    tv_usec: 1000
                }
            ),
            0
        );
        assert_eq!(event_base_dispatch(base), 1, "no events left");
        event_free(timer);
        event_base_free(base);
    }
    assert_eq!(fired, 1);
}

#[test]
fn bytes_pass_a_pair_of_bufferevents() {
    unsafe extern "C" fn read(bev: *mut bufferevent, got: *mut c_void) {
        let mut bytes = [0u8; 16];
        // SAFETY: bev is the live bufferevent of this callback; got is the test's Vec, which outlives the loop.
        unsafe {
            let n = bufferevent_read(bev, bytes.as_mut_ptr().cast(), bytes.len());
            (*got.cast::<Vec<u8>>()).extend_from_slice(&bytes[..n]);
        }
    }
    let mut got = Vec::<u8>::new();
    // SAFETY: one thread; both bufferevents are freed before their base.
    unsafe {
        let base = event_base_new();
        let mut pair = [null_mut(); 2];
        assert_eq!(bufferevent_pair_new(base, 0, pair.as_mut_ptr()), 0);
        bufferevent_setcb(pair[1], Some(read), None, None, (&raw mut got).cast());
        assert_eq!(bufferevent_enable(pair[1], EV_READ), 0);
        assert_eq!(bufferevent_write(pair[0], c"hello".as_ptr().cast(), 5), 0);
        event_base_loop(base, EVLOOP_NONBLOCK);
        bufferevent_free(pair[0]);
        bufferevent_free(pair[1]);
        event_base_free(base);
    }
    assert_eq!(got, b"hello");
}

#[test]
fn the_old_api_runs_on_its_hidden_base() {
    let mut fired = 0u32;
    // SAFETY: one thread uses the hidden base, which no other test touches; the event is not pending when its base goes.
    unsafe {
        let base = compat::event_init();
        let mut timer: event = std::mem::zeroed();
        compat::evtimer_set(&mut timer, Some(count), (&raw mut fired).cast());
        assert_eq!(
            compat::timeout_add(
                &mut timer,
                &timeval {
                    tv_sec: 0,
                    tv_usec: 1000
                }
            ),
            0
        );
        assert_ne!(compat::timeout_pending(&timer, null_mut()), 0);
        assert_eq!(compat::event_dispatch(), 1);
        assert_eq!(compat::timeout_pending(&timer, null_mut()), 0);

        let buffer = evbuffer_new();
        evbuffer_add(buffer, c"abc".as_ptr().cast(), 3);
        assert_eq!(compat::EVBUFFER_LENGTH(buffer), 3);
        assert_eq!(*compat::EVBUFFER_DATA(buffer), b'a');
        evbuffer_free(buffer);
        event_base_free(base);
    }
    assert_eq!(fired, 1);
}

#[test]
fn the_library_that_runs_is_of_the_line_of_the_headers() {
    // SAFETY: no arguments; the text is static.
    let (number, text) = unsafe {
        (
            event_get_version_number(),
            CStr::from_ptr(event_get_version()),
        )
    };
    assert_eq!(number >> 16, LIBEVENT_VERSION_NUMBER >> 16, "{text:?}");
}

#[cfg(feature = "openssl")]
#[test]
fn a_bufferevent_over_openssl() {
    // SAFETY: one thread; the SSL belongs to the bufferevent, which is freed before its base.
    unsafe {
        openssl_sys::init();
        let context = openssl_sys::SSL_CTX_new(openssl_sys::TLS_method());
        let base = event_base_new();
        let bev = bufferevent_openssl_socket_new(
            base,
            -1,
            openssl_sys::SSL_new(context),
            bufferevent_ssl_state::from(BUFFEREVENT_SSL_CONNECTING),
            BEV_OPT_CLOSE_ON_FREE as i32,
        );
        assert!(!bev.is_null());
        assert!(!bufferevent_openssl_get_ssl(bev).is_null());
        bufferevent_free(bev);
        event_base_loop(base, EVLOOP_NONBLOCK);
        event_base_free(base);
        openssl_sys::SSL_CTX_free(context);
    }
}

#[test]
fn there_is_a_method() {
    // SAFETY: the list is static and ends with a null pointer.
    unsafe {
        let mut method = event_get_supported_methods();
        let mut names = Vec::new();
        while !(*method).is_null() {
            names.push(CStr::from_ptr(*method).to_str().unwrap());
            method = method.add(1);
        }
        assert!(!names.is_empty());
    }
}
