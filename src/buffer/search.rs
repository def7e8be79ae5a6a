//! Finding patterns and lines.

use super::{Buffer, BufferRef};
use crate::error::{Error, Result};
use crate::ffi;
use std::ops::{Bound, RangeBounds};

/// How a line ends.
#[doc(alias = "evbuffer_eol_style")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Eol {
    /// Any number of `\r` and `\n` in any order, so empty lines are not seen. At the end of the
    /// buffer it is not known whether more of them follow: for text, not for protocols.
    #[doc(alias = "EVBUFFER_EOL_ANY")]
    Any,
    /// `\r\n` or `\n`: what most protocols of the Internet allow.
    #[doc(alias = "EVBUFFER_EOL_CRLF")]
    Crlf,
    /// `\r\n` and nothing else.
    #[doc(alias = "EVBUFFER_EOL_CRLF_STRICT")]
    CrlfStrict,
    /// `\n`.
    #[doc(alias = "EVBUFFER_EOL_LF")]
    Lf,
    /// A NUL byte.
    #[doc(alias = "EVBUFFER_EOL_NUL")]
    Nul,
}

impl Eol {
    fn style(self) -> ffi::evbuffer_eol_style {
        match self {
            Eol::Any => ffi::EVBUFFER_EOL_ANY,
            Eol::Crlf => ffi::EVBUFFER_EOL_CRLF,
            Eol::CrlfStrict => ffi::EVBUFFER_EOL_CRLF_STRICT,
            Eol::Lf => ffi::EVBUFFER_EOL_LF,
            Eol::Nul => ffi::EVBUFFER_EOL_NUL,
        }
    }
}

impl BufferRef {
    /// Where `pattern` is for the first time, if all of it lies in `range`; what of the range is
    /// behind the end of the buffer does not count. An empty pattern is where the range begins.
    ///
    /// ```
    /// use libevent2::Buffer;
    ///
    /// let buffer = Buffer::from("one two one");
    /// assert_eq!(buffer.find(b"one", ..), Some(0));
    /// assert_eq!(buffer.find(b"one", 1..), Some(8));
    /// assert_eq!(buffer.find(b"one", 1..10), None);
    /// ```
    #[doc(alias = "evbuffer_search")]
    #[doc(alias = "evbuffer_search_range")]
    #[doc(alias = "evbuffer_ptr_set")]
    pub fn find(&self, pattern: &[u8], range: impl RangeBounds<usize>) -> Option<usize> {
        let len = self.len();
        let start = match range.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&start) => start.checked_add(1)?,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&end) => end.saturating_add(1).min(len),
            Bound::Excluded(&end) => end.min(len),
            Bound::Unbounded => len,
        };
        if end.checked_sub(start)? < pattern.len() {
            return None;
        }
        if pattern.is_empty() {
            return Some(start);
        }
        let start = self.pointer_to(start)?;
        let end = self.pointer_to(end)?;
        // SAFETY: alive; both pointers are into it, and C only looks.
        let found = unsafe {
            ffi::evbuffer_search_range(
                self.as_ptr(),
                pattern.as_ptr().cast(),
                pattern.len(),
                &start,
                &end,
            )
        };
        usize::try_from(found.pos).ok()
    }

    /// Where the first end of a line at or behind `from` is, and how many bytes it has.
    ///
    /// ```
    /// use libevent2::Buffer;
    /// use libevent2::buffer::Eol;
    ///
    /// let buffer = Buffer::from("GET /\r\nHost: a\r\n");
    /// assert_eq!(buffer.find_eol(0, Eol::Crlf), Some((5, 2)));
    /// assert_eq!(buffer.find_eol(7, Eol::Crlf), Some((14, 2)));
    /// assert_eq!(buffer.find_eol(16, Eol::Crlf), None);
    /// ```
    #[doc(alias = "evbuffer_search_eol")]
    pub fn find_eol(&self, from: usize, eol: Eol) -> Option<(usize, usize)> {
        let mut start = self.pointer_to(from)?;
        let mut len = 0;
        // SAFETY: alive; the pointer is into it or to its end, and C only looks.
        let found =
            unsafe { ffi::evbuffer_search_eol(self.as_ptr(), &mut start, &mut len, eol.style()) };
        let at = usize::try_from(found.pos).ok()?;
        Some((at, len))
    }

    /// Takes the first line, without its end, which is dropped. `None` until a whole line is
    /// there.
    ///
    /// For lines that a peer sends use [`read_line_limited`](Self::read_line_limited).
    ///
    /// # Errors
    /// [`Error::Frozen`] when the front is frozen.
    #[doc(alias = "evbuffer_readln")]
    pub fn read_line(&mut self, eol: Eol) -> Result<Option<Vec<u8>>> {
        self.read_line_limited(eol, usize::MAX)
    }

    /// As [`read_line`](Self::read_line), for lines of at most `max` bytes without their end.
    ///
    /// ```
    /// use libevent2::Buffer;
    /// use libevent2::buffer::Eol;
    ///
    /// let mut buffer = Buffer::from("short\nfar too long\n");
    /// assert_eq!(buffer.read_line_limited(Eol::Lf, 8)?.as_deref(), Some(&b"short"[..]));
    /// assert!(buffer.read_line_limited(Eol::Lf, 8).is_err());
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] as soon as the line is known to be longer, also before its end has come;
    /// the buffer stays as it is. [`Error::Frozen`] when the front is frozen.
    #[doc(alias = "evbuffer_readln")]
    pub fn read_line_limited(&mut self, eol: Eol, max: usize) -> Result<Option<Vec<u8>>> {
        let too_long = || Error::invalid("line", format!("it is longer than {max} bytes"));
        let Some((end, eol_len)) = self.find_eol(0, eol) else {
            // Of two bytes that end a line the first may be here.
            let begun = usize::from(matches!(eol, Eol::Crlf | Eol::CrlfStrict));
            return match self.len() > max.saturating_add(begun) {
                true => Err(too_long()),
                false => Ok(None),
            };
        };
        if end > max {
            return Err(too_long());
        }
        let mut line = vec![0; end];
        self.copy_to(&mut line);
        self.drain(end + eol_len)?;
        Ok(Some(line))
    }
}

impl Buffer {
    /// [`BufferRef::read_line`], which would be hidden by
    /// [`BufRead::read_line`](std::io::BufRead::read_line).
    ///
    /// # Errors
    /// [`Error::Frozen`] when the front is frozen.
    #[doc(alias = "evbuffer_readln")]
    pub fn read_line(&mut self, eol: Eol) -> Result<Option<Vec<u8>>> {
        (**self).read_line(eol)
    }
}
