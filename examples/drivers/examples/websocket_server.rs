//! A WebSocket server that sends back what it gets, by tokio-tungstenite over sockets of the loop
//! (the traits of tokio, without its runtime), until SIGINT.
//!
//!     websocket_server 127.0.0.1:8080

use futures_util::future::{Either, select};
use futures_util::{SinkExt, StreamExt};
use libevent2::net::{TcpListener, TcpStream};
use libevent2::{EventBase, LoopHandle};
use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::pin::pin;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::{self, Message};

async fn echo(stream: TcpStream) -> Result<u64, tungstenite::Error> {
    stream.set_nodelay(true)?;
    let mut socket = accept_async(stream).await?;
    let mut count = 0;
    // The crate answers pings and a goodbye by itself.
    while let Some(message) = socket.next().await {
        let message = message?;
        if let Message::Text(_) | Message::Binary(_) = message {
            count += 1;
            socket.send(message).await?;
        }
    }
    Ok(count)
}

async fn serve(handle: &LoopHandle, listener: TcpListener) -> io::Result<Infallible> {
    loop {
        let (stream, peer) = listener.accept().await?;
        handle.spawn(async move {
            match echo(stream).await {
                Ok(count) => println!("{peer}: {count} messages"),
                Err(error) => println!("{peer}: {error}"),
            }
        });
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let addr = std::env::args().nth(1);
    let addr = addr.as_deref().unwrap_or("127.0.0.1:8080").parse()?;
    let mut base = EventBase::new()?;
    let handle = base.handle().clone();
    let mut signals = handle.signals(&[libc::SIGINT, libc::SIGTERM])?;
    let listener = TcpListener::bind(&handle, addr)?;
    println!("listening on ws://{}", listener.local_addr()?);
    base.block_on(async {
        match select(pin!(serve(&handle, listener)), pin!(signals.next())).await {
            Either::Left((Err(error), _)) => Err(error.into()),
            Either::Right(_) => Ok(()),
        }
    })?
}
