//! The other end of a WebSocket, which says just the bytes that a test wants said.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod server;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub const TEXT: u8 = 0x81;
pub const BINARY: u8 = 0x82;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8a;

/// The key of RFC 6455 1.3, and the answer to it.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A handshake; `more` is for further headers.
pub fn handshake(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{more}\r\n"
    )
}

/// The head of a frame, its length in as few bytes as can be.
pub fn head(first: u8, length: usize, mask: bool) -> Vec<u8> {
    let bit = if mask { 0x80 } else { 0 };
    let mut head = vec![first];
    match length {
        0..=125 => head.push(bit | length as u8),
        126..=0xffff => {
            head.push(bit | 126);
            head.extend((length as u16).to_be_bytes());
        }
        _ => {
            head.push(bit | 127);
            head.extend((length as u64).to_be_bytes());
        }
    }
    head
}

pub fn with_mask(mut head: Vec<u8>, payload: &[u8]) -> Vec<u8> {
    head.extend(MASK);
    let masked = payload.iter().zip(MASK.iter().cycle());
    head.extend(masked.map(|(byte, mask)| byte ^ mask));
    head
}

/// A frame of a client.
pub fn masked(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    with_mask(head(first, payload.len(), true), payload)
}

/// A frame of a server.
pub fn plain(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    [head(first, payload.len(), false), payload.to_vec()].concat()
}

/// The payload of a Close.
pub fn closing(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason.as_bytes()].concat()
}

pub struct Raw {
    stream: TcpStream,
    seen: Vec<u8>,
}

impl Raw {
    pub fn of(stream: TcpStream) -> Self {
        let limit = Some(Duration::from_secs(30));
        stream.set_read_timeout(limit).unwrap();
        stream.set_write_timeout(limit).unwrap();
        stream.set_nodelay(true).unwrap();
        let seen = Vec::new();
        Raw { stream, seen }
    }

    pub fn connect(addr: SocketAddr) -> Self {
        Raw::of(TcpStream::connect(addr).unwrap())
    }

    /// A client whose handshake was accepted.
    pub fn open(addr: SocketAddr, path: &str) -> Self {
        let mut raw = Raw::connect(addr);
        raw.send(handshake(path, ""));
        let answer = raw.read_head();
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        assert!(answer.contains(ACCEPT), "{answer}");
        raw
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends as much as is taken.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    pub fn text(&mut self, text: &str) {
        self.send(masked(TEXT, text));
    }

    fn more(&mut self) -> bool {
        let mut chunk = [0; 65536];
        match self.stream.read(&mut chunk) {
            Ok(count) => {
                self.seen.extend_from_slice(&chunk[..count]);
                count > 0
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// A head of HTTP, with its empty line.
    pub fn read_head(&mut self) -> String {
        loop {
            let end = self.seen.windows(4).position(|end| end == b"\r\n\r\n");
            if let Some(end) = end {
                let head = self.seen.drain(..end + 4).collect();
                return String::from_utf8(head).unwrap();
            }
            assert!(self.more(), "half a head: {:?}", self.seen);
        }
    }

    /// The first byte and the payload of the next frame; None at the end.
    pub fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        while self.seen.len() < 2 {
            if !self.more() {
                assert!(self.seen.is_empty(), "half a frame");
                return None;
            }
        }
        let is_masked = self.seen[1] & 0x80 != 0;
        let extra = match self.seen[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = 2 + extra;
        let begin = mask + if is_masked { 4 } else { 0 };
        self.wait_for(begin);
        let length = match extra {
            0 => usize::from(self.seen[1] & 0x7f),
            _ => self.seen[2..mask]
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte)),
        };
        self.wait_for(begin + length);
        let mut payload = self.seen[begin..begin + length].to_vec();
        if is_masked {
            let mask = &self.seen[mask..begin];
            for (at, byte) in payload.iter_mut().enumerate() {
                *byte ^= mask[at % 4];
            }
        }
        let first = self.seen[0];
        self.seen.drain(..begin + length);
        Some((first, payload))
    }

    fn wait_for(&mut self, count: usize) {
        while self.seen.len() < count {
            assert!(self.more(), "the end in the middle of a frame");
        }
    }

    /// A text that has to come next.
    pub fn read_text(&mut self) -> String {
        let (first, payload) = self.frame().expect("a text");
        assert_eq!(first, TEXT);
        String::from_utf8(payload).unwrap()
    }

    /// The code and the reason of a Close that has to come next. 1005 for one without.
    pub fn read_close(&mut self) -> (u16, String) {
        let (first, payload) = self.frame().expect("a close");
        assert_eq!(first, CLOSE, "{payload:?}");
        match payload.split_first_chunk() {
            Some((&code, reason)) => {
                let reason = String::from_utf8(reason.to_vec()).unwrap();
                (u16::from_be_bytes(code), reason)
            }
            None => (1005, String::new()),
        }
    }

    /// Whether the other end has closed the connection.
    pub fn is_closed(&mut self) -> bool {
        self.seen.is_empty() && !self.more()
    }

    /// The end as it should be, begun here.
    pub fn goodbye(mut self) {
        self.send(masked(CLOSE, closing(1000, "")));
        assert_eq!(self.read_close().0, 1000);
        assert!(self.is_closed());
    }
}
