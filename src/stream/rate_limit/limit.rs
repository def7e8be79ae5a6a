//! How fast, as a value.

use crate::error::{Error, Result};
use crate::{ffi, time};
use std::ptr::NonNull;
use std::time::Duration;

/// More than this in one tick is no limit: C hands what is left of a limit to a call that takes an
/// `int`, and 0 of a number cut short would look like the end of the stream.
const MOST: u64 = i32::MAX as u64;

/// How fast a stream, or a group of them, may go: bytes per second for each direction, and how
/// much may go at once after a pause.
///
/// Time goes in ticks. At each tick so many bytes are added to an allowance, which never holds
/// more than the burst; while it is empty, nothing is read or sent.
///
/// ```
/// use libevent2::stream::RateLimit;
/// use std::time::Duration;
///
/// // 100 kB a second both ways, and up to 500 kB at once to the peer.
/// let limit = RateLimit::per_second(100_000).write_burst(500_000);
/// // Only what comes, in steps of a fiftieth of a second.
/// let limit = RateLimit::new().read(100_000).tick(Duration::from_millis(20));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[doc(alias = "ev_token_bucket_cfg")]
#[must_use]
pub struct RateLimit {
    read: Option<u64>,
    write: Option<u64>,
    read_burst: Option<u64>,
    write_burst: Option<u64>,
    tick: Option<Duration>,
}

impl RateLimit {
    /// No limit.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same for both directions, in bytes per second.
    pub fn per_second(bytes: u64) -> Self {
        Self::new().read(bytes).write(bytes)
    }

    /// What may be read, in bytes per second.
    pub fn read(mut self, per_second: u64) -> Self {
        self.read = Some(per_second);
        self
    }

    /// What may be sent, in bytes per second.
    pub fn write(mut self, per_second: u64) -> Self {
        self.write = Some(per_second);
        self
    }

    /// What may be read at once after a pause, in bytes. It is what may be read in a second unless
    /// this is set.
    pub fn read_burst(mut self, bytes: u64) -> Self {
        self.read_burst = Some(bytes);
        self
    }

    /// What may be sent at once after a pause, in bytes. It is what may be sent in a second unless
    /// this is set.
    pub fn write_burst(mut self, bytes: u64) -> Self {
        self.write_burst = Some(bytes);
        self
    }

    /// The length of a tick, in whole milliseconds, up to an hour. It is a tenth of a second
    /// unless this is set, or a second for limits below 1000 bytes per second.
    pub fn tick(mut self, tick: Duration) -> Self {
        self.tick = Some(tick);
        self
    }

    fn tick_millis(&self) -> Result<u64> {
        let Some(tick) = self.tick else {
            let slowest = self.read.into_iter().chain(self.write).min();
            return Ok(match slowest {
                Some(0..1000) => 1000,
                _ => 100,
            });
        };
        let millis = u64::try_from(tick.as_millis()).unwrap_or(u64::MAX);
        if !(1..=3_600_000).contains(&millis) {
            return Err(Error::invalid(
                "tick",
                format!("{tick:?} is not between a millisecond and an hour"),
            ));
        }
        Ok(millis)
    }

    /// What goes in a tick, and the most at once.
    fn rate(
        per_second: Option<u64>,
        burst: Option<u64>,
        tick: u64,
        what: &'static str,
    ) -> Result<(usize, usize)> {
        let Some(per_second) = per_second else {
            return Ok((MOST as usize, MOST as usize));
        };
        let exact = u128::from(per_second) * u128::from(tick);
        let per_tick = ((exact + 500) / 1000).min(u128::from(MOST)) as u64;
        if per_tick == 0 {
            return Err(Error::invalid(
                what,
                format!("{per_second} bytes per second are none in a tick of {tick} ms"),
            ));
        }
        let burst = match burst {
            None => per_second.max(per_tick),
            Some(burst) if burst < per_tick => {
                return Err(Error::invalid(
                    what,
                    format!("a burst of {burst} bytes is less than the {per_tick} of one tick"),
                ));
            }
            Some(burst) => burst,
        };
        Ok((per_tick as usize, burst.min(MOST) as usize))
    }

    /// C's form of it.
    pub(super) fn to_c(self) -> Result<TokenBucket> {
        let tick = self.tick_millis()?;
        let (read, read_burst) = Self::rate(self.read, self.read_burst, tick, "read limit")?;
        let (write, write_burst) = Self::rate(self.write, self.write_burst, tick, "write limit")?;
        let length = time::timeval(Duration::from_millis(tick));
        // SAFETY: the timeval is copied.
        let raw =
            unsafe { ffi::ev_token_bucket_cfg_new(read, read_burst, write, write_burst, &length) };
        match NonNull::new(raw) {
            Some(raw) => Ok(TokenBucket { raw, limit: self }),
            None => Err(Error::Libevent {
                op: "ev_token_bucket_cfg_new",
            }),
        }
    }
}

/// C's form of a limit, which C does not count.
pub(in super::super) struct TokenBucket {
    pub(super) raw: NonNull<ffi::ev_token_bucket_cfg>,
    pub(super) limit: RateLimit,
}

impl Drop for TokenBucket {
    fn drop(&mut self) {
        // SAFETY: ours; whoever gave it to C has taken it back.
        unsafe { ffi::ev_token_bucket_cfg_free(self.raw.as_ptr()) };
    }
}

/// A change of what is left, kept where C's numbers do not overflow, and not above `most`.
pub(super) fn bounded(left: isize, bytes: i64, most: isize) -> isize {
    let least = isize::MIN / 4;
    let wanted = i128::from(left as i64) - i128::from(bytes);
    let next = wanted.clamp(least as i128, most.max(left) as i128) as isize;
    left - next
}

impl TokenBucket {
    /// The bursts of both directions.
    pub(super) fn bursts(&self) -> (isize, isize) {
        let tick = self.limit.tick_millis().unwrap_or(1000);
        let burst = |rate, burst| {
            RateLimit::rate(rate, burst, tick, "limit").map_or(0, |(_, burst)| burst as isize)
        };
        (
            burst(self.limit.read, self.limit.read_burst),
            burst(self.limit.write, self.limit.write_burst),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_stay_in_range() {
        assert_eq!(bounded(10, 4, 100), 4);
        assert_eq!(bounded(10, 20, 100), 20);
        assert_eq!(bounded(10, -50, 100), -50);
        assert_eq!(bounded(10, -500, 100), -90);
        assert_eq!(bounded(10, i64::MIN, 100), -90);
        assert_eq!(bounded(isize::MIN / 4, i64::MAX, 100), 0);
        assert_eq!(bounded(200, -1, 100), 0);
    }
}
