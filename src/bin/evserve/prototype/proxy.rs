//! Paths that another server answers.

use crate::args::Proxied;
use crate::page;
use crate::prototype::dress::Dress;
use crate::prototype::tunnel;
use libevent2::LoopHandle;
use libevent2::http::{
    Client, ClientError, ClientErrorKind, ClientOptions, ClientRequest, HeaderMap, HeaderName,
    HeaderValue, Incoming, Outgoing, Pending, Request, Response, StatusCode, Streaming, Upload,
    header,
};
use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::Duration;

/// How much waits in memory on its way, in each direction.
const WAITING: usize = 256 << 10;

/// What one hop says to the next, and is not passed on.
const HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The other servers, and the connections to them.
pub struct Proxies {
    client: Client,
    /// The longest path first.
    all: Vec<Proxied>,
    dress: Rc<Dress>,
    /// The password is this server's own, and nobody else's business.
    keeps_password: bool,
}

/// A request that another server is asked, as long as somebody waits for the answer.
type Asked = Rc<RefCell<Option<Pending>>>;

impl Proxies {
    /// # Errors
    /// In words, when the base is gone.
    pub fn new(
        base: &LoopHandle,
        mut all: Vec<Proxied>,
        dress: Rc<Dress>,
        keeps_password: bool,
    ) -> Result<Self, String> {
        let mut options = ClientOptions::default();
        options.headers = HeaderMap::new();
        options.redirects = 0;
        // An answer may take its time, and a stream of events may be silent.
        options.timeouts.answer = Some(Duration::from_secs(300));
        options.timeouts.body = None;
        all.sort_by_key(|proxied| std::cmp::Reverse(proxied.path.len()));
        let client = Client::with(base, options).map_err(|error| error.to_string())?;
        Ok(Proxies {
            client,
            all,
            dress,
            keeps_password,
        })
    }

    /// Where the other server has what is asked for, if it is another one's.
    pub fn target(&self, request: &Request) -> Option<String> {
        let target = self
            .all
            .iter()
            .find_map(|proxied| proxied.target(request.path()))?;
        Some(match request.query() {
            Some(query) => format!("{target}?{query}"),
            None => target,
        })
    }

    /// Asks the other server, and passes its answer on.
    pub fn pass(&self, request: Request, target: &str) {
        let asking = match self.client.request(request.method().clone(), target) {
            Ok(asking) => asking,
            Err(error) => return self.refuse(request, &error.to_string(), StatusCode::BAD_REQUEST),
        };
        let mut headers = headers(&request);
        if self.keeps_password {
            headers.remove(header::AUTHORIZATION);
        }
        let asking = asking.headers(&headers);
        let asked = Asked::default();
        // Nobody waits for the answer any more.
        let of_gone = Rc::clone(&asked);
        request.on_disconnect(move || drop(of_gone.take()));
        if let Some(protocol) = wanted_protocol(&request) {
            return self.pass_through(request, asking, &protocol, &asked);
        }
        let asking = with_body(asking, &request, &asked);
        let dress = Rc::clone(&self.dress);
        let of_answer = Rc::clone(&asked);
        let pending = asking.open(move |answer| match answer {
            Ok(answer) => pass_back(request, answer, &dress, &of_answer),
            Err(error) => {
                let mut response = failed(&error);
                dress.put_on(response.headers_mut());
                request.respond(response);
            }
        });
        asked.replace(Some(pending));
    }

    fn refuse(&self, request: Request, why: &str, status: StatusCode) {
        let mut response = Response::text(format!("{why}\n")).status(status);
        self.dress.put_on(response.headers_mut());
        request.respond(response);
    }

    /// Ties both ends together, if the other server changes the protocol too.
    fn pass_through(&self, request: Request, asking: ClientRequest, protocol: &str, asked: &Asked) {
        let dress = Rc::clone(&self.dress);
        let pending = asking.upgrade(protocol, move |upgraded| match upgraded {
            Ok(upgraded) => {
                let mut response = Response::new(StatusCode::SWITCHING_PROTOCOLS);
                *response.headers_mut() = end_to_end(&upgraded.headers);
                if let Some(protocol) = upgraded.headers.get(header::UPGRADE) {
                    response = response.header(header::UPGRADE, protocol.clone());
                }
                // It fails for a client that has gone.
                let _ = tunnel::tie(request, response, upgraded);
            }
            Err(error) => {
                let mut response = failed(&error);
                dress.put_on(response.headers_mut());
                request.respond(response);
            }
        });
        asked.replace(Some(pending));
    }
}

/// What the client wants to change to (`Upgrade`), if anything.
fn wanted_protocol(request: &Request) -> Option<String> {
    let protocol = request.headers().get(header::UPGRADE)?.to_str().ok()?;
    // HTTP/2 is none that we could pass on.
    (!protocol.to_ascii_lowercase().starts_with("h2")).then(|| protocol.to_owned())
}

/// Those of the request, and where it is from.
fn headers(request: &Request) -> HeaderMap {
    let mut headers = end_to_end(request.headers());
    for ours in [header::CONTENT_LENGTH, header::EXPECT] {
        headers.remove(ours);
    }
    let forwarded = HeaderName::from_static("x-forwarded-host");
    if let Some(host) = headers.remove(header::HOST) {
        headers.insert(forwarded, host);
    }
    let scheme = HeaderValue::from_static(request.scheme());
    headers.insert(HeaderName::from_static("x-forwarded-proto"), scheme);
    if let Some(peer) = request.peer() {
        let name = HeaderName::from_static("x-forwarded-for");
        let before = headers.get(&name).and_then(|value| value.to_str().ok());
        let all = match before {
            Some(before) => format!("{before}, {}", peer.ip()),
            None => peer.ip().to_string(),
        };
        if let Ok(all) = HeaderValue::try_from(all) {
            headers.insert(name, all);
        }
    }
    headers
}

/// Without those that are for one hop only.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let named = headers.get_all(header::CONNECTION).iter();
    let named: Vec<String> = named
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let mut passed = headers.clone();
    for name in HOP {
        passed.remove(name);
    }
    for name in named {
        passed.remove(name.as_str());
    }
    passed
}

/// Passes the body on as it comes, no faster than the other server takes it.
fn with_body(asking: ClientRequest, request: &Request, asked: &Asked) -> ClientRequest {
    let Some(incoming) = request.incoming() else {
        return asking;
    };
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let asked = Rc::clone(asked);
    asking.upload(length, move |upload: Upload| {
        let resumed = incoming.clone();
        upload.on_drain(move |_| resumed.resume());
        let upload = Rc::new(upload);
        let ending = Rc::clone(&upload);
        incoming.on_end(move |end| match end {
            // It fails for a request that is over.
            Ok(_) => drop(ending.finish()),
            Err(_) => drop(asked.take()),
        });
        let paused = incoming.clone();
        incoming.on_data(move |bytes| {
            let _ = upload.send(bytes);
            if upload.pending() > WAITING {
                paused.pause();
            }
        });
    })
}

/// Passes the answer back as it comes, no faster than the client takes it.
fn pass_back(request: Request, answer: Streaming, dress: &Dress, asked: &Asked) {
    let mut response = Response::new(answer.status);
    *response.headers_mut() = end_to_end(&answer.headers);
    dress.put_on(response.headers_mut());
    let out = request.start(response);
    let incoming: Incoming = answer.incoming();
    let resumed = incoming.clone();
    out.on_drain(move |_: &Outgoing| resumed.resume());
    let ending = out.clone();
    incoming.on_end(move |end| match end {
        Ok(Some(trailers)) => ending.finish_with(&trailers),
        Ok(None) => ending.finish(),
        // Half an answer must not look like a whole one.
        Err(_) => ending.abort(),
    });
    let (asked, paused) = (Rc::clone(asked), incoming.clone());
    incoming.on_data(move |bytes| {
        if out.send(bytes).is_err() {
            drop(asked.take());
        } else if out.pending() > WAITING {
            paused.pause();
        }
    });
}

/// What the client gets when the other server does not answer.
fn failed(error: &ClientError) -> Response {
    let _ = writeln!(io::stderr(), "evserve: --proxy: {error}");
    match error.kind() {
        ClientErrorKind::TimedOut(_) => page::of(StatusCode::GATEWAY_TIMEOUT),
        // It has answered, but does not change.
        ClientErrorKind::NotUpgraded(status) => page::of(*status),
        // Not the error itself: it has the other server's address.
        _ => page::because(
            StatusCode::BAD_GATEWAY,
            "The server of --proxy does not answer; evserve's standard error says why.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_one_hop_is_not_passed_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Mine"),
            ("x-mine", "1"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("accept", "a/b"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let passed = end_to_end(&headers);
        assert_eq!(passed.len(), 1);
        assert_eq!(passed["accept"], "a/b");
    }
}
