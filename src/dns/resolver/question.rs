//! One question that C asks name servers, until the one callback that C owes for it.

use super::ResolverRef;
use super::lookup::Job;
use crate::dns::{Cause, name};
use crate::ffi;
use crate::util::{AddrHints, addr_list};
use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::mem::transmute;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::raw::{c_char, c_int, c_void};
use std::ptr;
use std::rc::{Rc, Weak};
use std::slice;
use std::time::{Duration, Instant};

/// What a question asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Ipv4,
    Ipv6,
    /// As the ones above, with the name that it is an alias of; C then tells little of errors.
    CanonicalIpv4,
    CanonicalIpv6,
    Name(IpAddr),
}

pub(super) enum Records {
    Ipv4(Vec<Ipv4Addr>),
    Ipv6(Vec<Ipv6Addr>),
    Names(Vec<String>),
}

pub(super) struct Reply {
    /// Never an empty list.
    pub(super) records: Result<Records, Cause>,
    pub(super) ttl: Option<Duration>,
    pub(super) canonical: Option<String>,
}

impl Reply {
    fn failed(cause: Cause, ttl: Option<Duration>) -> Self {
        Reply {
            records: Err(cause),
            ttl,
            canonical: None,
        }
    }
}

impl Kind {
    /// The same without the canonical name.
    fn plain(self) -> Option<Self> {
        match self {
            Kind::CanonicalIpv4 => Some(Kind::Ipv4),
            Kind::CanonicalIpv6 => Some(Kind::Ipv6),
            _ => None,
        }
    }

    /// What to ask when this is the answer, and is none: C does not tell what went wrong with a
    /// canonical name, perhaps nothing but that name.
    pub(super) fn instead(self, reply: &Reply) -> Option<Self> {
        let failed = matches!(&reply.records, Err(cause) if *cause != Cause::NoSuchName);
        self.plain().filter(|_| failed)
    }
}

/// What C gave, until it has called back.
#[derive(Clone, Copy)]
enum Raw {
    None,
    Request(*mut ffi::evdns_request),
    AddrInfo(*mut ffi::evdns_getaddrinfo_request),
}

pub(super) struct Question {
    resolver: Rc<ResolverRef>,
    /// Who wants to know; nobody when it was cancelled.
    job: Cell<Weak<Job>>,
    pub(super) kind: Kind,
    raw: Cell<Raw>,
    pub(super) begun: Instant,
    /// What C has called back with before it returned.
    early: Cell<Option<Reply>>,
    asking: Cell<bool>,
}

impl Question {
    /// Lets C ask for `name`, as it stands. The answer goes to the job, from the loop; what C knows
    /// at once comes back from here.
    pub(super) fn ask(
        resolver: &Rc<ResolverRef>,
        job: &Rc<Job>,
        kind: Kind,
        name: &str,
    ) -> Result<Rc<Self>, Reply> {
        let Ok(name) = CString::new(name) else {
            return Err(Reply::failed(Cause::BadName, None));
        };
        let question = Rc::new(Question {
            resolver: resolver.clone(),
            job: Cell::new(Rc::downgrade(job)),
            kind,
            raw: Cell::new(Raw::None),
            begun: Instant::now(),
            early: Cell::default(),
            asking: Cell::new(true),
        });
        resolver.asked();
        // C's count, which its callback takes back.
        let arg = Rc::into_raw(question.clone()).cast_mut().cast::<c_void>();
        // SAFETY: the resolver's C object is alive as long as it is open. C copies the name, and
        // calls back once with `arg`, unless it says by NULL that it will not, or already has.
        let raw = unsafe { question.ask_c(&name, arg) };
        question.asking.set(false);
        question.raw.set(raw);
        if !matches!(raw, Raw::None) {
            return Ok(question);
        }
        if let Some(reply) = question.early.take() {
            return Err(reply);
        }
        // SAFETY: C has no use for the count that it was given.
        drop(unsafe { Rc::from_raw(arg.cast_const().cast::<Question>()) });
        resolver.answered();
        Err(Reply::failed(Cause::OutOfMemory, None))
    }

    /// # Safety
    /// The C object is alive; `arg` is a count on this for C's callback.
    unsafe fn ask_c(&self, name: &CStr, arg: *mut c_void) -> Raw {
        let raw = self.resolver.raw.get();
        // The search list is looked through in Rust.
        let flags = ffi::DNS_QUERY_NO_SEARCH;
        let callback = Some(answered as unsafe extern "C" fn(_, _, _, _, _, _));
        // SAFETY: the caller's promise. The bytes of an address are those of C's structure.
        let request = unsafe {
            match self.kind {
                Kind::Ipv4 => {
                    ffi::evdns_base_resolve_ipv4(raw, name.as_ptr(), flags, callback, arg)
                }
                Kind::Ipv6 => {
                    ffi::evdns_base_resolve_ipv6(raw, name.as_ptr(), flags, callback, arg)
                }
                Kind::Name(IpAddr::V4(ip)) => {
                    let ip: ffi::in_addr = transmute(ip.octets());
                    ffi::evdns_base_resolve_reverse(raw, &ip, flags, callback, arg)
                }
                Kind::Name(IpAddr::V6(ip)) => {
                    let ip: ffi::in6_addr = transmute(ip.octets());
                    ffi::evdns_base_resolve_reverse_ipv6(raw, &ip, flags, callback, arg)
                }
                Kind::CanonicalIpv4 => {
                    return self.ask_canonical(AddrHints::new().ipv4(), name, arg);
                }
                Kind::CanonicalIpv6 => {
                    return self.ask_canonical(AddrHints::new().ipv6(), name, arg);
                }
            }
        };
        match request.is_null() {
            true => Raw::None,
            false => Raw::Request(request),
        }
    }

    /// # Safety
    /// As for [`ask_c`](Self::ask_c).
    unsafe fn ask_canonical(&self, family: AddrHints, name: &CStr, arg: *mut c_void) -> Raw {
        let hints = family.tcp().canonical_name().to_c();
        // Nor may C look through the list that it has for C code.
        self.resolver.clear_search();
        // SAFETY: the caller's promise; C copies the hints.
        let request = unsafe {
            ffi::evdns_getaddrinfo(
                self.resolver.raw.get(),
                name.as_ptr(),
                ptr::null(),
                &hints,
                Some(answered_canonical),
                arg,
            )
        };
        self.resolver.share_search();
        match request.is_null() {
            true => Raw::None,
            false => Raw::AddrInfo(request),
        }
    }

    /// Nobody wants to know any more.
    pub(super) fn cancel(&self) {
        self.job.take();
        let raw = self.raw.replace(Raw::None);
        // SAFETY: C has not called back, so what it gave is alive, and the resolver with it. It
        // calls back later, from the loop.
        unsafe {
            match raw {
                Raw::None => {}
                Raw::Request(request) => {
                    ffi::evdns_cancel_request(self.resolver.raw.get(), request);
                }
                Raw::AddrInfo(request) => ffi::evdns_getaddrinfo_cancel(request),
            }
        }
    }

    /// C has called back.
    fn answered(self: &Rc<Self>, mut reply: Reply) {
        self.raw.set(Raw::None);
        let config = self.resolver.settings();
        // For C a server that failed is one that was late, only sooner. C counts by the loop's
        // clock, which is a little behind.
        let patience = config.timeout.saturating_mul(config.attempts.max(1).into());
        let took = self.resolver.asking_since(self.begun);
        if matches!(reply.records, Err(Cause::TimedOut)) && took + config.timeout / 2 < patience {
            reply.records = Err(Cause::ServerFailed);
        }
        if !matches!(reply.records, Err(Cause::TimedOut | Cause::Cancelled)) {
            self.resolver.heard();
        }
        if self.asking.get() {
            self.early.set(Some(reply));
        } else if let Some(job) = self.job.take().upgrade() {
            job.answered(self, reply);
        }
        self.resolver.answered();
    }
}

impl ResolverRef {
    /// C has one question more, or is about to have some. To be taken back by
    /// [`answered`](Self::answered).
    pub(super) fn asked(&self) {
        self.asked.set(self.asked.get() + 1);
    }

    /// C has one question less.
    pub(super) fn answered(&self) {
        self.asked.set(self.asked.get() - 1);
        if self.asked.get() == 0 {
            match self.closed.get() {
                true => self.free_if_unused(),
                false => self.rest(),
            }
        }
    }
}

unsafe extern "C" fn answered(
    result: c_int,
    kind: c_char,
    count: c_int,
    ttl: c_int,
    addresses: *mut c_void,
    arg: *mut c_void,
) {
    // SAFETY: `arg` is the count that C was given, which comes back here once.
    let question = unsafe { Rc::from_raw(arg.cast_const().cast::<Question>()) };
    // A time of 2^31 seconds and more counts as none (RFC 2181).
    let ttl = u64::try_from(ttl).unwrap_or(0);
    // Without one, C says 0.
    let ttl = Some(Duration::from_secs(ttl)).filter(|_| result != ffi::DNS_ERR_TIMEOUT);
    let reply = match (result, usize::try_from(count).unwrap_or(0)) {
        (ffi::DNS_ERR_NONE, 0) => Reply::failed(Cause::NoData, ttl),
        (ffi::DNS_ERR_NONE, count) => Reply {
            // SAFETY: with success C gives `count` records of that kind, for this call.
            records: unsafe { records(kind.into(), count, addresses) }.ok_or(Cause::BadAnswer),
            ttl,
            canonical: None,
        },
        (code, _) => {
            let cause = cause(code);
            let known = matches!(cause, Cause::NoSuchName | Cause::NoData);
            // Zero is what C says when there was none.
            let ttl = ttl.filter(|ttl| known && !ttl.is_zero());
            Reply::failed(cause, ttl)
        }
    };
    finish(question, reply);
}

unsafe extern "C" fn answered_canonical(result: c_int, list: *mut ffi::addrinfo, arg: *mut c_void) {
    // SAFETY: as in `answered`. The list is ours, and NULL when there is nothing.
    let (question, list) = unsafe {
        let question = Rc::from_raw(arg.cast_const().cast::<Question>());
        (question, addr_list(list))
    };
    let v4 = list.addresses().filter_map(|address| match address.ip() {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    });
    let v6 = list.addresses().filter_map(|address| match address.ip() {
        IpAddr::V6(ip) => Some(ip),
        IpAddr::V4(_) => None,
    });
    let (v4, v6): (Vec<_>, Vec<_>) = (v4.collect(), v6.collect());
    let records = match (result, v4.is_empty(), v6.is_empty()) {
        (0, false, _) => Ok(Records::Ipv4(v4)),
        (0, _, false) => Ok(Records::Ipv6(v6)),
        (0, ..) => Err(Cause::NoData),
        (libc::EAI_NONAME, ..) => Err(Cause::NoSuchName),
        (libc::EAI_MEMORY, ..) => Err(Cause::OutOfMemory),
        // Whatever else: who asks again without the canonical name hears it.
        _ => Err(Cause::BadAnswer),
    };
    // It may point at the question, with its random case.
    let canonical = list.canonical_name().map(<[u8]>::to_ascii_lowercase);
    let reply = Reply {
        records,
        ttl: None,
        canonical: canonical.as_deref().map(name::escape),
    };
    drop(list);
    finish(question, reply);
}

/// Tells who wants to know; nothing of the user's may unwind into C.
fn finish(question: Rc<Question>, reply: Reply) {
    let base = question.resolver.base.inner().clone();
    base.guard(|| {
        question.answered(reply);
        drop(question);
    });
}

/// # Safety
/// `addresses` is as evdns's callback gets it with `count` records of `kind`.
unsafe fn records(kind: c_int, count: usize, addresses: *mut c_void) -> Option<Records> {
    // SAFETY: the caller's promise: an array of addresses, as bytes in the network's order, or
    // pointers to C strings.
    unsafe {
        match kind {
            ffi::DNS_IPv4_A => {
                let list = slice::from_raw_parts(addresses.cast::<[u8; 4]>(), count);
                Some(Records::Ipv4(
                    list.iter().copied().map(Into::into).collect(),
                ))
            }
            ffi::DNS_IPv6_AAAA => {
                let list = slice::from_raw_parts(addresses.cast::<[u8; 16]>(), count);
                Some(Records::Ipv6(
                    list.iter().copied().map(Into::into).collect(),
                ))
            }
            ffi::DNS_PTR => {
                let list = slice::from_raw_parts(addresses.cast::<*const c_char>(), count);
                let text = |name: &*const c_char| name::escape(CStr::from_ptr(*name).to_bytes());
                Some(Records::Names(list.iter().map(text).collect()))
            }
            _ => None,
        }
    }
}

fn cause(code: c_int) -> Cause {
    match code {
        ffi::DNS_ERR_FORMAT => Cause::FormatError,
        ffi::DNS_ERR_SERVERFAILED => Cause::ServerFailed,
        ffi::DNS_ERR_NOTEXIST => Cause::NoSuchName,
        ffi::DNS_ERR_NOTIMPL => Cause::NotImplemented,
        ffi::DNS_ERR_REFUSED => Cause::Refused,
        ffi::DNS_ERR_TRUNCATED => Cause::Truncated,
        ffi::DNS_ERR_TIMEOUT => Cause::TimedOut,
        ffi::DNS_ERR_SHUTDOWN => Cause::Closed,
        ffi::DNS_ERR_CANCEL => Cause::Cancelled,
        ffi::DNS_ERR_NODATA => Cause::NoData,
        _ => Cause::BadAnswer,
    }
}
