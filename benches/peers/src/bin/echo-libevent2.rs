//! Echo on this crate's loop, one task per connection. Prints its port. The argument is the size of
//! a connection's buffer.

use bench_peers::buffer;
use libevent2::net::{TcpListener, TcpStream};
use libevent2::{EventBase, LoopHandle};
use std::error::Error;
use std::io;

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
        handle.spawn(echo(stream));
    }
}

async fn echo(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = buffer();
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n]).await?;
    }
}
