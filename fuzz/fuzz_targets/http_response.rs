//! Any bytes as the answer to a client's request, once in one piece and once in pieces: it has one
//! result, the same in both, which is an answer that can be read in one way or an error, and nothing
//! is left.
//!
//! The first byte of an input says how it is cut, and whether it answers a GET or a HEAD.

#![no_main]

use libevent2::http::{Answer, Client, Method, header};
use libevent2::{EventBase, Kind};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;

/// The most bytes of a body.
const BODY: u64 = 1000;

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

fuzz_target!(|data: &[u8]| {
    let Some((&how, bytes)) = data.split_first() else {
        return;
    };
    // More would fill the socket before anybody reads.
    let bytes = &bytes[..bytes.len().min(16 << 10)];
    let method = if how & 0x80 == 0 {
        Method::GET
    } else {
        Method::HEAD
    };
    WORLD.with_borrow_mut(|world| {
        let whole = world.play(bytes, bytes.len(), &method);
        let cut = world.play(bytes, usize::from(how & 0x7f) + 1, &method);
        assert_eq!(whole, cut, "cut otherwise, read otherwise");
    });
});

/// The client is the same for all inputs.
struct World {
    base: EventBase,
    client: Client,
    server: TcpListener,
    url: String,
}

impl World {
    fn new() -> Self {
        let base = EventBase::new().unwrap();
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        server.set_nonblocking(true).unwrap();
        World {
            client: Client::new(&base).unwrap(),
            base,
            url: format!("http://{}/", server.local_addr().unwrap()),
            server,
        }
    }

    /// The answer to a request, made of the bytes in pieces of a length, and of the end of the
    /// connection; an error is nothing.
    fn play(&mut self, bytes: &[u8], piece: usize, method: &Method) -> Option<String> {
        let result = Rc::new(RefCell::new(None));
        let slot = Rc::clone(&result);
        let request = self.client.request(method.clone(), &self.url).unwrap();
        let request = request.redirects(0).max_body(BODY);
        let pending = request.send(move |result| {
            let old = slot
                .borrow_mut()
                .replace(result.map(|answer| read(&answer)));
            assert!(old.is_none(), "a second result");
        });
        let mut stream = self.accept();
        for piece in bytes.chunks(piece.max(1)) {
            if stream.write_all(piece).is_err() {
                break;
            }
            self.base.run_nonblocking().unwrap();
        }
        drop(stream);
        let turns = (0..10_000).find(|_| {
            self.base.run_nonblocking().unwrap();
            result.borrow().is_some()
        });
        assert!(turns.is_some(), "no result");
        drop(pending);
        self.client.close_idle();
        self.base.run_nonblocking().unwrap();
        assert_eq!((self.client.pending(), self.client.connections()), (0, 0));
        assert_eq!(self.base.stats().live(Kind::BufferEvent), 0);
        let result = result.take().unwrap();
        result.ok().inspect(|text| {
            let bodiless = text.starts_with("204") || text.starts_with("304");
            assert!(
                !(bodiless || *method == Method::HEAD) || text.ends_with("[]"),
                "{text}"
            );
        })
    }

    /// The client's connection, with its request taken off.
    fn accept(&mut self) -> TcpStream {
        loop {
            self.base.run_nonblocking().unwrap();
            let Ok((mut stream, _)) = self.server.accept() else {
                continue;
            };
            stream.set_nonblocking(true).unwrap();
            stream.set_nodelay(true).unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\n") {
                self.base.run_nonblocking().unwrap();
                let mut chunk = [0; 4096];
                if let Ok(length) = stream.read(&mut chunk) {
                    seen.extend_from_slice(&chunk[..length]);
                }
            }
            return stream;
        }
    }
}

/// An answer, which must not be one that others read otherwise. Its body stands last.
fn read(answer: &Answer) -> String {
    let status = answer.status.as_u16();
    assert!((200..600).contains(&status), "{status}");
    assert!(answer.body.len() as u64 <= BODY);
    for (name, value) in answer.headers.iter().chain(&answer.trailers) {
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
    }
    let codings = answer.headers.get_all(header::TRANSFER_ENCODING);
    let lengths: Vec<_> = answer
        .headers
        .get_all(header::CONTENT_LENGTH)
        .iter()
        .collect();
    if !answer.body.is_empty() {
        assert!(codings.iter().count() + lengths.len() <= 1);
        if let [length] = lengths[..] {
            let length = length.to_str().unwrap();
            assert!(length.bytes().all(|byte| byte.is_ascii_digit()));
            assert_eq!(length.parse(), Ok(answer.body.len()));
        }
    }
    format!(
        "{status} {:?} {:?} {:?} {:?}",
        answer.version, answer.headers, answer.trailers, answer.body
    )
}
