//! A stream as a reader and a writer of `std::io`.

use super::BufferEventRef;
use super::node::State;
use std::io;

/// Reads from the input: `WouldBlock` while it is empty, and 0 at the end of the stream.
impl io::Read for &BufferEventRef {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.input().read(bytes);
        if count > 0 || bytes.is_empty() || self.is(State::AT_EOF) {
            return Ok(count);
        }
        self.open()?;
        Err(io::ErrorKind::WouldBlock.into())
    }
}

/// Adds to the output, which takes everything at once: a program that writes without end looks at
/// the length of [`output`](BufferEventRef::output), or writes in its `on_write`.
impl io::Write for &BufferEventRef {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        BufferEventRef::write(self, bytes)?;
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.output().append_vectored(slices)?;
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
