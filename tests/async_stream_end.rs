//! How an awaited stream ends: errors, timeouts, half of a connection, and the way back to callbacks.
#![cfg(all(feature = "async", unix))]

mod async_stream_common;
mod common;

use async_stream_common::{EACH, MOMENT, Over, bytes, polled, run, tcp_pair};
use common::bounded;
use libevent2::buffer::Eol;
use libevent2::stream::{
    AsyncStream, BufferEvent, Callbacks, Direction, Filter, StreamError, StreamEvent,
};
use libevent2::task::promise;
use libevent2::{BoxError, Buffer, EventBase, LoopHandle, Timer};
use std::cell::RefCell;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::os::unix::net::{UnixListener, UnixStream};
use std::rc::Rc;
use std::time::Duration;

/// What is behind an error of a stream.
fn cause(error: &io::Error) -> &StreamError {
    error
        .get_ref()
        .and_then(|error| error.downcast_ref())
        .unwrap_or_else(|| panic!("{error:?} comes from a stream"))
}

/// An address where nobody listens.
fn nobody() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[test]
fn a_connection_is_made_by_address_by_name_and_by_path() {
    let _bounded = bounded();
    run(async |handle| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let greet = |mut socket: std::net::TcpStream| socket.write_all(b"hi\n").unwrap();
        let streams = [
            AsyncStream::connect(&handle, address).await.unwrap(),
            AsyncStream::connect_host(&handle, "127.0.0.1", address.port())
                .await
                .unwrap(),
            AsyncStream::connect_host(&handle, "localhost", address.port())
                .await
                .unwrap(),
        ];
        for stream in streams {
            greet(listener.accept().unwrap().0);
            assert_eq!(stream.read_line(Eol::Lf).await.unwrap().unwrap(), b"hi");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let stream = AsyncStream::connect_unix(&handle, &path).await.unwrap();
        stream.write(b"x").await.unwrap();
        stream.flush().await.unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        peer.read_exact(&mut [0]).unwrap();
    });
}

#[test]
fn a_connection_that_is_refused_says_by_whom() {
    let _bounded = bounded();
    run(async |handle| {
        let address = nobody();
        let error = AsyncStream::connect(&handle, address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(error.to_string(), format!("{address}: connection refused"));
        assert!(matches!(cause(&error), StreamError::Refused { .. }));

        let by_name = AsyncStream::connect_host(&handle, "localhost", address.port()).await;
        assert_eq!(by_name.unwrap_err().kind(), ErrorKind::ConnectionRefused);

        let nowhere = AsyncStream::connect_host(&handle, "no..where", 80).await;
        let error = nowhere.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(matches!(cause(&error), StreamError::Lookup { .. }));

        let path = "x".repeat(200);
        let error = AsyncStream::connect_unix(&handle, path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn an_attempt_that_is_dropped_leaves_nothing() {
    let _bounded = bounded();
    run(async |handle| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for times in 0..3 {
            let attempt = AsyncStream::connect_host(&handle, "localhost", address.port());
            drop(polled(times, attempt).await);
        }
        // `run` looks what is left on the loop.
    });
}

#[test]
fn every_operation_on_a_connection_that_was_never_made_gets_the_reason() {
    let _bounded = bounded();
    run(async |handle| {
        let stream = BufferEvent::connect(&handle, nobody(), Callbacks::new()).unwrap();
        let stream = AsyncStream::new(stream).unwrap();
        stream
            .write(b"goes out once it is connected")
            .await
            .unwrap();
        let is_refused = |error: io::Error| {
            assert!(
                matches!(cause(&error), StreamError::Refused { .. }),
                "{error:?}"
            );
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        };
        is_refused(stream.flush().await.unwrap_err());
        is_refused(stream.read(&mut [0; 9]).await.unwrap_err());
        is_refused(stream.read_exact(1).await.unwrap_err());
        is_refused(stream.read_line(Eol::Lf).await.unwrap_err());
        is_refused(stream.read_to_end().await.unwrap_err());
        is_refused(stream.fill(1).await.unwrap_err());
        is_refused(stream.write(b"x").await.unwrap_err());
        is_refused(stream.writable().await.unwrap_err());
        is_refused(stream.shutdown().await.unwrap_err());
        is_refused(stream.connected().await.unwrap_err());
        is_refused(stream.close().await.unwrap_err());
    });
}

#[test]
fn what_came_before_a_reset_is_read_before_it_is_told() {
    let _bounded = bounded();
    run(async |handle| {
        let (near, mut far) = UnixStream::pair().unwrap();
        let near = AsyncStream::from_socket(&handle, near).unwrap();
        near.write(b"nobody reads this").await.unwrap();
        near.flush().await.unwrap();
        far.write_all(b"last words").unwrap();
        drop(far);
        assert_eq!(near.read_exact(4).await.unwrap(), b"last");
        // Longer than what came.
        let error = near.read_exact(100).await.unwrap_err();
        assert!(
            matches!(cause(&error), StreamError::Reset { .. }),
            "{error:?}"
        );
        assert_eq!(near.input().to_vec(), b" words");
        assert_eq!(near.read(&mut [0; 100]).await.unwrap(), 6);
        let error = near.read(&mut [0; 100]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_write_that_fails_leaves_what_can_still_be_read() {
    let _bounded = bounded();
    run(async |handle| {
        let (near, mut far) = UnixStream::pair().unwrap();
        let near = AsyncStream::from_socket(&handle, near).unwrap();
        far.shutdown(Shutdown::Read).unwrap();
        near.write(b"into the void").await.unwrap();
        let error = near.flush().await.unwrap_err();
        assert!(
            matches!(cause(&error), StreamError::Reset { .. }),
            "{error:?}"
        );
        far.write_all(b"I speak").unwrap();
        assert_eq!(near.read_exact(7).await.unwrap(), b"I speak");
        drop(far);
        assert_eq!(near.read_to_end().await.unwrap(), b"");
        assert!(near.write(b"more").await.is_err());
        assert!(near.close().await.is_err());
    });
}

#[test]
fn a_stream_that_ends_too_early_says_so_and_keeps_what_came() {
    for &over in EACH {
        let _bounded = bounded();
        run(async |handle| {
            let (near, far) = over.ends(&handle);
            far.write(b"line\nhalf a li").await.unwrap();
            let closing = handle.spawn(far.close());
            assert_eq!(near.read_line(Eol::Lf).await.unwrap().unwrap(), b"line");
            let error = near.read_line(Eol::Lf).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{over:?}");
            let error = near.read_exact(10).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{over:?}");
            assert_eq!(near.read_to_end().await.unwrap(), b"half a li", "{over:?}");
            assert_eq!(near.read_line(Eol::Lf).await.unwrap(), None, "{over:?}");
            closing.await.unwrap().unwrap();
        });
    }
}

#[test]
fn a_line_that_is_too_long_is_an_error_as_soon_as_that_is_known() {
    let _bounded = bounded();
    run(async |handle| {
        let (near, far) = Over::Tcp.ends(&handle);
        far.write(b"short\n").await.unwrap();
        let line = near.read_line_limited(Eol::Lf, 10).await.unwrap();
        assert_eq!(line.unwrap(), b"short");
        far.write(b"far too long, and has no end").await.unwrap();
        let error = near.read_line_limited(Eol::Lf, 10).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert_eq!(near.fill(1).await.unwrap(), 28);
    });
}

#[test]
fn a_timeout_is_told_once_and_one_can_go_on() {
    let _bounded = bounded();
    run(async |handle| {
        let (near, far) = Over::Tcp.ends(&handle);
        let near_ref = near.get_ref();
        near_ref.set_timeouts(Some(MOMENT), None).unwrap();
        let error = near.read(&mut [0; 9]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        near_ref.set_timeouts(None, Some(MOMENT)).unwrap();
        far.write(b"late").await.unwrap();
        assert_eq!(near.read_exact(4).await.unwrap(), b"late");

        // Nobody reads.
        let error = loop {
            if let Err(error) = near.write(&[7; 50_000]).await {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        near_ref.set_timeouts(None, None).unwrap();
        let reader = handle.spawn(async move { far.read_to_end().await });
        near.write(b"the end").await.unwrap();
        near.close().await.unwrap();
        let all = reader.await.unwrap().unwrap();
        assert_eq!(all.len() % 50_000, 7);
        assert!(all.ends_with(b"the end"));
    });
}

#[test]
fn closing_fails_when_the_peer_does_not_take_what_was_written() {
    let _bounded = bounded();
    run(async |handle| {
        let (near, far) = Over::Tcp.ends(&handle);
        near.write(&vec![7; 8_000_000]).await.unwrap();
        near.get_ref().set_timeouts(None, Some(MOMENT)).unwrap();
        assert_eq!(near.close().await.unwrap_err().kind(), ErrorKind::TimedOut);
        drop(far);

        let (near, far) = Over::Tcp.ends(&handle);
        near.write(&vec![7; 8_000_000]).await.unwrap();
        let closing = handle.spawn(near.close());
        handle.sleep(MOMENT).await;
        drop(far);
        let error = closing.await.unwrap().unwrap_err();
        assert!(
            matches!(cause(&error), StreamError::Reset { .. }),
            "{error:?}"
        );
    });
}

#[test]
fn half_a_connection_may_be_closed_and_the_other_half_used_over_every_kind() {
    for &over in EACH {
        let _bounded = bounded();
        run(async |handle| {
            let (near, far) = over.ends(&handle);
            near.write(&bytes(200_000)).await.unwrap();
            let server = handle.spawn(async move {
                let question = far.read_to_end().await.unwrap();
                assert!(question == bytes(200_000), "{over:?}");
                far.write(b"the answer").await.unwrap();
                far.close().await.unwrap();
            });
            near.shutdown().await.unwrap();
            near.shutdown().await.unwrap();
            let error = near.write(b"more").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{over:?}");
            assert_eq!(near.read_to_end().await.unwrap(), b"the answer", "{over:?}");
            server.await.unwrap();
        });
    }
}

#[test]
fn who_writes_to_a_peer_that_is_gone_is_told() {
    for &over in EACH {
        let _bounded = bounded();
        run(async |handle| {
            let (near, far) = over.ends(&handle);
            near.connected().await.unwrap();
            far.connected().await.unwrap();
            drop(far);
            let error = loop {
                if let Err(error) = near.write(&[7; 1000]).await {
                    break error;
                }
            };
            assert!(
                matches!(
                    error.kind(),
                    ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof
                ),
                "{over:?}: {error:?}"
            );
        });
    }
}

#[test]
fn a_stream_given_back_tells_its_new_handler_what_it_has_missed() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let handle = base.handle().clone();
    let (near, mut far) = tcp_pair();
    let stream = AsyncStream::from_socket(&base, near).unwrap();
    let stream = base.block_on(async {
        far.write_all(b"one\ntwo\n").unwrap();
        far.shutdown(Shutdown::Write).unwrap();
        let line = stream.read_line(Eol::Lf).await.unwrap();
        assert_eq!(line.unwrap(), b"one");
        // The end was noted.
        handle.sleep(MOMENT).await;
        stream.into_inner()
    });
    let stream = stream.unwrap();
    let heard = Rc::new(RefCell::new(Vec::new()));
    let (read, event) = (heard.clone(), heard.clone());
    let handler = Callbacks::new()
        .on_read(move |stream| {
            let text = String::from_utf8(stream.input().take().to_vec()).unwrap();
            read.borrow_mut().push(text);
        })
        .on_event(move |stream, happened| {
            event.borrow_mut().push(format!("{happened:?}"));
            if let StreamEvent::Eof = happened {
                stream.close();
            }
        });
    stream.set_handler(handler).unwrap();
    base.run().unwrap();
    let mut heard = heard.take();
    heard.sort();
    assert_eq!(heard, ["Eof", "two\n"]);
}

#[test]
fn nobody_waits_for_ever_when_the_base_is_gone() {
    let _bounded = bounded();
    let base = EventBase::new().unwrap();
    let (near, _far) = Over::Unix.ends(&base);
    let mut other = EventBase::new().unwrap();
    let mut base = Some(base);
    let timer = Timer::after(&other, Duration::from_millis(1), move |_| drop(base.take()));
    let error = other.block_on(near.read(&mut [0; 9])).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected);
    let error = other.block_on(near.write(b"x")).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected);
    let error = other.block_on(near.close()).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected);
    drop(timer);
}

#[test]
fn nobody_waits_for_ever_when_the_handler_was_replaced() {
    let _bounded = bounded();
    run(async |handle| {
        let (near, _far) = Over::Unix.ends(&handle);
        let near = Rc::new(near);
        let reader = handle.spawn({
            let near = near.clone();
            async move { near.read(&mut [0; 9]).await }
        });
        handle.sleep(MOMENT).await;
        near.get_ref().set_handler(Callbacks::new()).unwrap();
        let error = reader.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotConnected);
    });
}

#[test]
fn what_was_written_goes_out_after_the_stream_was_given_to_the_base() {
    for &over in EACH {
        let _bounded = bounded();
        run(async |handle| {
            let (near, far) = over.ends(&handle);
            near.write(&bytes(500_000)).await.unwrap();
            near.close_when_flushed();
            assert!(
                far.read_to_end().await.unwrap() == bytes(500_000),
                "{over:?}"
            );
            drop(far);
            // Over TLS the last notice may still be on its way.
            while handle.stats().live_total() > 0 {
                handle.sleep(MOMENT).await;
            }
        });
    }
}

/// As a protocol does it: in clear first, then by TLS over the same connection.
#[cfg(feature = "rustls")]
#[test]
fn a_connection_is_upgraded_to_tls_halfway() {
    let _bounded = bounded();
    run(async |handle| {
        let (near, far) = Over::Tcp.ends(&handle);
        let server = handle.spawn(async move {
            assert_eq!(far.read_line(Eol::Crlf).await?.unwrap(), b"STARTTLS");
            far.write(b"220 go on\r\n").await?;
            far.flush().await?;
            Ok::<_, io::Error>(far.into_inner())
        });
        near.write(b"STARTTLS\r\n").await.unwrap();
        let answer = near.read_line(Eol::Crlf).await.unwrap();
        assert_eq!(answer.unwrap(), b"220 go on");
        let far = server.await.unwrap().unwrap();
        let (near, far) = async_stream_common::rustls((near.into_inner(), far));
        let (near, far) = (
            AsyncStream::new(near).unwrap(),
            AsyncStream::new(far).unwrap(),
        );
        near.connected().await.unwrap();
        near.write(b"secret").await.unwrap();
        assert_eq!(far.read_exact(6).await.unwrap(), b"secret");
    });
}

#[cfg(feature = "rustls")]
#[test]
fn tls_that_is_cut_off_is_an_error_and_not_an_end() {
    let _bounded = bounded();
    run(async |handle| {
        let (near, far) = UnixStream::pair().unwrap();
        let far_socket = far.try_clone().unwrap();
        let stream = |socket| BufferEvent::from_socket(&handle, socket, Callbacks::new()).unwrap();
        let (near, far) = async_stream_common::rustls((stream(near), stream(far)));
        let (near, far) = (
            AsyncStream::new(near).unwrap(),
            AsyncStream::new(far).unwrap(),
        );
        far.write(b"half of the trut").await.unwrap();
        far.flush().await.unwrap();
        far_socket.shutdown(Shutdown::Both).unwrap();
        let error = near.read_to_end().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{error:?}");
        let is_cut = matches!(
            cause(&error),
            StreamError::Tls {
                truncated: true,
                ..
            }
        );
        assert!(is_cut, "{error:?}");
        assert_eq!(near.input().to_vec(), b"half of the trut");
    });
}

#[test]
fn a_handler_of_the_callback_kind_may_be_the_peer() {
    let _bounded = bounded();
    run(async |handle| {
        let (near, far) = Over::Pair.buffer_events(&handle);
        let (closed, hears) = promise();
        let mut closed = Some(closed);
        let echo = Callbacks::new()
            .on_read(|stream| stream.output().append_from(&stream.input()))
            .on_event(move |stream, event| match event {
                StreamEvent::Eof => stream.close_when_flushed(),
                StreamEvent::Closed => closed.take().unwrap().resolve(()),
                _ => {}
            });
        far.set_handler(echo).unwrap();
        let near = AsyncStream::new(near).unwrap();
        near.write(b"echo").await.unwrap();
        assert_eq!(near.read_exact(4).await.unwrap(), b"echo");
        near.shutdown().await.unwrap();
        assert_eq!(near.read_to_end().await.unwrap(), b"");
        hears.await.unwrap();
        assert_eq!(near.get_ref().enabled(), Direction::WRITE);
    });
}

/// Ends what it sends with a mark.
struct Marked;

impl Filter for Marked {
    fn finish(&mut self, out: &mut Buffer) -> Result<(), BoxError> {
        Ok(out.append(b"<end>")?)
    }
}

#[test]
fn the_last_words_of_a_filter_are_sent_before_shutdown_is_done() {
    let _bounded = bounded();
    run(async |handle| {
        let (near, far) = UnixStream::pair().unwrap();
        let below = BufferEvent::from_socket(&handle, near, Callbacks::new()).unwrap();
        let near = BufferEvent::filter(below, Marked, Callbacks::new()).unwrap();
        let near = AsyncStream::new(near).unwrap();
        let far = AsyncStream::from_socket(&handle, far).unwrap();
        let text = bytes(1_000_000);
        let reader = handle.spawn(async move { far.read_to_end().await });
        near.write(&text).await.unwrap();
        near.shutdown().await.unwrap();
        drop(near);
        let got = reader.await.unwrap().unwrap();
        assert!(got == [&text[..], b"<end>"].concat());
    });
}

#[test]
fn closing_a_connection_that_is_not_made_ends_with_the_reason() {
    let _bounded = bounded();
    run(async |handle| {
        let attempt = |handle: &LoopHandle| {
            let port = nobody().port();
            BufferEvent::connect_host(handle, "localhost", port, Callbacks::new()).unwrap()
        };
        let stream = AsyncStream::new(attempt(&handle)).unwrap();
        stream.write(b"for nobody").await.unwrap();
        let error = stream.close().await.unwrap_err();
        assert!(matches!(cause(&error), StreamError::Refused { .. }));
        // Given to the base as well it does not stay for ever.
        let given = |stream: BufferEvent| {
            stream.write(b"for nobody").unwrap();
            AsyncStream::new(stream).unwrap().close_when_flushed();
        };
        given(attempt(&handle));
        given(BufferEvent::filter(attempt(&handle), Marked, Callbacks::new()).unwrap());
        #[cfg(feature = "rustls")]
        {
            let (near, far) = async_stream_common::rustls((attempt(&handle), attempt(&handle)));
            given(near);
            given(far);
        }
        #[cfg(feature = "openssl")]
        {
            let (near, far) = async_stream_common::openssl((attempt(&handle), attempt(&handle)));
            given(near);
            given(far);
        }
        while handle.stats().live_total() > 0 {
            handle.sleep(MOMENT).await;
        }
    });
}
