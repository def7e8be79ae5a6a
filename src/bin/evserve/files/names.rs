//! The names in the path of a request.

use percent_encoding::percent_decode_str;
use std::ffi::{OsStr, OsString};

/// The names that a path is made of, decoded; `None` for a path that is never served: `.` and `..`,
/// hidden names unless they are wanted, and names that would be more than one name to the system.
pub fn names(path: &str, hidden: bool) -> Option<Vec<OsString>> {
    let segments = path.strip_prefix('/')?.split('/');
    segments
        .filter(|segment| !segment.is_empty())
        .map(|segment| name(segment, hidden))
        .collect()
}

fn name(segment: &str, hidden: bool) -> Option<OsString> {
    let bytes: Vec<u8> = percent_decode_str(segment).collect();
    let separators: &[u8] = if cfg!(windows) { b"/\0\\:" } else { b"/\0" };
    if bytes.is_empty() || bytes.iter().any(|byte| separators.contains(byte)) {
        return None;
    }
    let name = os_string(bytes)?;
    let is_served = match name.as_encoded_bytes() {
        b"." | b".." => false,
        _ => hidden || !is_hidden(&name),
    };
    is_served.then_some(name)
}

#[cfg(unix)]
fn os_string(bytes: Vec<u8>) -> Option<OsString> {
    use std::os::unix::ffi::OsStringExt;
    Some(OsString::from_vec(bytes))
}

#[cfg(not(unix))]
fn os_string(bytes: Vec<u8>) -> Option<OsString> {
    String::from_utf8(bytes).ok().map(OsString::from)
}

pub fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(path: &str) -> Option<Vec<String>> {
        let names = names(path, false)?;
        Some(
            names
                .iter()
                .map(|name| name.to_string_lossy().into_owned())
                .collect(),
        )
    }

    #[test]
    fn a_path_is_split_before_it_is_decoded() {
        assert_eq!(
            decoded("/a%20b/%C3%A9.txt"),
            Some(vec!["a b".into(), "é.txt".into()])
        );
        assert_eq!(decoded("/a//b/"), Some(vec!["a".into(), "b".into()]));
        assert_eq!(decoded("/"), Some(vec![]));
        assert_eq!(decoded("/what%3Fnow"), Some(vec!["what?now".into()]));
        assert_eq!(decoded("/100%"), Some(vec!["100%".into()]));
    }

    #[test]
    fn a_path_that_could_leave_the_folder_has_no_names() {
        for path in [
            "/..",
            "/../etc/passwd",
            "/a/../../b",
            "/%2e%2e/x",
            "/%2E./x",
            "/.%2e",
            "/a%2fb",
            "/a%2Fb",
            "/%2f",
            "/x%00.html",
            "/.hidden",
            "/%2ehidden",
            "/a/.git/config",
            "/.",
            "relative",
            "",
        ] {
            assert_eq!(decoded(path), None, "{path}");
        }
    }

    #[test]
    fn what_is_decoded_twice_by_nobody_is_an_ordinary_name() {
        assert_eq!(
            decoded("/%252e%252e/x"),
            Some(vec!["%2e%2e".into(), "x".into()])
        );
    }

    #[test]
    fn hidden_names_may_be_wanted_but_never_those_that_lead_up() {
        assert_eq!(names("/.env", true), Some(vec![".env".into()]));
        for path in ["/..", "/.", "/%2e%2e/x", "/a/../b"] {
            assert_eq!(names(path, true), None, "{path}");
        }
    }
}
