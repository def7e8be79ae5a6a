use super::Record;
use crate::ffi;
use std::fmt;

/// How a question went: its number in DNS, 0 to 15.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ResponseCode(u8);

impl ResponseCode {
    /// There is such a name; whether it has records of the kind asked for, the answers tell.
    #[doc(alias = "DNS_ERR_NONE")]
    pub const NO_ERROR: Self = ResponseCode(ffi::DNS_ERR_NONE as u8);
    /// The question makes no sense.
    #[doc(alias = "DNS_ERR_FORMAT")]
    pub const FORMAT_ERROR: Self = ResponseCode(ffi::DNS_ERR_FORMAT as u8);
    /// The server could not find out.
    #[doc(alias = "DNS_ERR_SERVERFAILED")]
    pub const SERVER_FAILURE: Self = ResponseCode(ffi::DNS_ERR_SERVERFAILED as u8);
    /// There is no such name.
    #[doc(alias = "DNS_ERR_NOTEXIST")]
    pub const NO_SUCH_NAME: Self = ResponseCode(ffi::DNS_ERR_NOTEXIST as u8);
    /// The server does not know this kind of question.
    #[doc(alias = "DNS_ERR_NOTIMPL")]
    pub const NOT_IMPLEMENTED: Self = ResponseCode(ffi::DNS_ERR_NOTIMPL as u8);
    /// The server does not answer such questions, or not to this client.
    #[doc(alias = "DNS_ERR_REFUSED")]
    pub const REFUSED: Self = ResponseCode(ffi::DNS_ERR_REFUSED as u8);

    /// The code with this number; `None` above 15.
    pub fn new(number: u8) -> Option<Self> {
        (number <= 15).then_some(ResponseCode(number))
    }

    /// Its number.
    pub fn number(self) -> u8 {
        self.0
    }
}

/// As other tools write it: `NXDOMAIN`, or `RCODE9` for a number without a name here.
impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
        ];
        match names.get(usize::from(self.0)) {
            Some(name) => f.pad(name),
            None => f.pad(&format!("RCODE{}", self.0)),
        }
    }
}

impl fmt::Debug for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which part of a reply a record is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Section {
    /// What was asked for.
    #[doc(alias = "EVDNS_ANSWER_SECTION")]
    Answer = ffi::EVDNS_ANSWER_SECTION as u8,
    /// Who knows better, or the start of the zone in which there is no answer.
    #[doc(alias = "EVDNS_AUTHORITY_SECTION")]
    Authority = ffi::EVDNS_AUTHORITY_SECTION as u8,
    /// What the client will ask next, such as addresses of the name servers.
    #[doc(alias = "EVDNS_ADDITIONAL_SECTION")]
    Additional = ffi::EVDNS_ADDITIONAL_SECTION as u8,
}

/// The reply to a [`Request`](super::Request): a code, flags and records.
///
/// A reply is one datagram of 512 bytes. Records that do not fit are left out, whole; unless they
/// are additional ones, the client is told that the reply is truncated.
///
/// ```
/// use libevent2::dns::{Record, Reply};
/// use std::time::Duration;
///
/// let ttl = Duration::from_secs(300);
/// let reply = Reply::new()
///     .authoritative(true)
///     .answer(Record::cname("www.example", "web.example", ttl)?)
///     .answer(Record::a("web.example", "192.0.2.1".parse().unwrap(), ttl)?);
/// # Ok::<(), libevent2::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Reply {
    pub(super) code: ResponseCode,
    pub(super) authoritative: bool,
    pub(super) recursion_available: bool,
    pub(super) records: Vec<(Section, Record)>,
}

impl Reply {
    /// A reply without records that says that there is such a name.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how the question went.
    pub fn code(mut self, code: ResponseCode) -> Self {
        self.code = code;
        self
    }

    /// Says that this server is one of those that are responsible for the zone (AA); off unless
    /// it is set.
    #[doc(alias = "evdns_server_request_set_flags")]
    #[doc(alias = "EVDNS_FLAGS_AA")]
    pub fn authoritative(mut self, on: bool) -> Self {
        self.authoritative = on;
        self
    }

    /// Says that this server asks others what it does not know itself (RA); off unless it is set.
    /// The header of C calls that flag RD.
    #[doc(alias = "evdns_server_request_set_flags")]
    #[doc(alias = "EVDNS_FLAGS_RD")]
    pub fn recursion_available(mut self, on: bool) -> Self {
        self.recursion_available = on;
        self
    }

    /// Adds a record to the answers.
    pub fn answer(self, record: Record) -> Self {
        self.record(Section::Answer, record)
    }

    /// Adds a record to the authority section.
    pub fn authority(self, record: Record) -> Self {
        self.record(Section::Authority, record)
    }

    /// Adds a record to the additional section.
    pub fn additional(self, record: Record) -> Self {
        self.record(Section::Additional, record)
    }

    /// Adds a record to a section, after those that are there.
    #[doc(alias = "evdns_server_request_add_reply")]
    pub fn record(mut self, section: Section, record: Record) -> Self {
        self.records.push((section, record));
        self
    }
}

/// A reply without records.
impl From<ResponseCode> for Reply {
    fn from(code: ResponseCode) -> Self {
        Reply::new().code(code)
    }
}
