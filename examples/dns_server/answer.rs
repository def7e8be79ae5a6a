//! From a question to its answer.

use crate::zone::{Entry, Zone};
use libevent2::dns::{RecordType, Reply, Request, ResponseCode};
use std::fmt;

/// How many aliases lead on from one to the next; more go in a circle.
const ALIASES: usize = 16;

/// A reply that can be printed.
#[derive(Debug)]
pub struct Answer {
    reply: Reply,
    code: ResponseCode,
    answers: usize,
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        answer.reply
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} answers", self.code, self.answers)
    }
}

pub fn reply(zone: &Zone, request: &Request) -> Answer {
    let mut answer = Answer {
        reply: Reply::new().authoritative(true),
        code: ResponseCode::NO_ERROR,
        answers: 0,
    };
    let question = request.question();
    // The Internet, or any.
    if request.questions().count() > 1 || ![1, 255].contains(&question.class()) {
        return answer.code(ResponseCode::NOT_IMPLEMENTED);
    }
    let wanted = question.record_type();
    let mut name = question.name().as_str();
    for _ in 0..ALIASES {
        let Some(entries) = zone.find(name) else {
            // What an alias leads to may be another server's.
            return match answer.answers {
                0 => answer.code(ResponseCode::NO_SUCH_NAME),
                _ => answer,
            };
        };
        let fits = |entry: &&Entry| entry.kind == wanted || wanted == RecordType::ALL;
        for entry in entries.iter().filter(fits) {
            answer = answer.add(zone, entry);
        }
        match entries {
            [alias] if alias.kind == RecordType::CNAME && !fits(&alias) => {
                answer = answer.add(zone, alias);
                name = alias.target.as_deref().expect("an alias has a target");
            }
            _ => return answer,
        }
    }
    answer
}

impl Answer {
    fn code(mut self, code: ResponseCode) -> Self {
        self.reply = self.reply.code(code);
        self.code = code;
        self
    }

    /// Adds a record, and the addresses of the host that it names.
    fn add(mut self, zone: &Zone, entry: &Entry) -> Self {
        self.reply = self.reply.answer(entry.record.clone());
        self.answers += 1;
        let names_a_host = [RecordType::MX, RecordType::NS].contains(&entry.kind);
        let host = entry.target.as_deref().filter(|_| names_a_host);
        for more in host.and_then(|host| zone.find(host)).unwrap_or_default() {
            if [RecordType::A, RecordType::AAAA].contains(&more.kind) {
                self.reply = self.reply.additional(more.record.clone());
            }
        }
        self
    }
}
