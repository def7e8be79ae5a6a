//! Listeners that come from C and go there.
#![cfg(unix)]

mod common;

use common::{Bump, DropCount, bounded, count};
use libevent2::listener::Accepted;
use libevent2::{Error, EventBase, Kind, Listener, LoopEnd, ffi};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::raw::{c_int, c_void};
use std::ptr;

fn localhost() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// A listener that C made, with C's own callback, and its address.
fn c_listener(base: &EventBase, flags: u32) -> (*mut ffi::evconnlistener, SocketAddr) {
    unsafe extern "C" fn never(
        _: *mut ffi::evconnlistener,
        _: ffi::evutil_socket_t,
        _: *mut ffi::sockaddr,
        _: c_int,
        _: *mut c_void,
    ) {
        // Nothing may unwind from here.
        std::process::abort();
    }
    let socket = TcpListener::bind(localhost()).unwrap();
    socket.set_nonblocking(true).unwrap();
    let addr = socket.local_addr().unwrap();
    let flags = ffi::LEV_OPT_CLOSE_ON_FREE | flags;
    // SAFETY: the base is alive; the descriptor is the listener's from now on.
    let raw = unsafe {
        let (base, fd) = (base.as_ptr(), socket.into_raw_fd());
        ffi::evconnlistener_new(base, Some(never), ptr::null_mut(), flags as _, 0, fd)
    };
    assert!(!raw.is_null());
    (raw, addr)
}

#[test]
fn a_listener_of_c_is_taken_over_with_another_callback() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    for flags in [0, ffi::LEV_OPT_DISABLED, ffi::LEV_OPT_THREADSAFE] {
        let (raw, addr) = c_listener(&base, flags);
        let seen = count();
        let counted = seen.clone();
        // SAFETY: nobody else has it.
        let listener = unsafe {
            Listener::from_ptr(&base, raw, move |listener, _accepted| {
                if counted.bump() == 2 {
                    listener.close();
                }
            })
        };
        let listener = listener.unwrap();
        assert_eq!(listener.as_ptr(), raw);
        assert_eq!(listener.local_addr().unwrap().ip(), Some(addr));
        assert_eq!(base.stats().live(Kind::Listener), 1);
        let _clients = [(); 2].map(|()| TcpStream::connect(addr).unwrap());
        assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
        assert_eq!(seen.get(), 2);
        assert!(TcpStream::connect(addr).is_err());
    }
}

#[test]
fn a_listener_of_another_base_is_refused_and_left_alone() {
    let _watchdog = bounded();
    let (base, other) = (EventBase::new().unwrap(), EventBase::new().unwrap());
    let (raw, addr) = c_listener(&other, 0);
    // SAFETY: nobody else has it.
    let error = unsafe { Listener::from_ptr(&base, raw, |_, _| ()) }.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Invalid {
                what: "listener",
                ..
            }
        ),
        "{error}"
    );
    assert!(TcpStream::connect(addr).is_ok());
    // SAFETY: it is still ours.
    unsafe { ffi::evconnlistener_free(raw) };
}

#[test]
fn a_listener_given_to_c_calls_its_closure_until_the_base_goes() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (seen, dropped) = (count(), count());
    let (counted, captured) = (seen.clone(), DropCount(dropped.clone()));
    let listener = Listener::bind(&base, localhost(), move |listener, accepted: Accepted| {
        assert!(accepted.as_raw_fd() >= 0);
        // The view has lost its C object.
        assert!(listener.is_closed());
        assert_eq!(captured.0.get(), 0);
        counted.bump();
        listener.handle().exit();
    })
    .unwrap();
    let addr = listener.local_addr().unwrap().ip().unwrap();
    let raw = listener.into_ptr();
    assert!(!raw.is_null());
    let _client = TcpStream::connect(addr).unwrap();
    base.run().unwrap();
    assert_eq!(seen.get(), 1);
    // SAFETY: given to us, and freed once, before the base.
    unsafe { ffi::evconnlistener_free(raw) };
    assert!(TcpStream::connect(addr).is_err());
    assert_eq!(dropped.get(), 0);
    drop(base);
    assert_eq!(dropped.get(), 1);
}

#[test]
fn a_closed_listener_gives_null() {
    let _watchdog = bounded();
    let base = EventBase::new().unwrap();
    let listener = Listener::bind(&base, localhost(), |_, _| ()).unwrap();
    listener.close();
    assert!(listener.into_ptr().is_null());
    assert_eq!(base.stats().live_total(), 0);
}
