//! HTTP servers that come from C, and go there.
#![cfg(feature = "http")]

mod common;
mod evhttp_common;

use common::{DropCount, bounded, count};
use evhttp_common::{Client, beside, finish, get, in_background, request};
use libevent2::evhttp::{Request, Server};
use libevent2::{EventBase, Kind, ffi};
use std::ffi::c_void;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr;
use std::rc::Rc;

/// An evhttp as a C program would make it: it listens, and answers one path itself.
fn made_by_c(base: &EventBase) -> (*mut ffi::evhttp, SocketAddr) {
    unsafe extern "C" fn answer(request: *mut ffi::evhttp_request, _: *mut c_void) {
        // SAFETY: alive, and answered once.
        unsafe { ffi::evhttp_send_reply(request, 202, c"Accepted".as_ptr(), ptr::null_mut()) };
    }
    // SAFETY: the base is alive; the callback lives for ever. The descriptor stays evhttp's: the
    // listener that borrows it is not dropped.
    unsafe {
        let http = ffi::evhttp_new(base.as_ptr());
        let bound = ffi::evhttp_bind_socket_with_handle(http, c"127.0.0.1".as_ptr(), 0);
        ffi::evhttp_set_cb(http, c"/c".as_ptr(), Some(answer), ptr::null_mut());
        let fd = ffi::evhttp_bound_socket_get_fd(bound);
        let listener = std::mem::ManuallyDrop::new(std::net::TcpListener::from_raw_fd(fd));
        assert_eq!(listener.as_raw_fd(), fd);
        (http, listener.local_addr().unwrap())
    }
}

#[test]
fn a_server_of_c_keeps_its_paths_and_gets_routes() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (http, addr) = made_by_c(&base);
    // SAFETY: made on this base, and given up here.
    let server = unsafe { Server::from_ptr(&base, http) }.unwrap();
    assert_eq!(server.as_ptr(), http);
    server
        .set_cb("/rust", |request: Request| request.reply(201, None, ""))
        .unwrap();
    let client = in_background(&base, addr, |addr| {
        ["/c", "/rust", "/neither"].map(|path| get(addr, path).status)
    });
    base.run_until_exit().unwrap();
    assert_eq!(client.join().unwrap(), [202, 201, 404]);

    // Closing it closes the sockets that C opened, too.
    finish(&mut base, server);
    assert!(TcpStream::connect(addr).is_err());
}

#[test]
fn a_server_given_to_c_goes_on_without_the_routes() {
    let _bounded = bounded();
    let dropped = count();
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    let held = DropCount(Rc::clone(&dropped));
    server.set_gencb(move |request: Request| {
        let _held = &held;
        request.reply(200, None, "").unwrap();
    });
    let addr = server.local_addrs()[0];
    let client = in_background(&base, addr, |addr| get(addr, "/").status);
    base.run_until_exit().unwrap();
    assert_eq!(client.join().unwrap(), 200);

    while server.in_flight() > 0 {
        base.run_once().unwrap();
    }
    let http = server.into_ptr().expect("nothing is in flight");
    assert_eq!(dropped.get(), 1);
    assert_eq!(base.stats().live(Kind::HttpServer), 0);
    let client = in_background(&base, addr, |addr| get(addr, "/").status);
    base.run_until_exit().unwrap();
    assert_eq!(client.join().unwrap(), 404, "C's own answer");
    // SAFETY: alive, and ours to free.
    unsafe { ffi::evhttp_free(http) };
    assert!(TcpStream::connect(addr).is_err());
}

#[test]
fn a_server_with_a_request_in_flight_is_not_given_away() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    let held = Rc::new(std::cell::RefCell::new(None::<Request>));
    let to = Rc::clone(&held);
    server.set_gencb(move |request: Request| {
        to.replace(Some(request));
    });
    let client = in_background(&base, server.local_addrs()[0], |addr| get(addr, "/").status);
    while held.borrow().is_none() {
        base.run_once().unwrap();
    }
    let server = server.into_ptr().expect_err("a request is in flight");
    held.take().unwrap().reply(200, None, "").unwrap();
    base.run_until_exit().unwrap();
    assert_eq!(client.join().unwrap(), 200);
    finish(&mut base, server);
}

#[test]
fn a_server_given_to_c_forgets_the_hooks_of_its_connections() {
    let _bounded = bounded();
    let dropped = count();
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    server.set_default_content_type(Some("text/x-own")).unwrap();
    let drops = Rc::clone(&dropped);
    server.set_gencb(move |request: Request| {
        let held = DropCount(Rc::clone(&drops));
        request.on_close(move |_| -> () { panic!("{} is not ours any more", held.0.get()) });
        request.reply(200, None, "")
    });
    let addr = server.local_addrs()[0];
    let client = beside(&mut base, addr, |addr| {
        let mut client = Client::new(addr);
        client.send(request("GET /", "\r\n"));
        let answer = client.read().unwrap();
        assert_eq!(answer.header("content-type"), Some("text/x-own"));
        client
    });
    while server.in_flight() > 0 {
        base.run_once().unwrap();
    }
    let http = server.into_ptr().expect("nothing is in flight");
    assert_eq!(dropped.get(), 1);
    let answer = beside(&mut base, addr, |addr| get(addr, "/"));
    assert_ne!(answer.header("content-type"), Some("text/x-own"));
    drop(client);
    // SAFETY: alive, and ours to free.
    unsafe { ffi::evhttp_free(http) };
}

#[test]
fn a_server_with_virtual_hosts_is_not_given_away() {
    let mut base = EventBase::new().unwrap();
    let server = Server::bind(&base, "127.0.0.1:0").unwrap();
    let host = Server::new(&base).unwrap();
    server.add_virtual_host("a", host).unwrap();
    let server = server.into_ptr().expect_err("C would free the host");
    drop(server.remove_virtual_host("a"));
    base.run_nonblocking().unwrap();
    let http = server.into_ptr().expect("it has none now");
    // SAFETY: alive, and ours to free.
    unsafe { ffi::evhttp_free(http) };
}

#[test]
fn a_server_of_c_is_no_virtual_host() {
    let mut base = EventBase::new().unwrap();
    let (http, _) = made_by_c(&base);
    // SAFETY: made on this base, and given up here.
    let of_c = unsafe { Server::from_ptr(&base, http) }.unwrap();
    let server = Server::new(&base).unwrap();
    assert!(server.add_virtual_host("a", of_c).is_err());
    finish(&mut base, server);
}
