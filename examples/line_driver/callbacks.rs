//! The same driver in callbacks: each command brings its own.

use crate::protocol::{self, Error, Fields, LONGEST};
use libevent2::buffer::Eol;
use libevent2::stream::{BufferEventRef, Handler, StreamEvent};
use libevent2::{BoxError, BufferEvent};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::rc::Rc;

type Answer = Result<Fields, Error>;
/// Who waits, in the order of the commands, which is that of the answers.
type Waiting = Rc<RefCell<VecDeque<Box<dyn FnOnce(Answer)>>>>;

pub struct Client {
    stream: BufferEvent,
    waiting: Waiting,
}

/// What happens to the connection.
struct Reader {
    waiting: Waiting,
    greeted: bool,
    answer: Fields,
}

impl Client {
    /// Over any connection, whose handler this replaces.
    pub fn new(stream: BufferEvent) -> libevent2::Result<Self> {
        let waiting = Waiting::default();
        let (greeted, answer) = (false, Fields::new());
        stream.set_handler(Reader {
            waiting: waiting.clone(),
            greeted,
            answer,
        })?;
        Ok(Client { stream, waiting })
    }

    /// `done` is called once, from the loop, or never when the client is dropped before.
    pub fn ask(&self, command: &str, done: impl FnOnce(Answer) + 'static) -> Result<(), Error> {
        let command = protocol::command(command)?;
        self.stream.write(&command).map_err(io::Error::from)?;
        self.waiting.borrow_mut().push_back(Box::new(done));
        Ok(())
    }
}

impl Reader {
    /// Returns an error when nothing more can be understood.
    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        if !self.greeted {
            self.greeted = true;
            return protocol::greeting(line);
        }
        let result = match protocol::line(line, &mut self.answer) {
            Ok(false) => return Ok(()),
            Ok(true) => Ok(std::mem::take(&mut self.answer)),
            Err(Error::Lost(error)) => return Err(error),
            Err(error) => Err(error),
        };
        self.answer.clear();
        // Not borrowed while it runs, as it may ask something itself.
        let done = self.waiting.borrow_mut().pop_front();
        done.ok_or(ErrorKind::InvalidData)?(result);
        Ok(())
    }

    fn lost(&mut self, stream: &BufferEventRef, why: &io::Error) {
        stream.close();
        let waiting = self.waiting.take();
        for done in waiting {
            let why = io::Error::new(why.kind(), why.to_string());
            done(Err(Error::Lost(why)));
        }
    }
}

impl Handler for Reader {
    fn on_read(&mut self, stream: &BufferEventRef) -> Result<(), BoxError> {
        while let Some(line) = stream.input().read_line(Eol::Lf) {
            if let Err(error) = self.line(&line) {
                self.lost(stream, &error);
            }
        }
        if stream.input().len() > LONGEST {
            self.lost(stream, &ErrorKind::InvalidData.into());
        }
        Ok(())
    }

    fn on_event(&mut self, stream: &BufferEventRef, event: StreamEvent) -> Result<(), BoxError> {
        match event {
            StreamEvent::Connected => {}
            StreamEvent::Failed(error) => self.lost(stream, &error.into()),
            _ => self.lost(stream, &ErrorKind::UnexpectedEof.into()),
        }
        Ok(())
    }
}
