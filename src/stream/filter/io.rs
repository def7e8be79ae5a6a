//! What a filter is told, and what it can do besides moving bytes.

use super::super::{BufferEventRef, FlushMode, StreamEvent};
use crate::buffer::Buffer;

/// What one call of a [`Filter`](super::Filter) is told, and what it can do besides moving bytes.
#[derive(Debug)]
pub struct FilterIo<'a> {
    stream: &'a BufferEventRef,
    limit: Option<usize>,
    mode: FlushMode,
    pub(super) reply: Option<Buffer>,
    pub(super) events: Vec<StreamEvent>,
    pub(super) holds: bool,
    pub(super) handshaking: Option<bool>,
}

impl<'a> FilterIo<'a> {
    pub(super) fn new(stream: &'a BufferEventRef, limit: Option<usize>, mode: FlushMode) -> Self {
        FilterIo {
            stream,
            limit,
            mode,
            reply: None,
            events: Vec::new(),
            holds: false,
            handshaking: None,
        }
    }

    /// The stream that the filter belongs to.
    pub fn stream(&self) -> &BufferEventRef {
        self.stream
    }

    /// How many bytes there is room for in `out`, as the high watermark has it; None when there is
    /// no limit. To add more does no harm but that the watermark does not hold. What there is no
    /// room for is best left in `source`.
    pub fn limit(&self) -> Option<usize> {
        self.limit
    }

    /// How much the filter is to let go of.
    #[doc(alias = "bufferevent_flush_mode")]
    pub fn mode(&self) -> FlushMode {
        self.mode
    }

    /// Bytes for the peer that did not come from the handler, such as the answer of a protocol.
    /// They go to the stream below when the call returns, in front of what the handler wrote and
    /// the filter did not see yet.
    pub fn reply(&mut self) -> &mut Buffer {
        self.reply.get_or_insert_default()
    }

    /// Tells the handler of an event, when the call has returned:
    /// [`Connected`](StreamEvent::Connected) before what was received, any other after it.
    pub fn emit(&mut self, event: StreamEvent) {
        self.events.push(event);
    }

    /// The filter keeps back something for which there was no room in `out`, and needs nothing more
    /// from `source` to let go of it: [`input`](super::Filter::input) is called again when there
    /// is room.
    pub fn hold(&mut self) {
        self.holds = true;
    }

    /// A handshake has begun, or is over. Until then [`input`](super::Filter::input) is called
    /// though reading is disabled, and [`finish`](super::Filter::finish) waits: who writes, and
    /// closes the stream when that is flushed, need not know of it.
    pub fn set_handshaking(&mut self, handshaking: bool) {
        self.handshaking = Some(handshaking);
    }
}
