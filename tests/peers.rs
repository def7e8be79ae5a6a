//! Streams against the programs that people use: `nc`, `socat` and `curl`.
#![cfg(unix)]

mod common;

use common::{Bump, bounded, count};
use libevent2::listener::Listener;
use libevent2::stream::{BufferEvent, Callbacks, Handler, StreamError, StreamEvent};
use libevent2::{Buffer, EventBase, LoopHandle};
use std::cell::{Cell, RefCell};
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::rc::Rc;
use std::thread::{self, JoinHandle};

// --- the programs ---------------------------------------------------------------------------------

/// Starts a program with its input and output in our hands.
fn start(package: &str, program: &str, arguments: &[&str]) -> Process {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    match child {
        Ok(child) => Process(child),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("this test needs {program}: install the package {package}")
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

fn nc(arguments: &[&str]) -> Process {
    start("netcat-openbsd", "nc", arguments)
}

/// Waits up to 30 seconds for the other direction when one has ended.
fn socat(arguments: &[&str]) -> Process {
    let mut all = vec!["-t", "30"];
    all.extend(arguments);
    start("socat", "socat", &all)
}

/// A program; it does not outlive the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    /// Sends `input` and the end of it, and returns all that the program puts out.
    fn exchange(mut self, input: Vec<u8>) -> JoinHandle<Vec<u8>> {
        thread::spawn(move || {
            let mut stdin = self.0.stdin.take().unwrap();
            let writer = thread::spawn(move || stdin.write_all(&input));
            let output = self.output();
            writer.join().unwrap().unwrap();
            let status = self.0.wait().unwrap();
            assert!(status.success(), "{status}");
            output
        })
    }

    /// What it puts out until it closes its output.
    fn output(&mut self) -> Vec<u8> {
        let mut output = Vec::new();
        let mut stdout = self.0.stdout.take().unwrap();
        stdout.read_to_end(&mut output).unwrap();
        output
    }

    /// Where a `socat -d -d` listens, as soon as it does.
    fn listens(&mut self) -> String {
        let mut stderr: BufReader<ChildStderr> = BufReader::new(self.0.stderr.take().unwrap());
        let mut line = String::new();
        while stderr.read_line(&mut line).unwrap() > 0 {
            if line.contains(" listening on ") {
                // Read on, so that it is never held up.
                thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
                return line.trim().rsplit(' ').next().unwrap().to_owned();
            }
            line.clear();
        }
        panic!("socat does not listen");
    }
}

/// A path of the test's own, removed at its end.
struct TempPath(PathBuf);

impl TempPath {
    fn new(name: &str) -> Self {
        let name = format!("libevent2-peers-{name}-{}", std::process::id());
        TempPath(std::env::temp_dir().join(name))
    }

    fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TempPath {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

// --- our side ---------------------------------------------------------------------------------------

/// Every byte value, at no period that a buffer's size could hide.
fn data(length: usize) -> Vec<u8> {
    (0..length as u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

/// Sends back what comes, and closes when the peer has sent all and got all.
fn echo() -> impl Handler {
    Callbacks::new()
        .on_read(|stream| stream.output().append_from(&stream.input()))
        .on_event(|stream, event| {
            assert!(
                matches!(event, StreamEvent::Eof | StreamEvent::Closed),
                "{event:?}"
            );
            stream.close_when_flushed();
        })
}

/// Listens for `connections`, each of which gets a handler of its own.
fn serve<H: Handler>(
    base: &LoopHandle,
    connections: usize,
    handler: impl Fn(usize) -> H + 'static,
) -> SocketAddr {
    let accepted = count();
    let listener = Listener::bind(
        base,
        "127.0.0.1:0".parse().unwrap(),
        move |listener, socket| {
            let number = accepted.bump();
            BufferEvent::from_socket(listener.handle(), socket, handler(number))
                .unwrap()
                .detach();
            if number == connections {
                listener.close();
            }
        },
    )
    .unwrap();
    let address = listener.local_addr().unwrap().ip().unwrap();
    listener.detach();
    address
}

/// As [`serve`], one connection at a path.
fn serve_unix<H: Handler>(base: &LoopHandle, path: &TempPath, handler: impl Fn() -> H + 'static) {
    Listener::bind_unix(base, &path.0, move |listener, socket| {
        BufferEvent::from_socket(listener.handle(), socket, handler())
            .unwrap()
            .detach();
        listener.close();
    })
    .unwrap()
    .detach();
}

/// Collects what comes, and closes at its end. The other one is what was heard of the end.
fn collect() -> (Rc<RefCell<Vec<u8>>>, impl Handler) {
    let all = Rc::new(RefCell::new(Vec::new()));
    let into = all.clone();
    let handler = Callbacks::new()
        .on_read(move |stream| into.borrow_mut().extend(stream.input().take().to_vec()))
        .on_event(|stream, event| match event {
            StreamEvent::Connected => {}
            StreamEvent::Eof => stream.close(),
            event => panic!("{event:?}"),
        });
    (all, handler)
}

const LARGE: usize = 8 * 1024 * 1024;

// --- they connect ---------------------------------------------------------------------------------

#[test]
fn nc_gets_back_what_it_sends_though_it_has_shut_down_its_side() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    for length in [5, LARGE] {
        let port = serve(&base, 1, |_| echo()).port().to_string();
        let peer = nc(&["-N", "127.0.0.1", &port]).exchange(data(length));
        base.run().unwrap();
        assert!(peer.join().unwrap() == data(length), "{length} bytes");
    }
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn nc_gets_back_what_it_sends_over_a_path() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let path = TempPath::new("nc");
    serve_unix(&base, &path, echo);
    let peer = nc(&["-N", "-U", path.text()]).exchange(data(LARGE));
    base.run().unwrap();
    assert!(peer.join().unwrap() == data(LARGE));
}

#[test]
fn socat_gets_back_what_it_sends_over_tcp_and_over_a_path() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let address = serve(&base, 1, |_| echo());
    let peer = socat(&["-", &format!("TCP:{address}")]).exchange(data(LARGE));
    base.run().unwrap();
    assert!(peer.join().unwrap() == data(LARGE));

    let path = TempPath::new("socat");
    serve_unix(&base, &path, echo);
    let peer = socat(&["-", &format!("UNIX-CONNECT:{}", path.text())]).exchange(data(LARGE));
    base.run().unwrap();
    assert!(peer.join().unwrap() == data(LARGE));
}

#[test]
fn a_peer_that_has_shut_down_its_side_is_still_answered() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let address = serve(&base, 1, |_| {
        let asked = Cell::new(0);
        Callbacks::new()
            .on_event(move |stream, event| {
                assert!(
                    matches!(event, StreamEvent::Eof | StreamEvent::Closed),
                    "{event:?}"
                );
                if asked.replace(1) == 0 {
                    // Nothing was answered before the end came.
                    let question = stream.input().take().to_vec();
                    assert_eq!(question, b"question");
                    stream.write(b"answer to ").unwrap();
                    stream.write(&question).unwrap();
                    stream.close_when_flushed();
                }
            })
            .on_read(|_| {})
    });
    let peer = socat(&["-", &format!("TCP:{address}")]).exchange(b"question".to_vec());
    base.run().unwrap();
    assert_eq!(peer.join().unwrap(), b"answer to question");
}

#[test]
fn after_we_have_shut_down_our_side_the_peer_still_talks() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let heard = Rc::new(RefCell::new(Vec::new()));
    let all = heard.clone();
    let handler = Cell::new(Some(
        Callbacks::new()
            .on_read(move |stream| all.borrow_mut().extend(stream.input().take().to_vec()))
            .on_event(|stream, event| {
                assert!(matches!(event, StreamEvent::Eof), "{event:?}");
                stream.close();
            }),
    ));
    let listener = Listener::bind(
        &base,
        "127.0.0.1:0".parse().unwrap(),
        move |listener, socket| {
            let handler = handler.take().unwrap();
            let stream = BufferEvent::from_socket(listener.handle(), socket, handler).unwrap();
            stream.write(&data(LARGE)).unwrap();
            stream.shutdown_write().unwrap();
            stream.detach();
            listener.close();
        },
    )
    .unwrap();
    let address = listener.local_addr().unwrap().ip().unwrap();
    // `wc` talks when it has heard the end.
    let process = socat(&[&format!("TCP:{address}"), "SYSTEM:wc -c"]);
    base.run().unwrap();
    drop(process);
    let heard = String::from_utf8(heard.take()).unwrap();
    assert_eq!(heard.trim(), LARGE.to_string());
}

#[test]
fn curl_gets_a_large_answer_whole() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let address = serve(&base, 1, |_| {
        Callbacks::new().on_read(|stream| {
            if stream.input().find(b"\r\n\r\n", ..).is_none() {
                return;
            }
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
            stream.write(head.as_bytes()).unwrap();
            let mut body = Buffer::from(data(LARGE));
            stream.output().append_buffer(&mut body).unwrap();
            stream.close_when_flushed();
        })
    });
    let curl = start("curl", "curl", &["-sS", &format!("http://{address}/")]);
    let peer = curl.exchange(Vec::new());
    base.run().unwrap();
    assert!(peer.join().unwrap() == data(LARGE));
}

// --- we connect -----------------------------------------------------------------------------------

#[test]
fn we_get_back_what_we_send_through_socat_and_cat() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let path = TempPath::new("cat");
    for unix in [false, true] {
        let there = match unix {
            false => "TCP-LISTEN:0,bind=127.0.0.1".to_owned(),
            true => format!("UNIX-LISTEN:{}", path.text()),
        };
        let mut process = socat(&["-d", "-d", &there, "EXEC:cat"]);
        let address = process.listens();
        let (all, handler) = collect();
        let stream = match unix {
            false => BufferEvent::connect(&base, address.parse().unwrap(), handler),
            true => BufferEvent::connect_unix(&base, &path.0, handler),
        };
        let stream = stream.unwrap();
        stream.write(&data(LARGE)).unwrap();
        // `cat` ends, and with it the connection.
        stream.shutdown_write().unwrap();
        stream.detach();
        base.run().unwrap();
        assert!(*all.borrow() == data(LARGE), "{there}");
    }
}

#[test]
fn we_get_all_that_socat_sends_by_the_name_of_its_host() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let mut process = socat(&["-d", "-d", "-u", "-", "TCP-LISTEN:0,bind=127.0.0.1"]);
    let address: SocketAddr = process.listens().parse().unwrap();
    let (all, handler) = collect();
    BufferEvent::connect_host(&base, "localhost", address.port(), handler)
        .unwrap()
        .detach();
    let peer = process.exchange(data(LARGE));
    base.run().unwrap();
    assert!(peer.join().unwrap().is_empty());
    assert!(*all.borrow() == data(LARGE));
}

// --- they die -------------------------------------------------------------------------------------

#[test]
fn a_peer_that_is_killed_ends_its_own_connection_only() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let ends = Rc::new(RefCell::new(Vec::new()));
    let heard = ends.clone();
    // More than the system keeps for the peer, which does not read.
    let address = serve(&base, 2, move |number| {
        let heard = heard.clone();
        Callbacks::new()
            .on_read(move |stream| {
                stream.input().clear();
                if number == 1 {
                    stream.write(&data(LARGE)).unwrap();
                } else {
                    stream.write(b"still here").unwrap();
                    stream.close_when_flushed();
                }
            })
            .on_event(move |stream, event| {
                heard.borrow_mut().push((number, event));
                stream.close();
            })
    });
    let port = address.port().to_string();
    let mut victim = nc(&["127.0.0.1", &port]);
    let peer = thread::spawn(move || {
        victim.0.stdin.as_mut().unwrap().write_all(b"go").unwrap();
        // It is in the middle of it.
        let mut some = [0; 1000];
        victim
            .0
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut some)
            .unwrap();
        assert!(some[..] == data(1000)[..]);
        drop(victim);
        nc(&["-N", "127.0.0.1", &port])
            .exchange(b"?".to_vec())
            .join()
    });
    base.run().unwrap();
    assert_eq!(peer.join().unwrap().unwrap(), b"still here");
    let ends = ends.borrow();
    let of = |wanted| ends.iter().filter(move |(number, _)| *number == wanted);
    assert!(
        of(1).all(|(_, event)| matches!(
            event,
            StreamEvent::Failed(StreamError::Reset { .. }) | StreamEvent::Eof
        )) && of(1).count() == 1,
        "{ends:?}"
    );
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn a_peer_that_is_killed_while_it_sends_is_at_its_end() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let ends = count();
    let seen = ends.clone();
    let address = serve(&base, 1, move |_| {
        let seen = seen.clone();
        Callbacks::new()
            .on_read(|stream| {
                stream.input().clear();
                stream.write(b".").unwrap();
            })
            .on_event(move |stream, event| {
                assert!(
                    matches!(
                        event,
                        StreamEvent::Eof | StreamEvent::Failed(StreamError::Reset { .. })
                    ),
                    "{event:?}"
                );
                seen.bump();
                stream.close();
            })
    });
    let mut victim = nc(&["127.0.0.1", &address.port().to_string()]);
    let peer = thread::spawn(move || {
        let mut stdin = victim.0.stdin.take().unwrap();
        let writer = thread::spawn(move || while stdin.write_all(&[0; 10_000]).is_ok() {});
        let mut some = [0; 10];
        victim
            .0
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut some)
            .unwrap();
        drop(victim);
        writer.join().unwrap();
    });
    base.run().unwrap();
    peer.join().unwrap();
    assert_eq!(ends.get(), 1);
}
