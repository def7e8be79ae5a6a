//! Addresses and names of the network.

use crate::error::{Error, Result};
use crate::ffi;
use std::ffi::{CStr, CString};
use std::fmt;
use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};
use std::os::raw::c_int;
use std::ptr;

/// Reads an IP address with or without a port, in the forms that libevent takes everywhere:
/// `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]`, `[::1]:80`, and `fe80::1%eth0` with a zone. Without
/// a port it is 0.
///
/// C ignores what follows the port or the bracket; here it is an error.
///
/// ```
/// use libevent2::util::parse_socket_addr;
///
/// let address = parse_socket_addr("[::1]:80")?;
/// assert!(address.is_ipv6());
/// assert_eq!(address.port(), 80);
/// assert_eq!(parse_socket_addr("1.2.3.4")?.port(), 0);
/// # Ok::<(), libevent2::Error>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`] when it is none of these, for port 0, and for a port above 65535.
#[doc(alias = "evutil_parse_sockaddr_port")]
#[doc(alias = "evutil_inet_pton")]
#[doc(alias = "evutil_inet_pton_scope")]
pub fn parse_socket_addr(text: &str) -> Result<SocketAddr> {
    let invalid = |why: &str| Error::invalid("address", format!("{text:?} {why}"));
    check_port(text).map_err(invalid)?;
    let string = CString::new(text).map_err(|_| invalid("has a NUL in it"))?;
    let written = written_addr(|out, room| {
        let mut length = room;
        // SAFETY: a C string; `out` is writable for `length` bytes, which C stays below.
        let code = unsafe { ffi::evutil_parse_sockaddr_port(string.as_ptr(), out, &mut length) };
        if code == 0 { length } else { -1 }
    });
    written.ok_or_else(|| invalid("is no IP address with or without a port"))
}

/// The IP address that `write` puts there; it is told how many bytes there is room for, and tells
/// how many it took, or less than 0.
pub(crate) fn written_addr(
    write: impl FnOnce(*mut ffi::sockaddr, c_int) -> c_int,
) -> Option<SocketAddr> {
    // SAFETY: all-zero is an address of no family.
    let mut storage: libc::sockaddr_storage = unsafe { mem::zeroed() };
    let out = (&raw mut storage).cast::<ffi::sockaddr>();
    let room = size_of_val(&storage);
    let length = usize::try_from(write(out, room as c_int)).ok()?;
    // SAFETY: so much of the storage is there, whatever was written.
    unsafe { socket_addr(out, length.min(room)) }
}

/// Refuses what C would not look at: it reads the port as `atoi` does.
fn check_port(text: &str) -> Result<(), &'static str> {
    let port = if text.starts_with('[') {
        match text.split_once(']') {
            None => return Err("has no closing bracket"),
            Some((_, "")) => None,
            Some((_, rest)) => Some(rest.strip_prefix(':').ok_or("goes on after the bracket")?),
        }
    } else {
        // With more than one colon it is an IPv6 address without a port.
        text.split_once(':')
            .map(|(_, port)| port)
            .filter(|port| !port.contains(':'))
    };
    match port {
        None => Ok(()),
        Some(digits) if !digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err("has a port that is no number")
        }
        Some(digits) => match digits.parse::<u16>() {
            Ok(1..) => Ok(()),
            _ => Err("has a port that is not between 1 and 65535"),
        },
    }
}

/// The address that C wrote, if it is an IP address.
///
/// # Safety
/// `address` is readable for `length` bytes.
unsafe fn socket_addr(address: *const ffi::sockaddr, length: usize) -> Option<SocketAddr> {
    if address.is_null() || length < size_of::<ffi::sockaddr>() {
        return None;
    }
    // SAFETY: readable for a sockaddr, and for the larger one where its size was compared; read
    // without alignment, so that any buffer will do.
    unsafe {
        match c_int::from(address.read_unaligned().sa_family) {
            libc::AF_INET if length >= size_of::<libc::sockaddr_in>() => {
                let v4 = address.cast::<libc::sockaddr_in>().read_unaligned();
                let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
                Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
            }
            libc::AF_INET6 if length >= size_of::<libc::sockaddr_in6>() => {
                let v6 = address.cast::<libc::sockaddr_in6>().read_unaligned();
                let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                let port = u16::from_be(v6.sin6_port);
                let (flow, scope) = (v6.sin6_flowinfo, v6.sin6_scope_id);
                Some(SocketAddrV6::new(ip, port, flow, scope).into())
            }
            _ => None,
        }
    }
}

/// What kind of addresses [`getaddrinfo`] is to find; any, unless told otherwise.
#[derive(Clone, Copy)]
#[must_use]
#[doc(alias = "evutil_addrinfo")]
pub struct AddrHints {
    family: c_int,
    socket_type: c_int,
    protocol: c_int,
    flags: c_int,
}

impl AddrHints {
    /// No wishes: every family, every protocol.
    pub fn new() -> Self {
        AddrHints {
            family: libc::AF_UNSPEC,
            socket_type: 0,
            protocol: 0,
            flags: 0,
        }
    }

    /// IPv4 addresses only.
    pub fn ipv4(mut self) -> Self {
        self.family = libc::AF_INET;
        self
    }

    /// IPv6 addresses only.
    pub fn ipv6(mut self) -> Self {
        self.family = libc::AF_INET6;
        self
    }

    /// For TCP only; else there is one answer for each protocol.
    pub fn tcp(mut self) -> Self {
        self.socket_type = libc::SOCK_STREAM;
        self.protocol = libc::IPPROTO_TCP;
        self
    }

    /// For UDP only; else there is one answer for each protocol.
    pub fn udp(mut self) -> Self {
        self.socket_type = libc::SOCK_DGRAM;
        self.protocol = libc::IPPROTO_UDP;
        self
    }

    /// Without a host: the address to listen on (`0.0.0.0`, `::`), not the one to connect to.
    #[doc(alias = "EVUTIL_AI_PASSIVE")]
    pub fn passive(mut self) -> Self {
        self.flags |= libc::AI_PASSIVE;
        self
    }

    /// Takes an IP address as host only, and so asks no name server.
    #[doc(alias = "EVUTIL_AI_NUMERICHOST")]
    pub fn numeric_host(mut self) -> Self {
        self.flags |= libc::AI_NUMERICHOST;
        self
    }

    /// Takes a number as service only.
    #[doc(alias = "EVUTIL_AI_NUMERICSERV")]
    pub fn numeric_service(mut self) -> Self {
        self.flags |= libc::AI_NUMERICSERV;
        self
    }

    /// Only the families in which this machine has an address.
    #[doc(alias = "EVUTIL_AI_ADDRCONFIG")]
    pub fn configured_families(mut self) -> Self {
        self.flags |= libc::AI_ADDRCONFIG;
        self
    }

    /// With the name that the host is an alias of. Only
    /// [`dns::ResolverRef::getaddrinfo`](crate::dns::ResolverRef::getaddrinfo) gives it back.
    #[doc(alias = "EVUTIL_AI_CANONNAME")]
    pub fn canonical_name(mut self) -> Self {
        self.flags |= libc::AI_CANONNAME;
        self
    }

    /// Whether addresses of IPv4, and of IPv6, are wanted.
    pub(crate) fn families(self) -> (bool, bool) {
        (self.family != libc::AF_INET6, self.family != libc::AF_INET)
    }

    pub(crate) fn is_numeric_host(self) -> bool {
        self.flags & libc::AI_NUMERICHOST != 0
    }

    pub(crate) fn wants_canonical_name(self) -> bool {
        self.flags & libc::AI_CANONNAME != 0
    }

    pub(crate) fn wants_configured_families(self) -> bool {
        self.flags & libc::AI_ADDRCONFIG != 0
    }

    /// Without what is a matter of the host and not of the socket.
    pub(crate) fn for_pattern(mut self) -> Self {
        self.flags &= !(libc::AI_ADDRCONFIG | libc::AI_CANONNAME);
        self
    }

    pub(crate) fn to_c(self) -> ffi::addrinfo {
        // SAFETY: integers and pointers, for which zero is a value, and means no wish.
        let mut hints: ffi::addrinfo = unsafe { mem::zeroed() };
        hints.ai_family = self.family;
        hints.ai_socktype = self.socket_type;
        hints.ai_protocol = self.protocol;
        hints.ai_flags = self.flags;
        hints
    }
}

impl Default for AddrHints {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for AddrHints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddrHints")
            .field("family", &self.family)
            .field("socket_type", &self.socket_type)
            .field("protocol", &self.protocol)
            .field("flags", &format_args!("{:#x}", self.flags))
            .finish()
    }
}

/// One address that [`getaddrinfo`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct AddrInfo {
    /// The address; its port is 0 when no service was asked for.
    pub address: SocketAddr,
    /// The type of socket that it is for, such as `libc::SOCK_STREAM`.
    pub socket_type: i32,
    /// The protocol that it is for, such as `libc::IPPROTO_TCP`.
    pub protocol: i32,
}

/// Looks up a host and a service, each a name or a number; the address to try first comes first.
///
/// It waits for the answer: on the thread of a loop it is for numbers, or for before the loop runs.
///
/// Without a host the addresses are this machine's: to connect to, or to listen on with
/// [`AddrHints::passive`].
///
/// ```
/// use libevent2::util::{AddrHints, getaddrinfo};
///
/// let found = getaddrinfo(Some("1.2.3.4"), Some("8080"), AddrHints::new().tcp())?;
/// assert_eq!(found[0].address, "1.2.3.4:8080".parse().unwrap());
/// # Ok::<(), libevent2::Error>(())
/// ```
///
/// # Errors
/// - [`Error::Invalid`] without a host and a service, or for a name with a NUL;
/// - [`Error::Lookup`] when there is no such name, or no answer;
/// - [`Error::Os`] when the system failed.
#[doc(alias = "evutil_getaddrinfo")]
#[doc(alias = "evutil_freeaddrinfo")]
#[doc(alias = "evutil_gai_strerror")]
pub fn getaddrinfo(
    host: Option<&str>,
    service: Option<&str>,
    hints: AddrHints,
) -> Result<Vec<AddrInfo>> {
    if host.is_none() && service.is_none() {
        return Err(Error::invalid("lookup", "it has neither host nor service"));
    }
    let name = host.or(service).unwrap_or_default();
    let (host, service) = (c_string(host)?, c_string(service)?);
    let wanted = hints.to_c();
    let mut list = ptr::null_mut();
    // SAFETY: C strings or NULL, of which one is not; `wanted` and `list` are ours.
    let code = unsafe {
        ffi::evutil_getaddrinfo(
            host.as_ref().map_or(ptr::null(), |host| host.as_ptr()),
            service
                .as_ref()
                .map_or(ptr::null(), |service| service.as_ptr()),
            &wanted,
            &mut list,
        )
    };
    match code {
        0 => {}
        libc::EAI_SYSTEM => {
            return Err(Error::Os {
                op: format!("getaddrinfo for {name}"),
                source: io::Error::last_os_error(),
            });
        }
        code => return Err(lookup_error(name, code)),
    }
    // SAFETY: C has given it to us.
    let list = unsafe { addr_list(list) };
    Ok(list.infos().collect())
}

fn c_string(text: Option<&str>) -> Result<Option<CString>> {
    let string = text.map(CString::new).transpose();
    string.map_err(|_| Error::invalid("name", format!("{text:?} has a NUL in it")))
}

fn lookup_error(name: &str, code: c_int) -> Error {
    // SAFETY: C has a text for every number, NUL-terminated and not freed by anybody.
    let why = unsafe { CStr::from_ptr(ffi::evutil_gai_strerror(code)) };
    Error::Lookup {
        name: name.to_owned(),
        code,
        why: why.to_string_lossy().into_owned(),
    }
}

/// C's list, freed on every path.
pub(crate) struct AddrList(*mut ffi::addrinfo);

/// # Safety
/// `list` is NULL, or was made by libevent's getaddrinfo, and nobody else frees it.
pub(crate) unsafe fn addr_list(list: *mut ffi::addrinfo) -> AddrList {
    AddrList(list)
}

impl AddrList {
    fn links(&self) -> impl Iterator<Item = &ffi::addrinfo> {
        // SAFETY: NULL, or a link of the list, which lives as long as `self`.
        let first = unsafe { self.0.as_ref() };
        // SAFETY: as above.
        std::iter::successors(first, |info| unsafe { info.ai_next.as_ref() })
    }

    fn infos(&self) -> impl Iterator<Item = AddrInfo> {
        self.links().filter_map(|info| {
            Some(AddrInfo {
                // SAFETY: the address is as long as it says.
                address: unsafe { socket_addr(info.ai_addr, info.ai_addrlen as usize)? },
                socket_type: info.ai_socktype,
                protocol: info.ai_protocol,
            })
        })
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.infos().map(|info| info.address)
    }

    /// What the host is an alias of, as C has it.
    pub(crate) fn canonical_name(&self) -> Option<&[u8]> {
        let name = self.links().next()?.ai_canonname;
        // SAFETY: NULL or a C string that lives as long as the list.
        (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) }.to_bytes())
    }
}

impl Drop for AddrList {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: made by evutil_getaddrinfo, freed once.
            unsafe { ffi::evutil_freeaddrinfo(self.0) };
        }
    }
}

/// Makes the system hand over a connection only once its peer has sent something, where it can.
///
/// ```
/// use libevent2::util::set_deferred_accept;
/// use std::net::TcpListener;
///
/// let listener = TcpListener::bind("127.0.0.1:0").unwrap();
/// set_deferred_accept(&listener)?;
/// # Ok::<(), libevent2::Error>(())
/// ```
///
/// # Errors
/// [`Error::Os`] when the system refuses.
#[doc(alias = "evutil_make_tcp_listen_socket_deferred")]
pub fn set_deferred_accept(listener: impl AsFd) -> Result<()> {
    let fd = listener.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open for the length of the call.
    match unsafe { ffi::evutil_make_tcp_listen_socket_deferred(fd) } {
        0 => Ok(()),
        _ => Err(Error::last_os("setting TCP_DEFER_ACCEPT")),
    }
}
