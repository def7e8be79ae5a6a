//! What `event2/util.h` has that Rust's standard library has not: clocks and random bytes as
//! libevent itself uses them, dates for HTTP headers, addresses and names as libevent reads them.

use crate::error::{Error, Result};
use crate::sync::lock;
use crate::{ffi, init, time};
use std::fmt;
use std::mem::MaybeUninit;
use std::os::raw::c_char;
use std::ptr::NonNull;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

#[cfg(unix)]
mod net;

#[cfg(unix)]
pub use net::{AddrHints, AddrInfo, getaddrinfo, parse_socket_addr, set_deferred_accept};
pub(crate) use net::{addr_list, written_addr};

bitflags::bitflags! {
    /// How a [`MonotonicTimer`] works.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct MonotonicFlags: u32 {
        /// The most precise clock there is, even if asking it takes longer.
        #[doc(alias = "EV_MONOT_PRECISE")]
        const PRECISE = ffi::EV_MONOT_PRECISE as u32;
        /// As on a system without a monotonic clock: the time of day, kept from going back. For
        /// tests.
        #[doc(alias = "EV_MONOT_FALLBACK")]
        const FALLBACK = ffi::EV_MONOT_FALLBACK as u32;
    }
}

/// The clock by which libevent measures its timeouts: it never goes back.
///
/// ```
/// use libevent2::util::{MonotonicFlags, MonotonicTimer};
///
/// let mut timer = MonotonicTimer::new(MonotonicFlags::PRECISE)?;
/// let before = timer.now();
/// assert!(timer.now() >= before);
/// # Ok::<(), libevent2::Error>(())
/// ```
#[doc(alias = "evutil_monotonic_timer")]
#[doc(alias = "evutil_monotonic_timer_free")]
pub struct MonotonicTimer {
    raw: NonNull<ffi::evutil_monotonic_timer>,
    last: Duration,
}

// SAFETY: the C timer is plain memory that belongs to this value alone; no thread is special to it.
unsafe impl Send for MonotonicTimer {}

impl MonotonicTimer {
    /// A clock that is set up as the flags say.
    ///
    /// # Errors
    /// [`Error::Libevent`] when memory is short or the system has no such clock.
    #[doc(alias = "evutil_monotonic_timer_new")]
    #[doc(alias = "evutil_configure_monotonic_time")]
    pub fn new(flags: MonotonicFlags) -> Result<Self> {
        // SAFETY: no preconditions.
        let raw = unsafe { ffi::evutil_monotonic_timer_new() };
        let timer = MonotonicTimer {
            raw: NonNull::new(raw).ok_or(Error::Libevent {
                op: "evutil_monotonic_timer_new",
            })?,
            last: Duration::ZERO,
        };
        let flags = flags & MonotonicFlags::all();
        // SAFETY: the timer is alive; the bits are libevent's own.
        match unsafe { ffi::evutil_configure_monotonic_time(raw, flags.bits() as _) } {
            0 => Ok(timer),
            _ => Err(Error::Libevent {
                op: "evutil_configure_monotonic_time",
            }),
        }
    }

    /// The time that has passed since a moment that is the same for all calls on this clock.
    #[doc(alias = "evutil_gettime_monotonic")]
    pub fn now(&mut self) -> Duration {
        let mut tv = time::timeval(Duration::ZERO);
        // SAFETY: the timer is alive and configured, and `&mut self` keeps others away; `tv` is ours.
        // It fails for a clock that the system does not know only, which was tried in `new`.
        if unsafe { ffi::evutil_gettime_monotonic(self.raw.as_ptr(), &mut tv) } == 0 {
            self.last = self.last.max(time::duration(tv));
        }
        self.last
    }
}

impl fmt::Debug for MonotonicTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MonotonicTimer")
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

impl Drop for MonotonicTimer {
    fn drop(&mut self) {
        // SAFETY: ours, freed once.
        unsafe { ffi::evutil_monotonic_timer_free(self.raw.as_ptr()) };
    }
}

/// Fills `buffer` with random bytes from the generator that libevent itself uses.
///
/// Good for what libevent needs (identifiers that a stranger does not guess), not for keys:
/// where the system has no `arc4random`, libevent brings its own, which still is RC4. Use the
/// crate `getrandom` for cryptography.
///
/// ```
/// use libevent2::util::fill_random;
///
/// let mut id = [0; 16];
/// fill_random(&mut id)?;
/// assert_ne!(id, [0; 16]);
/// # Ok::<(), libevent2::Error>(())
/// ```
///
/// # Errors
/// [`Error::Libevent`] when the generator cannot be seeded.
#[doc(alias = "evutil_secure_rng_get_bytes")]
#[doc(alias = "evutil_secure_rng_init")]
pub fn fill_random(buffer: &mut [u8]) -> Result<()> {
    static SEEDED: Mutex<bool> = Mutex::new(false);
    // libevent locks its generator only once threading is on; other bases use it as well.
    init::use_threads()?;
    let mut seeded = lock(&SEEDED);
    if !*seeded {
        // SAFETY: no preconditions; the generator has its lock.
        if unsafe { ffi::evutil_secure_rng_init() } != 0 {
            return Err(Error::Libevent {
                op: "evutil_secure_rng_init",
            });
        }
        *seeded = true;
    }
    // SAFETY: `buffer` is writable for its length; the generator has its lock.
    unsafe { ffi::evutil_secure_rng_get_bytes(buffer.as_mut_ptr().cast(), buffer.len()) };
    Ok(())
}

/// A date as HTTP headers want it, such as `Fri, 16 Dec 2016 05:32:56 GMT`.
///
/// ```
/// use libevent2::util::http_date;
/// use std::time::{Duration, SystemTime};
///
/// let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(1_481_866_376);
/// assert_eq!(http_date(moment)?, "Fri, 16 Dec 2016 05:32:56 GMT");
/// # Ok::<(), libevent2::Error>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`] for a year that has not four digits.
#[doc(alias = "evutil_date_rfc1123")]
pub fn http_date(moment: SystemTime) -> Result<String> {
    let out_of_range = || Error::invalid("date", "its year has not four digits");
    let since_epoch = match moment.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).ok(),
        Err(before) => {
            // Rounded down, as after the epoch.
            let before = before.duration();
            let secs = before.as_secs() + u64::from(before.subsec_nanos() > 0);
            i64::try_from(secs).ok().map(|secs| -secs)
        }
    };
    // From 1000-01-01T00:00:00Z to 9999-12-31T23:59:59Z.
    let seconds = since_epoch
        .filter(|seconds| (-30_610_224_000..=253_402_300_799).contains(seconds))
        .and_then(|seconds| libc::time_t::try_from(seconds).ok())
        .ok_or_else(out_of_range)?;
    let tm = utc(seconds).ok_or_else(out_of_range)?;
    let mut text = [0u8; 64];
    // SAFETY: the buffer has the length given; `tm` was filled in by the system, so that its day and
    // month are within C's tables.
    let length =
        unsafe { ffi::evutil_date_rfc1123(text.as_mut_ptr().cast::<c_char>(), text.len(), &tm) };
    let text = usize::try_from(length).ok().and_then(|n| text.get(..n));
    Ok(String::from_utf8_lossy(text.unwrap_or_default()).into_owned())
}

/// The calendar of a moment, in UTC.
fn utc(seconds: libc::time_t) -> Option<libc::tm> {
    let mut tm = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are to values of ours; the call fills in all of `tm` when it succeeds, and
    // all-zero is a `tm` as well.
    unsafe {
        #[cfg(not(windows))]
        let done = !libc::gmtime_r(&seconds, tm.as_mut_ptr()).is_null();
        #[cfg(windows)]
        let done = libc::gmtime_s(tm.as_mut_ptr(), &seconds) == 0;
        done.then(|| tm.assume_init())
    }
}
