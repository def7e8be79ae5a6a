//! The program `evserve`, in a folder of its own, driven by curl.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A folder that goes with the value.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "libevent2-serve-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn evserve() -> Command {
    Command::new(env!("CARGO_BIN_EXE_evserve"))
}

/// A running server; killed with the value.
pub struct Server {
    pub child: Child,
    /// Its standard output, until that is closed.
    pub out: Option<BufReader<ChildStdout>>,
    pub url: String,
}

impl Server {
    pub fn start(folder: &Path) -> Self {
        Self::with(evserve().arg(folder).args(["--port", "0"]))
    }

    pub fn with(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let url = line.strip_prefix("listening on ").expect(&line).trim_end();
        assert!(
            url.starts_with("unix:") || url.contains("://") && url.ends_with('/'),
            "{line}"
        );
        Server {
            child,
            out: Some(out),
            url: url.to_owned(),
        }
    }

    /// Host and port.
    pub fn addr(&self) -> String {
        let addr = self.url.split("://").nth(1).unwrap();
        addr.trim_end_matches('/').to_owned()
    }

    /// The next line of the access log.
    pub fn log(&mut self) -> String {
        let mut line = String::new();
        self.out.as_mut().unwrap().read_line(&mut line).unwrap();
        line
    }

    pub fn signal(&self, signum: i32) {
        // SAFETY: our child, which was not waited for yet.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signum) }, 0);
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    pub fn curl(&self, path: &str) -> Answer {
        self.curl_with(path, &[])
    }

    pub fn curl_with(&self, path: &str, options: &[&str]) -> Answer {
        let url = format!("{}{path}", self.url);
        let out = Command::new("curl")
            .args(["-sS", "-i", "--path-as-is", "--max-time", "30"])
            .args(options)
            .arg(url)
            .output()
            .expect("curl is there");
        Answer::new(out)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn new(out: Output) -> Self {
        let errors = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{errors}");
        let mut rest = &out.stdout[..];
        loop {
            let at = rest.windows(4).position(|end| end == b"\r\n\r\n");
            let (head, body) = rest.split_at(at.expect("headers") + 4);
            let head = str::from_utf8(&head[..head.len() - 4]).unwrap();
            let status = head[9..12].parse().unwrap();
            // "100 Continue" is no answer yet.
            if status >= 200 {
                let (head, body) = (head.to_owned(), body.to_vec());
                return Answer { status, head, body };
            }
            rest = body;
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }
}

/// The links of a page, with the `./` that keeps them from being taken for something else.
pub fn links(page: &str) -> Vec<String> {
    let rest = page.split("<a href=\"").skip(1);
    let links = rest.map(|rest| rest.split('"').next().unwrap().to_owned());
    links
        .map(|link| link.trim_start_matches("./").to_owned())
        .collect()
}
