//! Which handler a path belongs to.

use super::Request;
use super::target::{self, Target};
use crate::callback::Outcome;
use crate::error::{Error, Result};
use std::cell::RefCell;
use std::rc::Rc;

/// A handler is cloned out for the call, so that it may replace or remove itself.
pub(super) type Handler = Rc<RefCell<dyn FnMut(Request) -> Outcome>>;

#[derive(Default)]
pub(super) struct Routes {
    paths: matchit::Router<Handler>,
    fallback: Option<Handler>,
}

/// What the parts of a pattern in braces stand for.
pub(super) type Params = Vec<(String, String)>;

impl Routes {
    /// Gives the old handler back, to be dropped when no borrow is held.
    pub(super) fn insert(&mut self, pattern: &str, handler: Handler) -> Result<Option<Handler>> {
        let old = self.paths.remove(pattern);
        match self.paths.insert(pattern, handler) {
            Ok(()) => Ok(old),
            Err(error) => Err(Error::invalid("route", format!("{pattern}: {error}"))),
        }
    }

    pub(super) fn remove(&mut self, pattern: &str) -> Option<Handler> {
        self.paths.remove(pattern)
    }

    pub(super) fn set_fallback(&mut self, handler: Handler) -> Option<Handler> {
        self.fallback.replace(handler)
    }

    pub(super) fn find(&self, target: &Target) -> Option<(Handler, Params)> {
        let path = target.for_routing();
        let Ok(found) = self.paths.at(&path) else {
            let fallback = self.fallback.as_ref()?;
            return Some((Rc::clone(fallback), Params::new()));
        };
        let params = found.params.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(&target::decode(value)).into_owned();
            (name.to_owned(), value)
        });
        Some((Rc::clone(found.value), params.collect()))
    }
}
