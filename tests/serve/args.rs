//! The command line.

use crate::common::bounded;
use crate::program::{Folder, Server, evserve};
use std::fs;

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
fn what_cannot_be_served_is_told_with_code_2() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put("file", "");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let dir = folder.0.to_str().unwrap();
    let file = folder.path("file");
    let none = folder.path("none");
    let wrong: [(&[&str], &str); 10] = [
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
        (&[dir, "--throttle", "0"], "no limit"),
    ];
    for (args, named) in wrong {
        let out = evserve().args(args).output().unwrap();
        let errors = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(2), "{args:?}: {errors}");
        assert!(
            errors.starts_with("evserve: ") && errors.lines().next().unwrap().contains(named),
            "{errors}"
        );
        assert!(out.stdout.is_empty());
    }
}

#[test]
fn a_port_that_is_taken_comes_with_advice() {
    let _bounded = bounded();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let out = evserve().args(["--port", &port.to_string()]).output();
    let errors = String::from_utf8(out.unwrap().stderr).unwrap();
    assert!(
        errors.contains(&format!("try --port {}", port.wrapping_add(1).max(1))),
        "{errors}"
    );
    if cfg!(target_os = "linux") {
        let us = format!("(process {}) listens there", std::process::id());
        assert!(errors.contains(&us), "{errors}");
    }
}

#[test]
fn help_has_examples_and_a_shell_gets_its_completions() {
    let _bounded = bounded();
    let text = |args: &[&str]| {
        let out = evserve().args(args).output().unwrap();
        assert!(out.status.success(), "{args:?}");
        String::from_utf8(out.stdout).unwrap()
    };
    for help in ["-h", "--help"] {
        let help = text(&[help]);
        assert!(
            help.contains("Examples:") && help.contains("--mock <FILE>"),
            "{help}"
        );
    }
    assert_eq!(
        text(&["--version"]),
        format!("evserve {}\n", env!("CARGO_PKG_VERSION"))
    );
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = text(&["--completions", shell]);
        assert!(
            script.contains("evserve") && script.contains("respond"),
            "{shell}"
        );
    }
    if let Some(mut bash) = crate::common::peers::peer("bash") {
        let script = format!(
            "{}\nCOMP_WORDS=(evserve --mo); COMP_CWORD=1; _evserve evserve --mo evserve; echo ${{COMPREPLY[@]}}",
            text(&["--completions", "bash"])
        );
        let out = bash.args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), "--mock");
    }
}

#[test]
fn a_file_may_stand_for_flags() {
    let _bounded = bounded();
    let folder = Folder::new();
    folder.put("a.txt", "text");
    let dir = folder.0.to_str().unwrap();
    let config = folder.path("evserve.toml");
    fs::write(
        &config,
        format!("dir = '{dir}'\nport = 1\nheader = ['X-A: 1', 'X-B: 2']\n"),
    )
    .unwrap();
    let server = Server::with(evserve().arg("--config").arg(&config).args(["-p", "0"]));
    let answer = server.curl("a.txt");
    assert_eq!((answer.text(), answer.header("x-b")), ("text", Some("2")));
    for (text, named) in [
        ("port = 'x'", "--port"),
        ("nonsense = 1", "nonsense"),
        ("= 1", "line 1"),
    ] {
        fs::write(&config, text).unwrap();
        let out = evserve().arg("--config").arg(&config).output().unwrap();
        let errors = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(2));
        assert!(
            errors.contains("evserve.toml: ") && errors.contains(named),
            "{errors}"
        );
    }
}
