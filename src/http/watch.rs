//! Ends connections whose clients take too long.
//!
//! A timer for each of them would cost more than what it watches: the server looks at all of its
//! connections now and then, and counts in its own ticks.

use super::Limits;
use super::connection::Connection;
use super::server::ServerRef;
use std::cell::Cell;
use std::time::Duration;

/// How long a client has to take note of an answer that ends its connection.
const LINGER: Duration = Duration::from_secs(5);

/// Whom a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// The client, for its next request.
    Idle,
    /// The client, for the rest of its request.
    Request,
    /// The program, for its answer.
    Handler,
    /// The client, to take what is sent.
    Send,
    /// The client, to close.
    Linger,
}

/// Since when a connection waits, and what had moved by then.
pub(super) struct Mark {
    began: Cell<u32>,
    since: Cell<u32>,
    moved: Cell<u64>,
}

impl Mark {
    pub(super) fn at(tick: u32) -> Self {
        Mark {
            began: Cell::new(tick),
            since: Cell::new(tick),
            moved: Cell::new(0),
        }
    }

    /// Something begins: a request, an answer.
    pub(super) fn restart(&self, tick: u32, moved: u64) {
        self.began.set(tick);
        self.since.set(tick);
        self.moved.set(moved);
    }
}

/// The limits in ticks.
pub(super) struct Patience {
    idle: u32,
    request: u32,
    linger: u32,
    /// So many bytes have to move in the idle time.
    least: u64,
}

/// How often the server looks.
pub(super) fn tick_length(limits: &Limits) -> Duration {
    let shortest = limits.idle.min(limits.request_time);
    (shortest / 8).clamp(Duration::from_millis(5), Duration::from_secs(1))
}

impl Patience {
    pub(super) fn of(limits: &Limits) -> Self {
        let tick = tick_length(limits).as_nanos();
        // One more, as the first is cut short.
        let ticks =
            |time: Duration| u32::try_from(time.as_nanos().div_ceil(tick) + 1).unwrap_or(u32::MAX);
        let rate = u128::from(limits.min_rate) * limits.idle.as_millis() / 1000;
        Patience {
            idle: ticks(limits.idle),
            request: ticks(limits.request_time),
            linger: ticks(LINGER.min(limits.idle)),
            least: u64::try_from(rate).unwrap_or(u64::MAX).max(1),
        }
    }

    /// Whether its time is over at this tick.
    fn is_over(&self, connection: &Connection, waiting: Waiting, tick: u32) -> bool {
        let mark = &connection.watch;
        let moved = connection.progress();
        let waited = |since: &Cell<u32>| tick.wrapping_sub(since.get());
        match waiting {
            Waiting::Handler => {
                mark.restart(tick, moved);
                return false;
            }
            Waiting::Linger => return waited(&mark.began) >= self.linger,
            Waiting::Request if waited(&mark.began) >= self.request => return true,
            Waiting::Idle | Waiting::Request | Waiting::Send => {}
        }
        if waiting != Waiting::Idle && moved.saturating_sub(mark.moved.get()) >= self.least {
            mark.since.set(tick);
            mark.moved.set(moved);
            return false;
        }
        waited(&mark.since) >= self.idle
    }
}

impl ServerRef {
    /// Looks at all connections, once.
    pub(super) fn look_around(&self) {
        let tick = self.next_tick();
        let patience = Patience::of(&self.limits());
        let over: Vec<_> = self.with_connections(|connection| {
            let waiting = connection.waiting();
            patience
                .is_over(connection, waiting, tick)
                .then_some(waiting)
        });
        for (connection, waiting) in over {
            connection.timed_out(waiting);
        }
    }
}
