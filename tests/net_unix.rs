//! Unix sockets, awaited.
#![cfg(feature = "async")]

mod async_common;
mod common;

use async_common::{bases, pattern, run, run_on, turn};
use common::bounded;
use libevent2::listener::Address;
use libevent2::net::{UnixListener, UnixStream};
use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use std::thread;

#[test]
fn a_listener_has_its_file_and_leaves_it_there() {
    let _bounded = bounded();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    run(async |handle| {
        let listener = UnixListener::bind(&handle, &path).unwrap();
        let addr = listener.local_addr().unwrap();
        assert_eq!(addr.path(), Some(path.as_path()));
        let client = UnixStream::connect(&handle, &path).await.unwrap();
        assert_eq!(client.peer_addr().unwrap().path(), Some(path.as_path()));
        let (server, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, Address::Unix(None));
        assert_eq!(client.local_addr().unwrap(), Address::Unix(None));
        server.write_all(b"hello").await.unwrap();
        let mut word = [0; 5];
        client.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"hello");
    });
    run(async |handle| {
        let error = UnixListener::bind(&handle, &path).unwrap_err();
        assert_eq!(error.io().unwrap().kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().contains("socket"), "{error}");
        let error = UnixStream::connect(&handle, &path).await.unwrap_err();
        assert_eq!(error.io().unwrap().kind(), ErrorKind::ConnectionRefused);
        let nowhere = folder.path().join("nowhere");
        let error = UnixStream::connect(&handle, &nowhere).await.unwrap_err();
        assert_eq!(error.io().unwrap().kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("nowhere"), "{error}");
    });
    assert!(path.exists());
}

#[test]
fn a_writer_waits_for_a_peer_that_does_not_read() {
    let _bounded = bounded();
    for base in bases() {
        run_on(base, async |handle| {
            let (here, there) = UnixStream::pair(&handle).unwrap();
            let sent = pattern(4 << 20);
            let expected = sent.clone();
            let writer = handle.spawn(async move {
                here.write_all(&sent).await.unwrap();
                here.shutdown(Shutdown::Write).unwrap();
                here
            });
            turn().await;
            assert!(!writer.is_finished());
            let mut got = Vec::new();
            there.read_to_end(&mut got).await.unwrap();
            assert!(got == expected);
            there.write_all(b"thanks").await.unwrap();
            let here = writer.await.unwrap();
            let mut word = [0; 6];
            here.read_exact(&mut word).await.unwrap();
        });
    }
}

#[test]
fn a_peer_that_has_gone_is_an_end_for_reading_and_an_error_for_writing() {
    let _bounded = bounded();
    for base in bases() {
        run_on(base, async |handle| {
            let (here, there) = UnixStream::pair(&handle).unwrap();
            there.write_all(b"bye").await.unwrap();
            drop(there);
            let mut text = Vec::new();
            here.read_to_end(&mut text).await.unwrap();
            assert_eq!(text, b"bye");
            let error = here.write(b"?").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        });
    }
}

#[test]
fn a_peer_that_goes_without_reading_is_a_reset_after_its_last_words() {
    let _bounded = bounded();
    for base in bases() {
        run_on(base, async |handle| {
            let (inside, mut outside) = std::os::unix::net::UnixStream::pair().unwrap();
            let here = UnixStream::from_std(&handle, inside).unwrap();
            here.write_all(b"never read").await.unwrap();
            outside.write_all(b"last words").unwrap();
            drop(outside);
            let mut buf = [0; 64];
            assert_eq!(here.read(&mut buf).await.unwrap(), 10);
            let error = here.read(&mut buf).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        });
    }
}

#[test]
fn connections_come_one_after_the_other() {
    let _bounded = bounded();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    run(async |handle| {
        let listener = UnixListener::bind(&handle, &path).unwrap();
        let path = path.clone();
        let clients = thread::spawn(move || {
            for n in 0..50_u8 {
                let mut client = std::os::unix::net::UnixStream::connect(&path).unwrap();
                client.write_all(&[n]).unwrap();
            }
        });
        let mut incoming = listener.incoming();
        for n in 0..50_u8 {
            let stream = incoming.next().await.unwrap().unwrap();
            let mut byte = [0];
            stream.read_exact(&mut byte).await.unwrap();
            assert_eq!(byte[0], n);
        }
        clients.join().unwrap();
    });
}

#[test]
fn halves_of_a_unix_stream_go_to_different_tasks() {
    let _bounded = bounded();
    run(async |handle| {
        let (here, there) = UnixStream::pair(&handle).unwrap();
        let (read, write) = here.into_split();
        let echo = handle.spawn(async move {
            let mut text = Vec::new();
            read.read_to_end(&mut text).await.unwrap();
            write.write_all(&text).await.unwrap();
        });
        let (read, write) = there.split();
        write.write_all(b"again").await.unwrap();
        write.shutdown().unwrap();
        let mut text = Vec::new();
        read.read_to_end(&mut text).await.unwrap();
        assert_eq!(text, b"again");
        echo.await.unwrap();
    });
}

/// A message that passes the descriptor of the sender's error output.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn send_descriptor(socket: &std::os::unix::net::UnixStream, text: &[u8]) {
    // As `struct cmsghdr` has it: the length, the level, the type, and what is passed.
    let mut control = Vec::from(20_u64.to_ne_bytes());
    for field in [libc::SOL_SOCKET, libc::SCM_RIGHTS, 2, 0] {
        control.extend(field.to_ne_bytes());
    }
    let text = [std::io::IoSlice::new(text)];
    let message = socket2::MsgHdr::new()
        .with_buffers(&text)
        .with_control(&control);
    socket2::SockRef::from(socket).sendmsg(&message, 0).unwrap();
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[test]
fn what_lies_behind_a_passed_descriptor_is_read() {
    let _bounded = bounded();
    for base in bases() {
        run_on(base, async |handle| {
            let (inside, mut outside) = std::os::unix::net::UnixStream::pair().unwrap();
            let here = UnixStream::from_std(&handle, inside).unwrap();
            send_descriptor(&outside, b"one");
            outside.write_all(b"two").unwrap();
            let mut buf = [0; 64];
            // The system ends a read there.
            assert_eq!(here.read(&mut buf).await.unwrap(), 3);
            here.write_all(b"go on").await.unwrap();
            assert_eq!(here.read(&mut buf).await.unwrap(), 3);
            assert_eq!(&buf[..3], b"two");
        });
    }
}
