//! Callbacks and futures in one program, on one loop: each starts the other and waits for it.
#![cfg(all(feature = "async", unix))]

mod common;

use common::{Bump, bounded, count};
use libevent2::buffer::Eol;
use libevent2::stream::{AsyncStream, BufferEvent, Callbacks, StreamEvent};
use libevent2::task::promise;
use libevent2::{EventBase, Listener, LoopHandle, Timer};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

const ANY: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// Keys and values, of all connections.
type Store = Rc<RefCell<HashMap<String, String>>>;

/// One request: `set key value` or `get key`.
fn answer(store: &Store, line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line).into_owned();
    let mut words = line.split(' ');
    match (words.next(), words.next(), words.next()) {
        (Some("set"), Some(key), Some(value)) => {
            store.borrow_mut().insert(key.to_owned(), value.to_owned());
            "ok\n".to_owned()
        }
        (Some("get"), Some(key), None) => match store.borrow().get(key) {
            Some(value) => format!("{value}\n"),
            None => "none\n".to_owned(),
        },
        _ => "what?\n".to_owned(),
    }
}

/// Serves a connection by callbacks.
fn serve_by_callbacks(
    store: Store,
) -> Callbacks<impl FnMut(&libevent2::BufferEventRef) -> libevent2::Result<()>> {
    Callbacks::new().on_read(move |stream| {
        while let Some(line) = stream.input().read_line(Eol::Lf) {
            stream.write(answer(&store, &line).as_bytes())?;
        }
        Ok(())
    })
}

/// Serves a connection in a straight line.
async fn serve_by_futures(stream: AsyncStream, store: Store) -> io::Result<()> {
    while let Some(line) = stream.read_line(Eol::Lf).await? {
        stream.write(answer(&store, &line).as_bytes()).await?;
    }
    stream.close().await
}

/// A listener whose callback gives every second connection to a task.
fn listen(base: &LoopHandle, store: &Store) -> (Listener, SocketAddr) {
    let (store, connections) = (store.clone(), count());
    let listener = Listener::bind(base, SocketAddr::from(ANY), move |listener, accepted| {
        let handle = listener.handle();
        let store = store.clone();
        if connections.bump() % 2 == 0 {
            let stream = AsyncStream::from_socket(handle, accepted)?;
            handle.spawn(serve_by_futures(stream, store)).detach();
        } else {
            BufferEvent::from_socket(handle, accepted, serve_by_callbacks(store))?.detach();
        }
        Ok::<_, libevent2::Error>(())
    });
    let listener = listener.unwrap();
    let address = listener.local_addr().unwrap().ip().unwrap();
    (listener, address)
}

#[test]
fn connections_of_both_kinds_share_a_listener_a_loop_and_what_they_serve() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let handle = base.handle().clone();
    let (listener, address) = listen(&base, &Store::default());
    let asked = base.block_on(async {
        let first = AsyncStream::connect(&handle, address).await?;
        let second = AsyncStream::connect(&handle, address).await?;
        let mut answers = Vec::new();
        for (stream, request) in [
            (&first, "set a 1\n"),
            (&second, "get a\n"),
            (&second, "set b 2\n"),
            (&first, "get b\n"),
            (&first, "get c\n"),
            (&second, "?\n"),
        ] {
            stream.write(request.as_bytes()).await?;
            let line = stream.read_line(Eol::Lf).await?.unwrap();
            answers.push(String::from_utf8(line).unwrap());
        }
        first.close().await?;
        second.close().await?;
        Ok::<_, io::Error>(answers)
    });
    assert_eq!(
        asked.unwrap().unwrap(),
        ["ok", "1", "ok", "2", "none", "what?"]
    );
    drop(listener);
    base.run().unwrap();
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn a_callback_is_awaited_by_a_promise() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (connected, is_connected) = promise();
    let (answered, is_answered) = promise();
    let (listener, address) = listen(&base, &Store::default());
    let mut connected = Some(connected);
    let mut answered = Some(answered);
    let handler = Callbacks::new()
        .on_read(move |stream| {
            if let (Some(line), Some(answered)) =
                (stream.input().read_line(Eol::Lf), answered.take())
            {
                answered.resolve(line);
            }
        })
        .on_event(move |_, event| match (event, connected.take()) {
            (StreamEvent::Connected, Some(connected)) => connected.resolve(Ok(())),
            (StreamEvent::Failed(error), Some(connected)) => connected.resolve(Err(error)),
            _ => {}
        });
    let stream = BufferEvent::connect(&base, address, handler).unwrap();
    let line = base.block_on(async {
        is_connected.await.unwrap().unwrap();
        stream.write(b"get nothing\n").unwrap();
        is_answered.await.unwrap()
    });
    assert_eq!(line.unwrap(), b"none");
    drop((stream, listener));
}

#[test]
fn a_promise_that_goes_with_its_callback_is_broken() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (promise, promised) = promise::<()>();
    let timer = Timer::after(&base, Duration::from_secs(60), move |_| promise.resolve(()));
    let result = base.block_on(async {
        drop(timer);
        promised.await
    });
    assert!(result.unwrap().is_err());
}

#[test]
fn the_result_of_a_future_is_given_to_a_callback() {
    /// How callback code asks: it gets its answer later, once, whatever becomes of it.
    fn ask(
        base: &LoopHandle,
        address: SocketAddr,
        request: &'static str,
        callback: impl FnOnce(io::Result<String>) + 'static,
    ) {
        let handle = base.clone();
        let asked = async move {
            let stream = AsyncStream::connect(&handle, address).await?;
            stream.write(request.as_bytes()).await?;
            let line = stream.read_line(Eol::Lf).await?;
            let line = line.ok_or(io::ErrorKind::UnexpectedEof)?;
            Ok(String::from_utf8_lossy(&line).into_owned())
        };
        base.spawn(async move { callback(asked.await) }).detach();
    }

    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let (listener, address) = listen(&base, &Store::default());
    let answers = Rc::new(RefCell::new(Vec::new()));
    let (first, second) = (answers.clone(), answers.clone());
    let handle = base.handle().clone();
    // From a callback, and one from inside the other.
    let timer = Timer::after(&base, Duration::from_millis(1), move |base| {
        let nested = handle.clone();
        ask(base, address, "set a 1\n", move |answer| {
            first.borrow_mut().push(answer.unwrap());
            ask(&nested.clone(), address, "get a\n", move |answer| {
                second.borrow_mut().push(answer.unwrap());
                nested.exit();
            });
        });
    });
    base.run().unwrap();
    assert_eq!(*answers.borrow(), ["ok", "1"]);
    drop((timer, listener));

    // The peer is gone: an error is an answer too.
    let failed = count();
    let noted = failed.clone();
    ask(&base, address, "get a\n", move |answer| {
        assert_eq!(answer.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        noted.bump();
    });
    base.run().unwrap();
    assert_eq!(failed.get(), 1);
}

#[test]
fn an_error_of_a_task_that_a_callback_has_started_comes_out_of_run() {
    let _bounded = bounded();
    let mut base = EventBase::new().unwrap();
    let timer = Timer::after(&base, Duration::from_millis(1), |base| {
        let handle = base.clone();
        let task = async move {
            let stream = AsyncStream::connect_host(&handle, "no..where", 80).await?;
            stream.write(b"x").await
        };
        base.spawn(task).detach();
    });
    let error = base.run().unwrap_err();
    assert!(error.to_string().contains("no..where"), "{error}");
    drop(timer);
}
