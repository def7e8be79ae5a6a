//! The server's side of the handshake (RFC 6455 4.2).

use super::socket::Socket;
use super::{WebSocket, WebSocketOptions};
use crate::http::guests::Guest;
use crate::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::rc::{Rc, Weak};
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::Role;

/// The version that there is.
const VERSION: HeaderValue = HeaderValue::from_static("13");
pub(super) const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// Why a request is refused, and how.
struct Refusal(StatusCode, &'static str);

const fn bad(why: &'static str) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, why)
}

impl Request {
    /// Whether the client asks for a WebSocket, for a route that has something else for others.
    pub fn wants_websocket(&self) -> bool {
        has_token(self.headers(), &header::UPGRADE, "websocket")
    }

    /// Goes on as a WebSocket; see [`websocket`](crate::http::websocket).
    ///
    /// `None` when that cannot be: the client did not ask for one, or not as it has to, or comes
    /// from a page of another origin, or has gone. Then it was answered, with what is wrong. That
    /// is no error, which a handler would pass on and so give strangers a way to stop the loop.
    pub fn websocket(self, options: &WebSocketOptions) -> Option<WebSocket> {
        let accept = match check(&self, options) {
            Ok(accept) => accept,
            Err(refusal) => {
                self.respond(refusal.response());
                return None;
            }
        };
        let offered = tokens(self.headers(), &header::SEC_WEBSOCKET_PROTOCOL);
        let known = |name: &&str| options.protocols.iter().any(|known| known == name);
        let protocol = offered.into_iter().find(known).map(str::to_owned);
        let mut response = Response::new(StatusCode::SWITCHING_PROTOCOLS)
            .header(header::UPGRADE, WEBSOCKET)
            .header(header::SEC_WEBSOCKET_ACCEPT, accept);
        if let Some(name) = &protocol {
            // It came in a header, so it can go out in one.
            let name = HeaderValue::from_str(name).ok()?;
            response = response.header(header::SEC_WEBSOCKET_PROTOCOL, name);
        }
        let socket = Socket::new(self.handle(), Role::Server, options, protocol).ok()?;
        let connection = Rc::clone(self.connection());
        let stream = self.upgrade(response, socket.driver()).ok()?;
        socket.begin(stream);
        connection.set_guest(Rc::downgrade(&socket) as Weak<dyn Guest>);
        Some(WebSocket::new(socket))
    }
}

impl Refusal {
    fn response(self) -> Response {
        let Refusal(status, why) = self;
        let response = Response::text(format!("{why}\n")).status(status);
        match status {
            StatusCode::UPGRADE_REQUIRED => response
                .header(header::UPGRADE, WEBSOCKET)
                .header(header::CONNECTION, HeaderValue::from_static("upgrade"))
                .header(header::SEC_WEBSOCKET_VERSION, VERSION),
            _ => response,
        }
    }
}

/// The answer to the client's key, if all is as it has to be.
fn check(request: &Request, options: &WebSocketOptions) -> Result<HeaderValue, Refusal> {
    let headers = request.headers();
    if !request.wants_websocket() {
        let why = "There is nothing but a WebSocket here.";
        return Err(Refusal(StatusCode::UPGRADE_REQUIRED, why));
    }
    if request.method() != Method::GET {
        return Err(bad("A WebSocket is asked for by GET."));
    }
    if request.version() != Version::HTTP_11 {
        return Err(bad("A WebSocket needs HTTP/1.1."));
    }
    if !has_token(headers, &header::CONNECTION, "upgrade") {
        return Err(bad("There is no Connection: upgrade."));
    }
    if only(headers, &header::SEC_WEBSOCKET_VERSION) != Some(b"13") {
        let why = "The version of the protocol has to be 13.";
        return Err(Refusal(StatusCode::UPGRADE_REQUIRED, why));
    }
    let key = only(headers, &header::SEC_WEBSOCKET_KEY);
    let key = key.filter(|key| STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16));
    let Some(key) = key else {
        return Err(bad("The key has to be 16 bytes in base64."));
    };
    if !request.body().is_empty() || request.incoming().is_some() || request.is_client_gone() {
        return Err(bad("The handshake of a WebSocket has no body."));
    }
    if !options.lets_in(request) {
        let why = "Pages of this origin may not open a WebSocket here.";
        return Err(Refusal(StatusCode::FORBIDDEN, why));
    }
    HeaderValue::from_str(&derive_accept_key(key)).map_err(|_| bad("The key is none."))
}

/// The value of a header that is there once.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.as_bytes())
}

/// The entries of a list; those that are not ASCII are none.
pub(super) fn tokens<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Vec<&'a str> {
    let values = headers.get_all(name).into_iter();
    let values = values.filter_map(|value| value.to_str().ok());
    let tokens = values.flat_map(|value| value.split(',')).map(str::trim);
    tokens.filter(|token| !token.is_empty()).collect()
}

pub(super) fn has_token(headers: &HeaderMap, name: &header::HeaderName, wanted: &str) -> bool {
    let tokens = tokens(headers, name);
    tokens
        .iter()
        .any(|token| token.eq_ignore_ascii_case(wanted))
}
