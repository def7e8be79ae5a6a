//! What is compared: the servers, by name.

use super::support::process::Program;
use super::support::{c_program_optimised, crate_programs};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, id};
use std::{env, fs};

pub const C: &str = "C evhttp";
pub const OURS: &str = "Rust http::Server";
pub const HYPER: &str = "hyper";
pub const NGINX: &str = "nginx";

/// What the servers serve, and where nginx keeps what it writes. Deleted when dropped.
pub struct Folder {
    pub path: PathBuf,
}

impl Folder {
    /// With a `file` of so many bytes, which is a hole: it is read from the cache of pages.
    pub fn new(file_bytes: u64) -> Folder {
        let path = env::temp_dir().join(format!("bench-http.{}", id()));
        fs::create_dir_all(&path).expect("a folder");
        let file = fs::File::create(path.join("file")).expect("a file");
        file.set_len(file_bytes).expect("a length");
        fs::write(path.join("mib"), vec![b'x'; 1 << 20]).expect("a file");
        Folder { path }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// All servers that are to be had on this machine.
pub fn all(folder: &Folder) -> Vec<Program> {
    let file = folder.path.join("file").display().to_string();
    let mut programs = vec![
        Program {
            name: C,
            path: c_program_optimised("http/http.c", 2),
            args: vec![file.clone()],
            environment: None,
            answers: true,
        },
        Program {
            name: OURS,
            path: env::current_exe().expect("its own path"),
            args: vec!["serve".to_owned(), file.clone()],
            environment: None,
            answers: true,
        },
    ];
    if let Some(peers) = crate_programs("peers") {
        programs.push(Program {
            name: HYPER,
            path: peers.join("http-hyper"),
            args: vec![file],
            environment: None,
            answers: false,
        });
    }
    programs.extend(nginx(&folder.path));
    programs
}

/// `None`, and a word about it, where it is not installed.
fn nginx(folder: &Path) -> Option<Program> {
    if Command::new("nginx").arg("-v").output().is_err() {
        println!("without nginx, which is not installed");
        return None;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("it is bound").port();
    let place = folder.display();
    let settings = include_str!("nginx.conf")
        .replace("PORT", &port.to_string())
        .replace("FOLDER", &place.to_string());
    let path = folder.join("nginx.conf");
    fs::write(&path, settings).expect("a file");
    // It says nothing of its port, and listens a little later than this says it.
    let start = format!("echo {port}; exec nginx -p {place} -e stderr -c nginx.conf");
    Some(Program {
        name: NGINX,
        path: "sh".into(),
        args: vec!["-c".to_owned(), start],
        environment: None,
        answers: false,
    })
}
