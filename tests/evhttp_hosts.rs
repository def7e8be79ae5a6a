//! Virtual hosts of an evhttp server.
#![cfg(feature = "http")]

mod common;
mod evhttp_common;

use common::{DropCount, bounded, count};
use evhttp_common::{Client, beside, finish, listening};
use libevent2::evhttp::{Request, Server};
use libevent2::{Error, EventBase, Kind};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

fn named(base: &EventBase, name: &'static str) -> Server {
    let server = Server::new(base).unwrap();
    server.set_gencb(move |request: Request| request.reply(200, None, name));
    server
}

/// Who answers for a host; none for 404.
fn answers(base: &mut EventBase, addr: SocketAddr, hosts: &[&'static str]) -> Vec<String> {
    let hosts = hosts.to_vec();
    beside(base, addr, move |addr| {
        let ask = |host| {
            let mut client = Client::new(addr);
            client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            let answer = client.read().unwrap();
            match answer.status {
                404 => "none".to_owned(),
                _ => answer.text().to_owned(),
            }
        };
        hosts.into_iter().map(ask).collect()
    })
}

fn is_invalid(result: Result<(), Error>) -> bool {
    matches!(result, Err(Error::Invalid { .. }))
}

#[test]
fn the_first_pattern_that_matches_gets_the_request() {
    let _bounded = bounded();
    let (mut base, server, addr) = listening();
    let outer = named(&base, "outer");
    outer
        .add_virtual_host("inner.example.org", named(&base, "inner"))
        .unwrap();
    server.add_virtual_host("*.example.org", outer).unwrap();
    server
        .add_virtual_host("a.example.org", named(&base, "late"))
        .unwrap();
    let plain = named(&base, "plain");
    plain.add_server_alias("Other.Name").unwrap();
    server.add_virtual_host("plain", plain).unwrap();
    let hosts = [
        "a.EXAMPLE.org:80",
        "inner.example.org",
        "example.org",
        "plain",
        "other.name",
        "test",
    ];
    let got = answers(&mut base, addr, &hosts);
    assert_eq!(got, ["outer", "inner", "none", "plain", "plain", "none"]);

    let plain = server.virtual_host("plain").unwrap();
    assert!(plain.remove_server_alias("OTHER.name"));
    assert!(!plain.remove_server_alias("other.name"));
    let removed = server.remove_virtual_host("*.example.org").unwrap();
    assert!(server.remove_virtual_host("*.example.org").is_none());
    let got = answers(&mut base, addr, &hosts);
    assert_eq!(got, ["late", "none", "none", "plain", "none", "none"]);

    // It can go on by itself.
    let own = removed.listen("127.0.0.1:0").unwrap().local_addr();
    let got = answers(&mut base, own, &["test", "inner.example.org"]);
    assert_eq!(got, ["outer", "inner"]);
    drop(removed);
    finish(&mut base, server);
}

#[test]
fn what_c_cannot_do_is_refused() {
    let _bounded = bounded();
    let (mut base, server, addr) = listening();
    let add = |pattern: &str, host: Server| server.add_virtual_host(pattern, host);
    for pattern in ["*", "a*", "*.a.*", "a\0"] {
        assert!(is_invalid(add(pattern, named(&base, ""))), "{pattern:?}");
    }
    add("a", named(&base, "a")).unwrap();
    assert!(is_invalid(add("a", named(&base, "b"))), "twice");
    let listens = Server::bind(&base, "127.0.0.1:0").unwrap();
    assert!(is_invalid(add("b", listens)));
    let has_listened = Server::bind(&base, "127.0.0.1:0").unwrap();
    has_listened.remove_socket(has_listened.bound_sockets()[0]);
    assert!(is_invalid(add("b", has_listened)));
    let other = EventBase::new().unwrap();
    assert!(is_invalid(add("b", named(&other, ""))));
    let closed = named(&base, "");
    closed.close();
    assert!(matches!(add("b", closed), Err(Error::Closed { .. })));
    let host = server.virtual_host("a").unwrap();
    assert!(host.listen("127.0.0.1:0").is_err(), "it gets its requests");
    assert_eq!(answers(&mut base, addr, &["a", "b"]), ["a", "none"]);
    finish(&mut base, server);
}

#[test]
fn a_circle_of_hosts_cannot_be_made() {
    let _bounded = bounded();
    let base = EventBase::new().unwrap();
    let outer = named(&base, "outer");
    outer
        .add_virtual_host("middle", named(&base, "middle"))
        .unwrap();
    let middle = outer.virtual_host("middle").unwrap();
    middle
        .add_virtual_host("inner", named(&base, "inner"))
        .unwrap();
    let inner = middle.virtual_host("inner").unwrap();
    assert!(is_invalid(inner.add_virtual_host("outer", outer)));
}

#[test]
fn a_host_may_leave_from_inside_its_handler() {
    let _bounded = bounded();
    let (mut base, server, addr) = listening();
    let drops = count();
    let held = DropCount(Rc::clone(&drops));
    let host = Server::new(&base).unwrap();
    host.set_gencb(move |request: Request| {
        let root = request.server();
        assert_eq!((root.in_flight(), root.local_addrs().len()), (1, 1));
        drop(root.remove_virtual_host("a").unwrap());
        assert!(root.virtual_host("a").is_none());
        assert_eq!(held.0.get(), 0, "what runs is not dropped");
        request.reply(200, None, "the last")
    });
    server.add_virtual_host("a", host).unwrap();
    assert_eq!(answers(&mut base, addr, &["a", "a"]), ["the last", "none"]);
    assert_eq!(drops.get(), 1);
    assert_eq!(base.stats().live(Kind::HttpServer), 1);
    finish(&mut base, server);
}

#[test]
fn a_host_may_close_the_server_above_it() {
    let _bounded = bounded();
    let (mut base, server, addr) = listening();
    let owner: Rc<RefCell<Option<Server>>> = Rc::default();
    let mine = Rc::clone(&owner);
    let host = Server::new(&base).unwrap();
    host.set_gencb(move |request: Request| {
        drop(mine.take());
        request.reply(200, None, "bye")
    });
    server.add_virtual_host("a", host).unwrap();
    owner.replace(Some(server));
    let client = std::thread::spawn(move || {
        let mut client = Client::new(addr);
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = client.read().unwrap();
        assert!(client.is_closed());
        answer.text().to_owned()
    });
    base.run().unwrap();
    assert_eq!(client.join().unwrap(), "bye");
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn a_host_that_is_closed_is_no_host_any_more() {
    let _bounded = bounded();
    let (mut base, server, addr) = listening();
    server.add_virtual_host("a", named(&base, "a")).unwrap();
    let host = server.virtual_host("a").unwrap();
    host.close();
    base.run_nonblocking().unwrap();
    assert!(host.is_closed() && server.virtual_host("a").is_none());
    assert_eq!(answers(&mut base, addr, &["a"]), ["none"]);
    assert!(host.add_server_alias("b").is_err());
    assert!(!host.remove_server_alias("b"));
    finish(&mut base, server);
}

#[test]
fn hosts_go_with_their_base_in_any_order() {
    let _bounded = bounded();
    let drops = count();
    for removed in [false, true] {
        let (base, server, _) = listening();
        let host = named(&base, "");
        let held = DropCount(Rc::clone(&drops));
        host.set_gencb(move |_: Request| drop(held.0.clone()));
        host.add_virtual_host("b", named(&base, "")).unwrap();
        server.add_virtual_host("a", host).unwrap();
        let share = server.virtual_host("a").unwrap();
        let taken = removed.then(|| server.remove_virtual_host("a").unwrap());
        drop(base);
        assert!(share.is_closed() && server.is_closed());
        drop((server, taken));
    }
    assert_eq!(drops.get(), 2);
}
