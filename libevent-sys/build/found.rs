//! The libevent that was found, what cargo is told about it, and the variables that steer the search.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::version::Version;

/// A libevent to link.
#[derive(Debug, Default)]
pub struct Found {
    /// Folders with `event2/event.h`; none means where the compiler looks anyway.
    pub include_dirs: Vec<PathBuf>,
    /// Folders with the libraries; none means where the linker looks anyway.
    pub lib_dirs: Vec<PathBuf>,
    /// The folder above both, when there is one.
    pub root: Option<PathBuf>,
    /// Names of libevent's own libraries.
    pub libs: Vec<String>,
    /// Link them statically.
    pub is_static: bool,
    /// Libraries of the system they call.
    pub system_libs: Vec<String>,
    /// Compiled from source here.
    pub vendored: bool,
    /// What the finder says the version is, for when the headers do not tell.
    pub version_text: Option<String>,
}

impl Found {
    pub fn print_link_lines(&self) {
        for dir in &self.lib_dirs {
            println!("cargo:rustc-link-search=native={}", dir.display());
        }
        let kind = if self.is_static { "static=" } else { "" };
        for lib in &self.libs {
            println!("cargo:rustc-link-lib={kind}{lib}");
        }
        for lib in &self.system_libs {
            println!("cargo:rustc-link-lib={lib}");
        }
    }

    /// Read by build scripts of dependents as `DEP_EVENT_…`.
    pub fn print_metadata(&self, version: Version) {
        let paths = |dirs: &[PathBuf]| {
            env::join_paths(dirs)
                .ok()
                .and_then(|joined| joined.into_string().ok())
        };
        println!("cargo:version_number={:08x}", version.0);
        for (key, dirs) in [("include", &self.include_dirs), ("lib", &self.lib_dirs)] {
            let joined = paths(dirs).unwrap_or_default();
            println!("cargo:{key}={joined}");
            // For this crate's own tests, which compile C as dependents do.
            println!(
                "cargo:rustc-env=LIBEVENT_SYS_{}={joined}",
                key.to_uppercase()
            );
        }
        println!(
            "cargo:rustc-env=LIBEVENT_SYS_TARGET={}",
            cargo_var("TARGET")
        );
        if let Some(root) = &self.root {
            println!("cargo:root={}", root.display());
        }
        println!("cargo:vendored={}", u8::from(self.vendored));
        println!("cargo:openssl={}", u8::from(cfg!(feature = "openssl")));
    }
}

/// The libraries to link: the parts, never the monolithic `event` beside them, which would bring a second copy of the
/// lock callbacks.
pub fn parts() -> Vec<String> {
    let mut parts = vec!["event_extra"];
    if cfg!(feature = "openssl") {
        parts.push("event_openssl");
    }
    if !windows() {
        parts.push("event_pthreads");
    }
    parts.push("event_core");
    parts.into_iter().map(str::to_owned).collect()
}

/// Whether the target, not the host, is Windows.
pub fn windows() -> bool {
    cargo_var("CARGO_CFG_TARGET_OS") == "windows"
}

/// Libraries of the system that a static libevent calls.
pub fn system_libs() -> Vec<String> {
    let libs: &[&str] = if windows() {
        &["ws2_32", "shell32", "advapi32", "iphlpapi", "bcrypt"]
    } else {
        &["pthread"]
    };
    libs.iter().map(|lib| (*lib).to_owned()).collect()
}

/// A variable the user may set, `X86_64_UNKNOWN_LINUX_GNU_NAME` before `NAME`. Both are watched. Empty counts as unset.
pub fn var(name: &str) -> Option<OsString> {
    let prefix = cargo_var("TARGET").to_uppercase().replace(['-', '.'], "_");
    [format!("{prefix}_{name}"), name.to_owned()]
        .into_iter()
        .find_map(|name| {
            println!("cargo:rerun-if-env-changed={name}");
            env::var_os(name).filter(|value| !value.is_empty())
        })
}

/// Whether a switch is on.
pub fn is_set(name: &str) -> bool {
    var(name).is_some_and(|value| value != "0")
}

/// A variable that cargo sets for every build script.
pub fn cargo_var(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo did not set {name}"))
}

/// Ends the build with what was tried and what to do.
pub fn fail(reasons: &[String]) -> ! {
    eprintln!("\nlibevent was not found, and could not be compiled from source.\n");
    for reason in reasons {
        eprintln!("* {}\n", reason.trim().replace('\n', "\n  "));
    }
    eprintln!(
        "Install libevent's headers and libraries (2.1 or later):\n\
         \x20   Debian, Ubuntu   apt install libevent-dev pkg-config\n\
         \x20   Fedora, RHEL     dnf install libevent-devel pkgconf\n\
         \x20   Alpine           apk add libevent-dev pkgconf\n\
         \x20   Arch             pacman -S libevent pkgconf\n\
         \x20   macOS            brew install libevent pkgconf\n\
         \x20   FreeBSD          pkg install libevent pkgconf\n\
         \x20   Windows          vcpkg install libevent, then set LIBEVENT_LIB_DIR and LIBEVENT_INCLUDE_DIR\n\
         or name its folders with LIBEVENT_LIB_DIR and LIBEVENT_INCLUDE_DIR,\n\
         or let it be compiled from source: unset LIBEVENT_NO_VENDOR, and have a C compiler.\n\
         \n\
         HOST = {}\nTARGET = {}\nlibevent-sys = {}\n",
        cargo_var("HOST"),
        cargo_var("TARGET"),
        env!("CARGO_PKG_VERSION"),
    );
    std::process::exit(101)
}

/// OpenSSL's headers, as found by openssl-sys.
#[cfg(feature = "openssl")]
pub fn openssl_include_dirs() -> Vec<PathBuf> {
    env::var_os("DEP_OPENSSL_INCLUDE")
        .map(|dirs| env::split_paths(&dirs).collect())
        .unwrap_or_default()
}
