//! Datagrams, awaited.
#![cfg(feature = "async")]

mod async_common;
mod common;

use async_common::{bases, local, run, run_on, turn};
use common::bounded;
use libevent2::EventBase;
use libevent2::net::UdpSocket;
use std::io::ErrorKind;
use std::rc::Rc;

#[test]
fn a_datagram_arrives_whole_and_says_where_it_is_from() {
    let _bounded = bounded();
    for base in bases() {
        run_on(base, async |handle| {
            let here = UdpSocket::bind(&handle, local()).unwrap();
            let there = UdpSocket::bind(&handle, local()).unwrap();
            let to = there.local_addr().unwrap();
            assert_eq!(here.send_to(b"one", to).await.unwrap(), 3);
            assert_eq!(here.send_to(b"", to).await.unwrap(), 0);
            assert_eq!(here.send_to(b"three", to).await.unwrap(), 5);
            let mut buf = [0; 16];
            let (n, from) = there.recv_from(&mut buf).await.unwrap();
            assert_eq!((&buf[..n], from), (&b"one"[..], here.local_addr().unwrap()));
            assert_eq!(there.recv_from(&mut buf).await.unwrap().0, 0);
            assert_eq!(there.peek_from(&mut buf).await.unwrap().0, 5);
            assert_eq!(there.recv_from(&mut buf[..2]).await.unwrap().0, 2);
            // What did not fit is lost, and nothing is left.
            let error = there.try_recv_from(&mut buf).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
        });
    }
}

#[test]
fn a_connected_socket_hears_its_peer_only() {
    let _bounded = bounded();
    run(async |handle| {
        let here = UdpSocket::bind(&handle, local()).unwrap();
        let there = UdpSocket::bind(&handle, local()).unwrap();
        let stranger = UdpSocket::bind(&handle, local()).unwrap();
        here.connect(there.local_addr().unwrap()).unwrap();
        assert_eq!(here.peer_addr().unwrap(), there.local_addr().unwrap());
        let to = here.local_addr().unwrap();
        stranger.send_to(b"spam", to).await.unwrap();
        there.send_to(b"mail", to).await.unwrap();
        let mut buf = [0; 16];
        let n = here.recv(&mut buf).await.unwrap();
        assert_eq!(&buf[..n], b"mail");
        assert_eq!(
            here.try_recv(&mut buf).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        here.send(b"thanks").await.unwrap();
        assert_eq!(there.recv(&mut buf).await.unwrap(), 6);
        here.writable().await.unwrap();
        assert_eq!(here.try_send(b"bye").unwrap(), 3);
        there.readable().await.unwrap();
        assert_eq!(there.try_recv_from(&mut buf).unwrap(), (3, to));
    });
}

#[test]
fn a_peer_that_is_not_there_is_an_error_of_the_next_operation() {
    let _bounded = bounded();
    run(async |handle| {
        let here = UdpSocket::bind(&handle, local()).unwrap();
        let gone = UdpSocket::bind(&handle, local()).unwrap();
        here.connect(gone.local_addr().unwrap()).unwrap();
        drop(gone);
        here.send(b"anybody?").await.unwrap();
        let error = here.recv(&mut [0; 16]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn one_socket_is_read_and_written_by_two_tasks() {
    let _bounded = bounded();
    run(async |handle| {
        let here = Rc::new(UdpSocket::bind(&handle, local()).unwrap());
        let echo = UdpSocket::bind(&handle, local()).unwrap();
        let to = echo.local_addr().unwrap();
        let echoing = handle.spawn(async move {
            let mut buf = [0; 16];
            loop {
                let (n, from) = echo.recv_from(&mut buf).await.unwrap();
                echo.send_to(&buf[..n], from).await.unwrap();
            }
        });
        let reader = handle.spawn({
            let here = Rc::clone(&here);
            async move {
                let mut buf = [0; 16];
                for n in 0..100_u8 {
                    assert_eq!(here.recv(&mut buf).await.unwrap(), 1);
                    assert_eq!(buf[0], n);
                }
            }
        });
        for n in 0..100_u8 {
            here.send_to(&[n], to).await.unwrap();
            if n % 10 == 9 {
                turn().await;
            }
        }
        reader.await.unwrap();
        echoing.cancel();
    });
}

#[test]
fn a_socket_of_std_comes_to_the_loop_and_leaves_it() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let socket = std::net::UdpSocket::bind(local()).unwrap();
    let addr = socket.local_addr().unwrap();
    let socket = UdpSocket::from_std(&base, socket).unwrap();
    assert_eq!(socket.local_addr().unwrap(), addr);
    socket.get_ref().set_broadcast(true).unwrap();
    assert_eq!(
        base.block_on(socket.send_to(b"me", addr)).unwrap().unwrap(),
        2
    );
    base.block_on(socket.readable()).unwrap().unwrap();
    let socket = socket.into_std();
    assert_eq!(socket.recv(&mut [0; 4]).unwrap(), 2);
    assert_eq!(base.run().unwrap(), libevent2::LoopEnd::NoEvents);
}
