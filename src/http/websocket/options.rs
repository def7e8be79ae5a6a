use crate::http::Request;
use std::time::Duration;

/// What a WebSocket may take, and whom it is for.
///
/// ```
/// use libevent2::http::websocket::WebSocketOptions;
/// use std::time::Duration;
///
/// let options = WebSocketOptions::new()
///     .message_bytes(64 << 10)
///     .ping(Some(Duration::from_secs(20)), Duration::from_secs(5))
///     .protocol("chat.v2")
///     .origin("https://example.org");
/// ```
#[derive(Debug, Clone)]
pub struct WebSocketOptions {
    pub(super) message_bytes: usize,
    pub(super) frame_bytes: usize,
    pub(super) pending_bytes: usize,
    pub(super) ping_interval: Option<Duration>,
    pub(super) ping_timeout: Duration,
    pub(super) close_timeout: Duration,
    pub(super) protocols: Vec<String>,
    origins: Vec<String>,
    any_origin: bool,
}

impl WebSocketOptions {
    /// Messages of at most 1 MiB, of which 4 MiB may wait to be sent; a ping after 30 seconds of
    /// silence, and 20 seconds to answer it; 5 seconds for the end; for pages of the same host.
    pub fn new() -> Self {
        WebSocketOptions {
            message_bytes: 1 << 20,
            frame_bytes: usize::MAX,
            pending_bytes: 4 << 20,
            ping_interval: Some(Duration::from_secs(30)),
            ping_timeout: Duration::from_secs(20),
            close_timeout: Duration::from_secs(5),
            protocols: Vec::new(),
            origins: Vec::new(),
            any_origin: false,
        }
    }

    /// The most bytes that a message from the other end may have; with a longer one the connection
    /// ends with the code 1009, before the message was read.
    #[must_use]
    pub fn message_bytes(mut self, bytes: usize) -> Self {
        self.message_bytes = bytes;
        self
    }

    /// The most bytes that one frame of a message may have: as many as the message unless this is
    /// less.
    #[must_use]
    pub fn frame_bytes(mut self, bytes: usize) -> Self {
        self.frame_bytes = bytes;
        self
    }

    /// How many bytes may wait to be sent. While half of that waits, nothing is read from the other
    /// end either: one that never reads cannot make us answer forever.
    #[must_use]
    pub fn pending_bytes(mut self, bytes: usize) -> Self {
        self.pending_bytes = bytes;
        self
    }

    /// After how long a silence the other end is asked whether it is there, and how long it has to
    /// answer, before the connection is given up with the code 1006. Without an interval it is never
    /// asked. Both at least a millisecond.
    #[must_use]
    pub fn ping(mut self, interval: Option<Duration>, timeout: Duration) -> Self {
        let least = Duration::from_millis(1);
        self.ping_interval = interval.map(|time| time.max(least));
        self.ping_timeout = timeout.max(least);
        self
    }

    /// How long the other end has for its part of the end, after which the connection is cut.
    #[must_use]
    pub fn close_timeout(mut self, time: Duration) -> Self {
        self.close_timeout = time;
        self
    }

    /// Adds a subprotocol. A server takes the first of the client's that it has too; a client
    /// offers them in this order.
    #[must_use]
    pub fn protocol(mut self, name: impl Into<String>) -> Self {
        self.protocols.push(name.into());
        self
    }

    /// Lets in the pages of an origin, such as `https://example.org` or `http://localhost:3000`,
    /// beside those of the server's own host. A page of any site can open a WebSocket to any other,
    /// with the cookies that the user has there: this is what keeps strangers out. Programs that
    /// are no browsers send no origin, and are let in.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// Lets in the pages of any origin.
    #[must_use]
    pub fn any_origin(mut self) -> Self {
        self.any_origin = true;
        self
    }

    /// Whether a request of this origin, if it says one, is let in.
    pub(super) fn lets_in(&self, request: &Request) -> bool {
        let mut origins = request.headers().get_all("origin").iter();
        let origin = match (origins.next(), origins.next()) {
            _ if self.any_origin => return true,
            (None, _) => return true,
            (Some(origin), None) => origin.to_str().unwrap_or_default(),
            (Some(_), Some(_)) => return false,
        };
        let listed = |known: &String| known.eq_ignore_ascii_case(origin);
        let own = || {
            let host = request.host()?;
            let (_, of_page) = origin.split_once("://")?;
            let plain = |host: &str| {
                let host = host.strip_suffix(":443").or(host.strip_suffix(":80"));
                host.map(str::to_ascii_lowercase)
            };
            let host = plain(&host).unwrap_or(host.to_ascii_lowercase());
            let of_page = plain(of_page).unwrap_or(of_page.to_ascii_lowercase());
            Some(host == of_page)
        };
        self.origins.iter().any(listed) || own() == Some(true)
    }
}

impl Default for WebSocketOptions {
    fn default() -> Self {
        WebSocketOptions::new()
    }
}
