//! Names to addresses and back, without blocking the loop.
//!
//! [`plan`] says what there is to do, [`lookup`] is the course of one lookup, [`question`] what C asks
//! for it, [`servers`] whom C asks.

mod found;
mod lookup;
mod numeric;
mod options;
mod plan;
mod question;
mod servers;
mod service;

pub use lookup::Lookup;

use super::{Answer, Config, LookupError};
use crate::base::{Kind, Live};
use crate::callback::{CallbackResult, Outcome};
use crate::error::{Error, Result};
use crate::event::InternalEvent;
use crate::sync::lock;
use crate::util::{AddrHints, AddrInfo};
use crate::{LoopHandle, ffi};
use found::Found;
use lookup::Job;
use plan::Plan;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Deref;
use std::ptr;
use std::rc::{Rc, Weak};
use std::sync::Mutex;

/// C stores two pointers for the whole process each time that it makes one, without a lock.
static MAKING: Mutex<()> = Mutex::new(());

/// Looks up names on the loop: what it can do is at [`ResolverRef`].
///
/// It holds the loop only while a lookup is under way. Dropping it closes it: lookups that are
/// under way then fail with [`Cause::Closed`](super::Cause::Closed).
///
/// ```no_run
/// use libevent2::EventBase;
/// use libevent2::dns::Resolver;
///
/// let mut base = EventBase::new()?;
/// let resolver = Resolver::system(&base)?;
/// let lookup = resolver.lookup_host("www.example.com", |found| match found {
///     Ok(found) => println!("{}: {:?}, for {:?}", found.name, found.records, found.ttl),
///     Err(error) => println!("{error}"),
/// })?;
/// base.run()?;
/// # drop(lookup);
/// # Ok::<(), libevent2::Error>(())
/// ```
#[doc(alias = "evdns_base")]
#[doc(alias = "evdns_base_free")]
#[must_use = "dropping it closes the resolver; `detach` gives it to the base"]
pub struct Resolver {
    /// Empty only while it is given to the base.
    node: Option<Rc<ResolverRef>>,
}

impl Resolver {
    /// One that works as `config` says.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a value that cannot be, with its name; [`Error::Libevent`] when memory
    /// or randomness is short; [`Error::Closed`] when the base is gone.
    #[doc(alias = "evdns_base_new")]
    pub fn new(base: &LoopHandle, config: Config) -> Result<Self> {
        options::check(&config)?;
        // What libevent 2.2 remembers holds the loop until it is out of date.
        #[cfg(libevent_2_2)]
        let flags = ffi::EVDNS_BASE_NO_CACHE;
        #[cfg(not(libevent_2_2))]
        let flags = 0;
        let raw_base = base.inner().open()?;
        let turn = lock(&MAKING);
        // SAFETY: the base is alive. Without other flags nothing is read and no server is there.
        let raw = unsafe { ffi::evdns_base_new(raw_base, flags) };
        drop(turn);
        if raw.is_null() {
            return Err(Error::Libevent {
                op: "evdns_base_new",
            });
        }
        let node = ResolverRef::new(base, raw, config, false)?;
        let resolver = Resolver { node: Some(node) };
        resolver.set_options();
        Ok(resolver)
    }

    /// One that works as this system is configured; see [`Config::system`].
    ///
    /// # Errors
    /// As [`Config::system`] and [`new`](Self::new).
    pub fn system(base: &LoopHandle) -> Result<Self> {
        Self::new(base, Config::system()?)
    }

    /// One that asks through an `evdns_base` of C's, which C configures and frees. Its name servers
    /// are C's; of `config` the rest holds that is looked at in Rust: hosts, search list and
    /// deadline, and `timeout` and `attempts`, which should be C's, to tell errors apart.
    ///
    /// # Errors
    /// [`Error::Closed`] when the base is gone.
    ///
    /// # Safety
    /// `raw` is an `evdns_base` on `base`, and lives until the resolver is closed and the loop has
    /// been back after that, or the base is gone: C still has to hear of what was cancelled.
    pub unsafe fn attach(
        base: &LoopHandle,
        raw: *mut ffi::evdns_base,
        config: Config,
    ) -> Result<Self> {
        assert!(!raw.is_null(), "the evdns_base is NULL");
        base.inner().open()?;
        let node = ResolverRef::new(base, raw, config, true)?;
        Ok(Resolver { node: Some(node) })
    }

    /// Gives it to the base: it lives until [`close`](ResolverRef::close) or the end of the base.
    pub fn detach(mut self) {
        if let Some(node) = self.node.take() {
            let base = node.base.clone();
            base.inner().adopt(node.key.get(), node);
        }
    }

    /// Takes it from the list of the base's objects: whoever has it drops it before the base goes.
    pub(crate) fn hide(&self) {
        let base = self.base.inner();
        drop(base.remove_object(self.key.replace(usize::MAX)));
    }

    /// A count on what is behind it.
    pub(crate) fn node(&self) -> &Rc<ResolverRef> {
        let node = self.node.as_ref();
        node.expect("taken only by what consumes the resolver")
    }
}

impl Deref for Resolver {
    type Target = ResolverRef;

    fn deref(&self) -> &ResolverRef {
        self.node()
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        if let Some(node) = &self.node {
            node.close();
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Resolver").field(&self.node).finish()
    }
}

/// What can be done with a [`Resolver`].
///
/// Every lookup calls its closure once, from the loop, also with what is known at once; never
/// when its [`Lookup`] was dropped before. None takes longer than [`Config::deadline`].
///
/// Numbers are their own answer. Then the hosts of the configuration are looked at; `localhost` is
/// this machine (RFC 6761); then the name servers are asked, for each name of the search list in
/// turn.
pub struct ResolverRef {
    me: Weak<ResolverRef>,
    base: LoopHandle,
    /// Null when the C object is gone.
    raw: Cell<*mut ffi::evdns_base>,
    /// Whether C owns the C object.
    foreign: bool,
    /// Its entry among the base's objects.
    key: Cell<usize>,
    closed: Cell<bool>,
    config: RefCell<Rc<Config>>,
    servers: servers::State,
    /// Gives servers that failed another chance.
    renew: InternalEvent,
    /// The questions that C has not answered.
    asked: Cell<usize>,
    jobs: RefCell<Slab<Rc<Job>>>,
}

impl ResolverRef {
    fn new(
        base: &LoopHandle,
        raw: *mut ffi::evdns_base,
        config: Config,
        foreign: bool,
    ) -> Result<Rc<Self>> {
        let node = Rc::new_cyclic(|me| ResolverRef {
            me: me.clone(),
            base: base.clone(),
            raw: Cell::new(raw),
            foreign,
            key: Cell::new(usize::MAX),
            closed: Cell::new(false),
            config: RefCell::new(Rc::new(config)),
            servers: servers::State::default(),
            renew: InternalEvent::unset(),
            asked: Cell::new(0),
            jobs: RefCell::default(),
        });
        let weak: Weak<dyn Live> = node.me.clone();
        node.key.set(base.inner().add_object(weak));
        if let Err(error) = node.prepare() {
            node.close();
            return Err(error);
        }
        Ok(node)
    }

    fn prepare(self: &Rc<Self>) -> Result<()> {
        let arg = Rc::as_ptr(self).cast_mut().cast();
        // SAFETY: the base is alive. The event goes when the resolver is closed, at the latest with
        // the base, until when somebody has a count on it.
        unsafe {
            self.renew
                .set(self.base.inner().open()?, servers::on_renew, arg)
        }
    }

    pub(crate) fn rc(&self) -> Rc<Self> {
        let rc = self.me.upgrade();
        rc.expect("whoever holds a reference holds a count")
    }

    /// The loop that it lives on.
    pub fn handle(&self) -> &LoopHandle {
        &self.base
    }

    /// The C object, for calls of `ffi`; NULL when it is closed. From now on its sockets stay open,
    /// also while no lookup is under way, and so hold the loop until it is closed; all servers take
    /// turns. The search list is C's as well then; the hosts are not.
    ///
    /// What C code asks has to be answered before the resolver is closed: closing frees the C
    /// object, and libevent uses it after that for an `evdns_getaddrinfo` that is half answered.
    /// Name servers and options that C code sets are lost now and then.
    pub fn as_ptr(&self) -> *mut ffi::evdns_base {
        if !self.closed.get() && !self.foreign {
            self.share_with_c();
        }
        match self.closed.get() {
            true => ptr::null_mut(),
            false => self.raw.get(),
        }
    }

    /// Whether it was closed, by [`close`](Self::close) or by the end of its base.
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// How many lookups are under way.
    pub fn lookups(&self) -> usize {
        self.jobs.borrow().len()
    }

    /// Closes its sockets for good. Lookups that are under way fail with
    /// [`Cause::Closed`](super::Cause::Closed); their closures are called by the loop. Closing
    /// twice is fine.
    #[doc(alias = "evdns_base_free")]
    pub fn close(&self) {
        let _alive = self.rc();
        if !self.shut() {
            return;
        }
        for job in self.under_way() {
            job.fail(super::Cause::Closed);
        }
    }

    /// Looks up the addresses of a host: those of IPv6 and of IPv4.
    ///
    /// When one family's answer is late, there is the other one's after
    /// [`Config::family_delay`]. IPv6 addresses come first.
    ///
    /// # Errors
    /// [`Error::Closed`] when the resolver is closed, [`Error::Libevent`] when memory is short;
    /// whatever is wrong with the name or with the servers is for the closure.
    pub fn lookup_host<O: CallbackResult>(
        &self,
        host: &str,
        callback: impl FnOnce(Result<Answer<IpAddr>, LookupError>) -> O + 'static,
    ) -> Result<Lookup> {
        let plan = self.plan(host, true, true);
        self.start(host, plan, callback, |found| {
            found.answer(|found| found.addresses())
        })
    }

    /// As [`lookup_host`](Self::lookup_host), with a choice of families, for who can do with the
    /// one that is there: `early` gets its addresses at once when the other one's are awaited,
    /// which go to `callback`, with the first ones, as late as they come.
    ///
    /// Two lookups would be something else: with a search list each may find another host.
    pub(crate) fn lookup_addresses(
        &self,
        host: &str,
        (ipv4, ipv6): (bool, bool),
        early: impl FnOnce(Vec<IpAddr>) + 'static,
        callback: impl FnOnce(Result<Answer<IpAddr>, LookupError>) + 'static,
    ) -> Result<Lookup> {
        let plan = self.plan(host, ipv4, ipv6);
        let lookup = self.start(host, plan, callback, |found| {
            found.answer(|found| found.addresses())
        })?;
        lookup.tell_early(early);
        Ok(lookup)
    }

    /// Looks up the IPv4 addresses of a host (its `A` records).
    ///
    /// # Errors
    /// As [`lookup_host`](Self::lookup_host).
    #[doc(alias = "evdns_base_resolve_ipv4")]
    pub fn lookup_ipv4<O: CallbackResult>(
        &self,
        host: &str,
        callback: impl FnOnce(Result<Answer<Ipv4Addr>, LookupError>) -> O + 'static,
    ) -> Result<Lookup> {
        let plan = self.plan(host, true, false);
        self.start(host, plan, callback, |found| {
            found.answer(|found| std::mem::take(&mut found.ipv4))
        })
    }

    /// Looks up the IPv6 addresses of a host (its `AAAA` records).
    ///
    /// # Errors
    /// As [`lookup_host`](Self::lookup_host).
    #[doc(alias = "evdns_base_resolve_ipv6")]
    pub fn lookup_ipv6<O: CallbackResult>(
        &self,
        host: &str,
        callback: impl FnOnce(Result<Answer<Ipv6Addr>, LookupError>) -> O + 'static,
    ) -> Result<Lookup> {
        let plan = self.plan(host, false, true);
        self.start(host, plan, callback, |found| {
            found.answer(|found| std::mem::take(&mut found.ipv6))
        })
    }

    /// Looks up the name of an address (its `PTR` record; libevent takes the first one). What is not
    /// printable ASCII in it is written as a backslash and three digits.
    ///
    /// # Errors
    /// As [`lookup_host`](Self::lookup_host).
    #[doc(alias = "evdns_base_resolve_reverse")]
    #[doc(alias = "evdns_base_resolve_reverse_ipv6")]
    pub fn lookup_addr<O: CallbackResult>(
        &self,
        address: IpAddr,
        callback: impl FnOnce(Result<Answer<String>, LookupError>) -> O + 'static,
    ) -> Result<Lookup> {
        let plan = self.reverse_plan(address);
        self.start(&address.to_string(), plan, callback, |found| {
            found.answer(|found| std::mem::take(&mut found.names))
        })
    }

    /// Looks up a host and a service, each a name or a number, as
    /// [`util::getaddrinfo`](crate::util::getaddrinfo) does, without blocking. Without a host the
    /// addresses are this machine's. With [`AddrHints::canonical_name`] the answer has the name
    /// that `host` is an alias of, as far as libevent tells it: the first step of a chain.
    ///
    /// The service's name is looked up in the system's file of services.
    ///
    /// # Errors
    /// As [`lookup_host`](Self::lookup_host); [`Error::Invalid`] without host and service.
    #[doc(alias = "evdns_getaddrinfo")]
    pub fn getaddrinfo<O: CallbackResult>(
        &self,
        host: Option<&str>,
        service: Option<&str>,
        hints: AddrHints,
        callback: impl FnOnce(Result<Answer<AddrInfo>, LookupError>) -> O + 'static,
    ) -> Result<Lookup> {
        let Some(name) = host.or(service) else {
            return Err(Error::invalid("lookup", "it has neither host nor service"));
        };
        let (plan, sockets) = self.address_plan(host, service, hints);
        self.start(name, plan, callback, move |found| {
            found.answer(|found| sockets.of(found))
        })
    }

    fn start<T: 'static, O: CallbackResult>(
        &self,
        name: &str,
        plan: Plan,
        callback: impl FnOnce(Result<Answer<T>, LookupError>) -> O + 'static,
        convert: impl FnOnce(Found) -> Answer<T> + 'static,
    ) -> Result<Lookup> {
        if self.closed.get() {
            return Err(Error::Closed { what: "resolver" });
        }
        let done = move |found: Result<Found, LookupError>| -> Outcome {
            callback(found.map(convert)).outcome()
        };
        Job::start(self.rc(), name, plan, Box::new(done))
    }

    /// The jobs under way, without a borrow.
    fn under_way(&self) -> Vec<Rc<Job>> {
        let jobs = self.jobs.borrow();
        jobs.iter().map(|(_, job)| job.clone()).collect()
    }

    /// Ends what is C's. False when that was done before.
    fn shut(&self) -> bool {
        if self.closed.replace(true) {
            return false;
        }
        self.renew.free();
        self.end_servers();
        let object = self
            .base
            .inner()
            .remove_object(self.key.replace(usize::MAX));
        self.free_if_unused();
        // Perhaps the last count, but for that of whoever called.
        drop(object);
        true
    }

    /// The C object goes when it has nothing left that could call.
    fn free_if_unused(&self) {
        if self.closed.get() && self.asked.get() == 0 {
            let raw = self.raw.replace(ptr::null_mut());
            if !self.foreign && !raw.is_null() {
                // SAFETY: ours, freed once. It has no name servers, so no probes and no events; no
                // question of ours is left. What C code has asked through `as_ptr` fails.
                unsafe { ffi::evdns_base_free(raw, 1) };
            }
        }
    }

    /// The configuration, as it is now.
    pub fn config(&self) -> Config {
        Config::clone(&self.config.borrow())
    }

    fn settings(&self) -> Rc<Config> {
        self.config.borrow().clone()
    }

    /// Works by another configuration from now on, also for lookups that are under way: their
    /// questions are asked once more. What was found out about the servers is forgotten.
    ///
    /// ```no_run
    /// # use libevent2::dns::{Config, Resolver};
    /// # fn reload(resolver: &Resolver) -> libevent2::Result<()> {
    /// resolver.set_config(Config::system()?)
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] as at [`Resolver::new`], and for one that asks through C's own
    /// `evdns_base`; [`Error::Closed`] when it is closed. Then the old one stays.
    #[doc(alias = "evdns_base_set_option")]
    pub fn set_config(&self, config: Config) -> Result<()> {
        self.check_own()?;
        options::check(&config)?;
        if config.bind.is_none() && self.settings().bind.is_some() {
            let why = "libevent cannot take it back; make another resolver";
            return Err(Error::invalid("bind", why));
        }
        self.config.replace(Rc::new(config));
        self.set_options();
        self.forget_failures();
        self.renew_servers();
        Ok(())
    }

    /// The name servers: of the configuration, or C's own.
    #[doc(alias = "evdns_base_count_nameservers")]
    #[doc(alias = "evdns_base_get_nameserver_addr")]
    pub fn servers(&self) -> Vec<SocketAddr> {
        match self.foreign && !self.closed.get() {
            true => self.servers_of_c(),
            false => self.settings().servers.clone(),
        }
    }
}

impl Live for ResolverRef {
    fn kind(&self) -> Kind {
        Kind::Resolver
    }

    fn close(&self) {
        self.shut();
    }

    fn clear(&self) {}
}

impl fmt::Debug for ResolverRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResolverRef")
            .field("ptr", &self.raw.get())
            .field("servers", &self.settings().servers)
            .field("lookups", &self.lookups())
            .finish_non_exhaustive()
    }
}
