//! Connections that change to another protocol, as WebSockets do: passed on as they are.

use libevent2::BoxError;
use libevent2::http::{Request, Response, Upgraded};
use libevent2::stream::{BufferEventRef, Direction, Handler, StreamEvent, StreamShare};
use std::cell::OnceCell;
use std::rc::Rc;

/// How much waits for the slower end.
const WAITING: usize = 256 << 10;

/// Ties the client to the server, until one of them ends.
///
/// # Errors
/// As of changing the protocol: one of them has gone meanwhile.
pub fn tie(request: Request, response: Response, upgraded: Upgraded) -> libevent2::Result<()> {
    let (front, back) = (Place::default(), Place::default());
    let client = request.upgrade(response, Half(Rc::clone(&back)))?;
    let server = match upgraded.into_stream(Half(Rc::clone(&front))) {
        Ok(server) => server,
        Err(error) => {
            client.close();
            return Err(error);
        }
    };
    // Neither is called before the loop comes to it. Each goes with its handler, which is dropped
    // when the stream is closed.
    let _ = back.set(server.share());
    let _ = front.set(client);
    server.detach();
    Ok(())
}

type Place = Rc<OnceCell<StreamShare>>;

/// Passes what comes from one end on to the other.
struct Half(Place);

impl Half {
    fn other(&self) -> Option<&BufferEventRef> {
        let other = self.0.get().map(|share| &**share);
        other.filter(|other| !other.is_closed())
    }
}

impl Handler for Half {
    fn on_read(&mut self, this: &BufferEventRef) -> Result<(), BoxError> {
        let Some(other) = self.other() else {
            this.close();
            return Ok(());
        };
        other.output().append_from(&this.input())?;
        if other.output().len() > WAITING {
            this.disable(Direction::READ)?;
        }
        Ok(())
    }

    /// There is room again for what the other end sends.
    fn on_write(&mut self, _: &BufferEventRef) -> Result<(), BoxError> {
        if let Some(other) = self.other() {
            other.enable(Direction::READ)?;
        }
        Ok(())
    }

    fn on_event(&mut self, this: &BufferEventRef, event: StreamEvent) -> Result<(), BoxError> {
        match event {
            StreamEvent::Connected | StreamEvent::Closed => return Ok(()),
            StreamEvent::Eof => this.close_when_flushed(),
            _ => this.close(),
        }
        if let Some(other) = self.other() {
            other.close_when_flushed();
        }
        Ok(())
    }
}
