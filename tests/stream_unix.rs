//! Streams over Unix sockets, and what `connect` says of addresses that cannot be reached.
#![cfg(unix)]

mod common;

use common::{Bump, bounded, count};
use libevent2::listener::{Address, Listener};
use libevent2::stream::{BufferEvent, Callbacks, Peer, StreamError, StreamEvent};
use libevent2::{Error, EventBase};
use std::cell::RefCell;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

/// A path of the test's own, removed at its end.
struct TempPath(PathBuf);

impl TempPath {
    fn new(name: &str) -> Self {
        let name = format!("libevent2-stream-{name}-{}", std::process::id());
        TempPath(std::env::temp_dir().join(name))
    }
}

impl Drop for TempPath {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn a_path_connects_like_an_address() {
    let _watchdog = bounded();
    let path = TempPath::new("connects");
    let mut base = EventBase::new().unwrap();
    let listener = Listener::bind_unix(&base, &path.0, |listener, accepted| {
        let echo = Callbacks::new().on_read(|stream| stream.output().append_from(&stream.input()));
        BufferEvent::from_socket(listener.handle(), accepted, echo)
            .unwrap()
            .detach();
        listener.close();
    })
    .unwrap();
    let events = Rc::new(RefCell::new(Vec::new()));
    let (seen, answer) = (events.clone(), events.clone());
    let peer = Peer::from(Address::Unix(Some(path.0.clone())));
    let expected = peer.clone();
    let writes = events.clone();
    let handler = Callbacks::new()
        .on_read(move |stream| {
            let text = stream.input().to_vec();
            answer.borrow_mut().push(String::from_utf8(text).unwrap());
            stream.close();
        })
        .on_write(move |_| writes.borrow_mut().push("sent".to_owned()))
        .on_event(move |stream, event| {
            assert!(matches!(event, StreamEvent::Connected), "{event:?}");
            assert_eq!(stream.peer(), expected);
            seen.borrow_mut().push("connected".to_owned());
        });
    let stream = BufferEvent::connect_unix(&base, &path.0, handler).unwrap();
    assert_eq!(stream.peer(), peer);
    stream.write(b"over a path").unwrap();
    assert!(events.borrow().is_empty());
    base.run().unwrap();
    assert_eq!(*events.borrow(), ["connected", "sent", "over a path"]);
    drop((stream, listener));
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn a_path_that_is_not_there_is_named_at_once() {
    let _watchdog = bounded();
    let path = TempPath::new("missing");
    let base = EventBase::new().unwrap();
    let error = BufferEvent::connect_unix(&base, &path.0, Callbacks::new()).unwrap_err();
    assert_eq!(
        error.io().map(std::io::Error::kind),
        Some(std::io::ErrorKind::NotFound)
    );
    let text = error.to_string();
    let begin = format!("connecting to {}: ", path.0.display());
    assert!(text.starts_with(&begin), "{text}");
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn a_path_that_is_no_socket_or_has_no_listener_any_more_is_refused() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let path = TempPath::new("gone");
    drop(UnixListener::bind(&path.0).unwrap());
    let refused = count();
    for _ in 0..2 {
        let (seen, there) = (refused.clone(), path.0.clone());
        let handler = Callbacks::new().on_event(move |stream, event| {
            let StreamEvent::Failed(error @ StreamError::Refused { .. }) = event else {
                panic!("{event:?}");
            };
            assert_eq!(
                error.to_string(),
                format!("{}: connection refused", there.display())
            );
            seen.bump();
            stream.close();
        });
        BufferEvent::connect_unix(&base, &path.0, handler)
            .unwrap()
            .detach();
    }
    base.run().unwrap();
    assert_eq!(refused.get(), 2);
}

#[test]
fn a_path_that_is_too_long_for_the_system_is_refused() {
    let base = EventBase::new().unwrap();
    let path = "/tmp/".to_owned() + &"long".repeat(50);
    let error = BufferEvent::connect_unix(&base, &path, Callbacks::new()).unwrap_err();
    assert!(matches!(error, Error::Invalid { what: "path", .. }));
    assert!(error.to_string().contains(&path), "{error}");
}

#[test]
fn the_ends_of_a_pair_talk_to_each_other() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (left, right) = UnixStream::pair().unwrap();
    let echo = Callbacks::new()
        .on_read(|stream| stream.output().append_from(&stream.input()))
        .on_event(|stream, _| stream.close());
    BufferEvent::from_socket(&base, right, echo)
        .unwrap()
        .detach();
    let answer = Rc::new(RefCell::new(Vec::new()));
    let all = answer.clone();
    let handler = Callbacks::new().on_read(move |stream| {
        all.borrow_mut().extend(stream.input().to_vec());
        stream.close();
    });
    let stream = BufferEvent::from_socket(&base, left, handler).unwrap();
    assert_eq!(stream.peer(), Peer::Unnamed);
    stream.write(b"there and back").unwrap();
    base.run().unwrap();
    assert_eq!(*answer.borrow(), b"there and back");
}

// --- connecting to an address ---------------------------------------------------------------------

/// A listener whose queue is full: connecting to it takes until it is accepted, which is never.
fn silent() -> (TcpListener, SocketAddr, Vec<TcpStream>) {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let listener = listener.unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let listener = TcpListener::from(listener);
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        queue.push(stream);
    }
    (listener, address, queue)
}

#[test]
fn a_connection_that_takes_too_long_fails_once_and_leaves_no_socket() {
    let _watchdog = bounded();
    let (_listener, there, _queue) = silent();
    let mut base = EventBase::new().unwrap();
    let failed = count();
    let failures = failed.clone();
    // The stream stays open: nothing may come of it later.
    let handler = Callbacks::new().on_event(move |stream, event| {
        let StreamEvent::Failed(StreamError::ConnectTimedOut { peer }) = event else {
            panic!("{event:?}");
        };
        assert_eq!(peer, Peer::from(there));
        assert_eq!(stream.raw_fd(), None);
        failures.bump();
    });
    let stream = BufferEvent::connect(&base, there, handler).unwrap();
    stream
        .set_timeouts(None, Some(Duration::from_millis(20)))
        .unwrap();
    base.run().unwrap();
    assert_eq!(failed.get(), 1);
    assert!(!stream.is_closed());
}

#[test]
fn an_attempt_that_failed_can_be_followed_by_another_socket() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let answer = Rc::new(RefCell::new(Vec::new()));
    let all = answer.clone();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let spare = RefCell::new(Some(ours));
    let handler = Callbacks::new()
        .on_read(move |stream| {
            all.borrow_mut().extend(stream.input().to_vec());
            stream.close();
        })
        .on_event(move |stream, event| {
            assert!(matches!(
                event,
                StreamEvent::Failed(StreamError::Refused { .. })
            ));
            let ours = spare.borrow_mut().take().expect("one failure");
            stream.set_socket(ours).unwrap();
            stream.enable(libevent2::stream::Direction::BOTH).unwrap();
        });
    let stream = BufferEvent::connect(&base, nobody, handler).unwrap();
    stream.write(b"for whoever it is").unwrap();
    let echo = Callbacks::new()
        .on_read(|stream| stream.output().append_from(&stream.input()))
        .on_event(|stream, _| stream.close());
    BufferEvent::from_socket(&base, theirs, echo)
        .unwrap()
        .detach();
    base.run().unwrap();
    assert_eq!(*answer.borrow(), b"for whoever it is");
}

#[test]
fn a_socket_can_neither_be_given_nor_taken_while_it_connects() {
    let _watchdog = bounded();
    let (_listener, there, _queue) = silent();
    let base = EventBase::new().unwrap();
    let streams = [
        BufferEvent::connect(&base, there, Callbacks::new()).unwrap(),
        BufferEvent::connect_host(&base, "127.0.0.1", there.port(), Callbacks::new()).unwrap(),
    ];
    for stream in streams {
        assert!(matches!(
            stream.take_socket(),
            Err(Error::Invalid { what: "stream", .. })
        ));
        let (ours, _theirs) = UnixStream::pair().unwrap();
        assert!(matches!(
            stream.set_socket(ours),
            Err(Error::Invalid { what: "stream", .. })
        ));
    }
}
