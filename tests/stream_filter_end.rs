//! Filters: what they and their handlers hear, and how they end.

mod common;
mod filters;

use common::{Bump, Count, bounded, count};
use filters::{Frames, Text, collect, idle, plus_one, tcp_pair};
use libevent2::stream::{
    BufferEvent, Callbacks, Direction, Filter, FilterIo, FlushMode, StreamError, StreamEvent,
    filter_fn,
};
use libevent2::{BoxError, Buffer, EventBase};
use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

#[test]
fn everything_arrives_before_the_end_and_the_filter_hears_of_it() {
    struct Last(Rc<RefCell<Vec<FlushMode>>>);
    impl Filter for Last {
        fn input(
            &mut self,
            source: &mut Buffer,
            out: &mut Buffer,
            io: &mut FilterIo<'_>,
        ) -> Result<(), BoxError> {
            self.0.borrow_mut().push(io.mode());
            // Holds back the last byte until the end.
            let keep = usize::from(io.mode() != FlushMode::Finished);
            let length = source.len();
            source.move_to(out, length.saturating_sub(keep))?;
            Ok(())
        }
    }
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let (modes, text, ends) = (Rc::default(), Text::default(), count());
    let socket = BufferEvent::from_socket(&base, ours, idle()).unwrap();
    let filter = Last(Rc::clone(&modes));
    let _stream = BufferEvent::filter(socket, filter, collect(&text, &ends)).unwrap();
    theirs.write_all(b"whole").unwrap();
    while text.borrow().is_empty() {
        base.run_once().unwrap();
    }
    assert_eq!(*text.borrow(), b"whol");
    drop(theirs);
    while ends.get() == 0 {
        base.run_once().unwrap();
    }
    assert_eq!(*text.borrow(), b"whole");
    assert_eq!(modes.borrow().last(), Some(&FlushMode::Finished));
}

#[test]
fn the_end_waits_until_the_handler_has_made_room() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (near, far) = BufferEvent::pair(&base, idle(), idle()).unwrap();
    let (got, ends) = (Rc::new(Cell::new(0)), count());
    let (sum, ended, at_end) = (got.clone(), ends.clone(), got.clone());
    let handler = Callbacks::new()
        .on_read(move |stream| sum.set(sum.get() + stream.input().drain(50)))
        .on_event(move |stream, event| {
            assert!(matches!(event, StreamEvent::Eof));
            assert_eq!(at_end.get() + stream.input().len(), 1000);
            ended.bump();
        });
    struct Pass;
    impl Filter for Pass {}
    let near = BufferEvent::filter(near, Pass, handler).unwrap();
    near.set_watermarks(Direction::READ, 0, 100).unwrap();
    far.write(&[1; 1000]).unwrap();
    drop(far);
    while ends.get() == 0 {
        base.run_nonblocking().unwrap();
        near.trigger(Direction::READ).unwrap();
    }
    assert!(got.get() >= 850, "{}", got.get());
    assert_eq!(io_read(&near), 1000 - got.get());
}

fn io_read(stream: &BufferEvent) -> usize {
    let mut all = Vec::new();
    (&**stream).read_to_end(&mut all).unwrap()
}

#[test]
fn an_error_reaches_the_handler_once_and_after_what_came_before() {
    for (at, way) in [("input", 0), ("output", 1), ("begin", 2), ("finish", 3)] {
        struct Fails(&'static str, Count);
        impl Fails {
            fn fail(&self, here: &str) -> Result<(), BoxError> {
                if self.0 != here {
                    return Ok(());
                }
                self.1.bump();
                Err(format!("no {here}").into())
            }
        }
        impl Filter for Fails {
            fn begin(&mut self, _: &mut FilterIo<'_>) -> Result<(), BoxError> {
                self.fail("begin")
            }
            fn input(
                &mut self,
                source: &mut Buffer,
                out: &mut Buffer,
                _: &mut FilterIo<'_>,
            ) -> Result<(), BoxError> {
                source.move_to(out, 4)?;
                self.fail("input")
            }
            fn output(
                &mut self,
                source: &mut Buffer,
                out: &mut Buffer,
                _: &mut FilterIo<'_>,
            ) -> Result<(), BoxError> {
                source.move_to(out, 4)?;
                self.fail("output")
            }
            fn finish(&mut self, _: &mut Buffer) -> Result<(), BoxError> {
                self.fail("finish")
            }
        }
        let _watchdog = bounded();
        let mut base = EventBase::new().unwrap();
        let (near, far) = BufferEvent::pair(&base, idle(), idle()).unwrap();
        let (text, heard, calls) = (Text::default(), Rc::new(RefCell::new(Vec::new())), count());
        let (got, events) = (text.clone(), heard.clone());
        let handler = Callbacks::new()
            .on_read(move |stream| got.borrow_mut().extend(stream.input().take().to_vec()))
            .on_event(move |stream, event| {
                assert!(stream.enabled().is_empty());
                match event {
                    StreamEvent::Failed(error @ StreamError::Filter { .. }) => {
                        events.borrow_mut().push(error.to_string());
                    }
                    StreamEvent::Closed => {}
                    event => panic!("{event:?}"),
                }
            });
        let near = BufferEvent::filter(near, Fails(at, calls.clone()), handler).unwrap();
        far.write(b"some more").unwrap();
        near.write(b"some more").unwrap();
        if way == 3 {
            near.shutdown_write().unwrap();
        }
        for _ in 0..4 {
            base.run_nonblocking().unwrap();
        }
        assert_eq!(*heard.borrow(), [format!("unnamed peer: filter: no {at}")]);
        assert_eq!(calls.get(), 1, "{at}");
        if way == 0 {
            assert_eq!(*text.borrow(), b"some");
        }
        far.write(b"and more").unwrap();
        drop(far);
        near.write(b"and more").unwrap();
        for _ in 0..4 {
            base.run_nonblocking().unwrap();
        }
        assert_eq!((heard.borrow().len(), calls.get()), (1, 1), "{at}");
        near.finish();
        for _ in 0..4 {
            base.run_nonblocking().unwrap();
        }
        // With nobody to send to, nothing keeps it.
        assert_eq!(base.stats().live_total(), 0, "{at}");
    }
}

#[test]
fn failures_below_reach_the_handler_through_the_filter() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, theirs) = tcp_pair();
    let address = ours.peer_addr().unwrap();
    let heard = Rc::new(RefCell::new(String::new()));
    let text = heard.clone();
    let handler = Callbacks::new().on_event(move |stream, event| {
        let StreamEvent::Failed(error @ StreamError::Reset { .. }) = event else {
            panic!("{event:?}");
        };
        *text.borrow_mut() = error.to_string();
        stream.close();
    });
    let socket = BufferEvent::from_socket(&base, ours, idle()).unwrap();
    let lower = BufferEvent::filter(socket, plus_one(), idle()).unwrap();
    BufferEvent::filter(lower, plus_one(), handler)
        .unwrap()
        .detach();
    socket2::SockRef::from(&theirs)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(theirs);
    base.run().unwrap();
    assert_eq!(
        *heard.borrow(),
        format!("{address}: connection reset by peer")
    );
}

#[test]
fn a_filter_over_a_stream_that_connects_hears_of_the_connection() {
    for host in [false, true] {
        let _watchdog = bounded();
        let mut base = EventBase::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connected = count();
        let heard = connected.clone();
        let handler = Callbacks::new()
            .on_event(move |_, event| {
                if let StreamEvent::Connected = event {
                    heard.bump();
                }
            })
            .on_read(|stream| {
                assert_eq!(stream.input().take(), "ibm");
                stream.close();
            });
        let below = match host {
            true => BufferEvent::connect_host(&base, "localhost", address.port(), idle()),
            false => BufferEvent::connect(&base, address, idle()),
        };
        let stream = BufferEvent::filter(below.unwrap(), plus_one(), handler).unwrap();
        stream.write(b"HAL").unwrap();
        stream.detach();
        let peer = thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut text = [0; 3];
            peer.read_exact(&mut text).unwrap();
            assert_eq!(&text, b"IBM");
            peer.write_all(b"jcn").unwrap();
        });
        base.run().unwrap();
        peer.join().unwrap();
        assert_eq!(connected.get(), 1);
    }
}

#[test]
fn a_connection_that_is_not_made_is_told_through_the_filter() {
    for host in [false, true] {
        let _watchdog = bounded();
        let mut base = EventBase::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let heard = count();
        let seen = heard.clone();
        let handler = Callbacks::new().on_event(move |stream, event| {
            assert!(
                matches!(event, StreamEvent::Failed(StreamError::Refused { .. })),
                "{event:?}"
            );
            seen.bump();
            stream.close();
        });
        let below = match host {
            true => BufferEvent::connect_host(&base, "127.0.0.1", address.port(), idle()),
            false => BufferEvent::connect(&base, address, idle()),
        };
        BufferEvent::filter(below.unwrap(), plus_one(), handler)
            .unwrap()
            .detach();
        base.run().unwrap();
        assert_eq!(heard.get(), 1);
    }
}

/// A protocol with a handshake and a farewell: what TLS over a filter needs.
struct Polite {
    client: bool,
    ready: bool,
}

impl Filter for Polite {
    fn begin(&mut self, io: &mut FilterIo<'_>) -> Result<(), BoxError> {
        if self.client {
            io.reply().append(b"HELLO\n")?;
        }
        Ok(())
    }

    fn input(
        &mut self,
        source: &mut Buffer,
        out: &mut Buffer,
        io: &mut FilterIo<'_>,
    ) -> Result<(), BoxError> {
        if !self.ready {
            let Some(line) = source.read_line(libevent2::buffer::Eol::Lf)? else {
                return Ok(());
            };
            if line != b"HELLO" {
                return Err("who is that?".into());
            }
            if !self.client {
                io.reply().append(b"HELLO\n")?;
            }
            self.ready = true;
            io.emit(StreamEvent::Connected);
        }
        out.append_buffer(source)?;
        Ok(())
    }

    fn output(
        &mut self,
        source: &mut Buffer,
        out: &mut Buffer,
        _: &mut FilterIo<'_>,
    ) -> Result<(), BoxError> {
        if self.ready {
            out.append_buffer(source)?;
        }
        Ok(())
    }

    fn event(&mut self, event: StreamEvent, _: &mut FilterIo<'_>) -> Option<StreamEvent> {
        // Ours comes when the handshake is done.
        (!matches!(event, StreamEvent::Connected)).then_some(event)
    }

    fn finish(&mut self, out: &mut Buffer) -> Result<(), BoxError> {
        out.append(b"BYE\n")?;
        Ok(())
    }
}

#[test]
fn a_protocol_shakes_hands_and_says_farewell() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let log = Rc::new(RefCell::new(Vec::new()));
    let handler = |name: &'static str| {
        let (events, reads) = (log.clone(), log.clone());
        Callbacks::new()
            .on_event(move |_, event| events.borrow_mut().push(format!("{name}: {event:?}")))
            .on_read(move |stream| {
                let text = String::from_utf8(stream.input().take().to_vec()).unwrap();
                reads.borrow_mut().push(format!("{name}: {text}"));
            })
    };
    let (near, far) = BufferEvent::pair(&base, idle(), idle()).unwrap();
    let polite = |client| Polite {
        client,
        ready: false,
    };
    let near = BufferEvent::filter(near, polite(true), handler("client")).unwrap();
    let _far = BufferEvent::filter(far, polite(false), handler("server")).unwrap();
    near.write(b"request").unwrap();
    for _ in 0..10 {
        base.run_nonblocking().unwrap();
    }
    assert_eq!(
        log.take(),
        ["server: Connected", "client: Connected", "server: request"]
    );
    near.write(b"; ").unwrap();
    near.close_when_flushed();
    for _ in 0..10 {
        base.run_nonblocking().unwrap();
    }
    assert_eq!(
        log.take(),
        ["client: Closed", "server: ; BYE\n", "server: Eof"]
    );
    assert!(near.is_closed());
}

#[test]
fn shutdown_write_goes_all_the_way_down_and_reading_goes_on() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, theirs) = tcp_pair();
    let (text, ends) = (Text::default(), count());
    let socket = BufferEvent::from_socket(&base, ours, idle()).unwrap();
    let lower = BufferEvent::filter(socket, Frames, idle()).unwrap();
    let upper = BufferEvent::filter(
        lower,
        Polite {
            client: false,
            ready: true,
        },
        collect(&text, &ends),
    )
    .unwrap();
    let big = vec![9; 500_000];
    upper.write(&big).unwrap();
    upper.shutdown_write().unwrap();
    let peer = thread::spawn(move || {
        let mut all = Vec::new();
        (&theirs).read_to_end(&mut all).unwrap();
        (&theirs).write_all(b"\0\x02ok").unwrap();
        all
    });
    while ends.get() == 0 {
        base.run_once().unwrap();
    }
    let all = peer.join().unwrap();
    assert_eq!(*text.borrow(), b"ok");
    let mut frames = Buffer::from(all);
    let mut plain = Buffer::new();
    while !frames.is_empty() {
        let mut head = [0; 2];
        frames.copy_to(&mut head);
        frames.drain(2).unwrap();
        let length = usize::from(u16::from_be_bytes(head));
        frames.move_to(&mut plain, length).unwrap();
    }
    assert_eq!(plain.len(), 500_004);
    assert_eq!(plain.to_vec()[500_000..], *b"BYE\n");
}

#[test]
fn flush_has_the_filter_let_go() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (text, ends) = (Text::default(), count());
    let (near, far) = BufferEvent::pair(&base, idle(), collect(&text, &ends)).unwrap();
    let filter = filter_fn(
        |_, _, _| {},
        |source, out, io| match io.mode() {
            FlushMode::Normal => Ok(()),
            _ => out.append_buffer(source),
        },
    );
    let near = BufferEvent::filter(near, filter, idle()).unwrap();
    near.write(b"held").unwrap();
    base.run_nonblocking().unwrap();
    assert!(text.borrow().is_empty());
    assert!(near.flush(Direction::WRITE, FlushMode::Flush).unwrap());
    base.run_nonblocking().unwrap();
    assert_eq!((&text.borrow()[..], ends.get()), (&b"held"[..], 0));
    assert!(!near.flush(Direction::WRITE, FlushMode::Finished).unwrap());
    base.run_nonblocking().unwrap();
    assert_eq!(ends.get(), 1);
    drop(far);
}

#[test]
fn timeouts_are_those_of_the_stream_below() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let heard = Rc::new(RefCell::new(Vec::new()));
    let seen = heard.clone();
    let handler = Callbacks::new()
        .on_read(|_| {})
        .on_event(move |stream, event| {
            let StreamEvent::TimedOut(direction) = event else {
                panic!("{event:?}");
            };
            assert!(!stream.enabled().contains(direction));
            seen.borrow_mut().push(direction);
            stream.handle().exit();
        });
    let socket = BufferEvent::from_socket(&base, ours, idle()).unwrap();
    let stream = BufferEvent::filter(socket, plus_one(), handler).unwrap();
    let short = Some(Duration::from_millis(20));
    stream.set_timeouts(short, None).unwrap();
    base.run().unwrap();
    assert_eq!(heard.take(), [Direction::READ]);
    // Enabled again, it reads again.
    theirs.write_all(b"b").unwrap();
    stream.enable(Direction::READ).unwrap();
    while stream.input().is_empty() {
        base.run_once().unwrap();
    }
    // A peer that does not read.
    stream.set_timeouts(None, short).unwrap();
    stream.write(&vec![0; 4_000_000]).unwrap();
    base.run().unwrap();
    assert_eq!(heard.take(), [Direction::WRITE]);
}

#[test]
fn a_stream_becomes_a_filter_inside_its_own_handler() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let owner: Rc<RefCell<Option<BufferEvent>>> = Rc::default();
    let (text, ends) = (Text::default(), count());
    let (held, got, ended) = (owner.clone(), text.clone(), ends.clone());
    let handler = Callbacks::new().on_read(move |stream| {
        let Some(line) = stream.input().read_line(libevent2::buffer::Eol::Lf) else {
            return;
        };
        assert_eq!(line, b"STARTSECRET");
        stream.write(b"go ahead\n").unwrap();
        let plain = held.take().unwrap();
        let secret = BufferEvent::filter(plain, plus_one(), collect(&got, &ended)).unwrap();
        secret.write(b"HAL").unwrap();
        held.replace(Some(secret));
        // What is left of the plain one cannot do harm.
        stream.close();
        assert!(stream.set_handler(Callbacks::new()).is_err());
        assert!(stream.take_socket().is_err());
        stream.set_timeouts(None, None).unwrap();
    });
    let stream = BufferEvent::from_socket(&base, ours, handler).unwrap();
    owner.replace(Some(stream));
    theirs.write_all(b"STARTSECRET\njcn").unwrap();
    while text.borrow().len() < 3 {
        base.run_once().unwrap();
    }
    assert_eq!(*text.borrow(), b"ibm");
    for _ in 0..3 {
        base.run_nonblocking().unwrap();
    }
    let mut answer = [0; 12];
    theirs.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"go ahead\nIBM");
    owner.take();
    assert_eq!(theirs.read(&mut answer).unwrap(), 0, "closed at once");
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn the_socket_is_closed_with_the_filter() {
    for how in ["drop", "close", "base", "finish"] {
        let _watchdog = bounded();
        let mut base = EventBase::new().unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let socket = BufferEvent::from_socket(&base, ours, idle()).unwrap();
        let lower = BufferEvent::filter(socket, plus_one(), idle()).unwrap();
        let upper = BufferEvent::filter(lower, plus_one(), idle()).unwrap();
        assert!(upper.raw_fd().is_some());
        match how {
            "drop" => drop(upper),
            "close" => upper.close(),
            "base" => drop(base),
            _ => {
                upper.write(b"GYJ").unwrap();
                upper.finish();
                base.run().unwrap();
            }
        }
        let mut text = Vec::new();
        theirs.read_to_end(&mut text).unwrap();
        let expected: &[u8] = if how == "finish" { b"I[L" } else { b"" };
        assert_eq!(text, expected, "{how}");
    }
}
