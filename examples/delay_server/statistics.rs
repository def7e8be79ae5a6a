//! What is counted, and how it is shown.

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;
use std::time::Instant;

/// Of one process, or of several together. As text, for the way from a worker, it is the numbers
/// in this order.
#[derive(Default, Clone)]
pub struct Statistics {
    pub live: u64,
    pub answered: u64,
    pub failed: u64,
    /// What is in memory (RSS), in bytes.
    pub memory: u64,
    /// By how much that is more than without a connection.
    pub grown: u64,
}

impl Statistics {
    /// The RSS of this process; 0 where the system does not tell.
    pub fn memory() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
        number
            .and_then(|number| number.parse().ok())
            .unwrap_or(0_u64)
            * 1024
    }
}

impl<'a> Sum<&'a Statistics> for Statistics {
    fn sum<I: Iterator<Item = &'a Statistics>>(all: I) -> Self {
        all.fold(Statistics::default(), |sum, one| Statistics {
            live: sum.live + one.live,
            answered: sum.answered + one.answered,
            failed: sum.failed + one.failed,
            memory: sum.memory + one.memory,
            grown: sum.grown + one.grown,
        })
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Statistics {
            live,
            answered,
            failed,
            memory,
            grown,
        } = self;
        write!(f, "{live} {answered} {failed} {memory} {grown}")
    }
}

impl FromStr for Statistics {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Vec<_> = text.split(' ').flat_map(str::parse).collect();
        let &[live, answered, failed, memory, grown] = &numbers[..] else {
            return Err(format!("not what a worker says: {text}"));
        };
        Ok(Statistics {
            live,
            answered,
            failed,
            memory,
            grown,
        })
    }
}

/// Prints a line now and then, with what has changed since the one before.
#[derive(Default)]
pub struct Terminal {
    before: Option<(Instant, u64)>,
}

impl Terminal {
    pub fn print(&mut self, now: &Statistics) {
        let time = Instant::now();
        let before = self.before.replace((time, now.answered));
        let (then, answered) = before.unwrap_or((time, now.answered));
        let seconds = (time - then).as_secs_f64().max(0.001);
        let rate = now.answered.saturating_sub(answered) as f64 / seconds;
        let each = now.grown.checked_div(now.live).unwrap_or(0);
        println!(
            "{} live, {} answered, {rate:.0}/s, {} failed; memory {:.1} MiB, {each} bytes per connection",
            now.live,
            now.answered,
            now.failed,
            now.memory as f64 / f64::from(1 << 20),
        );
    }
}
