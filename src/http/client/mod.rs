//! A client: requests over connections that are made, kept and used again.
//!
//! [`request`] puts a request together, [`call`] is one under way, [`conn`] one connection with the
//! request that it is busy with: [`open`] makes it, [`send`] and [`read`] are the two directions.
//! [`pool`] brings both together.

mod answer;
mod call;
mod conn;
mod error;
#[cfg(feature = "cookies")]
mod jar;
mod open;
mod options;
mod payload;
mod pool;
mod proxy;
mod read;
mod redirect;
mod request;
mod send;
mod tls;
mod url;

pub use answer::{Answer, Streaming, Upgraded};
pub use call::Pending;
pub use error::{ClientError, ClientErrorKind, Phase};
pub use options::{ClientOptions, PoolLimits, Timeouts};
pub use payload::Upload;
pub use proxy::Proxy;
pub use request::ClientRequest;
pub use tls::ClientTls;

use crate::LoopHandle;
use crate::error::Result;
use crate::http::wire::write;
use ::http::Method;
use call::Call;
use pool::{Key, Pool, Via};
use slab::Slab;
use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::rc::{Rc, Weak};

/// Asks HTTP servers: over http and https, through proxies, by Unix sockets.
///
/// Cheap to clone: all clones share one set of connections and cookies. When the last is dropped,
/// the requests under way end, and their callbacks are dropped unheard; one in a callback of a
/// request keeps the client until that has run.
///
/// ```
/// use libevent2::EventBase;
/// use libevent2::http::{Client, Method};
/// # use libevent2::http::{Server, StatusCode};
///
/// let mut base = EventBase::new()?;
/// # let server = Server::bind(&base, "127.0.0.1:0")?;
/// # let address = server.local_addrs()[0];
/// # server.route("/a", |request| request.reply(StatusCode::OK, "hello"))?;
/// let client = Client::new(&base)?;
/// client
///     .get(&format!("http://{address}/a"))?
///     .header("accept", "text/plain")
///     .send(move |result| {
///         match result {
///             Ok(answer) => println!("{}: {}", answer.status, answer.text()),
///             Err(error) => eprintln!("{error}"),
///         }
/// #       server.close();
///     })
///     .detach();
/// base.run()?;
/// # Ok::<(), libevent2::Error>(())
/// ```
///
/// # What it does without being asked
///
/// - Connections are kept and used again. A request that may be sent twice (`GET`, `PUT`, …) is sent
///   again when a kept connection turns out to be closed; others are not.
/// - Redirects are followed, ten at most: without `Authorization` and cookies to another origin,
///   and never from https to http.
/// - Certificates are verified, and a server that cuts an answer off is found out.
/// - Each phase has its time limit ([`Timeouts`]), and an answer its size.
#[derive(Clone)]
#[doc(alias = "evhttp_connection_base_new")]
pub struct Client(Rc<Shared>);

/// What a client's requests and connections share.
struct Shared {
    handle: LoopHandle,
    options: ClientOptions,
    pool: Pool,
    calls: RefCell<Slab<Weak<Call>>>,
    tls: OnceCell<ClientTls>,
    #[cfg(feature = "cookies")]
    jar: RefCell<jar::Jar>,
}

impl Client {
    /// A client with the usual [`ClientOptions`].
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed) when the base is gone.
    pub fn new(base: &LoopHandle) -> Result<Self> {
        Client::with(base, ClientOptions::default())
    }

    /// A client.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed) when the base is gone.
    pub fn with(base: &LoopHandle, options: ClientOptions) -> Result<Self> {
        base.inner().open()?;
        Ok(Client(Rc::new(Shared {
            handle: base.clone(),
            options,
            pool: Pool::default(),
            calls: RefCell::default(),
            tls: OnceCell::new(),
            #[cfg(feature = "cookies")]
            jar: RefCell::default(),
        })))
    }

    /// A request for an absolute URL, `http` or `https`. User and password in it are sent as
    /// `Authorization: Basic`; a fragment is not sent.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for what is no such URL, and for `CONNECT`.
    pub fn request(&self, method: Method, url: &str) -> Result<ClientRequest> {
        ClientRequest::new(self, method, url)
    }

    /// A `GET`.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub fn get(&self, url: &str) -> Result<ClientRequest> {
        self.request(Method::GET, url)
    }

    /// A `HEAD`.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub fn head(&self, url: &str) -> Result<ClientRequest> {
        self.request(Method::HEAD, url)
    }

    /// A `POST`.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub fn post(&self, url: &str) -> Result<ClientRequest> {
        self.request(Method::POST, url)
    }

    /// A `PUT`.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub fn put(&self, url: &str) -> Result<ClientRequest> {
        self.request(Method::PUT, url)
    }

    /// A `DELETE`.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub fn delete(&self, url: &str) -> Result<ClientRequest> {
        self.request(Method::DELETE, url)
    }

    /// How many requests are under way, those that wait for a connection among them.
    pub fn pending(&self) -> usize {
        self.0.calls.borrow().len()
    }

    /// How many connections there are, busy ones and idle ones.
    pub fn connections(&self) -> usize {
        self.0.pool.counts().0
    }

    /// How many connections are kept that no request uses.
    pub fn idle_connections(&self) -> usize {
        self.0.pool.counts().1
    }

    /// Closes the connections that no request uses.
    pub fn close_idle(&self) {
        self.0.close_idle();
    }

    /// The loop that it lives on.
    pub fn handle(&self) -> &LoopHandle {
        &self.0.handle
    }

    fn shared(&self) -> &Rc<Shared> {
        &self.0
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("pending", &self.pending())
            .field("connections", &self.connections())
            .field("idle", &self.idle_connections())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn enter(&self, call: &Rc<Call>) -> usize {
        self.calls.borrow_mut().insert(Rc::downgrade(call))
    }

    fn exit(&self, slot: usize) {
        self.calls.borrow_mut().try_remove(slot);
    }

    /// After a request is over and its callback has run.
    fn settle(self: &Rc<Self>) {
        self.serve();
        if self.calls.borrow().is_empty() {
            self.rest();
        }
    }

    /// Which connections a call may use.
    fn key(&self, call: &Call) -> Result<Key, ClientErrorKind> {
        let ask = call.ask.borrow();
        let origin = &ask.url.origin;
        let via = match (&call.settings.unix, &self.options.proxy) {
            (Some(path), _) => Via::Unix(path.clone()),
            (None, Some(proxy)) if proxy.is_for(&origin.host) => match origin.https {
                true => Via::Tunnel,
                false => Via::Forward,
            },
            _ => Via::Direct,
        };
        let secure_proxy = self
            .options
            .proxy
            .as_ref()
            .filter(|proxy| proxy.url.origin.https);
        let through_tls = secure_proxy.is_some() && matches!(via, Via::Forward | Via::Tunnel);
        if origin.https || through_tls {
            self.tls()
                .map_err(|error| ClientErrorKind::Invalid(error.to_string()))?;
        }
        let origin = match (&via, &self.options.proxy) {
            (Via::Forward, Some(proxy)) => proxy.url.origin.clone(),
            _ => origin.clone(),
        };
        Ok(Key { origin, via })
    }

    fn tls(&self) -> Result<&ClientTls> {
        if let Some(tls) = self.options.tls.as_ref().or(self.tls.get()) {
            return Ok(tls);
        }
        let tls = ClientTls::new()?;
        Ok(self.tls.get_or_init(|| tls))
    }

    fn proxy_credentials(&self, out: &mut Vec<u8>) {
        let proxy = self.options.proxy.as_ref();
        if let Some(credentials) = proxy.and_then(|proxy| proxy.url.credentials.as_ref()) {
            write::header_line(out, "Proxy-Authorization", credentials.as_bytes());
        }
    }

    #[cfg(feature = "cookies")]
    fn cookies_for(&self, url: &url::Url) -> Option<String> {
        let cookies = self.options.cookies.then(|| self.jar.borrow().get(url));
        cookies.flatten()
    }

    #[cfg(feature = "cookies")]
    fn take_cookies(&self, url: &url::Url, headers: &::http::HeaderMap) {
        if !self.options.cookies {
            return;
        }
        for cookie in headers.get_all(::http::header::SET_COOKIE) {
            if let Ok(cookie) = cookie.to_str() {
                self.jar.borrow_mut().set(url, cookie);
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let calls: Vec<_> = self.calls.get_mut().drain().collect();
        for call in calls {
            if let Some(call) = call.upgrade() {
                call.cancel();
            }
        }
        self.close_idle();
    }
}
