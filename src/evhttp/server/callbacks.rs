//! Which handler a path belongs to.

use super::Request;
use crate::callback::{CallbackResult, Outcome};
use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;

/// A handler is cloned out for the call, so that it may replace or remove itself.
pub(super) type Handler = Rc<RefCell<dyn FnMut(Request) -> Outcome>>;

#[derive(Default)]
pub(super) struct Callbacks {
    paths: HashMap<Vec<u8>, Handler>,
    generic: Option<Handler>,
}

impl Callbacks {
    /// False when the path has one.
    pub(super) fn insert(&mut self, path: &str, handler: Handler) -> bool {
        match self.paths.entry(path.into()) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(handler);
                true
            }
        }
    }

    /// What is returned by this and the next is to be dropped when no borrow is held.
    pub(super) fn remove(&mut self, path: &str) -> Option<Handler> {
        self.paths.remove(path.as_bytes())
    }

    pub(super) fn set_generic(&mut self, handler: Option<Handler>) -> Option<Handler> {
        std::mem::replace(&mut self.generic, handler)
    }

    pub(super) fn find(&self, path: &[u8]) -> Option<Handler> {
        self.paths.get(path).or(self.generic.as_ref()).cloned()
    }
}

pub(super) fn boxed<O: CallbackResult>(mut handler: impl FnMut(Request) -> O + 'static) -> Handler {
    Rc::new(RefCell::new(move |request| handler(request).outcome()))
}
