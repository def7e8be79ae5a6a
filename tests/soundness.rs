//! What must not compile: each file in `compile_fail/` is a mistake that C would not notice.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The compiler whose words the `.stderr` files have. Any other has to refuse the files too, but
/// may say it differently. To write them anew: `TRYBUILD=overwrite cargo test --test soundness`.
const COMPILER: &str = "rustc 1.95.";

/// In the child process: where the files are that a compiler of another version is to refuse.
const COPIES: &str = "COMPILE_FAIL_COPIES";

#[test]
fn the_compiler_refuses_what_would_be_unsound() {
    let files = match env::var_os(COPIES) {
        Some(copies) => Path::new(&copies).join("*.rs"),
        None if this_compiler().starts_with(COMPILER) => "tests/compile_fail/*.rs".into(),
        None => return refuses_copies(),
    };
    trybuild::TestCases::new().compile_fail(files);
}

fn this_compiler() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-V").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Runs this test on copies, beside which the compiler's words may be written.
fn refuses_copies() {
    let copies = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("compile_fail");
    let _ = fs::remove_dir_all(&copies);
    fs::create_dir_all(&copies).unwrap();
    for file in fs::read_dir("tests/compile_fail").unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "rs") {
            fs::copy(&file, copies.join(file.file_name().unwrap())).unwrap();
        }
    }
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "the_compiler_refuses_what_would_be_unsound"])
        .env("TRYBUILD", "overwrite")
        .env(COPIES, copies)
        .output()
        .unwrap();
    assert!(
        child.status.success(),
        "{}",
        String::from_utf8_lossy(&child.stderr)
    );
}
