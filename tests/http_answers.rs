//! Files as answers to what clients really ask for: parts of them, only if they have changed,
//! compressed.
#![cfg(all(feature = "http", unix))]

mod common;
mod http_client;

use common::bounded;
use common::peers::peer;
use http_client::{Answer, Client, request, with_server};
use libevent2::http::{
    Coding, Cors, ETag, HeaderValue, Method, Request, Response, Route, SendFile, Server,
    StatusCode, Validators, header,
};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};
use tempfile::NamedTempFile;

/// Bytes in which every place is different.
fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32)
        .flat_map(|place| place.wrapping_mul(2_654_435_761).to_le_bytes())
        .take(len)
        .collect()
}

/// A file that was last changed some days ago.
fn file(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let then = SystemTime::now() - Duration::from_secs(300_000);
    file.as_file().set_modified(then).unwrap();
    file
}

fn send(path: &Path) -> SendFile {
    let file = SendFile::new(File::open(path).unwrap()).unwrap();
    file.content_type(HeaderValue::from_static("text/plain"))
}

fn serve(path: &Path) -> impl FnOnce(&Server) {
    let path = path.to_owned();
    move |server| {
        server.fallback(move |request: Request| {
            let answer = send(&path).answer(&request);
            request.respond(answer);
        });
    }
}

fn ask(client: &mut Client, more: &str) -> Answer {
    client.send(request("GET /", &format!("{more}\r\n")));
    client.read().expect("an answer")
}

#[test]
fn parts_of_a_file_are_sent_as_they_were_asked_for() {
    let _bounded = bounded();
    let bytes = pattern(1_000_000);
    let file = file(&bytes);
    with_server(serve(file.path()), move |addr| {
        let client = &mut Client::new(addr);
        let whole = ask(client, "");
        assert_eq!((whole.status, &whole.body), (200, &bytes));
        assert_eq!(whole.header("accept-ranges"), Some("bytes"));

        let part = ask(client, "Range: bytes=500000-799999\r\n");
        assert_eq!(part.status, 206);
        assert_eq!(part.body, bytes[500_000..800_000]);
        let range = part.header("content-range");
        assert_eq!(range, Some("bytes 500000-799999/1000000"));

        let end = ask(client, "Range: bytes=-7\r\n");
        assert_eq!(end.body, bytes[999_993..]);

        let beyond = ask(client, "Range: bytes=1000000-\r\n");
        assert_eq!(beyond.status, 416);
        assert_eq!(beyond.header("content-range"), Some("bytes */1000000"));

        let odd = ask(client, "Range: bytes=9-3\r\n");
        assert_eq!((odd.status, odd.body.len()), (200, 1_000_000));
    });
}

#[test]
fn several_parts_come_in_one_answer() {
    let _bounded = bounded();
    let bytes = pattern(600_000);
    let file = file(&bytes);
    with_server(serve(file.path()), move |addr| {
        let client = &mut Client::new(addr);
        let parts = ask(client, "Range: bytes=0-299999,400000-400009,-3\r\n");
        assert_eq!(parts.status, 206);
        let mime = parts.header("content-type").unwrap();
        let boundary = mime
            .strip_prefix("multipart/byteranges; boundary=")
            .unwrap();
        let mut expected = Vec::new();
        for (at, range) in [
            (0, 0..300_000),
            (1, 400_000..400_010),
            (2, 599_997..600_000),
        ] {
            if at > 0 {
                expected.extend(b"\r\n");
            }
            let head = format!(
                "--{boundary}\r\nContent-Type: text/plain\r\n\
                 Content-Range: bytes {}-{}/600000\r\n\r\n",
                range.start,
                range.end - 1
            );
            expected.extend(head.bytes());
            expected.extend(&bytes[range]);
        }
        expected.extend(format!("\r\n--{boundary}--\r\n").bytes());
        assert!(parts.body == expected, "{} bytes", parts.body.len());
        // The connection is fine after it.
        assert_eq!(ask(client, "Range: bytes=1-1\r\n").body, bytes[1..2]);
    });
}

#[test]
fn a_client_that_has_the_file_does_not_get_it_again() {
    let _bounded = bounded();
    let file = file(b"content");
    with_server(serve(file.path()), move |addr| {
        let client = &mut Client::new(addr);
        let first = ask(client, "");
        let tag = first.header("etag").unwrap();
        let date = first.header("last-modified").unwrap();
        assert!(!tag.starts_with("W/"));

        let same = ask(client, &format!("If-None-Match: \"x\", {tag}\r\n"));
        assert_eq!(same.status, 304);
        assert_eq!(same.header("etag"), Some(tag));
        assert_eq!(same.header("content-length"), None);
        assert_eq!(
            ask(client, &format!("If-Modified-Since: {date}\r\n")).status,
            304
        );
        let both = format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {date}\r\n");
        assert_eq!(ask(client, &both).status, 200);
        assert_eq!(ask(client, "If-Match: \"x\"\r\n").status, 412);
        assert_eq!(ask(client, &format!("If-Match: {tag}\r\n")).status, 200);

        let resume = |validator: &str| format!("Range: bytes=3-\r\nIf-Range: {validator}\r\n");
        assert_eq!(ask(client, &resume(tag)).text(), "tent");
        assert_eq!(ask(client, &resume(date)).text(), "tent");
        assert_eq!(ask(client, &resume("\"old\"")).text(), "content");
    });
}

#[test]
fn a_file_that_changed_a_moment_ago_may_change_again_unseen() {
    let _bounded = bounded();
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), "content").unwrap();
    with_server(serve(file.path()), move |addr| {
        let client = &mut Client::new(addr);
        let first = ask(client, "");
        let tag = first.header("etag").unwrap();
        assert!(tag.starts_with("W/"), "{tag}");
        assert_eq!(
            ask(client, &format!("If-None-Match: {tag}\r\n")).status,
            304
        );
        let resume = format!("Range: bytes=3-\r\nIf-Range: {tag}\r\n");
        assert_eq!(ask(client, &resume).status, 200);
    });
}

#[test]
fn head_tells_of_the_file_and_other_methods_are_refused() {
    let _bounded = bounded();
    let file = file(b"content");
    with_server(serve(file.path()), move |addr| {
        let client = &mut Client::new(addr);
        client.send(request("HEAD /", "Range: bytes=0-0\r\n\r\n"));
        let head = client.read_head().unwrap();
        assert_eq!(
            (head.status, head.header("content-length")),
            (200, Some("7"))
        );
        client.send(request("DELETE /", "\r\n"));
        let refused = client.read().unwrap();
        assert_eq!(
            (refused.status, refused.header("allow")),
            (405, Some("GET, HEAD"))
        );
        assert_eq!(ask(client, "").text(), "content");
    });
}

#[test]
fn the_compressed_file_goes_to_those_who_take_it() {
    let _bounded = bounded();
    let (plain, zipped) = (file(b"plain"), file(b"zipped"));
    let (plain_path, zipped_path) = (plain.path().to_owned(), zipped.path().to_owned());
    with_server(
        move |server| {
            server.fallback(move |request: Request| {
                let zipped = File::open(&zipped_path).unwrap();
                let file = send(&plain_path).variant(Coding::Gzip, zipped).unwrap();
                let answer = file.answer(&request);
                request.respond(answer);
            });
        },
        |addr| {
            let client = &mut Client::new(addr);
            let zipped = ask(client, "Accept-Encoding: br, gzip;q=0.5\r\n");
            assert_eq!(zipped.text(), "zipped");
            assert_eq!(zipped.header("content-encoding"), Some("gzip"));
            assert_eq!(zipped.header("content-type"), Some("text/plain"));
            let plain = ask(client, "Accept-Encoding: gzip;q=0\r\n");
            assert_eq!(plain.text(), "plain");
            assert_eq!(plain.header("content-encoding"), None);
            assert_ne!(plain.header("etag"), zipped.header("etag"));
            assert_eq!(plain.header("vary"), Some("Accept-Encoding"));
            // A range is one of what is sent.
            let part = ask(client, "Accept-Encoding: gzip\r\nRange: bytes=0-2\r\n");
            assert_eq!((part.status, part.text()), (206, "zip"));
        },
    );
}

#[test]
fn curl_goes_on_where_it_was_cut_off() {
    let Some(mut curl) = peer("curl") else { return };
    let _bounded = bounded();
    let bytes = pattern(3_000_000);
    let file = file(&bytes);
    let got = NamedTempFile::new().unwrap();
    fs::write(got.path(), &bytes[..1_234_567]).unwrap();
    let path = got.path().to_owned();
    with_server(serve(file.path()), move |addr| {
        let url = format!("http://{addr}/");
        curl.args(["-sS", "-f", "-C", "-", "-o"]).arg(path).arg(url);
        assert!(curl.status().unwrap().success());
    });
    assert!(fs::read(got.path()).unwrap() == bytes);
}

#[test]
fn a_thing_that_is_no_file_has_conditions_too() {
    let _bounded = bounded();
    with_server(
        |server| {
            let thing = Validators::new().etag(ETag::strong("v1").unwrap());
            server.fallback(move |request: Request| {
                let answer = thing
                    .check(&request)
                    .unwrap_or_else(|| Response::text("thing"));
                request.respond(thing.mark(answer));
            });
        },
        |addr| {
            let client = &mut Client::new(addr);
            assert_eq!(ask(client, "").header("etag"), Some("\"v1\""));
            assert_eq!(ask(client, "If-None-Match: W/\"v1\"\r\n").status, 304);
            client.send(request(
                "PUT /",
                "If-Match: \"v0\"\r\nContent-Length: 0\r\n\r\n",
            ));
            assert_eq!(client.read().unwrap().status, 412);
        },
    );
}

#[test]
fn a_page_of_another_site_may_do_what_the_route_allows() {
    let _bounded = bounded();
    with_server(
        |server| {
            let cors = || Cors::new().origin("https://app.example").unwrap();
            let put = |request: Request| request.reply(StatusCode::OK, "put");
            server
                .route(Route::new("PUT /x").cors(cors()), put)
                .unwrap();
            let vary = |request: Request| {
                let vary = HeaderValue::from_static("Accept");
                request.respond(Response::text("got").header(header::VARY, vary));
            };
            server
                .route(
                    Route::new("GET /x").cors(cors().methods([Method::GET])),
                    vary,
                )
                .unwrap();
            let closed = |request: Request| request.reply(StatusCode::OK, "closed");
            server.route("GET /closed", closed).unwrap();
        },
        |addr| {
            let client = &mut Client::new(addr);
            let mut preflight = |path: &str, origin: &str, method: &str| {
                let asks =
                    format!("Origin: {origin}\r\nAccess-Control-Request-Method: {method}\r\n\r\n");
                client.send(request(&format!("OPTIONS {path}"), &asks));
                client.read().unwrap()
            };
            let put = preflight("/x", "https://app.example", "PUT");
            assert_eq!(put.status, 204);
            assert_eq!(
                put.header("access-control-allow-origin"),
                Some("https://app.example")
            );
            assert_eq!(put.header("access-control-allow-methods"), Some("PUT, GET"));
            let delete = preflight("/x", "https://app.example", "DELETE");
            assert_eq!(delete.header("access-control-allow-methods"), None);
            let evil = preflight("/x", "https://evil.example", "PUT");
            assert_eq!(evil.header("access-control-allow-origin"), None);
            let closed = preflight("/closed", "https://app.example", "GET");
            assert_eq!(closed.header("access-control-allow-origin"), None);
            assert_eq!(closed.header("allow"), Some("GET, HEAD, OPTIONS"));

            client.send(request("GET /x", "Origin: https://app.example\r\n\r\n"));
            let got = client.read().unwrap();
            assert_eq!(
                got.header("access-control-allow-origin"),
                Some("https://app.example")
            );
            assert_eq!(got.all("vary"), ["Accept", "Origin"]);
            client.send(request("GET /x", "Origin: https://evil.example\r\n\r\n"));
            let got = client.read().unwrap();
            assert_eq!(got.header("access-control-allow-origin"), None);
            assert_eq!(got.text(), "got");
        },
    );
}
