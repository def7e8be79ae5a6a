//! A line on standard output for each request, when its answer is sent.

use crate::args::LogFormat;
use libevent2::http::{Request, Sent, header};
use serde_json::json;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

/// What a line says of one request.
pub struct Entry {
    begun: Instant,
    peer: Option<String>,
    method: String,
    /// As it came, still percent-encoded.
    target: String,
    version: String,
    user_agent: Option<String>,
}

/// What became of it.
struct Outcome {
    status: u16,
    /// Of the body.
    bytes: u64,
    took: Duration,
    /// The client did not get all of it.
    aborted: bool,
    now: SystemTime,
}

impl Entry {
    pub fn new(request: &Request) -> Self {
        let query = request.query().map(|query| format!("?{query}"));
        let user_agent = request.headers().get(header::USER_AGENT);
        Entry {
            begun: Instant::now(),
            peer: match (request.client_addr(), request.peer()) {
                // A proxy that is believed says who it is for, but not from which port.
                (Some(client), peer) if peer.is_none_or(|peer| peer.ip() != client) => {
                    Some(client.to_string())
                }
                (_, peer) => peer.map(|peer| peer.to_string()),
            },
            method: request.method().to_string(),
            target: format!("{}{}", request.path(), query.unwrap_or_default()),
            version: format!("{:?}", request.version()),
            user_agent: user_agent
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
        }
    }

    pub fn took(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Writes the line. A standard output that is closed or full of errors must not end a server,
    /// so what cannot be written is lost.
    pub fn write(&self, format: LogFormat, sent: &Sent) {
        let outcome = Outcome {
            status: sent.status.map_or(0, |status| status.as_u16()),
            bytes: sent.body_bytes,
            took: self.took(),
            aborted: !sent.complete,
            now: SystemTime::now(),
        };
        let line = match format {
            LogFormat::Human => self.human(&outcome),
            LogFormat::Common => self.common(&outcome),
            LogFormat::Json => self.json(&outcome),
        };
        let _ = io::stdout().write_all(line.as_bytes());
    }

    fn human(&self, outcome: &Outcome) -> String {
        format!(
            "{} {} \"{} {}\" {} {} {}ms{}\n",
            humantime::format_rfc3339_seconds(outcome.now),
            self.peer.as_deref().unwrap_or("-"),
            escape(&self.method),
            escape(&self.target),
            outcome.status,
            outcome.bytes,
            outcome.took.as_millis(),
            if outcome.aborted { " aborted" } else { "" },
        )
    }

    fn common(&self, outcome: &Outcome) -> String {
        // "Sun, 06 Nov 1994 08:49:37 GMT"
        let date = httpdate::fmt_http_date(outcome.now);
        let parts: Vec<&str> = date.split(' ').collect();
        let [_, day, month, year, time, _] = parts[..] else {
            return String::new();
        };
        let host = self.peer.as_deref().unwrap_or("-");
        let host = match host.parse::<SocketAddr>() {
            Ok(addr) => addr.ip().to_string(),
            Err(_) => host.to_owned(),
        };
        format!(
            "{host} - - [{day}/{month}/{year}:{time} +0000] \"{} {} {}\" {} {}\n",
            escape(&self.method),
            escape(&self.target),
            self.version,
            outcome.status,
            outcome.bytes,
        )
    }

    fn json(&self, outcome: &Outcome) -> String {
        let line = json!({
            "time": humantime::format_rfc3339_millis(outcome.now).to_string(),
            "peer": self.peer,
            "method": self.method,
            "target": self.target,
            "version": self.version,
            "status": outcome.status,
            "bytes": outcome.bytes,
            "ms": outcome.took.as_micros() as f64 / 1000.0,
            "aborted": outcome.aborted,
            "user_agent": self.user_agent,
        });
        format!("{line}\n")
    }
}

/// Nothing that a client sends can look like another line, end the quotes, or steer a terminal.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '"' || c == '\\' || c.is_control() || !c.is_ascii() {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(peer: &str) -> (Entry, Outcome) {
        let entry = Entry {
            begun: Instant::now(),
            peer: Some(peer.to_owned()),
            method: "GET".to_owned(),
            target: "/a%20b?c=d".to_owned(),
            version: "HTTP/1.1".to_owned(),
            user_agent: Some("\"x\"\n".to_owned()),
        };
        let outcome = Outcome {
            status: 200,
            bytes: 12,
            took: Duration::from_micros(3500),
            aborted: false,
            now: SystemTime::UNIX_EPOCH,
        };
        (entry, outcome)
    }

    #[test]
    fn a_line_has_all_there_is_to_know() {
        let (entry, outcome) = entry("127.0.0.1:4711");
        assert_eq!(
            entry.human(&outcome),
            "1970-01-01T00:00:00Z 127.0.0.1:4711 \"GET /a%20b?c=d\" 200 12 3ms\n"
        );
        assert_eq!(
            entry.common(&outcome),
            "127.0.0.1 - - [01/Jan/1970:00:00:00 +0000] \"GET /a%20b?c=d HTTP/1.1\" 200 12\n"
        );
        let line: serde_json::Value = serde_json::from_str(&entry.json(&outcome)).unwrap();
        assert_eq!((&line["status"], &line["ms"]), (&json!(200), &json!(3.5)));
        assert_eq!(line["user_agent"], "\"x\"\n");
    }

    #[test]
    fn a_host_is_without_port_and_brackets() {
        let (entry, outcome) = entry("[::1]:80");
        assert!(entry.common(&outcome).starts_with("::1 - - ["));
    }

    #[test]
    fn a_request_cannot_forge_a_line() {
        assert_eq!(escape("/a\" 200 0\n1970"), "/a\\\" 200 0\\n1970");
        assert_eq!(escape("\u{1b}[2J\\"), "\\u{1b}[2J\\\\");
        let (entry, outcome) = entry("1");
        assert_eq!(entry.json(&outcome).matches('\n').count(), 1);
    }
}
