//! Bodies that mean something: forms, JSON, cookies, and uploads that are saved as they come.
#![cfg(all(feature = "http", feature = "multipart", unix))]

mod common;
mod http_client;

use common::bounded;
use common::peers::peer;
use http_client::{Answer, Client, ask, post, request, with_server};
use libevent2::http::multipart::{Event, Limits, Parser, SaveTo};
use libevent2::http::{self, Request, Response, Route, Server, StatusCode};
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use tempfile::tempdir;

const TYPE: &str = "Content-Type: multipart/form-data; boundary=\"X\"\r\n";

fn part(name: &str, file: &str, content: &str) -> String {
    format!(
        "--X\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\n\
         Content-Type: text/plain\r\n\r\n{content}\r\n"
    )
}

fn upload(client: &mut Client, body: &str) -> Answer {
    let length = body.len();
    let more = format!("{TYPE}Content-Length: {length}\r\n\r\n{body}");
    client.send(request("POST /up", &more));
    client.read().expect("an answer")
}

/// Saves what comes and answers with names and lengths.
fn save(request: Request, folder: PathBuf, limits: Limits) {
    let Some(body) = request.incoming() else {
        return request.reply(StatusCode::BAD_REQUEST, "no body");
    };
    let parser = match Parser::new(&request, limits) {
        Ok(parser) => parser,
        Err(error) => return request.respond(error.response()),
    };
    body.save(parser, SaveTo::new(folder), move |saved| match saved {
        Ok(saved) => {
            let line = |file: &http::multipart::Saved| {
                let name = file
                    .path
                    .file_name()
                    .unwrap()
                    .to_string_lossy()
                    .into_owned();
                format!("{name} {}\n", file.bytes)
            };
            let text: String = saved.files.iter().map(line).collect();
            request.reply(StatusCode::CREATED, text);
        }
        Err(error) => request.respond(error.response()),
    });
}

fn serve(folder: &Path, limits: Limits) -> impl FnOnce(&Server) {
    let folder = folder.to_owned();
    move |server| {
        let route = Route::new("POST /up").streamed().body_bytes(1 << 30);
        let handler = move |request| save(request, folder.clone(), limits);
        server.route(route, handler).unwrap();
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn files_are_saved_as_they_come() {
    let _bounded = bounded();
    let folder = tempdir().unwrap();
    let big = "0123456789abcdef".repeat(1 << 16);
    let sent = big.clone();
    with_server(serve(folder.path(), Limits::new()), move |addr| {
        let client = &mut Client::new(addr);
        let body = part("a", "../big", &sent) + &part("b", "small", "x") + "--X--\r\n";
        let answer = upload(client, &body);
        assert_eq!(
            (answer.status, answer.text()),
            (201, "big 1048576\nsmall 1\n")
        );
        // The same again: nothing is overwritten.
        let body = part("b", "small", "other") + "--X--";
        assert_eq!(upload(client, &body).text(), "small-1 5\n");
    });
    assert_eq!(names(folder.path()), ["big", "small", "small-1"]);
    assert!(fs::read_to_string(folder.path().join("big")).unwrap() == big);
    assert_eq!(
        fs::read_to_string(folder.path().join("small")).unwrap(),
        "x"
    );
}

#[test]
fn a_client_that_leaves_in_the_middle_leaves_nothing_behind() {
    let _bounded = bounded();
    let folder = tempdir().unwrap();
    let path = folder.path().to_owned();
    with_server(serve(folder.path(), Limits::new()), move |addr| {
        let mut client = Client::new(addr);
        let half = part("a", "half", &"x".repeat(500_000));
        client.send(request(
            "POST /up",
            &format!("{TYPE}Content-Length: 9000000\r\n\r\n{half}"),
        ));
        // The file is being written.
        while names(&path).is_empty() {
            std::thread::yield_now();
        }
        drop(client);
        while !names(&path).is_empty() {
            std::thread::yield_now();
        }
    });
    assert!(names(folder.path()).is_empty());
}

#[test]
fn what_is_malformed_or_too_much_is_refused_at_once() {
    let _bounded = bounded();
    let folder = tempdir().unwrap();
    let limits = Limits::new().parts(2).part_bytes(1000);
    with_server(serve(folder.path(), limits), |addr| {
        let refused = |body: &str, status: u16| {
            let mut client = Client::new(addr);
            // The rest never comes.
            let more = format!("{TYPE}Content-Length: 9000000\r\n\r\n{body}");
            client.send(request("POST /up", &more));
            assert_eq!(
                client.read().expect("an answer").status,
                status,
                "{body:.60}"
            );
        };
        refused(&part("a", "f", &"x".repeat(2000)), 413);
        refused(
            &(part("a", "f", "") + &part("a", "g", "") + &part("a", "h", "")),
            413,
        );
        refused("--X\r\nnonsense\r\n\r\n", 400);
        refused("--Xy", 400);
        let cut = upload(&mut Client::new(addr), &part("a", "i", "x"));
        assert_eq!(cut.status, 400);
        let other = ask(
            addr,
            "POST /up",
            "Content-Type: text/plain\r\nContent-Length: 1\r\n\r\nx",
        );
        assert_eq!(other.status, 415);
        assert_eq!(
            ask(addr, "POST /up", "Content-Length: 0\r\n\r\n").status,
            400
        );
    });
    // Files that were whole before are there.
    assert_eq!(names(folder.path()), ["f", "g"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_our_fault() {
    let _bounded = bounded();
    with_server(serve(Path::new("/nowhere/at/all"), Limits::new()), |addr| {
        let answer = upload(&mut Client::new(addr), &(part("a", "f", "x") + "--X--"));
        assert_eq!(
            (answer.status, answer.text()),
            (500, "500 Internal Server Error\n")
        );
    });
}

#[test]
fn curl_uploads_files() {
    let Some(mut curl) = peer("curl") else { return };
    let _bounded = bounded();
    let (folder, source) = (tempdir().unwrap(), tempdir().unwrap());
    let from = source.path().join("a b;c.bin");
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    fs::write(&from, &bytes).unwrap();
    let form = format!("file=@\"{}\"", from.display());
    let text = with_server(serve(folder.path(), Limits::new()), move |addr| {
        let url = format!("http://{addr}/up");
        let output = curl
            .args(["-sS", "-F", "title=x", "-F", &form, &url])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    });
    assert_eq!(text, "a b;c.bin 3000000\n");
    assert!(fs::read(folder.path().join("a b;c.bin")).unwrap() == bytes);
}

#[test]
fn a_body_that_was_read_whole_has_parts_too() {
    let _bounded = bounded();
    with_server(
        |server| {
            let handler = |request: Request| {
                let count = Cell::new(0);
                let read = request.multipart(Limits::new(), |event| {
                    count.set(count.get() + usize::from(matches!(event, Event::End)));
                    Ok(())
                });
                match read {
                    Ok(()) => request.reply(StatusCode::OK, count.get().to_string()),
                    Err(error) => request.respond(error.response()),
                }
            };
            server.route("POST /up", handler).unwrap();
        },
        |addr| {
            let client = &mut Client::new(addr);
            let body = part("a", "f", "x") + &part("b", "g", "") + "--X--";
            assert_eq!(upload(client, &body).text(), "2");
            assert_eq!(upload(client, "--Xx").status, 400);
        },
    );
}

#[test]
fn the_end_of_an_upload_is_told_once() {
    let _bounded = bounded();
    let calls = with_server(
        |server| {
            let calls = Rc::new(Cell::new(0));
            let seen = calls.clone();
            let route = Route::new("POST /up").streamed();
            let handler = move |request: Request| {
                let parser = Parser::new(&request, Limits::new()).unwrap();
                let body = request.incoming().unwrap();
                let calls = calls.clone();
                body.multipart(
                    parser,
                    |event| match event {
                        Event::Data(_) => Err(http::multipart::Error::Callback("enough".into())),
                        _ => Ok(()),
                    },
                    move |read| {
                        calls.set(calls.get() + 1);
                        request.reply(StatusCode::IM_A_TEAPOT, read.unwrap_err().to_string());
                    },
                );
            };
            server.route(route, handler).unwrap();
            let count = move |request: Request| {
                request.reply(StatusCode::OK, seen.get().to_string());
            };
            server.route("GET /calls", count).unwrap();
        },
        |addr| {
            let answer = upload(&mut Client::new(addr), &(part("a", "f", "x") + "--X--"));
            assert_eq!((answer.status, answer.text()), (418, "enough"));
            http_client::get(addr, "/calls").text().to_owned()
        },
    );
    assert_eq!(calls, "1");
}

#[test]
fn forms_are_pairs() {
    let _bounded = bounded();
    with_server(
        |server| {
            server.fallback(|request: Request| {
                let answer = request.form().map(|form| {
                    let names: Vec<_> = form
                        .iter()
                        .map(|(name, value)| format!("{name}={value}"))
                        .collect();
                    Response::text(names.join(";"))
                });
                let answer = answer.unwrap_or_else(|error| error.response());
                request.respond(answer);
            });
        },
        |addr| {
            let form = "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n";
            let body = "name=Ada+L.&x=%26";
            let more = format!("{form}Content-Length: {}\r\n\r\n{body}", body.len());
            assert_eq!(ask(addr, "POST /", &more).text(), "name=Ada L.;x=&");
            assert_eq!(post(addr, "/", body).status, 415);
        },
    );
}

#[cfg(feature = "json")]
#[test]
fn json_comes_and_goes() {
    let _bounded = bounded();
    with_server(
        |server| {
            server.fallback(|request: Request| {
                let answer = match request.json::<Vec<i64>>() {
                    Ok(numbers) => Response::json_of(&numbers.iter().sum::<i64>()).unwrap(),
                    Err(error) => error.response(),
                };
                request.respond(answer);
            });
        },
        |addr| {
            let send = |mime: &str, body: &str| {
                let length = body.len();
                let more =
                    format!("Content-Type: {mime}\r\nContent-Length: {length}\r\n\r\n{body}");
                ask(addr, "POST /", &more)
            };
            let sum = send("application/json", "[1, 2, 3]");
            assert_eq!(
                (sum.text(), sum.header("content-type")),
                ("6", Some("application/json"))
            );
            let bad = send("application/json", "[1,\n x]");
            assert_eq!(bad.status, 400);
            assert!(bad.text().contains("line 2 column 2"), "{}", bad.text());
            assert_eq!(send("text/plain", "[]").status, 415);
        },
    );
}

#[cfg(feature = "cookies")]
#[test]
fn cookies_come_back() {
    let _bounded = bounded();
    with_server(
        |server| {
            server.fallback(|request: Request| {
                let seen = request.cookie("seen").unwrap_or_default();
                let more = format!("{seen}x");
                let answer = Response::text(seen).cookie(("seen", more)).unwrap();
                request.respond(answer);
            });
        },
        |addr| {
            let first = http_client::get(addr, "/");
            assert_eq!(first.header("set-cookie"), Some("seen=x"));
            let again = ask(addr, "GET /", "Cookie: other=1; seen=x\r\n\r\n");
            assert_eq!(
                (again.text(), again.header("set-cookie")),
                ("x", Some("seen=xx"))
            );
        },
    );
}
