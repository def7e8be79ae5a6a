use crate::ffi;
use socket2::{SockAddr, SockAddrStorage};
use std::ffi::OsStr;
use std::fmt;
use std::net::SocketAddr;
use std::os::raw::c_int;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// One end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// A Unix socket, with its path if it has one. The end that connects has none as a rule.
    Unix(Option<PathBuf>),
    /// A Unix socket with a name of Linux that is not in the file system.
    Abstract(Vec<u8>),
    /// A socket of another family, whose number this is.
    Other(i32),
}

impl Address {
    /// The IP address and port, if it is one.
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Address::Ip(addr) => Some(*addr),
            _ => None,
        }
    }

    /// The path of a Unix socket that has one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Address::Unix(path) => path.as_deref(),
            _ => None,
        }
    }

    /// # Safety
    /// `address` is readable for `length` bytes, and an address of that length.
    pub(super) unsafe fn from_c(address: *const ffi::sockaddr, length: c_int) -> Self {
        let mut storage = SockAddrStorage::zeroed();
        let length = usize::try_from(length)
            .unwrap_or(0)
            .min(storage.size_of() as usize);
        // SAFETY: readable, says the caller, and not longer than the storage, which is plain bytes.
        let address = unsafe {
            let to = (&raw mut storage).cast::<u8>();
            address.cast::<u8>().copy_to_nonoverlapping(to, length);
            SockAddr::new(storage, length as _)
        };
        Self::from(&address)
    }
}

impl From<&SockAddr> for Address {
    fn from(address: &SockAddr) -> Self {
        if let Some(addr) = address.as_socket() {
            Address::Ip(addr)
        } else if let Some(path) = address.as_pathname() {
            Address::Unix(Some(path.to_owned()))
        } else if address.is_unix() {
            let name = address.as_abstract_namespace();
            name.map_or(Address::Unix(None), |name| Address::Abstract(name.to_vec()))
        } else {
            Address::Other(address.family().into())
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(addr: SocketAddr) -> Self {
        Address::Ip(addr)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(addr) => addr.fmt(f),
            Address::Unix(Some(path)) => path.display().fmt(f),
            Address::Unix(None) => f.write_str("an unnamed Unix socket"),
            Address::Abstract(name) => write!(f, "@{}", OsStr::from_bytes(name).display()),
            Address::Other(family) => write!(f, "a socket of family {family}"),
        }
    }
}
