//! Against a server that says what a test wants, on a real socket.

use crate::client::{Client, Error};
use crate::common::bounded;
use libevent2::buffer::Eol;
use libevent2::net::TcpListener;
use libevent2::stream::AsyncStream;
use libevent2::{EventBase, LoopHandle};
use std::cell::RefCell;
use std::future::Future;
use std::io::ErrorKind;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

type Said = Rc<RefCell<Vec<String>>>;

/// Runs a test with a client whose server sends, for each line that it gets, the next of `answers`,
/// and then closes.
fn with_answers(
    answers: &'static [&'static str],
    test: impl AsyncFnOnce(LoopHandle, Client, Said),
) {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let handle = base.handle().clone();
    let said = Said::default();
    base.block_on(async {
        let listener = TcpListener::bind(&handle, "127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let stream = AsyncStream::connect(&handle, address).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        let server = AsyncStream::from_socket(&handle, socket.into_std()).unwrap();
        let heard = said.clone();
        let server = handle.spawn(async move {
            for answer in answers {
                let Some(line) = server.read_line(Eol::Crlf).await.unwrap() else {
                    return;
                };
                heard.borrow_mut().push(String::from_utf8(line).unwrap());
                server.write(answer.as_bytes()).await.unwrap();
            }
            let _ = server.flush().await;
        });
        let client = Client::new(&handle, stream);
        test(handle.clone(), client, said.clone()).await;
        server.cancel();
    })
    .unwrap();
}

#[test]
fn each_refusal_is_the_error_that_it_is() {
    const ANSWERS: &[&str] = &[
        "NOT_FOUND\r\n",
        "TIMED_OUT\r\n",
        "DEADLINE_SOON\r\n",
        "OUT_OF_MEMORY\r\n",
        "USINGLY x\r\n",
    ];
    with_answers(ANSWERS, async |_, client, _| {
        let expected = [
            Error::NotFound,
            Error::TimedOut,
            Error::Refused("DEADLINE_SOON".to_owned()),
            Error::Refused("OUT_OF_MEMORY".to_owned()),
            Error::Refused("USINGLY x".to_owned()),
        ];
        for error in expected {
            assert_eq!(client.use_tube("x").await.err(), Some(error));
        }
    });
}

/// What is no answer ends the connection, and no answer after it is taken for another's.
#[test]
fn an_answer_that_cannot_be_understood_ends_the_connection() {
    const BAD: [(&[&str], ErrorKind); 5] = [
        (&["RESERVED 1 x\r\n"], ErrorKind::InvalidData),
        (&["RESERVED 1 99999999999\r\n"], ErrorKind::InvalidData),
        (&["\u{FFFD}"], ErrorKind::UnexpectedEof),
        (&["RESERVED 1 10\r\nshort"], ErrorKind::UnexpectedEof),
        (&["USING a\r\nUSING b\r\n"], ErrorKind::InvalidData),
    ];
    for (answers, kind) in BAD {
        with_answers(answers, async |handle, client, _| {
            let mut error = client.use_tube("x").await.err();
            if error.is_none() {
                // One answer too many comes right behind the one that was asked for.
                handle.sleep(Duration::from_millis(20)).await;
                error = client.use_tube("x").await.err();
            }
            assert_eq!(error, Some(Error::Lost(kind)), "{answers:?}");
            assert_eq!(client.use_tube("y").await.err(), Some(Error::Lost(kind)));
        });
    }
}

#[test]
fn a_line_without_end_is_not_kept_in_memory() {
    static LONG: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| "x".repeat(100_000));
    static ANSWERS: std::sync::LazyLock<Vec<&str>> = std::sync::LazyLock::new(|| vec![&LONG]);
    with_answers(&ANSWERS, async |_, client, _| {
        let error = client.use_tube("x").await.err();
        assert_eq!(error, Some(Error::Lost(ErrorKind::InvalidData)));
    });
}

/// The connection is made known to be lost while nobody asks anything.
#[test]
fn a_connection_that_is_closed_while_it_is_idle_is_lost() {
    with_answers(&[], async |handle, client, _| {
        handle.sleep(Duration::from_millis(20)).await;
        let error = client.use_tube("x").await.err();
        assert_eq!(error, Some(Error::Lost(ErrorKind::UnexpectedEof)));
    });
}

/// Polled so many times and dropped, a command is sent whole or not at all, and the answers still
/// belong to those who asked.
#[test]
fn a_command_that_is_dropped_at_any_time_shifts_no_answer() {
    const ANSWERS: &[&str] = &["USING dropped\r\n", "USING kept\r\n"];
    for polls in 0..3 {
        with_answers(ANSWERS, async |_, client, said| {
            let mut cx = Context::from_waker(Waker::noop());
            {
                let mut dropped = pin!(client.use_tube("dropped"));
                for _ in 0..polls {
                    assert!(dropped.as_mut().poll(&mut cx).is_pending());
                }
            }
            let reply = client.use_tube("kept").await.unwrap();
            match polls {
                // Never begun: the first answer is the one to the first command.
                0 => assert_eq!(reply.line, "USING dropped"),
                _ => assert_eq!(reply.line, "USING kept"),
            }
            let sent: &[&str] = match polls {
                0 => &["use kept"],
                _ => &["use dropped", "use kept"],
            };
            assert_eq!(*said.borrow(), sent);
        });
    }
}

/// A job that has come for somebody who has gone is released.
#[test]
fn a_job_for_nobody_is_released() {
    const ANSWERS: &[&str] = &["RESERVED 7 1\r\nx\r\n", "RELEASED\r\n", "USING x\r\n"];
    with_answers(ANSWERS, async |handle, client, said| {
        {
            let mut cx = Context::from_waker(Waker::noop());
            let mut dropped = pin!(client.reserve(5));
            assert!(dropped.as_mut().poll(&mut cx).is_pending());
        }
        while said.borrow().len() < 2 {
            handle.sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(client.use_tube("x").await.unwrap().line, "USING x");
        let expected = ["reserve-with-timeout 5", "release 7 0 0", "use x"];
        assert_eq!(*said.borrow(), expected);
    });
}

/// One that was deleted is not released as well.
#[test]
fn a_job_that_is_ended_is_ended_once() {
    const ANSWERS: &[&str] = &["RESERVED 7 1\r\nx\r\n", "DELETED\r\n", "USING x\r\n"];
    with_answers(ANSWERS, async |_, client, said| {
        client.reserve(5).await.unwrap().delete().await.unwrap();
        client.use_tube("x").await.unwrap();
        assert_eq!(
            *said.borrow(),
            ["reserve-with-timeout 5", "delete 7", "use x"]
        );
    });
}
