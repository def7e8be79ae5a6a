//! libevent on a thread of its own, beside a program of tokio's, which has work done there and
//! awaits it by `Remote::spawn`, and talks to what libevent's callbacks serve.
//!
//!     beside_tokio localhost example.org

use libevent2::stream::Callbacks;
use libevent2::{BufferEvent, EventBase, Listener, LoopHandle, Remote};
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

type Thread = JoinHandle<libevent2::Result<()>>;

/// A loop that runs until it is told to stop. Its `Remote` is all that leaves the thread.
fn start_loop() -> Result<(Remote, Thread), Box<dyn Error>> {
    let (there, here) = std::sync::mpsc::channel();
    let thread = thread::spawn(move || {
        let mut base = EventBase::new()?;
        let _ = there.send(base.remote()?);
        base.run_until_exit().map(drop)
    });
    Ok((here.recv()?, thread))
}

/// An echo server of callbacks.
fn serve(handle: &LoopHandle) -> libevent2::Result<SocketAddr> {
    let anywhere = (Ipv4Addr::LOCALHOST, 0).into();
    let listener = Listener::bind(handle, anywhere, |listener, client| {
        let echo = Callbacks::new()
            .on_read(|client| client.output().append_from(&client.input()))
            .on_event(|client, _| client.close_when_flushed());
        BufferEvent::from_socket(listener.handle(), client, echo).map(BufferEvent::detach)
    })?;
    let addr = listener.local_addr()?;
    listener.detach();
    Ok(addr.ip().expect("it is bound to one"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (remote, thread) = start_loop()?;

    // The closure runs on the loop's thread, where everything may be made; its result comes back.
    let addr = remote.spawn(|handle| async move { serve(&handle) });
    let mut client = TcpStream::connect(addr.await??).await?;
    client.write_all(b"hello from tokio").await?;
    client.shutdown().await?;
    let mut echo = String::new();
    client.read_to_string(&mut echo).await?;
    println!("{echo}");

    // All lookups are under way before the first one is awaited. One that takes too long is
    // cancelled there, as its handle is dropped here.
    let lookups = std::env::args().skip(1).map(|name| {
        let asked = name.clone();
        let lookup = remote.spawn(|handle| async move { handle.resolve(&asked).await });
        (name, lookup.cancel_on_drop())
    });
    for (name, lookup) in lookups.collect::<Vec<_>>() {
        match timeout(Duration::from_secs(10), lookup).await?? {
            Ok(addresses) => println!("{name}: {addresses:?}"),
            Err(error) => println!("{name}: {error}"),
        }
    }

    remote.stop()?;
    thread.join().expect("no callback panics")?;
    Ok(())
}
