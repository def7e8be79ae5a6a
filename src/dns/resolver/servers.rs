//! Whom C asks.
//!
//! C watches the sockets of its name servers, probes those that failed by asking them for
//! `google.com`, and holds the loop with both; freeing a server while such a probe is about to be
//! answered is a use of freed memory. So C has servers only while there are questions: the first
//! one brings them, the last one takes them away, and with them all that C thought of them. C is
//! told to probe after an hour, and has none for that long: a timer of ours gives the servers
//! another chance instead.
//!
//! What C knows of its servers goes with them, and it lets them take turns. One that is dead would
//! keep the answer of one family back at every lookup. So C gets the first one alone; when that is
//! silent, or cannot answer, it gets the others. One that was silent is passed over for a while.

use super::{Config, ResolverRef};
use crate::callback::retain;
use crate::dns::Cause;
use crate::error::{Error, Result};
use crate::ffi;
use crate::util::written_addr;
use socket2::SockAddr;
use std::cell::Cell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::raw::{c_short, c_void};
use std::time::{Duration, Instant};

/// The bounds of `Config::retry_failed`; well before a probe.
const RENEW: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1800));

#[derive(Default)]
pub(super) struct State {
    /// Whether C has servers.
    there: Cell<bool>,
    suspended: Cell<bool>,
    /// Whether C code uses the C object too.
    pub(super) shared: Cell<bool>,
    /// Which one is asked first, and alone; and since when it is not the first of all.
    first: Cell<usize>,
    moved: Cell<Option<Instant>>,
    /// Whether the others are asked instead.
    others: Cell<bool>,
    /// They are, as the first one was silent.
    silent: Cell<bool>,
    /// Since when they are known to be silent too.
    others_silent: Cell<Option<Instant>>,
    /// Whether somebody has answered since the timer was set.
    heard: Cell<bool>,
    /// Since when C has these servers.
    begun: Cell<Option<Instant>>,
}

/// When servers get another chance, or are looked after otherwise: well before a probe.
fn renewal(config: &Config) -> Duration {
    let (least, most) = RENEW;
    // Questions that are under way begin anew then: not before one can be given up.
    let patience = config.timeout * (u32::from(config.attempts.max(1)) + 1);
    config.retry_failed.max(patience).clamp(least, most)
}

/// How long nobody has to answer to be silent: a little less than until C asks again.
fn silence(config: &Config) -> Duration {
    config.timeout.min(config.deadline) * 7 / 8
}

impl ResolverRef {
    /// Lets C have its servers, if it has none. Otherwise why nobody can be asked.
    pub(super) fn begin_servers(&self) -> Result<(), String> {
        let state = &self.servers;
        if self.foreign || state.there.get() || state.suspended.get() {
            return Ok(());
        }
        let config = self.settings();
        let servers = &config.servers;
        if servers.is_empty() {
            return Err(String::new());
        }
        let renewal = renewal(&config);
        if state.moved.get().is_some_and(|at| at.elapsed() >= renewal) {
            self.forget_failures();
        }
        let first = state.first.get();
        let mut order: Vec<_> = (0..servers.len())
            .map(|index| servers[(first + index) % servers.len()])
            .collect();
        if state.others.get() {
            order.remove(0);
        } else if !self.is_one_alone() {
            // C asks the one that was added first, then the others in the reverse order.
            order[1..].reverse();
        }
        let mut failure = String::new();
        for server in order {
            match self.add_server(server) {
                Ok(()) => state.there.set(true),
                Err(error) => failure = format!("{server}: {error}"),
            }
            if state.there.get() && self.is_one_alone() {
                break;
            }
        }
        if !state.there.get() {
            return Err(failure);
        }
        state.begun.set(Some(Instant::now()));
        state.heard.set(false);
        self.renew.trigger_after(match self.has_turns() {
            true => silence(&config).min(renewal),
            false => renewal,
        });
        Ok(())
    }

    /// Whether C never has all servers at once.
    fn has_turns(&self) -> bool {
        let several = self.settings().servers.len() > 1;
        several && !self.foreign && !self.servers.shared.get()
    }

    /// Whether C has but one of several servers, or will have.
    fn is_one_alone(&self) -> bool {
        self.has_turns() && !self.servers.others.get()
    }

    /// Begins with the first of all again.
    pub(super) fn forget_failures(&self) {
        self.servers.first.set(0);
        self.servers.moved.set(None);
        self.servers.others_silent.set(None);
    }

    fn add_server(&self, mut server: SocketAddr) -> io::Result<()> {
        // "Any" stands for this machine, as everywhere; but what answers has an address.
        match server.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => server.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => server.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        let address = SockAddr::from(server);
        // SAFETY: alive until it is closed; the address is as long as it says, and copied.
        let code = unsafe {
            ffi::evdns_base_nameserver_sockaddr_add(
                self.raw.get(),
                address.as_ptr().cast(),
                address.len() as _,
                0,
            )
        };
        match code {
            // 3: it is there already.
            0 | 3 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Takes C's servers away; questions that C has wait.
    pub(super) fn end_servers(&self) {
        let state = &self.servers;
        if self.foreign || !state.there.replace(false) {
            return;
        }
        self.renew.stop();
        if state.others.take() && state.silent.take() {
            let count = self.settings().servers.len().max(1);
            state.first.set((state.first.get() + 1) % count);
            state.moved.set(Some(Instant::now()));
        }
        // SAFETY: alive until it is closed, and then until its servers are gone. No server has been
        // there for an hour, so none is being probed.
        unsafe { ffi::evdns_base_clear_nameservers_and_suspend(self.raw.get()) };
    }

    /// Lets C begin anew with the servers, if it has any.
    pub(super) fn renew_servers(&self) {
        if self.servers.there.get() {
            self.end_servers();
            self.forget_failures();
            self.go_on();
        }
    }

    /// Lets C ask what waits. False when there is nobody to ask.
    fn go_on(&self) -> bool {
        let begun = self.begin_servers().is_ok();
        if begun && !self.servers.suspended.get() {
            // SAFETY: alive until it is closed.
            unsafe { ffi::evdns_base_resume(self.raw.get()) };
        }
        begun
    }

    /// The time is over: to answer, or of what C knows.
    fn on_renew(&self) {
        let state = &self.servers;
        let config = self.settings();
        let age = state.begun.get().map_or(Duration::ZERO, |at| at.elapsed());
        let left = renewal(&config).saturating_sub(age);
        if !self.has_turns() || left.is_zero() {
            self.renew_servers();
        } else if state.heard.take() {
            self.renew.trigger_after(silence(&config).min(left));
        } else if !state.others.get() {
            self.ask_others(true);
        } else if state.silent.get() {
            // Nobody answers: it is for C to give up.
            self.renew.trigger_after(left);
        } else {
            // Back to the one that has at least said that it cannot.
            state.others_silent.set(Some(Instant::now()));
            self.end_servers();
            self.go_on();
        }
    }

    /// Lets C ask all servers but the one that it asked alone.
    fn ask_others(&self, silent: bool) {
        let state = &self.servers;
        self.end_servers();
        state.others.set(true);
        state.silent.set(silent);
        if !self.go_on() {
            state.others.set(false);
            self.go_on();
        }
    }

    /// A question that was begun then has no answer, or one that says something of the server only.
    /// Whether it is worth while to ask again.
    pub(super) fn others_may_know(&self, cause: Cause, begun: Instant) -> bool {
        let state = &self.servers;
        let failed = matches!(
            cause,
            Cause::ServerFailed | Cause::Refused | Cause::NotImplemented | Cause::BadAnswer
        );
        if state.there.get() && self.is_one_alone() && (failed || cause == Cause::TimedOut) {
            let renewal = renewal(&self.settings());
            let silent = state.others_silent.get();
            if silent.is_some_and(|at| at.elapsed() < renewal) {
                return false;
            }
            self.ask_others(false);
            return true;
        }
        // Its answer may have been waiting to be told when another one's brought the others.
        failed && state.others.get() && state.begun.get().is_some_and(|others| begun < others)
    }

    /// Somebody has answered.
    pub(super) fn heard(&self) {
        self.servers.heard.set(true);
    }

    /// How long C has been asking a question that was begun then.
    pub(super) fn asking_since(&self, begun: Instant) -> Duration {
        let servers = self.servers.begun.get();
        servers
            .map_or(begun, |servers| servers.max(begun))
            .elapsed()
    }

    /// C has no question left.
    pub(super) fn rest(&self) {
        if !self.servers.shared.get() {
            self.end_servers();
        }
    }

    /// Asks nobody until [`resume`](Self::resume). Lookups wait, as long as their deadline lets
    /// them; sockets are closed.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is closed, [`Error::Invalid`] for one that asks through C's own
    /// `evdns_base`.
    #[doc(alias = "evdns_base_clear_nameservers_and_suspend")]
    pub fn suspend(&self) -> Result<()> {
        self.check_own()?;
        self.servers.suspended.set(true);
        self.end_servers();
        Ok(())
    }

    /// Asks again, first of all what has been waiting.
    ///
    /// # Errors
    /// As [`suspend`](Self::suspend).
    #[doc(alias = "evdns_base_resume")]
    pub fn resume(&self) -> Result<()> {
        self.check_own()?;
        self.servers.suspended.set(false);
        if self.asked.get() > 0 || self.servers.shared.get() {
            self.go_on();
        }
        Ok(())
    }

    /// Whether it waits for [`resume`](Self::resume).
    pub fn is_suspended(&self) -> bool {
        self.servers.suspended.get()
    }

    pub(super) fn check_own(&self) -> Result<()> {
        if self.closed.get() {
            return Err(Error::Closed { what: "resolver" });
        }
        if self.foreign {
            let why = "its name servers and options are set through C's own evdns_base";
            return Err(Error::invalid("resolver", why));
        }
        Ok(())
    }

    pub(super) fn share_with_c(&self) {
        if !self.servers.shared.replace(true) {
            self.share_search();
            // It may be one that is alone.
            self.end_servers();
            // C code finds out by itself when there is nobody to ask.
            self.go_on();
        }
    }

    pub(super) fn servers_of_c(&self) -> Vec<SocketAddr> {
        let raw = self.raw.get();
        // SAFETY: alive until it is closed.
        let count = unsafe { ffi::evdns_base_count_nameservers(raw) };
        let server = |index| {
            written_addr(|out, room| {
                // SAFETY: as above. C writes no more than it is told there is room for.
                unsafe { ffi::evdns_base_get_nameserver_addr(raw, index, out, room as _) }
            })
        };
        (0..count).filter_map(server).collect()
    }
}

/// C calls this when it is time to look after the servers.
pub(super) unsafe extern "C" fn on_renew(_: ffi::evutil_socket_t, _: c_short, arg: *mut c_void) {
    // SAFETY: `arg` is the resolver, which frees this event before it goes.
    let resolver = unsafe { retain::<ResolverRef>(arg) };
    resolver.on_renew();
}
