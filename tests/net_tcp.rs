//! TCP, awaited.
#![cfg(feature = "async")]

mod async_common;
mod common;

use async_common::{bases, pattern, run, run_on, tcp_from_outside, tcp_pair, turn};
use common::{Bump, bounded, count};
use socket2::SockRef;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

#[test]
fn what_one_end_writes_the_other_one_reads() {
    let _bounded = bounded();
    run(async |handle| {
        let (client, server) = tcp_pair(&handle).await;
        client.write_all(b"hello").await.unwrap();
        let mut word = [0; 5];
        server.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"hello");
        drop(client);
        assert_eq!(server.read(&mut word).await.unwrap(), 0);
        // The end stays the end.
        assert_eq!(server.read(&mut word).await.unwrap(), 0);
        let error = server.read_exact(&mut word).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    });
}

#[test]
fn a_small_buffer_takes_what_came_in_several_reads() {
    let _bounded = bounded();
    run(async |handle| {
        let (client, server) = tcp_pair(&handle).await;
        client.write_all(b"0123456789").await.unwrap();
        let mut buf = [0; 4];
        let mut seen = Vec::new();
        while seen.len() < 10 {
            let n = server.read(&mut buf).await.unwrap();
            assert!((1..=4).contains(&n));
            seen.extend_from_slice(&buf[..n]);
        }
        assert_eq!(seen, b"0123456789");
        assert_eq!(server.read(&mut []).await.unwrap(), 0);
        assert_eq!(server.write(&[]).await.unwrap(), 0);
    });
}

#[test]
fn a_writer_waits_for_a_peer_that_does_not_read() {
    let _bounded = bounded();
    for base in bases() {
        run_on(base, async |handle| {
            let (client, server) = tcp_pair(&handle).await;
            let sent = Rc::new(pattern(16 << 20));
            let bytes = Rc::clone(&sent);
            let writer = handle.spawn(async move {
                client.write_all(&bytes).await.unwrap();
            });
            turn().await;
            assert!(!writer.is_finished());
            let mut got = Vec::new();
            assert_eq!(server.read_to_end(&mut got).await.unwrap(), sent.len());
            assert!(got == *sent);
            writer.await.unwrap();
        });
    }
}

#[test]
fn several_buffers_are_written_as_one() {
    let _bounded = bounded();
    run(async |handle| {
        let (client, server) = tcp_pair(&handle).await;
        let words = [
            IoSlice::new(b"one "),
            IoSlice::new(b""),
            IoSlice::new(b"two"),
        ];
        assert_eq!(client.write_vectored(&words).await.unwrap(), 7);
        // More than the system takes at once, in part empty.
        let mut many = vec![IoSlice::new(b""); 2000];
        many.extend([IoSlice::new(b"."); 5000]);
        let mut left = &mut many[..];
        while !left.is_empty() {
            let n = client.write_vectored(left).await.unwrap();
            assert!(n > 0);
            IoSlice::advance_slices(&mut left, n);
        }
        drop(client);
        let mut text = Vec::new();
        server.read_to_end(&mut text).await.unwrap();
        assert_eq!(text.len(), 7 + 5000);
        assert!(text.starts_with(b"one two.."));
    });
}

#[test]
fn peeking_leaves_the_bytes_there() {
    let _bounded = bounded();
    run(async |handle| {
        let (client, server) = tcp_pair(&handle).await;
        client.write_all(b"abc").await.unwrap();
        let mut buf = [0; 2];
        assert_eq!(server.peek(&mut buf).await.unwrap(), 2);
        let mut word = [0; 3];
        server.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"abc");
    });
}

#[test]
fn after_a_half_close_the_other_direction_goes_on() {
    let _bounded = bounded();
    for base in bases() {
        run_on(base, async |handle| {
            let (client, server) = tcp_pair(&handle).await;
            client.write_all(b"all").await.unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let mut text = Vec::new();
            server.read_to_end(&mut text).await.unwrap();
            assert_eq!(text, b"all");
            // Further reads do not wait.
            assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 0);
            server.write_all(b"answer").await.unwrap();
            drop(server);
            let mut text = Vec::new();
            client.read_to_end(&mut text).await.unwrap();
            assert_eq!(text, b"answer");
        });
    }
}

#[test]
fn what_came_before_a_reset_is_read_and_then_the_reset() {
    let _bounded = bounded();
    for base in bases() {
        run_on(base, async |handle| {
            let (stream, mut outside) = tcp_from_outside(&handle).await;
            turn().await;
            // Both are there before the loop looks.
            outside.write_all(b"last words").unwrap();
            SockRef::from(&outside)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
            drop(outside);
            let mut buf = [0; 64];
            let n = stream.read(&mut buf).await.unwrap();
            assert_eq!(&buf[..n], b"last words");
            let error = stream.read(&mut buf).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            // The system tells an error once.
            assert_eq!(stream.read(&mut buf).await.unwrap(), 0);
        });
    }
}

#[test]
fn a_reset_wakes_who_waits() {
    let _bounded = bounded();
    for base in bases() {
        run_on(base, async |handle| {
            let (stream, outside) = tcp_from_outside(&handle).await;
            let reader = handle.spawn(async move { stream.read(&mut [0; 1]).await });
            turn().await;
            SockRef::from(&outside)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
            drop(outside);
            let error = reader.await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        });
    }
}

#[test]
fn writing_to_a_peer_that_has_gone_is_an_error_and_no_signal() {
    let _bounded = bounded();
    run(async |handle| {
        // The runtime of Rust ignores the signal; a program may have made it deadly again.
        let (stream, outside) = tcp_from_outside(&handle).await;
        drop(outside);
        let error = loop {
            match stream.write(b"is anybody there?").await {
                Ok(_) => turn().await,
                Err(error) => break error,
            }
        };
        let kind = error.kind();
        assert!(
            matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset),
            "{error}"
        );
    });
}

#[test]
fn any_number_of_tasks_may_wait_for_one_stream() {
    let _bounded = bounded();
    for base in bases() {
        run_on(base, async |handle| {
            let (client, server) = tcp_pair(&handle).await;
            let server = Rc::new(server);
            let got = count();
            let readers: Vec<_> = (0..50)
                .map(|_| {
                    let (server, got) = (Rc::clone(&server), Rc::clone(&got));
                    handle.spawn(async move {
                        let mut byte = [0];
                        server.read_exact(&mut byte).await.unwrap();
                        got.bump();
                    })
                })
                .collect();
            turn().await;
            client.write_all(&[7; 20]).await.unwrap();
            while got.get() < 20 {
                turn().await;
            }
            client.write_all(&[7; 30]).await.unwrap();
            for reader in readers {
                reader.await.unwrap();
            }
            assert_eq!(got.get(), 50);
        });
    }
}

#[test]
fn reading_and_writing_at_the_same_time_need_no_halves() {
    let _bounded = bounded();
    run(async |handle| {
        let (client, mut outside) = tcp_from_outside(&handle).await;
        let echo = thread::spawn(move || {
            let mut buf = [0; 1 << 16];
            loop {
                match outside.read(&mut buf).unwrap() {
                    0 => return,
                    n => outside.write_all(&buf[..n]).unwrap(),
                }
            }
        });
        let client = Rc::new(client);
        let sent = pattern(4 << 20);
        let writer = handle.spawn({
            let (client, sent) = (Rc::clone(&client), sent.clone());
            async move {
                client.write_all(&sent).await.unwrap();
                client.shutdown(Shutdown::Write).unwrap();
            }
        });
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.unwrap();
        writer.await.unwrap();
        assert!(got == sent);
        echo.join().unwrap();
    });
}

#[test]
fn halves_go_to_different_tasks_and_come_back_together() {
    let _bounded = bounded();
    run(async |handle| {
        let (client, server) = tcp_pair(&handle).await;
        let (read, write) = server.into_split();
        let reader = handle.spawn(async move {
            let mut word = [0; 4];
            read.read_exact(&mut word).await.unwrap();
            (read, word)
        });
        client.write_all(b"ping").await.unwrap();
        write.write_all(b"pong").await.unwrap();
        let (read, word) = reader.await.unwrap();
        assert_eq!(&word, b"ping");

        let (other_read, other_write) = client.into_split();
        let error = read.reunite(other_write).unwrap_err();
        let server = error.read.reunite(write).unwrap();
        let client = other_read.reunite(error.write).unwrap();
        // Whole again, neither direction was closed.
        server.write_all(b"!").await.unwrap();
        client.write_all(b"?").await.unwrap();
        let mut word = [0; 5];
        client.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"pong!");
        server.read_exact(&mut word[..1]).await.unwrap();
        assert_eq!(word[0], b'?');

        let (read, write) = client.split();
        write.write_all(b"x").await.unwrap();
        assert_eq!(server.read(&mut word).await.unwrap(), 1);
        server.write_all(b"y").await.unwrap();
        assert_eq!(read.read(&mut word).await.unwrap(), 1);
    });
}

#[test]
fn dropping_the_writing_half_ends_that_direction_only() {
    let _bounded = bounded();
    run(async |handle| {
        let (client, server) = tcp_pair(&handle).await;
        let (read, write) = client.into_split();
        drop(write);
        assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 0);
        server.write_all(b"still").await.unwrap();
        let mut word = [0; 5];
        read.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"still");

        let (client, server) = tcp_pair(&handle).await;
        let (read, write) = client.into_split();
        write.forget();
        read.stream().write_all(b"open").await.unwrap();
        server.read_exact(&mut word[..4]).await.unwrap();
        assert_eq!(&word[..4], b"open");
    });
}

#[test]
fn what_cannot_be_done_at_once_says_so_and_can_be_waited_for() {
    let _bounded = bounded();
    for base in bases() {
        run_on(base, async |handle| {
            let (client, server) = tcp_pair(&handle).await;
            let mut buf = [0; 16];
            let error = server.try_read(&mut buf).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            client.writable().await.unwrap();
            assert_eq!(client.try_write(b"now").unwrap(), 3);
            server.readable().await.unwrap();
            assert_eq!(server.try_read(&mut buf).unwrap(), 3);

            let mut sent = 0;
            while let Ok(n) = client.try_write(&[0; 1 << 16]) {
                sent += n;
            }
            let error = client.try_write(&[0; 1 << 16]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            let waits = handle.spawn(async move {
                client.writable().await.unwrap();
                client
            });
            turn().await;
            assert!(!waits.is_finished());
            let mut got = vec![0; sent];
            server.read_exact(&mut got).await.unwrap();
            waits.await.unwrap();
        });
    }
}

#[test]
fn a_task_with_a_socket_that_is_always_ready_leaves_others_their_turn() {
    let _bounded = bounded();
    run(async |handle| {
        let (client, server) = tcp_pair(&handle).await;
        let busy = handle.spawn(async move {
            loop {
                client.write_all(b"x").await.unwrap();
                server.read_exact(&mut [0]).await.unwrap();
            }
        });
        handle.sleep(Duration::from_millis(5)).await;
        assert!(!busy.is_finished());
        busy.cancel();
    });
}

#[test]
fn more_buffers_than_the_system_takes_do_not_stop_the_writer() {
    let _bounded = bounded();
    run(async |handle| {
        let (client, server) = tcp_pair(&handle).await;
        let mut bufs = vec![IoSlice::new(&[]); 1500];
        bufs.extend([IoSlice::new(b"x"); 1500]);
        let mut written = client.write_vectored(&bufs).await.unwrap();
        assert!(written > 0);
        while written < 1500 {
            written += client
                .write_vectored(&bufs[1500 + written..])
                .await
                .unwrap();
        }
        let mut got = [0; 1500];
        server.read_exact(&mut got).await.unwrap();
        assert_eq!(got, [b'x'; 1500]);
    });
}
