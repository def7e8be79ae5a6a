//! Processes that take over from each other: how one starts another with its sockets, and how that
//! one says that it is ready.

use super::sockets::{Sockets, adopt};
use libevent2::{Event, Interest, LoopHandle};
use socket2::SockRef;
use std::env;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command};

/// The numbers of descriptors that a child has: its line to the parent, then its sockets.
const FDS: &str = "EVSERVE_FDS";
/// Set for a child that serves as long as its parent lives.
const WORKER: &str = "EVSERVE_WORKER";

/// A process that was started to serve.
pub struct Relative {
    pub process: Child,
    /// Closed, it tells a worker to end.
    _line: UnixStream,
}

impl Relative {
    /// Has it replaced in its turn.
    pub fn hang_up(&self) {
        // SAFETY: the call only sends a signal, to a child that was not waited for yet.
        unsafe { libc::kill(self.process.id() as i32, libc::SIGHUP) };
    }
}

/// Starts this program once more, with the same arguments and these sockets. `told` is called when
/// it serves, or with nothing when it has ended before that.
///
/// # Errors
/// Those of the system.
pub fn start(
    base: &LoopHandle,
    sockets: &Sockets,
    worker: bool,
    told: impl FnOnce(Option<Relative>) + 'static,
) -> io::Result<()> {
    let (line, end) = UnixStream::pair()?;
    let watched = line.try_clone()?;
    let sockets = sockets.again()?;
    let mut fds = vec![end.as_raw_fd()];
    // From here to the end of the function they would go to any process that is started.
    SockRef::from(&end).set_cloexec(false)?;
    for socket in &sockets {
        SockRef::from(socket).set_cloexec(false)?;
        fds.push(socket.as_raw_fd());
    }
    let fds: Vec<String> = fds.iter().map(RawFd::to_string).collect();
    let mut command = Command::new(program()?);
    command.args(env::args_os().skip(1)).env(FDS, fds.join(","));
    for name in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", WORKER] {
        command.env_remove(name);
    }
    if worker {
        command.env(WORKER, "1");
    }
    let process = command.spawn()?;
    let mut waiting = Some((
        Relative {
            process,
            _line: line,
        },
        told,
    ));
    let event = Event::new(base, watched, Interest::READ, move |event, _| {
        let mut source = event.source();
        let ready = matches!(source.read(&mut [0]), Ok(1));
        event.close();
        if let Some((mut relative, told)) = waiting.take() {
            if !ready {
                let _ = relative.process.kill();
                let _ = relative.process.wait();
            }
            told(ready.then_some(relative));
        }
    });
    event.map_err(io::Error::other)?.detach();
    Ok(())
}

/// This program, also when a new one has been put in its place.
fn program() -> io::Result<PathBuf> {
    let path = env::current_exe()?;
    let gone = path
        .to_str()
        .and_then(|path| path.strip_suffix(" (deleted)"));
    Ok(match gone {
        Some(place) if !path.exists() => place.into(),
        _ => path,
    })
}

fn numbers() -> Option<Vec<RawFd>> {
    let fds = env::var(FDS).ok()?;
    fds.split(',').map(|fd| fd.parse().ok()).collect()
}

/// The sockets that one of us was given by another.
pub fn inherited() -> Option<Vec<RawFd>> {
    numbers().map(|fds| fds[1..].to_vec())
}

/// The line to the process that has started this one, if one of us has.
pub fn line() -> Option<UnixStream> {
    let line = adopt(*numbers()?.first()?).ok()?;
    Some(std::os::fd::OwnedFd::from(line).into())
}

/// Whether it ends with its parent.
pub fn is_worker() -> bool {
    env::var_os(WORKER).is_some()
}

/// Says that this process serves now.
pub fn ready(line: &UnixStream) {
    let mut line = line;
    // A parent that is gone needs no telling.
    let _ = line.write_all(b"r");
}
