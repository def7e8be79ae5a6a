//! The program `evserve`, driven by curl.
#![cfg(all(feature = "serve", unix))]

mod common;

use common::bounded;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A folder that goes with the value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "libevent2-serve-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn evserve() -> Command {
    Command::new(env!("CARGO_BIN_EXE_evserve"))
}

/// A running server; killed with the value.
struct Server {
    child: Child,
    /// Its standard output, until that is closed.
    out: Option<BufReader<ChildStdout>>,
    url: String,
}

impl Server {
    fn start(folder: &Path) -> Self {
        Self::with(evserve().arg(folder).args(["--port", "0"]))
    }

    fn with(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let url = line.strip_prefix("listening on ").expect(&line).trim_end();
        assert!(url.starts_with("http://") && url.ends_with('/'), "{line}");
        Server {
            child,
            out: Some(out),
            url: url.to_owned(),
        }
    }

    /// The next line of the access log.
    fn log(&mut self) -> String {
        let mut line = String::new();
        self.out.as_mut().unwrap().read_line(&mut line).unwrap();
        line
    }

    fn signal(&self, signum: i32) {
        // SAFETY: our child, which was not waited for yet.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signum) }, 0);
    }

    fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    fn curl(&self, path: &str) -> Answer {
        self.curl_with(path, &[])
    }

    fn curl_with(&self, path: &str, options: &[&str]) -> Answer {
        let url = format!("{}{path}", self.url);
        let out = Command::new("curl")
            .args(["-sS", "-i", "--path-as-is", "--max-time", "30"])
            .args(options)
            .arg(url)
            .output()
            .expect("curl is there");
        Answer::new(out)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn new(out: Output) -> Self {
        let errors = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{errors}");
        let at = out
            .stdout
            .windows(4)
            .position(|end| end == b"\r\n\r\n")
            .expect("headers");
        let head = String::from_utf8(out.stdout[..at].to_vec()).unwrap();
        Answer {
            status: head[9..12].parse().unwrap(),
            body: out.stdout[at + 4..].to_vec(),
            head,
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }
}

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

/// The links of a page, with the `./` that keeps them from being taken for something else.
fn links(page: &str) -> Vec<String> {
    let rest = page.split("<a href=\"").skip(1);
    let links = rest.map(|rest| rest.split('"').next().unwrap().to_owned());
    links
        .map(|link| link.trim_start_matches("./").to_owned())
        .collect()
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
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"] {
        let answer = server.curl_with("a.txt", &["-X", method]);
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    }
    assert_eq!(server.curl_with("a.txt", &["-X", "BREW"]).status, 501);
    assert_eq!(server.curl("a.txt").text(), "text");
}

#[test]
fn each_request_has_a_line_that_nobody_can_forge() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put("a b.txt", "12345");
    let mut server = Server::start(&folder.0);
    server.curl("a%20b.txt?q=%0d%0a1");
    let line = server.log();
    let parts: Vec<&str> = line.split_whitespace().collect();
    let [time, peer, method, target, status, bytes, took] = parts[..] else {
        panic!("{line}");
    };
    assert!(time.starts_with("20") && time.ends_with('Z'), "{line}");
    assert!(peer.starts_with("127.0.0.1:"), "{line}");
    assert_eq!((method, target), ("\"GET", "/a%20b.txt?q=%0d%0a1\""));
    assert_eq!((status, bytes), ("200", "5"));
    assert!(took.ends_with("ms"), "{line}");
    server.curl("ä\"x");
    // curl escapes in lower case.
    let line = server.log().to_uppercase();
    assert!(line.contains("\"GET /%C3%A4\\\"X\" 404 "), "{line}");
    server.curl_with("a%20b.txt", &["-I"]);
    assert!(server.log().contains("\"HEAD /a%20b.txt\" 200 0 "));
}

#[test]
fn a_log_that_nobody_reads_is_no_reason_to_end() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put("a.txt", "text");
    let mut server = Server::start(&folder.0);
    assert_eq!(server.curl("a.txt").text(), "text");
    server.out = None;
    for _ in 0..3 {
        assert_eq!(server.curl("a.txt").text(), "text");
    }
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn the_address_is_as_asked() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put("a.txt", "text");
    let first = Server::start(&folder.0);
    assert!(first.url.starts_with("http://127.0.0.1:"));
    let second = Server::with(
        evserve()
            .arg(&folder.0)
            .args(["--port=0", "--bind=localhost"]),
    );
    assert_eq!(second.curl("a.txt").text(), "text");
    // Not every machine has it.
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        for bind in ["::1", "[::1]"] {
            let server = Server::with(evserve().arg(&folder.0).args(["-p", "0", "-b", bind]));
            assert!(server.url.starts_with("http://[::1]:"), "{}", server.url);
            assert_eq!(server.curl_with("a.txt", &["-g"]).text(), "text");
        }
    }
    // The working folder, without an argument.
    let server = Server::with(evserve().args(["--port", "0"]).current_dir(&folder.0));
    assert_eq!(server.curl("a.txt").text(), "text");
}

#[test]
fn what_cannot_be_served_is_one_line_and_code_2() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put("file", "");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let dir = folder.0.to_str().unwrap();
    let file = folder.path("file");
    let none = folder.path("none");
    let wrong: [(&[&str], &str); 9] = [
        (&[none.to_str().unwrap()], "none"),
        (&[file.to_str().unwrap()], "file"),
        (&[dir, "--port", "65536"], "65536"),
        (&[dir, "--port", "x"], "x"),
        (&[dir, "--port", &port], &port),
        (&[dir, "--bind", "192.0.2.1", "--port", "0"], "192.0.2.1"),
        (
            &[dir, "--bind", "no such host", "--port", "0"],
            "no such host",
        ),
        (&[dir, "--nonsense"], "--nonsense"),
        (&[dir, "more"], "more"),
    ];
    for (args, named) in wrong {
        let out = evserve().args(args).output().unwrap();
        let errors = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(2), "{args:?}: {errors}");
        assert!(
            errors.starts_with("evserve: ") && errors.contains(named),
            "{errors}"
        );
        assert_eq!(errors.matches('\n').count(), 1, "{errors}");
        assert!(out.stdout.is_empty());
    }
    let help = evserve().arg("--help").output().unwrap();
    assert!(help.status.success() && !help.stdout.is_empty());
}

/// A download of a long file that is under way, at a pace that leaves time.
fn slow_download(server: &Server, bytes_per_second: &str) -> Child {
    let mut curl = Command::new("curl")
        .args(["-sS", "--max-time", "50", "--limit-rate", bytes_per_second])
        .arg(format!("{}long", server.url))
        .stdout(Stdio::piped())
        .spawn()
        .expect("curl is there");
    let mut first = [0];
    let out = curl.stdout.as_mut().unwrap();
    out.read_exact(&mut first).unwrap();
    curl
}

const LONG: u64 = 48 << 20;

fn folder_with_long_file() -> Folder {
    let folder = Folder::new();
    folder.put("a.txt", "text");
    File::create(folder.path("long"))
        .unwrap()
        .set_len(LONG)
        .unwrap();
    folder
}

#[test]
fn a_signal_lets_downloads_finish() {
    let _bounded = bounded();
    let folder = folder_with_long_file();
    for signum in [libc::SIGTERM, libc::SIGINT] {
        let mut server = Server::start(&folder.0);
        let mut curl = slow_download(&server, "24M");
        server.signal(signum);
        // It listens no more when the signal has arrived.
        let addr = server
            .url
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned();
        while std::net::TcpStream::connect(&addr).is_ok() {}
        assert!(
            server.child.try_wait().unwrap().is_none(),
            "it does not wait"
        );
        let mut rest = Vec::new();
        curl.stdout.take().unwrap().read_to_end(&mut rest).unwrap();
        assert!(curl.wait().unwrap().success());
        assert_eq!(rest.len() as u64 + 1, LONG);
        assert_eq!(server.wait().code(), Some(0));
        let mut log = server.log();
        while !log.contains("/long") {
            log = server.log();
        }
        assert!(
            log.contains(&format!(" 200 {LONG} ")) && !log.contains("aborted"),
            "{log}"
        );
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let _bounded = bounded();
    let folder = folder_with_long_file();
    for (signum, code) in [(libc::SIGINT, 130), (libc::SIGTERM, 143)] {
        let mut server = Server::start(&folder.0);
        let mut curl = slow_download(&server, "1M");
        server.signal(signum);
        let addr = server
            .url
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned();
        while std::net::TcpStream::connect(&addr).is_ok() {}
        server.signal(signum);
        assert_eq!(server.wait().code(), Some(code));
        drop(curl.stdout.take());
        let _ = curl.kill();
        assert!(!curl.wait().unwrap().success());
    }
}

#[test]
fn a_client_that_goes_in_the_middle_harms_nobody() {
    let _bounded = bounded();
    let folder = folder_with_long_file();
    let mut server = Server::start(&folder.0);
    let mut curl = slow_download(&server, "1M");
    curl.kill().unwrap();
    curl.wait().unwrap();
    let line = server.log();
    assert!(
        line.contains("/long\" 200 ") && line.ends_with(" aborted\n"),
        "{line}"
    );
    assert_eq!(server.curl("long").body.len() as u64, LONG);
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
}
