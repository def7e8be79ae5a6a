//! A Redis server.

use super::{Program, free_port, program};
use std::path::PathBuf;
use tempfile::TempDir;

/// On a port and on a Unix socket, empty, and saving nothing.
pub struct Redis {
    server: Program,
    port: u16,
    folder: TempDir,
}

impl Redis {
    pub fn start() -> Option<Self> {
        let mut command = program("redis-server")?;
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        command
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--daemonize", "no", "--protected-mode", "no"])
            .args(["--port", &port.to_string()])
            .arg("--unixsocket")
            .arg(folder.path().join("redis.sock"))
            .arg("--dir")
            .arg(folder.path());
        let server = Program::start(&mut command, "KILL");
        server.line_with("eady to accept connections");
        Some(Redis {
            server,
            port,
            folder,
        })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// Ends the server, with all its connections.
    pub fn stop(self) {
        drop(self);
    }
}
