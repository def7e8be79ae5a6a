use std::io;

/// The result of an operation on libevent.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error that a callback may return; see [`CallbackResult`](crate::CallbackResult).
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong, on what, and where there is something to be done, what.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused; `op` names the call and what it was made on.
    #[error("{op}: {source}")]
    Os {
        /// The operation, and what it was made on.
        op: String,
        /// The system's own error.
        source: io::Error,
    },

    /// libevent refused without an error of the system (out of memory, or a request it does not know).
    #[error("libevent refused {op}")]
    Libevent {
        /// The C function.
        op: &'static str,
    },

    /// The object was closed, or its base is gone.
    #[error("{what} is closed")]
    Closed {
        /// The kind of object.
        what: &'static str,
    },

    /// One end of a buffer is frozen, so nothing can be added or taken there.
    #[error("{op}: that end of the buffer is frozen")]
    Frozen {
        /// The C function.
        op: &'static str,
    },

    /// An argument that cannot work.
    #[error("{what}: {why}")]
    Invalid {
        /// The argument.
        what: &'static str,
        /// Why it cannot work, and what can.
        why: String,
    },

    /// The base cannot do this, because of its back end or of how it was configured.
    #[error("{what} is not supported by this event base: {why}")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
        /// What is missing.
        why: &'static str,
    },

    /// Signals already belong to another event base of this process (libevent allows one).
    #[error("signal {signum}: another event base of this process handles signals already")]
    SignalsTaken {
        /// The signal asked for.
        signum: i32,
    },

    /// A name could not be turned into an address.
    #[error("looking up {name}: {why}")]
    Lookup {
        /// The host, or the service if there was no host.
        name: String,
        /// `EVUTIL_EAI_…`, or the system's own number.
        code: i32,
        /// What the number stands for.
        why: String,
    },

    /// A name could not be turned into an address by a [`dns::Resolver`](crate::dns::Resolver).
    #[cfg(unix)]
    #[error(transparent)]
    Dns(#[from] crate::dns::LookupError),

    /// The loop was stopped before the future was done that it ran for.
    #[error("the loop was stopped before the future was done")]
    Stopped,

    /// A callback returned an error and no error handler was set.
    #[error("a callback failed: {0}")]
    Callback(#[source] BoxError),
}

impl Error {
    /// The last error of the operating system, for `op`.
    pub(crate) fn last_os(op: impl Into<String>) -> Self {
        Error::Os {
            op: op.into(),
            source: io::Error::last_os_error(),
        }
    }

    pub(crate) fn invalid(what: &'static str, why: impl Into<String>) -> Self {
        Error::Invalid {
            what,
            why: why.into(),
        }
    }

    /// The operating system's error, if that is the cause.
    pub fn io(&self) -> Option<&io::Error> {
        match self {
            Error::Os { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Os { source, .. } => source.kind(),
            Error::Invalid { .. } => io::ErrorKind::InvalidInput,
            Error::Unsupported { .. } => io::ErrorKind::Unsupported,
            Error::Closed { .. } => io::ErrorKind::NotConnected,
            #[cfg(unix)]
            Error::Dns(error) => error.cause().into(),
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}
