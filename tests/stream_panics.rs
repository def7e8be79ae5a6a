//! Panics in what a stream drops, wherever that happens.

mod common;
mod stream_common;

use common::bounded;
use libevent2::stream::{BufferEvent, BufferEventRef, Handler, StreamEvent, StreamShare};
use libevent2::{BoxError, EventBase};
use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use stream_common::sink;

type Shared<T> = Rc<RefCell<Option<T>>>;

#[test]
fn a_handler_whose_drop_panics_does_so_when_its_connection_was_not_made() {
    let _watchdog = bounded();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for refused in [false, true] {
        for host in ["127.0.0.1", "localhost"] {
            let mut base = EventBase::new().unwrap();
            let port = match refused {
                true => {
                    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                    gone.local_addr().unwrap().port()
                }
                false => port,
            };
            let stream = BufferEvent::connect_host(&base, host, port, Bomb(None)).unwrap();
            panics(|| {
                base.run().unwrap();
            });
            assert!(stream.is_closed());
        }
    }
}

/// Does something at its end, and panics.
struct Bomb(Option<Box<dyn FnOnce()>>);

impl Handler for Bomb {
    fn on_read(&mut self, _: &BufferEventRef) -> Result<(), BoxError> {
        panic!("on_read");
    }

    fn on_write(&mut self, stream: &BufferEventRef) -> Result<(), BoxError> {
        stream.close();
        Ok(())
    }

    fn on_event(&mut self, stream: &BufferEventRef, _: StreamEvent) -> Result<(), BoxError> {
        stream.close_when_flushed();
        Ok(())
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        if let Some(last) = self.0.take() {
            last();
        }
        panic!("the drop of a handler");
    }
}

fn panics(f: impl FnOnce()) {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).unwrap_err();
}

#[test]
fn a_handler_whose_drop_panics_does_so_out_of_the_run_that_ends_its_stream() {
    let _watchdog = bounded();
    type End = fn(&BufferEvent, &UnixStream);
    let ends: [End; 4] = [
        |stream, _| stream.write(b"x").unwrap(),
        |stream, _| stream.trigger_event(StreamEvent::Connected).unwrap(),
        |stream, _| stream.close_when_flushed(),
        |_, far| far.shutdown(std::net::Shutdown::Both).unwrap(),
    ];
    for end in ends {
        let mut base = EventBase::new().unwrap();
        let (near, far) = UnixStream::pair().unwrap();
        let ended = Rc::new(Cell::new(false));
        let last = ended.clone();
        let bomb = Bomb(Some(Box::new(move || last.set(true))));
        let stream = BufferEvent::from_socket(&base, near, bomb).unwrap();
        end(&stream, &far);
        panics(|| {
            base.run().unwrap();
        });
        assert!(stream.is_closed() && ended.get());
    }
}

#[test]
fn a_panic_in_a_callback_and_in_the_drop_of_its_handler_are_one_panic() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    let share: Shared<StreamShare> = Shared::default();
    let last = share.clone();
    let bomb = Bomb(Some(Box::new(move || {
        let stream: StreamShare = last.take().unwrap();
        assert!(stream.is_closed());
        stream.set_handler(sink()).unwrap_err();
    })));
    let stream = BufferEvent::from_socket(&base, near, bomb).unwrap();
    share.replace(Some(stream.share()));
    (&far).write_all(b"x").unwrap();
    panics(|| {
        base.run().unwrap();
    });
    panics(|| drop(stream));
    base.run().unwrap();
}
