//! Listeners: what is accepted, from whom, on which addresses, and what cannot be had.
#![cfg(unix)]

mod common;

use common::{Bump, Count, bounded, count};
use libevent2::listener::{Address, ListenerOptions};
use libevent2::{Error, EventBase, Kind, Listener, ListenerRef, LoopEnd, LoopHandle};
use std::cell::RefCell;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::rc::Rc;

fn localhost() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn ip(listener: &ListenerRef) -> SocketAddr {
    listener.local_addr().unwrap().ip().unwrap()
}

/// A listener on `addr` that closes each connection, and after the last of them itself.
fn counting(base: &LoopHandle, options: ListenerOptions, seen: &Count, last: usize) -> Listener {
    let seen = seen.clone();
    let listener = options.bind(base, localhost(), move |listener, accepted| {
        drop(accepted);
        if seen.bump() == last {
            listener.close();
        }
    });
    listener.unwrap()
}

/// A path that nobody else uses; what is there goes with it.
struct TempPath(PathBuf);

impl TempPath {
    fn new(name: &str) -> Self {
        let name = format!("libevent2-{}-{name}", std::process::id());
        TempPath(std::env::temp_dir().join(name))
    }
}

impl Drop for TempPath {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

// --- accepting ------------------------------------------------------------------------------------

#[test]
fn a_connection_is_a_stream_and_knows_its_peer() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let peer = Rc::new(RefCell::new(None));
    let seen = peer.clone();
    let listener = Listener::bind(&base, localhost(), move |listener, accepted| {
        *seen.borrow_mut() = Some(accepted.peer().clone());
        let mut stream = TcpStream::from(accepted);
        stream.write_all(b"hello").unwrap();
        // Non-blocking, says the documentation.
        let nothing = stream.read(&mut [0]).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        listener.close();
    })
    .unwrap();
    assert!(listener.is_enabled());
    assert!(listener.handle().same_base(&base));
    assert_eq!(base.stats().live(Kind::Listener), 1);
    let mut client = TcpStream::connect(ip(&listener)).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    let mut greeting = String::new();
    client.read_to_string(&mut greeting).unwrap();
    assert_eq!(greeting, "hello");
    let peer = peer.borrow_mut().take().unwrap();
    assert_eq!(peer, Address::Ip(client.local_addr().unwrap()));
    assert_eq!(peer.to_string(), client.local_addr().unwrap().to_string());
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn an_accepted_descriptor_is_closed_in_a_new_program() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let listener = Listener::bind(&base, localhost(), |listener, accepted| {
        let numbers = [accepted.as_raw_fd(), listener.fd()];
        for fd in numbers {
            // SAFETY: no preconditions.
            let (flags, status) = unsafe {
                (
                    libc::fcntl(fd, libc::F_GETFD),
                    libc::fcntl(fd, libc::F_GETFL),
                )
            };
            assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
            assert_eq!(status & libc::O_NONBLOCK, libc::O_NONBLOCK);
        }
        listener.close();
    })
    .unwrap();
    let _client = TcpStream::connect(ip(&listener)).unwrap();
    base.run().unwrap();
}

#[test]
fn what_is_not_kept_is_closed() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let seen = count();
    let listener = counting(&base, Listener::options(), &seen, 1);
    let mut client = TcpStream::connect(ip(&listener)).unwrap();
    base.run().unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
}

#[test]
fn connections_outlive_their_listener_and_the_base() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let kept: Rc<RefCell<Vec<OwnedFd>>> = Rc::default();
    let keep = kept.clone();
    let listener = Listener::bind(&base, localhost(), move |listener, accepted| {
        keep.borrow_mut().push(accepted.into_fd());
        listener.handle().exit();
    })
    .unwrap();
    let addr = ip(&listener);
    let mut client = TcpStream::connect(addr).unwrap();
    base.run().unwrap();
    drop(listener);
    assert_eq!(
        TcpStream::connect(addr).unwrap_err().kind(),
        io::ErrorKind::ConnectionRefused
    );
    drop(base);
    let mut server = TcpStream::from(kept.borrow_mut().pop().unwrap());
    server.write_all(b"x").unwrap();
    client.read_exact(&mut [0]).unwrap();
}

#[test]
fn all_that_wait_are_accepted() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let seen = count();
    let listener = counting(&base, Listener::options(), &seen, 30);
    let _clients: Vec<_> = (0..30)
        .map(|_| TcpStream::connect(ip(&listener)).unwrap())
        .collect();
    base.run().unwrap();
    assert_eq!(seen.get(), 30);
}

// --- addresses ------------------------------------------------------------------------------------

#[test]
fn ipv6() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let listener = Listener::bind(&base, "[::1]:0".parse().unwrap(), |listener, accepted| {
        assert!(accepted.peer().ip().unwrap().ip().is_loopback());
        listener.close();
    })
    .unwrap();
    let addr = ip(&listener);
    assert!(addr.is_ipv6() && addr.port() != 0);
    let _client = TcpStream::connect(addr).unwrap();
    base.run().unwrap();
    assert!(listener.is_closed());
}

#[test]
fn both_families_on_one_socket() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let seen = count();
    let counted = seen.clone();
    let any = "[::]:0".parse().unwrap();
    let listener = Listener::options().ipv6_only(false);
    let listener = listener.bind(&base, any, move |listener, accepted| {
        let Some(SocketAddr::V6(peer)) = accepted.peer().ip() else {
            panic!("{} is no IPv6 address", accepted.peer());
        };
        assert!(peer.ip().to_canonical().is_loopback());
        if counted.bump() == 2 {
            listener.close();
        }
    });
    let listener = listener.unwrap();
    let port = ip(&listener).port();
    let _v4 = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let _v6 = TcpStream::connect(("::1", port)).unwrap();
    base.run().unwrap();
    assert_eq!(seen.get(), 2);
}

#[test]
fn ipv6_only_leaves_ipv4_to_others() {
    let _watchdog = bounded();
    let base = EventBase::new().unwrap();
    let listener = Listener::options().ipv6_only(true);
    let listener = listener.bind(&base, "[::]:0".parse().unwrap(), |_, _| ());
    let listener = listener.unwrap();
    let port = ip(&listener).port();
    let refused = TcpStream::connect(("127.0.0.1", port)).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    let _other = TcpListener::bind(("127.0.0.1", port)).unwrap();
    // For an IPv4 address there is nothing to be said.
    let listener = Listener::options().ipv6_only(true);
    let _listener = listener.bind(&base, localhost(), |_, _| ()).unwrap();
}

#[test]
fn unix_by_path() {
    let _watchdog = bounded();
    let path = TempPath::new("unix_by_path");
    let mut base = EventBase::new().unwrap();
    let peers: Rc<RefCell<Vec<Address>>> = Rc::default();
    let seen = peers.clone();
    let listener = Listener::bind_unix(&base, &path.0, move |listener, accepted| {
        seen.borrow_mut().push(accepted.peer().clone());
        UnixStream::from(accepted).write_all(b"hi").unwrap();
        listener.close();
    })
    .unwrap();
    let addr = listener.local_addr().unwrap();
    assert_eq!(addr, Address::Unix(Some(path.0.clone())));
    assert_eq!(addr.path(), Some(&*path.0));
    assert_eq!(addr.to_string(), path.0.display().to_string());
    let mut client = UnixStream::connect(&path.0).unwrap();
    base.run().unwrap();
    let mut said = String::new();
    client.read_to_string(&mut said).unwrap();
    assert_eq!(said, "hi");
    assert_eq!(*peers.borrow(), [Address::Unix(None)]);
    // The file stays, as in C.
    assert!(path.0.exists());
}

#[test]
fn a_file_that_is_there_already_is_an_error_that_names_it() {
    let _watchdog = bounded();
    let path = TempPath::new("stale");
    drop(UnixListener::bind(&path.0).unwrap());
    let base = EventBase::new().unwrap();
    let error = Listener::bind_unix(&base, &path.0, |_, _| ()).unwrap_err();
    let errno = error.io().and_then(io::Error::raw_os_error);
    assert_eq!(errno, Some(libc::EADDRINUSE));
    assert!(
        error.to_string().contains(path.0.to_str().unwrap()),
        "{error}"
    );
    fs::remove_file(&path.0).unwrap();
    let _listener = Listener::bind_unix(&base, &path.0, |_, _| ()).unwrap();
    assert_eq!(base.stats().live_total(), 1);
}

#[test]
fn a_path_that_cannot_be_is_an_error_that_names_it() {
    let _watchdog = bounded();
    let base = EventBase::new().unwrap();
    for path in [
        "/nowhere/at/all".to_owned(),
        "/tmp/".to_owned() + &"x".repeat(200),
    ] {
        let error = Listener::bind_unix(&base, &path, |_, _| ()).unwrap_err();
        assert!(matches!(error, Error::Os { .. }), "{error}");
        assert!(error.to_string().contains(&path), "{error}");
    }
    let empty = Listener::bind_unix(&base, "", |_, _| ()).unwrap_err();
    assert!(
        matches!(empty, Error::Invalid { what: "path", .. }),
        "{empty}"
    );
    let path = TempPath::new("options");
    for options in [
        Listener::options().reuse_port(),
        Listener::options().deferred_accept(),
    ] {
        let error = options.bind_unix(&base, &path.0, |_, _| ()).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Invalid {
                    what: "options",
                    ..
                }
            ),
            "{error}"
        );
    }
    assert!(!path.0.exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_outside_of_the_file_system() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let name = format!("libevent2-{}-abstract", std::process::id());
    let listener = Listener::bind_unix(&base, format!("\0{name}"), |listener, accepted| {
        assert_eq!(*accepted.peer(), Address::Unix(None));
        listener.close();
    })
    .unwrap();
    let addr = listener.local_addr().unwrap();
    assert_eq!(addr, Address::Abstract(name.clone().into_bytes()));
    assert_eq!(addr.to_string(), format!("@{name}"));
    let addr = {
        use std::os::linux::net::SocketAddrExt;
        std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap()
    };
    let _client = UnixStream::connect_addr(&addr).unwrap();
    base.run().unwrap();
    assert!(listener.is_closed());
}

#[test]
fn an_address_that_is_taken_is_an_error_that_names_it() {
    let _watchdog = bounded();
    let base = EventBase::new().unwrap();
    let first = Listener::bind(&base, localhost(), |_, _| ()).unwrap();
    let addr = ip(&first);
    let error = Listener::bind(&base, addr, |_, _| ()).unwrap_err();
    let errno = error.io().and_then(io::Error::raw_os_error);
    assert_eq!(errno, Some(libc::EADDRINUSE));
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
    assert_eq!(base.stats().live(Kind::Listener), 1);
    // It is free as soon as the first is gone.
    drop(first);
    let _second = Listener::bind(&base, addr, |_, _| ()).unwrap();
}

// --- sockets of the user's --------------------------------------------------------------------------

#[test]
fn sockets_that_listen_already() {
    let _watchdog = bounded();
    let path = TempPath::new("from_socket");
    let mut base = EventBase::new().unwrap();
    let tcp = TcpListener::bind(localhost()).unwrap();
    let unix = UnixListener::bind(&path.0).unwrap();
    let addr = tcp.local_addr().unwrap();
    let seen = count();
    let callback = || {
        let seen = seen.clone();
        move |listener: &ListenerRef, accepted: libevent2::listener::Accepted| {
            drop(accepted);
            seen.bump();
            listener.close();
        }
    };
    let one = Listener::from_socket(&base, tcp, callback()).unwrap();
    let options = Listener::options().backlog(5);
    let two = options.from_socket(&base, OwnedFd::from(unix), callback());
    assert_eq!(ip(&one), addr);
    let _clients = (
        TcpStream::connect(addr).unwrap(),
        UnixStream::connect(&path.0).unwrap(),
    );
    base.run().unwrap();
    assert_eq!(seen.get(), 2);
    assert!(one.is_closed() && two.unwrap().is_closed());
}

#[test]
fn what_does_not_listen_is_refused() {
    let _watchdog = bounded();
    let base = EventBase::new().unwrap();
    let (stream, _other) = UnixStream::pair().unwrap();
    let fd = stream.as_raw_fd();
    let error = Listener::from_socket(&base, stream, |_, _| ()).unwrap_err();
    assert!(
        matches!(error, Error::Invalid { what: "socket", .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains(&format!("descriptor {fd} ")),
        "{error}"
    );

    let file = fs::File::open("/dev/null").unwrap();
    let error = Listener::from_socket(&base, file, |_, _| ()).unwrap_err();
    let errno = error.io().and_then(io::Error::raw_os_error);
    assert_eq!(errno, Some(libc::ENOTSOCK), "{error}");
    assert_eq!(base.stats().live_total(), 0);
}

// --- options --------------------------------------------------------------------------------------

#[test]
fn disabled_at_the_start_and_enabled_later() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let seen = count();
    let listener = counting(&base, Listener::options().disabled(), &seen, 2);
    assert!(!listener.is_enabled());
    let _client = TcpStream::connect(ip(&listener)).unwrap();
    // It does not even keep the loop running.
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(seen.get(), 0);

    listener.enable().unwrap();
    assert!(listener.is_enabled());
    base.run_once().unwrap();
    assert_eq!(seen.get(), 1);

    listener.disable();
    let _another = TcpStream::connect(ip(&listener)).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(seen.get(), 1);
    listener.enable().unwrap();
    base.run().unwrap();
    assert_eq!(seen.get(), 2);
    assert!(listener.is_closed() && !listener.is_enabled());
}

#[test]
fn a_callback_that_disables_is_not_called_for_those_that_wait() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let seen = count();
    let counted = seen.clone();
    let listener = Listener::bind(&base, localhost(), move |listener, _accepted| {
        counted.bump();
        listener.disable();
    })
    .unwrap();
    let _clients = [(); 3].map(|()| TcpStream::connect(ip(&listener)).unwrap());
    for expected in 1..=3 {
        assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
        assert_eq!(seen.get(), expected);
        listener.enable().unwrap();
    }
}

#[test]
fn one_that_stops_the_loop_at_once_is_called_again_in_the_next_run() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let seen = count();
    let counted = seen.clone();
    let listener = Listener::bind(&base, localhost(), move |listener, _accepted| {
        counted.bump();
        listener.handle().exit_now();
    })
    .unwrap();
    let _clients = [(); 3].map(|()| TcpStream::connect(ip(&listener)).unwrap());
    for expected in 1..=3 {
        assert_eq!(base.run().unwrap(), LoopEnd::Break);
        assert_eq!(seen.get(), expected);
        assert!(listener.is_enabled());
    }
    // Disabled meanwhile, it stays that way.
    listener.disable();
    let _another = TcpStream::connect(ip(&listener)).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(seen.get(), 3);
}

#[test]
fn several_on_one_port_share_the_connections() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (one, two) = (count(), count());
    let share = |addr: SocketAddr, seen: &Count| {
        let (seen, others) = (seen.clone(), [one.clone(), two.clone()]);
        let options = Listener::options().reuse_port();
        let listener = options.bind(&base, addr, move |listener, _accepted| {
            seen.bump();
            if others.iter().map(|count| count.get()).sum::<usize>() == 64 {
                listener.handle().exit();
            }
        });
        listener.unwrap()
    };
    let first = share(localhost(), &one);
    let _second = share(ip(&first), &two);
    let _clients: Vec<_> = (0..64)
        .map(|_| TcpStream::connect(ip(&first)).unwrap())
        .collect();
    base.run().unwrap();
    assert_eq!(one.get() + two.get(), 64);
    assert!(one.get() > 0 && two.get() > 0, "{one:?} {two:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn deferred_until_the_peer_has_sent_something() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let peers: Rc<RefCell<Vec<Option<SocketAddr>>>> = Rc::default();
    let seen = peers.clone();
    let options = Listener::options().deferred_accept();
    let listener = options.bind(&base, localhost(), move |listener, accepted| {
        seen.borrow_mut().push(accepted.peer().ip());
        listener.handle().exit();
    });
    let listener = listener.unwrap();
    let mut silent = TcpStream::connect(ip(&listener)).unwrap();
    let mut talking = TcpStream::connect(ip(&listener)).unwrap();
    talking.write_all(b"x").unwrap();
    base.run().unwrap();
    silent.write_all(b"x").unwrap();
    base.run().unwrap();
    let order = [&talking, &silent].map(|stream| stream.local_addr().ok());
    assert_eq!(*peers.borrow(), order);
}

#[test]
fn the_address_is_reused_unless_asked_not_to_be() {
    let _watchdog = bounded();
    let base = EventBase::new().unwrap();
    for yes in [true, false] {
        let options = Listener::options().reuse_address(yes);
        let listener = options.bind(&base, localhost(), |_, _| ()).unwrap();
        let fd = listener.fd();
        // SAFETY: the listener has it open during this loop.
        let socket = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
        let socket = socket2::SockRef::from(&socket);
        assert_eq!(socket.reuse_address().unwrap(), yes);
    }
}

// --- the end --------------------------------------------------------------------------------------

#[test]
fn a_closed_listener_says_so() {
    let _watchdog = bounded();
    let base = EventBase::new().unwrap();
    let listener = Listener::bind(&base, localhost(), |_, _| ()).unwrap();
    let addr = ip(&listener);
    listener.close();
    listener.close();
    assert!(listener.is_closed() && listener.as_ptr().is_null());
    assert_eq!(listener.fd(), -1);
    let closed = |error| matches!(error, Error::Closed { what: "listener" });
    assert!(closed(listener.enable().unwrap_err()));
    assert!(closed(listener.local_addr().unwrap_err()));
    assert!(closed(listener.set_callback(|_, _| ()).unwrap_err()));
    assert!(closed(listener.set_error_callback(|_, _| ()).unwrap_err()));
    listener.disable();
    assert!(TcpStream::connect(addr).is_err());
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn without_its_base_there_is_no_listener() {
    let _watchdog = bounded();
    let base = EventBase::new().unwrap();
    let handle = base.handle().clone();
    let listener = Listener::bind(&base, localhost(), |_, _| ()).unwrap();
    let addr = ip(&listener);
    drop(base);
    assert!(listener.is_closed());
    assert!(TcpStream::connect(addr).is_err());

    let path = TempPath::new("no_base");
    let socket = TcpListener::bind(localhost()).unwrap();
    let gone = |result: Result<Listener, Error>| {
        let error = result.unwrap_err();
        assert!(
            matches!(error, Error::Closed { what: "event base" }),
            "{error}"
        );
    };
    gone(Listener::bind(&handle, localhost(), |_, _| ()));
    gone(Listener::bind_unix(&handle, &path.0, |_, _| ()));
    gone(Listener::from_socket(&handle, socket, |_, _| ()));
    assert!(!path.0.exists());
}

#[test]
fn an_accepted_connection_lends_its_descriptor() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let listener = Listener::bind(&base, localhost(), |listener, accepted| {
        let socket = socket2::SockRef::from(&accepted);
        assert_eq!(socket.local_addr().unwrap().as_socket(), Some(ip(listener)));
        assert_eq!(accepted.as_fd().as_raw_fd(), accepted.as_raw_fd());
        listener.close();
    })
    .unwrap();
    let _client = TcpStream::connect(ip(&listener)).unwrap();
    base.run().unwrap();
}

#[test]
fn an_accepted_connection_may_go_to_another_thread() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let listener = Listener::bind(&base, localhost(), |listener, accepted| {
        listener.close();
        std::thread::spawn(move || {
            let mut stream = TcpStream::from(accepted);
            stream.set_nonblocking(false)?;
            stream.read_exact(&mut [0])?;
            stream.write_all(b"y")
        });
    })
    .unwrap();
    let mut client = TcpStream::connect(ip(&listener)).unwrap();
    base.run().unwrap();
    client.write_all(b"x").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "y");
}
