//! Those who speak another protocol on a connection of a server, and take leave of the client
//! before the server closes it.

use super::connection::Connection;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

pub(super) trait Guest {
    /// The server is being closed: end the connection soon. It may be said several times.
    fn leave(&self);
}

/// The guests of a server, by the keys of their connections.
#[derive(Default)]
pub(super) struct Guests(RefCell<BTreeMap<usize, Weak<dyn Guest>>>);

impl Connection {
    /// Who is to be told when the server is closed.
    #[cfg(feature = "websocket")]
    pub(super) fn set_guest(&self, guest: Weak<dyn Guest>) {
        if !self.is_closed() {
            self.server.guests.0.borrow_mut().insert(self.key(), guest);
        }
    }

    pub(super) fn guest(&self) -> Option<Rc<dyn Guest>> {
        self.server.guests.0.borrow().get(&self.key())?.upgrade()
    }

    pub(super) fn forget_guest(&self) {
        let guest = self.server.guests.0.borrow_mut().remove(&self.key());
        drop(guest);
    }
}
