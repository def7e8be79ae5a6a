//! Echo on smol's parts, async-io and async-executor's `LocalExecutor`, one task per connection. Prints
//! its port. The argument is the size of a connection's buffer.

use async_executor::LocalExecutor;
use async_io::Async;
use bench_peers::buffer;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::io;
use std::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let executor = LocalExecutor::new();
    async_io::block_on(executor.run(serve(&executor)))
}

async fn serve(executor: &LocalExecutor<'_>) -> io::Result<()> {
    let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
    println!("{}", listener.get_ref().local_addr()?.port());
    loop {
        let (stream, _) = listener.accept().await?;
        executor.spawn(echo(stream)).detach();
    }
}

async fn echo(mut stream: Async<TcpStream>) -> io::Result<()> {
    stream.get_ref().set_nodelay(true)?;
    let mut buffer = buffer();
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n]).await?;
    }
}
