//! libevent's own regress case for a filter that compresses (test/regress_zlib.c). The whole list is
//! in docs/regress.md.
#![cfg(unix)]

mod common;
#[path = "common/streams.rs"]
mod streams;

use common::{Bump, Count, bounded, count};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use libevent2::stream::{
    BufferEvent, BufferEventRef, Callbacks, Direction, Filter, FilterIo, FlushMode, Handler,
    StreamEvent,
};
use libevent2::{BoxError, Buffer, EventBase, LoopEnd};
use streams::{Log, Over, bytes, name};

const LENGTH: usize = 8333;
const ROOM: usize = 4096;

/// Has `turn` make something out of the front of `source`, again and again: it hears whether that is
/// the rest, and returns how much it has taken and added. False when it needs more.
fn turn_all(
    source: &mut Buffer,
    out: &mut Buffer,
    mut turn: impl FnMut(&[u8], bool, &mut [u8]) -> Result<(usize, usize, Status), BoxError>,
) -> Result<bool, BoxError> {
    loop {
        let mut room = [0; ROOM];
        let front = source.chunks().next().unwrap_or_default();
        let (taken, added, status) = turn(front, front.len() == source.len(), &mut room)?;
        source.drain(taken)?;
        out.append(&room[..added])?;
        match status {
            Status::BufError if added == 0 => return Ok(false),
            Status::StreamEnd => return Ok(true),
            _ if source.is_empty() && added < ROOM => return Ok(true),
            _ => {}
        }
    }
}

struct Deflate {
    state: Compress,
    calls: Count,
}

impl Filter for Deflate {
    fn output(
        &mut self,
        source: &mut Buffer,
        out: &mut Buffer,
        io: &mut FilterIo<'_>,
    ) -> Result<(), BoxError> {
        let flush = match io.mode() {
            FlushMode::Normal => FlushCompress::None,
            FlushMode::Flush => FlushCompress::Sync,
            FlushMode::Finished => FlushCompress::Finish,
        };
        let state = &mut self.state;
        let enough = turn_all(source, out, |front, is_rest, room| {
            let flush = if is_rest { flush } else { FlushCompress::None };
            let before = (state.total_in(), state.total_out());
            let status = state.compress(front, room, flush)?;
            let taken = state.total_in() - before.0;
            let added = state.total_out() - before.1;
            Ok((taken as usize, added as usize, status))
        })?;
        if enough {
            self.calls.bump();
        }
        Ok(())
    }
}

struct Inflate {
    state: Decompress,
    calls: Count,
}

impl Filter for Inflate {
    fn input(
        &mut self,
        source: &mut Buffer,
        out: &mut Buffer,
        _: &mut FilterIo<'_>,
    ) -> Result<(), BoxError> {
        let state = &mut self.state;
        let enough = turn_all(source, out, |front, _, room| {
            let before = (state.total_in(), state.total_out());
            let status = state.decompress(front, room, FlushDecompress::None)?;
            let taken = state.total_in() - before.0;
            let added = state.total_out() - before.1;
            Ok((taken as usize, added as usize, status))
        })?;
        if enough {
            self.calls.bump();
        }
        Ok(())
    }
}

struct End(&'static str, Log);

impl Handler for End {
    fn on_read(&mut self, stream: &BufferEventRef) -> Result<(), BoxError> {
        if stream.input().len() == LENGTH {
            assert_eq!(stream.input().take().to_vec(), bytes(LENGTH));
            stream.disable(Direction::READ)?;
            self.1.add(format!("{} has all", self.0));
        }
        Ok(())
    }

    fn on_write(&mut self, stream: &BufferEventRef) -> Result<(), BoxError> {
        if stream.output().is_empty() {
            self.1.add(format!("{} has sent", self.0));
        }
        Ok(())
    }

    fn on_event(&mut self, _: &BufferEventRef, event: StreamEvent) -> Result<(), BoxError> {
        self.1.add(format!("{}: {}", self.0, name(&event)));
        Ok(())
    }
}

#[test]
fn bufferevent_zlib() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (deflated, inflated, log) = (count(), count(), Log::default());
    let (here, there) = Over::Sockets.ends(&base, Callbacks::new(), Callbacks::new());
    let deflate = Deflate {
        state: Compress::new(Compression::default(), true),
        calls: deflated.clone(),
    };
    let first = BufferEvent::filter(here, deflate, End("first", log.clone())).unwrap();
    let inflate = Inflate {
        state: Decompress::new(true),
        calls: inflated.clone(),
    };
    let second = BufferEvent::filter(there, inflate, End("second", log.clone())).unwrap();
    first.disable(Direction::READ).unwrap();
    first.enable(Direction::WRITE).unwrap();
    second.enable(Direction::READ).unwrap();

    let text = bytes(LENGTH);
    first.write(&text[..1800]).unwrap();
    first.write(&text[1800..]).unwrap();
    // That was all.
    first.flush(Direction::WRITE, FlushMode::Finished).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert!(deflated.get() > 0);
    assert!(inflated.get() > 0);
    log.assert(&["first has sent", "second has all"]);
}
