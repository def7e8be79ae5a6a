//! The last resort for the source: one package of the registry, pinned by version and checksum.
//!
//! cargo itself downloads and verifies it: `cargo metadata --locked` on a manifest that is never built.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, source};

/// Copies the manifest and lock file in `crate_dir` to `work_dir`, because cargo wants to write beside them and the crate's
/// folder may be read-only, and returns the folder of the source.
pub(crate) fn resolve(crate_dir: &Path, work_dir: &Path) -> Result<PathBuf, Error> {
    fs::create_dir_all(work_dir).map_err(|e| Error::io("create", work_dir, &e))?;
    for (from, to) in [
        ("libevent-source.toml", "Cargo.toml"),
        ("libevent-source.lock", "Cargo.lock"),
    ] {
        let (from, to) = (crate_dir.join(from), work_dir.join(to));
        fs::copy(&from, &to).map_err(|e| Error::io("copy", &from, &e))?;
    }
    let lib = work_dir.join("lib.rs");
    fs::write(&lib, "").map_err(|e| Error::io("write", &lib, &e))?;

    // Offline first: the outer cargo's `--offline` does not reach a build script, and a warm cache needs no network.
    let output = metadata(work_dir, true).or_else(|_| metadata(work_dir, false)).map_err(|e| {
        Error::new(format!(
            "libevent's C source is neither in LIBEVENT_SOURCE_DIR nor in {}, and the pinned package that carries it could \
             not be had:\n{e}\nRun {} (needs curl, wget or apt), or set LIBEVENT_SOURCE_DIR to an unpacked libevent release",
            crate_dir.join("libevent").display(),
            crate_dir.join("fetch.sh").display(),
        ))
    })?;
    source_dir(&output, source::holds_source).ok_or_else(|| {
        Error::new("cargo metadata lists no package with libevent's C source".to_owned())
    })
}

fn metadata(dir: &Path, offline: bool) -> Result<String, String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(&cargo);
    command
        .args([
            "metadata",
            "--locked",
            "--format-version=1",
            "--manifest-path",
        ])
        .arg(dir.join("Cargo.toml"));
    if offline {
        command.arg("--offline");
    }
    let output = command
        .output()
        .map_err(|e| format!("cannot run {}: {e}", Path::new(&cargo).display()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

/// The folder `libevent` beside the first manifest that has one. No JSON parser: one key is all that is read.
fn source_dir(metadata: &str, is_source: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let key = "\"manifest_path\":\"";
    metadata
        .match_indices(key)
        .filter_map(|(at, _)| json_string(&metadata[at + key.len()..]))
        .filter_map(|manifest| Some(Path::new(&manifest).parent()?.join("libevent")))
        .find(|dir| is_source(dir))
}

/// The JSON string that ends at the first bare quote; paths escape nothing but `\` and `"`.
fn json_string(text: &str) -> Option<String> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some(value),
            '\\' => value.push(chars.next()?),
            c => value.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_with_the_source_is_chosen() {
        let json = r#"{"packages":[{"manifest_path":"/out/pin/Cargo.toml"},{"manifest_path":"/reg/a \"b\"/Cargo.toml"}]}"#;
        let dir = source_dir(json, |dir| dir.starts_with("/reg"));
        assert_eq!(dir, Some(PathBuf::from("/reg/a \"b\"/libevent")));
        assert_eq!(source_dir(json, |_| false), None);
    }

    #[test]
    fn windows_paths_are_unescaped() {
        assert_eq!(
            json_string(r#"C:\\reg\\Cargo.toml","x""#).as_deref(),
            Some(r"C:\reg\Cargo.toml")
        );
    }

    #[test]
    fn the_lock_file_pins_a_checksum() {
        let lock = include_str!("../libevent-source.lock");
        assert!(lock.contains(
            "checksum = \"c3fb4e3d2a502ab90ac5afaa75b502e56bcae710c857833a9675ee17a6e78588\""
        ));
        assert!(include_str!("../libevent-source.toml").contains("version = \"=0.4.0\""));
    }
}
