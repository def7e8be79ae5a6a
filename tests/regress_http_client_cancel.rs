//! The twelve cases of regress_http.c that cancel a request, one test each: a request is cancelled
//! after 100 ms, and two more are made over the same connection.
#![cfg(all(unix, feature = "http"))]

mod common;
mod dns_common;
mod evhttp_client_common;

use common::bounded;
use dns_common::NameServer;
use evhttp_client_common::{Got, Server, ask, noting, text, until};
use libevent2::dns::{Config, Resolver};
use libevent2::evhttp::{ClientError, ClientRequest, Connection};
use libevent2::stream::Resolve;
use libevent2::{EventBase, Timer};
use socket2::{Domain, Socket, Type};
use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Duration;

#[derive(Default, Clone, Copy)]
struct Case {
    by_host: bool,
    /// The name server is not where it is asked.
    no_ns: bool,
    /// It takes longer until that is noticed.
    ns_timeout: bool,
    /// The system takes connections, nobody reads.
    inactive: bool,
    /// The system takes no more connections.
    timeout: bool,
}

/// What is to be asked, alive.
enum Target {
    Active(Server),
    Inactive {
        addr: SocketAddr,
        /// In the order in which they are to go.
        _held: (Vec<TcpStream>, TcpListener),
    },
}

impl Target {
    fn new(case: Case) -> Self {
        if !case.inactive {
            return Target::Active(Server::answering(|peer, seen| {
                if seen.path() != "/delay" {
                    peer.ok("This is funny");
                }
            }));
        }
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket
            .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
            .unwrap();
        socket.listen(if case.timeout { 0 } else { 16 }).unwrap();
        let listener = TcpListener::from(socket);
        let addr = listener.local_addr().unwrap();
        let mut held = Vec::new();
        if case.timeout {
            let wait = Duration::from_millis(100);
            while let Ok(stream) = TcpStream::connect_timeout(&addr, wait) {
                held.push(stream);
            }
        }
        Target::Inactive {
            addr,
            _held: (held, listener),
        }
    }

    fn port(&self) -> u16 {
        match self {
            Target::Active(server) => server.port(),
            Target::Inactive { addr, .. } => addr.port(),
        }
    }
}

fn cancel_case(case: Case) {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let target = Target::new(case);

    let names = match case.no_ns {
        true => NameServer::silent(),
        false => NameServer::start(|query| Some(query.address(Ipv4Addr::LOCALHOST, 60))),
    };
    let mut config = Config::default();
    config.servers = vec![names.address()];
    config.timeout = Duration::from_millis(if case.ns_timeout { 600 } else { 300 });
    config.attempts = 1;
    let resolver = Resolver::new(&base, config).unwrap();
    let host = if case.by_host {
        "server.test"
    } else {
        "127.0.0.1"
    };
    let resolve = Resolve::by(&resolver);
    let connection = Connection::by(&base, &resolve, host, target.port()).unwrap();
    if case.inactive {
        connection
            .set_timeout(Some(Duration::from_millis(500)))
            .unwrap();
    }

    let got = Got::default();
    let request = ClientRequest::get("/delay").header("Host", "somehost");
    let pending = RefCell::new(Some(connection.send(noting(request, &got)).unwrap()));
    let timer = Timer::after(&base, Duration::from_millis(100), move |_| {
        pending.take().unwrap().cancel();
    });
    until(&mut base, || !got.borrow().is_empty());
    assert!(matches!(got.take().remove(0), Err(ClientError::Cancelled)));
    drop(timer);

    for header in ["Host", "Empty"] {
        let request = ClientRequest::get("/test").header(header, "somehost");
        let next = ask(&mut base, &connection, request);
        let good = match &next {
            Err(ClientError::Lookup(_)) => case.no_ns,
            Err(ClientError::ConnectTimedOut { .. }) => case.timeout && !case.no_ns,
            Err(ClientError::TimedOut) => case.inactive && !case.timeout && !case.no_ns,
            Ok(_) => !case.inactive && !case.no_ns,
            Err(_) => false,
        };
        assert!(good, "{next:?}");
        if let Ok(response) = next {
            assert_eq!(text(Ok(response)), (200, "This is funny".into()));
        }
    }
    let nobody_told = Rc::strong_count(&got);
    assert_eq!(nobody_told, 1);
}

#[test]
fn cancel() {
    cancel_case(Case::default());
}

#[test]
fn cancel_by_host() {
    cancel_case(Case {
        by_host: true,
        ..Case::default()
    });
}

#[test]
fn cancel_by_host_inactive_server() {
    cancel_case(Case {
        by_host: true,
        inactive: true,
        ..Case::default()
    });
}

#[test]
fn cancel_by_host_no_ns() {
    cancel_case(Case {
        by_host: true,
        no_ns: true,
        ..Case::default()
    });
}

#[test]
fn cancel_inactive_server() {
    cancel_case(Case {
        inactive: true,
        ..Case::default()
    });
}

#[test]
fn cancel_by_host_no_ns_inactive_server() {
    cancel_case(Case {
        by_host: true,
        no_ns: true,
        inactive: true,
        ..Case::default()
    });
}

#[test]
fn cancel_by_host_server_timeout() {
    cancel_case(Case {
        by_host: true,
        inactive: true,
        timeout: true,
        ..Case::default()
    });
}

#[test]
fn cancel_server_timeout() {
    cancel_case(Case {
        inactive: true,
        timeout: true,
        ..Case::default()
    });
}

#[test]
fn cancel_by_host_no_ns_server_timeout() {
    cancel_case(Case {
        by_host: true,
        no_ns: true,
        inactive: true,
        timeout: true,
        ..Case::default()
    });
}

#[test]
fn cancel_by_host_ns_timeout_server_timeout() {
    cancel_case(Case {
        by_host: true,
        no_ns: true,
        ns_timeout: true,
        inactive: true,
        timeout: true,
    });
}

#[test]
fn cancel_by_host_ns_timeout() {
    cancel_case(Case {
        by_host: true,
        no_ns: true,
        ns_timeout: true,
        ..Case::default()
    });
}

#[test]
fn cancel_by_host_ns_timeout_inactive_server() {
    cancel_case(Case {
        by_host: true,
        no_ns: true,
        ns_timeout: true,
        inactive: true,
        ..Case::default()
    });
}
