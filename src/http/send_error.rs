/// Why a message was not sent to a [`EventStream`](super::EventStream) or a `WebSocket`. Nothing of
/// it was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The other end has gone, or the sending side was closed.
    #[error("it is closed")]
    Closed,
    /// The other end reads too slowly: with this message more would wait than may.
    #[error("{pending} bytes wait to be sent already, and at most {limit} may")]
    Full {
        /// How many bytes wait to be sent.
        pending: usize,
        /// How many may.
        limit: usize,
    },
    /// What cannot be sent.
    #[error("{0}")]
    Invalid(&'static str),
}
