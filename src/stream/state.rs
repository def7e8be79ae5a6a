//! What a stream knows about itself.

use super::connect::Attempt;
use super::filter::Filtering;
use super::pair::WriteLimit;
use super::rate_limit::{RateLimitGroup, TokenBucket};
use super::{BufferEventRef, StreamEvent};
use crate::ffi;
use std::collections::VecDeque;
use std::io;
use std::os::raw::c_short;
use std::rc::{Rc, Weak};
use std::time::Duration;

bitflags::bitflags! {
    /// The state of a stream.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) struct State: u32 {
        /// The handler runs.
        const RUNNING = 1;
        /// The C object is gone.
        const CLOSED = 2;
        /// C called while the handler was running.
        const MISSED_READ = 4;
        const MISSED_WRITE = 8;
        const MISSED_EVENT = 16;
        /// A connection is being made.
        const CONNECTING = 32;
        /// We read and write the socket ourselves where that spares a turn of the loop; see
        /// `direct/`. C's EV_WRITE is off meanwhile.
        const DIRECT = 64;
        /// C's EV_WRITE is on, as there is something left to send.
        const C_WRITES = 128;
        /// It waits in the base's flush queue.
        const QUEUED = 256;
        /// It closes when the output is sent.
        const FINISHING = 512;
        /// The peer is told that nothing follows, when the output is sent.
        const ENDING = 1024;
        /// The peer has sent all.
        const AT_EOF = 2048;
        /// Another stream lives on it, and is told what happens.
        const BELOW = 4096;
        /// The input has reached its high watermark.
        const PAUSED = 8192;
        /// The output has a file in it, whose bytes are not in memory.
        const HOLDS_FILE = 16384;
        /// The descriptor is a pipe or a terminal.
        const NOT_A_SOCKET = 32768;
        /// Writing has failed or timed out, and was not enabled again since.
        const STUCK = 65536;
        /// The handler is called for writing once the peer was told that nothing follows.
        const TELLS_END = 131_072;
    }
}

/// What kind of bufferevent C has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Socket,
    Pair,
    Filter,
    #[cfg(feature = "openssl")]
    Tls,
    /// C made it, and knows what it is.
    Foreign,
}

/// What C calls the handler for.
pub(super) enum Call {
    Read,
    Write,
    Event(StreamEvent),
}

/// What few streams have.
#[derive(Default)]
pub(super) struct Extra {
    pub(super) read_low: usize,
    pub(super) read_high: usize,
    pub(super) write_low: usize,
    pub(super) read_timeout: Option<Duration>,
    /// What the handler missed while it was running.
    pub(super) missed_event: Option<StreamEvent>,
    /// What the program has asked the loop to tell the handler.
    pub(super) triggered: VecDeque<StreamEvent>,
    /// The stream below a filter. It is C's, and lives in C as long as the filter does.
    pub(super) underlying: Option<Rc<BufferEventRef>>,
    /// The filter, or TLS, that lives on this one.
    pub(super) above: Weak<BufferEventRef>,
    pub(super) filter: Option<Filtering>,
    pub(super) partner: Weak<BufferEventRef>,
    /// The other one of the pair was told that nothing follows.
    pub(super) partner_told: bool,
    pub(super) write_limit: Option<WriteLimit>,
    /// An attempt to connect by name that is under way; dropping it ends it.
    pub(super) attempt: Option<Attempt>,
    /// Dropped when the C object was told to go.
    pub(super) rate_limit: Option<TokenBucket>,
    pub(super) group: Option<RateLimitGroup>,
    /// The connection that TLS waits for.
    #[cfg(feature = "openssl")]
    pub(super) awaited: Option<super::BufferEvent>,
    /// What TLS has to say of an error, and to do before the end.
    pub(super) tls: Option<Rc<dyn TlsSession>>,
    #[cfg(feature = "rustls")]
    pub(super) rustls: Option<Rc<super::rustls::Session>>,
}

/// What a stream over TLS does differently.
pub(super) trait TlsSession {
    /// The event that C's bits stand for, if its handler is to hear of it.
    fn event(
        &self,
        stream: &BufferEventRef,
        what: c_short,
        errno: io::Error,
    ) -> Option<StreamEvent>;
    /// What the stream below has told, likewise.
    fn event_from_below(&self, stream: &BufferEventRef, event: StreamEvent) -> Option<StreamEvent>;
    /// What came from below was decrypted, all of it.
    #[cfg(feature = "openssl")]
    fn all_taken(&self, stream: &BufferEventRef);
    /// The handler was called for reading.
    fn has_read(&self, stream: &BufferEventRef);
    /// Tells the peer that nothing follows. False when that has to wait.
    fn notify_end(&self, stream: &BufferEventRef) -> bool;
    /// The C object, which is alive, is about to be freed. Returns the descriptor of one that has
    /// one itself, which C has forgotten then.
    fn let_go(&self, stream: &BufferEventRef, raw: *mut ffi::bufferevent) -> ffi::evutil_socket_t;
}
