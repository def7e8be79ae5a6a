//! Takes the PROXY header from a connection before anything else is read of it, TLS included.

use super::proxy_protocol::{self, Preface, Source};
use crate::event::{Event, EventBuilder, EventRef, Interest, Ready};
use crate::{LoopHandle, Result};
use slab::Slab;
use std::cell::RefCell;
use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// As much as is looked at at once.
const WINDOW: usize = 4 << 10;

/// The connections whose header has not come whole. Dropping it closes them.
#[derive(Default)]
pub(super) struct Prefaces {
    waiting: RefCell<Slab<Option<Event<TcpStream>>>>,
}

enum Progress {
    Wait,
    /// The peer is no proxy, or it has gone.
    Broken,
    Done(Source),
}

/// A connection before its first byte of use.
struct Opening {
    /// Any stream socket; this is the type that can be peeked.
    socket: TcpStream,
    /// What was taken of the header so far.
    taken: Vec<u8>,
}

impl Prefaces {
    /// Gives the connection to `then` when its header was taken: at once if that is there
    /// already. It is closed when the header is none, or takes longer than `time`.
    pub(super) fn begin(
        self: &Rc<Self>,
        base: &LoopHandle,
        socket: OwnedFd,
        time: Duration,
        then: impl FnOnce(OwnedFd, Source) + 'static,
    ) -> Result<()> {
        let mut opening = Opening {
            socket: socket.into(),
            taken: Vec::new(),
        };
        match opening.advance() {
            Progress::Done(source) => then(opening.socket.into(), source),
            Progress::Broken => {}
            Progress::Wait => self.wait(base, opening, time, then)?,
        }
        Ok(())
    }

    fn wait(
        self: &Rc<Self>,
        base: &LoopHandle,
        opening: Opening,
        time: Duration,
        then: impl FnOnce(OwnedFd, Source) + 'static,
    ) -> Result<()> {
        // The event has its own share in the socket, which ends with it.
        let watched = opening
            .socket
            .try_clone()
            .map_err(|source| crate::Error::Os {
                op: "waiting for a PROXY header".to_owned(),
                source,
            })?;
        let key = self.waiting.borrow_mut().insert(None);
        let list = Rc::downgrade(self);
        // None is never.
        let deadline = Instant::now().checked_add(time);
        let mut waiting = Some((opening, then));
        let event = EventBuilder::new(Interest::READ).timeout(time).build(
            base,
            watched,
            move |event: &EventRef<TcpStream>, ready| {
                let late = ready.contains(Ready::TIMEOUT)
                    || deadline.is_some_and(|deadline| Instant::now() >= deadline);
                let progress = match &mut waiting {
                    Some((opening, _)) if !late => opening.advance(),
                    _ => Progress::Broken,
                };
                if matches!(progress, Progress::Wait) {
                    return;
                }
                event.close();
                if let Some(list) = list.upgrade() {
                    let done = list.waiting.borrow_mut().try_remove(key);
                    drop(done);
                }
                if let (Progress::Done(source), Some((opening, then))) = (progress, waiting.take())
                {
                    then(opening.socket.into(), source);
                }
            },
        );
        match event {
            Ok(event) => {
                self.waiting.borrow_mut()[key] = Some(event);
                Ok(())
            }
            Err(error) => {
                self.waiting.borrow_mut().remove(key);
                Err(error)
            }
        }
    }
}

impl Opening {
    /// Takes what belongs to the header from the socket, and no byte behind it.
    fn advance(&mut self) -> Progress {
        let mut window = [0; WINDOW];
        loop {
            let seen = match self.socket.peek(&mut window) {
                Ok(0) => return Progress::Broken,
                Ok(seen) => seen,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Progress::Wait,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Progress::Broken,
            };
            let before = self.taken.len();
            self.taken.extend_from_slice(&window[..seen]);
            let (belongs, progress) = match proxy_protocol::parse(&self.taken) {
                Preface::Bad(_) => return Progress::Broken,
                // All of it is the header's.
                Preface::Partial => (seen, None),
                Preface::Done { len, source } => (len - before, Some(source)),
            };
            if self.take(&mut window[..belongs]).is_err() {
                return Progress::Broken;
            }
            if let Some(source) = progress {
                return Progress::Done(source);
            }
        }
    }

    /// Takes what was seen to be there.
    fn take(&mut self, space: &mut [u8]) -> io::Result<()> {
        self.socket.read_exact(space)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    type Seen = Rc<RefCell<Vec<(UnixStream, Source)>>>;

    const LINE: &[u8] = b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 80\r\n";

    fn start(base: &LoopHandle, time: Duration) -> (UnixStream, Rc<Prefaces>, Seen) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let (prefaces, seen) = (Rc::new(Prefaces::default()), Seen::default());
        let list = Rc::clone(&seen);
        let then = move |fd: OwnedFd, source| list.borrow_mut().push((fd.into(), source));
        prefaces.begin(base, ours.into(), time, then).unwrap();
        (theirs, prefaces, seen)
    }

    #[test]
    fn a_header_in_pieces_is_taken_and_nothing_behind_it() {
        let mut base = crate::EventBase::new().unwrap();
        let (mut theirs, prefaces, seen) = start(&base, Duration::from_secs(10));
        for byte in LINE.chunks(1) {
            assert!(seen.borrow().is_empty());
            theirs.write_all(byte).unwrap();
            if byte == b"\n" {
                theirs.write_all(b"GET /").unwrap();
            }
            base.run_once().unwrap();
        }
        let (mut stream, source) = seen.borrow_mut().pop().expect("a connection");
        assert!(matches!(source, Source::Client { .. }));
        let mut rest = [0; 9];
        assert_eq!(stream.read(&mut rest).unwrap(), 5);
        assert_eq!(&rest[..5], b"GET /");
        assert!(prefaces.waiting.borrow().is_empty());
    }

    #[test]
    fn who_is_no_proxy_is_cut_off() {
        let mut base = crate::EventBase::new().unwrap();
        let (mut theirs, prefaces, seen) = start(&base, Duration::from_secs(10));
        theirs.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        base.run().unwrap();
        assert!(seen.borrow().is_empty() && prefaces.waiting.borrow().is_empty());
        assert!(!matches!(theirs.read(&mut [0; 9]), Ok(1..)));
    }

    #[test]
    fn a_header_that_does_not_come_is_not_waited_for() {
        let mut base = crate::EventBase::new().unwrap();
        let (mut theirs, prefaces, seen) = start(&base, Duration::from_millis(20));
        theirs.write_all(b"PROXY").unwrap();
        base.run().unwrap();
        assert!(seen.borrow().is_empty() && prefaces.waiting.borrow().is_empty());
        assert_eq!(theirs.read(&mut [0; 9]).unwrap(), 0);
    }

    #[test]
    fn the_end_of_the_list_ends_what_waits() {
        let mut base = crate::EventBase::new().unwrap();
        let (mut theirs, prefaces, seen) = start(&base, Duration::from_secs(10));
        drop(prefaces);
        base.run().unwrap();
        assert_eq!(theirs.read(&mut [0; 9]).unwrap(), 0);
        assert!(seen.borrow().is_empty());
    }
}
