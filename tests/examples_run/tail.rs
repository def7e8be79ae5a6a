use crate::common::bounded;
use crate::program::Program;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

/// A directory of its own for each test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("libevent2-tail-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn append(&self, name: &str, text: &str) {
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).open(self.path(name));
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Follows the files, and has begun when this returns: it has printed the mark.
fn follow(folder: &Folder, names: &[&str]) -> Program {
    folder.append("mark", "begun\n");
    let paths: Vec<_> = names.iter().map(|name| folder.path(name)).collect();
    let mark = folder.path("mark");
    let mut arguments: Vec<_> = paths.iter().map(String::as_str).collect();
    arguments.extend([&mark, "--all"]);
    let tail = Program::start("tail_files", &arguments);
    tail.line_with("begun");
    tail
}

#[test]
fn new_lines_of_several_files_have_a_name() {
    let _watchdog = bounded();
    let folder = Folder::new("several");
    folder.append("a", "");
    folder.append("b", "");
    let tail = follow(&folder, &["a", "b"]);
    folder.append("a", "one\n");
    assert_eq!(tail.line_with(""), format!("{}: one", folder.path("a")));
    folder.append("b", "tw");
    folder.append("b", "o\nthree\n");
    assert_eq!(tail.line_with(""), format!("{}: two", folder.path("b")));
    assert_eq!(tail.line_with(""), format!("{}: three", folder.path("b")));
    tail.signal(libc::SIGINT);
    let end = tail.end();
    assert!(end.status.success(), "{end:?}");
    assert_eq!(end.stdout + &end.stderr, "");
}

#[test]
fn what_was_there_before_is_shown_only_when_asked_for() {
    let _watchdog = bounded();
    let folder = Folder::new("before");
    folder.append("a", "old\n");
    let tail = Program::start("tail_files", &[&folder.path("a")]);
    // There is no sign of its beginning, so it gets something until it shows something.
    let (done, is_done) = std::sync::mpsc::channel();
    let line = std::thread::scope(|scope| {
        let folder = &folder;
        scope.spawn(move || {
            while is_done.try_recv().is_err() {
                folder.append("a", "new\n");
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        });
        let line = tail.line_with("");
        done.send(()).unwrap();
        line
    });
    assert_eq!(line, format!("{}: new", folder.path("a")));
}

#[test]
fn a_file_may_be_rotated() {
    let _watchdog = bounded();
    let folder = Folder::new("rotated");
    folder.append("log", "");
    let tail = follow(&folder, &["log"]);
    for turn in 0..3 {
        folder.append("log", &format!("{turn} before\nno end"));
        fs::rename(folder.path("log"), folder.path("log.1")).unwrap();
        folder.append("log", &format!("{turn} after\n"));
        assert!(tail.line_with("").ends_with(&format!("{turn} before")));
        assert!(tail.line_with("").ends_with("no end"));
        assert!(tail.line_with("").ends_with(&format!("{turn} after")));
    }
    tail.signal(libc::SIGINT);
    assert!(tail.end().stderr.contains("is another file now"));
}

#[test]
fn a_file_may_become_shorter() {
    let _watchdog = bounded();
    let folder = Folder::new("shorter");
    folder.append("log", "");
    let tail = follow(&folder, &["log"]);
    folder.append("log", "a long line at first\n");
    tail.line_with("at first");
    File::create(folder.path("log")).unwrap();
    folder.append("log", "short\n");
    tail.line_with("short");
    tail.signal(libc::SIGINT);
    assert!(tail.end().stderr.contains("has become shorter"));
}

#[test]
fn a_file_may_come_go_and_come_again() {
    let _watchdog = bounded();
    let folder = Folder::new("later");
    let tail = follow(&folder, &["log"]);
    for turn in 0..3 {
        folder.append("log", &format!("here {turn}\n"));
        tail.line_with(&format!("here {turn}"));
        fs::remove_file(folder.path("log")).unwrap();
    }
    tail.signal(libc::SIGINT);
    let end = tail.end();
    assert!(end.status.success(), "{end:?}");
    assert!(end.stderr.contains("No such file"), "{end:?}");
}
