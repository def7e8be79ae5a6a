//! fetch.sh takes nothing that has not the pinned checksum. Runs without network.
#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn dir(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    dir
}

fn fetch(into: &Path, tarball: &Path) -> Output {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("fetch.sh"))
        .env("LIBEVENT_FETCH_DIR", into)
        .env("LIBEVENT_TARBALL", tarball)
        .output()
        .unwrap()
}

#[test]
fn a_wrong_tarball_is_refused_and_nothing_is_unpacked() {
    let dir = dir("wrong");
    let tarball = dir.join("wrong.tar.gz");
    fs::write(&tarball, "not libevent").unwrap();
    let output = fetch(&dir.join("libevent"), &tarball);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        message.contains("checksum of") && message.contains("expected f7e9383b8c0b"),
        "{message}"
    );
    assert!(!dir.join("libevent").exists());
}

#[test]
fn a_missing_tarball_is_named() {
    let dir = dir("missing");
    let output = fetch(&dir.join("libevent"), &dir.join("nothing-here"));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        message.contains("cannot get LIBEVENT_TARBALL="),
        "{message}"
    );
}

#[test]
fn what_is_there_is_not_fetched_again() {
    let dir = dir("present");
    fs::write(dir.join("event.c"), "").unwrap();
    fs::write(
        dir.join("configure.ac"),
        "AC_INIT(libevent,2.1.13-stable)\n",
    )
    .unwrap();
    let output = fetch(&dir, Path::new("/nothing-here"));
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("already"));
}
