//! An HTTP/1.1 server and a client on the event loop.
//!
//! [`Server`] listens and routes; a handler gets each [`Request`] as a value, with its headers and
//! body already read, and answers it with a [`Response`]: at once, or later from a timer, any other
//! callback or another thread ([`Responder`]). A request that is dropped unanswered is answered 500.
//! Bodies of any size come and go piece by piece ([`Incoming`], [`Outgoing`]).
//!
//! ```
//! use libevent2::EventBase;
//! use libevent2::http::{Response, Server, StatusCode};
//!
//! let mut base = EventBase::new()?;
//! let server = Server::bind(&base, "127.0.0.1:0")?;
//! server.route("/hello/{name}", |request| {
//!     let text = format!("Hello, {}!\n", request.param("name").unwrap_or("you"));
//!     request.reply(StatusCode::OK, text);
//! })?;
//! # let address = server.local_addrs()[0];
//! # let client = std::thread::spawn(move || {
//! #     use std::io::{Read, Write};
//! #     let mut stream = std::net::TcpStream::connect(address).unwrap();
//! #     stream.write_all(b"GET /hello/Ada HTTP/1.0\r\n\r\n").unwrap();
//! #     let mut answer = String::new();
//! #     stream.read_to_string(&mut answer).unwrap();
//! #     answer
//! # });
//! # server.route("/hello/{name}", |request| {
//! #     request.server().close();
//! #     let text = format!("Hello, {}!\n", request.param("name").unwrap_or("you"));
//! #     request.respond(Response::text(text));
//! # })?;
//! base.run()?;
//! # assert!(client.join().unwrap().ends_with("\r\n\r\nHello, Ada!\n"));
//! # Ok::<(), libevent2::Error>(())
//! ```
//!
//! What can be read in two ways is refused: several or unknown `Transfer-Encoding`s, one beside a
//! `Content-Length`, several or odd `Content-Length`s, a missing or doubled `Host`, header names
//! and values that are none, chunks that are none. Limits are on by default; see [`Limits`].
//!
//! Server and client stand on this crate's [`stream`](crate::stream)s, and so on libevent's
//! bufferevents, with a strict codec for HTTP/1 of their own. C's evhttp is in
//! [`evhttp`](crate::evhttp): it holds each body in memory, and can neither stream nor change the
//! protocol. HTTP/2 is left to what stands in front.

mod attachment;
mod byteranges;
mod client;
mod conditional;
mod connection;
mod content_error;
#[cfg(feature = "cookies")]
mod cookies;
mod cors;
mod etag;
mod event_stream;
mod exchange;
mod fields;
mod form;
mod forwarded;
mod guests;
mod host;
mod hosts;
mod incoming;
#[cfg(feature = "json")]
mod json;
mod limits;
mod listen;
#[cfg(feature = "multipart")]
pub mod multipart;
mod negotiation;
mod outgoing;
mod preface;
mod proxy_protocol;
#[cfg(test)]
mod random_input;
mod ranges;
mod request;
mod responder;
mod response;
mod routes;
mod send_error;
mod send_file;
mod server;
mod stats;
mod target;
mod watch;
#[cfg(feature = "websocket")]
pub mod websocket;
mod wire;

#[cfg(feature = "cookies")]
pub use ::cookie;
pub use client::{
    Answer, Client, ClientError, ClientErrorKind, ClientOptions, ClientRequest, ClientTls, Pending,
    Phase, PoolLimits, Proxy, Streaming, Timeouts, Upgraded, Upload,
};
pub use conditional::Validators;
pub use content_error::ContentError;
pub use cors::Cors;
pub use etag::ETag;
pub use event_stream::{EventStream, ServerSentEvent};
pub use exchange::Sent;
pub use form::Form;
pub use forwarded::TrustedProxies;
pub use hosts::Host;
pub use incoming::{BodyError, Incoming};
pub use limits::Limits;
pub use listen::Listen;
#[cfg(any(feature = "openssl", feature = "rustls"))]
pub use listen::TlsAcceptor;
pub use negotiation::Coding;
pub use outgoing::Outgoing;
pub use request::Request;
pub use responder::Responder;
pub use response::{Body, Response};
pub use routes::Route;
pub use send_error::SendError;
pub use send_file::SendFile;
pub use server::{Server, ServerRef};
pub use stats::ServerStats;

pub use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
