//! HTTP/1 as it stands on the wire: bytes in, values out, and back. No sockets, no callbacks.
//!
//! What could be read in two ways is refused: whoever stands before or behind this program may
//! read it the other way.

pub(crate) mod body;
pub(crate) mod framing;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod write;

/// How many headers a message may have at most, whatever their size.
const MAX_HEADERS: usize = 128;

/// The most bytes of the trailers behind a chunked body, with their names.
pub(crate) const TRAILER_BYTES: usize = 8 << 10;
