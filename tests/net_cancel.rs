//! Futures of sockets that are dropped before they are done, and bases that are.
#![cfg(feature = "async")]

mod async_common;
mod common;

use async_common::{Woken, bases, local, polled, run, run_on, tcp_from_outside, tcp_pair, turn};
use common::bounded;
use libevent2::EventBase;
use libevent2::net::{TcpListener, TcpStream, UdpSocket, UnixStream};
use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::thread;

#[test]
fn a_read_that_is_dropped_has_read_nothing() {
    let _bounded = bounded();
    for base in bases() {
        run_on(base, async |handle| {
            let (stream, mut outside) = tcp_from_outside(&handle).await;
            let mut got = Vec::new();
            let mut buf = [0; 8];
            for n in 0..60_u8 {
                // Before, between the polls, and after.
                let polls = usize::from(n) % 4;
                if n % 3 == 0 {
                    outside.write_all(&[n]).unwrap();
                }
                if let Some(count) = polled(polls, stream.read(&mut buf)).await {
                    got.extend_from_slice(&buf[..count.unwrap()]);
                }
                if n % 3 == 1 {
                    outside.write_all(&[n]).unwrap();
                }
                polled(polls, stream.peek(&mut buf)).await;
                polled(polls, stream.readable()).await;
                if n % 3 == 2 {
                    outside.write_all(&[n]).unwrap();
                }
            }
            drop(outside);
            stream.read_to_end(&mut got).await.unwrap();
            assert_eq!(got, Vec::from_iter(0..60));
        });
    }
}

#[test]
fn what_a_dropped_read_to_end_had_is_in_its_vector() {
    let _bounded = bounded();
    for base in bases() {
        run_on(base, async |handle| {
            let (stream, mut outside) = tcp_from_outside(&handle).await;
            let mut got = Vec::new();
            for n in 0..20_u8 {
                outside.write_all(&[n]).unwrap();
                polled(usize::from(n) % 3, stream.read_to_end(&mut got)).await;
            }
            drop(outside);
            stream.read_to_end(&mut got).await.unwrap();
            assert_eq!(got, Vec::from_iter(0..20));
        });
    }
}

#[test]
fn a_write_that_is_dropped_has_written_nothing() {
    let _bounded = bounded();
    for base in bases() {
        run_on(base, async |handle| {
            let (stream, mut outside) = tcp_from_outside(&handle).await;
            let reader = thread::spawn(move || {
                let mut got = Vec::new();
                outside.read_to_end(&mut got).unwrap();
                got
            });
            // Large enough to be waited for now and then.
            let mut sent = Vec::new();
            for n in 0..60_u8 {
                let piece = vec![n; 300_000];
                let written = polled(usize::from(n) % 3, stream.write(&piece)).await;
                let count = written.transpose().unwrap().unwrap_or(0);
                sent.extend_from_slice(&piece[..count]);
                polled(usize::from(n) % 3, stream.writable()).await;
            }
            drop(stream);
            assert!(reader.join().unwrap() == sent);
        });
    }
}

#[test]
fn an_accept_that_is_dropped_has_accepted_nobody() {
    let _bounded = bounded();
    for base in bases() {
        run_on(base, async |handle| {
            let listener = TcpListener::bind(&handle, local()).unwrap();
            let addr = listener.local_addr().unwrap();
            let mut clients = Vec::new();
            let mut accepted = Vec::new();
            for n in 0..30 {
                if n % 2 == 0 {
                    clients.push(std::net::TcpStream::connect(addr).unwrap());
                }
                if let Some(found) = polled(n % 4, listener.accept()).await {
                    accepted.push(found.unwrap().1);
                }
                if n % 2 == 1 {
                    clients.push(std::net::TcpStream::connect(addr).unwrap());
                }
            }
            while accepted.len() < clients.len() {
                accepted.push(listener.accept().await.unwrap().1);
            }
            let peers = clients.iter().map(|client| client.local_addr().unwrap());
            assert_eq!(accepted, Vec::from_iter(peers));
        });
    }
}

#[test]
fn a_connection_whose_future_is_dropped_is_closed() {
    let _bounded = bounded();
    run(async |handle| {
        let listener = TcpListener::bind(&handle, local()).unwrap();
        let addr = listener.local_addr().unwrap();
        for polls in 0..3 {
            let connecting = TcpStream::connect(&handle, addr);
            let made = polled(polls, connecting).await;
            drop(made);
            let by_name = TcpStream::connect_host(&handle, "127.0.0.1", addr.port());
            drop(polled(polls, by_name).await);
        }
        // Whatever was begun has ended.
        while let Some(accepted) = polled(2, listener.accept()).await {
            let end = accepted.unwrap().0.read(&mut [0]).await;
            assert!(matches!(end, Ok(0)) || end.unwrap_err().kind() == ErrorKind::ConnectionReset);
        }
    });
}

#[test]
fn a_datagram_is_not_lost_with_a_dropped_receive() {
    let _bounded = bounded();
    for base in bases() {
        run_on(base, async |handle| {
            let socket = UdpSocket::bind(&handle, local()).unwrap();
            let outside = std::net::UdpSocket::bind(local()).unwrap();
            outside.connect(socket.local_addr().unwrap()).unwrap();
            let mut got = Vec::new();
            let mut buf = [0; 8];
            for n in 0..30_u8 {
                outside.send(&[n]).unwrap();
                if polled(usize::from(n) % 3, socket.recv_from(&mut buf))
                    .await
                    .is_some()
                {
                    got.push(buf[0]);
                }
                polled(usize::from(n) % 2, socket.peek_from(&mut buf)).await;
            }
            while got.len() < 30 {
                socket.recv(&mut buf).await.unwrap();
                got.push(buf[0]);
            }
            assert_eq!(got, Vec::from_iter(0..30));
        });
    }
}

#[test]
fn a_future_that_is_dropped_is_not_woken() {
    let _bounded = bounded();
    run(async |handle| {
        let (stream, mut outside) = tcp_from_outside(&handle).await;
        let (dropped, kept) = (Woken::new(), Woken::new());
        let (mut buf, mut other) = ([0; 1], [0; 1]);
        let mut stays = pin!(stream.read(&mut buf));
        {
            let mut goes = pin!(stream.read(&mut other));
            let waker = Waker::from(dropped.clone());
            assert!(
                goes.as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
        }
        let waker = Waker::from(kept.clone());
        let mut cx = Context::from_waker(&waker);
        assert!(stays.as_mut().poll(&mut cx).is_pending());
        outside.write_all(b"x").unwrap();
        while kept.times() == 0 {
            turn().await;
        }
        assert_eq!(dropped.times(), 0);
        assert!(matches!(stays.as_mut().poll(&mut cx), Poll::Ready(Ok(1))));
    });
}

#[test]
fn what_waits_when_the_base_goes_is_woken_and_fails() {
    let _bounded = bounded();
    for mut base in bases() {
        let handle = base.handle().clone();
        let (here, there) = base.block_on(tcp_pair(&handle)).unwrap();
        let listener = TcpListener::bind(&handle, local()).unwrap();
        let woken = Woken::new();
        let waker = Waker::from(woken.clone());
        let mut cx = Context::from_waker(&waker);
        {
            let mut buf = [0; 1];
            let mut reading = pin!(here.read(&mut buf));
            let mut accepting = pin!(listener.accept());
            assert!(reading.as_mut().poll(&mut cx).is_pending());
            assert!(accepting.as_mut().poll(&mut cx).is_pending());
            drop(base);
            assert_eq!(woken.times(), 2);
            let Poll::Ready(Err(error)) = reading.as_mut().poll(&mut cx) else {
                panic!("it still waits");
            };
            assert_eq!(error.kind(), ErrorKind::NotConnected);
            assert!(accepting.as_mut().poll(&mut cx).is_ready());

            // What begins to wait now fails too.
            let mut writing = pin!(there.write(b"x"));
            assert!(matches!(
                writing.as_mut().poll(&mut cx),
                Poll::Ready(Err(_))
            ));
        }
        // The socket itself is as it was.
        here.into_std().write_all(b"y").unwrap();
        let mut byte = [0];
        there.into_std().read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"y");
    }
}

#[test]
fn nothing_is_made_on_a_base_that_is_gone() {
    let _bounded = bounded();
    let base = EventBase::new().unwrap();
    let handle = base.handle().clone();
    drop(base);
    assert!(TcpListener::bind(&handle, local()).is_err());
    assert!(UdpSocket::bind(&handle, local()).is_err());
    assert!(UnixStream::pair(&handle).is_err());
    let mut connecting = pin!(TcpStream::connect(&handle, local()));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(
        connecting.as_mut().poll(&mut cx),
        Poll::Ready(Err(_))
    ));
}

#[test]
fn a_task_that_holds_its_stream_goes_with_the_base() {
    let _bounded = bounded();
    let (inside, mut outside) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut base = EventBase::new().unwrap();
    let handle = base.handle().clone();
    let stream = Rc::new(UnixStream::from_std(&handle, inside).unwrap());
    let reading = Rc::clone(&stream);
    let task = handle.spawn(async move { reading.read(&mut [0; 1]).await });
    base.block_on(turn()).unwrap();
    drop(base);
    assert!(task.is_finished());
    assert_eq!(Rc::strong_count(&stream), 1);
    drop(stream);
    // Its descriptor is closed.
    assert_eq!(outside.read(&mut [0; 1]).unwrap(), 0);
}
