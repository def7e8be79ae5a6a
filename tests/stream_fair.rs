//! Streams that never stop leave the rest of the loop its turn.

mod common;
mod stream_common;

use common::{Bump as _, bounded, count};
use libevent2::EventBase;
use libevent2::stream::{BufferEvent, Callbacks, StreamEvent, StreamShare, filter_fn};
use std::cell::RefCell;
use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;
use stream_common::{run_for, sink};

type Shared<T> = Rc<RefCell<Option<T>>>;

#[test]
fn streams_that_write_to_each_other_for_ever_leave_the_timers_their_turn() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let other: Shared<StreamShare> = Shared::default();
    let mut streams = Vec::new();
    let mut readers = Vec::new();
    let slots = [other.clone(), Shared::default()];
    for n in 0..2 {
        let (near, far) = UnixStream::pair().unwrap();
        let to = slots[1 - n].clone();
        let stream = BufferEvent::from_socket(
            &base,
            near,
            Callbacks::new().on_write(move |_| to.borrow().as_ref().unwrap().write(b"your turn")),
        )
        .unwrap();
        slots[n].replace(Some(stream.share()));
        streams.push(stream);
        readers.push(std::thread::spawn(move || {
            let mut bytes = [0; 65536];
            while (&far).read(&mut bytes).unwrap() > 0 {}
        }));
    }
    streams[0].write(b"begin").unwrap();
    run_for(&mut base, Duration::from_millis(20));
    drop((streams, slots, other));
    readers
        .into_iter()
        .for_each(|reader| reader.join().unwrap());
}

#[test]
fn a_stream_that_triggers_itself_for_ever_leaves_the_timers_their_turn() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let events = count();
    let seen = events.clone();
    let handler = Callbacks::new().on_event(move |stream, event| {
        seen.bump();
        stream.trigger_event(event)
    });
    let (near, _far) = BufferEvent::pair(&base, handler, sink()).unwrap();
    near.trigger_event(StreamEvent::Connected).unwrap();
    run_for(&mut base, Duration::from_millis(20));
    assert!(events.get() > 16);
}

#[test]
fn streams_that_trigger_each_other_for_ever_leave_the_timers_their_turn() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let events = count();
    let handler = || {
        let seen = events.clone();
        Callbacks::new().on_event(move |stream, event| {
            seen.bump();
            stream
                .with_partner(|partner| partner.trigger_event(event))
                .unwrap()
        })
    };
    let (near, _far) = BufferEvent::pair(&base, handler(), handler()).unwrap();
    near.trigger_event(StreamEvent::Connected).unwrap();
    run_for(&mut base, Duration::from_millis(20));
    assert!(events.get() > 16);
}

#[test]
fn a_filter_that_never_ends_leaves_the_timers_their_turn() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (near, far) = BufferEvent::pair(&base, sink(), sink()).unwrap();
    let endless = filter_fn(
        |source, out, io| {
            source.clear()?;
            io.hold();
            out.append(b"x")
        },
        |source, out, _| out.append_buffer(source),
    );
    let stream = BufferEvent::filter(near, endless, sink()).unwrap();
    far.write(b"begin").unwrap();
    run_for(&mut base, Duration::from_millis(20));
    assert!(!stream.is_closed());
}
