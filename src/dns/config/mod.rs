//! How names are looked up, as plain data.

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
    /// The name servers. They take turns; one that does not answer is left out for a while.
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
    /// How often a question is sent in all: 3 times unless told otherwise, once at least.
    pub attempts: u8,
    /// How long a lookup may take in all, whatever it waits for: 30 s unless told otherwise.
    pub deadline: Duration,
    /// When a host's IPv4 addresses are there and its IPv6 addresses not, or the other way round:
    /// how long to wait for the rest. 3 s unless told otherwise.
    pub family_delay: Duration,
    /// How many questions are under way at a time; others wait for them. 64 unless told
    /// otherwise, 1 at least, 65,000 at most.
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
    /// 2.2 and later; with 2.1 answers have 512 bytes, and a `Resolver` with this set is refused.
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

    /// As this system is configured: `/etc/resolv.conf` and `/etc/hosts`. Where a file is missing
    /// or names no server, it is the server on this machine (`127.0.0.1`), and `localhost`.
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

    /// From a file in the format of `resolv.conf(5)`; see [`parse`](Self::parse).
    ///
    /// # Errors
    /// [`Error::Os`](crate::Error::Os), with the file, when it cannot be read.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        resolv_conf::read(path.as_ref())
    }

    /// From text in the format of `resolv.conf(5)`: `nameserver`, `domain`, `search` and `options`
    /// (`ndots:`, `timeout:`, `attempts:`, and libevent's own such as `max-inflight:`). As
    /// everywhere, what cannot be understood is passed over.
    pub fn parse(text: &str) -> Self {
        resolv_conf::parse(text)
    }
}
