//! Durations as libevent wants them.

use crate::ffi;
use std::time::{Duration, SystemTime};

/// The longest timeout handed to libevent; beyond it `tv_sec` could overflow a deadline (and so
/// fire at once). Ten years is longer than any loop runs.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// `duration` as a normalised `timeval`: whole microseconds, rounded up so that a timer is never
/// early, `tv_usec` always below 10^6 (bits above are libevent's mark for common timeouts).
pub(crate) fn timeval(duration: Duration) -> ffi::timeval {
    let capped = duration.min(LONGEST);
    let rounded = Duration::from_micros(capped.as_nanos().div_ceil(1_000) as u64);
    ffi::timeval {
        tv_sec: rounded.as_secs() as _,
        tv_usec: rounded.subsec_micros() as _,
    }
}

/// The duration that a `timeval` from C stands for; negative ones count as zero.
pub(crate) fn duration(tv: ffi::timeval) -> Duration {
    let secs = u64::try_from(tv.tv_sec).unwrap_or(0);
    let micros = u64::try_from(tv.tv_usec).unwrap_or(0);
    Duration::from_secs(secs) + Duration::from_micros(micros)
}

/// The time left until a deadline of the wall clock.
pub(crate) fn until(deadline: ffi::timeval) -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    duration(deadline).saturating_sub(now.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeval_is_normalised_and_never_shorter_than_asked() {
        let tv = timeval(Duration::from_millis(6_300));
        assert_eq!((tv.tv_sec, tv.tv_usec), (6, 300_000));
        let tv = timeval(Duration::from_micros(200));
        assert_eq!((tv.tv_sec, tv.tv_usec), (0, 200));
        let tv = timeval(Duration::from_nanos(1));
        assert_eq!((tv.tv_sec, tv.tv_usec), (0, 1));
        let tv = timeval(Duration::from_nanos(1_999_999_999));
        assert_eq!((tv.tv_sec, tv.tv_usec), (2, 0));
    }

    #[test]
    fn an_absurd_duration_is_capped_instead_of_overflowing() {
        let tv = timeval(Duration::MAX);
        assert_eq!(tv.tv_sec as u64, LONGEST.as_secs());
        assert_eq!(tv.tv_usec, 0);
    }

    #[test]
    fn a_timeval_becomes_the_same_duration_again() {
        let d = Duration::new(10, 5_000);
        assert_eq!(duration(timeval(d)), d);
    }
}
