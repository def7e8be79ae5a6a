//! The connections of a client: those that wait for a request, and the requests that wait for one.

use super::call::Call;
use super::conn::Conn;
use super::url::Origin;
use super::{PoolLimits, Shared};
use crate::stream::Direction;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::mem::MaybeUninit;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

/// What connections are the same by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// Of the proxy, where requests go to it whole.
    pub(super) origin: Origin,
    pub(super) via: Via,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Via {
    Direct,
    /// Requests are sent to the proxy whole.
    Forward,
    /// Through a tunnel of the proxy's.
    Tunnel,
    Unix(PathBuf),
}

#[derive(Default)]
pub(super) struct Pool {
    hosts: RefCell<HashMap<Rc<Key>, Host>>,
    open: Cell<usize>,
    idle: Cell<usize>,
    waiting: Cell<usize>,
    /// Whether nobody looks at the idle ones.
    resting: Cell<bool>,
    serving: Cell<bool>,
}

#[derive(Default)]
struct Host {
    open: usize,
    /// The one used last comes last, and is used first.
    idle: Vec<Rc<Conn>>,
    waiting: VecDeque<Rc<Call>>,
}

impl Shared {
    /// Has a call go on: over a connection that is there, a new one, or later.
    pub(super) fn acquire(self: &Rc<Self>, call: &Rc<Call>) {
        let key = match self.key(call) {
            Ok(key) => Rc::new(key),
            Err(kind) => return call.doom(kind),
        };
        let careful = self.pool.wake() || !call.is_repeatable() || !call.is_idempotent();
        self.sweep();
        while let Some(conn) = self.pool.take_idle(&key) {
            if careful && is_stale(&conn) {
                conn.close();
                continue;
            }
            conn.idle_since.set(None);
            conn.attach(call);
            return conn.begin(call);
        }
        if self.pool.may_open(&key, &self.options.pool) || self.evict_for(&key) {
            self.pool.opened(&key);
            return Conn::open(self, key, call);
        }
        self.pool.waiting.set(self.pool.waiting.get() + 1);
        let mut hosts = self.pool.hosts.borrow_mut();
        hosts
            .entry(key)
            .or_default()
            .waiting
            .push_back(call.clone());
    }

    /// A connection is free.
    pub(super) fn release(self: &Rc<Self>, conn: &Rc<Conn>) {
        while let Some(call) = self.pool.next_waiting(&conn.key) {
            if !call.is_over() {
                conn.attach(&call);
                return conn.begin(&call);
            }
        }
        let limits = &self.options.pool;
        let pool = &self.pool;
        let kept = {
            let mut hosts = pool.hosts.borrow_mut();
            let host = hosts.entry(conn.key.clone()).or_default();
            let room = host.idle.len() < limits.idle_per_host && pool.idle.get() < limits.idle;
            if room {
                conn.idle_since.set(Some(Instant::now()));
                host.idle.push(conn.clone());
                pool.idle.set(pool.idle.get() + 1);
            }
            room
        };
        if !kept {
            conn.close();
        }
    }

    /// A connection is no more.
    pub(super) fn closed(self: &Rc<Self>, conn: &Conn) {
        self.pool.forget_idle(conn);
        self.not_opened(&conn.key);
        self.serve();
    }

    /// One that was to be opened is not.
    pub(super) fn not_opened(&self, key: &Rc<Key>) {
        self.pool.open.set(self.pool.open.get() - 1);
        let mut hosts = self.pool.hosts.borrow_mut();
        if let Some(host) = hosts.get_mut(key) {
            host.open -= 1;
            if host.open == 0 && host.waiting.is_empty() {
                hosts.remove(key);
            }
        }
    }

    /// Opens connections for calls that wait, where there is room now.
    pub(super) fn serve(self: &Rc<Self>) {
        if self.pool.waiting.get() == 0 || self.pool.serving.replace(true) {
            return;
        }
        while let Some(call) = self.pool.next_for(&self.options.pool) {
            if !call.is_over() {
                self.acquire(&call);
            }
        }
        self.pool.serving.set(false);
    }

    /// Closes what nobody has used for long.
    fn sweep(&self) {
        if self.pool.idle.get() == 0 {
            return;
        }
        let now = Instant::now();
        let limit = self.options.pool.idle_time;
        let old: Vec<_> = {
            let hosts = self.pool.hosts.borrow();
            let idle = hosts.values().flat_map(|host| &host.idle);
            idle.filter(|conn| {
                conn.idle_since
                    .get()
                    .is_some_and(|since| now - since >= limit)
            })
            .cloned()
            .collect()
        };
        for conn in old {
            conn.close();
        }
    }

    /// Makes room by closing an idle connection to another host.
    fn evict_for(&self, key: &Rc<Key>) -> bool {
        let limits = &self.options.pool;
        let victim = {
            let hosts = self.pool.hosts.borrow();
            let open = hosts.get(key).map_or(0, |host| host.open);
            if open >= limits.per_host {
                return false;
            }
            let idle = hosts.values().flat_map(|host| &host.idle);
            idle.min_by_key(|conn| conn.idle_since.get()).cloned()
        };
        let Some(conn) = victim else { return false };
        // What waits is served by whoever is about to open one.
        let serving = self.pool.serving.replace(true);
        conn.close();
        self.pool.serving.set(serving);
        true
    }

    /// No request is under way: the idle connections do not keep the loop running.
    pub(super) fn rest(&self) {
        self.sweep();
        if self.pool.idle.get() > 0 && !self.pool.resting.replace(true) {
            self.pool.each_idle(|conn| {
                if let Some(stream) = conn.stream() {
                    let _ = stream.disable(Direction::READ);
                }
            });
        }
    }

    /// Closes all idle connections.
    pub(super) fn close_idle(&self) {
        let all: Vec<_> = {
            let hosts = self.pool.hosts.borrow();
            hosts.values().flat_map(|host| host.idle.clone()).collect()
        };
        for conn in all {
            conn.close();
        }
    }
}

impl Pool {
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.open.get(), self.idle.get())
    }

    /// Looks at the idle ones again. Whether nobody did before.
    fn wake(&self) -> bool {
        let rested = self.resting.replace(false);
        if rested {
            self.each_idle(|conn| {
                if let Some(stream) = conn.stream() {
                    let _ = stream.enable(Direction::READ);
                }
            });
        }
        rested
    }

    fn each_idle(&self, mut f: impl FnMut(&Rc<Conn>)) {
        let all: Vec<_> = {
            let hosts = self.hosts.borrow();
            hosts.values().flat_map(|host| host.idle.clone()).collect()
        };
        all.iter().for_each(&mut f);
    }

    fn take_idle(&self, key: &Rc<Key>) -> Option<Rc<Conn>> {
        let conn = self.hosts.borrow_mut().get_mut(key)?.idle.pop()?;
        self.idle.set(self.idle.get() - 1);
        Some(conn)
    }

    fn forget_idle(&self, conn: &Conn) {
        let mut hosts = self.hosts.borrow_mut();
        let Some(host) = hosts.get_mut(&conn.key) else {
            return;
        };
        let at = host
            .idle
            .iter()
            .position(|idle| std::ptr::eq(&**idle, conn));
        let old = at.map(|at| host.idle.remove(at));
        drop(hosts);
        if old.is_some() {
            self.idle.set(self.idle.get() - 1);
        }
    }

    fn may_open(&self, key: &Rc<Key>, limits: &PoolLimits) -> bool {
        let hosts = self.hosts.borrow();
        let open = hosts.get(key).map_or(0, |host| host.open);
        open < limits.per_host && self.open.get() < limits.total
    }

    fn opened(&self, key: &Rc<Key>) {
        self.open.set(self.open.get() + 1);
        self.hosts.borrow_mut().entry(key.clone()).or_default().open += 1;
    }

    fn next_waiting(&self, key: &Rc<Key>) -> Option<Rc<Call>> {
        let call = self.hosts.borrow_mut().get_mut(key)?.waiting.pop_front()?;
        self.waiting.set(self.waiting.get() - 1);
        Some(call)
    }

    /// The next one that waits and for which a connection may be opened now.
    fn next_for(&self, limits: &PoolLimits) -> Option<Rc<Call>> {
        let room = self.open.get() < limits.total || self.idle.get() > 0;
        let mut hosts = self.hosts.borrow_mut();
        let host = hosts.values_mut().find(|host| {
            let free = room && host.open < limits.per_host;
            (free || !host.idle.is_empty()) && !host.waiting.is_empty()
        })?;
        let call = host.waiting.pop_front()?;
        self.waiting.set(self.waiting.get() - 1);
        Some(call)
    }
}

/// Whether the server has closed it, or said something unasked.
fn is_stale(conn: &Conn) -> bool {
    let Some(stream) = conn.stream() else {
        return true;
    };
    let Ok(socket) = stream.try_clone_socket() else {
        return conn.has_ended();
    };
    let socket = socket2::Socket::from(socket);
    match socket.peek(&mut [MaybeUninit::uninit()]) {
        Ok(_) => true,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}
