//! Echo on mio. Prints its port.

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};
use std::io::{self, ErrorKind, Read, Write};

const LISTENER: Token = Token(usize::MAX);

struct Connection {
    stream: TcpStream,
    /// What the peer had no room for; while there is some, nothing is read.
    rest: Vec<u8>,
}

fn main() -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut listener = TcpListener::bind("127.0.0.1:0".parse().expect("an address"))?;
    println!("{}", listener.local_addr()?.port());
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;

    let mut connections = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, poll.registry(), &mut connections)?;
                continue;
            }
            let slot: &mut Option<Connection> = &mut connections[event.token().0];
            if let Some(connection) = slot
                && !connection.echo(&mut buffer).unwrap_or(false)
            {
                *slot = None;
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    registry: &Registry,
    connections: &mut Vec<Option<Connection>>,
) -> io::Result<()> {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        stream.set_nodelay(true)?;
        let token = Token(connections.len());
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        connections.push(Some(Connection {
            stream,
            rest: Vec::new(),
        }));
    }
}

impl Connection {
    /// Goes on until the socket has no more to read or no more room, as an edge-triggered poll
    /// asks for; a read that does not fill the buffer has emptied the socket. `false` at the end.
    fn echo(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        if !self.rest.is_empty() {
            let sent = send(&mut self.stream, &self.rest)?;
            self.rest.drain(..sent);
            if !self.rest.is_empty() {
                return Ok(true);
            }
        }
        loop {
            let n = match self.stream.read(buffer) {
                Ok(0) => return Ok(false),
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            };
            let sent = send(&mut self.stream, &buffer[..n])?;
            self.rest.extend_from_slice(&buffer[sent..n]);
            if sent < n || n < buffer.len() {
                return Ok(true);
            }
        }
    }
}

/// How much of `bytes` the socket had room for; a short write means that there is no more.
fn send(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match stream.write(bytes) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        done => done,
    }
}
