//! A request, put together.

use super::call::{Ask, Call, Settings, Then};
use super::payload::{Payload, Upload};
use super::url::{Url, basic};
use super::{Answer, Client, ClientError, ClientErrorKind, Pending, Streaming, Timeouts, Upgraded};
use crate::buffer::FileSegment;
use crate::callback::CallbackResult;
use crate::error::{Error, Result};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

/// A request of a [`Client`], until it is sent by [`send`](Self::send), [`open`](Self::open) or
/// [`upgrade`](Self::upgrade).
#[must_use = "nothing is sent before `send` or `open`"]
pub struct ClientRequest {
    client: Client,
    ask: Ask,
    settings: Settings,
    /// Whether `max_body` is the request's own.
    own_limit: bool,
    wrong: Option<String>,
}

impl ClientRequest {
    pub(super) fn new(client: &Client, method: Method, url: &str) -> Result<Self> {
        let invalid = |why| Error::invalid("url", format!("{url:?}: {why}"));
        if method == Method::CONNECT {
            return Err(Error::invalid("method", "CONNECT is for proxies"));
        }
        let parsed = Url::parse(url).map_err(invalid)?;
        let options = &client.shared().options;
        Ok(ClientRequest {
            client: client.clone(),
            ask: Ask {
                method,
                url: parsed,
                headers: HeaderMap::new(),
                payload: Payload::None,
                expect: false,
            },
            settings: Settings {
                timeouts: options.timeouts,
                max_body: Some(options.max_body),
                redirects: options.redirects,
                unix: options.unix.clone(),
                upgrade: None,
            },
            own_limit: false,
            wrong: None,
        })
    }

    /// Adds a header. One that is none fails the request; so do those that say how long the body is.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName, Error: fmt::Display>,
        V: TryInto<HeaderValue, Error: fmt::Display>,
    {
        match (name.try_into(), value.try_into()) {
            (Ok(name), Ok(value)) => self.add(name, value),
            (Err(error), _) => self.is_wrong(error.to_string()),
            (_, Err(error)) => self.is_wrong(error.to_string()),
        }
        self
    }

    /// Adds headers.
    pub fn headers(mut self, headers: &HeaderMap) -> Self {
        for (name, value) in headers {
            self.add(name.clone(), value.clone());
        }
        self
    }

    fn add(&mut self, name: HeaderName, value: HeaderValue) {
        const OURS: [HeaderName; 5] = [
            header::CONTENT_LENGTH,
            header::TRANSFER_ENCODING,
            header::EXPECT,
            header::UPGRADE,
            header::PROXY_AUTHORIZATION,
        ];
        if OURS.contains(&name) {
            self.is_wrong(format!("the client itself says {name}"));
        } else if name == header::HOST && !crate::http::wire::framing::is_host(value.as_bytes()) {
            self.is_wrong("Host: it is none".to_owned());
        } else if name == header::HOST {
            self.ask.headers.insert(name, value);
        } else {
            self.ask.headers.append(name, value);
        }
    }

    fn is_wrong(&mut self, why: String) {
        self.wrong.get_or_insert(why);
    }

    /// `Authorization: Basic`, in the place of what the URL says. It is not sent to another origin.
    pub fn basic_auth(mut self, user: &str, password: &str) -> Self {
        let value = basic(user.as_bytes(), password.as_bytes());
        self.ask.headers.insert(header::AUTHORIZATION, value);
        self
    }

    /// A body from memory.
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.ask.payload = Payload::Bytes(Arc::from(bytes.into()));
        self
    }

    /// A form as browsers send it, with its `Content-Type`.
    pub fn form<N: AsRef<str>, V: AsRef<str>>(
        mut self,
        fields: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let mut text = form_urlencoded::Serializer::new(String::new());
        text.extend_pairs(fields);
        let mime = HeaderValue::from_static("application/x-www-form-urlencoded");
        self.ask.headers.insert(header::CONTENT_TYPE, mime);
        self.body(text.finish())
    }

    /// A body in JSON, with its `Content-Type`. What cannot be JSON fails the request.
    #[cfg(feature = "json")]
    pub fn json(mut self, value: &impl serde::Serialize) -> Self {
        let mime = HeaderValue::from_static("application/json");
        self.ask.headers.insert(header::CONTENT_TYPE, mime);
        match serde_json::to_vec(value) {
            Ok(text) => self.body(text),
            Err(error) => {
                self.is_wrong(error.to_string());
                self
            }
        }
    }

    /// The contents of a regular file, from its beginning, as long as it is now. It is read piece
    /// by piece, on the loop; over a plain connection its bytes are never in the process.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is no regular file, [`Error::Os`] when its length cannot be had.
    pub fn file(mut self, file: File) -> Result<Self> {
        let length = file.metadata().map(|metadata| metadata.len());
        let length = length.map_err(|source| Error::Os {
            op: "asking for the size of a file".to_owned(),
            source,
        })?;
        self.ask.payload = Payload::File(Rc::new(FileSegment::new(file, 0..length)?));
        Ok(self)
    }

    /// A body that comes piece by piece: `begin` is called once, when the connection is there, and
    /// gets what it is sent by. With a `length`, in bytes, it has to be just so long; without one
    /// it is sent in chunks. A request with such a body is not sent twice: neither after a redirect
    /// that keeps the body nor after a connection that was closed.
    ///
    /// ```
    /// # use libevent2::EventBase;
    /// # use libevent2::http::{Answer, Client, ClientError, Method, Server, StatusCode};
    /// # let mut base = EventBase::new()?;
    /// # let server = Server::bind(&base, "127.0.0.1:0")?;
    /// # let address = server.local_addrs()[0];
    /// # server.route("/up", |request| {
    /// #     let length = request.body().len();
    /// #     request.reply(StatusCode::OK, length.to_string());
    /// # })?;
    /// let client = Client::new(&base)?;
    /// let mut left = 3;
    /// client
    ///     .request(Method::PUT, &format!("http://{address}/up"))?
    ///     .upload(None, move |upload| {
    ///         // Whenever the server has taken what there was.
    ///         upload.on_drain(move |upload| {
    ///             if left == 0 {
    ///                 return upload.finish();
    ///             }
    ///             left -= 1;
    ///             upload.send(&[b'x'; 1000])
    ///         });
    ///     })
    ///     .send(move |result: Result<Answer, ClientError>| {
    ///         assert_eq!(result.unwrap().text(), "3000");
    ///         server.close();
    ///     })
    ///     .detach();
    /// base.run()?;
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    pub fn upload<O: CallbackResult>(
        mut self,
        length: Option<u64>,
        begin: impl FnOnce(Upload) -> O + 'static,
    ) -> Self {
        let begin = Some(Box::new(move |upload| begin(upload).outcome()) as _);
        self.ask.payload = Payload::Upload { length, begin };
        self
    }

    /// Waits for the server's `100 Continue` before the body is sent, for a second at most. A
    /// server that refuses then spares both the body.
    pub fn expect_continue(mut self) -> Self {
        self.ask.expect = true;
        self
    }

    /// How long all of it may take, with redirects and repeats.
    pub fn timeout(mut self, total: Duration) -> Self {
        self.settings.timeouts.total = Some(total);
        self
    }

    /// How long each part of it may take.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.settings.timeouts = timeouts;
        self
    }

    /// The most bytes that the body of the answer may have; for [`open`](Self::open) there is no
    /// limit without this.
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.settings.max_body = Some(bytes);
        self.own_limit = true;
        self
    }

    /// How many redirects are followed; with 0 they are answers like any other.
    pub fn redirects(mut self, limit: u32) -> Self {
        self.settings.redirects = limit;
        self
    }

    /// A Unix socket to connect to, whatever host the URL names.
    pub fn unix(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.unix = Some(path.into());
        self
    }

    /// Sends the request, and gives the whole answer to `callback`, or why there is none: once,
    /// from the loop. It is dropped unheard when the [`Pending`], the client or the base is
    /// dropped before.
    #[doc(alias = "evhttp_make_request")]
    pub fn send<O: CallbackResult>(
        self,
        callback: impl FnOnce(Result<Answer, ClientError>) -> O + 'static,
    ) -> Pending {
        self.start(Then::Answer(Box::new(move |result| {
            callback(result).outcome()
        })))
    }

    /// Sends the request, and gives the head of the answer to `callback` as soon as it is there;
    /// the body then comes through [`Streaming::incoming`], piece by piece. The request is under
    /// way until the end of the body: the [`Pending`] has to live so long, or be detached.
    ///
    /// ```
    /// # use libevent2::EventBase;
    /// # use libevent2::http::{Client, Server, StatusCode};
    /// # let mut base = EventBase::new()?;
    /// # let server = Server::bind(&base, "127.0.0.1:0")?;
    /// # let address = server.local_addrs()[0];
    /// # server.route("/file", |request| request.reply(StatusCode::OK, vec![b'x'; 100_000]))?;
    /// let client = Client::new(&base)?;
    /// client
    ///     .get(&format!("http://{address}/file"))?
    ///     .open(move |result| {
    ///         let streaming = result?;
    ///         assert_eq!(streaming.status, StatusCode::OK);
    ///         let body = streaming.incoming();
    ///         body.on_data(|bytes| println!("{} bytes", bytes.len()));
    ///         body.on_end(move |end| {
    ///             server.close();
    ///             end.map(drop)
    ///         });
    ///         Ok::<_, libevent2::http::ClientError>(())
    ///     })
    ///     .detach();
    /// base.run()?;
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    #[doc(alias = "evhttp_request_set_chunked_cb")]
    #[doc(alias = "evhttp_request_set_header_cb")]
    pub fn open<O: CallbackResult>(
        mut self,
        callback: impl FnOnce(Result<Streaming, ClientError>) -> O + 'static,
    ) -> Pending {
        if !self.own_limit {
            self.settings.max_body = None;
        }
        self.start(Then::Open(Box::new(move |result| {
            callback(result).outcome()
        })))
    }

    /// Asks the server to change to another protocol (`Upgrade`), and gives the connection to
    /// `callback` when it has. An answer that is not `101` is
    /// [`NotUpgraded`](ClientErrorKind::NotUpgraded).
    pub fn upgrade<O: CallbackResult>(
        mut self,
        protocol: &str,
        callback: impl FnOnce(Result<Upgraded, ClientError>) -> O + 'static,
    ) -> Pending {
        match HeaderValue::from_str(protocol) {
            Ok(protocol) => self.settings.upgrade = Some(protocol),
            Err(error) => self.is_wrong(format!("{protocol:?}: {error}")),
        }
        self.ask.headers.remove(header::CONNECTION);
        self.start(Then::Upgrade(Box::new(move |result| {
            callback(result).outcome()
        })))
    }

    fn start(mut self, then: Then) -> Pending {
        if matches!(self.ask.payload, Payload::None) {
            self.ask.expect = false;
        }
        let doom = self.wrong.map(ClientErrorKind::Invalid);
        let shared = self.client.shared();
        // The base is gone: nobody can be called.
        let call = Call::start(shared, self.ask, self.settings, then, doom);
        Pending::new(call.map_or_else(|_| Weak::new(), |call| Rc::downgrade(&call)))
    }
}

impl fmt::Debug for ClientRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientRequest")
            .field("method", &self.ask.method)
            .field("url", &self.ask.url.to_string())
            .finish_non_exhaustive()
    }
}
