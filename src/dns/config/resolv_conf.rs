use super::{Config, file};
use crate::dns::name;
use crate::error::Result;
use crate::util::parse_socket_addr;
use std::collections::HashSet;
use std::ffi::CStr;
use std::iter;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

const MAX_FILE: u64 = 1 << 20;
const PORT: u16 = 53;

/// What `options edns0` stands for, as in glibc: it passes everywhere in one piece.
const EDNS0: u16 = 1200;

pub(super) fn system() -> Result<Config> {
    at(Path::new("/etc/resolv.conf"))
}

fn at(path: &Path) -> Result<Config> {
    match read(path) {
        Err(error) if file::is_missing(&error) => Ok(Reader::default().complete(host_name())),
        config => config,
    }
}

pub(super) fn read(path: &Path) -> Result<Config> {
    let text = file::read(path, MAX_FILE)?;
    Ok(Reader::read(&text).complete(host_name()))
}

pub(super) fn parse(text: &str) -> Config {
    Reader::read(text).config
}

#[derive(Default)]
struct Reader {
    config: Config,
    servers: HashSet<SocketAddr>,
    /// Whether there was a line about domains, which may have named none: `search .`
    search: bool,
}

impl Reader {
    fn read(text: &str) -> Self {
        let mut reader = Self::default();
        text.lines().for_each(|line| reader.line(line));
        reader
    }

    /// What a system does that is told no more.
    fn complete(mut self, host: Option<String>) -> Config {
        if self.config.servers.is_empty() {
            self.config.servers = vec![(Ipv4Addr::LOCALHOST, PORT).into()];
        }
        if !self.search {
            self.config.search = Vec::from_iter(host.as_deref().and_then(domain_of));
        }
        self.config
    }

    fn line(&mut self, line: &str) {
        let mut words = line
            .split_ascii_whitespace()
            .take_while(|word| !word.starts_with(['#', ';']));
        match words.next() {
            Some("nameserver") => {
                self.server(words.next());
            }
            Some("domain") => {
                if let Some(domain) = words.next() {
                    self.search(iter::once(domain));
                }
            }
            Some("search") => self.search(words),
            Some("options") => words.for_each(|option| self.option(option)),
            _ => {}
        }
    }

    fn server(&mut self, address: Option<&str>) -> Option<()> {
        let mut address = parse_socket_addr(address?).ok()?;
        if address.port() == 0 {
            address.set_port(PORT);
        }
        if self.servers.insert(address) {
            self.config.servers.push(address);
        }
        Some(())
    }

    /// The last line counts.
    fn search<'a>(&mut self, domains: impl Iterator<Item = &'a str>) {
        self.search = true;
        self.config.search = domains.filter_map(domain).collect();
    }

    fn option(&mut self, option: &str) {
        let (name, value) = option.split_once(':').unwrap_or((option, ""));
        let config = &mut self.config;
        match name {
            "ndots" => set(&mut config.ndots, number(value, 0..=15)),
            "timeout" => set(&mut config.timeout, seconds(value, 30)),
            "attempts" => set(&mut config.attempts, number(value, 1..=u8::MAX)),
            "max-timeouts" => set(&mut config.max_timeouts, number(value, 1..=u8::MAX)),
            "max-inflight" => set(&mut config.max_in_flight, number(value, 1..=65_000)),
            "getaddrinfo-allow-skew" => set(&mut config.family_delay, seconds(value, 3600)),
            "initial-probe-timeout" => set(&mut config.retry_failed, seconds(value, 1800)),
            "randomize-case" => {
                let number = number(value, 0..=1);
                set(&mut config.randomize_case, number.map(|number| number != 0));
            }
            "bind-to" => set(&mut config.bind, parse_socket_addr(value).ok().map(Some)),
            "so-rcvbuf" => set(&mut config.receive_buffer, buffer(value)),
            "so-sndbuf" => set(&mut config.send_buffer, buffer(value)),
            // libevent 2.1 cannot, and nobody would want its resolver to fail for that.
            "edns-udp-size" if cfg!(libevent_2_2) => {
                let size = number(value, 512..=u16::MAX);
                set(&mut config.edns_size, size.map(Some));
            }
            "edns0" if cfg!(libevent_2_2) => {
                config.edns_size.get_or_insert(EDNS0);
            }
            _ => {}
        }
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// A number, or the end of the range that is nearest to it.
fn number<T: FromStr + Ord + Copy>(digits: &str, range: RangeInclusive<T>) -> Option<T> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (min, max) = range.into_inner();
    Some(
        digits
            .parse()
            .map_or(max, |number: T| number.clamp(min, max)),
    )
}

/// 0 leaves the size to the system.
fn buffer(size: &str) -> Option<Option<u32>> {
    // What fits in C's int.
    let size = number(size, 0..=i32::MAX as u32)?;
    Some(Some(size).filter(|&size| size > 0))
}

/// Seconds, perhaps with a fraction; less than a millisecond is nonsense to libevent too.
fn seconds(value: &str, max: u32) -> Option<Duration> {
    let seconds: f64 = value.parse().ok()?;
    (seconds >= 0.001).then(|| Duration::from_secs_f64(seconds.min(max.into())))
}

/// A domain without the dots around it, unless that is the root, or nothing that can be asked for.
fn domain(text: &str) -> Option<String> {
    let text = text.trim_start_matches('.');
    let text = text.strip_suffix('.').unwrap_or(text);
    name::check(text).is_ok().then(|| text.to_owned())
}

/// What follows the first dot.
fn domain_of(host: &str) -> Option<String> {
    domain(host.split_once('.')?.1)
}

fn host_name() -> Option<String> {
    let mut name = [0_u8; 256];
    // SAFETY: writable for all but the last byte, which stays 0.
    let code = unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) };
    let name = CStr::from_bytes_until_nul(&name).ok()?;
    (code == 0).then(|| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_of_a_host_follows_its_first_dot() {
        assert_eq!(domain_of("host.a.example").as_deref(), Some("a.example"));
        assert_eq!(domain_of("host.example.").as_deref(), Some("example"));
        for none in ["", "host", "host.", "host..", ".", "host.ä", "host.a..b"] {
            assert_eq!(domain_of(none), None, "{none}");
        }
    }

    #[test]
    fn the_name_of_this_host_is_read() {
        let name = host_name().unwrap();
        assert!(!name.is_empty() && name.len() < 255, "{name:?}");
    }

    #[test]
    fn a_file_without_domains_means_that_of_the_host() {
        let search = |text| {
            let host = Some("host.a.example".to_owned());
            Reader::read(text).complete(host).search
        };
        assert_eq!(search(""), ["a.example"]);
        assert_eq!(search("domain b.example"), ["b.example"]);
        for none in ["search .", "search", "domain ."] {
            assert_eq!(search(none), [""; 0], "{none}");
        }
    }

    #[test]
    fn without_a_file_the_server_on_this_machine_is_asked() {
        let config = at(Path::new("/no/such/file")).unwrap();
        assert_eq!(config, Reader::default().complete(host_name()));
        assert_eq!(config.servers, ["127.0.0.1:53".parse().unwrap()]);
    }
}
