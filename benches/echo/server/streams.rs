//! Echo with bufferevents, as echo_bufferevent.c: the input is moved to the output.

use libevent2::stream::Callbacks;
use libevent2::{BufferEvent, LoopHandle, Result};
use std::net::TcpStream;

pub fn accepted(base: &LoopHandle, stream: TcpStream) -> Result<()> {
    let echo = Callbacks::new().on_read(|stream| stream.output().append_from(&stream.input()));
    BufferEvent::from_socket(base, stream, echo)?.detach();
    Ok(())
}
