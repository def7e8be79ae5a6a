//! libevent's part for TLS has to use the OpenSSL that the crate `openssl` uses: an `SSL` that one of them made and the
//! other one uses is memory that each sees differently.
//!
//! What is compiled from source gets the headers of that very OpenSSL. An installed libevent was built by somebody else;
//! its shared library says which OpenSSL it needs.

use std::fs;
use std::path::{Path, PathBuf};

/// The OpenSSL of the crate `openssl-sys`, as its build tells.
pub struct Ours {
    /// `OPENSSL_VERSION_NUMBER`; None for LibreSSL and the like, whose libraries have numbers of their own.
    pub number: Option<u64>,
    /// Compiled from source, and so a copy of its own.
    pub is_own_copy: bool,
}

/// Why a libevent in these folders cannot be used with this OpenSSL.
pub fn objection(dirs: &[PathBuf], ours: &Ours) -> Option<String> {
    let (library, theirs) = dirs.iter().find_map(|dir| needed_in(dir))?;
    let library = library.display();
    if ours.is_own_copy {
        return Some(format!(
            "{library} uses the system's OpenSSL ({theirs}), but the crate openssl-sys compiles one of its own. A program \
             would have both. Compile libevent from source too (feature `vendored`), or leave out the feature `vendored` \
             of the crate openssl."
        ));
    }
    let number = ours.number?;
    let version = version_of(&theirs)?;
    if !agrees(version, number) {
        return Some(format!(
            "{library} was built for {theirs}, but the crate openssl-sys found OpenSSL {number:#x}. Point both at the same \
             one (OPENSSL_DIR, LIBEVENT_LIB_DIR), or compile libevent from source (feature `vendored`)."
        ));
    }
    None
}

/// The shared library for TLS in a folder, and the name of the libssl that it needs.
fn needed_in(dir: &Path) -> Option<(PathBuf, String)> {
    ["libevent_openssl.so", "libevent_openssl.dylib"]
        .iter()
        .map(|name| dir.join(name))
        .find_map(|path| {
            let name = needed(&fs::read(&path).ok()?)?;
            Some((path, name))
        })
}

/// The name of the libssl that is among the strings of a library.
pub fn needed(library: &[u8]) -> Option<String> {
    let mut rest = library;
    while let Some(at) = rest.windows(6).position(|bytes| bytes == b"libssl") {
        rest = &rest[at..];
        let end = rest.iter().position(|byte| !byte.is_ascii_graphic());
        let name = String::from_utf8_lossy(&rest[..end.unwrap_or(rest.len())]).into_owned();
        if version_of(&name).is_some() {
            return Some(name);
        }
        rest = &rest[6..];
    }
    None
}

/// `1.1` of `libssl.so.1.1`, `3` of `libssl.3.dylib`.
fn version_of(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("libssl.")?;
    let rest = rest
        .strip_prefix("so.")
        .or_else(|| rest.strip_suffix(".dylib"))?;
    rest.starts_with(|first: char| first.is_ascii_digit())
        .then_some(rest)
}

/// Whether a library's version is that of `OPENSSL_VERSION_NUMBER`: from 3 on the first number counts, before the first two.
pub fn agrees(version: &str, number: u64) -> bool {
    let (major, minor) = (number >> 28, number >> 20 & 0xff);
    match major {
        0..=2 => version
            .split('.')
            .take(2)
            .eq([major.to_string(), minor.to_string()]),
        _ => version.split('.').next() == Some(&*major.to_string()),
    }
}
