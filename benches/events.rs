//! What a callback costs: the workload of libevent's own bench.c, in C and through this crate, in
//! one run. `cargo bench --bench events`.
//!
//! Instructions are counted by callgrind as the difference of a long and a short run, so that
//! starting up does not count; wall-clock times are medians of many short runs in turn.
//!
//! With threads both sides call evthread_use_pthreads (what this crate does by default); without,
//! neither does, as in bench.c.

mod support;

use libevent2::{Event, EventBase, EventConfig, Interest};
use std::cell::Cell;
use std::env;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};
use support::{Side, c_program, fastest, in_turn, median};

const PIPES: usize = 1000;
const ACTIVE: usize = 100;

fn main() {
    let args: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.first().map(String::as_str) {
        Some("ring") => println!("{:.1}", ring(&args[1..]).as_secs_f64() * 1e6),
        _ => compare(),
    }
}

fn compare() {
    let c = c_program("events.c");
    let rust = env::current_exe().expect("its own path");
    println!(
        "libevent {}, {PIPES} socket pairs, {ACTIVE} bytes under way",
        libevent2::version()
    );
    println!();
    println!(
        "threads  side  instructions/event  above C   µs/1000 events  C/Rust: in turn, fastest"
    );
    for locks in [false, true] {
        let side = |program, rust: bool, writes: usize, runs: usize| {
            let numbers = [PIPES, ACTIVE, writes, runs, usize::from(locks)];
            let ring = rust.then(|| "ring".to_owned());
            let args: Vec<String> = ring
                .into_iter()
                .chain(numbers.iter().map(usize::to_string))
                .collect();
            Side::new(program, &args)
        };
        let per_event = |program, rust| {
            let long = side(program, rust, 40_000, 1).instructions()?;
            let short = side(program, rust, 20_000, 1).instructions()?;
            Some((long - short) as f64 / 20_000.0)
        };
        let counted = per_event(&c, false).zip(per_event(&rust, true));

        let (writes, runs) = (100_000, 1);
        let sides = [
            side(&c, false, writes, runs),
            side(&rust, true, writes, runs),
        ];
        let times = in_turn(&sides, 51);
        let ratios: Vec<f64> = times[0]
            .iter()
            .zip(&times[1])
            .map(|(c, rust)| c / rust)
            .collect();
        let per_1000 = |column: &[f64]| median(column) / (writes * runs) as f64 * 1000.0;
        let locks = if locks { "with   " } else { "without" };
        let (c_count, rust_count) = counted.map_or((f64::NAN, f64::NAN), |pair| pair);
        println!(
            "{locks}  C     {c_count:18.1}  {:7}  {:15.1}",
            "",
            per_1000(&times[0])
        );
        println!(
            "{locks}  Rust  {rust_count:18.1}  {:+7.1}  {:15.1}  {:.3} {:.3}",
            rust_count - c_count,
            per_1000(&times[1]),
            median(&ratios),
            fastest(&times[0]) / fastest(&times[1]),
        );
    }
    if !valgrind_is_there() {
        println!("\nwithout valgrind no instructions are counted");
    }
}

fn valgrind_is_there() -> bool {
    std::process::Command::new("valgrind")
        .arg("--version")
        .output()
        .is_ok()
}

struct Ring {
    count: Cell<usize>,
    fired: Cell<usize>,
    failures: Cell<usize>,
    writes: Cell<usize>,
    writers: Vec<RawFd>,
}

impl Ring {
    #[cold]
    #[inline(never)]
    fn failed(&self) {
        self.failures.set(self.failures.get() + 1);
    }
}

/// The same workload through the safe layer. The bodies call recv and send as C does, so that
/// what differs is the way into the callback.
fn ring(args: &[String]) -> Duration {
    let number = |i: usize| args[i].parse::<usize>().expect("a number");
    let (pipes, active, writes, runs) = (number(0), number(1), number(2), number(3));
    let mut config = EventConfig::new();
    if number(4) == 0 {
        // SAFETY: this program has one thread.
        config = unsafe { config.no_threads() };
    }
    let mut base = config.build().expect("a base");

    let pairs: Vec<_> = (0..pipes)
        .map(|_| UnixStream::pair().expect("a pair"))
        .collect();
    let ring = Rc::new(Ring {
        count: Cell::new(0),
        fired: Cell::new(0),
        failures: Cell::new(0),
        writes: Cell::new(0),
        writers: pairs.iter().map(|(_, writer)| writer.as_raw_fd()).collect(),
    });
    let mut keep = Vec::new();
    let mut events = Vec::new();
    for (index, (reader, writer)) in pairs.into_iter().enumerate() {
        keep.push(writer);
        events.push(watch(&base, reader, index, Rc::clone(&ring)));
    }
    base.run_nonblocking().expect("a turn");

    let mut elapsed = Duration::ZERO;
    for _ in 0..runs {
        ring.count.set(0);
        ring.fired.set(active);
        ring.writes.set(writes);
        for i in 0..active {
            assert_eq!(send(ring.writers[i * (pipes / active)]), 1);
        }
        let begin = Instant::now();
        loop {
            base.run_nonblocking().expect("a turn");
            if ring.count.get() == ring.fired.get() {
                break;
            }
        }
        elapsed += begin.elapsed();
    }
    assert_eq!(ring.failures.get(), 0);
    elapsed
}

fn watch(base: &EventBase, reader: UnixStream, index: usize, ring: Rc<Ring>) -> Event<UnixStream> {
    Event::new(base, reader, Interest::READ, move |event, _| {
        let n = recv(event.fd());
        if n >= 0 {
            ring.count.set(ring.count.get() + n as usize);
        } else {
            ring.failed();
        }
        if ring.writes.get() != 0 {
            let mut next = index + 1;
            if next >= ring.writers.len() {
                next -= ring.writers.len();
            }
            if send(ring.writers[next]) != 1 {
                ring.failed();
            }
            ring.writes.set(ring.writes.get() - 1);
            ring.fired.set(ring.fired.get() + 1);
        }
    })
    .expect("an event")
}

#[inline(always)]
fn recv(fd: RawFd) -> isize {
    let mut byte = 0u8;
    // SAFETY: one byte of room, and one is asked for.
    unsafe { libc::recv(fd, (&raw mut byte).cast(), 1, 0) }
}

#[inline(always)]
fn send(fd: RawFd) -> isize {
    // SAFETY: one byte is there, and one is sent.
    unsafe { libc::send(fd, b"e".as_ptr().cast(), 1, 0) }
}
