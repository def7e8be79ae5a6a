//! How the server is doing, in numbers: a page that draws them, JSON, and text for Prometheus.

use crate::page;
use libevent2::http::{HeaderValue, Request, Response, Sent, ServerStats, header};
use serde_json::{Value, json};
use std::cell::Cell;
use std::fmt::Write;
use std::fs;
use std::time::{Duration, Instant};

/// What is counted.
pub struct Stats {
    begun: Instant,
    requests: Cell<u64>,
    /// By the first digit of the status; 0 is for those without an answer.
    by_class: [Cell<u64>; 6],
    aborted: Cell<u64>,
    body_bytes: Cell<u64>,
    /// How many took no longer than the bound of the same place, and longer than the one before.
    took: [Cell<u64>; BOUNDS.len() + 1],
    took_in_all: Cell<Duration>,
}

/// In microseconds.
const BOUNDS: [u64; 20] = [
    50,
    100,
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
];

impl Stats {
    pub fn new() -> Self {
        Stats {
            begun: Instant::now(),
            requests: Cell::default(),
            by_class: Default::default(),
            aborted: Cell::default(),
            body_bytes: Cell::default(),
            took: Default::default(),
            took_in_all: Cell::default(),
        }
    }

    /// A request was answered to the end.
    pub fn count(&self, sent: &Sent, took: Duration) {
        let class = sent
            .status
            .map_or(0, |status| usize::from(status.as_u16() / 100));
        self.note(class, sent.body_bytes, sent.complete, took);
    }

    fn note(&self, class: usize, bytes: u64, complete: bool, took: Duration) {
        let add = |cell: &Cell<u64>, more| cell.set(cell.get() + more);
        add(&self.requests, 1);
        add(&self.by_class[class.min(5)], 1);
        add(&self.aborted, u64::from(!complete));
        add(&self.body_bytes, bytes);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        add(
            &self.took[BOUNDS.partition_point(|&bound| bound < micros)],
            1,
        );
        self.took_in_all.set(self.took_in_all.get() + took);
    }

    /// As the client likes it, or as `?format=` says: `html`, `json`, `prometheus`.
    pub fn answer(&self, request: &Request) -> Response {
        let named = request.query_pairs().find(|(name, _)| name == "format");
        let offers = ["text/html", "application/json", "text/plain"];
        let liked = match named.as_ref().map(|(_, format)| format.as_str()) {
            Some("html") => 0,
            Some("json") => 1,
            Some("prometheus" | "text") => 2,
            _ => page::prefers(request.headers(), &offers),
        };
        let now = request.server().stats();
        let response = match liked {
            0 => Response::html(include_str!("stats.html")),
            1 => Response::json(format!("{:#}\n", self.json(&now))),
            _ => Response::text(self.prometheus(&now)).header(
                header::CONTENT_TYPE,
                HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
            ),
        };
        response.header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
    }

    fn json(&self, now: &ServerStats) -> Value {
        let classes = (1..6).map(|class| (format!("{class}xx"), json!(self.by_class[class].get())));
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "process": std::process::id(),
            "uptime_s": self.begun.elapsed().as_secs_f64(),
            "requests": self.requests.get(),
            "in_flight": now.in_flight,
            "connections": now.connections,
            "accepted": now.accepted,
            "refused": now.refused,
            "timed_out": now.timed_out,
            "bytes_in": now.bytes_in,
            "bytes_out": now.bytes_out,
            "status": classes.collect::<serde_json::Map<_, _>>(),
            "aborted": self.aborted.get(),
            "body_bytes": self.body_bytes.get(),
            "latency_ms": {
                "mean": millis(self.mean()),
                "p50": self.percentile(0.5),
                "p90": self.percentile(0.9),
                "p99": self.percentile(0.99),
                "bounds": BOUNDS.map(|micros| micros as f64 / 1000.0),
                "counts": self.took.iter().map(Cell::get).collect::<Vec<_>>(),
            },
            "memory_bytes": memory(),
        })
    }

    fn mean(&self) -> Duration {
        self.took_in_all
            .get()
            .div_f64(self.requests.get().max(1) as f64)
    }

    /// The bound below which that share of the requests is, in milliseconds.
    fn percentile(&self, share: f64) -> f64 {
        let wanted = (self.requests.get() as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (count, bound) in self.took.iter().zip(BOUNDS) {
            seen += count.get();
            if seen >= wanted {
                return if seen == 0 {
                    0.0
                } else {
                    bound as f64 / 1000.0
                };
            }
        }
        BOUNDS[BOUNDS.len() - 1] as f64 / 1000.0
    }

    fn prometheus(&self, now: &ServerStats) -> String {
        let mut text = String::new();
        let mut one = |name: &str, kind: &str, help: &str, value: &dyn std::fmt::Display| {
            let _ = write!(
                text,
                "# HELP evserve_{name} {help}\n# TYPE evserve_{name} {kind}\nevserve_{name} {value}\n"
            );
        };
        one(
            "uptime_seconds",
            "gauge",
            "Since it was started.",
            &self.begun.elapsed().as_secs_f64(),
        );
        one(
            "in_flight",
            "gauge",
            "Requests that are being answered.",
            &now.in_flight,
        );
        one(
            "connections",
            "gauge",
            "Connections that are open.",
            &now.connections,
        );
        one(
            "aborted_total",
            "counter",
            "Answers that were not sent to the end.",
            &self.aborted.get(),
        );
        one(
            "body_bytes_total",
            "counter",
            "Sent in bodies.",
            &self.body_bytes.get(),
        );
        if let Some(bytes) = memory() {
            one(
                "resident_memory_bytes",
                "gauge",
                "Memory of the process.",
                &bytes,
            );
        }
        text.push_str("# HELP evserve_requests_total Answered, by status.\n# TYPE evserve_requests_total counter\n");
        for (class, count) in self.by_class.iter().enumerate().skip(1) {
            let _ = writeln!(
                text,
                "evserve_requests_total{{status=\"{class}xx\"}} {}",
                count.get()
            );
        }
        let name = "evserve_request_duration_seconds";
        let _ = write!(
            text,
            "# HELP {name} From the request to the last byte of its answer.\n# TYPE {name} histogram\n"
        );
        let mut all = 0;
        for (count, bound) in self.took.iter().zip(BOUNDS) {
            all += count.get();
            let seconds = Duration::from_micros(bound).as_secs_f64();
            let _ = writeln!(text, "{name}_bucket{{le=\"{seconds}\"}} {all}");
        }
        let requests = self.requests.get();
        let sum = self.took_in_all.get().as_secs_f64();
        let _ = write!(
            text,
            "{name}_bucket{{le=\"+Inf\"}} {requests}\n{name}_sum {sum}\n{name}_count {requests}\n"
        );
        text
    }
}

fn millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

/// What the process holds in memory, where the system tells.
fn memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_can_be_read() {
        let (stats, mut now) = (Stats::new(), ServerStats::default());
        now.in_flight = 7;
        assert_eq!(stats.json(&now)["latency_ms"]["p99"], 0.0);
        for _ in 0..98 {
            stats.note(2, 10, true, Duration::from_micros(90));
        }
        stats.note(4, 0, true, Duration::from_millis(3));
        stats.note(5, 0, false, Duration::from_secs(1000));
        let json = stats.json(&now);
        assert_eq!(json["requests"], 100);
        assert_eq!(json["status"]["2xx"], 98);
        assert_eq!(
            (&json["in_flight"], &json["aborted"]),
            (&json!(7), &json!(1))
        );
        let latency = &json["latency_ms"];
        assert_eq!(
            (&latency["p50"], &latency["p99"]),
            (&json!(0.1), &json!(5.0))
        );
        let text = stats.prometheus(&now);
        assert!(
            text.contains("evserve_requests_total{status=\"4xx\"} 1\n"),
            "{text}"
        );
        assert!(text.contains("_bucket{le=\"0.0001\"} 98\n"), "{text}");
        assert!(text.contains("_bucket{le=\"100\"} 99\n"), "{text}");
        assert!(text.contains("_bucket{le=\"+Inf\"} 100\n"), "{text}");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert_eq!(line.split(' ').count(), 2, "{line}");
        }
    }
}
