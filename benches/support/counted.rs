//! What a request takes, counted instead of timed: instructions in user space by callgrind, and
//! calls of the system by strace. Each is the difference of a long and a short run, so that starting
//! up does not count.

use super::process::{Program, Server};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

/// Less often than this, a call does not belong to a request.
const SELDOM: f64 = 0.005;

type Counts = BTreeMap<String, f64>;

/// Sends so many messages, more or less, to the server on a port; how many they were.
pub type Ask<'a> = &'a dyn Fn(u16, usize) -> usize;

/// Instructions per request; `None` without valgrind, which counts them.
pub fn instructions(program: &Program, short_and_long: [usize; 2], ask: Ask) -> Option<f64> {
    let counts = per_request(program, short_and_long, ask, &callgrind, &totals)?;
    counts.get("").copied()
}

/// Names of calls, and how many of each a request takes; `None` without strace, which counts them.
pub fn calls(program: &Program, short_and_long: [usize; 2], ask: Ask) -> Option<String> {
    let counts = per_request(program, short_and_long, ask, &strace, &rows)?;
    let calls: Vec<String> = counts
        .iter()
        .filter(|(_, count)| **count >= SELDOM)
        .map(|(name, count)| format!("{name} {count:.2}"))
        .collect();
    Some(calls.join(", "))
}

fn per_request(
    program: &Program,
    short_and_long: [usize; 2],
    ask: Ask,
    tool: &dyn Fn(&Path) -> Vec<String>,
    read: &dyn Fn(&str) -> Counts,
) -> Option<Counts> {
    let run = |messages| {
        let out = env::temp_dir().join(format!("bench-count.{}", std::process::id()));
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
        let asked = ask(server.port, messages);
        server.end();
        let counts = read(&written(&out));
        let _ = fs::remove_file(&out);
        Some((counts, asked))
    };
    let (short, fewer) = run(short_and_long[0])?;
    let (mut long, more) = run(short_and_long[1])?;
    for (name, count) in &mut long {
        *count -= short.get(name).copied().unwrap_or(0.0);
        *count /= (more - fewer) as f64;
    }
    Some(long)
}

/// A server may be started by a shell, which callgrind has to follow.
fn callgrind(out: &Path) -> Vec<String> {
    let out = format!("--callgrind-out-file={}", out.display());
    let follow = "--trace-children=yes";
    ["valgrind", "-q", "--tool=callgrind", follow, &out]
        .map(str::to_owned)
        .into()
}

fn totals(text: &str) -> Counts {
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
fn rows(text: &str) -> Counts {
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
