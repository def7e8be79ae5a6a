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

    /// Asks so many queries, a multiple of a thousand, with so many under way; the seconds that
    /// took. A slow server loses none if there are few.
    pub fn ask(&self, port: u16, queries: usize, under_way: usize) -> f64 {
        let (port, runs) = (port.to_string(), (queries / NAMES).to_string());
        let output = Command::new("dnsperf")
            .args(["-s", "127.0.0.1", "-p", &port, "-c", "1", "-T", "1"])
            .args(["-n", &runs, "-q", &under_way.to_string(), "-d"])
            .arg(&self.names)
            .output()
            .expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let number = |label| {
            let line = text
                .lines()
                .find_map(|line| line.trim().strip_prefix(label));
            let word = line.and_then(|line| line.split_whitespace().next());
            word.and_then(|word| word.parse::<f64>().ok())
        };
        let completed = number("Queries completed:");
        assert_eq!(completed, Some(queries as f64), "dnsperf: {output:?}");
        number("Run time (s):").expect("dnsperf tells")
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.names);
    }
}
