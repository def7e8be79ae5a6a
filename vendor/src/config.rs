//! `event2/event-config.h` and `evconfig-private.h`, written from a table instead of by running test programs.
//!
//! A pure function of the target, the C library and libevent's version, so that it is tested for systems that are not at hand.
//! Measured against what libevent's CMake and autoconf find out; differences are omissions on the safe side only.

use std::fmt::Write;

use crate::{Os, Source, Target};

/// The C library, where the macros depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Libc {
    /// glibc of that version.
    Glibc(u32, u32),
    /// musl, which tells no version: 1.1.20 or later is taken for granted.
    Musl,
    /// The system's own.
    Other,
}

impl Libc {
    fn glibc_since(self, minor: u32) -> bool {
        matches!(self, Self::Glibc(major, this) if (major, this) >= (2, minor))
    }
}

/// In every system's headers.
const EVERYWHERE: &str = "\
    HAVE_ERRNO_H HAVE_FCNTL_H HAVE_GETADDRINFO HAVE_GETNAMEINFO HAVE_GETPROTOBYNUMBER \
    HAVE_GETSERVBYNAME HAVE_INTTYPES_H HAVE_MEMORY_H HAVE_PUTENV HAVE_SELECT HAVE_SIGNAL \
    HAVE_STDARG_H HAVE_STDDEF_H HAVE_STDINT_H HAVE_STDLIB_H HAVE_STRING_H HAVE_STRTOLL \
    HAVE_STRUCT_ADDRINFO HAVE_STRUCT_IN6_ADDR HAVE_STRUCT_LINGER HAVE_STRUCT_SOCKADDR_IN6 \
    HAVE_STRUCT_SOCKADDR_STORAGE HAVE_STRUCT_SOCKADDR_STORAGE_SS_FAMILY HAVE_SYS_STAT_H \
    HAVE_SYS_TYPES_H HAVE_UINT16_T HAVE_UINT32_T HAVE_UINT64_T HAVE_UINT8_T HAVE_UINTPTR_T \
    HAVE_UMASK HAVE___FUNCTION__ HAVE___func__";

/// Linux, macOS and the BSDs.
const UNIX: &str = "\
    HAVE_ARPA_INET_H HAVE_CLOCK_GETTIME HAVE_DLFCN_H HAVE_FCNTL HAVE_FD_MASK HAVE_GETEGID \
    HAVE_GETEUID HAVE_GETIFADDRS HAVE_GETTIMEOFDAY HAVE_IFADDRS_H HAVE_INET_NTOP \
    HAVE_INET_PTON HAVE_MMAP HAVE_NANOSLEEP HAVE_NETDB_H HAVE_NETINET_IN_H HAVE_NETINET_TCP_H \
    HAVE_PIPE HAVE_POLL HAVE_POLL_H HAVE_PREAD HAVE_PTHREADS \
    HAVE_PTHREAD_MUTEXATTR_SETPROTOCOL HAVE_SA_FAMILY_T HAVE_SETENV HAVE_SETFD HAVE_SETRLIMIT \
    HAVE_SIGACTION HAVE_SOCKETPAIR HAVE_STRSEP HAVE_STRSIGNAL HAVE_STRTOK_R \
    HAVE_STRUCT_SOCKADDR_UN HAVE_SYS_IOCTL_H HAVE_SYS_MMAN_H HAVE_SYS_PARAM_H \
    HAVE_SYS_RESOURCE_H HAVE_SYS_SELECT_H HAVE_SYS_SOCKET_H HAVE_SYS_TIME_H HAVE_SYS_UIO_H \
    HAVE_SYS_UN_H HAVE_SYS_WAIT_H HAVE_TIMERADD HAVE_TIMERCLEAR HAVE_TIMERCMP HAVE_TIMERISSET \
    HAVE_UNISTD_H HAVE_UNSETENV HAVE_USLEEP HAVE_VASPRINTF TIME_WITH_SYS_TIME";

const LINUX: &str = "\
    HAVE_ACCEPT4 HAVE_EPOLL HAVE_EPOLL_CREATE1 HAVE_EPOLL_CTL HAVE_EVENTFD \
    HAVE_GETHOSTBYNAME_R HAVE_GETHOSTBYNAME_R_6_ARG HAVE_PIPE2 HAVE_SENDFILE HAVE_SPLICE \
    HAVE_STRUCT_IN6_ADDR_S6_ADDR16 HAVE_STRUCT_IN6_ADDR_S6_ADDR32 HAVE_SYS_AUXV_H \
    HAVE_SYS_EPOLL_H HAVE_SYS_EVENTFD_H HAVE_SYS_SENDFILE_H HAVE_SYS_SIGNALFD_H \
    HAVE_SYS_TIMERFD_H HAVE_TIMERFD_CREATE";

/// What macOS and the three BSDs share.
const KQUEUE: &str = "\
    HAVE_ARC4RANDOM HAVE_ARC4RANDOM_BUF HAVE_ISSETUGID HAVE_KQUEUE HAVE_STRLCPY \
    HAVE_STRUCT_SOCKADDR_IN6_SIN6_LEN HAVE_STRUCT_SOCKADDR_IN_SIN_LEN HAVE_SYSCTL \
    HAVE_SYS_EVENT_H HAVE_SYS_QUEUE_H HAVE_SYS_SYSCTL_H HAVE_TAILQFOREACH HAVE_WORKING_KQUEUE";

const APPLE: &str = "\
    HAVE_MACH_ABSOLUTE_TIME HAVE_MACH_MACH_H HAVE_MACH_MACH_TIME_H HAVE_SENDFILE \
    HAVE_SYS_RANDOM_H";

const WINDOWS: &str = "DNS_USE_FTIME_FOR_ID HAVE__GMTIME64 HAVE__GMTIME64_S";

/// MinGW brings some of POSIX to Windows.
const MINGW: &str =
    "HAVE_GETTIMEOFDAY HAVE_STRTOK_R HAVE_SYS_PARAM_H HAVE_SYS_TIME_H HAVE_UNISTD_H HAVE_USLEEP";

/// The names to define as 1, without the `EVENT__` before them.
fn macros(target: &Target, libc: Libc, version_number: u32, openssl: bool) -> Vec<&'static str> {
    let words = |lists: &[&'static str]| -> Vec<&'static str> {
        lists
            .iter()
            .flat_map(|list| list.split_whitespace())
            .collect()
    };
    let mut names = words(&[EVERYWHERE]);
    match target.os {
        Os::Linux => {
            names.extend(words(&[UNIX, LINUX]));
            let musl = libc == Libc::Musl;
            if !musl {
                // musl dropped the names that end in 64.
                names.push("HAVE_MMAP64");
            }
            if libc.glibc_since(25) || musl {
                names.extend(["HAVE_GETRANDOM", "HAVE_SYS_RANDOM_H"]);
            }
            if libc.glibc_since(36) {
                // Not an option: libevent's own static arc4random_buf would clash with stdlib.h's.
                names.extend(["HAVE_ARC4RANDOM", "HAVE_ARC4RANDOM_BUF"]);
            }
            if libc.glibc_since(38) || musl {
                names.push("HAVE_STRLCPY");
            }
            if libc.glibc_since(35) {
                names.push("HAVE_EPOLL_PWAIT2");
            }
            names.extend(words(&[if musl {
                "HAVE_ISSETUGID"
            } else {
                "HAVE_SYS_QUEUE_H HAVE_TAILQFOREACH"
            }]));
        }
        Os::Apple => names.extend(words(&[UNIX, KQUEUE, APPLE])),
        Os::FreeBsd => {
            names.extend(words(&[UNIX, KQUEUE]));
            names.extend(["HAVE_ACCEPT4", "HAVE_PIPE2", "HAVE_SENDFILE"]);
        }
        Os::NetBsd | Os::OpenBsd => {
            names.extend(words(&[UNIX, KQUEUE]));
            names.extend(["HAVE_ACCEPT4", "HAVE_PIPE2"]);
        }
        Os::Windows => {
            names.extend(words(&[WINDOWS]));
            if !target.msvc {
                names.extend(words(&[MINGW]));
            }
            if version_number >= 0x0202_0000 {
                names.extend(["HAVE_BCRYPTGENRANDOM", "HAVE_EPOLL", "HAVE_WEPOLL"]);
            }
        }
    }
    if openssl {
        names.push("HAVE_OPENSSL");
    }
    names.sort_unstable();
    names
}

/// The text of `event2/event-config.h`, which libevent's public headers include.
#[must_use]
pub fn event_config(target: &Target, libc: Libc, source: &Source, openssl: bool) -> String {
    let number = source.version_number;
    let version = &source.version;
    let windows = target.os == Os::Windows;
    let pointer = target.pointer_bytes;

    let mut text = String::from(
        "/* Written by libevent-src for one target. Do not edit. */\n\
         #ifndef EVENT2_EVENT_CONFIG_H_INCLUDED_\n#define EVENT2_EVENT_CONFIG_H_INCLUDED_\n",
    );
    let mut define = |name: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(text, "#define EVENT__{name} {value}");
    };
    define("NUMERIC_VERSION", &format_args!("0x{number:08x}"));
    define("VERSION_MAJOR", &(number >> 24));
    define("VERSION_MINOR", &(number >> 16 & 0xff));
    define("VERSION_PATCH", &(number >> 8 & 0xff));
    define("VERSION", &format_args!("\"{version}\""));
    define("PACKAGE", &"\"libevent\"");
    define("PACKAGE_VERSION", &format_args!("\"{version}\""));

    for name in macros(target, libc, number, openssl) {
        define(name, &1);
    }
    // Only libevent's own arc4random asks for these, and only where nothing newer is there.
    define("HAVE_DECL_CTL_KERN", &0);
    define("HAVE_DECL_KERN_ARND", &0);

    define("SIZEOF_SHORT", &2);
    define("SIZEOF_INT", &4);
    define("SIZEOF_LONG", &if windows { 4 } else { pointer });
    define("SIZEOF_LONG_LONG", &8);
    // 8 also on 32-bit Linux: compiled with _FILE_OFFSET_BITS=64.
    define("SIZEOF_OFF_T", &if windows { 4 } else { 8 });
    define("SIZEOF_SIZE_T", &pointer);
    define("SIZEOF_SSIZE_T", &pointer);
    define("SIZEOF_VOID_P", &pointer);
    define("SIZEOF_SOCKLEN_T", &4);
    define("SIZEOF_TIME_T", &if windows { 8 } else { pointer });
    define("SIZEOF_PTHREAD_T", &pointer);
    define("size_t", &"size_t");
    define("socklen_t", &if windows { "int" } else { "socklen_t" });
    define("ssize_t", &if target.msvc { "SSIZE_T" } else { "ssize_t" });
    text.push_str("#ifndef __cplusplus\n");
    let _ = writeln!(
        text,
        "#define EVENT__inline {}",
        if target.msvc { "__inline" } else { "inline" }
    );
    text.push_str("#endif\n#endif\n");
    text
}

/// The text of `evconfig-private.h`, the first header of every C file of libevent.
#[must_use]
pub fn private_config() -> &'static str {
    "/* Written by libevent-src. Do not edit. */\n\
     #ifndef EVCONFIG_PRIVATE_H_INCLUDED_\n#define EVCONFIG_PRIVATE_H_INCLUDED_\n\
     /* Asserts stay on, also when CFLAGS turns them off: they are libevent's only defence against its own bugs. */\n\
     #undef NDEBUG\n\
     #ifndef _GNU_SOURCE\n#define _GNU_SOURCE 1\n#endif\n\
     #endif\n"
}

#[cfg(test)]
mod tests;
