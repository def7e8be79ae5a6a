//! The server: one loop, one listener, one timer per request.

use super::Statistics;
use libevent2::listener::{Accepted, Address, ListenerRef};
use libevent2::stream::{BufferEvent, BufferEventRef, Callbacks, Handler, StreamEvent};
use libevent2::{BoxError, CommonTimeout, Listener, LoopHandle, Timer};
use std::cell::Cell;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Content-Type: text/plain\r\n\
    Content-Length: 9\r\n\
    Connection: close\r\n\
    \r\n\
    answered\n";

/// The most that a request may have before the empty line.
const MAX_HEAD: usize = 8 * 1024;

pub struct Server {
    listener: Listener,
    shared: Rc<Shared>,
    /// Before there was a connection.
    memory: u64,
}

/// What all connections have in common.
struct Shared {
    /// The loop keeps all timers with this time in one queue, so one costs little however many
    /// there are.
    delay: CommonTimeout,
    live: Cell<u64>,
    answered: Cell<u64>,
    failed: Cell<u64>,
}

fn bump(count: &Cell<u64>) {
    count.set(count.get() + 1);
}

impl Server {
    pub fn bind(base: &LoopHandle, port: u16, delay: Duration) -> libevent2::Result<Self> {
        let shared = Rc::new(Shared {
            delay: CommonTimeout::new(base, delay)?,
            live: Cell::default(),
            answered: Cell::default(),
            failed: Cell::default(),
        });
        let of_each = shared.clone();
        let mut full = false;
        let listener = Listener::options()
            .reuse_port()
            .on_error(move |_, error| {
                // One that waits until there are descriptors again would say so for ever.
                if !std::mem::replace(&mut full, true) {
                    eprintln!("delay_server: accept: {error}");
                }
            })
            .bind(
                base,
                (Ipv4Addr::UNSPECIFIED, port).into(),
                move |listener, client| Connection::begin(listener, client, &of_each),
            )?;
        Ok(Server {
            listener,
            shared,
            memory: Statistics::memory(),
        })
    }

    pub fn address(&self) -> libevent2::Result<Address> {
        self.listener.local_addr()
    }

    pub fn statistics(&self) -> Statistics {
        let memory = Statistics::memory();
        Statistics {
            live: self.shared.live.get(),
            answered: self.shared.answered.get(),
            failed: self.shared.failed.get(),
            memory,
            grown: memory.saturating_sub(self.memory),
        }
    }
}

struct Connection {
    shared: Rc<Shared>,
    /// The stream whose handler this is. It lives until it is closed, which drops the handler.
    stream: Rc<BufferEvent>,
    /// There is one as soon as there is a request.
    timer: Option<Timer>,
}

impl Connection {
    fn begin(
        listener: &ListenerRef,
        client: Accepted,
        shared: &Rc<Shared>,
    ) -> libevent2::Result<()> {
        let stream = BufferEvent::from_socket(listener.handle(), client, Callbacks::new())?;
        let stream = Rc::new(stream);
        bump(&shared.live);
        stream.set_handler(Connection {
            shared: shared.clone(),
            stream: stream.clone(),
            timer: None,
        })
    }
}

impl Handler for Connection {
    fn on_read(&mut self, stream: &BufferEventRef) -> Result<(), BoxError> {
        let input = stream.input();
        if self.timer.is_some() {
            // Whatever follows the request.
            input.clear();
        } else if input.find(b"\r\n\r\n", ..).is_some() {
            input.clear();
            let asker = self.stream.clone();
            let answer = move |_: &LoopHandle| {
                asker.write(ANSWER)?;
                asker.close_when_flushed();
                Ok::<(), libevent2::Error>(())
            };
            self.timer = Some(Timer::after(stream.handle(), &self.shared.delay, answer)?);
        } else if input.len() > MAX_HEAD {
            bump(&self.shared.failed);
            stream.close();
        }
        Ok(())
    }

    fn on_event(&mut self, stream: &BufferEventRef, event: StreamEvent) -> Result<(), BoxError> {
        match event {
            StreamEvent::Closed => bump(&self.shared.answered),
            // It has asked, will not ask again, and still wants its answer.
            StreamEvent::Eof if self.timer.is_some() => {}
            _ => {
                bump(&self.shared.failed);
                stream.close();
            }
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.live.set(self.shared.live.get() - 1);
    }
}
