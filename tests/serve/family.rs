//! Processes that share the work, or take over from each other.

use crate::common::bounded;
use crate::program::{Folder, Server, evserve};
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

fn process(server: &Server) -> i64 {
    let answer = server.curl("__stats?format=json");
    let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    told["process"].as_i64().unwrap()
}

/// Asks until another process answers.
fn another(server: &Server, than: &HashSet<i64>) -> i64 {
    loop {
        let id = process(server);
        if !than.contains(&id) {
            return id;
        }
    }
}

fn slow_download(server: &Server) -> Child {
    let mut curl = Command::new("curl")
        .args(["-sS", "--max-time", "50", "--limit-rate", "24M"])
        .arg(format!("{}long", server.url))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    curl.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    curl
}

const LONG: u64 = 48 << 20;

fn folder() -> Folder {
    let folder = Folder::new();
    folder.put("a.txt", "text");
    File::create(folder.path("long"))
        .unwrap()
        .set_len(LONG)
        .unwrap();
    folder
}

fn arrives(mut curl: Child) {
    let mut rest = Vec::new();
    curl.stdout.take().unwrap().read_to_end(&mut rest).unwrap();
    assert!(curl.wait().unwrap().success());
    assert_eq!(rest.len() as u64 + 1, LONG);
}

#[test]
fn a_hangup_gives_the_sockets_to_another_process_and_cuts_nobody_off() {
    let _bounded = bounded();
    let folder = folder();
    let config = folder.path("evserve.toml");
    folder.put("evserve.toml", "header = 'X-Version: 1'\n");
    let mut command = evserve();
    command
        .arg(&folder.0)
        .args(["-p", "0", "--config"])
        .arg(&config)
        .stderr(Stdio::piped());
    let mut server = Server::with(&mut command);
    assert_eq!(server.curl("a.txt").header("x-version"), Some("1"));
    let first = HashSet::from([process(&server)]);

    // What cannot be served changes nothing.
    folder.put("evserve.toml", "nonsense = 1\n");
    server.signal(libc::SIGHUP);
    let errors = BufReader::new(server.child.stderr.take().unwrap());
    let mut lines = errors.lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("this one goes on")));
    assert_eq!(server.curl("a.txt").header("x-version"), Some("1"));

    folder.put("evserve.toml", "header = 'X-Version: 2'\n");
    let curl = slow_download(&server);
    server.signal(libc::SIGHUP);
    let second = another(&server, &first);
    // No client is refused meanwhile.
    while server.curl("a.txt").header("x-version") != Some("2") {}
    arrives(curl);
    assert!(server.wait().success());
    assert_eq!(server.curl("a.txt").header("x-version"), Some("2"));
    // SAFETY: the process that has taken over, as it said itself.
    assert_eq!(unsafe { libc::kill(second as i32, libc::SIGTERM) }, 0);
    let addr = server.addr();
    while std::net::TcpStream::connect(&addr).is_ok() {}
}

/// How many processes of the program serve the folder.
#[cfg(target_os = "linux")]
fn processes(folder: &Folder) -> usize {
    let serves = |process: std::io::Result<std::fs::DirEntry>| {
        let words = std::fs::read(process.ok()?.path().join("cmdline")).ok()?;
        let mut words = words.split(|&byte| byte == 0);
        let program = words.next()?.ends_with(b"evserve");
        let folder = folder.0.as_os_str().as_encoded_bytes();
        (program && words.any(|word| word == folder)).then_some(())
    };
    let all = std::fs::read_dir("/proc").unwrap();
    all.filter_map(serves).count()
}

#[test]
#[cfg(target_os = "linux")]
fn hangups_one_upon_the_other_leave_one_process_with_the_newest_file() {
    let _bounded = bounded();
    let folder = folder();
    let config = folder.path("evserve.toml");
    folder.put("evserve.toml", "header = 'X-Version: 1'\n");
    let mut command = evserve();
    command
        .arg(&folder.0)
        .args(["-p", "0", "--config"])
        .arg(&config);
    let mut server = Server::with(&mut command);
    // It stays until this has arrived.
    let curl = slow_download(&server);
    for version in [2, 3] {
        folder.put("evserve.toml", format!("header = 'X-Version: {version}'\n"));
        server.signal(libc::SIGHUP);
        // The signal has been seen before the answer comes.
        server.curl("a.txt");
    }
    arrives(curl);
    assert!(server.wait().success());
    while server.curl("a.txt").header("x-version") != Some("3") || processes(&folder) != 1 {}
    let last = process(&server);
    // SAFETY: the process that has taken over, as it said itself.
    assert_eq!(unsafe { libc::kill(last as i32, libc::SIGTERM) }, 0);
    let addr = server.addr();
    while std::net::TcpStream::connect(&addr).is_ok() {}
}

#[test]
fn workers_share_the_port_are_replaced_and_end_together() {
    let _bounded = bounded();
    let folder = folder();
    let mut command = evserve();
    command
        .arg(&folder.0)
        .args(["-p", "0", "--workers", "3", "--quiet"]);
    let mut server = Server::with(&mut command);
    let mut seen = HashSet::new();
    while seen.len() < 3 {
        seen.insert(process(&server));
    }
    assert!(!seen.contains(&i64::from(server.child.id())));

    // One that dies is replaced; clients wait for the next one, and are not refused.
    let victim = *seen.iter().next().unwrap();
    // SAFETY: a worker, as it said itself.
    assert_eq!(unsafe { libc::kill(victim as i32, libc::SIGKILL) }, 0);
    let heir = another(&server, &seen);
    seen.insert(heir);

    // All of them, one by one, without an end for anybody's download.
    let curl = slow_download(&server);
    server.signal(libc::SIGHUP);
    let mut fresh = HashSet::new();
    while fresh.len() < 3 {
        fresh.insert(another(&server, &seen));
    }
    arrives(curl);

    let curl = slow_download(&server);
    server.signal(libc::SIGTERM);
    arrives(curl);
    assert_eq!(server.wait().code(), Some(0));
    assert!(std::net::TcpStream::connect(server.addr()).is_err());
}

#[test]
fn workers_go_with_their_parent() {
    let _bounded = bounded();
    let folder = folder();
    let mut command = evserve();
    command.arg(&folder.0).args(["-p", "0", "--workers", "2"]);
    let mut server = Server::with(&mut command);
    server.child.kill().unwrap();
    server.wait();
    let addr = server.addr();
    while std::net::TcpStream::connect(&addr).is_ok() {}
}

#[test]
fn what_workers_cannot_serve_is_told_once() {
    let _bounded = bounded();
    let folder = Folder::new();
    let mut command = evserve();
    command
        .arg(folder.path("none"))
        .args(["-p", "0", "--workers", "2"]);
    let out = command.output().unwrap();
    let errors = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(2), "{errors}");
    assert_eq!(errors.matches("cannot serve").count(), 1, "{errors}");
}
