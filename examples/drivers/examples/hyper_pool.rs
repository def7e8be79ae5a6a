//! hyper-util's client, which keeps a pool of connections: several requests at once to the same
//! server, and again, over as few connections as it takes.
//!
//!     cargo run --example hyper_pool -- http://127.0.0.1:8080/ 100

use futures_util::future::try_join_all;
use http_body_util::{BodyExt, Empty};
use hyper::Uri;
use hyper::body::Bytes;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, Connected, Connection};
use libevent2::net::TcpStream;
use libevent2::task::OnLoop;
use libevent2::{EventBase, LoopHandle};
use std::error::Error;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A client whose connections, tasks and timers are the loop's. It asks for `Send` everywhere, so
/// what it gets is kept `OnLoop`.
pub fn client(handle: &LoopHandle) -> Client<impl Connect + Clone + use<>, Empty<Bytes>> {
    let on_loop = OnLoop::new(handle, handle.clone());
    let executor = on_loop.clone();
    let connector = tower::service_fn(move |uri: Uri| {
        on_loop.future(async move |handle| {
            let host = uri.host().ok_or(io::ErrorKind::InvalidInput)?;
            let port = uri.port_u16().unwrap_or(80);
            let stream = TcpStream::connect_host(&handle, host, port).await?;
            stream.set_nodelay(true)?;
            io::Result::Ok(Pooled(OnLoop::new(&handle, stream)))
        })
    });
    Client::builder(executor.clone())
        .pool_timer(executor)
        .build(connector)
}

/// The pool wants to know of each connection whether it speaks HTTP/2 and goes to a proxy: no.
struct Pooled(OnLoop<TcpStream>);

impl Connection for Pooled {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Pooled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl Write for Pooled {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let uri: Uri = args
        .next()
        .ok_or("usage: hyper_pool URL [COUNT]")?
        .parse()?;
    let count: usize = args.next().map_or(Ok(10), |count| count.parse())?;
    let mut base = EventBase::new()?;
    let handle = base.handle().clone();
    base.block_on(async {
        let client = client(&handle);
        for round in 1..=2 {
            let asked = (0..count).map(|_| async {
                let answer = client.get(uri.clone()).await?;
                let body = answer.into_body().collect().await?.to_bytes();
                Ok::<_, Box<dyn Error>>(body.len())
            });
            let bytes: usize = try_join_all(asked).await?.into_iter().sum();
            println!("round {round}: {count} answers, {bytes} bytes");
        }
        Ok(())
    })?
}
