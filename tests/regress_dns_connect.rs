//! libevent's own regress cases for DNS (test/regress_dns.c): streams that connect to a host by its
//! name. The whole list, and what differs, is in docs/regress.md.
#![cfg(target_os = "linux")]

mod common;
#[path = "common/regress.rs"]
mod regress;

use common::bounded;
use libevent2::dns::{
    Cause, Config, Record, RecordType, Reply, Request, Resolver, ResponseCode, Server,
};
use libevent2::listener::Accepted;
use libevent2::stream::{BufferEvent, Callbacks, Resolve, StreamError, StreamEvent};
use libevent2::util::{AddrHints, getaddrinfo};
use libevent2::{Error, EventBase, Listener, LoopEnd};
use regress::alone;
use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

const SOMEBODY: &str = "nobodaddy.example.com";
const NOBODY: &str = "nosuchplace.example.com";
/// A name that is nowhere, which the system knows without asking: a label has 63 letters at most.
const NONESUCH: &str =
    "nonesuch-nowhere-nonesuch-nowhere-nonesuch-nowhere-nonesuch-nowhere.example.com";

fn localhost() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn answer(request: Request) -> Result<(), Error> {
    let name = request.question().name();
    assert_eq!(request.question().record_type(), RecordType::A);
    if name.eq_ignore_ascii_case(SOMEBODY) {
        let record = Record::a(name, Ipv4Addr::LOCALHOST, Duration::from_secs(2000))?;
        return request.respond(Reply::new().answer(record));
    }
    assert!(name.eq_ignore_ascii_case(NOBODY), "{name}");
    request.respond(ResponseCode::NO_SUCH_NAME)
}

/// As many descriptors as are open now, and no more.
fn limit_descriptors() {
    let next = TcpListener::bind(localhost()).unwrap().as_raw_fd();
    // SAFETY: rlimit is plain data; the limit is lowered only.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = next.try_into().expect("not negative");
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
}

fn connect_hostname(emfile: bool) {
    let mut base = EventBase::new().unwrap();
    let accepted = Rc::new(RefCell::new(Vec::<Accepted>::new()));
    let ends = Rc::new(RefCell::new(Vec::<(&str, StreamEvent)>::new()));
    let questions = Rc::new(Cell::new(0));
    let end_of_all = {
        let (accepted, ends) = (accepted.clone(), ends.clone());
        let (streams, connections) = if emfile { (3, 0) } else { (5, 3) };
        let handle = base.handle().clone();
        move || {
            if ends.borrow().len() >= streams && accepted.borrow().len() >= connections {
                handle.exit();
            }
        }
    };
    let listener = Listener::bind(&base, localhost(), {
        let (accepted, end_of_all) = (accepted.clone(), end_of_all.clone());
        move |_, connection| {
            accepted.borrow_mut().push(connection);
            end_of_all();
        }
    })
    .unwrap();
    let port = listener
        .local_addr()
        .unwrap()
        .ip()
        .expect("an IP address")
        .port();
    let server = Server::bind(&base, localhost(), {
        let questions = questions.clone();
        move |request| {
            questions.set(questions.get() + 1);
            answer(request)
        }
    })
    .unwrap();
    let config = Config::with_servers([server.local_addr()]);
    let resolver = Resolver::new(&base, config).unwrap();
    // Its socket is there from now on, as C's is.
    assert!(!resolver.as_ptr().is_null());
    if emfile {
        limit_descriptors();
    }

    let handle = base.handle().clone();
    let connect = |how: Resolve, host: &'static str| {
        let (ends, end_of_all) = (ends.clone(), end_of_all.clone());
        let handler = Callbacks::new().on_event(move |_, event| {
            ends.borrow_mut().push((host, event));
            end_of_all();
        });
        BufferEvent::connect_host_by(&handle, &how.ipv4(), host, port, handler)
    };
    let by_system = ["localhost", NONESUCH].map(|host| connect(Resolve::system(), host));
    let by_resolver =
        [NOBODY, "127.0.0.1", SOMEBODY].map(|host| connect(Resolve::by(&resolver), host).unwrap());
    assert!(ends.borrow().is_empty(), "handlers are called by the loop");
    assert_eq!(base.run().unwrap(), LoopEnd::Exit);

    let end = |host: &str| -> StreamEvent {
        let mut ends = ends.borrow_mut();
        let mut of_host = (0..ends.len()).filter(|&at| ends[at].0 == host);
        let (at, more) = (of_host.next().expect(host), of_host.next());
        assert_eq!(more, None, "two events of {host}");
        ends.remove(at).1
    };
    match end(NOBODY) {
        StreamEvent::Failed(StreamError::Lookup {
            source: Error::Dns(error),
            ..
        }) => assert_eq!(error.cause(), Cause::NoSuchName),
        other => panic!("{other:?}"),
    }
    for host in ["127.0.0.1", SOMEBODY] {
        match end(host) {
            StreamEvent::Connected => assert!(!emfile),
            StreamEvent::Failed(StreamError::Io { source, .. }) => {
                assert!(emfile);
                assert_eq!(source.raw_os_error(), Some(libc::EMFILE));
            }
            other => panic!("{host}: {other:?}"),
        }
    }
    if emfile {
        for refused in by_system {
            match refused.unwrap_err() {
                Error::Os { source, .. } => assert_eq!(source.raw_os_error(), Some(libc::EMFILE)),
                other => panic!("{other}"),
            }
        }
    } else {
        assert!(by_system.iter().all(Result::is_ok));
        assert!(matches!(end("localhost"), StreamEvent::Connected));
        let hints = AddrHints::new().ipv4().tcp();
        let expected = getaddrinfo(Some(NONESUCH), Some("80"), hints).unwrap_err();
        let code = |error: Error| match error {
            Error::Lookup { code, .. } => code,
            other => panic!("{other}"),
        };
        match end(NONESUCH) {
            StreamEvent::Failed(StreamError::Lookup { source, .. }) => {
                assert_eq!(code(source), code(expected));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(ends.borrow().is_empty());
    assert_eq!(accepted.borrow().len(), if emfile { 0 } else { 3 });
    assert_eq!(questions.get(), 2);
    drop(by_resolver);
}

#[test]
fn bufferevent_connect_hostname() {
    let _watchdog = bounded();
    connect_hostname(false);
}

#[test]
fn bufferevent_connect_hostname_emfile() {
    let _watchdog = bounded();
    let name = "bufferevent_connect_hostname_emfile";
    alone(name, || connect_hostname(true));
}
