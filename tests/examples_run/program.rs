//! A running example.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::{env, fs};

pub struct Program {
    name: String,
    child: Child,
    lines: Receiver<String>,
    stderr: Option<JoinHandle<String>>,
}

/// What is left of it.
#[derive(Debug)]
pub struct End {
    pub status: ExitStatus,
    /// What nobody has read before.
    pub stdout: String,
    pub stderr: String,
}

/// `cargo test` builds the examples too, but not when it is told which test to run.
const HOW: &str = "`cargo build --examples` makes it";

pub fn path(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    // Beside the folder of the tests, for whatever profile and target they were built.
    let profile = test.ancestors().nth(2).unwrap();
    let path = profile.join("examples").join(name);
    assert!(path.exists(), "{} is missing: {HOW}", path.display());
    // What it was made of, as cargo writes it down.
    let sources = fs::read_to_string(path.with_extension("d")).unwrap();
    let modified = |path: &Path| fs::metadata(path).and_then(|file| file.modified());
    let built = modified(&path).unwrap();
    for source in sources.split_whitespace().skip(1) {
        let is_newer = modified(source.as_ref()).is_ok_and(|source| source > built);
        assert!(!is_newer, "{name} is older than {source}: {HOW}");
    }
    path
}

impl Program {
    pub fn start(name: &str, arguments: &[&str]) -> Self {
        Self::start_with(name, arguments, &[])
    }

    /// With these in its environment.
    pub fn start_with(name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(path(name));
        // A shell that starts something in the background has it ignore SIGINT, which is inherited.
        // SAFETY: `signal` is async-signal-safe, and changes the child only.
        unsafe {
            command.pre_exec(|| {
                libc::signal(libc::SIGINT, libc::SIG_DFL);
                Ok(())
            });
        }
        let mut child = command
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        let mut stderr = child.stderr.take().unwrap();
        let stderr = thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        Program {
            name: name.to_owned(),
            child,
            lines,
            stderr: Some(stderr),
        }
    }

    /// The next line that it prints and that has this in it.
    pub fn line_with(&self, text: &str) -> String {
        let line = self.lines.iter().find(|line| line.contains(text));
        line.unwrap_or_else(|| panic!("{} ended without {text:?}", self.name))
    }

    /// The port that a server listens on.
    pub fn port(&self) -> u16 {
        let line = self.line_with("listening on ");
        line.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// Fails when the process has as many MiB in memory (RSS).
    pub fn has_less_than(&self, limit: usize) {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let number = line.unwrap().split_whitespace().nth(1).unwrap();
        let memory = number.parse::<usize>().unwrap() / 1024;
        // AddressSanitizer keeps what was freed.
        let is_sane = memory < limit || env::var_os("ASAN_OPTIONS").is_some();
        assert!(is_sane, "{} has {memory} MiB", self.name);
    }

    pub fn signal(&self, signum: i32) {
        // SAFETY: a plain system call; the child was not waited for, so its number is its own.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signum) }, 0);
    }

    /// Waits for its end.
    pub fn end(mut self) -> End {
        let stdout = self.lines.iter().map(|line| line + "\n").collect();
        let status = self.child.wait().unwrap();
        let stderr = self.stderr.take().unwrap().join().unwrap();
        End {
            status,
            stdout,
            stderr,
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).unwrap()
}

/// Bytes that do not repeat soon, so that some that are lost, doubled or swapped are seen.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..length).map(step).collect()
}
