//! What becomes of requests and callbacks when something goes away: the request, the client, the
//! base; in each phase, and from inside callbacks.
#![cfg(feature = "http")]

mod common;
mod connect_common;
mod http_client_common;

use common::{Bump, DropCount, bounded, count};
use http_client_common::{Peer, ask, never};
use libevent2::http::{Client, ClientOptions, Incoming, Pending};
use libevent2::{EventBase, Kind, LoopEnd};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Servers that stop in each phase.
fn phases() -> Vec<Peer> {
    let stop_after = |said: &'static str| {
        Peer::start(move |talk| {
            talk.head();
            talk.say(said);
            talk.until_gone();
        })
    };
    let mut all: Vec<_> = [
        "",
        "HTTP/1.1 2",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
    ]
    .into_iter()
    .map(stop_after)
    .collect();
    all.push(stop_after(
        "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 9\r\n\r\nabc",
    ));
    all.push(stop_after("HTTP/1.1 100 Continue\r\n\r\n"));
    // It takes nothing.
    all.push(Peer::start(|_| {
        loop {
            std::thread::park()
        }
    }));
    all
}

fn run_for(base: &mut EventBase, millis: u64) {
    base.handle()
        .exit_after(Duration::from_millis(millis))
        .unwrap();
    base.run().unwrap();
}

#[test]
fn a_request_is_cancelled_by_dropping_it_in_each_phase() {
    let _bounded = bounded();
    for peer in phases() {
        for millis in [0, 30] {
            let mut base = EventBase::new().unwrap();
            let client = Client::new(&base).unwrap();
            let (drops, begun) = (count(), count());
            let (drop_it, drop_body) = (DropCount(drops.clone()), DropCount(drops.clone()));
            let begin = begun.clone();
            let request = client.post(&peer.url("/")).unwrap();
            let request = request.upload(None, move |upload| {
                begin.bump();
                upload.on_drain(move |upload| {
                    let _keep = &drop_body;
                    upload.send(&[b'x'; 65536])
                });
            });
            let pending = request.send(move |result| {
                drop(drop_it);
                never(result);
            });
            run_for(&mut base, millis);
            assert!(pending.is_pending());
            assert_eq!((client.pending(), client.connections()), (1, 1));
            drop(pending);
            assert_eq!((client.pending(), client.connections()), (0, 0));
            assert_eq!(drops.get(), 2, "{millis}");
            assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
            assert_eq!(
                (
                    base.handle().stats().live(Kind::BufferEvent),
                    base.handle().stats().live(Kind::Timer)
                ),
                (0, 0)
            );
        }
    }
}

#[test]
fn a_request_that_connects_is_cancelled_too() {
    let _bounded = bounded();
    let (_listener, silent, _queue) = connect_common::silent();
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    for url in [
        format!("http://{silent}/"),
        "http://localhost:1/".to_owned(),
    ] {
        let pending = client.get(&url).unwrap().send(never);
        run_for(&mut base, 0);
        drop(pending);
        assert_eq!((client.pending(), client.connections()), (0, 0));
    }
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
}

#[test]
fn a_client_that_is_dropped_drops_its_requests() {
    let _bounded = bounded();
    for peer in phases() {
        let mut base = EventBase::new().unwrap();
        let client = Client::new(&base).unwrap();
        let drops = count();
        for _ in 0..3 {
            let drop_it = DropCount(drops.clone());
            let request = client.get(&peer.url("/")).unwrap();
            request.send(move |_| drop(drop_it)).detach();
        }
        let drop_it = DropCount(drops.clone());
        let request = client.get(&peer.url("/")).unwrap();
        request
            .open(move |streaming| {
                let body = streaming.unwrap().incoming();
                let own = body.clone();
                body.on_data(move |_| own.pause());
                body.on_end(move |_| drop(drop_it));
            })
            .detach();
        run_for(&mut base, 30);
        drop(client);
        assert_eq!(drops.get(), 4);
        assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
        assert_eq!(
            (
                base.handle().stats().live(Kind::BufferEvent),
                base.handle().stats().live(Kind::Timer)
            ),
            (0, 0)
        );
    }
}

#[test]
fn a_base_that_is_dropped_drops_the_callbacks() {
    let _bounded = bounded();
    for peer in phases() {
        for keep_client in [false, true] {
            let drops = count();
            let mut base = EventBase::new().unwrap();
            let mut options = ClientOptions::default();
            options.pool.per_host = 2;
            let client = Client::with(&base, options).unwrap();
            for _ in 0..4 {
                let (own, drop_it) = (client.clone(), DropCount(drops.clone()));
                let request = client.get(&peer.url("/")).unwrap();
                request.send(move |_| drop((own, drop_it))).detach();
                let (own, drop_it) = (client.clone(), DropCount(drops.clone()));
                let request = client.get(&peer.url("/")).unwrap();
                request
                    .open(move |streaming| {
                        let body = streaming.unwrap().incoming();
                        let kept = body.clone();
                        body.on_data(move |_| kept.pause());
                        body.on_end(move |_| drop((own, drop_it)));
                    })
                    .detach();
            }
            run_for(&mut base, 20);
            let kept = keep_client.then(|| client.clone());
            drop(client);
            drop(base);
            drop(kept);
            assert_eq!(drops.get(), 8, "{keep_client}");
        }
    }
}

#[test]
fn a_client_without_its_base_does_nothing() {
    let base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    let handle = base.handle().clone();
    drop(base);
    let drops = count();
    let drop_it = DropCount(drops.clone());
    let pending = client
        .get("http://127.0.0.1:1/")
        .unwrap()
        .send(move |_| drop(drop_it));
    assert!(!pending.is_pending());
    assert_eq!(drops.get(), 1);
    assert!(Client::new(&handle).is_err());
}

#[test]
fn a_callback_may_drop_everything() {
    let _bounded = bounded();
    let peer = Peer::saying(HELLO);
    // The client, whose last one it has; its own request; all others.
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    let calls = count();
    let called = calls.clone();
    let others: Rc<RefCell<Vec<Pending>>> = Rc::default();
    let all = others.clone();
    for _ in 0..5 {
        let request = client.get(&peer.url("/")).unwrap();
        let (called, all) = (called.clone(), all.clone());
        let pending = request.send(move |_| {
            called.bump();
            all.borrow_mut().clear();
        });
        others.borrow_mut().push(pending);
    }
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!((calls.get(), client.pending()), (1, 0));

    let request = client.get(&peer.url("/")).unwrap();
    let called = calls.clone();
    request
        .send(move |result| {
            result.unwrap();
            drop(client);
            called.bump();
        })
        .detach();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(calls.get(), 2);
    assert_eq!(base.handle().stats().live(Kind::BufferEvent), 0);
}

#[test]
fn a_body_may_be_dropped_from_inside_its_callbacks() {
    let _bounded = bounded();
    let peer = Peer::saying(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n",
    );
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    let drops = count();
    // The request is cancelled by its first piece.
    let own: Rc<RefCell<Option<Pending>>> = Rc::default();
    let (cancel, pieces, drop_it) = (own.clone(), count(), DropCount(drops.clone()));
    let seen = pieces.clone();
    let pending = client.get(&peer.url("/")).unwrap().open(move |result| {
        let body = result.unwrap().incoming();
        body.on_data(move |_| {
            seen.bump();
            drop(cancel.borrow_mut().take());
        });
        body.on_end(move |end| {
            drop(drop_it);
            never(end);
        });
    });
    own.replace(Some(pending));
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!((pieces.get(), drops.get(), client.connections()), (1, 1, 0));
    // The callback replaces itself, and the last handle goes meanwhile.
    let text: Rc<RefCell<String>> = Rc::default();
    let to = text.clone();
    let request = client.get(&peer.url("/")).unwrap();
    request
        .open(move |result| {
            let body = result.unwrap().incoming();
            let slot: Rc<RefCell<Option<Incoming>>> = Rc::new(RefCell::new(Some(body.clone())));
            body.on_data(move |data| {
                to.borrow_mut().push_str(&String::from_utf8_lossy(data));
                if let Some(body) = slot.borrow_mut().take() {
                    let to = to.clone();
                    body.on_data(move |data| {
                        to.borrow_mut()
                            .push_str(&String::from_utf8_lossy(data).to_uppercase());
                    });
                }
            });
        })
        .detach();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(*text.borrow(), "aB");
}

#[test]
fn callbacks_ask_again() {
    let _bounded = bounded();
    fn again(client: &Client, url: String, left: usize) {
        let own = client.clone();
        let request = client.get(&url).unwrap();
        request
            .send(move |result| {
                result.unwrap();
                if left > 0 {
                    again(&own, url, left - 1);
                }
            })
            .detach();
    }
    let peer = Peer::saying(HELLO);
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    again(&client, peer.url("/"), 500);
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!((peer.seen().len(), peer.accepted()), (501, 1));
}

#[test]
fn a_panic_comes_out_of_the_loop_and_harms_nothing() {
    let _bounded = bounded();
    let peer = Peer::saying(HELLO);
    let mut base = EventBase::new().unwrap();
    let client = Client::new(&base).unwrap();
    let panics = |base: &mut EventBase| {
        let panicked = catch_unwind(AssertUnwindSafe(|| base.run()));
        let payload = panicked.unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"nobody is to hear of it"));
    };
    client.get(&peer.url("/")).unwrap().send(never).detach();
    panics(&mut base);
    let request = client.get(&peer.url("/")).unwrap();
    request
        .open(|result| {
            let body = result.unwrap().incoming();
            body.on_data(|data| never(data));
        })
        .detach();
    panics(&mut base);
    let request = client.post(&peer.url("/")).unwrap();
    let request = request.upload(None, |upload| {
        upload.finish().unwrap();
        never(upload);
    });
    request.send(|_| ()).detach();
    panics(&mut base);
    let answer = ask(&mut base, &client, client.get(&peer.url("/")).unwrap());
    assert_eq!(answer.unwrap().text(), "hello");
    // An error that a callback returns stops the loop as well.
    client
        .get("http://127.0.0.1:1/")
        .unwrap()
        .send(|result| result.map(drop))
        .detach();
    assert!(base.run().unwrap_err().to_string().contains("127.0.0.1:1"));
}
