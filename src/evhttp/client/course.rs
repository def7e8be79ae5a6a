//! The course of one request: looking up the name, connecting, sending, and how that ends.

use super::exchange::{End, Exchange};
use super::link::Link;
use super::settings::ConnectionFlags;
use super::{ClientError, ConnectionRef};
use crate::error::{Error, Result};
use crate::stream::{AddressLookup, FoundAddresses};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

impl ConnectionRef {
    // --- connecting -------------------------------------------------------------------------------

    pub(super) fn connect(&self, current: &Rc<Exchange>) {
        let flags = self.0.settings.borrow().flags;
        let known = self.0.known.borrow().clone();
        if flags.contains(ConnectionFlags::REUSE_CONNECTED_ADDR) && !known.is_empty() {
            return self.found(current, Ok(known));
        }
        let host = self.0.host.trim_matches(['[', ']']);
        let resolve = self.0.resolve.borrow().clone();
        if let Some(address) = resolve.numeric(host, self.0.port) {
            return self.found(current, Ok(vec![address]));
        }
        let weak = self.0.me.clone();
        let tell = move |found| {
            if let (Some(node), FoundAddresses::All(found)) = (weak.upgrade(), found) {
                node.0.found.set(Some(found));
                node.wake();
            }
        };
        match AddressLookup::start(&self.0.base, &resolve, host, self.0.port, tell) {
            Ok(lookup) => drop(self.0.lookup.replace(Some(lookup))),
            Err(error) => self.found(current, Err(error)),
        }
    }

    pub(super) fn found(&self, current: &Rc<Exchange>, found: Result<Vec<SocketAddr>>) {
        match found {
            Ok(addresses) if !addresses.is_empty() => {
                self.0.known.replace(addresses.clone());
                self.0.addresses.replace(addresses.into());
                self.attempt(current);
            }
            Ok(_) => {
                let error = Error::invalid("host", "it has no address");
                self.fail_with(current, ClientError::Lookup(error));
            }
            Err(error) => self.fail_with(current, ClientError::Lookup(error)),
        }
    }

    /// Tries the next address.
    fn attempt(&self, current: &Rc<Exchange>) {
        let Some(address) = self.0.addresses.borrow_mut().pop_front() else {
            return;
        };
        self.drop_link();
        let made = self.0.base.inner().open().and_then(|base| {
            let mut streams = self.0.streams.borrow_mut();
            let settings = self.0.settings.borrow().clone();
            // SAFETY: the base is alive. The link goes with this node or before it, and before the
            // base goes: `Live::close`.
            unsafe {
                Link::new(
                    base,
                    self.0.me.as_ptr(),
                    &mut streams,
                    &self.0.host,
                    address,
                    &settings,
                )
            }
        });
        match made {
            Ok(mut link) => {
                link.begin(self.0.base.now().elapsed().unwrap_or_default());
                self.0.link.replace(Some(link));
                self.give_to_c(current);
            }
            Err(error) => self.fail_with(current, ClientError::Libevent(error)),
        }
    }

    /// Gives the current request to C.
    pub(super) fn give_to_c(&self, current: &Rc<Exchange>) {
        let raw = self.0.link.borrow().as_ref().map(Link::raw);
        let Some(raw) = raw else { return };
        self.0.in_c.set(true);
        current.written.set(false);
        let entered = self.0.base.inner().enter();
        // SAFETY: alive, without a request; `current` has a count on it.
        unsafe { current.send(raw) };
        drop(entered);
    }

    // --- ends -------------------------------------------------------------------------------------

    pub(super) fn ended(&self, current: &Rc<Exchange>, end: End) {
        self.0.in_c.set(false);
        let written = current.written.get();
        let error = match end {
            End::Complete(body) => {
                self.note_address();
                self.0.current.take();
                let response = current.response(body);
                if self.has_leftover() {
                    self.0.went_down.set(true);
                    self.0.stale.set(true);
                }
                if self.0.stale.get() {
                    self.drop_link();
                }
                return current.finish(self, response);
            }
            End::Refused(error) => return self.fail_with(current, error),
            End::NotSent(error) => {
                self.drop_link();
                return self.fail_all(|| ClientError::Bind(copy(&error)));
            }
            End::Failed(kind, _) if written => {
                self.note_address();
                let error = current.reason(kind);
                return self.fail_with(current, error);
            }
            End::Failed(_, errno) => self.no_connection(Some(errno)),
            End::NotConnected => self.no_connection(None),
        };
        let is_final = matches!(error, ClientError::Tls { .. });
        if !is_final && !self.0.addresses.borrow().is_empty() {
            return self.attempt(current);
        }
        self.drop_link();
        let done = self.0.failures.get();
        let pause = self.0.settings.borrow().pause_after(done);
        match pause.filter(|_| !is_final) {
            Some(pause) => {
                self.0.failures.set(done.saturating_add(1));
                self.0.retry.trigger_after(pause);
            }
            None => self.fail_all(|| copy_of(&error)),
        }
    }

    fn no_connection(&self, errno: Option<io::Error>) -> ClientError {
        let link = self.0.link.borrow();
        let Some(link) = link.as_ref() else {
            return ClientError::Eof;
        };
        let address = link.address;
        match (link.tls_failure(), errno) {
            (Some(reason), _) => ClientError::Tls { address, reason },
            (None, Some(errno)) => {
                let source = why(errno);
                ClientError::Connect { address, source }
            }
            (None, None) => link.not_connected(),
        }
    }

    /// The current one fails; the next one gets a connection of its own.
    pub(super) fn fail_with(&self, current: &Rc<Exchange>, error: ClientError) {
        self.drop_link();
        self.0.current.take();
        current.finish(self, Err(error));
    }

    /// Without a connection all that wait fail, as in C.
    fn fail_all(&self, error: impl Fn() -> ClientError) {
        let current = self.0.current.take();
        let waiting = self.0.queue.take();
        for exchange in current.into_iter().chain(waiting) {
            exchange.finish(self, Err(error()));
        }
    }

    /// The current one is not wanted any more.
    pub(super) fn cancel(&self, current: &Rc<Exchange>) {
        drop(self.0.lookup.take());
        drop(self.0.found.take());
        self.0.retry.stop();
        match current.take_end() {
            // It has its response: the connection is as good as before.
            Some(End::Complete(_)) => self.0.in_c.set(false),
            Some(_) => self.drop_link(),
            None if self.0.in_c.replace(false) => {
                let entered = self.0.base.inner().enter();
                // SAFETY: it is the only one of its connection, which is alive; the loop's turn.
                unsafe { current.cancel_in_c() };
                drop(entered);
                self.0.stale.set(true);
            }
            None => {}
        }
        self.0.current.take();
        current.finish(self, Err(ClientError::Cancelled));
    }

    fn note_address(&self) {
        let address = self.0.link.borrow().as_ref().map(|link| link.address);
        if let Some(address) = address {
            self.0.known.replace(vec![address]);
        }
    }
}

/// The same error, for another one that waited.
fn copy_of(error: &ClientError) -> ClientError {
    match error {
        ClientError::Connect { address, source } => ClientError::Connect {
            address: *address,
            source: copy(source),
        },
        ClientError::ConnectTimedOut { address } => {
            ClientError::ConnectTimedOut { address: *address }
        }
        ClientError::Tls { address, reason } => ClientError::Tls {
            address: *address,
            reason: reason.clone(),
        },
        _ => ClientError::Eof,
    }
}

fn copy(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => error.kind().into(),
    }
}

/// What the system said, unless that was left behind by another call.
fn why(errno: io::Error) -> io::Error {
    match errno.raw_os_error() {
        Some(0 | libc::EAGAIN | libc::EINPROGRESS | libc::EINTR) => {
            io::ErrorKind::UnexpectedEof.into()
        }
        _ => errno,
    }
}
