//! A stream's socket, handed over and taken back.
#![cfg(unix)]

mod common;
mod stream_common;

use common::bounded;
use libevent2::stream::{BufferEvent, Callbacks, Direction, Peer, Socket, StreamEvent};
use libevent2::{Error, EventBase, EventConfig};
use std::cell::RefCell;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use stream_common::{
    Log, MOMENT, TOO_MUCH, echo, noting, noting_and, run_for, run_until, tcp_pair,
};

#[test]
fn a_socket_taken_is_ours_and_the_buffers_stay() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let number = ours.as_raw_fd();
    let stream = BufferEvent::from_socket(&base, ours, noting(&log)).unwrap();
    assert_eq!(stream.raw_fd(), Some(number));
    theirs.write_all(b"unread").unwrap();
    run_until(&mut base, || log.count("read 6") == 1);
    stream.disable(Direction::WRITE).unwrap();
    stream.write(b"unsent").unwrap();

    let socket = stream.take_socket().unwrap();
    assert_eq!(socket.as_raw_fd(), number);
    assert_eq!(stream.raw_fd(), None);
    assert!(!stream.is_closed());
    assert_eq!(stream.input().to_vec(), b"unread");
    assert_eq!(stream.output().len(), 6);
    // Nobody watches it any more.
    theirs.write_all(b"for others").unwrap();
    base.run().unwrap();
    let mut plain = UnixStream::from(socket);
    let mut text = [0; 10];
    plain.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"for others");

    // Another one takes its place.
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    stream.set_socket(ours).unwrap();
    stream.enable(Direction::WRITE).unwrap();
    theirs.write_all(b" more").unwrap();
    run_until(&mut base, || log.count("read 11") == 1);
    assert_eq!(stream.input().to_vec(), b"unread more");
    let mut text = [0; 6];
    theirs.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"unsent");
}

#[test]
fn what_was_written_goes_out_before_the_socket_is_taken() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let stream = BufferEvent::from_socket(&base, ours, noting(&log)).unwrap();
    stream.write(b"first").unwrap();
    let mut plain = UnixStream::from(stream.take_socket().unwrap());
    assert!(stream.output().is_empty());
    // No handler runs inside the call.
    assert!(log.take().is_empty());
    plain.write_all(b" second").unwrap();
    let mut text = [0; 12];
    theirs.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"first second");
    base.run().unwrap();
}

#[test]
fn what_did_not_fit_goes_to_the_next_socket() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let log = Log::default();
    let stream = BufferEvent::from_socket(&base, ours, noting(&log)).unwrap();
    stream.write(&vec![7; TOO_MUCH]).unwrap();
    run_for(&mut base, MOMENT);
    let left = stream.output().len();
    assert!(left > 0 && left < TOO_MUCH);
    drop(stream.take_socket().unwrap());
    drop(theirs);

    let (ours, mut theirs) = UnixStream::pair().unwrap();
    stream.set_socket(ours).unwrap();
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        theirs.read_to_end(&mut all).unwrap();
        all
    });
    run_until(&mut base, || log.count("sent") == 1);
    drop(stream);
    assert!(reader.join().unwrap() == vec![7; left]);
}

#[test]
fn a_socket_moves_to_another_stream_inside_a_callback() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let second = Rc::new(RefCell::new(None));
    let place = second.clone();
    // Reads the greeting, then gives the rest of the connection to an echo.
    let handler = Callbacks::new().on_read(move |stream| {
        let greeting = stream.input().to_vec();
        assert_eq!(greeting, b"hello");
        stream.input().clear();
        let socket = stream.take_socket().unwrap();
        let echo = BufferEvent::from_socket(stream.handle(), socket, echo()).unwrap();
        assert!(place.replace(Some(echo)).is_none());
        stream.write(b"never sent").unwrap();
    });
    let first = BufferEvent::from_socket(&base, ours, handler).unwrap();
    let log = Log::default();
    let answer = noting_and(&log, |stream, heard| {
        if heard == "read 3" {
            assert_eq!(stream.input().to_vec(), b"you");
            stream.close();
        }
    });
    let peer = BufferEvent::from_socket(&base, theirs, answer).unwrap();
    peer.write(b"hello").unwrap();
    run_until(&mut base, || second.borrow().is_some());
    peer.write(b"you").unwrap();
    run_until(&mut base, || peer.is_closed());
    assert_eq!(first.output().len(), 10);
}

#[test]
fn a_socket_is_exchanged_inside_the_end_of_the_one_before() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Log::default();
    let (ours, theirs) = tcp_pair();
    let (next, mut next_peer) = tcp_pair();
    let next = RefCell::new(Some(next));
    let handler = noting_and(&log, move |stream, heard| {
        if heard == "eof"
            && let Some(next) = next.take()
        {
            let address = next.peer_addr().unwrap();
            drop(stream.take_socket().unwrap());
            stream.set_socket(next).unwrap();
            stream.enable(Direction::READ).unwrap();
            assert_eq!(stream.peer(), Peer::from(address));
        }
    });
    let stream = BufferEvent::from_socket(&base, ours, handler).unwrap();
    drop(theirs);
    run_until(&mut base, || log.count("eof") == 1);
    next_peer.write_all(b"go on").unwrap();
    run_until(&mut base, || log.count("read 5") == 1);
    drop(next_peer);
    run_until(&mut base, || log.count("eof") == 2);
    assert_eq!(log.take(), ["eof", "read 5", "eof"]);
    assert!(!stream.is_closed());
}

#[test]
fn priority_and_directions_stay_when_the_socket_goes() {
    let _watchdog = bounded();
    let mut base = EventConfig::new().priorities(3).build().unwrap();
    let log = Log::default();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let stream = BufferEvent::from_socket(&base, ours, noting(&log)).unwrap();
    assert_eq!(stream.priority(), 1);
    stream.set_priority(2).unwrap();
    stream.disable(Direction::READ).unwrap();
    let socket = stream.take_socket().unwrap();
    assert_eq!(stream.priority(), 2);
    stream.set_socket(socket).unwrap();
    assert_eq!(stream.priority(), 2);
    assert_eq!(stream.enabled(), Direction::WRITE);
    theirs.write_all(b"not read").unwrap();
    run_for(&mut base, MOMENT);
    assert!(log.take().is_empty());

    // The more urgent one is first, though it is the newer one.
    let (ours, mut theirs_too) = UnixStream::pair().unwrap();
    let urgent = {
        let log = log.clone();
        Callbacks::new().on_read(move |stream| {
            log.note("urgent");
            stream.input().clear();
        })
    };
    let urgent = BufferEvent::from_socket(&base, ours, urgent).unwrap();
    urgent.set_priority(0).unwrap();
    let socket = urgent.take_socket().unwrap();
    urgent.set_socket(socket).unwrap();
    stream.enable(Direction::READ).unwrap();
    theirs_too.write_all(b".").unwrap();
    run_until(&mut base, || log.count("read 8") == 1);
    assert_eq!(log.take(), ["urgent", "read 8"]);

    let error = stream.set_priority(3).unwrap_err();
    assert!(matches!(
        error,
        Error::Invalid {
            what: "priority",
            ..
        }
    ));
}

#[test]
fn what_cannot_be_given_or_taken_says_why() {
    let _watchdog = bounded();
    let base = EventBase::new().unwrap();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let pair = || UnixStream::pair().unwrap().0;
    let stream = BufferEvent::from_socket(&base, ours, echo()).unwrap();
    let text = |result: Result<(), Error>| result.unwrap_err().to_string();
    assert_eq!(
        text(stream.set_socket(pair())),
        "stream: it has a socket already"
    );
    drop(stream.take_socket().unwrap());
    assert_eq!(
        text(stream.take_socket().map(drop)),
        "stream: it has no socket"
    );
    assert_eq!(
        text(stream.try_clone_socket().map(drop)),
        "stream: it has no socket"
    );
    stream.close();
    assert_eq!(text(stream.take_socket().map(drop)), "stream is closed");
    assert_eq!(text(stream.set_socket(pair())), "stream is closed");
    assert_eq!(
        text(stream.try_clone_socket().map(drop)),
        "stream is closed"
    );
    assert_eq!(stream.raw_fd(), None);

    let (one, _other) = BufferEvent::pair(&base, echo(), echo()).unwrap();
    assert!(matches!(one.take_socket(), Err(Error::Unsupported { .. })));
    assert!(matches!(
        one.set_socket(pair()),
        Err(Error::Unsupported { .. })
    ));
}

#[test]
fn a_second_descriptor_looks_at_the_same_socket() {
    let _watchdog = bounded();
    let base = EventBase::new().unwrap();
    let (ours, theirs) = tcp_pair();
    let stream = BufferEvent::from_socket(&base, ours, echo()).unwrap();
    let socket = socket2::Socket::from(stream.try_clone_socket().unwrap());
    socket.set_tcp_nodelay(true).unwrap();
    let there = socket.peer_addr().unwrap().as_socket();
    assert_eq!(there, Some(theirs.local_addr().unwrap()));
    assert_ne!(Some(socket.as_raw_fd()), stream.raw_fd());
    let nonblocking = socket.nonblocking().unwrap();
    assert!(nonblocking);
}

#[test]
fn a_descriptor_without_a_peer_can_be_given_a_name() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let ours: OwnedFd = ours.into();
    let socket = Socket::with_peer(ours, Peer::Host("the child".to_owned()));
    let log = Log::default();
    let events = log.clone();
    let handler = Callbacks::new().on_event(move |stream, event| {
        assert!(matches!(event, StreamEvent::Eof));
        events.note(stream.peer().to_string());
        stream.close();
    });
    BufferEvent::from_socket(&base, socket, handler)
        .unwrap()
        .detach();
    drop(theirs);
    base.run().unwrap();
    assert_eq!(log.take(), ["the child"]);
}
