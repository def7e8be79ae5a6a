//! Everything that can be done to client's connections, in random order: each closure is dropped
//! once, and each response told at most once.
#![cfg(all(unix, feature = "http"))]

mod common;
mod evhttp_client_common;

use common::{Bump, Count, DropCount, bounded, count};
use evhttp_client_common::{Server, refused};
use libevent2::evhttp::{ClientRequest, Connection, Pending};
use libevent2::{EventBase, LoopHandle};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// Numbers that look random, and are the same for the same seed.
#[derive(Clone)]
struct Dice(Rc<Cell<u64>>);

impl Dice {
    fn below(&self, limit: u64) -> u64 {
        let mut state = self.0.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.0.set(state);
        state % limit
    }
}

#[derive(Clone)]
struct World {
    base: LoopHandle,
    dice: Dice,
    ports: Rc<Vec<u16>>,
    connections: Rc<RefCell<Vec<Connection>>>,
    pending: Rc<RefCell<Vec<Pending>>>,
    made: Count,
    dropped: Count,
    /// How often each request was told its end.
    told: Rc<RefCell<Vec<u32>>>,
    left: Rc<Cell<u32>>,
}

impl World {
    fn captured(&self) -> DropCount {
        self.made.bump();
        DropCount(self.dropped.clone())
    }

    fn request(&self) -> ClientRequest {
        let path = ["/ok", "/chunked", "/close", "/silent", "/bad", "/end"];
        let path = path[self.dice.below(path.len() as u64) as usize];
        let mut request = match self.dice.below(4) {
            0 => ClientRequest::post(path, "a body".repeat(1000)),
            1 => ClientRequest::post(path, "a body").header("Expect", "100-continue"),
            _ => ClientRequest::get(path),
        };
        if self.dice.below(3) == 0 {
            let (world, held) = (self.clone(), self.captured());
            request = request.on_header(move |_| {
                let _ = &held;
                world.act();
                world.dice.below(8) > 0
            });
        }
        if self.dice.below(3) == 0 {
            let (world, held) = (self.clone(), self.captured());
            request = request.on_chunk(move |_| {
                let _ = &held;
                world.act();
            });
        }
        let number = self.told.borrow().len();
        self.told.borrow_mut().push(0);
        let (world, held) = (self.clone(), self.captured());
        request.on_done(move |connection, response| {
            let _ = &held;
            let told = world.told.borrow_mut()[number] + 1;
            world.told.borrow_mut()[number] = told;
            assert_eq!(told, 1);
            if let Ok(response) = response {
                assert!(response.status().is_success());
            }
            if world.dice.below(6) == 0 {
                connection.close();
            }
            world.act();
        })
    }

    /// One thing or none.
    fn act(&self) {
        if self.left.get() == 0 {
            return;
        }
        self.left.set(self.left.get() - 1);
        let one = |length: usize| self.dice.below(length.max(1) as u64) as usize;
        match self.dice.below(12) {
            0 | 1 => {
                let port = self.ports[one(self.ports.len())];
                let connection = Connection::new(&self.base, "127.0.0.1", port).unwrap();
                connection
                    .set_timeout(Some(Duration::from_millis(50)))
                    .unwrap();
                connection
                    .set_initial_retry(Duration::from_millis(5))
                    .unwrap();
                connection
                    .set_retries(Some(self.dice.below(3) as u32))
                    .unwrap();
                let (world, held) = (self.clone(), self.captured());
                connection.on_close(move |_| {
                    let _ = &held;
                    world.act();
                });
                self.connections.borrow_mut().push(connection);
            }
            2..=6 => {
                let request = self.request();
                let connections = self.connections.borrow();
                if let Some(connection) = connections.get(one(connections.len())) {
                    // It may be closed.
                    if let Ok(pending) = connection.send(request) {
                        self.pending.borrow_mut().push(pending);
                    }
                }
            }
            7 => {
                let mut pending = self.pending.borrow_mut();
                let at = one(pending.len());
                let taken = (!pending.is_empty()).then(|| pending.swap_remove(at));
                drop(pending);
                if let Some(pending) = taken {
                    match self.dice.below(3) {
                        0 => pending.cancel(),
                        1 => drop(pending),
                        _ => pending.detach(),
                    }
                }
            }
            8 => {
                let mut connections = self.connections.borrow_mut();
                let at = one(connections.len());
                let taken = (!connections.is_empty()).then(|| connections.swap_remove(at));
                drop(connections);
                match taken {
                    Some(connection) if self.dice.below(2) == 0 => connection.detach(),
                    taken => drop(taken),
                }
            }
            9 => {
                let (world, held) = (self.clone(), self.captured());
                let connections = self.connections.borrow();
                if let Some(connection) = connections.first() {
                    connection.on_close(move |_| {
                        let _ = &held;
                        world.act();
                    });
                }
            }
            _ => {}
        }
    }
}

#[test]
fn everything_in_random_order() {
    let _bounded = bounded();
    let server = Server::answering(|peer, seen| {
        if seen.header("Expect").is_some() && seen.path() != "/end" {
            peer.send("HTTP/1.1 100 Continue\r\n\r\n");
        }
        match seen.path() {
            "/ok" => peer.ok("fine"),
            "/chunked" => {
                peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
                peer.send("3\r\ndef\r\n0\r\n\r\n");
            }
            "/close" => peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbody"),
            "/bad" => peer.send("HTTP/1.1 2000 OK\r\n\r\n"),
            "/end" => peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"),
            _ => {}
        }
    });
    for seed in 1..=150 {
        let mut base = EventBase::new().unwrap();
        let world = World {
            base: base.handle().clone(),
            dice: Dice(Rc::new(Cell::new(
                0x9E37_79B9_7F4A_7C15u64.wrapping_mul(seed),
            ))),
            ports: Rc::new(vec![server.port(), server.port(), server.port(), refused()]),
            connections: Rc::default(),
            pending: Rc::default(),
            made: count(),
            dropped: count(),
            told: Rc::default(),
            left: Rc::new(Cell::new(60)),
        };
        while world.left.get() > 0 {
            world.act();
            if world.dice.below(2) == 0 {
                base.run_nonblocking().unwrap();
            }
        }
        if seed % 2 == 0 {
            // Nothing is left to be told when all is closed.
            world.connections.take();
            let pending = world.pending.take();
            pending.into_iter().for_each(Pending::detach);
            base.run_nonblocking().unwrap();
        }
        drop(base);
        world.connections.take();
        world.pending.take();
        assert_eq!(world.dropped.get(), world.made.get(), "seed {seed}");
        assert_eq!(Rc::strong_count(&world.told), 1, "seed {seed}");
    }
}
