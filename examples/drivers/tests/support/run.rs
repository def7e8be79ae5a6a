//! How long a test may take, and where it runs.

use libevent2::{EventBase, LoopHandle};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{self, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// Ends the test binary, and every program it has started, when a test hangs.
#[must_use]
pub struct Bounded {
    _alive: Sender<()>,
}

pub fn bounded() -> Bounded {
    const LIMIT: Duration = Duration::from_secs(120);
    let test = thread::current().name().unwrap_or("a test").to_owned();
    let (alive, gone) = channel();
    thread::spawn(move || {
        if gone.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
            // Not by eprintln, which the harness would keep for itself and lose.
            let _ = writeln!(std::io::stderr(), "{test} still runs after {LIMIT:?}");
            kill_all();
            process::abort();
        }
    });
    Bounded { _alive: alive }
}

pub fn base() -> EventBase {
    EventBase::new().expect("an event base")
}

/// A port that was free a moment ago, for a server that cannot choose one itself.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its number").port()
}

/// An example of this package, which cargo builds before it runs the tests.
pub fn example(name: &str) -> Command {
    let test = std::env::current_exe().expect("the test's path");
    let profile = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
    let path: PathBuf = profile.join("examples").join(name);
    assert!(
        path.exists(),
        "{} is not there: cargo build --examples",
        path.display()
    );
    Command::new(path)
}

/// What a program prints, while the loop goes on.
pub async fn output(handle: &LoopHandle, mut command: Command) -> String {
    let shown = format!("{command:?}");
    let run = handle.spawn_blocking(move || command.stdin(Stdio::null()).output());
    let output = run.await.expect("it ran").expect("it could be run");
    assert!(output.status.success(), "{shown}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

pub(super) fn started(id: u32) {
    RUNNING.lock().expect("a list").push(id);
}

pub(super) fn ended(id: u32) {
    RUNNING.lock().expect("a list").retain(|&other| other != id);
}

fn kill_all() {
    if let Ok(running) = RUNNING.lock() {
        let ids = running.iter().map(u32::to_string);
        let _ = Command::new("kill").arg("-KILL").args(ids).status();
    }
}
