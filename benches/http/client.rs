//! The client's end of a connection: connecting, and the head of an answer.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};
use std::{ptr, thread};

/// A server that says nothing for so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What every answer begins with.
pub const STATUS: &[u8] = b"HTTP/1.1 200";

/// A server that has told its port may be about to listen.
pub fn connect(port: u16) -> TcpStream {
    let start = Instant::now();
    let stream = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                assert!(start.elapsed() < PATIENCE, "the server does not listen");
                thread::sleep(Duration::from_millis(1));
            }
            stream => break stream.expect("the server accepts"),
        }
    };
    stream.set_nodelay(true).expect("an option of TCP");
    stream
}

pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// The beginning of an answer.
pub struct Head {
    pub bytes: usize,
    pub body_bytes: u64,
    /// What of the body has come with it.
    pub body: Vec<u8>,
}

impl Head {
    pub fn read(stream: &mut TcpStream) -> Head {
        let mut text = Vec::new();
        let mut piece = [0; 4096];
        let end = loop {
            let end = text.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                break end + 4;
            }
            let n = stream.read(&mut piece).expect("the server answers");
            assert!(n > 0, "the server closed a connection");
            text.extend_from_slice(&piece[..n]);
        };
        let body = text.split_off(end);
        assert!(
            text.starts_with(STATUS),
            "{}",
            String::from_utf8_lossy(&text)
        );
        let lines = String::from_utf8_lossy(&text).to_ascii_lowercase();
        let length = lines
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .and_then(|length| length.trim().parse().ok());
        Head {
            bytes: end,
            body_bytes: length.expect("a length"),
            body,
        }
    }
}

/// It will be reset when it is closed, so that its port does not stay in use.
pub fn reset_at_end(stream: &TcpStream) {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // SAFETY: the socket is open, and the option is passed with its size.
    unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            ptr::from_ref(&linger).cast(),
            size_of_val(&linger) as u32,
        )
    };
}
