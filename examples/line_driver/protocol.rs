//! What MPD hears and says, apart from how bytes come and go. A command is a line, its answer some
//! lines `name: value` and one that says how it went.

use std::io::{self, ErrorKind};

/// The longest line of an answer, and the most lines of one.
pub const LONGEST: usize = 4096;
const MOST: usize = 1 << 16;

pub type Fields = Vec<(String, String)>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the server refuses: {0}")]
    Refused(String),
    #[error("a command has to be one line, and not {0:?}")]
    NotALine(String),
    #[error("the connection to the server is lost: {0}")]
    Lost(#[from] io::Error),
}

/// The bytes of a command.
pub fn command(text: &str) -> Result<Vec<u8>, Error> {
    match text.contains(['\r', '\n']) {
        true => Err(Error::NotALine(text.to_owned())),
        false => Ok(format!("{text}\n").into_bytes()),
    }
}

/// What the server says first.
pub fn greeting(line: &[u8]) -> io::Result<()> {
    let is_one = line.starts_with(b"OK MPD ");
    is_one.then_some(()).ok_or(ErrorKind::InvalidData.into())
}

/// Adds a line to the answer that it belongs to. Returns whether that is complete.
pub fn line(line: &[u8], answer: &mut Fields) -> Result<bool, Error> {
    let line = std::str::from_utf8(line).map_err(io::Error::other)?;
    if line == "OK" {
        return Ok(true);
    }
    if let Some(why) = line.strip_prefix("ACK ") {
        return Err(Error::Refused(why.to_owned()));
    }
    let field = line.split_once(": ").filter(|_| answer.len() < MOST);
    let (name, value) = field.ok_or(io::Error::from(ErrorKind::InvalidData))?;
    answer.push((name.to_owned(), value.to_owned()));
    Ok(false)
}
