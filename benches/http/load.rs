//! The load: connections that send a request, or several at once, wait for all that is answered, and
//! send the next. A plain epoll loop.

use super::client::{Head, PATIENCE, STATUS, connect, get, reset_at_end};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

pub struct Load {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// What is sent at once.
    requests: Vec<u8>,
    depth: usize,
    polls: bool,
    /// Of one answer: all are as long.
    answer: usize,
    buffer: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    received: usize,
    asked: Instant,
}

/// What a run has shown.
pub struct Ran {
    pub answers: usize,
    pub elapsed: Duration,
    /// From sending to the end of the last answer, in µs, of each batch of requests.
    pub waits: Vec<f64>,
}

impl Load {
    /// Sends `depth` requests for `path` at once on each of so many connections.
    pub fn connect(port: u16, path: &str, connections: usize, depth: usize) -> Load {
        // SAFETY: it has no conditions.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        assert!(epoll >= 0, "epoll: {}", io::Error::last_os_error());
        let mut load = Load {
            // SAFETY: it is new, and nobody else's.
            epoll: unsafe { OwnedFd::from_raw_fd(epoll) },
            connections: Vec::new(),
            requests: get(path).repeat(depth).into_bytes(),
            depth,
            polls: false,
            answer: answer_length(port, path),
            buffer: vec![0; 256 * 1024],
        };
        for index in 0..connections {
            let stream = connect(port);
            stream.set_nonblocking(true).expect("a socket");
            load.watch(&stream, index);
            load.connections.push(Connection {
                stream,
                received: 0,
                asked: Instant::now(),
            });
        }
        load
    }

    /// Polls from now on instead of sleeping: else the server pays for waking it, more often the
    /// faster the server is.
    pub fn polling(mut self) -> Load {
        self.polls = true;
        self
    }

    /// Asks on all connections until so much time has passed; once on each at least. Nothing is
    /// under way any more then.
    pub fn run(&mut self, time: Duration) -> Ran {
        let start = Instant::now();
        let mut waits = Vec::new();
        let mut under_way = self.connections.len();
        let mut ready = [libc::epoll_event { events: 0, u64: 0 }; 256];
        for index in 0..self.connections.len() {
            self.send(index);
        }
        while under_way > 0 {
            let count = self.wait(&mut ready);
            let is_over = start.elapsed() >= time;
            for event in &ready[..count] {
                let index = event.u64 as usize;
                let Some(wait) = self.receive(index) else {
                    continue;
                };
                waits.push(wait.as_secs_f64() * 1e6);
                if is_over {
                    under_way -= 1;
                } else {
                    self.send(index);
                }
            }
        }
        Ran {
            answers: waits.len() * self.depth,
            elapsed: start.elapsed(),
            waits,
        }
    }

    /// There is always room for a few requests.
    fn send(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        connection.asked = Instant::now();
        connection.received = 0;
        let sent = connection.stream.write(&self.requests);
        assert_eq!(sent.expect("the server reads"), self.requests.len());
    }

    /// How long the answers took, when they are complete.
    fn receive(&mut self, index: usize) -> Option<Duration> {
        let connection = &mut self.connections[index];
        let n = match connection.stream.read(&mut self.buffer) {
            Ok(0) => panic!("the server closed a connection"),
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) => panic!("receiving from the server: {error}"),
        };
        // Each answer has to begin where the one before it ends.
        let mut begin = connection.received.next_multiple_of(self.answer) - connection.received;
        while begin < n {
            let status = &self.buffer[begin..n.min(begin + STATUS.len())];
            assert!(STATUS.starts_with(status), "the server sent something else");
            begin += self.answer;
        }
        connection.received += n;
        let expected = self.depth * self.answer;
        assert!(connection.received <= expected, "the server sent too much");
        (connection.received == expected).then(|| connection.asked.elapsed())
    }

    fn watch(&self, stream: &TcpStream, index: usize) {
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: index as u64,
        };
        let (epoll, fd) = (self.epoll.as_raw_fd(), stream.as_raw_fd());
        // SAFETY: both descriptors are open, and the event is valid.
        let result = unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &mut event) };
        assert_eq!(result, 0, "epoll: {}", io::Error::last_os_error());
    }

    /// How many of `ready` are set; one at least.
    fn wait(&self, ready: &mut [libc::epoll_event]) -> usize {
        let (fd, room) = (self.epoll.as_raw_fd(), ready.len() as i32);
        let start = Instant::now();
        let most = if self.polls { 0 } else { 1000 };
        loop {
            // SAFETY: there is room for so many events.
            let count = unsafe { libc::epoll_wait(fd, ready.as_mut_ptr(), room, most) };
            if count > 0 {
                return count as usize;
            }
            assert!(start.elapsed() < PATIENCE, "the server has stalled");
        }
    }
}

/// The bytes of an answer, head and body, asked once.
fn answer_length(port: u16, path: &str) -> usize {
    let mut stream = connect(port);
    reset_at_end(&stream);
    stream
        .write_all(get(path).as_bytes())
        .expect("the server reads");
    let head = Head::read(&mut stream);
    let mut rest = vec![0; head.body_bytes as usize - head.body.len()];
    stream.read_exact(&mut rest).expect("the server answers");
    head.bytes + head.body_bytes as usize
}

impl Drop for Load {
    fn drop(&mut self) {
        for connection in &self.connections {
            reset_at_end(&connection.stream);
        }
    }
}
