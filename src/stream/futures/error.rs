//! The errors of a stream, for those who wait for it.

use super::super::StreamError;
use crate::Error;
use std::io;

impl From<&StreamError> for io::ErrorKind {
    fn from(error: &StreamError) -> Self {
        match error {
            StreamError::Refused { .. } => io::ErrorKind::ConnectionRefused,
            StreamError::Reset { .. } => io::ErrorKind::ConnectionReset,
            StreamError::ConnectTimedOut { .. } => io::ErrorKind::TimedOut,
            StreamError::Lookup { source, .. } => match source {
                Error::Dns(error) => error.cause().into(),
                _ => io::ErrorKind::NotFound,
            },
            StreamError::Tls {
                truncated: true, ..
            } => io::ErrorKind::UnexpectedEof,
            StreamError::Tls { .. } | StreamError::Filter { .. } => io::ErrorKind::InvalidData,
            StreamError::Io { source, .. } => source.kind(),
        }
    }
}

/// [`get_ref`](io::Error::get_ref) and [`downcast`](io::Error::downcast) give the [`StreamError`].
impl From<StreamError> for io::Error {
    fn from(error: StreamError) -> Self {
        io::Error::new((&error).into(), error)
    }
}

impl StreamError {
    /// The same once more, for the next one who asks. Of what cannot be copied the words are left,
    /// and the kind.
    pub(super) fn again(&self) -> Self {
        let peer = self.peer().clone();
        match self {
            StreamError::Refused { .. } => StreamError::Refused { peer },
            StreamError::Reset { .. } => StreamError::Reset { peer },
            StreamError::ConnectTimedOut { .. } => StreamError::ConnectTimedOut { peer },
            StreamError::Lookup {
                source: Error::Dns(error),
                ..
            } => StreamError::Lookup {
                peer,
                source: error.clone().into(),
            },
            StreamError::Lookup { source, .. } => StreamError::Io {
                peer,
                source: io::Error::new(self.into(), source.to_string()),
            },
            StreamError::Tls {
                reason, truncated, ..
            } => StreamError::Tls {
                peer,
                reason: reason.clone(),
                truncated: *truncated,
            },
            StreamError::Filter { source, .. } => StreamError::Filter {
                peer,
                source: source.to_string().into(),
            },
            StreamError::Io { source, .. } => StreamError::Io {
                peer,
                source: match source.raw_os_error() {
                    Some(code) => io::Error::from_raw_os_error(code),
                    None => io::Error::new(source.kind(), source.to_string()),
                },
            },
        }
    }
}
