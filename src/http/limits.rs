use std::time::Duration;

/// What a client may take of a [`Server`](super::Server): bytes and time.
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
}

impl Limits {
    /// 64 KiB of headers, 1 MiB of body, 30 seconds without progress.
    pub fn new() -> Self {
        Limits {
            header_bytes: 64 << 10,
            body_bytes: 1 << 20,
            idle: Duration::from_secs(30),
        }
    }

    /// The most bytes that the request line and the headers may have together; a request with
    /// more is answered 400.
    #[must_use]
    #[doc(alias = "evhttp_set_max_headers_size")]
    pub fn header_bytes(mut self, bytes: usize) -> Self {
        self.header_bytes = bytes;
        self
    }

    /// The most bytes that a request's body may have; a request with more is answered 413. The
    /// body is held in memory.
    #[must_use]
    #[doc(alias = "evhttp_set_max_body_size")]
    pub fn body_bytes(mut self, bytes: u64) -> Self {
        self.body_bytes = bytes;
        self
    }

    /// How long a client may send nothing of a request, or take nothing of an answer, before its
    /// connection is closed. At least a millisecond. A handler may take as long as it likes.
    #[must_use]
    #[doc(alias = "evhttp_set_timeout_tv")]
    pub fn idle(mut self, time: Duration) -> Self {
        self.idle = time.max(Duration::from_millis(1));
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits::new()
    }
}
