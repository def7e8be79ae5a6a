use super::names::{self, IntoName, Name};
use crate::error::{Error, Result};
use crate::ffi;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// The class of the Internet; nearly every record is of this one.
pub(super) const INTERNET: u16 = ffi::EVDNS_CLASS_INET as u16;

/// What a record tells of a name, or a question asks: its number in DNS.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordType(pub u16);

impl RecordType {
    /// An IPv4 address.
    #[doc(alias = "EVDNS_TYPE_A")]
    pub const A: Self = RecordType(ffi::EVDNS_TYPE_A as u16);
    /// A name server of the zone.
    #[doc(alias = "EVDNS_TYPE_NS")]
    pub const NS: Self = RecordType(ffi::EVDNS_TYPE_NS as u16);
    /// The name that this one is an alias of.
    #[doc(alias = "EVDNS_TYPE_CNAME")]
    pub const CNAME: Self = RecordType(ffi::EVDNS_TYPE_CNAME as u16);
    /// The start of a zone.
    #[doc(alias = "EVDNS_TYPE_SOA")]
    pub const SOA: Self = RecordType(ffi::EVDNS_TYPE_SOA as u16);
    /// The name of an address.
    #[doc(alias = "EVDNS_TYPE_PTR")]
    pub const PTR: Self = RecordType(ffi::EVDNS_TYPE_PTR as u16);
    /// A host that takes mail.
    #[doc(alias = "EVDNS_TYPE_MX")]
    pub const MX: Self = RecordType(ffi::EVDNS_TYPE_MX as u16);
    /// Text.
    #[doc(alias = "EVDNS_TYPE_TXT")]
    pub const TXT: Self = RecordType(ffi::EVDNS_TYPE_TXT as u16);
    /// An IPv6 address.
    #[doc(alias = "EVDNS_TYPE_AAAA")]
    pub const AAAA: Self = RecordType(ffi::EVDNS_TYPE_AAAA as u16);
    /// In questions: the whole zone, which takes more than a datagram.
    #[doc(alias = "EVDNS_QTYPE_AXFR")]
    pub const AXFR: Self = RecordType(ffi::EVDNS_QTYPE_AXFR as u16);
    /// In questions: whatever there is.
    #[doc(alias = "EVDNS_QTYPE_ALL")]
    pub const ALL: Self = RecordType(ffi::EVDNS_QTYPE_ALL as u16);

    const NAMES: [(Self, &str); 10] = [
        (Self::A, "A"),
        (Self::NS, "NS"),
        (Self::CNAME, "CNAME"),
        (Self::SOA, "SOA"),
        (Self::PTR, "PTR"),
        (Self::MX, "MX"),
        (Self::TXT, "TXT"),
        (Self::AAAA, "AAAA"),
        (Self::AXFR, "AXFR"),
        (Self::ALL, "ANY"),
    ];
}

/// As zone files write it: `AAAA`, or `TYPE64` for a number without a name here.
impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.iter().find(|(known, _)| known == self) {
            Some((_, name)) => f.pad(name),
            None => f.pad(&format!("TYPE{}", self.0)),
        }
    }
}

impl fmt::Debug for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One record of a [`Reply`](super::Reply): a name, and what there is to tell of it.
///
/// Names are [`Name`]s or text for them: with `\` escapes for odd bytes, with or without a dot at
/// the end, and `.` for the root. `ttl` says how long
/// others may remember the record; fractions of a second are cut off.
///
/// # Errors
/// All constructors: [`Error::Invalid`] for a name that DNS cannot carry: over 253 bytes, over 63
/// between two dots, nothing between two dots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub(super) name: Name,
    pub(super) kind: RecordType,
    pub(super) class: u16,
    pub(super) ttl: u32,
    pub(super) data: Data,
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Data {
    V4([u8; 4]),
    V6([u8; 16]),
    Bytes(Box<[u8]>),
    /// Which C may compress.
    Name(Name),
}

/// What a [`Record::soa`] has to say of its zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Soa {
    /// The name server where the zone is maintained.
    pub primary: String,
    /// The mailbox of who is responsible, with a dot for the `@`.
    pub mailbox: String,
    /// The version of the zone.
    pub serial: u32,
    /// How often other servers of the zone look for a new version.
    pub refresh: Duration,
    /// How soon they look again when that failed.
    pub retry: Duration,
    /// When they give the zone up.
    pub expire: Duration,
    /// How long others may remember that there is no such name or record.
    pub minimum: Duration,
}

impl Record {
    /// An IPv4 address of a name.
    ///
    /// # Errors
    /// See [`Record`].
    #[doc(alias = "evdns_server_request_add_a_reply")]
    pub fn a(name: impl IntoName, address: Ipv4Addr, ttl: Duration) -> Result<Self> {
        Self::new(name, RecordType::A, Data::V4(address.octets()), ttl)
    }

    /// An IPv6 address of a name.
    ///
    /// # Errors
    /// See [`Record`].
    #[doc(alias = "evdns_server_request_add_aaaa_reply")]
    pub fn aaaa(name: impl IntoName, address: Ipv6Addr, ttl: Duration) -> Result<Self> {
        Self::new(name, RecordType::AAAA, Data::V6(address.octets()), ttl)
    }

    /// An address of a name, of either family.
    ///
    /// # Errors
    /// See [`Record`].
    pub fn address(name: impl IntoName, address: IpAddr, ttl: Duration) -> Result<Self> {
        match address {
            IpAddr::V4(address) => Self::a(name, address, ttl),
            IpAddr::V6(address) => Self::aaaa(name, address, ttl),
        }
    }

    /// The name of an address. For an owner that is given as a name, such as
    /// `1.0.0.127.in-addr.arpa`, there is [`pointing`](Self::pointing).
    ///
    /// # Errors
    /// See [`Record`].
    #[doc(alias = "evdns_server_request_add_ptr_reply")]
    pub fn ptr(address: IpAddr, name: impl IntoName, ttl: Duration) -> Result<Self> {
        Self::pointing(&names::reverse(address), RecordType::PTR, name, ttl)
    }

    /// Says that `name` is an alias of `target`.
    ///
    /// # Errors
    /// See [`Record`].
    #[doc(alias = "evdns_server_request_add_cname_reply")]
    pub fn cname(name: impl IntoName, target: impl IntoName, ttl: Duration) -> Result<Self> {
        Self::pointing(name, RecordType::CNAME, target, ttl)
    }

    /// A name server of a zone.
    ///
    /// # Errors
    /// See [`Record`].
    pub fn ns(name: impl IntoName, server: impl IntoName, ttl: Duration) -> Result<Self> {
        Self::pointing(name, RecordType::NS, server, ttl)
    }

    /// A record of any type whose data is one name.
    ///
    /// # Errors
    /// See [`Record`].
    pub fn pointing(
        name: impl IntoName,
        kind: RecordType,
        target: impl IntoName,
        ttl: Duration,
    ) -> Result<Self> {
        Self::new(name, kind, Data::Name(target.into_name()?), ttl)
    }

    /// A host that takes mail for a name; a lower `preference` comes first.
    ///
    /// # Errors
    /// See [`Record`].
    pub fn mx(
        name: impl IntoName,
        preference: u16,
        host: impl IntoName,
        ttl: Duration,
    ) -> Result<Self> {
        let mut data = preference.to_be_bytes().to_vec();
        names::append(&mut data, host)?;
        Self::raw(name, RecordType::MX, data, ttl)
    }

    /// Text, in as many pieces of 255 bytes as it takes.
    ///
    /// # Errors
    /// See [`Record`]; also when it is longer than a record can be.
    pub fn txt(name: impl IntoName, text: impl AsRef<[u8]>, ttl: Duration) -> Result<Self> {
        let text = text.as_ref();
        let mut data = Vec::with_capacity(text.len() + text.len() / 255 + 1);
        for piece in text.chunks(255) {
            data.push(piece.len() as u8);
            data.extend(piece);
        }
        if text.is_empty() {
            data.push(0);
        }
        Self::raw(name, RecordType::TXT, data, ttl)
    }

    /// The start of a zone: in the [authority section](super::Reply::authority) of a reply without
    /// an answer, it lets others remember that there is none.
    ///
    /// # Errors
    /// See [`Record`].
    pub fn soa(name: impl IntoName, soa: &Soa, ttl: Duration) -> Result<Self> {
        let mut data = Vec::new();
        names::append(&mut data, &soa.primary)?;
        names::append(&mut data, &soa.mailbox)?;
        let times = [soa.refresh, soa.retry, soa.expire, soa.minimum];
        data.extend(soa.serial.to_be_bytes());
        data.extend(
            times
                .into_iter()
                .flat_map(|time| seconds(time).to_be_bytes()),
        );
        Self::raw(name, RecordType::SOA, data, ttl)
    }

    /// A record of any type, with its data as it is sent.
    ///
    /// # Errors
    /// See [`Record`]; also when there are no data, which libevent cannot send, or more than 65535
    /// bytes.
    #[doc(alias = "evdns_server_request_add_reply")]
    pub fn raw(
        name: impl IntoName,
        kind: RecordType,
        data: impl Into<Vec<u8>>,
        ttl: Duration,
    ) -> Result<Self> {
        let data = data.into();
        if data.is_empty() || data.len() > usize::from(u16::MAX) {
            let why = format!(
                "a record {kind} has {} bytes of them, 1 to 65535 can be sent",
                data.len()
            );
            return Err(Error::invalid("data", why));
        }
        Self::new(name, kind, Data::Bytes(data.into()), ttl)
    }

    fn new(name: impl IntoName, kind: RecordType, data: Data, ttl: Duration) -> Result<Self> {
        Ok(Record {
            name: name.into_name()?,
            kind,
            class: INTERNET,
            ttl: seconds(ttl),
            data,
        })
    }

    /// Puts it into another class than that of the Internet.
    #[must_use]
    pub fn class(mut self, class: u16) -> Self {
        self.class = class;
        self
    }
}

impl Data {
    pub(super) fn is_name(&self) -> bool {
        matches!(self, Data::Name(_))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Data::V4(octets) => octets,
            Data::V6(octets) => octets,
            Data::Bytes(bytes) => bytes,
            Data::Name(name) => name.raw().to_bytes(),
        }
    }
}

/// As DNS counts it: more than 68 years is 68 years.
fn seconds(time: Duration) -> u32 {
    time.as_secs().min(i32::MAX as u64) as u32
}
