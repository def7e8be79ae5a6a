//! What is printed.

use super::json;
use libevent2::dns::{Answer, LookupError};
use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::net::IpAddr;
use std::time::Duration;

/// What a name has.
pub struct Found {
    /// What the records are.
    what: &'static str,
    records: Vec<String>,
    /// The name with the domain in which it was found.
    full_name: String,
    canonical_name: Option<String>,
    ttl: Option<Duration>,
}

impl Found {
    pub fn addresses<T>(answer: Answer<T>, address: impl Fn(&T) -> IpAddr) -> Self {
        Self::new("addresses", answer, |record| address(record).to_string())
    }

    pub fn names(answer: Answer<String>) -> Self {
        Self::new("names", answer, String::clone)
    }

    fn new<T>(what: &'static str, answer: Answer<T>, text: impl Fn(&T) -> String) -> Self {
        Found {
            what,
            records: answer.records.iter().map(text).collect(),
            full_name: answer.name,
            canonical_name: answer.canonical_name,
            ttl: answer.ttl,
        }
    }

    fn text(&self, name: &str) -> String {
        let mut text = format!("{name}: {}", self.records.join(", "));
        if let Some(canonical) = &self.canonical_name {
            text += &format!("; alias of {canonical}");
        }
        if let Some(ttl) = self.ttl {
            text += &format!("; for {} s", ttl.as_secs());
        }
        text
    }

    fn json(&self, name: &str) -> String {
        let mut text = format!(
            r#"{{"name":{},"full_name":{},"{}":{}"#,
            json::string(name),
            json::string(&self.full_name),
            self.what,
            json::list(&self.records)
        );
        if let Some(canonical) = &self.canonical_name {
            text += &format!(r#","canonical_name":{}"#, json::string(canonical));
        }
        if let Some(ttl) = self.ttl {
            text += &format!(r#","ttl":{}"#, ttl.as_secs());
        }
        text + "}"
    }
}

/// Prints the results in the order of the names, each as soon as those before it are there.
pub struct Report {
    json: bool,
    lines: RefCell<Vec<Option<Line>>>,
    /// The first one that was not printed.
    next: Cell<usize>,
    is_all_found: Cell<bool>,
}

enum Line {
    Out(String),
    Error(String),
}

impl Report {
    /// For so many names.
    pub fn new(json: bool, count: usize) -> Self {
        Report {
            json,
            lines: RefCell::new((0..count).map(|_| None).collect()),
            next: Cell::new(0),
            is_all_found: Cell::new(true),
        }
    }

    pub fn is_all_found(&self) -> bool {
        self.is_all_found.get()
    }

    /// Takes the result for a name.
    pub fn tell(
        &self,
        index: usize,
        name: &str,
        found: Result<Found, LookupError>,
    ) -> io::Result<()> {
        if found.is_err() {
            self.is_all_found.set(false);
        }
        self.lines.borrow_mut()[index] = Some(match found {
            Ok(found) if self.json => Line::Out(found.json(name)),
            Ok(found) => Line::Out(found.text(name)),
            Err(error) if self.json => Line::Out(format!(
                r#"{{"name":{},"cause":{},"error":{}}}"#,
                json::string(name),
                json::string(&format!("{:?}", error.cause())),
                json::string(&error.to_string())
            )),
            Err(error) => Line::Error(error.to_string()),
        });
        self.print()
    }

    fn print(&self) -> io::Result<()> {
        let mut lines = self.lines.borrow_mut();
        while let Some(line) = lines.get_mut(self.next.get()).and_then(Option::take) {
            self.next.set(self.next.get() + 1);
            match line {
                Line::Out(line) => writeln!(io::stdout(), "{line}")?,
                Line::Error(line) => eprintln!("dns_lookup: {line}"),
            }
        }
        Ok(())
    }
}
