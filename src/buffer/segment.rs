//! Pieces of files.

use super::{BufferRef, End};
use crate::error::{Error, Result};
use crate::sync::lock;
use crate::{ffi, later};
use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::ops::{Bound, Range, RangeBounds};
use std::os::raw::{c_int, c_void};
use std::ptr;
use std::sync::{Arc, Mutex};

/// A piece of a regular file, of which parts can be added to any number of buffers.
///
/// A buffer is memory: what is added to a [`Buffer`](super::Buffer) is read from the file at once,
/// and only as much as was asked for. The file is never mapped, since a mapping would end the
/// process when another one truncates the file.
///
/// ```
/// use libevent2::Buffer;
/// use libevent2::buffer::FileSegment;
/// use std::fs::File;
///
/// let file = File::open("Cargo.toml").unwrap();
/// let segment = FileSegment::new(file, 0..9)?;
/// let mut buffer = Buffer::new();
/// buffer.append_segment(&segment, ..)?;
/// buffer.append_segment(&segment, 1..3)?;
/// assert_eq!(buffer.len(), 11);
/// # Ok::<(), libevent2::Error>(())
/// ```
#[doc(alias = "evbuffer_file_segment")]
#[doc(alias = "evbuffer_file_segment_free")]
pub struct FileSegment {
    piece: Arc<Piece>,
    /// C's, for outputs of sockets; NULL until one is needed. Its count has no lock: all of it
    /// stays on this thread.
    raw: Cell<*mut ffi::evbuffer_file_segment>,
    _not_send: PhantomData<*mut ()>,
}

struct Piece {
    file: File,
    start: u64,
    len: u64,
    // Last, to run when the file is closed.
    release: Release,
}

#[derive(Default)]
struct Release(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Drop for Release {
    fn drop(&mut self) {
        let callback = lock(&self.0).take();
        if let Some(callback) = callback {
            callback();
        }
    }
}

impl FileSegment {
    /// The bytes `range` of a file, which is owned, and closed when the segment and all that was
    /// added of it are gone.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is not a regular file, or does not have these bytes;
    /// [`Error::Os`] when the system does not say how long it is.
    #[doc(alias = "evbuffer_file_segment_new")]
    #[doc(alias = "evbuffer_add_file")]
    pub fn new(file: impl Into<File>, range: Range<u64>) -> Result<Self> {
        let file = file.into();
        let metadata = file.metadata().map_err(|source| Error::Os {
            op: "asking for the size of a file".to_owned(),
            source,
        })?;
        if !metadata.is_file() {
            return Err(Error::invalid("file segment", "it is not a regular file"));
        }
        let len = within(&range, metadata.len(), "file")?;
        Ok(FileSegment {
            piece: Arc::new(Piece {
                file,
                start: range.start,
                len,
                release: Release::default(),
            }),
            raw: Cell::new(ptr::null_mut()),
            _not_send: PhantomData,
        })
    }

    /// The number of bytes in it.
    pub fn len(&self) -> u64 {
        self.piece.len
    }

    /// Whether there are no bytes in it.
    pub fn is_empty(&self) -> bool {
        self.piece.len == 0
    }

    /// Calls `callback` when the segment and all that was added of it are gone, and the file is
    /// closed; on whichever thread that happens. A later callback takes the place of this one.
    #[doc(alias = "evbuffer_file_segment_add_cleanup_cb")]
    pub fn on_release(&self, callback: impl FnOnce() + Send + 'static) {
        let older = lock(&self.piece.release.0).replace(Box::new(callback));
        drop(older);
    }

    fn resolve(&self, range: impl RangeBounds<u64>) -> Result<Range<u64>> {
        let start = match range.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&end) => end.saturating_add(1),
            Bound::Excluded(&end) => end,
            Bound::Unbounded => self.piece.len,
        };
        let range = start..end;
        within(&range, self.piece.len, "file segment")?;
        Ok(range)
    }
}

/// The length of a range, if `what` of `size` bytes has it.
fn within(range: &Range<u64>, size: u64, what: &'static str) -> Result<u64> {
    if range.start > range.end || range.end > size {
        return Err(Error::invalid(
            "file segment",
            format!(
                "bytes {} to {} of a {what} of {size} bytes",
                range.start, range.end
            ),
        ));
    }
    Ok(range.end - range.start)
}

/// What was read of a piece, which keeps the file as long as a buffer has it.
struct Part {
    bytes: Vec<u8>,
    _piece: Arc<Piece>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Piece {
    fn read(&self, range: &Range<u64>) -> io::Result<Vec<u8>> {
        let no_memory = |_| io::Error::from(io::ErrorKind::OutOfMemory);
        let len = range.end - range.start;
        let len = usize::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).map_err(no_memory)?;
        bytes.resize(len, 0);
        read_exact_at(&self.file, &mut bytes, self.start + range.start)?;
        Ok(bytes)
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, target: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, target, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut target: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !target.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, target, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                target = &mut target[n..];
                offset += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl BufferRef {
    /// Adds a part of a file at the end; `range` counts from the beginning of the segment. The
    /// part is read now.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the segment does not have these bytes; [`Error::Os`] when they
    /// cannot be read, because the file became shorter for example; [`Error::Frozen`] when that
    /// end is frozen.
    #[doc(alias = "evbuffer_add_file_segment")]
    #[doc(alias = "evbuffer_add_file")]
    pub fn append_segment(
        &mut self,
        segment: &FileSegment,
        range: impl RangeBounds<u64>,
    ) -> Result<()> {
        let range = segment.resolve(range)?;
        let bytes = segment.piece.read(&range).map_err(|source| Error::Os {
            op: format!(
                "reading bytes {} to {} of a file segment",
                range.start, range.end
            ),
            source,
        })?;
        self.append_shared(Part {
            bytes,
            _piece: segment.piece.clone(),
        })
    }
}

/// Whether libevent sends files without reading them on this system.
const SENDFILE: bool = cfg!(any(
    target_os = "linux",
    target_os = "android",
    target_os = "macos",
    target_os = "freebsd",
    target_os = "solaris",
    target_os = "illumos"
));

impl FileSegment {
    /// Adds a part at the end of the output of a socket, from where the system sends it without
    /// its bytes ever being in the process; where it cannot, as [`BufferRef::append_segment`].
    ///
    /// # Errors
    /// As [`BufferRef::append_segment`]; nothing is read yet, so a file that becomes shorter ends
    /// the stream when it is sent.
    ///
    /// # Safety
    /// `raw` is the output of a bufferevent over a plain socket, which belongs to this thread.
    /// Nobody reads it other than by `evbuffer_write`, and nothing is moved from it to other
    /// evbuffers.
    pub(crate) unsafe fn add_to_socket_output(
        &self,
        raw: *mut ffi::evbuffer,
        range: impl RangeBounds<u64>,
    ) -> Result<()> {
        const OP: &str = "evbuffer_add_file_segment";
        let range = self.resolve(range)?;
        // SAFETY: the caller's promise.
        let output = unsafe { BufferRef::from_ptr_mut(raw) };
        if !SENDFILE {
            return output.append_segment(self, range);
        }
        if range.is_empty() {
            return Ok(());
        }
        // C would free the segment.
        if output.is_frozen(End::Back) {
            return Err(Error::Frozen { op: OP });
        }
        let (offset, len) = (offset(range.start)?, offset(range.end - range.start)?);
        let segment = self.in_c()?;
        // SAFETY: both are alive; the segment has these bytes.
        let code = unsafe { ffi::evbuffer_add_file_segment(raw, segment, offset, len) };
        if code != 0 {
            // C took our count with it.
            self.raw.set(ptr::null_mut());
        }
        output.done(code, End::Back, OP)
    }

    /// C's segment, made when it is needed for the first time.
    fn in_c(&self) -> Result<*mut ffi::evbuffer_file_segment> {
        const OP: &str = "evbuffer_file_segment_new";
        if !self.raw.get().is_null() {
            return Ok(self.raw.get());
        }
        let (start, len) = (offset(self.piece.start)?, offset(self.piece.len)?);
        let flags = ffi::EVBUF_FS_DISABLE_MMAP | ffi::EVBUF_FS_DISABLE_LOCKING;
        let fd = c_descriptor(&self.piece.file)?;
        // SAFETY: the descriptor is open until C has called `release`. The segment and all
        // outputs that it is added to are used by this thread only, so its count needs no lock.
        let raw = unsafe { ffi::evbuffer_file_segment_new(fd, start, len, flags) };
        if raw.is_null() {
            return Err(Error::Libevent { op: OP });
        }
        let piece = Arc::into_raw(self.piece.clone()).cast_mut().cast();
        // SAFETY: alive; `release` gives the count back.
        unsafe { ffi::evbuffer_file_segment_add_cleanup_cb(raw, Some(release), piece) };
        self.raw.set(raw);
        Ok(raw)
    }
}

impl Drop for FileSegment {
    fn drop(&mut self) {
        let raw = self.raw.get();
        if !raw.is_null() {
            // SAFETY: our count of it, given back once.
            unsafe { ffi::evbuffer_file_segment_free(raw) };
            later::run();
        }
    }
}

/// Called by C in the middle of what it does to the output.
unsafe extern "C" fn release(
    _segment: *const ffi::evbuffer_file_segment,
    _flags: c_int,
    piece: *mut c_void,
) {
    unsafe fn run(piece: *mut c_void) {
        // SAFETY: the count that `in_c` took, given back once.
        drop(unsafe { Arc::from_raw(piece.cast_const().cast::<Piece>()) });
    }
    // SAFETY: C is done with the file; any thread may give the count back.
    unsafe { later::push(piece, run) };
}

/// A number of bytes as C has it.
fn offset<T: TryFrom<u64>>(n: u64) -> Result<T> {
    T::try_from(n).map_err(|_| {
        Error::invalid(
            "file segment",
            format!("{n} bytes are too many for the system"),
        )
    })
}

#[cfg(unix)]
fn c_descriptor(file: &File) -> Result<c_int> {
    Ok(std::os::fd::AsRawFd::as_raw_fd(file))
}

/// Windows has handles; nothing gets here, see `SENDFILE`.
#[cfg(windows)]
fn c_descriptor(_file: &File) -> Result<c_int> {
    Err(Error::invalid("file segment", "it has no C descriptor"))
}

impl fmt::Debug for FileSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSegment")
            .field("start", &self.piece.start)
            .field("len", &self.piece.len)
            .finish_non_exhaustive()
    }
}
