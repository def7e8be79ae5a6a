use crate::common::bounded;
use crate::dns_common::{A, AAAA, NO_SUCH_NAME, NameServer, Query};
use crate::program::{self, End, Program};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::IpAddr;
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::ptr;
use std::sync::mpsc::channel;
use std::time::Instant;

/// A file of names, until it is dropped.
struct Names(PathBuf);

impl Names {
    fn new(test: &str, names: impl IntoIterator<Item = String>) -> Self {
        let name = format!("libevent2-names-{}-{test}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let lines: Vec<_> = names.into_iter().collect();
        fs::write(&path, lines.join("\n")).unwrap();
        Names(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

const BOTH: &str = "2001:db8::7 192.0.2.7";

/// One address of each family, unless the name begins with what says otherwise.
fn answer(query: &Query) -> Option<Vec<u8>> {
    let address: IpAddr = match query.kind {
        A => [192, 0, 2, 7].into(),
        AAAA => "2001:db8::7".parse().unwrap(),
        _ => return Some(query.reply().bytes()),
    };
    match query.name.split('-').next().unwrap() {
        "silent" => None,
        "none" => Some(query.error(NO_SUCH_NAME)),
        "empty" => Some(query.reply().bytes()),
        _ => Some(query.address(address, 60)),
    }
}

fn resolve(names: &Names, server: &NameServer, arguments: &[&str]) -> End {
    let address = server.address().to_string();
    let arguments = [&[names.path(), "--server", &address], arguments].concat();
    Program::start("resolve_many", &arguments).end()
}

fn count(end: &End, result: &str) -> usize {
    let is_it = |line: &&str| line.split_once(' ').unwrap().1 == result;
    end.stdout.lines().filter(is_it).count()
}

#[test]
fn ten_thousand_names_each_have_one_result() {
    let _watchdog = bounded();
    let server = NameServer::start(answer);
    let name = |number: usize| match number % 10 {
        3 => format!("none-{number}.example"),
        7 => format!("empty-{number}.example"),
        _ => format!("host-{number}.example"),
    };
    let names = Names::new("many", (0..10_000).map(name));
    // No more at a time than the server's socket has room for, however busy the machine is.
    let end = resolve(
        &names,
        &server,
        &["--concurrency", "100", "--timeout", "30"],
    );
    assert!(end.status.success(), "{}", end.stderr);
    assert_eq!(count(&end, BOTH), 8000);
    assert_eq!(count(&end, "! there is no such name"), 1000);
    assert_eq!(count(&end, "! it has no record of that kind"), 1000);
    let printed: HashSet<_> = end
        .stdout
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(printed.len(), 10_000);
    assert_eq!(end.stdout.lines().count(), 10_000);
    let summary = "8000 found, 2000 not found, 0 failed; ";
    assert!(end.stderr.starts_with(summary), "{}", end.stderr);
    assert_eq!(end.stderr.lines().count(), 1);
}

#[test]
fn names_without_an_answer_do_not_hold_up_the_others() {
    let _watchdog = bounded();
    let server = NameServer::start(answer);
    let name = |number: usize| match number % 50 {
        3 => format!("silent-{number}.example"),
        _ => format!("host-{number}.example"),
    };
    let names = Names::new("silent", (0..2000).map(name));
    let begun = Instant::now();
    let arguments = ["--timeout", "2", "--concurrency", "100"];
    let end = resolve(&names, &server, &arguments);
    let seconds = begun.elapsed().as_secs_f64();
    assert_eq!(end.status.code(), Some(1), "{}", end.stderr);
    assert_eq!(count(&end, "! no name server answered in time"), 40);
    assert_eq!(count(&end, BOTH), 1960);
    // All of them wait at the same time; one after the other would take 80 s.
    assert!((2.0..20.0).contains(&seconds), "{seconds}");
}

#[test]
fn a_silent_server_does_not_hold_up_the_others() {
    let _watchdog = bounded();
    let (silent, server) = (NameServer::silent(), NameServer::start(answer));
    let name = |number| format!("host-{number}.example");
    let names = Names::new("one-of-two", (0..2000).map(name));
    let begun = Instant::now();
    let address = server.address().to_string();
    let arguments = [
        "--server",
        &address,
        "--timeout",
        "5",
        "--concurrency",
        "50",
    ];
    let end = resolve(&names, &silent, &arguments);
    let seconds = begun.elapsed().as_secs_f64();
    // Those that libevent asks the silent one for each time are few.
    let found = count(&end, BOTH);
    assert!(found > 1900, "{found}: {}", end.stderr);
    assert_eq!(end.stdout.lines().count(), 2000);
    assert!(seconds < 30.0, "{seconds}");
}

#[test]
fn names_come_from_standard_input_without_comments() {
    let _watchdog = bounded();
    let server = NameServer::start(answer);
    let mut child = Command::new(program::path("resolve_many"))
        .args(["-", "--ipv4", "--quiet", "--concurrency", "1", "--server"])
        .arg(server.address().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let text = b"# names\n\n  a.example  # one\r\n\t\nb.example\n\xff.example\n192.0.2.1";
    child.stdin.take().unwrap().write_all(text).unwrap();
    let end = child.wait_with_output().unwrap();
    let stdout = String::from_utf8(end.stdout).unwrap();
    assert_eq!(
        stdout,
        "a.example 192.0.2.7\n\
         b.example 192.0.2.7\n\
         \u{fffd}.example ! this cannot be looked up\n\
         192.0.2.1 192.0.2.1\n"
    );
    assert_eq!(String::from_utf8_lossy(&end.stderr), "");
    assert_eq!(end.status.code(), Some(1));
    assert_eq!(server.names(), ["a.example", "b.example"]);
}

#[test]
fn no_names_are_done_at_once() {
    let _watchdog = bounded();
    let server = NameServer::start(answer);
    let names = Names::new("no", ["# nothing".to_owned()]);
    let end = resolve(&names, &server, &[]);
    assert!(end.status.success(), "{end:?}");
    assert!(end.stderr.starts_with("0 found, 0 not found, 0 failed; "));
}

#[test]
fn no_more_are_under_way_than_may_be_and_ctrl_c_ends_it() {
    let _watchdog = bounded();
    let (sender, asked) = channel();
    let server = NameServer::start(move |query: &Query| {
        let _ = sender.send(query.name.clone());
        answer(query)
    });
    let name = |number: usize| match number {
        0..7 => format!("host-{number}.example"),
        _ => format!("silent-{number}.example"),
    };
    let names = Names::new("under-way", (0..20).map(name));
    let address = server.address().to_string();
    let arguments = [names.path(), "--concurrency", "5", "--server", &address];
    let program = Program::start("resolve_many", &arguments);
    // Seven were answered, five wait: the others have to.
    let mut all = HashSet::new();
    while all.len() < 12 {
        all.insert(asked.recv().unwrap());
    }
    program.signal(libc::SIGINT);
    let end = program.end();
    all.extend(asked.try_iter());
    assert_eq!(all.len(), 12, "{all:?}");
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    assert_eq!(count(&end, BOTH), 7);
    let summary = "7 found, 0 not found, 0 failed, 13 not looked up; ";
    assert!(end.stderr.starts_with(summary), "{}", end.stderr);
}

/// The two sides of a terminal.
fn terminal() -> (File, OwnedFd) {
    let (mut master, mut slave) = (-1, -1);
    // SAFETY: two integers to write to; no name, settings or size. Both descriptors are new, and
    // nobody else's.
    unsafe {
        let (name, settings, size) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        let code = libc::openpty(&mut master, &mut slave, name, settings, size);
        assert_eq!(code, 0, "{}", std::io::Error::last_os_error());
        (File::from_raw_fd(master), OwnedFd::from_raw_fd(slave))
    }
}

/// All that a program prints on a terminal that is its standard error, and its standard output if
/// `both`.
fn on_terminal(names: &Path, server: &NameServer, both: bool) -> String {
    let (mut master, slave) = terminal();
    let stdout = match both {
        true => slave.try_clone().unwrap().into(),
        false => Stdio::null(),
    };
    let mut child = Command::new(program::path("resolve_many"))
        .args([
            "--ipv4",
            "--concurrency",
            "2",
            "--timeout",
            "0.5",
            "--server",
        ])
        .arg(server.address().to_string())
        .arg(names)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(slave)
        .spawn()
        .unwrap();
    let mut text = Vec::new();
    // When nobody has the other side any more, there is an error, and not an end, on Linux.
    let _ = master.read_to_end(&mut text);
    child.wait().unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn a_terminal_gets_a_bar() {
    let _watchdog = bounded();
    let server = NameServer::start(answer);
    let list = ["host-1.example", "silent-1.example", "host-2.example"];
    let names = Names::new("terminal", list.map(str::to_owned));
    let text = on_terminal(&names.0, &server, false);
    // While one waits, the other two are done.
    assert!(
        text.contains("\r[####################----------] 2/3, "),
        "{text:?}"
    );
    assert!(
        text.contains("\r[##############################] 3/3, "),
        "{text:?}"
    );
    let summary = text.lines().last().unwrap();
    assert!(
        summary.starts_with("2 found, 0 not found, 1 failed; "),
        "{text:?}"
    );

    // Results do not stand behind the bar, but in its place.
    let text = on_terminal(&names.0, &server, true);
    let result = "\r\x1b[Ksilent-1.example ! no name server answered in time\r\n";
    assert!(text.contains(result), "{text:?}");
}
