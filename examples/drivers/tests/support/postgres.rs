//! A PostgreSQL server with a cluster of its own.

use super::{Program, free_port, program};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, Weak};
use tempfile::TempDir;

/// The user and password of the cluster; its database is `postgres`.
pub const USER: &str = "tester";
pub const PASSWORD: &str = "s3cret";

/// One for all tests of a binary that run at a time.
pub struct Postgres {
    _server: Program,
    port: u16,
    folder: TempDir,
}

impl Postgres {
    pub fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        // A test that failed to start it has poisoned nothing.
        let mut shared = SHARED
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(server) = shared.upgrade() {
            return Some(server);
        }
        let server = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&server);
        Some(server)
    }

    fn start() -> Option<Self> {
        let mut postgres = program("postgres")?;
        let template = template(program("initdb")?);
        let folder = tempfile::tempdir().expect("a folder");
        let cluster = folder.path().join("cluster");
        copy(&template, &cluster);
        let port = free_port();
        unprivileged(&mut postgres, &[folder.path()])
            .arg("-D")
            .arg(&cluster)
            .arg("-k")
            .arg(folder.path())
            .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-F"]);
        // SIGQUIT: at once, and with its children.
        let server = Program::start(&mut postgres, "QUIT");
        server.line_with("ready to accept connections");
        Some(Postgres {
            _server: server,
            port,
            folder,
        })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its Unix socket is.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}

/// A cluster that was never used. Making it takes initdb a while, so it is kept between runs.
fn template(mut initdb: Command) -> PathBuf {
    let template = Path::new(env!("CARGO_TARGET_TMPDIR")).join("postgres-cluster");
    if template.exists() {
        return template;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (cluster, password) = (
        folder.path().join("cluster"),
        folder.path().join("password"),
    );
    std::fs::write(&password, PASSWORD).expect("a file");
    let made = unprivileged(&mut initdb, &[folder.path(), &password])
        .args(["--no-sync", "--no-locale", "--encoding=UTF8"])
        .args(["--auth=scram-sha-256", "--username", USER, "--pwfile"])
        .args([&password, &cluster])
        .output()
        .expect("initdb");
    assert!(made.status.success(), "{made:?}");
    // Under its name when it is whole.
    let half = template.with_extension(std::process::id().to_string());
    copy(&cluster, &half);
    std::fs::rename(&half, &template).expect("a new name");
    template
}

/// Copies a folder, with the owners of all that is in it.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-Rp").args([from, to]).status();
    assert!(copied.is_ok_and(|status| status.success()), "cp {from:?}");
}

/// PostgreSQL refuses to run as root: another user gets the files and runs it then.
fn unprivileged<'a>(command: &'a mut Command, files: &[&Path]) -> &'a mut Command {
    let id = |args: &[&str]| -> Option<u32> {
        let output = Command::new("id").args(args).output().ok()?;
        String::from_utf8_lossy(&output.stdout).trim().parse().ok()
    };
    if id(&["-u"]) != Some(0) {
        return command;
    }
    let user = ["postgres", "nobody"]
        .into_iter()
        .find(|user| id(&["-u", user]).is_some());
    let user = user.expect("a user that is not root");
    let (uid, gid) = (id(&["-u", user]), id(&["-g", user]));
    for file in files {
        chown(file, uid, gid).expect("root may");
    }
    command
        .uid(uid.expect("its number"))
        .gid(gid.expect("its group"))
}
