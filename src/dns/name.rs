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
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// The bytes of a name in a message: each label after its length, and the empty one at the end.
    /// RFC 1035 (2.3.4) allows 255.
    fn bytes_in_a_message(name: &str) -> Option<usize> {
        let labels = name.strip_suffix('.').unwrap_or(name).split('.');
        let lengths: Vec<_> = labels.map(str::len).collect();
        let bytes = lengths.iter().map(|length| length + 1).sum::<usize>() + 1;
        let good = lengths.iter().all(|length| (1..=63).contains(length));
        (good && bytes <= 255).then_some(bytes)
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn a_name_is_good_if_a_message_can_carry_it(
            lengths in vec(prop_oneof![0..3_usize, 40..66_usize], 0..7),
            dot in any::<bool>(),
        ) {
            let labels: Vec<_> = lengths.iter().map(|&length| "x".repeat(length)).collect();
            let name = labels.join(".") + if dot { "." } else { "" };
            prop_assert_eq!(check(&name).is_ok(), bytes_in_a_message(&name).is_some(), "{}", name);
        }
    }

    #[test]
    fn the_longest_name_fills_a_message() {
        let longest = [
            "x".repeat(63),
            "x".repeat(63),
            "x".repeat(63),
            "x".repeat(61),
        ]
        .join(".");
        assert_eq!(bytes_in_a_message(&longest), Some(255));
        for name in [&longest, &format!("{longest}.")] {
            assert_eq!(check(name), Ok(()));
        }
        // 253 bytes in other labels, of one byte each, are 255 in a message as well.
        let shortest_labels = ["x"; 127].join(".");
        assert_eq!(shortest_labels.len(), 253);
        assert_eq!(check(&shortest_labels), Ok(()));
    }

    #[test]
    fn any_ascii_is_carried_but_nul() {
        for good in ["*.example", "a b", "a\\b", "a\x1b", "-a-", "1.2.3.4", "A"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["\0", "a.\0.b", "b\u{fc}cher.example", "a\u{ff0e}b"] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let why = |name: &str| check(name).unwrap_err();
        assert_eq!(
            why(&"x".repeat(64)),
            "there are 64 bytes between two dots, 63 are allowed"
        );
        assert_eq!(why(&"x.".repeat(128)), "it has 255 bytes, 253 are allowed");
        assert_eq!(why("a..b"), "there is nothing between two dots");
    }

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
