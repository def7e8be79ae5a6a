//! Reading a socket: all that it has, by one call.

use super::super::node::{Call, State, on_readable};
use super::super::{BufferEventRef, Direction, StreamError, StreamEvent};
use super::is_retriable;
use crate::error::{Error, Result};
use crate::ffi;
use std::io;
use std::os::raw::{c_int, c_short, c_void};
use std::ptr;

/// What is read beside the input, and copied to it, when there is more than was expected. It is
/// also about the most that is read in one turn, so that one peer does not keep the others waiting.
pub(in super::super) const SCRATCH: usize = 64 * 1024;

/// How many bytes the next read is likely to bring: a power of two, by its exponent.
#[derive(Clone, Copy)]
pub(in super::super) struct Expected(u8);

impl Expected {
    /// Of a new connection.
    pub(in super::super) const FIRST: Expected = Expected(10);
    const MOST: u8 = 16;

    fn bytes(self) -> usize {
        1 << self.0
    }

    /// After a read that has brought `count`.
    #[inline]
    fn after(self, count: usize) -> Self {
        if count > self.bytes() {
            let exponent = count.next_power_of_two().trailing_zeros() as u8;
            return Expected(exponent.min(Self::MOST));
        }
        let much_less = self.0 > Self::FIRST.0 && count < self.bytes() / 4;
        Expected(self.0 - u8::from(much_less))
    }
}

impl BufferEventRef {
    /// Makes the event that reads, which is not pending yet.
    pub(super) fn watch(&self) -> Result<()> {
        let base = self.handle().inner().open()?;
        let arg = ptr::from_ref(self).cast_mut().cast::<c_void>();
        let flags = (ffi::EV_READ | ffi::EV_PERSIST) as c_short;
        self.reader.free();
        // SAFETY: the base is alive, and the descriptor open until the event is freed: by `free`,
        // `take_socket` or `leave_to_c`, before which the node does not go.
        if !unsafe {
            self.reader
                .set(base, self.fd.get(), flags, on_readable, arg)
        } {
            return Err(Error::Libevent { op: "event_assign" });
        }
        let priority = self.priority();
        if priority != self.handle().priorities() / 2 {
            self.reader.set_priority(priority as c_int);
        }
        Ok(())
    }

    /// Reads, if it is to and there is room.
    pub(in super::super) fn resume(&self) -> Result<()> {
        let high = self.read_high();
        let full = high > 0 && self.input().len() >= high;
        self.set(State::PAUSED, full);
        if full || !self.enabled.get().contains(Direction::READ) {
            return Ok(());
        }
        if !self.reader.add(self.read_timeout()) {
            return Err(Error::last_os(format!(
                "event_add on descriptor {}",
                self.fd.get()
            )));
        }
        Ok(())
    }

    /// Reads no more for now.
    pub(in super::super) fn pause(&self) {
        self.reader.del();
    }

    /// Something was taken out of the input.
    #[inline]
    pub(in super::super) fn drained(&self) {
        if self.is(State::PAUSED) {
            self.unpause();
        }
    }

    #[cold]
    fn unpause(&self) {
        if !self.is(State::DIRECT) {
            return self.resume_in_c();
        }
        if let Err(error) = self.resume() {
            let error = io::Error::from(error);
            self.fail_later(Direction::READ, &error);
        }
    }

    /// The socket is readable, or was not for too long.
    pub(in super::super) fn readable(&self, what: c_short) {
        let Ok(raw) = self.open() else { return };
        if what == ffi::EV_TIMEOUT as c_short {
            return self.ended(StreamEvent::TimedOut(Direction::READ));
        }
        // SAFETY: alive.
        let (input, length) = unsafe {
            let input = ffi::bufferevent_get_input(raw);
            (input, ffi::evbuffer_get_length(input))
        };
        let high = self.read_high();
        let room = if high > 0 {
            high.saturating_sub(length)
        } else {
            usize::MAX
        };
        if room == 0 {
            self.set(State::PAUSED, true);
            return self.pause();
        }
        match self.receive(input, room) {
            Ok(0) => {
                self.set(State::AT_EOF, true);
                self.ended(StreamEvent::Eof);
            }
            Ok(count) => {
                let length = length + count;
                if high > 0 && length >= high {
                    self.set(State::PAUSED, true);
                    self.pause();
                }
                if length >= self.read_low() {
                    self.dispatch(Call::Read);
                }
            }
            Err(error) if is_retriable(&error) => {}
            Err(error) => {
                let peer = self.peer();
                self.set(State::STUCK, true);
                self.ended(StreamEvent::Failed(StreamError::from_os(peer, error)));
            }
        }
    }

    /// That direction is over, as libevent has it.
    fn ended(&self, event: StreamEvent) {
        self.enabled.set(self.enabled.get() - Direction::READ);
        self.pause();
        self.dispatch(Call::Event(event));
    }

    /// One read of at most `room` bytes.
    fn receive(&self, input: *mut ffi::evbuffer, room: usize) -> io::Result<usize> {
        let expected = self.expected.get();
        let queue = self
            .handle()
            .inner()
            .flush_queue()
            .map_err(io::Error::from)?;
        let scratch = queue.scratch();
        // SAFETY: alive. The end of a bufferevent's input is frozen for everybody but libevent,
        // which does just this before it reads; its change callbacks are libevent's own. The
        // scratch is nobody else's, as no code of the user's runs in here.
        let result = unsafe {
            ffi::evbuffer_unfreeze(input, 0);
            let result = if expected.bytes() <= SMALL {
                read_aside(input, self.fd.get(), scratch, room)
            } else {
                read_into(input, self.fd.get(), expected.bytes(), scratch, room)
            };
            ffi::evbuffer_freeze(input, 0);
            result
        };
        if let Ok(count) = result {
            self.expected.set(expected.after(count));
        }
        result
    }
}

/// Up to here copying costs less than having the system fill two places.
const SMALL: usize = 4096;

/// Reads into the scratch, and copies what came to the input, which then holds no more memory than
/// that takes.
///
/// # Safety
/// `input` is alive and not frozen, `scratch` has [`SCRATCH`] bytes.
unsafe fn read_aside(
    input: *mut ffi::evbuffer,
    fd: ffi::evutil_socket_t,
    scratch: *mut u8,
    room: usize,
) -> io::Result<usize> {
    // SAFETY: the caller's promise.
    unsafe {
        let count = libc::read(fd, scratch.cast(), room.min(SCRATCH));
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        if count > 0 && ffi::evbuffer_add(input, scratch.cast(), count) != 0 {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        Ok(count)
    }
}

/// Reads into the input itself as many bytes as are expected, and what there is beyond that over
/// the scratch: an input holds little memory that is not used, also when it was wrong.
///
/// # Safety
/// As for [`read_aside`].
unsafe fn read_into(
    input: *mut ffi::evbuffer,
    fd: ffi::evutil_socket_t,
    expected: usize,
    scratch: *mut u8,
    room: usize,
) -> io::Result<usize> {
    let none = ffi::evbuffer_iovec {
        iov_base: ptr::null_mut(),
        iov_len: 0,
    };
    let mut extents = [none; 3];
    let wanted = expected.min(room);
    // SAFETY: the caller's promise; there is room for two extents.
    let used = unsafe { ffi::evbuffer_reserve_space(input, wanted as _, extents.as_mut_ptr(), 2) };
    let used = usize::try_from(used).unwrap_or(0).min(2);
    let beyond = room - cap(&mut extents[..used], room);
    extents[used] = ffi::evbuffer_iovec {
        iov_base: scratch.cast(),
        iov_len: SCRATCH.min(beyond),
    };
    // SAFETY: C gave the extents for writing; the scratch is the caller's promise.
    let count = unsafe { libc::readv(fd, extents.as_ptr().cast(), used as c_int + 1) };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    let direct = cap(&mut extents[..used], count);
    let filled = extents[..used].iter().filter(|extent| extent.iov_len > 0);
    let filled = filled.count() as c_int;
    // SAFETY: the extents that were reserved, and filled in their order; then what is beyond.
    let failed = unsafe {
        (filled > 0 && ffi::evbuffer_commit_space(input, extents.as_mut_ptr(), filled) != 0)
            || (count > direct && ffi::evbuffer_add(input, scratch.cast(), count - direct) != 0)
    };
    if failed {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    Ok(count)
}

/// Shortens extents to `bytes` in all. Returns how many they have then.
fn cap(extents: &mut [ffi::evbuffer_iovec], bytes: usize) -> usize {
    let mut left = bytes;
    for extent in extents {
        extent.iov_len = extent.iov_len.min(left);
        left -= extent.iov_len;
    }
    bytes - left
}
