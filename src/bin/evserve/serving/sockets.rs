//! Where it listens: sockets of its own, or those that it was started with.

use super::family;
use crate::args::Network;
use crate::ops::port;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::env;
use std::fs;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

/// As many connections as the system lets wait.
const BACKLOG: i32 = 4096;

/// The sockets of one process. Those of a family of processes listen at the same place.
#[derive(Default)]
pub struct Sockets {
    all: Vec<Socket>,
    /// The file of a Unix socket, which goes with whoever made it.
    file: Option<PathBuf>,
}

impl Sockets {
    /// Those that it was started with, or else those that the arguments ask for, so many times.
    ///
    /// # Errors
    /// In words, with what to try.
    pub fn open(network: &Network, times: usize) -> Result<Vec<Sockets>, String> {
        let given = inherited()?;
        if !given.is_empty() {
            // One of us has made the file, and goes.
            let file = network
                .unix
                .as_ref()
                .filter(|_| family::inherited().is_some());
            let sets = (0..times).map(|_| {
                let all = given
                    .iter()
                    .map(Socket::try_clone)
                    .collect::<io::Result<_>>()?;
                let file = file.cloned();
                Ok(Sockets { all, file })
            });
            let sets: io::Result<Vec<Sockets>> = sets.collect();
            return sets.map_err(|error| format!("the sockets it was started with: {error}"));
        }
        if let Some(path) = &network.unix {
            let socket = unix(path)
                .map_err(|error| format!("cannot listen on {}: {error}", path.display()))?;
            let sets = (0..times).map(|_| {
                let all = vec![socket.try_clone()?];
                let file = Some(path.clone());
                Ok(Sockets { all, file })
            });
            let sets: io::Result<Vec<Sockets>> = sets.collect();
            return sets.map_err(|error| error.to_string());
        }
        let (bind, port) = (network.bind(), network.port);
        tcp(bind, port, times).map_err(|error| {
            let advice = port::advice(bind, port, &error);
            format!("cannot listen on {bind} port {port}: {error}{advice}")
        })
    }

    /// The same sockets once more.
    pub fn again(&self) -> io::Result<Vec<OwnedFd>> {
        let again = self
            .all
            .iter()
            .map(|socket| socket.try_clone().map(OwnedFd::from));
        again.collect()
    }

    /// What a client is told to connect to.
    pub fn names(&self, scheme: &str) -> Vec<String> {
        let names = self.all.iter().map(|socket| match socket.local_addr() {
            Ok(addr) => match (addr.as_socket(), addr.as_pathname()) {
                (Some(addr), _) => format!("{scheme}://{addr}/"),
                (None, Some(path)) => format!("unix:{}", path.display()),
                (None, None) => "a socket without a name".to_owned(),
            },
            Err(error) => error.to_string(),
        });
        names.collect()
    }

    /// Listens no more, as far as this process goes, and takes its file away.
    pub fn close(&mut self, leave_file: bool) {
        self.all.clear();
        if let Some(file) = self.file.take().filter(|_| !leave_file) {
            let _ = fs::remove_file(file);
        }
    }
}

/// On the first of the addresses that can be had. With more than one set the system spreads the
/// connections among them.
fn tcp(bind: &str, port: u16, times: usize) -> io::Result<Vec<Sockets>> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for addr in (bind, port).to_socket_addrs()? {
        match listen(addr, times > 1) {
            Ok(first) => {
                let addr = first.local_addr()?.as_socket().unwrap_or(addr);
                let others = (1..times).map(|_| listen(addr, true));
                let all: io::Result<Vec<Socket>> = [Ok(first)].into_iter().chain(others).collect();
                let sets = all?.into_iter().map(|socket| Sockets {
                    all: vec![socket],
                    file: None,
                });
                return Ok(sets.collect());
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn listen(addr: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// A file that nobody listens on is left from one that was ended hard, and is replaced.
fn unix(path: &Path) -> io::Result<Socket> {
    let addr = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    if let Err(error) = socket.bind(&addr) {
        let is_socket = fs::symlink_metadata(path).is_ok_and(|meta| {
            use std::os::unix::fs::FileTypeExt;
            meta.file_type().is_socket()
        });
        let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        let nobody = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        if !is_socket || !probe.connect(&addr).is_err_and(nobody) {
            return Err(error);
        }
        fs::remove_file(path)?;
        socket.bind(&addr)?;
    }
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Those of one of us, or of systemd and its like.
fn inherited() -> Result<Vec<Socket>, String> {
    let fds: Vec<RawFd> = match family::inherited() {
        Some(fds) => fds,
        None => {
            let number = |name| env::var(name).ok()?.parse::<i32>().ok();
            let ours = number("LISTEN_PID").is_none_or(|id| id == std::process::id() as i32);
            let count = number("LISTEN_FDS").filter(|_| ours).unwrap_or(0);
            (3..3 + count).collect()
        }
    };
    let sockets = fds.into_iter().map(|fd| {
        let socket = adopt(fd).map_err(|error| format!("descriptor {fd}: {error}"))?;
        match socket.is_listener() {
            Ok(true) => Ok(socket),
            Ok(false) => Err(format!("descriptor {fd} is a socket that does not listen")),
            Err(error) => Err(format!("descriptor {fd}: {error}")),
        }
    });
    sockets.collect()
}

/// Takes over a descriptor that the process was started with.
pub fn adopt(fd: RawFd) -> io::Result<Socket> {
    // SAFETY: the call only looks; for what is no descriptor it fails.
    if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and whoever started us has left it to us. This happens once for each,
    // before anything of ours is opened, so nothing else of this process owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let socket = Socket::from(fd);
    socket.set_cloexec(true)?;
    Ok(socket)
}
