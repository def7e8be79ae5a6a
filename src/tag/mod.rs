//! Tagged values in a buffer (C: `evtag`): each is a number that says what it is, its length, and
//! its bytes.
//!
//! The format is C's, so that C can be at the other end; all of it is read here, as C's reading
//! trusts its input too far. A peer chooses the length: look at [`payload_length`] before waiting
//! for the rest of a value.
//!
//! ```
//! use libevent2::{Buffer, tag};
//!
//! const NAME: u32 = 1;
//! const AGE: u32 = 2;
//!
//! let mut buffer = Buffer::new();
//! tag::marshal_string(&mut buffer, NAME, "Ada")?;
//! tag::marshal_int(&mut buffer, AGE, 36)?;
//!
//! assert_eq!(tag::peek(&buffer)?, NAME);
//! assert_eq!(tag::unmarshal_string(&mut buffer, NAME)?, "Ada");
//! assert_eq!(tag::unmarshal_int(&mut buffer, AGE)?, 36);
//! assert!(matches!(tag::peek(&buffer), Err(tag::Error::Incomplete)));
//! # Ok::<(), tag::Error>(())
//! ```
//!
//! # Errors
//! Whatever fails leaves the buffer as it was. All that read return
//! - [`Error::Incomplete`] when the buffer ends too early: try again when there is more;
//! - [`Error::Malformed`] for what cannot be a value;
//! - [`Error::WrongTag`] where a tag is asked for, and there is another;
//! - [`Error::Buffer`] when the buffer's front is frozen and has to be taken from.
//!
//! All that write return [`Error::Buffer`] when the buffer's end is frozen.

mod error;
mod wire;

pub use error::Error;

use crate::buffer::{BufferRef, End};
use std::time::Duration;
use wire::{INT, INT64, TAG};

/// What is read, or why it is not.
pub type Result<T> = std::result::Result<T, Error>;

// --- writing --------------------------------------------------------------------------------------

/// Adds bytes with a tag.
///
/// # Errors
/// [`Error::TooLarge`] for more than 4 GiB, else see the [module](self#errors).
#[doc(alias = "evtag_marshal")]
pub fn marshal(buffer: &mut BufferRef, tag: u32, bytes: &[u8]) -> Result<()> {
    let header = header_for(tag, bytes.len())?;
    let parts = [&*header, bytes].map(std::io::IoSlice::new);
    Ok(buffer.append_vectored(&parts)?)
}

/// Adds everything in `bytes` with a tag, without copying; it is empty then.
///
/// # Errors
/// [`Error::TooLarge`] for more than 4 GiB, [`Error::Buffer`] when the front of `bytes` is frozen
/// too, else see the [module](self#errors).
#[doc(alias = "evtag_marshal_buffer")]
pub fn marshal_buffer(buffer: &mut BufferRef, tag: u32, bytes: &mut BufferRef) -> Result<()> {
    let header = header_for(tag, bytes.len())?;
    check_frozen(buffer, End::Back, "evtag_marshal_buffer")?;
    bytes.prepend(&header)?;
    Ok(buffer.append_buffer(bytes)?)
}

/// Adds an integer with a tag.
///
/// # Errors
/// See the [module](self#errors).
#[doc(alias = "evtag_marshal_int")]
pub fn marshal_int(buffer: &mut BufferRef, tag: u32, number: u32) -> Result<()> {
    marshal_int64(buffer, tag, number.into())
}

/// Adds an integer with a tag.
///
/// # Errors
/// See the [module](self#errors).
#[doc(alias = "evtag_marshal_int64")]
pub fn marshal_int64(buffer: &mut BufferRef, tag: u32, number: u64) -> Result<()> {
    let mut bytes = Vec::with_capacity(INT64);
    wire::put_int(&mut bytes, number);
    marshal(buffer, tag, &bytes)
}

/// Adds a text with a tag.
///
/// # Errors
/// [`Error::TooLarge`] for more than 4 GiB, else see the [module](self#errors).
#[doc(alias = "evtag_marshal_string")]
pub fn marshal_string(buffer: &mut BufferRef, tag: u32, text: &str) -> Result<()> {
    marshal(buffer, tag, text.as_bytes())
}

/// Adds a duration with a tag, in whole microseconds.
///
/// # Errors
/// [`Error::TooLarge`] for more than 136 years, else see the [module](self#errors).
#[doc(alias = "evtag_marshal_timeval")]
pub fn marshal_timeval(buffer: &mut BufferRef, tag: u32, time: Duration) -> Result<()> {
    let seconds = small("a number of seconds", time.as_secs())?;
    let mut bytes = Vec::with_capacity(2 * INT);
    wire::put_int(&mut bytes, seconds.into());
    wire::put_int(&mut bytes, time.subsec_micros().into());
    marshal(buffer, tag, &bytes)
}

/// Adds a tag alone.
///
/// # Errors
/// See the [module](self#errors).
#[doc(alias = "evtag_encode_tag")]
pub fn encode_tag(buffer: &mut BufferRef, tag: u32) -> Result<()> {
    let mut bytes = Vec::with_capacity(TAG);
    wire::put_tag(&mut bytes, tag);
    Ok(buffer.append(&bytes)?)
}

/// Adds an integer alone, without tag and length.
///
/// # Errors
/// See the [module](self#errors).
#[doc(alias = "evtag_encode_int")]
pub fn encode_int(buffer: &mut BufferRef, number: u32) -> Result<()> {
    encode_int64(buffer, number.into())
}

/// Adds an integer alone, without tag and length.
///
/// # Errors
/// See the [module](self#errors).
#[doc(alias = "evtag_encode_int64")]
pub fn encode_int64(buffer: &mut BufferRef, number: u64) -> Result<()> {
    let mut bytes = Vec::with_capacity(INT64);
    wire::put_int(&mut bytes, number);
    Ok(buffer.append(&bytes)?)
}

fn header_for(tag: u32, length: usize) -> Result<Vec<u8>> {
    let length = small("a number of bytes", length as u64)?;
    let mut header = Vec::with_capacity(TAG + INT);
    wire::put_tag(&mut header, tag);
    wire::put_int(&mut header, length.into());
    Ok(header)
}

fn small(what: &'static str, size: u64) -> Result<u32> {
    u32::try_from(size).map_err(|_| Error::TooLarge { what, size })
}

// --- looking at what comes next -------------------------------------------------------------------

/// The tag of the next value, of which there may be no more than this yet.
///
/// # Errors
/// See the [module](self#errors).
#[doc(alias = "evtag_peek")]
pub fn peek(buffer: &BufferRef) -> Result<u32> {
    Ok(wire::tag(front::<TAG>(buffer, 0).as_ref())?.0)
}

/// The length of the next value's bytes, which need not be there yet.
///
/// # Errors
/// See the [module](self#errors).
#[doc(alias = "evtag_payload_length")]
pub fn payload_length(buffer: &BufferRef) -> Result<u32> {
    Ok(Header::of(buffer)?.length)
}

/// The length of all of the next value, with its tag and its length; it need not be there yet.
///
/// # Errors
/// See the [module](self#errors).
#[doc(alias = "evtag_peek_length")]
pub fn peek_length(buffer: &BufferRef) -> Result<u64> {
    let header = Header::of(buffer)?;
    Ok(header.size as u64 + u64::from(header.length))
}

// --- reading --------------------------------------------------------------------------------------

/// Takes tag and length of the next value, whose bytes are all there, and returns both.
///
/// # Errors
/// See the [module](self#errors).
#[doc(alias = "evtag_unmarshal_header")]
pub fn unmarshal_header(buffer: &mut BufferRef) -> Result<(u32, u32)> {
    let header = Header::complete(buffer)?;
    buffer.drain(header.size)?;
    Ok((header.tag, header.length))
}

/// Passes over the next value.
///
/// # Errors
/// See the [module](self#errors).
#[doc(alias = "evtag_consume")]
pub fn consume(buffer: &mut BufferRef) -> Result<()> {
    Header::complete(buffer)?.take_all(buffer)
}

/// Moves the bytes of the next value to the end of `target`, and returns its tag.
///
/// # Errors
/// [`Error::Buffer`] when the end of `target` is frozen too, else see the [module](self#errors).
#[doc(alias = "evtag_unmarshal")]
pub fn unmarshal(buffer: &mut BufferRef, target: &mut BufferRef) -> Result<u32> {
    let header = Header::complete(buffer)?;
    check_frozen(target, End::Back, "evtag_unmarshal")?;
    buffer.drain(header.size)?;
    buffer.move_to(target, header.length as usize)?;
    Ok(header.tag)
}

/// Takes the next value, an integer.
///
/// # Errors
/// See the [module](self#errors).
#[doc(alias = "evtag_unmarshal_int")]
pub fn unmarshal_int(buffer: &mut BufferRef, tag: u32) -> Result<u32> {
    let header = Header::with_tag(buffer, tag)?;
    let (number, _) = inside(wire::int32(header.front::<INT>(buffer).as_ref()))?;
    header.take_all(buffer)?;
    Ok(number)
}

/// Takes the next value, an integer.
///
/// # Errors
/// See the [module](self#errors).
#[doc(alias = "evtag_unmarshal_int64")]
pub fn unmarshal_int64(buffer: &mut BufferRef, tag: u32) -> Result<u64> {
    let header = Header::with_tag(buffer, tag)?;
    let (number, _) = inside(wire::int64(header.front::<INT64>(buffer).as_ref()))?;
    header.take_all(buffer)?;
    Ok(number)
}

/// Takes the next value, which has to be as long as `target`.
///
/// # Errors
/// [`Error::WrongLength`] when it is not, else see the [module](self#errors).
#[doc(alias = "evtag_unmarshal_fixed")]
pub fn unmarshal_fixed(buffer: &mut BufferRef, tag: u32, target: &mut [u8]) -> Result<()> {
    let header = Header::with_tag(buffer, tag)?;
    if header.length as usize != target.len() {
        return Err(Error::WrongLength {
            wanted: target.len(),
            found: header.length,
        });
    }
    buffer.copy_from_offset(header.size, target);
    header.take_all(buffer)
}

/// Takes the next value, a text.
///
/// # Errors
/// [`Error::Malformed`] when it is not UTF-8, else see the [module](self#errors).
#[doc(alias = "evtag_unmarshal_string")]
pub fn unmarshal_string(buffer: &mut BufferRef, tag: u32) -> Result<String> {
    let header = Header::with_tag(buffer, tag)?;
    // No more than there is in the buffer.
    let mut bytes = vec![0; header.length as usize];
    buffer.copy_from_offset(header.size, &mut bytes);
    let text = String::from_utf8(bytes);
    let text = text.map_err(|_| Error::Malformed("a text that is not UTF-8"))?;
    header.take_all(buffer)?;
    Ok(text)
}

/// Takes the next value, a duration.
///
/// # Errors
/// See the [module](self#errors).
#[doc(alias = "evtag_unmarshal_timeval")]
pub fn unmarshal_timeval(buffer: &mut BufferRef, tag: u32) -> Result<Duration> {
    let header = Header::with_tag(buffer, tag)?;
    let bytes = header.front::<{ 2 * INT }>(buffer);
    let (seconds, size) = inside(wire::int32(bytes.as_ref()))?;
    let (micros, _) = inside(wire::int32(&bytes.as_ref()[size..]))?;
    header.take_all(buffer)?;
    Ok(Duration::from_secs(seconds.into()) + Duration::from_micros(micros.into()))
}

/// Takes a tag alone.
///
/// # Errors
/// See the [module](self#errors).
#[doc(alias = "evtag_decode_tag")]
pub fn decode_tag(buffer: &mut BufferRef) -> Result<u32> {
    let (tag, size) = wire::tag(front::<TAG>(buffer, 0).as_ref())?;
    buffer.drain(size)?;
    Ok(tag)
}

/// Takes an integer that has no tag and length.
///
/// # Errors
/// See the [module](self#errors).
#[doc(alias = "evtag_decode_int")]
pub fn decode_int(buffer: &mut BufferRef) -> Result<u32> {
    let (number, size) = wire::int32(front::<INT>(buffer, 0).as_ref())?;
    buffer.drain(size)?;
    Ok(number)
}

/// Takes an integer that has no tag and length.
///
/// # Errors
/// See the [module](self#errors).
#[doc(alias = "evtag_decode_int64")]
pub fn decode_int64(buffer: &mut BufferRef) -> Result<u64> {
    let (number, size) = wire::int64(front::<INT64>(buffer, 0).as_ref())?;
    buffer.drain(size)?;
    Ok(number)
}

/// A tag and a length, and how many bytes the two have.
struct Header {
    tag: u32,
    length: u32,
    size: usize,
}

impl Header {
    fn of(buffer: &BufferRef) -> Result<Self> {
        let bytes = front::<{ TAG + INT }>(buffer, 0);
        let (tag, tag_size) = wire::tag(bytes.as_ref())?;
        let (length, length_size) = wire::int32(&bytes.as_ref()[tag_size..])?;
        Ok(Header {
            tag,
            length,
            size: tag_size + length_size,
        })
    }

    /// Of a value that is all there.
    fn complete(buffer: &BufferRef) -> Result<Self> {
        let header = Header::of(buffer)?;
        // There are as many bytes as the header has.
        if buffer.len() - header.size < header.length as usize {
            return Err(Error::Incomplete);
        }
        Ok(header)
    }

    fn with_tag(buffer: &BufferRef, wanted: u32) -> Result<Self> {
        let found = peek(buffer)?;
        if found != wanted {
            return Err(Error::WrongTag { wanted, found });
        }
        Header::complete(buffer)
    }

    /// The first bytes of the value, at most `N`, and none that are behind it.
    fn front<const N: usize>(&self, buffer: &BufferRef) -> Front<N> {
        let mut front = front::<N>(buffer, self.size);
        front.length = front.length.min(self.length as usize);
        front
    }

    /// Takes the value out of the buffer.
    fn take_all(&self, buffer: &mut BufferRef) -> Result<()> {
        buffer.drain(self.size + self.length as usize)?;
        Ok(())
    }
}

/// Some bytes of a buffer, copied, as they may lie in several chunks.
struct Front<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> AsRef<[u8]> for Front<N> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

fn front<const N: usize>(buffer: &BufferRef, position: usize) -> Front<N> {
    let mut bytes = [0; N];
    let length = buffer.copy_from_offset(position, &mut bytes);
    Front { bytes, length }
}

/// What does not end within its value will not end, whatever comes.
fn inside<T>(result: Result<T>) -> Result<T> {
    result.map_err(|error| match error {
        Error::Incomplete => Error::Malformed("an integer that goes beyond its value"),
        error => error,
    })
}

fn check_frozen(buffer: &BufferRef, end: End, op: &'static str) -> Result<()> {
    if buffer.is_frozen(end) {
        return Err(crate::Error::Frozen { op }.into());
    }
    Ok(())
}
