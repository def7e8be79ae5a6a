use super::{Request, fields, host};
use ::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The proxies that are believed when they say whose request they pass on, and in which headers
/// they say it.
///
/// Anybody can send such headers. What stands in them counts only as far as trusted proxies wrote
/// it: from the last entry back to the first address that is no trusted proxy's. Each proxy has
/// to **set** all headers that are believed, or it passes on what the client made up; so one kind
/// is believed only: `X-Forwarded-For`, `-Proto` and `-Host`, or the standard `Forwarded`.
///
/// ```
/// use libevent2::http::TrustedProxies;
///
/// let proxies = TrustedProxies::new(["127.0.0.1", "::1", "10.1.0.0/16"])?;
/// assert!(proxies.contains("10.1.2.3".parse()?));
/// assert!(!proxies.contains("192.0.2.1".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    unix: bool,
    standard: bool,
    address_only: bool,
}

/// Whose request it is, and what was asked for, before any proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// The client, or the farthest proxy that is known.
    pub(super) addr: Option<IpAddr>,
    /// `http` or `https`, if a proxy said so.
    pub(super) scheme: Option<&'static str>,
    /// If a proxy said so.
    pub(super) host: Option<String>,
}

impl TrustedProxies {
    /// Trusts these addresses and networks: `10.0.0.1`, `10.0.0.0/8`, `2001:db8::/32`.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for one that is neither.
    pub fn new<S: AsRef<str>>(networks: impl IntoIterator<Item = S>) -> crate::Result<Self> {
        let networks = networks.into_iter().map(|text| {
            let text = text.as_ref().trim();
            let network = text
                .parse()
                .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| {
                let why = format!("{text:?} is not like 10.0.0.1 or 10.0.0.0/8");
                crate::Error::invalid("a trusted proxy", why)
            })
        });
        Ok(TrustedProxies {
            networks: networks.collect::<Result<_, _>>()?,
            ..TrustedProxies::default()
        })
    }

    /// Trusts who comes by a Unix socket too.
    #[must_use]
    pub fn unix(mut self) -> Self {
        self.unix = true;
        self
    }

    /// Believes the standard header `Forwarded` instead of `X-Forwarded-…`.
    #[must_use]
    pub fn standard(mut self) -> Self {
        self.standard = true;
        self
    }

    /// Believes the address only, for proxies that do not set scheme and host.
    #[must_use]
    pub fn address_only(mut self) -> Self {
        self.address_only = true;
        self
    }

    /// Whether the address is that of a trusted proxy.
    pub fn contains(&self, addr: IpAddr) -> bool {
        // An IPv4 client of an IPv6 socket.
        let addr = addr.to_canonical();
        self.networks.iter().any(|network| network.contains(&addr))
    }

    /// What the headers come to, from a connection with `peer`; `None` for a Unix socket.
    pub(super) fn origin(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Origin {
        let direct = peer.map(|peer| peer.ip().to_canonical());
        let mut origin = Origin {
            addr: direct,
            ..Origin::default()
        };
        let trusted = direct.map_or(self.unix, |addr| self.contains(addr));
        if trusted {
            match self.standard {
                true => self.read_standard(headers, &mut origin),
                false => self.read_usual(headers, &mut origin),
            }
        }
        if self.address_only {
            (origin.scheme, origin.host) = (None, None);
        }
        origin
    }

    fn read_standard(&self, headers: &HeaderMap, origin: &mut Origin) {
        let elements: Vec<_> = entries(headers, &header::FORWARDED);
        for element in elements.into_iter().rev() {
            let mut seen = None;
            for (name, value) in fields::params(element) {
                match &name.to_ascii_lowercase()[..] {
                    b"for" => seen = address(&value),
                    b"proto" => origin.scheme = scheme(&value),
                    b"host" => origin.host = host(&value),
                    _ => {}
                }
            }
            // `unknown`, a name of the proxy's own, or nothing: nobody farther is known.
            let Some(seen) = seen else { return };
            origin.addr = Some(seen);
            if !self.contains(seen) {
                return;
            }
        }
    }

    fn read_usual(&self, headers: &HeaderMap, origin: &mut Origin) {
        let addresses: Vec<_> = entries(headers, &X_FORWARDED_FOR);
        let mut hops = 0;
        for text in addresses.iter().rev() {
            let Some(seen) = address(text) else { break };
            hops += 1;
            origin.addr = Some(seen);
            if !self.contains(seen) {
                break;
            }
        }
        // Of a list as long as that of the addresses, the entry of the same proxy; otherwise what
        // the nearest proxy said.
        let said = |name| {
            let list = entries(headers, name);
            match list.len() == addresses.len() && hops > 0 {
                true => list.get(list.len() - hops).copied(),
                false => list.last().copied(),
            }
        };
        origin.scheme = said(&X_FORWARDED_PROTO).and_then(scheme);
        origin.host = said(&X_FORWARDED_HOST).and_then(host);
    }
}

impl Request {
    /// The address of the client, before the proxies that the server
    /// [trusts](super::ServerRef::trust_proxies). `None` when the client came by a Unix socket,
    /// or the system did not say.
    ///
    /// ```
    /// use libevent2::http::{Server, StatusCode, TrustedProxies};
    /// # let mut base = libevent2::EventBase::new()?;
    /// # let server = Server::new(&base)?;
    /// server.trust_proxies(TrustedProxies::new(["127.0.0.1", "::1"])?);
    /// server.route("/me", |request| {
    ///     let text = match request.client_addr() {
    ///         Some(addr) => format!("You are {addr}, by {}.\n", request.scheme()),
    ///         None => "Who are you?\n".to_owned(),
    ///     };
    ///     request.reply(StatusCode::OK, text);
    /// })?;
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    pub fn client_addr(&self) -> Option<IpAddr> {
        self.origin().addr
    }

    /// `http` or `https`: what the client used, as far as trusted proxies say so, or what this
    /// connection uses.
    pub fn scheme(&self) -> &'static str {
        let own = if self.is_secure() { "https" } else { "http" };
        self.origin().scheme.unwrap_or(own)
    }

    /// The host that the client asked for, with its port if that is not the usual one: what a
    /// trusted proxy says, or the target, or the header. It is well formed; whether it is one of
    /// ours is not checked. `None` when a client of HTTP/1.0 did not say.
    pub fn host(&self) -> Option<String> {
        let forwarded = self.origin().host;
        forwarded.or_else(|| self.authority().map(|host| host.into_owned()))
    }

    fn origin(&self) -> Origin {
        let server = self.server();
        server.proxies().origin(self.peer(), self.headers())
    }
}

/// The entries of a list. Quotes do not hold one together: with a quote that it leaves open, a
/// client would hide all that the proxies write behind it.
fn entries<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a [u8]> {
    let values = headers.get_all(name).into_iter();
    let entries = values.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    let entries = entries.map(<[u8]>::trim_ascii);
    entries.filter(|entry| !entry.is_empty()).collect()
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?;
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|addr| addr.ip());
    let addr = text.parse::<IpAddr>().ok().or_else(with_port).or_else(bare);
    addr.map(|addr| addr.to_canonical())
}

fn scheme(text: &[u8]) -> Option<&'static str> {
    ["http", "https"]
        .into_iter()
        .find(|scheme| text.eq_ignore_ascii_case(scheme.as_bytes()))
}

fn host(text: &[u8]) -> Option<String> {
    let valid = host::valid_host(text);
    str::from_utf8(text)
        .ok()
        .filter(|_| valid)
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies() -> TrustedProxies {
        TrustedProxies::new(["127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48"]).unwrap()
    }

    fn usual(peer: &str, list: &[(&'static str, &str)]) -> Origin {
        origin(&proxies(), peer, list)
    }

    fn origin(proxies: &TrustedProxies, peer: &str, list: &[(&'static str, &str)]) -> Origin {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        proxies.origin(Some(peer.parse().unwrap()), &headers)
    }

    fn addr(origin: Origin) -> String {
        origin.addr.unwrap().to_string()
    }

    #[test]
    fn what_a_stranger_says_does_not_count() {
        let all = [
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "victim.example"),
            ("forwarded", "for=192.0.2.1;proto=https;host=victim.example"),
        ];
        for proxies in [proxies(), proxies().standard(), TrustedProxies::default()] {
            let seen = origin(&proxies, "203.0.113.9:1", &all);
            assert_eq!((seen.scheme, &seen.host), (None, &None));
            assert_eq!(addr(seen), "203.0.113.9");
        }
    }

    #[test]
    fn the_client_is_the_last_address_that_no_trusted_proxy_has() {
        let seen = |list: &str| addr(usual("127.0.0.1:1", &[("x-forwarded-for", list)]));
        assert_eq!(seen("192.0.2.1"), "192.0.2.1");
        assert_eq!(seen("6.6.6.6, 192.0.2.1"), "192.0.2.1");
        assert_eq!(seen("6.6.6.6, 192.0.2.1, 10.2.3.4"), "192.0.2.1");
        assert_eq!(seen("10.0.0.2, 10.0.0.1"), "10.0.0.2");
        assert_eq!(seen("192.0.2.1, unknown, 10.0.0.1"), "10.0.0.1");
        assert_eq!(seen("nonsense"), "127.0.0.1");
        assert_eq!(seen("\", 192.0.2.1"), "192.0.2.1");
        assert_eq!(seen(""), "127.0.0.1");
        assert_eq!(seen("192.0.2.1:555"), "192.0.2.1");
        assert_eq!(seen("[2001:db8::1]:555"), "2001:db8::1");
        assert_eq!(seen("2001:db8::1, 2001:db8:1::5"), "2001:db8::1");
    }

    #[test]
    fn several_headers_are_one_list() {
        let list = [
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-for", "192.0.2.1"),
        ];
        assert_eq!(addr(usual("127.0.0.1:1", &list)), "192.0.2.1");
    }

    #[test]
    fn an_ipv4_proxy_on_an_ipv6_socket_is_the_same_proxy() {
        let seen = usual(
            "[::ffff:127.0.0.1]:1",
            &[("x-forwarded-for", "::ffff:192.0.2.1")],
        );
        assert_eq!(addr(seen), "192.0.2.1");
        assert_eq!(addr(usual("[::ffff:192.0.2.9]:1", &[])), "192.0.2.9");
    }

    #[test]
    fn scheme_and_host_are_of_the_proxy_that_met_the_client() {
        let seen = usual(
            "127.0.0.1:1",
            &[
                ("x-forwarded-for", "6.6.6.6, 192.0.2.1, 10.0.0.1"),
                ("x-forwarded-proto", "ftp, HTTPS, http"),
                ("x-forwarded-host", "www.example:8443"),
            ],
        );
        assert_eq!(seen.scheme, Some("https"));
        assert_eq!(seen.host.as_deref(), Some("www.example:8443"));
        let odd = usual(
            "127.0.0.1:1",
            &[("x-forwarded-proto", "gopher"), ("x-forwarded-host", "a b")],
        );
        assert_eq!((odd.scheme, odd.host), (None, None));
        let address_only = proxies().address_only();
        let proto = [
            ("x-forwarded-proto", "https"),
            ("x-forwarded-for", "192.0.2.1"),
        ];
        let seen = origin(&address_only, "10.0.0.1:1", &proto);
        assert_eq!(seen.scheme, None);
        assert_eq!(addr(seen), "192.0.2.1");
    }

    #[test]
    fn the_standard_header_is_believed_instead() {
        let proxies = proxies().standard();
        let value = "for=6.6.6.6;proto=gopher, For=\"[2001:db8::7]:9\";Proto=https;host=www.example, \
                     for=10.0.0.7;proto=http;by=_x";
        let list = [("forwarded", value), ("x-forwarded-for", "9.9.9.9")];
        let seen = origin(&proxies, "10.0.0.1:1", &list);
        assert_eq!(seen.scheme, Some("https"));
        assert_eq!(seen.host.as_deref(), Some("www.example"));
        assert_eq!(addr(seen), "2001:db8::7");
        let open_quote = [("forwarded", "for=\", for=192.0.2.1")];
        assert_eq!(
            addr(origin(&proxies, "10.0.0.1:1", &open_quote)),
            "192.0.2.1"
        );
        let hidden = [("forwarded", "for=192.0.2.1, for=_hidden;proto=https")];
        let seen = origin(&proxies, "10.0.0.1:1", &hidden);
        assert_eq!(
            (seen.scheme, addr(seen)),
            (Some("https"), "10.0.0.1".into())
        );
    }

    #[test]
    fn a_unix_socket_is_trusted_when_it_was_said() {
        let mut headers = HeaderMap::new();
        headers.insert(&X_FORWARDED_FOR, "192.0.2.1".parse().unwrap());
        assert_eq!(proxies().origin(None, &headers), Origin::default());
        let seen = proxies().unix().origin(None, &headers);
        assert_eq!(addr(seen), "192.0.2.1");
    }

    #[test]
    fn networks_are_checked_when_they_are_given() {
        for bad in ["10.0.0.0/33", "localhost", "10.0.0", ""] {
            assert!(TrustedProxies::new([bad]).is_err(), "{bad}");
        }
        assert!(
            TrustedProxies::new(["10.1.2.3/8"])
                .unwrap()
                .contains([10, 9, 9, 9].into())
        );
    }
}
