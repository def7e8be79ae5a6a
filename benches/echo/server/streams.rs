//! Echo with bufferevents, as echo_bufferevent.c: the input is moved to the output.

use libevent2::stream::Callbacks;
use libevent2::{BufferEvent, LoopHandle, Result};
use std::net::TcpStream;

pub fn accepted(base: &LoopHandle, stream: TcpStream) -> Result<()> {
    echo(base, stream)?.detach();
    Ok(())
}

/// libevent itself reads and writes, as under C programs.
pub fn left_to_c(base: &LoopHandle, stream: TcpStream) -> Result<()> {
    let stream = echo(base, stream)?;
    let _ = stream.as_ptr();
    stream.detach();
    Ok(())
}

fn echo(base: &LoopHandle, stream: TcpStream) -> Result<BufferEvent> {
    let echo = Callbacks::new().on_read(|stream| stream.output().append_from(&stream.input()));
    BufferEvent::from_socket(base, stream, echo)
}
