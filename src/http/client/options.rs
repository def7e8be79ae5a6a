//! What a client does without being told with each request.

use super::proxy::Proxy;
use super::tls::ClientTls;
use crate::stream::Resolve;
use ::http::{HeaderMap, HeaderValue};
use std::path::PathBuf;
use std::time::Duration;

/// How a [`Client`](super::Client) works; [`Client::with`](super::Client::with) takes it.
///
/// ```
/// use libevent2::http::{Client, ClientOptions};
/// use std::time::Duration;
/// # let base = libevent2::EventBase::new()?;
///
/// let mut options = ClientOptions::default();
/// options.timeouts.total = Some(Duration::from_secs(10));
/// options.max_body = 1 << 20;
/// options.redirects = 0;
/// let client = Client::with(&base, options)?;
/// # Ok::<(), libevent2::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientOptions {
    /// How long each part of a request may take.
    pub timeouts: Timeouts,
    /// The most bytes of the body of an answer: 64 MiB. It holds for answers that are held in
    /// memory, by [`send`](super::ClientRequest::send), and not for those read piece by piece.
    pub max_body: u64,
    /// The most bytes of the head of an answer: 64 KiB.
    pub header_bytes: usize,
    /// How many redirects are followed for a request: 10. With 0 they are answers like any other.
    pub redirects: u32,
    /// Whether a redirect from https to http is followed: no.
    pub allow_downgrade: bool,
    /// How often a connection that could not be made is tried again: never. Nothing was sent then,
    /// so this is for requests of every method.
    pub connect_retries: u32,
    /// How long to wait before the first time; each time after that it is twice as long. 200 ms.
    pub retry_delay: Duration,
    /// The connections that are kept.
    pub pool: PoolLimits,
    /// Headers of each request that does not have its own of the same name. `User-Agent` and
    /// `Accept: */*` to begin with.
    pub headers: HeaderMap,
    /// Who looks up names.
    pub resolve: Resolve,
    /// Whom to go through.
    pub proxy: Option<Proxy>,
    /// A Unix socket to connect to, whatever host the URL names.
    pub unix: Option<PathBuf>,
    /// What makes TLS connections. Without one the system's certificates are trusted, and rustls is
    /// preferred to OpenSSL where both are there.
    pub tls: Option<ClientTls>,
    /// Whether cookies that servers set are sent back to them.
    #[cfg(feature = "cookies")]
    pub cookies: bool,
}

impl Default for ClientOptions {
    fn default() -> Self {
        let mut headers = HeaderMap::new();
        let agent = concat!("libevent2/", env!("CARGO_PKG_VERSION"));
        headers.insert(::http::header::USER_AGENT, HeaderValue::from_static(agent));
        headers.insert(::http::header::ACCEPT, HeaderValue::from_static("*/*"));
        ClientOptions {
            timeouts: Timeouts::default(),
            max_body: 64 << 20,
            header_bytes: 64 << 10,
            redirects: 10,
            allow_downgrade: false,
            connect_retries: 0,
            retry_delay: Duration::from_millis(200),
            pool: PoolLimits::default(),
            headers,
            resolve: Resolve::base(),
            proxy: None,
            unix: None,
            tls: None,
            #[cfg(feature = "cookies")]
            cookies: false,
        }
    }
}

/// How long each part of a request may take; None for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// From the lookup of the name to the connection: 30 s.
    pub connect: Option<Duration>,
    /// The handshake of TLS: 30 s.
    pub tls: Option<Duration>,
    /// The server takes nothing of the request: 60 s.
    pub send: Option<Duration>,
    /// From the end of the request to the whole head of the answer: 60 s.
    pub answer: Option<Duration>,
    /// Between two pieces of the body of the answer: 60 s. It does not count while the body is
    /// paused.
    pub body: Option<Duration>,
    /// All of it, from the beginning to the last byte of the answer, with redirects and repeats:
    /// no limit.
    pub total: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        let (short, long) = (Duration::from_secs(30), Duration::from_secs(60));
        Timeouts {
            connect: Some(short),
            tls: Some(short),
            send: Some(long),
            answer: Some(long),
            body: Some(long),
            total: None,
        }
    }
}

/// How many connections a client has, and keeps when they are not used.
///
/// A kept connection does not keep the loop running. While no request is under way nobody looks at
/// it: what the server has closed meanwhile, or what is too old, is noticed before it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolLimits {
    /// To one host at a time: 32. Requests beyond wait for one that becomes free.
    pub per_host: usize,
    /// In all at a time: 256.
    pub total: usize,
    /// Kept for one host: 8. With 0 none is used again.
    pub idle_per_host: usize,
    /// Kept in all: 64.
    pub idle: usize,
    /// How long one is kept: 60 s.
    pub idle_time: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        PoolLimits {
            per_host: 32,
            total: 256,
            idle_per_host: 8,
            idle: 64,
            idle_time: Duration::from_secs(60),
        }
    }
}
