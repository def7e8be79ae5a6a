//! A line on standard output for each request, when its answer is sent.

use libevent2::http::Request;
use std::io::{self, Write};
use std::time::{Duration, Instant, SystemTime};

/// Sees to it that the request gets its line.
pub fn watch(request: &Request) {
    let begun = Instant::now();
    let peer = request.peer().map(|peer| peer.to_string());
    let method = request.method().clone();
    let query = request.query().map(|query| format!("?{query}"));
    let target = format!("{}{}", request.path(), query.unwrap_or_default());
    request.on_sent(move |sent| {
        write(&Line {
            peer: peer.as_deref().unwrap_or("-"),
            method: method.as_str(),
            target: &target,
            status: sent.status.map_or(0, |status| status.as_u16()),
            bytes: sent.body_bytes,
            took: begun.elapsed(),
            aborted: !sent.complete,
        });
    });
}

/// What a line says of one request.
struct Line<'a> {
    peer: &'a str,
    method: &'a str,
    /// As it came, still percent-encoded.
    target: &'a str,
    status: u16,
    /// Of the body.
    bytes: u64,
    took: Duration,
    /// The client did not get all of it.
    aborted: bool,
}

/// Writes the line. A standard output that is closed or full of errors must not end a server, so
/// what cannot be written is lost.
fn write(line: &Line<'_>) {
    let _ = io::stdout().write_all(format(line, SystemTime::now()).as_bytes());
}

fn format(line: &Line<'_>, now: SystemTime) -> String {
    format!(
        "{} {} \"{} {}\" {} {} {}ms{}\n",
        humantime::format_rfc3339_seconds(now),
        line.peer,
        escape(line.method),
        escape(line.target),
        line.status,
        line.bytes,
        line.took.as_millis(),
        if line.aborted { " aborted" } else { "" },
    )
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

    #[test]
    fn a_line_has_all_there_is_to_know() {
        let line = Line {
            peer: "127.0.0.1:4711",
            method: "GET",
            target: "/a%20b?c=d",
            status: 200,
            bytes: 12,
            took: Duration::from_millis(3),
            aborted: false,
        };
        let text = format(&line, SystemTime::UNIX_EPOCH);
        assert_eq!(
            text,
            "1970-01-01T00:00:00Z 127.0.0.1:4711 \"GET /a%20b?c=d\" 200 12 3ms\n"
        );
    }

    #[test]
    fn a_request_cannot_forge_a_line() {
        assert_eq!(escape("/a\" 200 0\n1970"), "/a\\\" 200 0\\n1970");
        assert_eq!(escape("\u{1b}[2J\\"), "\\u{1b}[2J\\\\");
    }
}
