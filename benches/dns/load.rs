//! The questions: dnsperf, with a file of names.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

const NAMES: usize = 1000;

pub struct Load {
    names: PathBuf,
}

impl Load {
    /// `None` without dnsperf.
    pub fn new() -> Option<Self> {
        Command::new("dnsperf").arg("-h").output().ok()?;
        let mut lines = String::new();
        for number in 0..NAMES {
            let _ = writeln!(lines, "host{number}.www.example.com A");
        }
        let names = env::temp_dir().join(format!("dns-names.{}", std::process::id()));
        fs::write(&names, lines).expect("a file");
        Some(Load { names })
    }

    /// Asks for so many seconds; how many queries were answered.
    pub fn run(&self, port: u16, seconds: f64) -> usize {
        self.dnsperf(port, &["-l", &seconds.to_string()])
    }

    /// Asks so many queries, a multiple of a thousand. Few at a time: a slow server loses none.
    pub fn ask(&self, port: u16, queries: usize) {
        let runs = (queries / NAMES).to_string();
        assert_eq!(self.dnsperf(port, &["-n", &runs, "-q", "20"]), queries);
    }

    fn dnsperf(&self, port: u16, args: &[&str]) -> usize {
        let mut command = Command::new("dnsperf");
        command.args([
            "-s",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "-c",
            "1",
            "-T",
            "1",
            "-d",
        ]);
        let output = command.arg(&self.names).args(args).output();
        let output = output.expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("Queries completed:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        let number = number.and_then(|number| number.parse().ok());
        number.unwrap_or_else(|| panic!("dnsperf: {output:?}"))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.names);
    }
}
