//! The load: connections that send a message, wait for all of it to come back, compare, and send
//! the next one. A plain epoll loop, which polls and never sleeps: else the server would pay for
//! waking it, more often the faster the server is.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::{Duration, Instant};

/// A server that says nothing for so long has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// Messages begin at different places of the pattern, of so many.
const PLACES: usize = 4093;

pub struct Load {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    size: usize,
    pattern: Vec<u8>,
    buffer: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    /// Where in the pattern the message that is under way begins.
    place: usize,
    sent: usize,
    received: usize,
    /// Whether the epoll also waits for room to send.
    wants_room: bool,
}

impl Load {
    pub fn connect(port: u16, connections: usize, size: usize) -> Load {
        // SAFETY: it has no conditions.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        assert!(epoll >= 0, "epoll: {}", io::Error::last_os_error());
        let mut load = Load {
            // SAFETY: it is new, and nobody else's.
            epoll: unsafe { OwnedFd::from_raw_fd(epoll) },
            connections: Vec::new(),
            size,
            pattern: pattern(PLACES + size),
            buffer: vec![0; 64 * 1024],
        };
        for index in 0..connections {
            let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server accepts");
            stream.set_nodelay(true).expect("an option of TCP");
            stream.set_nonblocking(true).expect("a socket");
            load.connections.push(Connection {
                stream,
                place: index % PLACES,
                sent: 0,
                received: 0,
                wants_room: false,
            });
            load.watch(index, libc::EPOLL_CTL_ADD);
        }
        load
    }

    /// Exchanges messages on all connections until so much time has passed; one each at least.
    /// Returns how many and how long it took; nothing is under way any more then.
    pub fn run(&mut self, time: Duration) -> (u64, Duration) {
        let start = Instant::now();
        let mut done = 0;
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
                if event.events & libc::EPOLLOUT as u32 != 0 {
                    self.send(index);
                }
                if event.events & !(libc::EPOLLOUT as u32) == 0 || !self.receive(index) {
                    continue;
                }
                done += 1;
                if is_over {
                    under_way -= 1;
                } else {
                    self.send(index);
                }
            }
        }
        (done, start.elapsed())
    }

    fn send(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        let message = &self.pattern[connection.place..connection.place + self.size];
        match connection.stream.write(&message[connection.sent..]) {
            Ok(n) => connection.sent += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("sending to the server: {error}"),
        }
        let wants_room = connection.sent < self.size;
        if wants_room != connection.wants_room {
            connection.wants_room = wants_room;
            self.watch(index, libc::EPOLL_CTL_MOD);
        }
    }

    /// Whether the message is complete; the next one can then be sent.
    fn receive(&mut self, index: usize) -> bool {
        let connection = &mut self.connections[index];
        let n = match connection.stream.read(&mut self.buffer) {
            Ok(0) => panic!("the server closed a connection"),
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(error) => panic!("receiving from the server: {error}"),
        };
        let begin = connection.place + connection.received;
        let expected = &self.pattern[begin..connection.place + self.size];
        assert!(
            expected.starts_with(&self.buffer[..n]),
            "the server sent something else than it got"
        );
        connection.received += n;
        if connection.received < self.size {
            return false;
        }
        connection.place = (connection.place + 1) % PLACES;
        connection.sent = 0;
        connection.received = 0;
        true
    }

    fn watch(&self, index: usize, how: i32) {
        let connection = &self.connections[index];
        let room = if connection.wants_room {
            libc::EPOLLOUT
        } else {
            0
        };
        let mut event = libc::epoll_event {
            events: (libc::EPOLLIN | room) as u32,
            u64: index as u64,
        };
        let fd = connection.stream.as_raw_fd();
        // SAFETY: both descriptors are open, and the event is valid.
        let result = unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), how, fd, &mut event) };
        assert_eq!(result, 0, "epoll: {}", io::Error::last_os_error());
    }

    /// How many of `ready` are set; one at least.
    fn wait(&self, ready: &mut [libc::epoll_event]) -> usize {
        let (fd, room) = (self.epoll.as_raw_fd(), ready.len() as i32);
        let start = Instant::now();
        loop {
            // SAFETY: there is room for so many events.
            let count = unsafe { libc::epoll_wait(fd, ready.as_mut_ptr(), room, 0) };
            if count > 0 {
                return count as usize;
            }
            assert!(start.elapsed() < PATIENCE, "the server has stalled");
        }
    }
}

impl Drop for Load {
    /// Resets the connections, so that no port stays in use behind them.
    fn drop(&mut self) {
        let linger = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        for connection in &self.connections {
            // SAFETY: the socket is open, and the option is passed with its size.
            unsafe {
                libc::setsockopt(
                    connection.stream.as_raw_fd(),
                    libc::SOL_SOCKET,
                    libc::SO_LINGER,
                    ptr::from_ref(&linger).cast(),
                    size_of_val(&linger) as u32,
                )
            };
        }
    }
}

/// Bytes that do not repeat soon.
fn pattern(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(next).collect()
}
