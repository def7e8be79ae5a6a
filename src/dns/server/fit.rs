//! How long a reply is when C has written it.
//!
//! C cuts a reply that is too long in the middle of a record, and 2.1.12 writes one byte behind
//! its buffer when it is just full (CVE-2026-63387). So it gets only what fits.

use super::names;
use super::record::{Data, Record};
use super::reply::Section;

/// What a reply may have. libevent 2.2 adds 11 bytes to it for a client that sends EDNS.
pub(super) const LIMIT: usize = if cfg!(libevent_2_2) { 512 - 11 } else { 512 };

const HEADER: usize = 12;
/// What a question has besides its name, and a record besides its name and data.
const QUESTION: usize = 4;
const RECORD: usize = 10;

/// The suffixes of names that C has written already, and will only point at.
#[derive(Default)]
struct Written<'a>(Vec<&'a [u8]>);

impl<'a> Written<'a> {
    /// As many as C can remember.
    const MOST: usize = 128;

    /// Writes a name; how many bytes that takes.
    fn name(&mut self, name: &'a [u8]) -> usize {
        let mut rest = name;
        loop {
            let before = name.len() - rest.len();
            if self.0.contains(&rest) {
                return before + 2;
            }
            if self.0.len() < Self::MOST {
                self.0.push(rest);
            }
            match rest.iter().position(|&byte| byte == b'.') {
                Some(dot) => rest = &rest[dot + 1..],
                // The end of the name is one more; but not behind a label that is empty.
                None => return name.len() + 1 + usize::from(!rest.is_empty()),
            }
        }
    }

    fn record(&mut self, record: &'a Record) -> usize {
        let name = self.name(record.name.raw().to_bytes());
        name + RECORD
            + match &record.data {
                Data::Name(target) => self.name(target.raw().to_bytes()),
                data => data.bytes().len(),
            }
    }
}

/// At most this long is a name.
fn bound(name: &[u8]) -> usize {
    name.len() + 2
}

/// Whether C can repeat these questions in a reply: there is room for them, and each is a name
/// that it writes well. A dot inside of a label has become one between labels on its way here.
pub(super) fn can_repeat<'a>(questions: impl Iterator<Item = &'a [u8]> + Clone) -> bool {
    if !questions.clone().all(names::is_name) {
        return false;
    }
    match questions.clone().nth(1) {
        // One always fits.
        None => true,
        Some(_) => header(questions, &mut Written::default()) <= LIMIT,
    }
}

fn header<'a, 'q: 'a>(
    questions: impl Iterator<Item = &'q [u8]>,
    written: &mut Written<'a>,
) -> usize {
    let size = questions.map(|name| written.name(name) + QUESTION);
    HEADER + size.sum::<usize>()
}

/// Leaves the records that fit, in the order of their sections; whether there were more that the
/// client must know of.
pub(super) fn cut<'q>(
    questions: impl Iterator<Item = &'q [u8]> + Clone,
    records: &mut Vec<(Section, Record)>,
) -> bool {
    let asked: usize = questions.clone().map(|name| bound(name) + QUESTION).sum();
    let told = records.iter().map(|(_, record)| {
        bound(record.name.raw().to_bytes()) + RECORD + record.data.bytes().len() + 2
    });
    if HEADER + asked + told.sum::<usize>() <= LIMIT {
        return false;
    }
    records.sort_by_key(|&(section, _)| section);
    let mut written = Written::default();
    let mut size = header(questions, &mut written);
    let fits = records.iter().take_while(|(_, record)| {
        size += written.record(record);
        size <= LIMIT
    });
    let fits = fits.count();
    let truncated =
        matches!(records.get(fits), Some((section, _)) if *section != Section::Additional);
    records.truncate(fits);
    truncated
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(names: &[&'static str]) -> Vec<usize> {
        let mut written = Written::default();
        names
            .iter()
            .map(|name| written.name(name.as_bytes()))
            .collect()
    }

    #[test]
    fn a_name_is_written_once() {
        assert_eq!(sizes(&["www.example", "www.example"]), [13, 2]);
        assert_eq!(
            sizes(&["www.example", "mail.example", "example"]),
            [13, 7, 2]
        );
        assert_eq!(sizes(&["", "a", ""]), [1, 3, 2]);
        assert_eq!(sizes(&["A", "a"]), [3, 3]);
    }

    #[test]
    fn what_cannot_be_repeated_is_no_question() {
        let can = |names: &[&str]| can_repeat(names.iter().map(|name| name.as_bytes()));
        assert!(can(&["a.b"]));
        assert!(can(&["a.b", ""]));
        assert!(!can(&["a", "a..b"]));
        assert!(can(&["a"; 80]));
        assert!(!can(&["a"; 90]));
    }
}
