//! What the benchmarks share: C programs built against the same libevent, runs in turn, counted
//! instructions.

#![allow(dead_code, reason = "each benchmark uses a part")]

#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub mod counted;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub mod process;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles `source` (in `benches/`) against the libevent that this crate links, with `-O3`.
pub fn c_program(source: &str) -> PathBuf {
    c_program_optimised(source, 3)
}

/// As [`c_program`], with the level of optimisation that is asked for.
pub fn c_program_optimised(source: &str, level: u32) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let name = Path::new(source).file_stem().expect("a file");
    let program = out.join(name).with_extension("c-bin");
    let compiler = cc::Build::new()
        .target(current_platform())
        .host(current_platform())
        .opt_level(level)
        .out_dir(&out)
        .cargo_metadata(false)
        .get_compiler();
    let mut command = compiler.to_command();
    command.arg(root.join("benches").join(source));
    for dir in env::split_paths(env!("LIBEVENT2_C_INCLUDE")).filter(|dir| dir.is_dir()) {
        command.arg("-I").arg(dir);
    }
    for dir in env::split_paths(env!("LIBEVENT2_C_LIB")).filter(|dir| dir.is_dir()) {
        command.arg("-L").arg(&dir);
        command.arg(format!("-Wl,-rpath,{}", dir.display()));
    }
    command.args([
        "-levent_extra",
        "-levent_pthreads",
        "-levent_core",
        "-lpthread",
        "-o",
    ]);
    command.arg(&program);
    let status = command
        .status()
        .expect("a C compiler is there: libevent was built with it");
    assert!(status.success(), "compiling {source} failed: {command:?}");
    program
}

/// Compiles the crate in `benches/<folder>` in release mode, and returns where its programs are;
/// `None`, and the reason printed by cargo, when that fails (it may have to download something).
pub fn crate_programs(folder: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    // Its programs on this crate's loop link the same libevent.
    let vendored = cfg!(feature = "vendored").then_some("--features=vendored");
    let status = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["build", "--quiet", "--release", "--locked"])
        .args(vendored)
        .arg("--manifest-path")
        .arg(root.join("benches").join(folder).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&out)
        .status()
        .ok()?;
    status.success().then(|| out.join("release"))
}

fn current_platform() -> &'static str {
    // Good enough to pick a compiler; benches are not cross-compiled.
    if cfg!(target_os = "macos") {
        "x86_64-apple-darwin"
    } else {
        "x86_64-unknown-linux-gnu"
    }
}

/// One side of a comparison: a program and its arguments.
#[derive(Clone)]
pub struct Side {
    pub program: PathBuf,
    pub args: Vec<String>,
}

impl Side {
    pub fn new(program: &Path, args: &[String]) -> Self {
        Side {
            program: program.to_owned(),
            args: args.to_vec(),
        }
    }

    /// Runs it; it prints one number.
    pub fn measure(&self) -> f64 {
        let output = Command::new(&self.program)
            .args(&self.args)
            .output()
            .expect("it runs");
        assert!(
            output.status.success(),
            "{:?} failed: {output:?}",
            self.program
        );
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim().parse().expect("it prints a number")
    }

    /// The instructions of a whole run in user space, exactly; `None` without valgrind.
    pub fn instructions(&self) -> Option<u64> {
        let out = env::temp_dir().join(format!("callgrind.{}", std::process::id()));
        let status = Command::new("valgrind")
            .arg("--tool=callgrind")
            .arg(format!("--callgrind-out-file={}", out.display()))
            .arg(&self.program)
            .args(&self.args)
            .output()
            .ok()?;
        assert!(status.status.success(), "valgrind failed: {status:?}");
        let text = fs::read_to_string(&out).ok()?;
        let _ = fs::remove_file(&out);
        let totals = text
            .lines()
            .find_map(|line| line.strip_prefix("totals: "))?;
        totals.trim().parse().ok()
    }
}

/// Measures all sides in turn, forward and then backward, so that what else the machine does
/// hits all alike. One column per side.
pub fn in_turn(sides: &[Side], rounds: usize) -> Vec<Vec<f64>> {
    let mut columns = vec![Vec::new(); sides.len()];
    for round in 0..rounds {
        let mut order: Vec<usize> = (0..sides.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for side in order {
            columns[side].push(sides[side].measure());
        }
    }
    columns
}

pub fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// What the machine can do when nothing else disturbs it.
pub fn fastest(numbers: &[f64]) -> f64 {
    numbers.iter().copied().fold(f64::INFINITY, f64::min)
}

/// `median (least .. most)`
pub fn spread(numbers: &[f64], digits: usize) -> String {
    let least = fastest(numbers);
    let most = numbers.iter().copied().fold(0.0, f64::max);
    let median = median(numbers);
    format!("{median:.digits$} ({least:.digits$} .. {most:.digits$})")
}
