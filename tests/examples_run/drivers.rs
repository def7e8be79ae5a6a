//! `beanstalk` and `line_driver`.

use crate::common::bounded;
use crate::common::peers::peer;
use crate::program::{End, Program};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

/// beanstalkd on a port that was free a moment ago.
struct Beanstalkd(Child);

impl Beanstalkd {
    fn start(port: u16) -> Option<Self> {
        let mut command = peer("beanstalkd")?;
        let command = command.args(["-l", "127.0.0.1", "-p", &port.to_string()]);
        let process = command.stderr(Stdio::null()).spawn().unwrap();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            thread::sleep(Duration::from_millis(5));
        }
        Some(Beanstalkd(process))
    }
}

impl Drop for Beanstalkd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn beanstalk_puts_jobs_and_works_them_off() {
    let _watchdog = bounded();
    let port = free_port();
    let Some(_beanstalkd) = Beanstalkd::start(port) else {
        return;
    };
    let server = format!("127.0.0.1:{port}");
    let run = |words: &[&str]| {
        let options = ["--server", &server, "--tube", "mail", "--wait", "0"];
        Program::start("beanstalk", &[&options, words].concat()).end()
    };
    let put = run(&["put", "one", "zwei Wörter"]);
    assert!(put.status.success(), "{put:?}");
    assert_eq!(put.stdout, "1\n2\n");
    let worked = run(&["work"]);
    assert!(worked.status.success(), "{worked:?}");
    assert_eq!(worked.stdout, "1: one\n2: zwei Wörter\n");
    // They were deleted.
    assert_eq!(run(&["work"]).stdout, "");
}

#[test]
fn beanstalk_connects_again_and_ends_at_a_signal() {
    let _watchdog = bounded();
    let port = free_port();
    let Some(beanstalkd) = Beanstalkd::start(port) else {
        return;
    };
    let server = format!("127.0.0.1:{port}");
    let put = |text| {
        let end = Program::start("beanstalk", &["--server", &server, "put", text]).end();
        assert!(end.status.success(), "{end:?}");
    };
    let worker = Program::start("beanstalk", &["--server", &server, "work"]);
    put("before");
    assert_eq!(worker.line_with("before"), "1: before");
    drop(beanstalkd);
    let _beanstalkd = Beanstalkd::start(port);
    put("after");
    assert_eq!(worker.line_with("after"), "1: after");
    worker.signal(libc::SIGTERM);
    let end = worker.end();
    assert!(end.status.success(), "{end:?}");
    assert!(end.stderr.contains("is lost: "), "{end:?}");
}

/// Runs the program against a server that greets, and answers one client line by line.
fn ask(options: &[&str], commands: &[&str]) -> End {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap().to_string();
    let answering = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"OK MPD 0.23.5\n").unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        for line in lines.map_while(Result::ok) {
            let answer: &[u8] = match &*line {
                "ping" => b"OK\n",
                "status" => b"volume: 50\nstate: play\nOK\n",
                _ => b"ACK [5@0] {} unknown command\n",
            };
            stream.write_all(answer).unwrap();
        }
    });
    let end = Program::start("line_driver", &[options, &[&*server], commands].concat()).end();
    answering.join().unwrap();
    end
}

#[test]
fn row_64_the_line_driver_shows_what_it_is_told() {
    let _watchdog = bounded();
    for options in [&[][..], &["--callbacks"]] {
        let end = ask(options, &["status", "ping"]);
        assert!(end.status.success(), "{end:?}");
        assert_eq!(end.stdout, "volume: 50\nstate: play\nOK\nOK\n");
        let end = ask(options, &["fly"]);
        assert_eq!(end.status.code(), Some(1), "{end:?}");
        let why = "line_driver: the server refuses: [5@0] {} unknown command\n";
        assert_eq!(end.stderr, why);
    }
}
