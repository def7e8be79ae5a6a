//! How names are looked up, as plain data.

mod file;
mod hosts;
mod resolv_conf;

pub use hosts::Hosts;

use crate::error::Result;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// How a [`Resolver`](super::Resolver) looks up names: whom it asks, and how patiently.
///
/// Plain data: make one, change what is not as you want it, give it to
/// [`Resolver::new`](super::Resolver::new).
///
/// ```
/// use libevent2::dns::Config;
/// use std::time::Duration;
///
/// let mut config = Config::with_servers(["192.0.2.53:53".parse().unwrap()]);
/// config.search = vec!["example.com".to_owned()];
/// config.timeout = Duration::from_secs(2);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The name servers. The first one is asked; when it is silent for nearly [`timeout`](Self::timeout),
    /// has failed or refuses, the others are. One that was silent is passed over from then on, until
    /// [`retry_failed`](Self::retry_failed).
    #[doc(alias = "evdns_base_nameserver_add")]
    #[doc(alias = "evdns_base_nameserver_ip_add")]
    #[doc(alias = "evdns_base_nameserver_sockaddr_add")]
    pub servers: Vec<SocketAddr>,
    /// The domains in which a name is looked for that is not found as it stands; a name that ends
    /// in a dot is not looked for in them.
    #[doc(alias = "evdns_base_search_add")]
    #[doc(alias = "evdns_base_search_clear")]
    pub search: Vec<String>,
    /// A name with fewer dots than this is looked for in the domains first, and as it stands at
    /// last. 1 unless told otherwise.
    #[doc(alias = "evdns_base_search_ndots_set")]
    pub ndots: u8,
    /// What is known without asking anybody.
    #[doc(alias = "evdns_base_load_hosts")]
    #[doc(alias = "evdns_base_clear_host_addresses")]
    pub hosts: Hosts,
    /// How long to wait for one server's answer before the next one is asked, or the same one
    /// again: 5 s unless told otherwise, 1 ms at least.
    pub timeout: Duration,
    /// How often a question is sent in all: 3 times unless told otherwise, once at least. With
    /// several servers the first one is asked besides.
    pub attempts: u8,
    /// How long a lookup may take in all, whatever it waits for: 30 s unless told otherwise.
    pub deadline: Duration,
    /// When a host's IPv4 addresses are there and its IPv6 addresses not, or the other way round:
    /// how long to wait for the rest. 3 s unless told otherwise, as in C. That is less than
    /// `timeout`: when a datagram is lost, one family may be missing. For both whatever it takes,
    /// give it the deadline's time.
    pub family_delay: Duration,
    /// How many questions are under way at a time; others wait for them. 64 unless told
    /// otherwise, 1 at least (with libevent 2.2: 2), 65,000 at most.
    pub max_in_flight: u16,
    /// After how many questions in a row without an answer a server is left out: 3 unless told
    /// otherwise.
    pub max_timeouts: u8,
    /// How soon servers that are left out are tried again while lookups are under way; when there
    /// are none, all are forgiven at once. One minute unless told otherwise, half an hour at most.
    pub retry_failed: Duration,
    /// Whether questions are sent in random upper and lower case. An answer to them is taken in
    /// any case; without this in the very same case only. On unless told otherwise.
    pub randomize_case: bool,
    /// The address from which questions are sent, to servers that are not on this machine. Port 0
    /// lets the system choose, which makes forged answers harder.
    pub bind: Option<SocketAddr>,
    /// The size of the kernel's buffer for answers, in bytes, for each server's socket.
    pub receive_buffer: Option<u32>,
    /// The size of the kernel's buffer for questions, in bytes, for each server's socket.
    pub send_buffer: Option<u32>,
    /// The longest answer that servers are told to send in one datagram (EDNS), in bytes. libevent
    /// 2.2 and later, which without it reads no more than 512 bytes; with 2.1 answers have 512
    /// bytes, and a `Resolver` with this set is refused.
    pub edns_size: Option<u16>,
}

impl Default for Config {
    /// Nobody to ask, nothing known.
    fn default() -> Self {
        Config {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            hosts: Hosts::default(),
            timeout: Duration::from_secs(5),
            attempts: 3,
            deadline: Duration::from_secs(30),
            family_delay: Duration::from_secs(3),
            max_in_flight: 64,
            max_timeouts: 3,
            retry_failed: Duration::from_secs(60),
            randomize_case: true,
            bind: None,
            receive_buffer: None,
            send_buffer: None,
            edns_size: None,
        }
    }
}

impl Config {
    /// Asks these servers only; the rest is as in [`Config::default`].
    pub fn with_servers(servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        Config {
            servers: servers.into_iter().collect(),
            ..Config::default()
        }
    }

    /// As this system is configured: `/etc/resolv.conf`, as [`from_file`](Self::from_file) reads
    /// it, or as if it were empty when it is missing; and [`Hosts::system`].
    ///
    /// The environment (`LOCALDOMAIN`, `RES_OPTIONS`) is not looked at.
    ///
    /// # Errors
    /// [`Error::Os`](crate::Error::Os), with the file, when one is there and cannot be read.
    #[doc(alias = "evdns_base_resolv_conf_parse")]
    #[doc(alias = "EVDNS_BASE_INITIALIZE_NAMESERVERS")]
    pub fn system() -> Result<Self> {
        let mut config = resolv_conf::system()?;
        config.hosts = Hosts::system()?;
        Ok(config)
    }

    /// From a file in the format of `resolv.conf(5)`; see [`parse`](Self::parse). No file of hosts
    /// is read.
    ///
    /// What it leaves open is as that page says: without a server, the one on this machine
    /// (`127.0.0.1:53`) is asked; without a line with domains, names are looked for in the domain
    /// of this host, which is what follows the first dot of its name.
    ///
    /// # Errors
    /// [`Error::Os`](crate::Error::Os), with the file, when it cannot be read, is not a regular
    /// file, or has more than 1 MiB.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        resolv_conf::read(path.as_ref())
    }

    /// From text in the format of `resolv.conf(5)`, and nothing else: what it does not say is as in
    /// [`Config::default`].
    ///
    /// | Line | Field |
    /// |---|---|
    /// | `nameserver` | `servers`, each once: an IP address, also with a zone (`fe80::1%eth0`) or a port (`192.0.2.1:5353`, `[::1]:5353`) |
    /// | `search`, `domain` | `search`, by the last of these lines; `search .` says that there is none |
    /// | `options` | as below; one that is given again counts as it is given last |
    ///
    /// | Option | Field |
    /// |---|---|
    /// | `ndots:` | `ndots`, 15 at most |
    /// | `timeout:` | `timeout` in seconds, also `0.5`; 30 at most |
    /// | `attempts:` | `attempts`, 1 to 255 |
    /// | `max-timeouts:` | `max_timeouts`, 1 to 255 |
    /// | `max-inflight:` | `max_in_flight`, 1 to 65,000 |
    /// | `initial-probe-timeout:` | `retry_failed` in seconds, half an hour at most |
    /// | `getaddrinfo-allow-skew:` | `family_delay` in seconds, an hour at most |
    /// | `randomize-case:` | `randomize_case`, 0 or 1 |
    /// | `bind-to:` | `bind`, an IP address with or without a port |
    /// | `so-rcvbuf:`, `so-sndbuf:` | `receive_buffer`, `send_buffer` in bytes; 0 leaves it to the system |
    /// | `edns-udp-size:` | `edns_size` in bytes, 512 at least; `edns0` alone stands for 1200. libevent 2.2 and later |
    ///
    /// A number that is too large or too small counts as the nearest one that is not. What follows a
    /// `#` or `;` at the beginning of a word is a comment. As everywhere, what cannot be understood is
    /// passed over, be it a line, a word or an option.
    ///
    /// ```
    /// use libevent2::dns::Config;
    /// use std::time::Duration;
    ///
    /// let config = Config::parse("nameserver 192.0.2.53\noptions timeout:1 ndots:2");
    /// assert_eq!(config.servers, ["192.0.2.53:53".parse().unwrap()]);
    /// assert_eq!(config.timeout, Duration::from_secs(1));
    /// assert_eq!(config.ndots, 2);
    /// assert_eq!(config.attempts, 3);
    /// ```
    #[doc(alias = "evdns_base_set_option")]
    pub fn parse(text: &str) -> Self {
        resolv_conf::parse(text)
    }
}
