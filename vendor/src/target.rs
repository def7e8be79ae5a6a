//! What the generated headers need to know of a target, read from its triple.

use crate::Error;

/// The systems whose headers [`event_config`](crate::event_config) can describe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Os {
    /// Linux, with glibc or musl.
    Linux,
    /// macOS and the other Apple systems.
    Apple,
    /// FreeBSD and DragonFly.
    FreeBsd,
    /// NetBSD.
    NetBsd,
    /// OpenBSD.
    OpenBsd,
    /// Windows, MSVC or MinGW.
    Windows,
}

/// A target triple, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The operating system.
    pub os: Os,
    /// Whether the C library is glibc. Its version is asked of the compiler.
    pub glibc: bool,
    /// Whether the C library is musl.
    pub musl: bool,
    /// Whether the compiler is MSVC's or speaks its dialect.
    pub msvc: bool,
    /// `sizeof(void *)`.
    pub pointer_bytes: u8,
}

impl Target {
    /// Reads a triple such as `x86_64-unknown-linux-gnu`.
    ///
    /// # Errors
    ///
    /// When libevent is not known to build for that system with the headers generated here.
    pub fn from_triple(triple: &str) -> Result<Self, Error> {
        let (arch, rest) = triple.split_once('-').unwrap_or((triple, ""));
        let os = if rest.contains("android") || rest.contains("ohos") || rest.contains("uclibc") {
            None
        } else if rest.contains("linux") {
            Some(Os::Linux)
        } else if rest.contains("apple") {
            Some(Os::Apple)
        } else if rest.contains("freebsd") || rest.contains("dragonfly") {
            Some(Os::FreeBsd)
        } else if rest.contains("netbsd") {
            Some(Os::NetBsd)
        } else if rest.contains("openbsd") {
            Some(Os::OpenBsd)
        } else if rest.contains("windows") {
            Some(Os::Windows)
        } else {
            None
        };
        let os = os.ok_or_else(|| {
            Error::new(format!(
                "libevent cannot be compiled from source for {triple}: its configuration is written out for Linux (glibc, \
                 musl), macOS, FreeBSD, NetBSD, OpenBSD and Windows only. Build libevent with its own build system and set \
                 LIBEVENT_LIB_DIR and LIBEVENT_INCLUDE_DIR"
            ))
        })?;
        let wide = arch.contains("64") || arch.starts_with("s390x") || arch.starts_with("sparcv9");
        let narrow_abi = rest.ends_with("x32") || rest.contains("ilp32") || arch == "arm64_32";
        Ok(Self {
            os,
            glibc: os == Os::Linux && rest.contains("gnu"),
            musl: os == Os::Linux && rest.contains("musl"),
            msvc: rest.contains("msvc"),
            pointer_bytes: if wide && !narrow_abi { 8 } else { 4 },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(triple: &str) -> Target {
        Target::from_triple(triple).unwrap()
    }

    #[test]
    fn each_family_is_recognised() {
        for (triple, os) in [
            ("x86_64-unknown-linux-gnu", Os::Linux),
            ("aarch64-unknown-linux-musl", Os::Linux),
            ("aarch64-apple-darwin", Os::Apple),
            ("x86_64-unknown-freebsd", Os::FreeBsd),
            ("x86_64-unknown-netbsd", Os::NetBsd),
            ("x86_64-unknown-openbsd", Os::OpenBsd),
            ("x86_64-pc-windows-msvc", Os::Windows),
            ("x86_64-pc-windows-gnu", Os::Windows),
        ] {
            assert_eq!(target(triple).os, os, "{triple}");
        }
    }

    #[test]
    fn windows_gnu_has_no_glibc() {
        assert!(!target("x86_64-pc-windows-gnu").glibc);
        assert!(target("x86_64-unknown-linux-gnu").glibc);
        assert!(target("armv7-unknown-linux-gnueabihf").glibc);
        assert!(!target("armv7-unknown-linux-musleabihf").glibc);
    }

    #[test]
    fn pointer_width() {
        for (triple, bytes) in [
            ("x86_64-unknown-linux-gnu", 8),
            ("x86_64-unknown-linux-gnux32", 4),
            ("i686-unknown-linux-gnu", 4),
            ("armv7-unknown-linux-gnueabihf", 4),
            ("powerpc64le-unknown-linux-gnu", 8),
            ("s390x-unknown-linux-gnu", 8),
            ("riscv64gc-unknown-linux-gnu", 8),
            ("aarch64-unknown-linux-gnu_ilp32", 4),
        ] {
            assert_eq!(target(triple).pointer_bytes, bytes, "{triple}");
        }
    }

    #[test]
    fn unknown_systems_are_refused_with_a_way_out() {
        for triple in [
            "wasm32-unknown-unknown",
            "aarch64-linux-android",
            "x86_64-pc-solaris",
        ] {
            let message = Target::from_triple(triple).unwrap_err().to_string();
            assert!(
                message.contains(triple) && message.contains("LIBEVENT_LIB_DIR"),
                "{message}"
            );
        }
    }
}
