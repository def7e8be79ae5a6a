//! What is in the file.

use libevent2::dns::{Record, RecordType};
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;
use std::{fs, str::FromStr};

/// For how long a record may be remembered when its line does not tell.
const TTL: Duration = Duration::from_secs(300);

/// The records of all names.
#[derive(Default)]
pub struct Zone {
    names: HashMap<String, Vec<Entry>>,
}

/// One record.
pub struct Entry {
    pub kind: RecordType,
    pub record: Record,
    /// The name that it points at, if it does.
    pub target: Option<String>,
}

impl Zone {
    /// Reads a file; what is wrong in it is told with its line.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
        let mut zone = Zone::default();
        let mut last = String::new();
        for (line, number) in text?.lines().zip(1..) {
            zone.add(line, &mut last)
                .map_err(|why| format!("{}:{number}: {why}", path.display()))?;
        }
        Ok(zone)
    }

    /// The records of a name; none for one that there is only because others end with it. `None`
    /// when there is no such name.
    pub fn find(&self, name: &str) -> Option<&[Entry]> {
        let name = key(name);
        let below = || {
            let end = format!(".{name}");
            let mut names = self.names.keys();
            names.any(|other| name == "." || other.ends_with(&end))
        };
        match self.names.get(&name) {
            Some(entries) => Some(entries),
            None => below().then_some(&[]),
        }
    }

    fn add(&mut self, line: &str, last: &mut String) -> Result<(), String> {
        let words = words(line)?;
        let mut words = words.iter().map(String::as_str).peekable();
        let Some(name) = words.next() else {
            return Ok(());
        };
        if name != "@" {
            *last = name.to_owned();
        } else if last.is_empty() {
            return Err("@ stands for the name of the line before: there is none".to_owned());
        }
        let ttl = words.next_if(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
        let ttl = ttl.map(|seconds| number(seconds).map(Duration::from_secs));
        let ttl = ttl.transpose()?.unwrap_or(TTL);
        let kind = words.next().ok_or("the type is missing")?;
        let values: Vec<&str> = words.collect();
        let entry = entry(last, &kind.to_ascii_uppercase(), &values, ttl)?;

        let owner = match last.parse::<IpAddr>() {
            Ok(address) if entry.kind == RecordType::PTR => reverse(address),
            _ => key(last),
        };
        let entries = self.names.entry(owner).or_default();
        let is_alias = |entry: &Entry| entry.kind == RecordType::CNAME;
        if !entries.is_empty() && (is_alias(&entry) || entries.iter().any(is_alias)) {
            return Err(format!("{last} is an alias, and cannot have other records"));
        }
        entries.push(entry);
        Ok(())
    }
}

fn entry(name: &str, kind: &str, values: &[&str], ttl: Duration) -> Result<Entry, String> {
    let value = || match values {
        [value] => Ok(*value),
        _ => Err(format!("{kind} has one value, and not {}", values.len())),
    };
    let to = |target: &str| Some(target.to_owned());
    let (kind, record, target) = match kind {
        "A" => (RecordType::A, Record::a(name, number(value()?)?, ttl), None),
        "AAAA" => (
            RecordType::AAAA,
            Record::aaaa(name, number(value()?)?, ttl),
            None,
        ),
        "CNAME" => (
            RecordType::CNAME,
            Record::cname(name, value()?, ttl),
            to(value()?),
        ),
        "NS" => (
            RecordType::NS,
            Record::ns(name, value()?, ttl),
            to(value()?),
        ),
        "PTR" => {
            let record = match name.parse() {
                Ok(address) => Record::ptr(address, value()?, ttl),
                Err(_) => Record::pointing(name, RecordType::PTR, value()?, ttl),
            };
            (RecordType::PTR, record, to(value()?))
        }
        "MX" => match values {
            [preference, host] => {
                let record = Record::mx(name, number(preference)?, *host, ttl);
                (RecordType::MX, record, to(host))
            }
            _ => return Err("MX has a number and a name".to_owned()),
        },
        "TXT" => (
            RecordType::TXT,
            Record::txt(name, values.join(" "), ttl),
            None,
        ),
        _ => return Err(format!("there are no records of type {kind} here")),
    };
    let record = record.map_err(|error| error.to_string())?;
    Ok(Entry {
        kind,
        record,
        target,
    })
}

/// A number, or an address.
fn number<T: FromStr>(text: &str) -> Result<T, String>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| format!("{text}: {error}"))
}

/// Names are compared like this.
fn key(name: &str) -> String {
    let name = name
        .strip_suffix('.')
        .filter(|rest| !rest.is_empty())
        .unwrap_or(name);
    name.to_ascii_lowercase()
}

/// The name of an address, as it is asked for.
fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let octets = address.octets().into_iter().rev();
            let digits = octets.map(|octet| format!("{:x}.{:x}.", octet & 15, octet >> 4));
            digits.collect::<String>() + "ip6.arpa"
        }
    }
}

/// The words of a line, up to a comment. Quotes keep together what is between them.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next().filter(|first| !"#;".contains(*first)) {
        let (word, after) = match first {
            '"' => rest[1..].split_once('"').ok_or("a quote is not closed")?,
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || "#;".contains(c));
                rest.split_at(end.unwrap_or(rest.len()))
            }
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    Ok(words)
}
