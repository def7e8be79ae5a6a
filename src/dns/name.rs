//! Names as they are in DNS: labels with dots between them.

use std::fmt::Write as _;

/// The longest name, without a dot at its end.
const MAX: usize = 253;
const MAX_LABEL: usize = 63;

/// Whether DNS can carry it; else why not. One dot at the end is allowed: it says that the name is
/// complete.
pub(crate) fn check(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("it is empty".to_owned());
    }
    if !name.is_ascii() {
        return Err("it is not ASCII; internationalised names are asked for as xn--…".to_owned());
    }
    if name.contains('\0') {
        return Err("there is a NUL in it".to_owned());
    }
    let labels = name.strip_suffix('.').unwrap_or(name);
    if labels.len() > MAX {
        return Err(format!("it has {} bytes, {MAX} are allowed", labels.len()));
    }
    for label in labels.split('.') {
        match label.len() {
            0 => return Err("there is nothing between two dots".to_owned()),
            1..=MAX_LABEL => {}
            long => {
                return Err(format!(
                    "there are {long} bytes between two dots, {MAX_LABEL} are allowed"
                ));
            }
        }
    }
    Ok(())
}

/// A name from the network as text: what is no printable ASCII is written as `\` and three digits,
/// as in zone files.
pub(crate) fn escape(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for &byte in name {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b'!'..=b'~' => text.push(byte as char),
            _ => {
                let _ = write!(text, "\\{byte:03}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_labels_of_63_bytes_and_253_in_all() {
        let label = "x".repeat(63);
        let longest = [&label[..], &label, &label, &label[..61]].join(".");
        assert_eq!(longest.len(), 253);
        for good in ["a", "a.b.", "_srv._tcp.example", &label, &longest] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let long_label = "x".repeat(64);
        let too_long = format!("{longest}x");
        for bad in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a..",
            "ä",
            "a\0",
            &long_label,
            &too_long,
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_not_printable_is_escaped() {
        assert_eq!(escape(b"host.example"), "host.example");
        assert_eq!(escape(b"a b\\\x1b[31m\xff"), r"a\032b\\\027[31m\255");
    }
}
