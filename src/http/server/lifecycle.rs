//! What a server does for its connections, and its end.

use super::ServerRef;
use crate::base::{Kind, Live};
use crate::http::connection::{Connection, SCRATCH};
use crate::http::exchange::Finished;
use crate::http::response::{Content, Response, write_head};
use crate::http::routes::{Endpoint, Found};
use crate::http::watch::tick_length;
use crate::http::wire::request::RequestHead;
use crate::http::{Request, StatusCode};
use std::rc::{Rc, Weak};
use std::time::{Duration, UNIX_EPOCH};

impl ServerRef {
    // --- connections ------------------------------------------------------------------------

    pub(in crate::http) fn add(&self, connection: Rc<Connection>) -> usize {
        self.counters.accepted.add();
        let key = self.connections.borrow_mut().insert(connection);
        if !self.ticking.replace(true) {
            self.alarm(|alarms| alarms.tick.after(tick_length(&self.limits())));
        }
        self.mind_limit();
        key
    }

    /// The connection has ended.
    pub(in crate::http) fn remove(&self, connection: &Connection) {
        let (came, went) = connection.traffic();
        self.counters
            .bytes_in
            .set(self.counters.bytes_in.get() + came);
        self.counters
            .bytes_out
            .set(self.counters.bytes_out.get() + went);
        let removed = self.connections.borrow_mut().try_remove(connection.key());
        drop(removed);
        self.mind_limit();
        if self.is_closing() {
            self.alarm(|alarms| alarms.settle.now());
        }
    }

    /// Accepts while there may be more connections.
    pub(super) fn mind_limit(&self) {
        let count = self.connection_count() + self.announced.get();
        let full = count >= self.limits.get().connections;
        for listener in self.listeners.borrow().iter() {
            match full {
                true => listener.disable(),
                // It fails when the listener is closed.
                false if !listener.is_enabled() => drop(listener.enable()),
                false => {}
            }
        }
    }

    /// A connection that is to say whose it is; the limit counts it until this is dropped.
    pub(in crate::http) fn announce(self: &Rc<Self>) -> Announced {
        self.announced.set(self.announced.get() + 1);
        self.mind_limit();
        Announced(Rc::downgrade(self))
    }

    /// What `f` finds among the connections.
    pub(in crate::http) fn with_connections<T>(
        &self,
        f: impl Fn(&Connection) -> Option<T>,
    ) -> Vec<(Rc<Connection>, T)> {
        let connections = self.connections.borrow();
        let found = connections.iter().filter_map(|(_, connection)| {
            f(connection).map(|value| (Rc::clone(connection), value))
        });
        found.collect()
    }

    // --- time -------------------------------------------------------------------------------

    pub(in crate::http) fn tick(&self) -> u32 {
        self.ticks.get()
    }

    pub(in crate::http) fn next_tick(&self) -> u32 {
        self.ticks.set(self.ticks.get().wrapping_add(1));
        self.ticks.get()
    }

    pub(super) fn ticked(&self) {
        self.look_around();
        let goes_on = !self.connections.borrow().is_empty();
        self.ticking.set(goes_on);
        if goes_on {
            self.alarm(|alarms| alarms.tick.after(tick_length(&self.limits())));
        }
    }

    /// Writes the `Date` header, whose text is made once a second.
    pub(in crate::http) fn write_date(&self, out: &mut Vec<u8>) {
        let now = self.base.now();
        let seconds = now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |time| time.as_secs());
        let mut date = self.date.borrow_mut();
        if date.0 != seconds || date.1.is_empty() {
            let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
            *date = (seconds, format!("Date: {text}\r\n"));
        }
        out.extend_from_slice(date.1.as_bytes());
    }

    // --- requests ---------------------------------------------------------------------------

    pub(in crate::http) fn find(&self, head: &RequestHead) -> Found {
        self.hosts.find(head)
    }

    /// Runs the handler of a request.
    pub(in crate::http) fn call(&self, endpoint: Rc<Endpoint>, request: Request) {
        self.running.set(self.running.get() + 1);
        let inner = self.base.inner();
        inner.guard(|| match endpoint.handler.try_borrow_mut() {
            Ok(mut handler) => handler(request),
            Err(_) => {
                // A loop inside the handler.
                request.respond(Response::page(StatusCode::SERVICE_UNAVAILABLE));
                Ok(())
            }
        });
        // It may have been replaced meanwhile.
        inner.guard(|| drop(endpoint));
        self.running.set(self.running.get() - 1);
        if self.is_closing() {
            self.alarm(|alarms| alarms.settle.now());
        }
    }

    pub(in crate::http) fn began(&self) {
        self.counters.requests.add();
        self.counters
            .in_flight
            .set(self.counters.in_flight.get() + 1);
    }

    pub(in crate::http) fn ended(&self) {
        let left = self.counters.in_flight.get().saturating_sub(1);
        self.counters.in_flight.set(left);
        if left == 0 && self.is_closing() {
            self.alarm(|alarms| alarms.settle.now());
        }
    }

    pub(in crate::http) fn answered(&self, status: StatusCode) {
        self.counters.answered(status);
    }

    pub(in crate::http) fn refused(&self) {
        self.counters.refused.add();
    }

    pub(in crate::http) fn timed_out(&self) {
        self.counters.timed_out.add();
    }

    /// Writes a page to a client that made no request; the connection ends with it.
    pub(in crate::http) fn write_page(&self, connection: &Connection, page: Response) {
        let mut out = self.take_out();
        let (page, framing) = page.framed(false);
        self.answered(page.status);
        write_head(&mut out, &page, framing, self, Some("close"));
        if let Content::Bytes(bytes) = &page.body.0 {
            out.extend_from_slice(bytes);
        }
        connection.write(&out);
        self.give_out(out);
    }

    /// A hook is to run from the loop.
    pub(in crate::http) fn finish(&self, finished: Option<Finished>) {
        let Some(finished) = finished else { return };
        if self.is_closed() {
            // There is no loop to run it from.
            return self.forget(finished);
        }
        self.finished.borrow_mut().push(finished);
        self.alarm(|alarms| alarms.settle.now());
    }

    fn forget(&self, finished: Finished) {
        self.base.inner().guard(|| match finished {
            Finished::Body(inlet, _) => inlet.forget(),
            hook => drop(hook),
        });
    }

    // --- space ------------------------------------------------------------------------------

    /// An empty vector to write in.
    pub(in crate::http) fn take_out(&self) -> Vec<u8> {
        self.out.take()
    }

    pub(in crate::http) fn give_out(&self, mut out: Vec<u8>) {
        out.clear();
        if out.capacity() <= SCRATCH {
            self.out.set(out);
        }
    }

    /// Room to look at input in; whoever takes it makes it as long as a head may be.
    pub(in crate::http) fn take_scratch(&self) -> Vec<u8> {
        self.scratch.take()
    }

    pub(in crate::http) fn give_scratch(&self, scratch: Vec<u8>) {
        self.scratch.set(scratch);
    }

    // --- the end ----------------------------------------------------------------------------

    /// Does what must not be done in the middle of something else.
    pub(super) fn settle(&self) {
        loop {
            let finished = self.finished.take();
            if finished.is_empty() {
                break;
            }
            for hook in finished {
                self.base.inner().guard(|| match hook {
                    Finished::Sent(hook, sent) => hook(sent),
                    Finished::Gone(hook) => hook(),
                    Finished::Body(inlet, error) => {
                        inlet.end(Err(error));
                        Ok(())
                    }
                });
            }
        }
        let idle = self.in_flight() == 0 && self.running.get() == 0;
        if self.is_closing() && idle && !self.is_closed() {
            let left = self.with_connections(|_| Some(()));
            for (connection, ()) in left {
                connection.finish();
            }
        }
        if self.is_closing() && !self.is_closed() && self.connections.borrow().is_empty() {
            self.free();
            if let Some(hook) = self.on_closed.take() {
                self.base.inner().guard(|| hook(&self.base));
            }
        }
    }

    /// Breaks off everything.
    pub(super) fn close_now(&self) {
        let all = self.with_connections(|_| Some(()));
        for (connection, ()) in all {
            connection.abort();
        }
    }

    /// Drops all that it has.
    fn free(&self) {
        self.closing.set(true);
        self.closed.set(true);
        self.alarm(|alarms| {
            alarms.settle.free();
            alarms.tick.free();
            alarms.deadline.free();
        });
        drop(self.listeners.take());
        let inner = self.base.inner();
        let hosts = self.hosts.take();
        inner.guard(|| drop(hosts));
        for finished in self.finished.take() {
            self.forget(finished);
        }
        drop(inner.remove_object(self.key.replace(usize::MAX)));
    }
}

/// See [`ServerRef::announce`].
pub(in crate::http) struct Announced(Weak<ServerRef>);

impl Drop for Announced {
    fn drop(&mut self) {
        if let Some(server) = self.0.upgrade() {
            server.announced.set(server.announced.get() - 1);
            server.mind_limit();
        }
    }
}

impl Live for ServerRef {
    fn kind(&self) -> Kind {
        Kind::HttpServer
    }

    /// The base goes, and with it the connections.
    fn close(&self) {
        self.key.set(usize::MAX);
        if self.is_closed() {
            return;
        }
        self.closing.set(true);
        self.close_now();
        self.free();
        drop(self.on_closed.take());
    }

    fn clear(&self) {}
}
