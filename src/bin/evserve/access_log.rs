//! A line on standard output for each request.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

/// What a line says of one request.
pub struct Line<'a> {
    pub peer: &'a str,
    pub method: &'a str,
    /// As it came, still percent-encoded.
    pub target: &'a str,
    pub status: u16,
    /// Of the body.
    pub bytes: u64,
    pub took: Duration,
}

/// Writes the line. A standard output that is closed or full of errors must not end a server, so
/// what cannot be written is lost.
pub fn write(line: &Line<'_>) {
    let _ = io::stdout().write_all(format(line, SystemTime::now()).as_bytes());
}

fn format(line: &Line<'_>, now: SystemTime) -> String {
    format!(
        "{} {} \"{} {}\" {} {} {}ms\n",
        humantime::format_rfc3339_seconds(now),
        line.peer,
        escape(line.method),
        escape(line.target),
        line.status,
        line.bytes,
        line.took.as_millis(),
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
