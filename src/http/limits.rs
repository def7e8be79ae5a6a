use std::time::Duration;

/// What clients may take of a [`Server`](super::Server): bytes, time, connections.
///
/// ```
/// use libevent2::http::Limits;
/// use std::time::Duration;
///
/// let limits = Limits::new().body_bytes(16 << 20).idle(Duration::from_secs(5));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub(super) header_bytes: usize,
    pub(super) body_bytes: u64,
    pub(super) idle: Duration,
    pub(super) request_time: Duration,
    pub(super) min_rate: u64,
    pub(super) connections: usize,
    pub(super) requests_per_connection: u32,
}

impl Limits {
    /// 64 KiB of headers, 1 MiB of body, 30 seconds without progress, a minute for a request, 256
    /// bytes a second; any number of connections and of requests on each.
    pub fn new() -> Self {
        Limits {
            header_bytes: 64 << 10,
            body_bytes: 1 << 20,
            idle: Duration::from_secs(30),
            request_time: Duration::from_secs(60),
            min_rate: 256,
            connections: usize::MAX,
            requests_per_connection: u32::MAX,
        }
    }

    /// The most bytes that the request line and the headers may have together; a request with
    /// more is answered 431, or 414 when its first line alone is too long.
    #[must_use]
    #[doc(alias = "evhttp_set_max_headers_size")]
    pub fn header_bytes(mut self, bytes: usize) -> Self {
        self.header_bytes = bytes;
        self
    }

    /// The most bytes that a request's body may have, unless its [`Route`](super::Route) says
    /// otherwise; a request with more is answered 413. The body is held in memory, except on
    /// routes that are [`streamed`](super::Route::streamed).
    #[must_use]
    #[doc(alias = "evhttp_set_max_body_size")]
    pub fn body_bytes(mut self, bytes: u64) -> Self {
        self.body_bytes = bytes;
        self
    }

    /// How long a client may go without a request on its connection, and how long it may send
    /// hardly anything of a request, or take hardly anything of an answer, before its connection
    /// is closed; see [`min_rate`](Self::min_rate). At least a millisecond. A handler may take as
    /// long as it likes.
    #[must_use]
    #[doc(alias = "evhttp_set_timeout_tv")]
    pub fn idle(mut self, time: Duration) -> Self {
        self.idle = time.max(Duration::from_millis(1));
        self
    }

    /// How long a client may take for a request from its first byte to its last, however busily
    /// it sends; then it is answered 408. At least a millisecond.
    #[must_use]
    pub fn request_time(mut self, time: Duration) -> Self {
        self.request_time = time.max(Duration::from_millis(1));
        self
    }

    /// How many bytes a second a client has to send or take, averaged over the
    /// [`idle`](Self::idle) time, to count as one that goes on. With 0 any byte does.
    #[must_use]
    pub fn min_rate(mut self, bytes_per_second: u64) -> Self {
        self.min_rate = bytes_per_second;
        self
    }

    /// The most connections at a time; more have to wait until one ends. At least one.
    #[must_use]
    pub fn connections(mut self, count: usize) -> Self {
        self.connections = count.max(1);
        self
    }

    /// The most requests on one connection: the last one's answer closes it. At least one.
    #[must_use]
    pub fn requests_per_connection(mut self, count: u32) -> Self {
        self.requests_per_connection = count.max(1);
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits::new()
    }
}
