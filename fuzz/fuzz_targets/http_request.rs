//! Any bytes to an HTTP server, once in one piece and once in pieces: it reads the same requests in
//! both, hands on only what can be read in one way, and answers each of them once and in order.
//!
//! The first byte of an input says how it is cut.

#![no_main]

use libevent2::http::{
    HeaderMap, HeaderValue, Limits, Request, Response, Server, StatusCode, Version,
};
use libevent2::{EventBase, Kind};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::rc::Rc;

/// The most bytes of a body.
const BODY: u64 = 1000;

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

fuzz_target!(|data: &[u8]| {
    let Some((&cut, bytes)) = data.split_first() else {
        return;
    };
    // More would fill the socket before anybody reads.
    let bytes = &bytes[..bytes.len().min(16 << 10)];
    WORLD.with_borrow_mut(|world| {
        let whole = world.play(bytes, bytes.len());
        let cut = world.play(bytes, usize::from(cut) + 1);
        assert_eq!(whole, cut, "cut otherwise, read otherwise");
    });
});

/// The server is the same for all inputs.
struct World {
    base: EventBase,
    _server: Server,
    addr: SocketAddr,
    handled: Rc<RefCell<Vec<String>>>,
}

/// What the handler was given, and the statuses that came back.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    handled: Vec<String>,
    statuses: Vec<u16>,
}

impl World {
    fn new() -> Self {
        let base = EventBase::new().unwrap();
        let server = Server::bind(&base, "127.0.0.1:0").unwrap();
        server.set_limits(Limits::new().header_bytes(8 << 10).body_bytes(BODY));
        let handled: Rc<RefCell<Vec<String>>> = Rc::default();
        let seen = Rc::clone(&handled);
        server.fallback(move |request: Request| {
            let (text, number) = (read(&request), seen.borrow().len());
            seen.borrow_mut().push(text);
            let number = HeaderValue::from(number);
            let length = request.query().map_or(0, str::len);
            let body = vec![b'\n'; length];
            request.respond(
                Response::new(StatusCode::OK)
                    .header("x-number", number)
                    .body(body),
            );
        });
        World {
            addr: server.local_addrs()[0],
            base,
            _server: server,
            handled,
        }
    }

    /// Sends the bytes in pieces of a length, and the end behind them.
    fn play(&mut self, bytes: &[u8], piece: usize) -> Outcome {
        let mut client = TcpStream::connect(self.addr).unwrap();
        client.set_nodelay(true).unwrap();
        client.set_nonblocking(true).unwrap();
        let mut answers = Vec::new();
        let mut open = true;
        for piece in bytes.chunks(piece.max(1)) {
            open = open && client.write_all(piece).is_ok();
            self.turn(&mut client, &mut answers);
        }
        let _ = client.shutdown(Shutdown::Write);
        let turns = (0..10_000).find(|_| self.turn(&mut client, &mut answers));
        assert!(
            turns.is_some(),
            "the server keeps a connection that has ended"
        );
        let handled = self.handled.take();
        let statuses = statuses(&answers, &handled);
        self.base.run_nonblocking().unwrap();
        assert_eq!(self.base.stats().live(Kind::HttpRequest), 0);
        Outcome { handled, statuses }
    }

    /// Lets the server go on, and reads; whether it has closed.
    fn turn(&mut self, client: &mut TcpStream, answers: &mut Vec<u8>) -> bool {
        self.base.run_nonblocking().unwrap();
        loop {
            let mut chunk = [0; 16 << 10];
            match client.read(&mut chunk) {
                Ok(0) => return true,
                Ok(length) => answers.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(_) => return true,
            }
        }
    }
}

/// A request as the handler sees it, which must not be one that others read otherwise.
fn read(request: &Request) -> String {
    let method = request.method().as_str();
    assert!(method.bytes().all(|byte| byte.is_ascii_graphic()));
    let path = request.path();
    assert!(path == "*" || path.starts_with('/'), "{path:?}");
    let query = request.query().unwrap_or("");
    let mut target = path.bytes().chain(query.bytes());
    assert!(
        target.all(|byte| byte.is_ascii_graphic() && byte != b'#'),
        "{path:?}"
    );
    assert!(request.body().len() as u64 <= BODY);
    let headers = request.headers();
    let all = |name: &str| headers.get_all(name).iter().collect::<Vec<_>>();
    assert!(all("host").len() <= 1);
    assert!(!all("host").is_empty() || request.version() == Version::HTTP_10);
    let (lengths, codings) = (all("content-length"), all("transfer-encoding"));
    assert!(lengths.len() + codings.len() <= 1);
    if let [length] = lengths[..] {
        let length = length.to_str().unwrap();
        assert!(length.bytes().all(|byte| byte.is_ascii_digit()));
        assert_eq!(length.parse(), Ok(request.body().len()));
    }
    if let [coding] = codings[..] {
        assert!(coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
        assert_eq!(request.version(), Version::HTTP_11);
    }
    assert!(request.body().is_empty() || lengths.len() + codings.len() == 1);
    check_values(headers);
    format!(
        "{method} {path} {:?} {headers:?} {:?}",
        request.query(),
        request.body()
    )
}

fn check_values(headers: &HeaderMap) {
    for (name, value) in headers {
        assert!(
            name.as_str()
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b':')
        );
        let value = value.as_bytes();
        assert!(
            !value
                .iter()
                .any(|byte| byte.is_ascii_control() && *byte != b'\t')
        );
        assert_eq!(value, value.trim_ascii());
    }
}

/// The statuses of all answers, each of them whole: those of the handler in order, then perhaps a
/// refusal, then nothing.
fn statuses(mut bytes: &[u8], handled: &[String]) -> Vec<u16> {
    let mut statuses = Vec::new();
    let mut served = 0;
    while let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
        let head = str::from_utf8(&bytes[..end]).unwrap();
        assert!(head.starts_with("HTTP/1.1 "), "{head}");
        let status: u16 = head[9..12].parse().unwrap();
        let field = |name: &str| {
            let mut lines = head.split("\r\n");
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let number = field("X-Number").map(|number| number.parse::<usize>().unwrap());
        let is_head = number.is_some_and(|number| handled[number].starts_with("HEAD "));
        let length = match field("Content-Length") {
            Some(length) if !is_head => length.parse().unwrap(),
            _ => 0,
        };
        // A refusal may be one of a HEAD, and without the body that it tells of.
        let body = &bytes[end + 4..];
        bytes = match number {
            None if body.is_empty() => body,
            _ => &body[length..],
        };
        if status == 100 {
            // Sent or not, as more has come already or not.
            continue;
        }
        match number {
            Some(number) => {
                assert_eq!((number, status), (served, 200));
                served += 1;
            }
            None => {
                assert!((400..506).contains(&status), "{status}");
                assert!(bytes.is_empty(), "something behind a refusal");
                assert_eq!(field("Connection"), Some("close"));
            }
        }
        statuses.push(status);
    }
    assert!(bytes.is_empty(), "half an answer");
    assert_eq!(served, handled.len(), "handled and not answered");
    statuses
}
