//! TCP connections made and accepted.
#![cfg(feature = "async")]

mod async_common;
mod common;

use async_common::{bases, local, run, run_on, tcp_pair, turn};
use common::bounded;
use libevent2::net::{TcpListener, TcpStream};
use libevent2::{Error, EventBase};
use socket2::SockRef;
use std::io::{ErrorKind, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

#[test]
fn a_refused_connection_names_the_address() {
    let _bounded = bounded();
    run(async |handle| {
        let addr = std::net::TcpListener::bind(local())
            .unwrap()
            .local_addr()
            .unwrap();
        let error = TcpStream::connect(&handle, addr).await.unwrap_err();
        assert_eq!(error.io().unwrap().kind(), ErrorKind::ConnectionRefused);
        assert!(error.to_string().contains(&addr.to_string()), "{error}");
    });
}

#[test]
fn a_connection_that_nobody_answers_can_be_given_up() {
    let _bounded = bounded();
    run(async |handle| {
        // A full queue: the system answers no further connection.
        let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let listener = listener.unwrap();
        listener.bind(&local().into()).unwrap();
        listener.listen(0).unwrap();
        let addr = listener.local_addr().unwrap().as_socket().unwrap();
        let mut made = Vec::new();
        loop {
            let connecting = TcpStream::connect(&handle, addr);
            let pause = Duration::from_millis(100);
            let Ok(stream) = handle.timeout(pause, connecting).await else {
                break;
            };
            made.push(stream.unwrap());
            assert!(made.len() < 100);
        }
    });
}

#[test]
fn a_host_is_connected_to_by_its_name() {
    let _bounded = bounded();
    run(async |handle| {
        let listener = TcpListener::bind(&handle, local()).unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["localhost", "127.0.0.1"] {
            // The first bytes of the server are not lost between the lookup and the stream.
            let server = async {
                let (server, _) = listener.accept().await.unwrap();
                server.write_all(b"220 ready").await.unwrap();
                server
            };
            let client = TcpStream::connect_host(&handle, host, port).await.unwrap();
            let server = server.await;
            assert_eq!(client.peer_addr().unwrap().port(), port);
            let mut word = [0; 9];
            client.read_exact(&mut word).await.unwrap();
            assert_eq!(&word, b"220 ready");
            client.write_all(b"EHLO").await.unwrap();
            let mut word = [0; 4];
            server.read_exact(&mut word).await.unwrap();
            assert_eq!(&word, b"EHLO");
        }
        let nobody = TcpStream::connect_host(&handle, "nobody.invalid", port).await;
        assert!(
            matches!(nobody, Err(Error::Dns(_) | Error::Lookup { .. })),
            "{nobody:?}"
        );
        let nowhere = TcpStream::connect_host(&handle, "", port).await;
        assert!(matches!(nowhere, Err(Error::Invalid { .. })), "{nowhere:?}");
        drop(listener);
        let refused = TcpStream::connect_host(&handle, "127.0.0.1", port)
            .await
            .unwrap_err();
        let kind = std::io::Error::from(refused).kind();
        assert_eq!(kind, ErrorKind::ConnectionRefused);
    });
}

#[test]
fn connections_come_one_after_the_other() {
    let _bounded = bounded();
    for base in bases() {
        run_on(base, async |handle| {
            let listener = TcpListener::bind(&handle, local()).unwrap();
            let addr = listener.local_addr().unwrap();
            let clients = thread::spawn(move || {
                for n in 0..100_u8 {
                    let mut client = std::net::TcpStream::connect(addr).unwrap();
                    client.write_all(&[n]).unwrap();
                }
            });
            let mut incoming = listener.incoming();
            for n in 0..100_u8 {
                let stream = incoming.next().await.unwrap().unwrap();
                let mut byte = [0];
                stream.read_exact(&mut byte).await.unwrap();
                assert_eq!(byte[0], n);
            }
            clients.join().unwrap();
        });
    }
}

#[test]
fn accepted_sockets_do_not_block_and_are_not_inherited() {
    let _bounded = bounded();
    run(async |handle| {
        let (client, server) = tcp_pair(&handle).await;
        for stream in [&client, &server] {
            let socket = SockRef::from(stream);
            assert!(socket.nonblocking().unwrap());
            // SAFETY: only asks, and the descriptor is open.
            let flags = unsafe { libc::fcntl(stream.as_raw_fd(), libc::F_GETFD) };
            assert_eq!(flags, libc::FD_CLOEXEC);
        }
    });
}

#[test]
fn two_tasks_may_accept_from_one_listener() {
    let _bounded = bounded();
    run(async |handle| {
        let listener = Rc::new(TcpListener::bind(&handle, local()).unwrap());
        let addr = listener.local_addr().unwrap();
        let accepted: Vec<_> = (0..2)
            .map(|_| {
                let listener = Rc::clone(&listener);
                handle.spawn(async move { listener.accept().await.unwrap().1 })
            })
            .collect();
        turn().await;
        let one = TcpStream::connect(&handle, addr).await.unwrap();
        let two = TcpStream::connect(&handle, addr).await.unwrap();
        let mut peers = Vec::new();
        for accepted in accepted {
            peers.push(accepted.await.unwrap());
        }
        peers.sort();
        let mut own = [one.local_addr().unwrap(), two.local_addr().unwrap()];
        own.sort();
        assert_eq!(peers, own);
    });
}

#[test]
fn a_socket_of_std_comes_to_the_loop_and_leaves_it() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let handle = base.handle().clone();
    let listener = std::net::TcpListener::bind(local()).unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    let stream = TcpStream::from_std(&handle, client).unwrap();
    stream.set_nodelay(true).unwrap();
    assert!(stream.nodelay().unwrap());
    server.write_all(b"ab").unwrap();
    let mut byte = [0];
    base.block_on(stream.read_exact(&mut byte))
        .unwrap()
        .unwrap();
    let mut client = stream.into_std();
    client.set_nonblocking(false).unwrap();
    client.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"b");
    client.write_all(b"c").unwrap();
    server.read_exact(&mut byte).unwrap();
    // Nothing of it is left on the loop, which has nothing to run for.
    assert_eq!(base.run().unwrap(), libevent2::LoopEnd::NoEvents);

    let listener = TcpListener::from_std(&handle, listener).unwrap();
    assert_eq!(listener.local_addr().unwrap().ip(), Ipv4Addr::LOCALHOST);
    let listener = listener.into_std();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn an_address_in_use_is_named() {
    let _bounded = bounded();
    let base = EventBase::new().unwrap();
    let first = TcpListener::bind(&base, local()).unwrap();
    let addr = first.local_addr().unwrap();
    let error = TcpListener::bind(&base, addr).unwrap_err();
    assert_eq!(error.io().unwrap().kind(), ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
}

#[cfg(feature = "futures-io")]
#[test]
fn incoming_connections_are_a_stream_which_ends_with_the_base() {
    use futures_core::Stream;
    use std::future::poll_fn;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let listener = TcpListener::bind(&base, local()).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut incoming = listener.incoming();
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(std::net::TcpStream::connect(addr).unwrap());
        let next = poll_fn(|cx| Pin::new(&mut incoming).poll_next(cx));
        let stream = base.block_on(next).unwrap().unwrap().unwrap();
        let peer = clients.last().unwrap().local_addr().unwrap();
        assert_eq!(stream.peer_addr().unwrap(), peer);
    }
    drop(base);
    let mut cx = Context::from_waker(Waker::noop());
    let end = Pin::new(&mut incoming).poll_next(&mut cx);
    assert!(matches!(end, Poll::Ready(None)));
}
