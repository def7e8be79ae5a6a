//! Echo with plain events, as echo_event.c: what is read is sent at once; what does not go out is
//! kept, and nothing more is read before it is gone.

use libevent2::{Event, EventBuilder, Interest, LoopHandle, Result};
use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

struct Connection {
    stream: TcpStream,
    rest: RefCell<Vec<u8>>,
    sent: Cell<usize>,
    events: RefCell<Option<Events>>,
}

struct Events {
    reader: Event<Rc<Connection>>,
    writer: Event<Rc<Connection>>,
}

pub fn accepted() -> impl FnMut(&LoopHandle, TcpStream) -> Result<()> {
    let buffer = Rc::new(RefCell::new(vec![0; 64 * 1024]));
    move |base, stream| {
        let connection = Rc::new(Connection {
            stream,
            rest: RefCell::default(),
            sent: Cell::new(0),
            events: RefCell::new(None),
        });
        let buffer = Rc::clone(&buffer);
        let reader = Event::new(
            base,
            Rc::clone(&connection),
            Interest::READ,
            move |event, _| {
                let connection = event.source();
                if connection.echo(&mut buffer.borrow_mut()).is_err() {
                    connection.close();
                }
            },
        )?;
        let writer = EventBuilder::new(Interest::WRITE).paused().build(
            base,
            Rc::clone(&connection),
            |event, _| {
                let connection = event.source();
                if connection.send_rest().is_err() {
                    connection.close();
                }
            },
        )?;
        *connection.events.borrow_mut() = Some(Events { reader, writer });
        Ok(())
    }
}

impl Connection {
    fn echo(&self, buffer: &mut [u8]) -> io::Result<()> {
        let n = match (&self.stream).read(buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let sent = self.send(&buffer[..n])?;
        if sent < n {
            *self.rest.borrow_mut() = buffer[sent..n].to_vec();
            self.sent.set(0);
            self.turn_to(Interest::WRITE)?;
        }
        Ok(())
    }

    fn send_rest(&self) -> io::Result<()> {
        let rest = self.rest.borrow();
        self.sent
            .set(self.sent.get() + self.send(&rest[self.sent.get()..])?);
        if self.sent.get() < rest.len() {
            return Ok(());
        }
        drop(rest);
        self.rest.take();
        self.turn_to(Interest::READ)
    }

    /// How much the socket had room for.
    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        match (&self.stream).write(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            done => done,
        }
    }

    fn turn_to(&self, interest: Interest) -> io::Result<()> {
        let events = self.events.borrow();
        let Some(Events { reader, writer }) = events.as_ref() else {
            return Ok(());
        };
        let (begins, ends) = match interest {
            Interest::READ => (reader, writer),
            _ => (writer, reader),
        };
        ends.remove();
        begins.add().map_err(io::Error::other)
    }

    fn close(&self) {
        self.events.take();
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
