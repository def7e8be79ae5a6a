//! A libevent that is installed: named by the environment, or known to pkg-config.

use std::path::{Path, PathBuf};

use crate::found::{Found, is_set, parts, system_libs, var};

/// `LIBEVENT_LIB_DIR` and `LIBEVENT_INCLUDE_DIR`. One of them is enough when the other is its sibling.
pub fn from_environment() -> Option<Found> {
    let lib_dir = var("LIBEVENT_LIB_DIR").map(PathBuf::from);
    let include_dir = var("LIBEVENT_INCLUDE_DIR").map(PathBuf::from);
    if lib_dir.is_none() && include_dir.is_none() {
        return None;
    }
    let sibling = |dir: &Option<PathBuf>, name: &str| {
        let sibling = dir.as_ref()?.parent()?.join(name);
        sibling.is_dir().then_some(sibling)
    };
    let include_dir = include_dir.clone().or_else(|| sibling(&lib_dir, "include"));
    let lib_dir = lib_dir.or_else(|| sibling(&include_dir, "lib"));

    if let Some(dir) = include_dir
        .as_deref()
        .filter(|dir| !dir.join("event2/event.h").is_file())
    {
        panic!(
            "LIBEVENT_INCLUDE_DIR: there is no event2/event.h in {}",
            dir.display()
        );
    }
    if let Some(dir) = lib_dir.as_deref().filter(|dir| !dir.is_dir()) {
        panic!("LIBEVENT_LIB_DIR: there is no folder {}", dir.display());
    }
    let is_static = is_set("LIBEVENT_STATIC") || lib_dir.as_deref().is_some_and(only_static);
    Some(Found {
        root: lib_dir
            .as_deref()
            .and_then(Path::parent)
            .map(Path::to_owned),
        include_dirs: include_dir.into_iter().collect(),
        lib_dirs: lib_dir.into_iter().collect(),
        libs: parts(),
        is_static,
        system_libs: if is_static { system_libs() } else { Vec::new() },
        ..Found::default()
    })
}

/// Whether `dir` has the core part as an archive and not as a shared library.
fn only_static(dir: &Path) -> bool {
    let shared = [
        "libevent_core.so",
        "libevent_core.dylib",
        "libevent_core.dll.a",
        "event_core.dll",
    ];
    dir.join("libevent_core.a").is_file() && !shared.iter().any(|name| dir.join(name).is_file())
}

/// The system's libevent, if pkg-config is there and knows it.
pub fn from_pkg_config() -> Result<Found, String> {
    let mut found = Found {
        is_static: is_set("LIBEVENT_STATIC"),
        libs: parts(),
        ..Found::default()
    };
    if found.is_static {
        found.system_libs = system_libs();
    }
    for part in parts() {
        // Only the folders are taken from pkg-config: libevent_pthreads.pc requires the monolithic `event`.
        let library = pkg_config::Config::new()
            .atleast_version("2.1")
            .cargo_metadata(false)
            .env_metadata(true)
            .print_system_libs(found.is_static)
            .probe(&format!("lib{part}"))
            .map_err(|error| format!("pkg-config: {error}"))?;
        for dir in library.include_paths {
            push_new(&mut found.include_dirs, dir);
        }
        for dir in library.link_paths {
            push_new(&mut found.lib_dirs, dir);
        }
        found.version_text = Some(library.version);
    }
    Ok(found)
}

fn push_new(dirs: &mut Vec<PathBuf>, dir: PathBuf) {
    if !dirs.contains(&dir) {
        dirs.push(dir);
    }
}

/// Where the part for TLS may be: pkg-config does not tell the system's own folders with the rest.
#[cfg(feature = "openssl")]
pub fn openssl_part_dirs(found: &Found) -> Vec<PathBuf> {
    let mut dirs = found.lib_dirs.clone();
    if let Ok(dir) = pkg_config::get_variable("libevent_openssl", "libdir") {
        push_new(&mut dirs, dir.into());
    }
    dirs
}
