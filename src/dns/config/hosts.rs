use super::file;
use crate::dns::name;
use crate::error::Result;
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

/// More than a million lines: lists of hosts to block are as long.
const MAX_FILE: u64 = 64 << 20;

/// Names and addresses that are known without asking anybody, as in `/etc/hosts`.
///
/// ```
/// use libevent2::dns::Hosts;
/// use std::net::IpAddr;
///
/// let mut hosts = Hosts::parse("192.0.2.7  web.example www # the new one");
/// hosts.add("www", "2001:db8::7".parse().unwrap());
///
/// let www: Vec<IpAddr> = hosts.addresses("WWW").collect();
/// assert_eq!(www.len(), 2);
/// assert!(hosts.names(www[0]).eq(["web.example", "www"]));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Hosts {
    /// By the name in lower case, without a dot at its end.
    addresses: HashMap<Arc<str>, Vec<IpAddr>>,
    /// The names as they were given, but for the dot.
    names: HashMap<IpAddr, Vec<Arc<str>>>,
}

impl Hosts {
    /// What is in `/etc/hosts`; `localhost` only (`127.0.0.1` and `::1`) if there is no such file.
    ///
    /// # Errors
    /// [`Error::Os`](crate::Error::Os) when the file is there and cannot be read.
    pub fn system() -> Result<Self> {
        Self::at(Path::new("/etc/hosts"))
    }

    fn at(path: &Path) -> Result<Self> {
        match Self::from_file(path) {
            Err(error) if file::is_missing(&error) => {
                Ok(Self::parse("127.0.0.1 localhost\n::1 localhost"))
            }
            hosts => hosts,
        }
    }

    /// What is in this file; see [`parse`](Self::parse).
    ///
    /// # Errors
    /// [`Error::Os`](crate::Error::Os), with the file, when it cannot be read, is not a regular
    /// file, or has more than 64 MiB.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self::parse(&file::read(path.as_ref(), MAX_FILE)?))
    }

    /// From text in the format of `hosts(5)`: in each line an address and its names, then perhaps
    /// a `#` and a comment. What cannot be understood is passed over, and so are addresses with a
    /// zone (`fe80::1%lo0`) and names that cannot be asked for.
    pub fn parse(text: &str) -> Self {
        let mut hosts = Self::default();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            let Some(Ok(address)) = words.next().map(str::parse) else {
                continue;
            };
            for name in words.filter(|name| name::check(name).is_ok()) {
                hosts.add(name, address);
            }
        }
        hosts
    }

    /// Adds an address of a name, after those that it has; nothing if it has this one.
    pub fn add(&mut self, name: impl Into<String>, address: IpAddr) {
        let mut name = name.into();
        if name.ends_with('.') {
            name.pop();
        }
        let key: Arc<str> = name.to_ascii_lowercase().into();
        let addresses = self.addresses.entry(key.clone()).or_default();
        let names = self.names.entry(address).or_default();
        // A name may have a great many addresses, or an address names; hardly both.
        let known = if addresses.len() < names.len() {
            addresses.contains(&address)
        } else {
            names.iter().any(|known| known.eq_ignore_ascii_case(&name))
        };
        if !known {
            addresses.push(address);
            let same = *key == *name;
            names.push(if same { key } else { name.into() });
        }
    }

    /// The addresses of a name, in upper or lower case, with or without a dot at its end.
    pub fn addresses<'a>(&'a self, name: &str) -> impl ExactSizeIterator<Item = IpAddr> + use<'a> {
        let key = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let found = self.addresses.get(&*key).map(Vec::as_slice);
        found.unwrap_or_default().iter().copied()
    }

    /// The names of an address, in the order and the case in which they were given.
    pub fn names(&self, address: IpAddr) -> impl ExactSizeIterator<Item = &str> {
        let found = self.names.get(&address).map(Vec::as_slice);
        found.unwrap_or_default().iter().map(|name| &**name)
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }
}

impl fmt::Debug for Hosts {
    /// Not what they are: there may be a million.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosts")
            .field("names", &self.addresses.len())
            .field("addresses", &self.names.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_file_localhost_is_known() {
        let hosts = Hosts::at(Path::new("/no/such/file")).unwrap();
        let localhost: [IpAddr; 2] = ["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        assert!(hosts.addresses("localhost").eq(localhost));
        assert!(hosts.names(localhost[1]).eq(["localhost"]));
    }
}
