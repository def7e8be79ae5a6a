use super::Response;
use ::http::StatusCode;

/// Why a body is not what the handler asked for; always the client's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// It says that it is something else, or does not say what it is.
    #[error("the body has to be {expected}")]
    Type {
        /// What is expected in `Content-Type`.
        expected: &'static str,
    },

    /// There is more of something than is taken.
    #[error("the body has too many {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
    },

    /// A part of it is longer than is taken.
    #[error("the body has {what} that is too long")]
    TooLong {
        /// What.
        what: &'static str,
    },

    /// It is not formed as its type says.
    #[error("the body cannot be read: {why}")]
    Malformed {
        /// What is wrong, and where if that is known.
        why: String,
    },
}

impl ContentError {
    /// The status that says so: 415, 413 or 400.
    ///
    /// ```
    /// use libevent2::http::{Form, StatusCode};
    ///
    /// let error = Form::parse(&b"a&".repeat(5000)).unwrap_err();
    /// assert_eq!(error.status(), StatusCode::PAYLOAD_TOO_LARGE);
    /// ```
    pub fn status(&self) -> StatusCode {
        match self {
            ContentError::Type { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ContentError::TooMany { .. } | ContentError::TooLong { .. } => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            ContentError::Malformed { .. } => StatusCode::BAD_REQUEST,
        }
    }

    /// An answer that says so in a line of text.
    pub fn response(&self) -> Response {
        Response::text(format!("{self}\n")).status(self.status())
    }

    #[cfg(any(feature = "json", feature = "multipart"))]
    pub(super) fn malformed(why: impl Into<String>) -> Self {
        ContentError::Malformed { why: why.into() }
    }
}
