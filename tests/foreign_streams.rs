//! Streams that C makes, gets, or uses beside Rust.

mod common;

use common::{Bump, DropCount, bounded, count};
use libevent2::stream::{BufferEvent, Callbacks, Direction, StreamEvent};
use libevent2::{EventBase, ffi};
use std::cell::RefCell;
use std::io::{Read, Write};
use std::os::fd::IntoRawFd;
use std::os::raw::{c_int, c_short, c_void};
use std::os::unix::net::UnixStream;
use std::ptr;
use std::rc::Rc;

fn c_stream(base: &EventBase, socket: UnixStream) -> *mut ffi::bufferevent {
    socket.set_nonblocking(true).unwrap();
    let options = ffi::BEV_OPT_CLOSE_ON_FREE as c_int;
    // SAFETY: the base is alive; the descriptor is the bufferevent's from here on.
    let raw =
        unsafe { ffi::bufferevent_socket_new(base.as_ptr(), socket.into_raw_fd() as _, options) };
    assert!(!raw.is_null());
    raw
}

#[test]
fn a_bufferevent_of_cs_gets_a_handler() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let raw = c_stream(&base, ours);
    let drops = count();
    let kept = DropCount(drops.clone());
    let handler = Callbacks::new()
        .on_read(|stream| stream.output().append_from(&stream.input()))
        .on_event(move |stream, event| {
            let _ = &kept;
            match event {
                StreamEvent::Eof => stream.close_when_flushed(),
                event => assert!(matches!(event, StreamEvent::Closed)),
            }
        });
    // SAFETY: nobody else has it.
    let stream = unsafe { BufferEvent::from_ptr(&base, raw, handler) }.unwrap();
    assert_eq!(stream.enabled(), Direction::WRITE);
    stream.enable(Direction::READ).unwrap();
    stream.detach();
    theirs.write_all(b"to and fro").unwrap();
    theirs.shutdown(std::net::Shutdown::Write).unwrap();
    let peer = std::thread::spawn(move || {
        let mut text = String::new();
        theirs.read_to_string(&mut text).unwrap();
        text
    });
    base.run().unwrap();
    drop(base);
    assert_eq!(peer.join().unwrap(), "to and fro");
    assert_eq!(drops.get(), 1);
}

#[test]
fn a_bufferevent_of_another_base_stays_cs() {
    let base = EventBase::new().unwrap();
    let other = EventBase::new().unwrap();
    let raw = c_stream(&other, UnixStream::pair().unwrap().0);
    // SAFETY: nobody else has it.
    assert!(unsafe { BufferEvent::from_ptr(&base, raw, Callbacks::new()) }.is_err());
    // SAFETY: still ours, and freed once.
    unsafe { ffi::bufferevent_free(raw) };
}

unsafe extern "C" fn echo(bev: *mut ffi::bufferevent, _: *mut c_void) {
    // SAFETY: C calls with a bufferevent that is alive.
    unsafe {
        let (input, output) = (
            ffi::bufferevent_get_input(bev),
            ffi::bufferevent_get_output(bev),
        );
        ffi::evbuffer_add_buffer(output, input);
    }
}

unsafe extern "C" fn end(bev: *mut ffi::bufferevent, _: c_short, arg: *mut c_void) {
    // SAFETY: as above; `arg` is the test's own flag.
    unsafe {
        ffi::bufferevent_free(bev);
        *arg.cast::<bool>() = true;
    }
}

#[test]
fn a_stream_given_to_c_is_driven_by_cs_callbacks() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let drops = count();
    let kept = DropCount(drops.clone());
    let handler = Callbacks::new().on_read(move |_| {
        let _ = &kept;
    });
    let raw = BufferEvent::from_socket(&base, ours, handler)
        .unwrap()
        .into_ptr();
    assert_eq!(drops.get(), 1);
    let mut ended = false;
    // SAFETY: it is C's now, and `ended` outlives the run.
    unsafe {
        let arg = (&raw mut ended).cast();
        ffi::bufferevent_setcb(raw, Some(echo), None, Some(end), arg);
        assert_eq!(
            ffi::bufferevent_get_enabled(raw),
            (ffi::EV_READ | ffi::EV_WRITE) as c_short
        );
    }
    let peer = std::thread::spawn(move || {
        theirs.write_all(b"C echoes").unwrap();
        let mut text = [0; 8];
        theirs.read_exact(&mut text).unwrap();
        text
    });
    base.run().unwrap();
    assert_eq!(&peer.join().unwrap(), b"C echoes");
    assert!(ended);
}

#[test]
fn c_code_writes_to_a_stream_of_ours_by_its_pointer() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let sent = count();
    let seen = sent.clone();
    let handler = Callbacks::new().on_write(move |stream| {
        seen.bump();
        stream.close();
    });
    let stream = BufferEvent::from_socket(&base, ours, handler).unwrap();
    let text = b"from C";
    // SAFETY: alive; C copies the bytes.
    let code = unsafe { ffi::bufferevent_write(stream.as_ptr(), text.as_ptr().cast(), text.len()) };
    assert_eq!(code, 0);
    base.run().unwrap();
    let mut all = Vec::new();
    theirs.read_to_end(&mut all).unwrap();
    assert_eq!(all, text);
    assert_eq!(sent.get(), 1);
}

#[test]
fn the_pointer_of_a_closed_stream_is_null() {
    let base = EventBase::new().unwrap();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let stream = BufferEvent::from_socket(&base, ours, Callbacks::new()).unwrap();
    stream.close();
    assert_eq!(stream.as_ptr(), ptr::null_mut());
    assert_eq!(stream.into_ptr(), ptr::null_mut());
}

/// Panics when it is dropped.
struct Bomb(Rc<RefCell<Option<DropCount>>>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.borrow_mut().take();
        panic!("dropped");
    }
}

#[test]
fn a_handler_that_panics_when_it_is_dropped_in_the_loop_stops_the_loop() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let drops = count();
    let bomb = Bomb(Rc::new(RefCell::new(Some(DropCount(drops.clone())))));
    let handler = Callbacks::new().on_event(move |stream, _| {
        let _ = &bomb;
        stream.close_when_flushed();
    });
    BufferEvent::from_socket(&base, ours, handler)
        .unwrap()
        .detach();
    drop(theirs);
    let run = std::panic::AssertUnwindSafe(|| base.run());
    let payload = std::panic::catch_unwind(run).unwrap_err();
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"dropped"));
    assert_eq!(drops.get(), 1);
    assert_eq!(base.stats().live_total(), 0);
}
