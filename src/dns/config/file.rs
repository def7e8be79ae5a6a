//! Configuration files, which are small, and there at once.

use crate::error::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The text of a file of `limit` bytes at most; what is not UTF-8 in it is replaced.
pub(super) fn read(path: &Path, limit: u64) -> Result<String> {
    let text = open(path).and_then(|file| text(file, limit));
    text.map_err(|source| Error::Os {
        op: format!("reading {}", path.display()),
        source,
    })
}

/// Whether there is no such file.
pub(super) fn is_missing(error: &Error) -> bool {
    error
        .io()
        .is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn open(path: &Path) -> io::Result<File> {
    // To open a pipe would wait for somebody who writes to it.
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
}

fn text(file: File, limit: u64) -> io::Result<String> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        let why = "it is not a regular file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let mut bytes = Vec::new();
    // The size is not known of files that the kernel makes up, and may change of others.
    if metadata.len() <= limit {
        file.take(limit + 1).read_to_end(&mut bytes)?;
    }
    if metadata.len().max(bytes.len() as u64) > limit {
        let why = format!("it has more than {limit} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}
