//! A folder as a site.

use crate::common::bounded;
use crate::program::{Folder, Server, evserve, links};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

#[test]
fn files_arrive_with_their_type_and_date() {
    let _bounded = bounded();
    let folder = Folder::new();
    let bytes: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_le_bytes).collect();
    folder.put("big.bin", &bytes);
    folder.put("a.txt", "text");
    folder.put("b.html", "<p>");
    folder.put("sub/c.svg", "<svg/>");
    folder.put("empty", "");
    let server = Server::start(&folder.0);

    let big = server.curl("big.bin");
    assert_eq!(big.status, 200);
    assert!(big.body == bytes);
    assert_eq!(big.header("content-length"), Some("4000000"));
    let types = [
        ("big.bin", "application/octet-stream"),
        ("a.txt", "text/plain; charset=utf-8"),
        ("b.html", "text/html; charset=utf-8"),
        ("sub/c.svg", "image/svg+xml"),
        ("empty", "application/octet-stream"),
    ];
    for (path, mime) in types {
        assert_eq!(
            server.curl(path).header("content-type"),
            Some(mime),
            "{path}"
        );
    }
    assert_eq!(server.curl("empty").text(), "");
    assert_eq!(server.curl("a.txt?v=1").text(), "text");

    let date = server
        .curl("a.txt")
        .header("last-modified")
        .unwrap()
        .to_owned();
    assert!(date.ends_with(" GMT"), "{date}");
    let since = format!("If-Modified-Since: {date}");
    assert_eq!(server.curl_with("a.txt", &["-H", &since]).status, 304);
    let before = "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT";
    assert_eq!(server.curl_with("a.txt", &["-H", before]).status, 200);
}

#[test]
fn names_may_hold_any_character() {
    let _bounded = bounded();
    let folder = Folder::new();
    let names = [
        "a b",
        "ä €.txt",
        "100%",
        "a?b#c",
        "a&b;c=d",
        "<i>\"'",
        "a:b",
        "+",
        "~",
        "日本語",
    ];
    for name in names {
        folder.put(&format!("in {name}/{name}"), name);
    }
    let bytes = std::ffi::OsStr::from_bytes(b"not-utf8-\xff");
    fs::write(folder.0.join(bytes), "raw").unwrap();
    let server = Server::start(&folder.0);

    // Every link of every page leads to what it says.
    let top = links(server.curl("").text());
    assert_eq!(top.len(), names.len() + 1);
    let mut found = Vec::new();
    for link in &top {
        let answer = server.curl(link);
        assert_eq!(answer.status, 200, "{link}");
        if link.ends_with('/') {
            let inner: Vec<_> = links(answer.text())
                .into_iter()
                .filter(|l| l != "../")
                .collect();
            assert_eq!(inner.len(), 1, "{link}");
            found.push(
                server
                    .curl(&format!("{link}{}", inner[0]))
                    .text()
                    .to_owned(),
            );
        } else {
            assert_eq!(answer.text(), "raw");
        }
    }
    found.sort();
    let mut names = names.to_vec();
    names.sort();
    assert_eq!(found, names);
    // Not escaped by the client.
    assert_eq!(
        server
            .curl("in ä €.txt/ä €.txt".replace(' ', "%20").as_str())
            .status,
        200
    );
}

#[test]
fn a_folder_is_its_index_or_a_listing() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put("with/index.html", "the index");
    folder.put("without/z.txt", "12345");
    folder.put("without/a/b", "");
    folder.put("without/.hidden", "");
    folder.put("without/<b>.txt", "");
    symlink("/etc/passwd", folder.path("without/out")).unwrap();
    symlink("z.txt", folder.path("without/in")).unwrap();
    let server = Server::start(&folder.0);

    let index = server.curl("with/");
    assert_eq!(index.text(), "the index");
    assert_eq!(
        index.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let listing = server.curl("without/");
    assert_eq!(
        listing.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(
        links(listing.text()),
        ["../", "a/", "%3Cb%3E.txt", "in", "z.txt"]
    );
    assert!(listing.text().contains("&lt;b&gt;.txt</a>") && listing.text().contains("5 B"));
    assert_eq!(server.curl("without/in").text(), "12345");
    assert!(!server.curl("").text().contains("href=\"../\""));

    for (path, place) in [
        ("with", "/with/"),
        ("without?a=b", "/without/?a=b"),
        ("without/a", "/without/a/"),
    ] {
        let redirect = server.curl(path);
        assert_eq!(
            (redirect.status, redirect.header("location")),
            (301, Some(place)),
            "{path}"
        );
    }
    // Not to another server.
    let redirect = server.curl("/with");
    assert!(matches!(redirect.header("location"), None | Some("/with/")));
    assert_eq!(server.curl("without/z.txt/").status, 404);
    assert_eq!(server.curl("nothing").status, 404);
    assert!(server.curl("nothing").text().contains("404 Not Found"));
}

#[test]
fn there_is_no_way_out_of_the_folder() {
    let _bounded = bounded();
    let outside = Folder::new();
    outside.put("secret", "secret");
    outside.put("public/a.txt", "public");
    outside.put("public/.env", "secret");
    outside.put("public/.git/config", "secret");
    outside.put("public/sub/.htaccess", "secret");
    let public = outside.path("public");
    let name = outside.0.file_name().unwrap().to_str().unwrap();
    symlink(outside.path("secret"), public.join("absolute")).unwrap();
    symlink("../secret", public.join("relative")).unwrap();
    symlink("..", public.join("up")).unwrap();
    symlink("/", public.join("root")).unwrap();
    symlink("loop", public.join("loop")).unwrap();
    symlink(".env", public.join("dotted")).unwrap();
    let server = Server::start(&public);
    for path in [
        "../secret",
        "/../secret",
        "..",
        "../",
        "sub/../../secret",
        "sub/..",
        "./a.txt",
        "%2e%2e/secret",
        "%2E%2E%2Fsecret",
        "..%2fsecret",
        "..%5csecret",
        "..\\secret",
        "sub/%2e%2e/%2e%2e/secret",
        "%252e%252e/secret",
        "%252e%252e%252fsecret",
        "..%c0%afsecret",
        "%c0%ae%c0%ae/secret",
        "..%00/secret",
        "a.txt%00.html",
        "%00",
        ".env",
        "%2eenv",
        ".git/config",
        ".git/",
        "sub/.htaccess",
        "sub/%2ehtaccess",
        "absolute",
        "relative",
        "up/secret",
        "up/",
        "up",
        "root/etc/passwd",
        "loop",
        "sub%2f.htaccess",
        "/etc/passwd",
        "//etc/passwd",
        "file:///etc/passwd",
    ] {
        let answer = server.curl(path);
        assert!(
            matches!(answer.status, 400 | 403 | 404),
            "{path}: {}",
            answer.head
        );
        assert!(
            !answer.text().contains("secret") && !answer.text().contains("root:"),
            "{path}"
        );
    }
    let escaped = format!("up/{name}/secret");
    assert!(matches!(server.curl(&escaped).status, 403 | 404));
    assert_eq!(server.curl("a.txt").text(), "public");
    // A link inside the folder is its owner's word.
    assert_eq!(server.curl("sub/").status, 200);
}

#[test]
fn only_regular_files_are_sent_and_none_is_waited_for() {
    let _bounded = bounded();
    let folder = Folder::new();
    let pipe = std::ffi::CString::new(folder.path("pipe").as_os_str().as_bytes()).unwrap();
    // SAFETY: a C string.
    assert_eq!(unsafe { libc::mkfifo(pipe.as_ptr(), 0o600) }, 0);
    let _socket = std::os::unix::net::UnixListener::bind(folder.path("socket")).unwrap();
    symlink("/dev/zero", folder.path("zero")).unwrap();
    fs::create_dir_all(folder.path("sub/index.html")).unwrap();
    let server = Server::start(&folder.0);
    for path in ["pipe", "socket", "zero"] {
        assert!(matches!(server.curl(path).status, 403 | 404), "{path}");
    }
    assert!(server.curl("").text().contains("sub/"));
    assert_eq!(links(server.curl("sub/").text()), ["../", "index.html/"]);
}

#[test]
fn only_get_and_head_are_answered() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put("a.txt", "text");
    let server = Server::start(&folder.0);
    let head = server.curl_with("a.txt", &["-I"]);
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("4"))
    );
    assert_eq!(head.text(), "");
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"] {
        let answer = server.curl_with("a.txt", &["-X", method]);
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    }
    assert_eq!(server.curl("a.txt").text(), "text");
}

#[test]
fn a_listing_is_json_for_who_asks_and_sorted_as_asked() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put("b.txt", "1");
    folder.put("a.txt", "333");
    folder.put("sub/c.txt", "22");
    folder.put(".hidden", "");
    let server = Server::start(&folder.0);
    let json = |path: &str| -> Vec<serde_json::Value> {
        let answer = server.curl_with(path, &["-H", "Accept: application/json"]);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("vary"), Some("Accept"));
        serde_json::from_slice(&answer.body).unwrap()
    };
    let names = |path: &str| -> Vec<String> {
        json(path)
            .iter()
            .map(|entry| entry["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(""), ["sub", "a.txt", "b.txt"]);
    assert_eq!(names("?sort=size"), ["sub", "b.txt", "a.txt"]);
    assert_eq!(names("?sort=name&order=desc"), ["sub", "b.txt", "a.txt"]);
    let all = json("");
    assert_eq!(
        (&all[0]["type"], &all[0]["size"]),
        (&"directory".into(), &().into())
    );
    assert_eq!(
        (&all[1]["type"], &all[1]["size"]),
        (&"file".into(), &3.into())
    );
    assert!(all[1]["modified"].as_str().unwrap().ends_with('Z'));
    let page = server.curl("?sort=size");
    assert_eq!(links(page.text()), ["sub/", "b.txt", "a.txt"]);
    assert!(page.text().contains("?sort=size&amp;order=desc"));
}

#[test]
fn hidden_names_are_served_when_wanted() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put(".env", "hidden");
    folder.put(".git/config", "hidden too");
    let server = Server::with(evserve().arg(&folder.0).args(["-p", "0", "--hidden"]));
    assert_eq!(links(server.curl("").text()), [".git/", ".env"]);
    assert_eq!(server.curl(".git/config").text(), "hidden too");
    for path in ["..", "../", "%2e%2e/", ".git/../../etc/passwd"] {
        assert!(matches!(server.curl(path).status, 400 | 404), "{path}");
    }
}

#[test]
fn links_lead_out_of_the_folder_when_they_may() {
    let _bounded = bounded();
    let outside = Folder::new();
    outside.put("a.txt", "outside");
    outside.put("dir/b.txt", "outside too");
    outside.put("public/sub/x", "");
    let public = outside.path("public");
    symlink(outside.path("a.txt"), public.join("file")).unwrap();
    symlink("../dir", public.join("dir")).unwrap();
    symlink("../sub/x", public.join("sub/up")).unwrap();
    symlink("/", public.join("root")).unwrap();
    symlink("loop", public.join("loop")).unwrap();
    let server = Server::with(
        evserve()
            .arg(&public)
            .args(["-p", "0", "--follow-symlinks"]),
    );
    assert_eq!(server.curl("file").text(), "outside");
    assert_eq!(server.curl("dir/b.txt").text(), "outside too");
    assert_eq!(
        links(server.curl("").text()),
        ["dir/", "root/", "sub/", "file"]
    );
    assert_eq!(server.curl("root/").status, 200);
    assert_eq!(server.curl("loop").status, 404);
    for path in ["../a.txt", "dir/../../a.txt", "%2e%2e/a.txt"] {
        assert!(matches!(server.curl(path).status, 400 | 404), "{path}");
    }
    // Within the folder they are followed anyway.
    let server = Server::start(&public);
    assert_eq!(links(server.curl("").text()), ["sub/"]);
    assert_eq!(links(server.curl("sub/").text()), ["../", "up", "x"]);
    assert_eq!(server.curl("sub/up").status, 200);
}

#[test]
fn a_program_of_one_page_gets_that_page() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put("index.html", "the page");
    folder.put("app.js", "the script");
    let server = Server::with(evserve().arg(&folder.0).args(["-p", "0", "--spa"]));
    for path in ["", "users/17", "users/17/"] {
        let answer = server.curl(path);
        assert_eq!((answer.status, answer.text()), (200, "the page"), "{path}");
    }
    assert_eq!(server.curl("app.js").text(), "the script");
    // A script that is missing must not be a page.
    assert_eq!(server.curl("missing.js").status, 404);
    let browser = ["-H", "Accept: text/html,*/*;q=0.8"];
    assert_eq!(server.curl_with("users/a.b", &browser).text(), "the page");
    assert_eq!(server.curl_with("users", &["-X", "POST"]).status, 405);
}

#[test]
fn a_file_is_sent_in_ranges_or_not_again_or_compressed() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put("a.js", "0123456789");
    folder.put("long", [b'x'; 1000]);
    folder.put("a.js.gz", "gzipped");
    folder.put("a.js.br", "brotli");
    let server = Server::start(&folder.0);
    let with = |header: &str| server.curl_with("a.js", &["-H", header]);

    let plain = server.curl("a.js");
    assert_eq!(
        (plain.text(), plain.header("accept-ranges")),
        ("0123456789", Some("bytes"))
    );
    assert_eq!(plain.header("cache-control"), Some("no-cache"));
    let etag = plain.header("etag").unwrap();
    let again = with(&format!("If-None-Match: {etag}"));
    assert_eq!((again.status, again.text()), (304, ""));
    assert_eq!(with("If-Match: *").status, 200);
    assert_eq!(with("If-Match: \"other\"").status, 412);

    let range = with("Range: bytes=2-4");
    assert_eq!((range.status, range.text()), (206, "234"));
    assert_eq!(range.header("content-range"), Some("bytes 2-4/10"));
    assert_eq!(with("Range: bytes=-3").text(), "789");
    let out = with("Range: bytes=10-");
    assert_eq!(
        (out.status, out.header("content-range")),
        (416, Some("bytes */10"))
    );
    let several = server.curl_with("long", &["-r", "0-1,900-901"]);
    assert_eq!(several.status, 206);
    let mime = several.header("content-type").unwrap();
    assert!(mime.starts_with("multipart/byteranges"), "{mime}");

    let small = with("Accept-Encoding: gzip, br;q=0.5");
    assert_eq!(
        (small.text(), small.header("content-encoding")),
        ("gzipped", Some("gzip"))
    );
    assert_eq!(
        small.header("content-type"),
        Some("text/javascript; charset=utf-8")
    );
    assert_eq!(small.header("vary"), Some("Accept-Encoding"));
    assert_ne!(small.header("etag"), Some(etag));
    assert_eq!(with("Accept-Encoding: br, gzip").text(), "brotli");
    assert_eq!(with("Accept-Encoding: identity").text(), "0123456789");
    // It may still be asked for by its own name.
    assert_eq!(server.curl("a.js.gz").text(), "gzipped");
}
