//! A folder as a page.

use crate::files::Entry;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use std::ffi::{OsStr, OsString};
use std::fmt::Write;

/// What stays as it is in one name of a path.
const NAME: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}\
table{border-collapse:collapse;width:100%}td,th{padding:.2rem .6rem;text-align:left}\
td+td,th+th{text-align:right;white-space:nowrap}tr:hover td{background:#8881}a{text-decoration:none}\
:root{color-scheme:light dark}";

/// The path of a folder, from the names that lead to it, as it goes into a link.
pub fn folder_path(names: &[OsString]) -> String {
    let mut path = String::from("/");
    for name in names {
        path.extend(encode(name));
        path.push('/');
    }
    path
}

/// The page that lists `entries` of the folder that `names` lead to.
pub fn page(names: &[OsString], entries: &[Entry]) -> String {
    let shown: Vec<_> = names.iter().map(|name| name.to_string_lossy()).collect();
    let title = escape(&format!("/{}", shown.join("/")));
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n\
         <table><thead><tr><th>Name</th><th>Size</th><th>Modified</th></tr></thead><tbody>\n"
    );
    if !names.is_empty() {
        html.push_str("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
    }
    for entry in entries {
        let slash = if entry.is_dir { "/" } else { "" };
        let link: String = encode(&entry.name).collect();
        let name = escape(&entry.name.to_string_lossy());
        let size = if entry.is_dir {
            String::new()
        } else {
            human_size(entry.size)
        };
        let modified = entry
            .modified
            .map(|time| humantime::format_rfc3339_seconds(time).to_string())
            .unwrap_or_default();
        let _ = writeln!(
            html,
            "<tr><td><a href=\"./{link}{slash}\">{name}{slash}</a></td><td>{size}</td><td>{modified}</td></tr>"
        );
    }
    html.push_str("</tbody></table></body></html>\n");
    html
}

fn encode(name: &OsStr) -> impl Iterator<Item = &str> {
    percent_encode(name.as_encoded_bytes(), NAME)
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

fn human_size(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
        if size < 1024.0 {
            return if unit == "B" {
                format!("{bytes} B")
            } else {
                format!("{size:.1} {unit}")
            };
        }
        size /= 1024.0;
    }
    format!("{size:.1} PiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, is_dir: bool) -> Entry {
        Entry {
            name: name.into(),
            is_dir,
            size: 1536,
            modified: None,
        }
    }

    #[test]
    fn names_are_escaped_for_the_page_and_encoded_for_the_link() {
        let html = page(
            &["a & b".into()],
            &[entry("<i>é\"'?#.txt", false), entry("x:y", true)],
        );
        assert!(html.contains("<title>/a &amp; b</title>"), "{html}");
        assert!(
            html.contains("href=\"./%3Ci%3E%C3%A9%22%27%3F%23.txt\""),
            "{html}"
        );
        assert!(html.contains("&lt;i&gt;é&quot;&#39;?#.txt</a>"), "{html}");
        assert!(html.contains("href=\"./x%3Ay/\">x:y/</a>"), "{html}");
        assert!(html.contains("1.5 KiB"), "{html}");
    }

    #[test]
    fn the_top_folder_has_no_way_up() {
        assert!(!page(&[], &[]).contains("../"));
        assert!(page(&["a".into()], &[]).contains("href=\"../\""));
    }

    #[test]
    fn a_redirect_stays_on_this_server() {
        assert_eq!(folder_path(&[]), "/");
        assert_eq!(
            folder_path(&["evil.example".into(), "a b".into()]),
            "/evil.example/a%20b/"
        );
    }

    #[test]
    fn sizes_are_for_people() {
        assert_eq!(human_size(0), "0 B");
        assert_eq!(human_size(1023), "1023 B");
        assert_eq!(human_size(1 << 30), "1.0 GiB");
    }
}
