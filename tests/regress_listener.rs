//! libevent's own regress cases for listeners (test/regress_listener.c). The whole list is in
//! docs/regress.md.
#![cfg(unix)]

mod common;
#[path = "common/regress.rs"]
mod regress;

use common::{Bump, Count, bounded, count};
use libevent2::listener::Accepted;
use libevent2::{Error, EventBase, Listener, ListenerRef, LoopEnd, LoopHandle, ffi};
use regress::{alone, pair, write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::ptr;

fn localhost() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn port_of(listener: &ListenerRef) -> SocketAddr {
    listener.local_addr().unwrap().ip().unwrap()
}

/// Closes what it is given, and disables its listener after `n` of them.
fn accept(n: usize, seen: &Count) -> impl FnMut(&ListenerRef, Accepted) + 'static {
    let seen = seen.clone();
    move |listener, accepted| {
        drop(accepted);
        if seen.bump() == n {
            listener.disable();
        }
    }
}

/// A listener of C's on a socket that does not listen, where the flags are C's too.
fn bogus(base: &LoopHandle, fd: i32, flags: u32, seen: &Count) -> Listener {
    let flags = (ffi::LEV_OPT_REUSEABLE | flags) as _;
    // SAFETY: the base is alive; the descriptor is open for as long as the listener. It is nobody
    // else's.
    unsafe {
        let raw = ffi::evconnlistener_new(base.as_ptr(), None, ptr::null_mut(), flags, 0, fd);
        assert!(!raw.is_null());
        Listener::from_ptr(base, raw, accept(1, seen)).unwrap()
    }
}

fn pick_a_port() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (seen1, seen2) = (count(), count());
    let listener1 = Listener::bind(&base, localhost(), accept(2, &seen1)).unwrap();
    let listener2 = Listener::bind(&base, localhost(), accept(1, &seen2)).unwrap();
    assert!(listener1.fd() >= 0 && listener2.fd() >= 0);
    let (addr1, addr2) = (port_of(&listener1), port_of(&listener2));
    assert_eq!(addr1.ip(), Ipv4Addr::LOCALHOST);
    assert_eq!(addr2.ip(), Ipv4Addr::LOCALHOST);
    assert_ne!(addr1.port(), addr2.port());
    assert!(listener1.handle().same_base(&base));
    assert!(listener2.handle().same_base(&base));
    let _clients = [addr1, addr1, addr2].map(|addr| TcpStream::connect(addr).unwrap());
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!((seen1.get(), seen2.get()), (2, 1));
}

#[test]
fn randport() {
    pick_a_port();
}

/// With locks, which all bases have here; the flag for one listener is not offered, as only the
/// loop's thread can reach it.
#[test]
fn randport_ts() {
    pick_a_port();
}

#[test]
fn error_unlock() {
    alone("error_unlock", || {
        let mut base = EventBase::new().unwrap();
        let (here, there) = pair();
        write(&there, b"hello");
        let (seen, errors) = (count(), count());
        let fd = here.as_raw_fd();
        let listener = bogus(&base, fd, ffi::LEV_OPT_THREADSAFE, &seen);
        let failed = errors.clone();
        let set = listener.set_error_callback(move |_, error| {
            assert!(error.raw_os_error().is_some());
            failed.bump();
        });
        set.unwrap();
        let limit = there.as_raw_fd() as libc::rlim_t;
        let limit = libc::rlimit {
            rlim_cur: limit,
            rlim_max: limit,
        };
        // SAFETY: plain data; this process runs this test only.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
        base.run_once().unwrap();
        assert_eq!((seen.get(), errors.get()), (0, 1));
    });
}

fn bogus_socket(flags: u32) {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (here, there) = pair();
    write(&there, b"hello");
    // Here it is refused at once.
    let socket = here.try_clone().unwrap();
    let refused = Listener::from_socket(&base, socket, |_, _| ()).unwrap_err();
    assert!(
        matches!(refused, Error::Invalid { what: "socket", .. }),
        "{refused}"
    );
    // C takes it, and finds out when it accepts.
    let (seen, errors) = (count(), count());
    let listener = bogus(&base, here.as_raw_fd(), flags, &seen);
    let failed = errors.clone();
    let set = listener.set_error_callback(move |listener, error| {
        assert!(error.raw_os_error().is_some());
        failed.bump();
        listener.disable();
    });
    set.unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!((seen.get(), errors.get()), (0, 1));
}

#[test]
fn error() {
    bogus_socket(0);
}

#[test]
fn error_ts() {
    bogus_socket(ffi::LEV_OPT_THREADSAFE);
}

#[test]
fn close_accepted_fd() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let seen = count();
    let counted = seen.clone();
    let listener = Listener::bind(&base, localhost(), move |listener, accepted| {
        drop(accepted);
        counted.bump();
        listener.close();
    })
    .unwrap();
    let _client = TcpStream::connect(port_of(&listener)).unwrap();
    listener.detach();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(seen.get(), 1);
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn immediate_close() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let seen = count();
    let listener = Listener::bind(&base, localhost(), accept(1, &seen)).unwrap();
    let addr = port_of(&listener);
    let _clients = [addr, addr].map(|addr| TcpStream::connect(addr).unwrap());
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    // The other one still waits.
    assert_eq!(seen.get(), 1);
}
