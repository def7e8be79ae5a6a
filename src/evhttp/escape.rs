//! Escapes of URIs and of HTML, as libevent writes them.
//!
//! They are not calls of C, whose results belong to the allocator of C and end at the first NUL.
//! A test compares them with C's.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

/// All but what RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Escapes everything but letters, digits and `-._~`: for one part of a URI, such as the value of
/// a query. A blank becomes `%20`.
///
/// ```
/// use libevent2::evhttp::encode_uri;
///
/// assert_eq!(encode_uri("1+2 = 3/ä"), "1%2B2%20%3D%203%2F%C3%A4");
/// ```
#[doc(alias = "evhttp_encode_uri")]
pub fn encode_uri(text: impl AsRef<[u8]>) -> String {
    uriencode(text, false)
}

/// As [`encode_uri`]; a blank becomes `+` when `space_as_plus` is true.
#[doc(alias = "evhttp_uriencode")]
pub fn uriencode(text: impl AsRef<[u8]>, space_as_plus: bool) -> String {
    let escaped = percent_encode(text.as_ref(), RESERVED).to_string();
    match space_as_plus {
        true => escaped.replace("%20", "+"),
        false => escaped,
    }
}

/// Undoes the escapes of a whole URI; a `+` behind the first `?` is a blank.
///
/// An escaped `?` or `&` cannot be told from a real one afterwards, so it is better to take the
/// URI apart first, with [`Uri`](super::Uri), and decode the parts.
#[doc(alias = "evhttp_decode_uri")]
pub fn decode_uri(text: impl AsRef<[u8]>) -> Vec<u8> {
    let text = text.as_ref();
    let query = text.iter().position(|&byte| byte == b'?');
    let (path, query) = text.split_at(query.unwrap_or(text.len()));
    let mut plain = uridecode(path, false);
    plain.extend(uridecode(query, true));
    plain
}

/// Undoes percent escapes, once; a `+` is a blank when `decode_plus` is true. A `%` without two
/// hexadecimal digits stays as it is.
///
/// ```
/// use libevent2::evhttp::uridecode;
///
/// assert_eq!(uridecode("a%20b+c%00%", false), b"a b+c\0%");
/// assert_eq!(uridecode("a+b%2Bc", true), b"a b+c");
/// ```
#[doc(alias = "evhttp_uridecode")]
pub fn uridecode(text: impl AsRef<[u8]>, decode_plus: bool) -> Vec<u8> {
    let text = text.as_ref();
    if !decode_plus {
        return percent_decode(text).collect();
    }
    let blanks: Vec<u8> = text
        .iter()
        .map(|&byte| if byte == b'+' { b' ' } else { byte })
        .collect();
    percent_decode(&blanks).collect()
}

/// Replaces `<`, `>`, `"`, `'` and `&`, so that the text can stand in a page and in an attribute.
///
/// ```
/// use libevent2::evhttp::htmlescape;
///
/// assert_eq!(htmlescape("<a href='?b&c'>"), "&lt;a href=&#039;?b&amp;c&#039;&gt;");
/// ```
#[doc(alias = "evhttp_htmlescape")]
pub fn htmlescape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#039;"),
            '&' => escaped.push_str("&amp;"),
            other => escaped.push(other),
        }
    }
    escaped
}
