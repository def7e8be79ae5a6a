use std::io;
use std::time::Duration;

/// Why a lookup has no answer: what was asked for, and the cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("looking up {name}: {}{}{}", cause.as_str(), if why.is_empty() { "" } else { ": " }, why)]
pub struct LookupError {
    name: String,
    cause: Cause,
    why: String,
    ttl: Option<Duration>,
}

impl LookupError {
    pub(crate) fn new(name: impl Into<String>, cause: Cause) -> Self {
        LookupError {
            name: name.into(),
            cause,
            why: String::new(),
            ttl: None,
        }
    }

    pub(crate) fn because(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }

    pub(crate) fn with_ttl(mut self, ttl: Option<Duration>) -> Self {
        self.ttl = ttl;
        self
    }

    /// What was looked up, as it was given: a host, an address, or a service without a host.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cause.
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// How long [`NoSuchName`](Cause::NoSuchName) and [`NoData`](Cause::NoData) may be
    /// remembered, if the name server told.
    pub fn ttl(&self) -> Option<Duration> {
        self.ttl
    }
}

/// The cause of a [`LookupError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// What was asked for is no name that could exist, or no service; nobody was asked.
    BadName,
    /// There is no such name.
    #[doc(alias = "DNS_ERR_NOTEXIST")]
    NoSuchName,
    /// The name exists, but has nothing of the kind asked for, such as no IPv6 address.
    #[doc(alias = "DNS_ERR_NODATA")]
    NoData,
    /// No name server has answered in time.
    #[doc(alias = "DNS_ERR_TIMEOUT")]
    TimedOut,
    /// The name server could not find out.
    #[doc(alias = "DNS_ERR_SERVERFAILED")]
    ServerFailed,
    /// The name server does not answer such questions, or not to us.
    #[doc(alias = "DNS_ERR_REFUSED")]
    Refused,
    /// The name server does not know this kind of question.
    #[doc(alias = "DNS_ERR_NOTIMPL")]
    NotImplemented,
    /// The name server took the question for malformed.
    #[doc(alias = "DNS_ERR_FORMAT")]
    FormatError,
    /// The answer does not fit into one datagram, and libevent 2.1 has no other way to ask. The
    /// system's resolver may get it, or libevent 2.2.
    #[doc(alias = "DNS_ERR_TRUNCATED")]
    Truncated,
    /// What came as answer cannot be read, is for another question, or has a name longer than
    /// libevent 2.1 takes there (63 bytes on Linux).
    #[doc(alias = "DNS_ERR_UNKNOWN")]
    BadAnswer,
    /// There is no name server to ask, or none that this machine has a socket for.
    NoServer,
    /// It was cancelled.
    #[doc(alias = "DNS_ERR_CANCEL")]
    Cancelled,
    /// The resolver was closed.
    #[doc(alias = "DNS_ERR_SHUTDOWN")]
    Closed,
    /// libevent had no memory for it.
    OutOfMemory,
}

impl Cause {
    /// In words.
    #[doc(alias = "evdns_err_to_string")]
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::BadName => "this cannot be looked up",
            Cause::NoSuchName => "there is no such name",
            Cause::NoData => "it has no record of that kind",
            Cause::TimedOut => "no name server answered in time",
            Cause::ServerFailed => "the name server failed",
            Cause::Refused => "the name server refused to answer",
            Cause::NotImplemented => "the name server does not know this kind of question",
            Cause::FormatError => "the name server could not read the question",
            Cause::Truncated => "the answer is too long for a datagram",
            Cause::BadAnswer => "the name server's answer cannot be read",
            Cause::NoServer => "there is no name server to ask",
            Cause::Cancelled => "it was cancelled",
            Cause::Closed => "the resolver was closed",
            Cause::OutOfMemory => "memory is short",
        }
    }
}

impl From<Cause> for io::ErrorKind {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::BadName => io::ErrorKind::InvalidInput,
            Cause::NoSuchName | Cause::NoData => io::ErrorKind::NotFound,
            Cause::TimedOut => io::ErrorKind::TimedOut,
            Cause::Refused => io::ErrorKind::PermissionDenied,
            Cause::BadAnswer | Cause::Truncated => io::ErrorKind::InvalidData,
            Cause::OutOfMemory => io::ErrorKind::OutOfMemory,
            _ => io::ErrorKind::Other,
        }
    }
}

impl From<LookupError> for io::Error {
    fn from(error: LookupError) -> Self {
        io::Error::new(error.cause().into(), error)
    }
}
