//! A folder as a page, or as JSON.

use super::folder::Entry;
use crate::page::{encode, escape};
use libevent2::http::{HeaderValue, Request, Response, header};
use serde_json::json;
use std::cmp::Ordering;
use std::ffi::OsString;
use std::fmt::Write;

/// By what it is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Name,
    Size,
    Date,
}

/// The order, as `?sort=size&order=desc` says it; by name without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Order {
    key: Key,
    down: bool,
}

const COLUMNS: [(Key, &str, &str); 3] = [
    (Key::Name, "name", "Name"),
    (Key::Size, "size", "Size"),
    (Key::Date, "date", "Modified"),
];

const UPLOAD: &str = "<form method=\"post\" enctype=\"multipart/form-data\">\
    <input type=\"file\" name=\"file\" multiple required> <button>Upload</button></form>\n";

/// The path of a folder, from the names that lead to it, as it goes into a link.
pub fn folder_path(names: &[OsString]) -> String {
    let mut path = String::from("/");
    for name in names {
        path.push_str(&encode(name.as_encoded_bytes()));
        path.push('/');
    }
    path
}

/// The answer that lists the folder that `names` lead to.
pub fn answer(
    names: &[OsString],
    mut entries: Vec<Entry>,
    uploads: bool,
    request: &Request,
) -> Response {
    let order = Order::of(request.query_pairs());
    order.sort(&mut entries);
    let response = if crate::page::wants_json(request.headers()) {
        Response::json(json(&entries))
    } else {
        Response::html(page(names, &entries, order, uploads))
    };
    response.header(header::VARY, HeaderValue::from_static("Accept"))
}

impl Order {
    fn of(query: impl Iterator<Item = (String, String)>) -> Self {
        let mut order = Order {
            key: Key::Name,
            down: false,
        };
        for (name, value) in query {
            match (name.as_str(), value.as_str()) {
                ("order", value) => order.down = value == "desc",
                ("sort", value) => {
                    let column = COLUMNS.iter().find(|(_, name, _)| *name == value);
                    order.key = column.map_or(Key::Name, |column| column.0);
                }
                _ => {}
            }
        }
        order
    }

    /// Folders first, whatever the order; equal ones by name.
    fn sort(self, entries: &mut [Entry]) {
        entries.sort_by(|a, b| {
            let order = match self.key {
                Key::Name => Ordering::Equal,
                Key::Size if a.is_dir => Ordering::Equal,
                Key::Size => a.size.cmp(&b.size),
                Key::Date => a.modified.cmp(&b.modified),
            };
            let order = order.then_with(|| a.name.cmp(&b.name));
            let order = if self.down { order.reverse() } else { order };
            b.is_dir.cmp(&a.is_dir).then(order)
        });
    }
}

fn json(entries: &[Entry]) -> String {
    let entries = entries.iter().map(|entry| {
        json!({
            "name": entry.name.to_string_lossy(),
            "type": if entry.is_dir { "directory" } else { "file" },
            "size": (!entry.is_dir).then_some(entry.size),
            "modified": entry.modified.map(|time| humantime::format_rfc3339_seconds(time).to_string()),
        })
    });
    format!("{:#}\n", json!(entries.collect::<Vec<_>>()))
}

fn page(names: &[OsString], entries: &[Entry], order: Order, uploads: bool) -> String {
    let shown: Vec<_> = names.iter().map(|name| name.to_string_lossy()).collect();
    let title = escape(&format!("/{}", shown.join("/")));
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{}</style></head>\n<body><h1>{title}</h1>\n\
         <table><thead><tr>",
        crate::page::STYLE
    );
    for (key, name, label) in COLUMNS {
        let (sign, next) = match (order.key == key, order.down) {
            (true, false) => (" ↑", "desc"),
            (true, true) => (" ↓", "asc"),
            (false, _) => ("", "asc"),
        };
        let _ = write!(
            html,
            "<th><a class=\"sort\" href=\"?sort={name}&amp;order={next}\">{label}{sign}</a></th>"
        );
    }
    html.push_str("</tr></thead><tbody>\n");
    if !names.is_empty() {
        html.push_str("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
    }
    for entry in entries {
        row(&mut html, entry);
    }
    html.push_str("</tbody></table>\n");
    if uploads {
        html.push_str(UPLOAD);
    }
    html.push_str(
        "<p><a class=\"archive\" href=\"?archive=tar\">All of it as a tar</a></p></body></html>\n",
    );
    html
}

fn row(html: &mut String, entry: &Entry) {
    let slash = if entry.is_dir { "/" } else { "" };
    let link = encode(entry.name.as_encoded_bytes());
    let name = escape(&entry.name.to_string_lossy());
    let size = match entry.is_dir {
        true => String::new(),
        false => human_size(entry.size),
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
    use std::time::{Duration, SystemTime};

    const BY_NAME: Order = Order {
        key: Key::Name,
        down: false,
    };

    fn entry(name: &str, is_dir: bool) -> Entry {
        Entry {
            name: name.into(),
            is_dir,
            is_link: false,
            size: 1536,
            modified: None,
        }
    }

    #[test]
    fn names_are_escaped_for_the_page_and_encoded_for_the_link() {
        let entries = [entry("<i>é\"'?#.txt", false), entry("x:y", true)];
        let html = page(&["a & b".into()], &entries, BY_NAME, false);
        for part in [
            "<title>/a &amp; b</title>",
            "href=\"./%3Ci%3E%C3%A9%22%27%3F%23.txt\"",
            "&lt;i&gt;é&quot;&#39;?#.txt</a>",
            "href=\"./x%3Ay/\">x:y/</a>",
            "1.5 KiB",
        ] {
            assert!(html.contains(part), "{html}");
        }
    }

    #[test]
    fn the_top_folder_has_no_way_up() {
        assert!(!page(&[], &[], BY_NAME, false).contains("../"));
        assert!(page(&["a".into()], &[], BY_NAME, true).contains("href=\"../\""));
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
    fn the_order_is_as_asked_with_folders_first() {
        let sorted = |query: &str| {
            let mut entries: Vec<Entry> = [("b", 1, 3), ("a", 3, 2), ("c", 2, 1)]
                .map(|(name, size, age)| Entry {
                    size,
                    modified: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(age)),
                    ..entry(name, false)
                })
                .into();
            entries.push(entry("z", true));
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            Order::of(pairs.map(|(a, b)| (a.to_owned(), b.to_owned()))).sort(&mut entries);
            let names = entries.iter().map(|entry| entry.name.to_str().unwrap());
            names.collect::<String>()
        };
        for (query, expected) in [
            ("", "zabc"),
            ("order=desc", "zcba"),
            ("sort=size", "zbca"),
            ("sort=size&order=desc", "zacb"),
            ("sort=date&order=asc", "zcab"),
            ("sort=nonsense", "zabc"),
        ] {
            assert_eq!(sorted(query), expected, "{query}");
        }
    }

    #[test]
    fn a_click_on_the_column_turns_the_order_around() {
        let html = page(&[], &[], BY_NAME, false);
        assert!(
            html.contains("?sort=name&amp;order=desc\">Name ↑"),
            "{html}"
        );
        assert!(html.contains("?sort=size&amp;order=asc\">Size<"), "{html}");
    }

    #[test]
    fn sizes_are_for_people() {
        assert_eq!(human_size(0), "0 B");
        assert_eq!(human_size(1023), "1023 B");
        assert_eq!(human_size(1 << 30), "1.0 GiB");
    }
}
