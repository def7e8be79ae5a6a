//! Sockets that may have more to say than the loop will tell.
//!
//! A read that does not fill its buffer has emptied the socket. To make another one only to hear
//! that it would block costs as much as the loop's own share of a request, so a stream waits for
//! the next edge instead. One thing that edge may not tell: libevent tells of an error of a socket
//! as of something to read, and one that came together with the last bytes was told with them.
//!
//! So the stream is in doubt. A write that succeeds ends that, as it would have failed with the
//! error, and so does the next edge. What is in doubt for longer than a moment and has somebody
//! waiting is read once more. (So is what lies behind a byte of TCP's urgent data, where a read ends.)

use super::Direction;
use super::readiness::{Readiness, State};
use crate::LoopHandle;
use crate::error::Result;
use crate::event::Alarm;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

/// How much later an error is heard of at most, in the one case in a thousand that needs it.
const MOMENT: Duration = Duration::from_millis(50);

/// What may be in doubt.
pub(super) trait Doubtful {
    fn readiness(&self) -> &Readiness;
}

/// The doubts of one base.
pub(crate) struct Doubts {
    list: Rc<List>,
    alarm: Alarm,
}

#[derive(Default)]
struct List {
    sockets: RefCell<Vec<Weak<dyn Doubtful>>>,
    /// How many of them are still there.
    count: Cell<usize>,
}

impl Doubts {
    pub(crate) fn new(base: &LoopHandle) -> Result<Self> {
        let list = Rc::<List>::default();
        let due = Rc::clone(&list);
        let alarm = Alarm::new(base, move || due.look_again())?;
        Ok(Doubts { list, alarm })
    }

    /// Somebody waits for one that is in doubt.
    pub(super) fn add(&self, socket: Weak<dyn Doubtful>) {
        if self.list.count.get() == 0 {
            self.alarm.after(MOMENT);
        }
        self.list.count.set(self.list.count.get() + 1);
        self.list.sockets.borrow_mut().push(socket);
    }

    /// One of the list is no more. The last one takes the alarm with it, which a run of the loop
    /// would wait for.
    pub(super) fn forget(&self) {
        let left = self.list.count.get().saturating_sub(1);
        self.list.count.set(left);
        if left == 0 {
            self.list.sockets.take();
            self.alarm.stop();
        }
    }
}

impl List {
    fn look_again(&self) {
        self.count.set(0);
        let sockets = self.sockets.take();
        for socket in sockets.iter().filter_map(Weak::upgrade) {
            let readiness = socket.readiness();
            let doubted = readiness.has(State::DOUBTED);
            readiness.clear(State::DOUBTED | State::LISTED);
            if doubted {
                readiness.set(State::READ);
                readiness.waiters(Direction::Read).wake();
            }
        }
    }
}
