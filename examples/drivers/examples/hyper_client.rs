//! hyper's client on the loop, by HTTP/1 or HTTP/2.
//!
//!     cargo run --example hyper_client -- http://example.org/
//!     cargo run --example hyper_client -- --http2 http://127.0.0.1:8080/    # without TLS

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::header::HOST;
use hyper::{Request, Response, Uri, Version};
use libevent2::net::TcpStream;
use libevent2::{EventBase, LoopHandle};
use std::error::Error;
use std::io::Write;
use std::time::Duration;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Asks for `uri` on a connection of its own.
pub async fn get(handle: &LoopHandle, uri: Uri, version: Version) -> Result<Response<Incoming>> {
    let host = uri.host().ok_or("an address without a host")?;
    let stream = TcpStream::connect_host(handle, host, uri.port_u16().unwrap_or(80)).await?;

    // The connection is a task of the loop; what goes over it is asked for through the sender,
    // which also hears of its errors.
    if version == Version::HTTP_2 {
        let (mut sender, connection) = http2::handshake(handle.clone(), stream).await?;
        handle.spawn(connection);
        let request = Request::get(uri).body(Empty::<Bytes>::new())?;
        Ok(sender.send_request(request).await?)
    } else {
        let (mut sender, connection) = http1::handshake(stream).await?;
        handle.spawn(connection);
        let host = uri.authority().map_or("", |authority| authority.as_str());
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let request = Request::get(path).header(HOST, host);
        Ok(sender
            .send_request(request.body(Empty::<Bytes>::new())?)
            .await?)
    }
}

fn main() -> Result<()> {
    let mut version = Version::HTTP_11;
    let mut uri = None;
    for arg in std::env::args().skip(1) {
        match arg.as_str() {
            "--http2" => version = Version::HTTP_2,
            _ => uri = Some(arg.parse::<Uri>()?),
        }
    }
    let uri = uri.ok_or("usage: hyper_client [--http2] URL")?;

    let mut base = EventBase::new()?;
    let handle = base.handle().clone();
    base.block_on(async {
        let answer = get(&handle, uri, version);
        let mut answer = handle.timeout(Duration::from_secs(10), answer).await??;
        eprintln!("{:?} {}", answer.version(), answer.status());
        while let Some(frame) = answer.frame().await {
            if let Ok(data) = frame?.into_data() {
                std::io::stdout().write_all(&data)?;
            }
        }
        Ok(())
    })?
}
