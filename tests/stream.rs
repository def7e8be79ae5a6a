//! Streams over sockets: what is read, written, enabled, limited and ended.

mod common;

use common::{Bump, bounded, count};
use libevent2::stream::{BufferEvent, Callbacks, Direction, StreamError, StreamEvent};
use libevent2::{Buffer, EventBase, Timer};
use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

#[test]
fn an_echo_answers_and_hears_the_end() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, mut theirs) = tcp_pair();
    let ends = count();
    let seen = ends.clone();
    let handler = Callbacks::new()
        .on_read(|stream| stream.output().append_from(&stream.input()))
        .on_event(move |stream, event| {
            assert!(matches!(event, StreamEvent::Eof));
            seen.bump();
            stream.close();
        });
    BufferEvent::from_socket(&base, ours, handler)
        .unwrap()
        .detach();
    let peer = thread::spawn(move || {
        theirs.write_all(b"hello").unwrap();
        let mut text = [0; 5];
        theirs.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"hello");
    });
    base.run().unwrap();
    peer.join().unwrap();
    assert_eq!(ends.get(), 1);
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn megabytes_go_through_whole_and_in_order() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, theirs) = tcp_pair();
    let handler = Callbacks::new()
        .on_read(|stream| stream.output().append_from(&stream.input()))
        .on_event(|stream, _| stream.close_when_flushed());
    BufferEvent::from_socket(&base, ours, handler)
        .unwrap()
        .detach();
    let sent: Vec<u8> = (0..8_000_000u32).map(|n| (n / 7) as u8).collect();
    let expected = sent.clone();
    let mut writer = theirs.try_clone().unwrap();
    let mut reader = theirs;
    let write = thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let read = thread::spawn(move || {
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        assert!(all == expected);
    });
    base.run().unwrap();
    write.join().unwrap();
    read.join().unwrap();
}

#[test]
fn what_is_written_in_a_callback_goes_out_when_it_returns() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let handler = Callbacks::new().on_read(|stream| stream.output().append_from(&stream.input()));
    let _stream = BufferEvent::from_socket(&base, ours, handler).unwrap();
    theirs.write_all(b"now").unwrap();
    base.run_once().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let mut text = [0; 3];
    theirs.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"now");
}

#[test]
fn what_is_written_elsewhere_goes_out_in_the_same_turn() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let stream = Rc::new(BufferEvent::from_socket(&base, ours, Callbacks::new()).unwrap());
    let writer = stream.clone();
    let _timer = Timer::after(&base, Duration::from_millis(1), move |_| {
        writer.write(b"one ").unwrap();
        writer.write(b"write").unwrap();
    })
    .unwrap();
    base.run_once().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let mut text = [0; 9];
    theirs.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"one write");
}

#[test]
fn the_high_watermark_bounds_the_input() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, mut theirs) = tcp_pair();
    let most = Rc::new(RefCell::new(0));
    let seen = most.clone();
    let handler = Callbacks::new().on_read(move |stream| {
        let length = stream.input().len();
        let mut most = seen.borrow_mut();
        *most = length.max(*most);
        stream.input().drain(100);
        if stream.input().is_empty() {
            stream.handle().exit();
        }
    });
    let stream = BufferEvent::from_socket(&base, ours, handler).unwrap();
    stream.set_watermarks(Direction::READ, 0, 10_000).unwrap();
    theirs.write_all(&[7; 50_000]).unwrap();
    base.run_once().unwrap();
    assert_eq!(*most.borrow(), 10_000);
}

#[test]
fn a_refused_connection_names_the_address() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let heard = Rc::new(RefCell::new(String::new()));
    let text = heard.clone();
    let handler = Callbacks::new().on_event(move |stream, event| {
        let StreamEvent::Failed(error @ StreamError::Refused { .. }) = event else {
            panic!("{event:?}");
        };
        *text.borrow_mut() = error.to_string();
        stream.close();
    });
    BufferEvent::connect(&base, address, handler)
        .unwrap()
        .detach();
    base.run().unwrap();
    assert_eq!(*heard.borrow(), format!("{address}: connection refused"));
}

#[test]
fn a_reset_is_told_from_an_end() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, theirs) = tcp_pair();
    let resets = count();
    let seen = resets.clone();
    let handler = Callbacks::new().on_event(move |stream, event| {
        assert!(
            matches!(event, StreamEvent::Failed(StreamError::Reset { .. })),
            "{event:?}"
        );
        seen.bump();
        stream.close();
    });
    BufferEvent::from_socket(&base, ours, handler)
        .unwrap()
        .detach();
    socket2::SockRef::from(&theirs)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(theirs);
    base.run().unwrap();
    assert_eq!(resets.get(), 1);
}

#[test]
fn a_large_buffer_is_sent_by_the_loop_when_the_socket_is_full() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, mut theirs) = tcp_pair();
    let stream = BufferEvent::from_socket(
        &base,
        ours,
        Callbacks::new().on_write(|stream| {
            assert!(stream.output().is_empty());
            stream.close();
        }),
    )
    .unwrap();
    let mut buffer = Buffer::from(vec![3; 20_000_000]);
    stream.output().append_buffer(&mut buffer).unwrap();
    assert!(buffer.is_empty());
    stream.detach();
    let reader = thread::spawn(move || {
        let mut all = Vec::new();
        theirs.read_to_end(&mut all).unwrap();
        all.len()
    });
    base.run().unwrap();
    assert_eq!(reader.join().unwrap(), 20_000_000);
}

#[test]
fn a_pipe_is_written_as_well_as_a_socket() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let writer = std::os::fd::OwnedFd::from(writer);
    let stream = BufferEvent::from_socket(&base, writer, Callbacks::new()).unwrap();
    stream.disable(Direction::READ).unwrap();
    stream.write(b"through a pipe").unwrap();
    stream.finish();
    base.run().unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "through a pipe");
}

#[test]
fn small_and_large_messages_arrive_whole_whatever_was_expected() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, mut theirs) = tcp_pair();
    let handler = Callbacks::new()
        .on_read(|stream| stream.output().append_from(&stream.input()))
        .on_event(|stream, _| stream.close_when_flushed());
    BufferEvent::from_socket(&base, ours, handler)
        .unwrap()
        .detach();
    let peer = thread::spawn(move || {
        for length in [1, 100_000, 10, 5_000, 300_000, 1, 1, 1, 1, 1, 1, 1, 70_000] {
            let message: Vec<u8> = (0..length).map(|n: u32| (n % 251) as u8).collect();
            let mut writer = theirs.try_clone().unwrap();
            let copy = message.clone();
            let write = thread::spawn(move || writer.write_all(&copy).unwrap());
            let mut answer = vec![0; message.len()];
            theirs.read_exact(&mut answer).unwrap();
            assert!(answer == message, "{length} bytes");
            write.join().unwrap();
        }
    });
    base.run().unwrap();
    peer.join().unwrap();
}
