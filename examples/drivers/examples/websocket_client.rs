//! Says its arguments to a WebSocket server and shows what that answers, by async-tungstenite over
//! a socket of the loop (the traits of futures-io).
//!
//!     websocket_client ws://127.0.0.1:8080/ hello "how are you"

use async_tungstenite::client_async;
use async_tungstenite::tungstenite::http::Uri;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::tungstenite::protocol::{CloseFrame, Message};
use futures_util::StreamExt;
use libevent2::net::TcpStream;
use libevent2::{EventBase, LoopHandle};
use std::error::Error;

async fn talk(handle: &LoopHandle, url: &str, words: &[String]) -> Result<(), Box<dyn Error>> {
    let uri: Uri = url.parse()?;
    let host = uri.host().ok_or("a URL has a host")?;
    let port = uri.port_u16().unwrap_or(80);
    let stream = TcpStream::connect_host(handle, host, port).await?;
    let (socket, response) = client_async(url, stream).await?;
    println!("{}", response.status());

    // One task speaks while this one listens: nothing waits for an answer before it goes on.
    let (mut speak, mut hear) = socket.split();
    let messages = words.iter().map(Message::text).collect::<Vec<_>>();
    let spoken = handle.spawn(async move {
        for message in messages {
            speak.send(message).await?;
        }
        Ok::<_, async_tungstenite::tungstenite::Error>(speak)
    });
    let mut answers = 0;
    while answers < words.len() {
        match hear.next().await.ok_or("the server has gone")?? {
            Message::Text(text) => println!("{text}"),
            Message::Binary(bytes) => println!("{} bytes", bytes.len()),
            // Such as a ping, which the crate answers by itself.
            _ => continue,
        }
        answers += 1;
    }
    let goodbye = CloseFrame {
        code: CloseCode::Normal,
        reason: "thank you".into(),
    };
    spoken.await??.close(Some(goodbye)).await?;
    while let Some(message) = hear.next().await {
        if let Message::Close(Some(end)) = message? {
            println!("closed: {}", end.code);
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, words @ ..] = &args[..] else {
        return Err("usage: websocket_client URL MESSAGE...".into());
    };
    let mut base = EventBase::new()?;
    let handle = base.handle().clone();
    base.block_on(talk(&handle, url, words))?
}
