//! What a request takes, counted instead of timed: instructions in user space by callgrind, and calls
//! of the system by strace. Each is the difference of a long and a short run, so that starting up
//! does not count.

use super::compare::{CONNECTIONS, SIZES};
use super::load::Load;
use super::process::{Program, Server};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

/// Messages on each connection.
const ROUNDS: [usize; 2] = [50, 150];
/// Less often than this, a call does not belong to a request.
const SELDOM: f64 = 0.005;

pub fn print(programs: &[Program]) {
    for size in SIZES {
        println!();
        println!("{CONNECTIONS} connections × {size} bytes");
        println!("{:19}  instructions  calls of the system, per request", "");
        for program in programs {
            let instructions = per_request(program, size, &callgrind, &instructions);
            let calls = per_request(program, size, &strace, &calls);
            let total = instructions.get("").copied().unwrap_or(f64::NAN);
            let calls: Vec<String> = calls
                .iter()
                .filter(|(_, count)| **count >= SELDOM)
                .map(|(name, count)| format!("{name} {count:.2}"))
                .collect();
            println!("{:19}  {total:12.0}  {}", program.name, calls.join(", "));
        }
    }
}

type Counts = BTreeMap<String, f64>;

/// What `tool` counts by name, per request; nothing without the tool.
fn per_request(
    program: &Program,
    size: usize,
    tool: &dyn Fn(&Path) -> Vec<String>,
    read: &dyn Fn(&str) -> Counts,
) -> Counts {
    let [short, long] = ROUNDS.map(|rounds| {
        let out = env::temp_dir().join(format!("echo-count.{}", process::id()));
        let _ = fs::remove_file(&out);
        let mut command = tool(&out);
        let path = command.remove(0);
        command.push(program.path.display().to_string());
        command.extend(program.args.iter().cloned());
        let server = Server::try_start(&Program {
            path: path.into(),
            args: command,
            ..program.clone()
        })?;
        let mut load = Load::connect(server.port, CONNECTIONS, size);
        for _ in 0..rounds {
            load.run(Duration::ZERO);
        }
        server.end();
        let counts = read(&written(&out));
        let _ = fs::remove_file(&out);
        Some(counts)
    });
    let (Some(short), Some(mut long)) = (short, long) else {
        return Counts::new();
    };
    for (name, count) in &mut long {
        *count -= short.get(name).copied().unwrap_or(0.0);
        *count /= ((ROUNDS[1] - ROUNDS[0]) * CONNECTIONS) as f64;
    }
    long
}

fn callgrind(out: &Path) -> Vec<String> {
    let out = format!("--callgrind-out-file={}", out.display());
    ["valgrind", "-q", "--tool=callgrind", &out]
        .map(str::to_owned)
        .into()
}

fn instructions(text: &str) -> Counts {
    let totals = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let count = totals.and_then(|count| count.trim().parse().ok());
    count
        .into_iter()
        .map(|count| (String::new(), count))
        .collect()
}

/// `-D`: the server itself, not strace, is the child, and is what gets the signal.
fn strace(out: &Path) -> Vec<String> {
    let out = out.display().to_string();
    ["strace", "-D", "-c", "-f", "-o", &out]
        .map(str::to_owned)
        .into()
}

/// Columns: share, seconds, µs per call, calls, errors if any, name.
fn calls(text: &str) -> Counts {
    let rows = text.lines().filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let name = *columns.last().filter(|name| **name != "total")?;
        columns[0].parse::<f64>().ok()?;
        Some((name.to_owned(), columns.get(3)?.parse().ok()?))
    });
    rows.collect()
}

/// The tool writes when the server has ended.
fn written(out: &Path) -> String {
    let start = Instant::now();
    loop {
        let text = fs::read_to_string(out).unwrap_or_default();
        if text.contains("total") {
            return text;
        }
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{}",
            out.display()
        );
        thread::sleep(Duration::from_millis(10));
    }
}
