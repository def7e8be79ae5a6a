/// Why a tagged value could not be read or written. Nothing was taken from the buffer, nor added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The buffer ends before the value does: more may come.
    #[error("the tagged value is not complete")]
    Incomplete,

    /// No bytes to come can make it right.
    #[error("malformed: {0}")]
    Malformed(&'static str),

    /// The next value has another tag.
    #[error("the next value has tag {found}, not {wanted}")]
    WrongTag {
        /// The tag that was asked for.
        wanted: u32,
        /// The tag that is there.
        found: u32,
    },

    /// The next value has another length.
    #[error("the next value has {found} bytes, not {wanted}")]
    WrongLength {
        /// The length that was asked for.
        wanted: usize,
        /// The length that is there.
        found: u32,
    },

    /// The format has no room for a value like this.
    #[error("{what} of {size} is above the {} that can be written", u32::MAX)]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        size: u64,
    },

    /// The buffer refused: one of its ends is frozen.
    #[error(transparent)]
    Buffer(#[from] crate::Error),
}
