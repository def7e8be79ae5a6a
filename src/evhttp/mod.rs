//! C's own HTTP server and client (evhttp), for programs that come from C or share one with it.
//!
//! A new program wants [`http`](crate::http): strict, faster, with bodies of any size, TLS and
//! WebSockets.
//!
//! A [`Server`] listens; a handler gets each [`Request`] as a value, with its headers and body
//! already read, and answers it at once or later. A request that is dropped unanswered is answered
//! 500.
//!
//! ```
//! use libevent2::EventBase;
//! use libevent2::evhttp::Server;
//!
//! let mut base = EventBase::new()?;
//! let server = Server::bind(&base, "127.0.0.1:0")?;
//! server.set_cb("/hello", |mut request| {
//!     let plain = "text/plain".parse().unwrap();
//!     request.output_headers().insert("Content-Type", plain);
//! #   request.server().close();
//!     request.reply(200, "OK", "Hello!\n")
//! })?;
//! server.set_gencb(|request| request.error(404, None));
//! # let address = server.local_addrs()[0];
//! # let client = std::thread::spawn(move || {
//! #     use std::io::{Read, Write};
//! #     let mut stream = std::net::TcpStream::connect(address).unwrap();
//! #     stream.write_all(b"GET /hello HTTP/1.0\r\n\r\n").unwrap();
//! #     let mut answer = String::new();
//! #     stream.read_to_string(&mut answer).unwrap();
//! #     answer
//! # });
//! base.run()?;
//! # assert!(client.join().unwrap().ends_with("\r\n\r\nHello!\n"));
//! # Ok::<(), libevent2::Error>(())
//! ```
//!
//! | C | Here |
//! |---|---|
//! | `evhttp_new`, `evhttp_bind_socket` | [`Server::new`], [`Server::bind`] |
//! | `evhttp_set_cb`, `evhttp_set_gencb` | [`set_cb`](ServerRef::set_cb), [`set_gencb`](ServerRef::set_gencb) |
//! | `evhttp_request_get_…` | the methods of [`Request`] |
//! | `evhttp_send_reply`, `evhttp_send_error` | [`Request::reply`], [`Request::error`] |
//! | `evhttp_send_reply_start`, `_chunk`, `_end` | [`Request::start`], [`Reply::chunk`], [`Reply::end`] |
//! | `evhttp_add_virtual_host`, `evhttp_add_server_alias` | [`add_virtual_host`](ServerRef::add_virtual_host), [`add_server_alias`](ServerRef::add_server_alias) |
//! | `evhttp_connection_base_new`, `evhttp_connection_free` | [`Connection::new`], [`Connection::by`]; drop, or [`close`](ConnectionRef::close) |
//! | `evhttp_make_request`, `evhttp_cancel_request` | [`ConnectionRef::send`] of a [`ClientRequest`], [`Pending`] |
//! | `evhttp_free` | drop, or [`close`](ServerRef::close) |
//! | `evhttp_uri_…` | [`Uri`] |
//! | `evhttp_uriencode`, `evhttp_uridecode`, `evhttp_parse_query`, `evhttp_htmlescape` | [`uriencode`], [`uridecode`], [`parse_query`], [`htmlescape`] |
//!
//! # What evhttp does and this does not
//!
//! - A request that could be read in two ways is answered 400, whatever libevent is linked: several
//!   or unknown `Transfer-Encoding`s, one beside a `Content-Length`, several or odd
//!   `Content-Length`s, a missing or doubled `Host`, header names and values that are none.
//! - The answer to HEAD has no body. Nothing that goes out can end a line that it stands in.
//! - There are limits from the beginning, and a listener pauses when descriptors are short.
//! - Nothing is read while a request waits for its answer.

#[cfg(unix)]
mod client;
mod escape;
mod query;
mod server;
mod uri;

#[cfg(unix)]
pub use client::{
    ClientError, ClientRequest, Connection, ConnectionFlags, ConnectionRef, Pending, Response,
    ResponseHead,
};
pub use escape::{decode_uri, encode_uri, htmlescape, uridecode, uriencode};
pub use query::{Query, parse_query, parse_query_str};
pub use server::{BoundSocket, Methods, Reply, Request, Sent, Server, ServerRef, ServerShare};
pub use uri::{Uri, UriFlags};

pub use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};
