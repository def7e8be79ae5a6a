//! What the tests of streams share.

#![allow(dead_code, reason = "each test binary uses its own part")]

use libevent2::stream::{BufferEventRef, Callbacks, Handler, StreamEvent};
use libevent2::{BoxError, EventBase, Timer};
use std::cell::RefCell;
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Duration;

/// What a handler has heard, as text.
#[derive(Clone, Default)]
pub struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    pub fn note(&self, text: impl Into<String>) {
        self.0.borrow_mut().push(text.into());
    }

    /// What was noted since the last time.
    pub fn take(&self) -> Vec<String> {
        self.0.take()
    }

    pub fn count(&self, text: &str) -> usize {
        self.0.borrow().iter().filter(|line| *line == text).count()
    }
}

/// Notes everything and does nothing else: what comes stays in the input.
pub fn noting(log: &Log) -> impl Handler + use<> {
    noting_and(log, |_, _| {})
}

/// Notes everything, and then does `more` with what was noted.
pub fn noting_and<F: FnMut(&BufferEventRef, &str) + 'static>(log: &Log, more: F) -> Noting<F> {
    Noting(log.clone(), more)
}

pub struct Noting<F>(Log, F);

impl<F: FnMut(&BufferEventRef, &str) + 'static> Noting<F> {
    fn note(&mut self, stream: &BufferEventRef, text: String) {
        self.0.note(&text);
        (self.1)(stream, &text);
    }
}

impl<F: FnMut(&BufferEventRef, &str) + 'static> Handler for Noting<F> {
    fn on_read(&mut self, stream: &BufferEventRef) -> Result<(), BoxError> {
        let length = stream.input().len();
        self.note(stream, format!("read {length}"));
        Ok(())
    }

    fn on_write(&mut self, stream: &BufferEventRef) -> Result<(), BoxError> {
        self.note(stream, "sent".to_owned());
        Ok(())
    }

    fn on_event(&mut self, stream: &BufferEventRef, event: StreamEvent) -> Result<(), BoxError> {
        let text = match event {
            StreamEvent::TimedOut(direction) => format!("timed out: {direction:?}"),
            StreamEvent::Failed(error) => format!("failed: {error}"),
            event => format!("{event:?}").to_lowercase(),
        };
        self.note(stream, text);
        Ok(())
    }
}

/// Throws away what comes, and closes at the end.
pub fn sink() -> impl Handler {
    Callbacks::new()
}

pub fn echo() -> impl Handler {
    Callbacks::new().on_read(|stream| stream.output().append_from(&stream.input()))
}

pub fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// Runs the loop for this long.
pub fn run_for(base: &mut EventBase, time: Duration) {
    let timer = Timer::after(base, time, |handle| handle.exit()).unwrap();
    base.run().unwrap();
    drop(timer);
}

/// Runs the loop until something is so.
pub fn run_until(base: &mut EventBase, mut done: impl FnMut() -> bool) {
    while !done() {
        base.run_once().unwrap();
    }
}

/// More than a socket takes when nobody reads.
pub const TOO_MUCH: usize = 8 * 1024 * 1024;

pub const MOMENT: Duration = Duration::from_millis(20);
