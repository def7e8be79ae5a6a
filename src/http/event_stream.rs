//! Server-sent events: an answer that never has to end, for the `EventSource` of browsers.

use super::{HeaderValue, Method, Outgoing, Request, Response, SendError, StatusCode, header};
use crate::callback::CallbackResult;
use crate::{LoopHandle, Timer};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt::{self, Write as _};
use std::rc::{Rc, Weak};
use std::time::Duration;

/// How many bytes may wait to be sent, unless [`EventStream::set_limit`] says otherwise.
const LIMIT: usize = 1 << 20;

/// An event of an [`EventStream`].
///
/// ```
/// use libevent2::http::ServerSentEvent;
///
/// let event = ServerSentEvent::new("two\nlines").event("news").id("7");
/// assert_eq!(event.encode()?, "event: news\nid: 7\ndata: two\ndata: lines\n\n");
/// # Ok::<(), libevent2::http::SendError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerSentEvent<'a> {
    data: Option<Cow<'a, str>>,
    event: Option<Cow<'a, str>>,
    id: Option<Cow<'a, str>>,
    retry: Option<Duration>,
}

impl<'a> ServerSentEvent<'a> {
    /// An event with this text, of any number of lines. Whatever ends a line there (CR, LF, or
    /// both) is LF for the client.
    pub fn new(data: impl Into<Cow<'a, str>>) -> Self {
        ServerSentEvent {
            data: Some(data.into()),
            ..Self::default()
        }
    }

    /// No event, but for what is set on it: an id, or the time to wait before the client comes
    /// again.
    pub fn without_data() -> Self {
        Self::default()
    }

    /// Its type, for the client's `addEventListener`; without one it is a `message`.
    #[must_use]
    pub fn event(mut self, name: impl Into<Cow<'a, str>>) -> Self {
        self.event = Some(name.into());
        self
    }

    /// What the client says as [`last_event_id`](EventStream::last_event_id) when it comes again.
    #[must_use]
    pub fn id(mut self, id: impl Into<Cow<'a, str>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// How long the client is to wait before it comes again when the connection has ended.
    #[must_use]
    pub fn retry(mut self, time: Duration) -> Self {
        self.retry = Some(time);
        self
    }

    /// The text that goes to the client.
    ///
    /// # Errors
    /// [`SendError::Invalid`] for a type or an id of more than one line, which would be read as
    /// something else, and for an id with a NUL, which clients ignore.
    pub fn encode(&self) -> Result<String, SendError> {
        let breaks = |text: &str, also: char| text.contains(['\r', '\n', also]);
        if self.event.as_deref().is_some_and(|name| breaks(name, '\n')) {
            return Err(SendError::Invalid("the type of an event is one line"));
        }
        if self.id.as_deref().is_some_and(|id| breaks(id, '\0')) {
            return Err(SendError::Invalid(
                "the id of an event is one line, without NUL",
            ));
        }
        let mut text = String::new();
        let mut field = |name, value: &dyn fmt::Display| {
            writeln!(text, "{name}: {value}").expect("a String takes everything");
        };
        if let Some(name) = &self.event {
            field("event", name);
        }
        if let Some(id) = &self.id {
            field("id", id);
        }
        if let Some(time) = self.retry {
            field("retry", &time.as_millis());
        }
        for line in self.data.iter().flat_map(|data| lines(data)) {
            field("data", &line);
        }
        text.push('\n');
        Ok(text)
    }
}

impl<'a, T: Into<Cow<'a, str>>> From<T> for ServerSentEvent<'a> {
    fn from(data: T) -> Self {
        ServerSentEvent::new(data)
    }
}

/// Lines as clients see them: CR alone ends one too.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        line.split('\r')
    })
}

/// An answer in events; see [`Request::event_stream`].
///
/// All clones are the same stream. It ends with [`finish`](Self::finish), or when the last of them
/// is dropped; the `EventSource` of a browser then comes again.
#[derive(Clone)]
#[must_use = "dropping it ends the stream"]
pub struct EventStream(Rc<Feed>);

struct Feed {
    out: Outgoing,
    last_event_id: Option<String>,
    limit: Cell<usize>,
    heartbeat: RefCell<Option<Timer>>,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.out.finish();
    }
}

impl Request {
    /// Answers with [server-sent events](https://html.spec.whatwg.org/multipage/server-sent-events.html),
    /// now and later.
    ///
    /// ```
    /// use libevent2::http::{Request, ServerSentEvent};
    /// use libevent2::{Result, Timer, TimerRef};
    /// use std::time::Duration;
    ///
    /// fn clock(request: Request) -> Result<()> {
    ///     let stream = request.event_stream();
    ///     let handle = stream.handle().clone();
    ///     let mut seconds = 0;
    ///     let tick = move |timer: &TimerRef| {
    ///         seconds += 1;
    ///         let event = ServerSentEvent::new(seconds.to_string()).event("tick");
    ///         if stream.send(event).is_err() {
    ///             timer.close();
    ///         }
    ///     };
    ///     Timer::every(&handle, Duration::from_secs(1), tick).map(Timer::detach)
    /// }
    /// ```
    pub fn event_stream(self) -> EventStream {
        self.event_stream_with(Response::new(StatusCode::OK))
    }

    /// As [`event_stream`](Self::event_stream), with the headers of `response`.
    pub fn event_stream_with(self, mut response: Response) -> EventStream {
        let headers = response.headers_mut();
        let mime = HeaderValue::from_static("text/event-stream");
        headers.insert(header::CONTENT_TYPE, mime);
        headers
            .entry(header::CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
        // nginx would keep the events until it has a buffer full of them.
        headers
            .entry("x-accel-buffering")
            .or_insert(HeaderValue::from_static("no"));
        let id = self.headers().get("last-event-id");
        let id = id.and_then(|id| str::from_utf8(id.as_bytes()).ok());
        let last_event_id = id.map(str::to_owned);
        let is_head = self.method() == Method::HEAD;
        let out = self.start(response);
        if is_head {
            out.finish();
        }
        EventStream(Rc::new(Feed {
            out,
            last_event_id,
            limit: Cell::new(LIMIT),
            heartbeat: RefCell::default(),
        }))
    }
}

impl EventStream {
    /// Sends an event: a text, or a [`ServerSentEvent`].
    ///
    /// # Errors
    /// [`SendError::Closed`] when the client has gone or the stream was finished;
    /// [`SendError::Full`] when the client reads too slowly; [`SendError::Invalid`] as for
    /// [`ServerSentEvent::encode`].
    pub fn send<'a>(&self, event: impl Into<ServerSentEvent<'a>>) -> Result<(), SendError> {
        self.write(&event.into().encode()?)
    }

    /// Sends a comment, which clients do not see, of any number of lines.
    ///
    /// # Errors
    /// [`SendError::Closed`] and [`SendError::Full`] as for [`send`](Self::send).
    pub fn comment(&self, text: &str) -> Result<(), SendError> {
        let mut comment = String::new();
        for line in lines(text) {
            writeln!(comment, ": {line}").expect("a String takes everything");
        }
        comment.push('\n');
        self.write(&comment)
    }

    fn write(&self, text: &str) -> Result<(), SendError> {
        let (pending, limit) = (self.pending(), self.0.limit.get());
        if !self.is_open() {
            return Err(SendError::Closed);
        }
        if pending.saturating_add(text.len()) > limit {
            return Err(SendError::Full { pending, limit });
        }
        self.0.out.send(text).map_err(|_| SendError::Closed)
    }

    /// Sends an empty comment each time when this long has passed: proxies end connections on
    /// which nothing happens, and a client that has gone without a word is found out. Nothing is
    /// added while something waits to be sent. It ends with the stream.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed) when the base is gone.
    pub fn keep_alive(&self, interval: Duration) -> crate::Result<()> {
        if !self.is_open() {
            return Ok(());
        }
        let feed = Rc::downgrade(&self.0);
        let timer = Timer::every(self.handle(), interval, move |_: &_| beat(&feed))?;
        let old = self.0.heartbeat.replace(Some(timer));
        drop(old);
        Ok(())
    }

    /// The most bytes that may wait to be sent; 1 MiB unless this was called.
    pub fn set_limit(&self, bytes: usize) {
        self.0.limit.set(bytes);
    }

    /// The id of the last event that this client has seen on an earlier connection.
    pub fn last_event_id(&self) -> Option<&str> {
        self.0.last_event_id.as_deref()
    }

    /// How many bytes wait to be taken by the client.
    pub fn pending(&self) -> usize {
        self.0.out.pending()
    }

    /// Whether more can be sent.
    pub fn is_open(&self) -> bool {
        self.0.out.is_open()
    }

    /// Runs `callback` from the loop each time when all was sent, until the stream ends. It keeps
    /// this stream: nobody else needs to.
    pub fn on_drain<O: CallbackResult>(
        &self,
        mut callback: impl FnMut(&EventStream) -> O + 'static,
    ) {
        let stream = self.clone();
        self.0.out.on_drain(move |_| callback(&stream));
    }

    /// Runs `callback` once when the client has gone.
    pub fn on_disconnect<O: CallbackResult>(&self, callback: impl FnOnce() -> O + 'static) {
        self.0.out.on_disconnect(callback);
    }

    /// Ends it.
    pub fn finish(&self) {
        let heartbeat = self.0.heartbeat.take();
        drop(heartbeat);
        self.0.out.finish();
    }

    /// The loop, to make timers and other objects on.
    pub fn handle(&self) -> &LoopHandle {
        self.0.out.handle()
    }
}

fn beat(feed: &Weak<Feed>) {
    let Some(feed) = feed.upgrade() else { return };
    let stream = EventStream(feed);
    if !stream.is_open() {
        let heartbeat = stream.0.heartbeat.take();
        drop(heartbeat);
    } else if stream.pending() == 0 {
        // It is open, and an empty comment is never too much.
        let _ = stream.0.out.send(":\n\n");
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("pending", &self.pending())
            .field("is_open", &self.is_open())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_the_data_has_its_field_whatever_ends_it() {
        let event = |data| ServerSentEvent::new(data).encode().unwrap();
        assert_eq!(event("a"), "data: a\n\n");
        assert_eq!(event(""), "data: \n\n");
        assert_eq!(
            event("a\nb\r\nc\rd"),
            "data: a\ndata: b\ndata: c\ndata: d\n\n"
        );
        assert_eq!(event("a\n"), "data: a\ndata: \n\n");
        assert_eq!(event(": no comment"), "data: : no comment\n\n");
    }

    #[test]
    fn what_would_be_another_field_is_refused() {
        for bad in ["a\nb", "a\rb", "\n", "a\r\nretry: 1"] {
            let by_type = ServerSentEvent::new("x").event(bad);
            let by_id = ServerSentEvent::new("x").id(bad);
            assert!(matches!(by_type.encode(), Err(SendError::Invalid(_))));
            assert!(matches!(by_id.encode(), Err(SendError::Invalid(_))));
        }
        let nul = ServerSentEvent::new("x").id("a\0b");
        assert!(matches!(nul.encode(), Err(SendError::Invalid(_))));
    }

    #[test]
    fn an_event_may_be_nothing_but_an_id_or_a_time() {
        let event = ServerSentEvent::without_data()
            .id("")
            .retry(Duration::from_secs(3));
        assert_eq!(event.encode().unwrap(), "id: \nretry: 3000\n\n");
    }
}
