//! HTTP on hyper and this crate's loop, one task per connection. Prints its port.

use bench_peers::hello::answer;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use libevent2::net::TcpListener;
use libevent2::{EventBase, LoopHandle};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut base = EventBase::new()?;
    let handle = base.handle().clone();
    base.block_on(serve(handle))?
}

async fn serve(handle: LoopHandle) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(&handle, ([127, 0, 0, 1], 0).into())?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        handle.spawn(
            http1::Builder::new()
                .pipeline_flush(true)
                .serve_connection(stream, service_fn(answer)),
        );
    }
}
