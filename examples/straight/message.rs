//! What `straight_server` and `straight_client` say to each other: a number and a text. On the wire
//! both the number and the length of the text take four bytes, the text in UTF-8 follows.

use libevent2::net::TcpStream;
use std::io;

pub struct Message {
    pub number: u32,
    pub text: String,
}

/// The longest text, in bytes.
const LONGEST: usize = 64 * 1024;

/// The next message; None when the other one has nothing more to say.
pub async fn read(socket: &TcpStream) -> io::Result<Option<Message>> {
    let mut head = [0; 8];
    match socket.read(&mut head).await? {
        0 => return Ok(None),
        count => socket.read_exact(&mut head[count..]).await?,
    }
    let [number, length] =
        [0, 4].map(|at| u32::from_be_bytes(head[at..at + 4].try_into().unwrap()));
    let length = length as usize;
    if length > LONGEST {
        let why = format!("a text of {length} bytes is too long");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    let mut text = vec![0; length];
    socket.read_exact(&mut text).await?;
    let text = String::from_utf8(text);
    let text = text.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(Some(Message { number, text }))
}

pub async fn write(socket: &TcpStream, number: u32, text: &str) -> io::Result<()> {
    let length = u32::try_from(text.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let head = [number.to_be_bytes(), length.to_be_bytes()].concat();
    socket.write_all(&[&head, text.as_bytes()].concat()).await
}
