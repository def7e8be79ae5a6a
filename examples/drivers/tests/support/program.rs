//! A program that runs beside a test.

use super::run;
use std::collections::VecDeque;
use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// A program by its name. If the machine does not have it the test says so and has nothing to do;
/// with `LIBEVENT2_PEERS` set, as in the project's own check, that is a failure.
pub fn program(name: &str) -> Option<Command> {
    let found = find(name);
    if found.is_none() {
        let missing = format!("{name} is not installed");
        assert!(env::var_os("LIBEVENT2_PEERS").is_none(), "{missing}");
        eprintln!("skipped: {missing}");
    }
    found.map(Command::new)
}

fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    folders.extend(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    // Debian keeps PostgreSQL's servers apart, version by version.
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    folders
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// A program that runs until this is dropped. What it prints is read all the time.
pub struct Program {
    child: Child,
    lines: Mutex<Receiver<String>>,
    /// The signal that ends it with all its children.
    end: &'static str,
}

impl Program {
    pub fn start(command: &mut Command, end: &'static str) -> Self {
        let command = command.stdin(Stdio::null());
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        run::started(child.id());
        let (sender, lines) = channel();
        forward(child.stdout.take().expect("a pipe"), sender.clone());
        forward(child.stderr.take().expect("a pipe"), sender);
        Program {
            child,
            lines: Mutex::new(lines),
            end,
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line that has `text`, from either output.
    pub fn line_with(&self, text: &str) -> String {
        let lines = self.lines.lock().expect("no panic before");
        let mut last = VecDeque::new();
        loop {
            match lines.recv_timeout(Duration::from_secs(30)) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => last.push_back(line),
                Err(error) => panic!("no {text:?} ({error}) after {last:#?}"),
            }
            if last.len() > 50 {
                last.pop_front();
            }
        }
    }

    pub fn signal(&self, name: &str) {
        signal(name, self.id());
    }

    /// How it ends by itself.
    pub fn wait(mut self) -> ExitStatus {
        let status = self.child.wait().expect("its status");
        run::ended(self.id());
        status
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.signal(self.end);
            let _ = self.child.wait();
        }
        run::ended(self.id());
    }
}

fn forward(pipe: impl Read + Send + 'static, lines: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // Nobody may be listening any more; the pipe has to be emptied all the same.
            let _ = lines.send(line);
        }
    });
}

fn signal(name: &str, id: u32) {
    let id = id.to_string();
    let args = [OsStr::new("-s"), name.as_ref(), id.as_ref()];
    let status = Command::new("kill").args(args).status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "kill -s {name} {id}"
    );
}
