use std::path::PathBuf;

use super::*;
use crate::Origin;

fn source(version: &str, version_number: u32) -> Source {
    Source {
        dir: PathBuf::new(),
        origin: Origin::Given,
        version: version.to_owned(),
        version_number,
    }
}

fn config(triple: &str, libc: Libc) -> String {
    event_config(
        &Target::from_triple(triple).unwrap(),
        libc,
        &source("2.1.13-stable", 0x0201_0d00),
        false,
    )
}

#[track_caller]
fn check(text: &str, defined: &[&str], absent: &[&str]) {
    for name in defined {
        assert!(
            text.contains(&format!("#define EVENT__{name} 1\n")),
            "{name} is missing"
        );
    }
    for name in absent {
        assert!(
            !text.contains(&format!("#define EVENT__{name} ")),
            "{name} should not be there"
        );
    }
}

#[test]
fn linux_glibc() {
    let text = config("x86_64-unknown-linux-gnu", Libc::Glibc(2, 36));
    check(
        &text,
        &[
            "HAVE_EPOLL",
            "HAVE_EVENTFD",
            "HAVE_ACCEPT4",
            "HAVE_PTHREADS",
            "HAVE_GETRANDOM",
            "HAVE_ARC4RANDOM",
            "HAVE_TAILQFOREACH",
        ],
        &[
            "HAVE_KQUEUE",
            "HAVE_STRLCPY",
            "HAVE_OPENSSL",
            "HAVE_WEPOLL",
            "HAVE_STRUCT_SOCKADDR_IN_SIN_LEN",
            "HAVE_ISSETUGID",
        ],
    );
    assert!(text.contains("#define EVENT__NUMERIC_VERSION 0x02010d00\n"));
    assert!(text.contains("#define EVENT__VERSION \"2.1.13-stable\"\n"));
    assert!(text.contains("#define EVENT__SIZEOF_LONG 8\n"));
}

#[test]
fn what_depends_on_the_version_of_glibc() {
    for (minor, names) in [
        (17, [].as_slice()),
        (25, &["HAVE_GETRANDOM", "HAVE_SYS_RANDOM_H"]),
        (35, &["HAVE_GETRANDOM", "HAVE_EPOLL_PWAIT2"]),
        (
            36,
            &[
                "HAVE_GETRANDOM",
                "HAVE_EPOLL_PWAIT2",
                "HAVE_ARC4RANDOM",
                "HAVE_ARC4RANDOM_BUF",
            ],
        ),
        (
            38,
            &[
                "HAVE_GETRANDOM",
                "HAVE_EPOLL_PWAIT2",
                "HAVE_ARC4RANDOM",
                "HAVE_STRLCPY",
            ],
        ),
    ] {
        let text = config("x86_64-unknown-linux-gnu", Libc::Glibc(2, minor));
        let all = [
            "HAVE_GETRANDOM",
            "HAVE_EPOLL_PWAIT2",
            "HAVE_ARC4RANDOM",
            "HAVE_STRLCPY",
        ];
        let absent: Vec<_> = all
            .into_iter()
            .filter(|name| !names.contains(name))
            .collect();
        check(&text, names, &absent);
    }
}

#[test]
fn linux_musl() {
    check(
        &config("x86_64-unknown-linux-musl", Libc::Musl),
        &[
            "HAVE_EPOLL",
            "HAVE_GETRANDOM",
            "HAVE_STRLCPY",
            "HAVE_ISSETUGID",
        ],
        // musl has no sys/queue.h, and none of these functions.
        &[
            "HAVE_SYS_QUEUE_H",
            "HAVE_TAILQFOREACH",
            "HAVE_ARC4RANDOM",
            "HAVE_EPOLL_PWAIT2",
            "HAVE_MMAP64",
        ],
    );
}

#[test]
fn linux_32_bit() {
    let text = config("i686-unknown-linux-gnu", Libc::Glibc(2, 31));
    for line in [
        "SIZEOF_LONG 4",
        "SIZEOF_VOID_P 4",
        "SIZEOF_SIZE_T 4",
        "SIZEOF_LONG_LONG 8",
        "SIZEOF_OFF_T 8",
    ] {
        assert!(text.contains(&format!("#define EVENT__{line}\n")), "{line}");
    }
}

#[test]
fn macos() {
    check(
        &config("aarch64-apple-darwin", Libc::Other),
        &[
            "HAVE_KQUEUE",
            "HAVE_WORKING_KQUEUE",
            "HAVE_MACH_ABSOLUTE_TIME",
            "HAVE_ARC4RANDOM_BUF",
            "HAVE_SENDFILE",
            "HAVE_PTHREADS",
        ],
        &[
            "HAVE_EPOLL",
            "HAVE_EVENTFD",
            "HAVE_ACCEPT4",
            "HAVE_PIPE2",
            "HAVE_GETRANDOM",
        ],
    );
}

#[test]
fn bsds() {
    let both = [
        "HAVE_KQUEUE",
        "HAVE_WORKING_KQUEUE",
        "HAVE_ACCEPT4",
        "HAVE_PIPE2",
        "HAVE_ARC4RANDOM",
        "HAVE_STRLCPY",
    ];
    check(
        &config("x86_64-unknown-freebsd", Libc::Other),
        &both,
        &["HAVE_EPOLL", "HAVE_MACH_ABSOLUTE_TIME"],
    );
    check(
        &config("x86_64-unknown-freebsd", Libc::Other),
        &["HAVE_SENDFILE"],
        &[],
    );
    for triple in ["x86_64-unknown-netbsd", "x86_64-unknown-openbsd"] {
        check(
            &config(triple, Libc::Other),
            &both,
            &["HAVE_EPOLL", "HAVE_SENDFILE"],
        );
    }
}

#[test]
fn windows() {
    let gnu = config("x86_64-pc-windows-gnu", Libc::Other);
    check(
        &gnu,
        &[
            "DNS_USE_FTIME_FOR_ID",
            "HAVE_SELECT",
            "HAVE_UNISTD_H",
            "HAVE_GETTIMEOFDAY",
        ],
        &[
            "HAVE_PTHREADS",
            "HAVE_EPOLL",
            "HAVE_POLL",
            "HAVE_INET_NTOP",
            "HAVE_FCNTL",
            "HAVE_SYS_SOCKET_H",
        ],
    );
    assert!(
        gnu.contains("#define EVENT__SIZEOF_LONG 4\n")
            && gnu.contains("#define EVENT__SIZEOF_VOID_P 8\n")
    );
    let msvc = config("x86_64-pc-windows-msvc", Libc::Other);
    check(
        &msvc,
        &["HAVE_SELECT"],
        &["HAVE_UNISTD_H", "HAVE_GETTIMEOFDAY", "HAVE_SYS_TIME_H"],
    );
    assert!(msvc.contains("#define EVENT__ssize_t SSIZE_T\n"));

    let target = Target::from_triple("x86_64-pc-windows-msvc").unwrap();
    let text = event_config(
        &target,
        Libc::Other,
        &source("2.2.1-alpha-dev", 0x0202_0100),
        false,
    );
    check(
        &text,
        &["HAVE_WEPOLL", "HAVE_EPOLL", "HAVE_BCRYPTGENRANDOM"],
        &[],
    );
}

#[test]
fn openssl_is_told() {
    let target = Target::from_triple("x86_64-unknown-linux-gnu").unwrap();
    let text = event_config(
        &target,
        Libc::Glibc(2, 36),
        &source("2.1.13-stable", 0x0201_0d00),
        true,
    );
    check(&text, &["HAVE_OPENSSL"], &[]);
}

#[test]
fn no_macro_is_defined_twice() {
    for (triple, libc) in [
        ("x86_64-unknown-linux-gnu", Libc::Glibc(2, 38)),
        ("x86_64-unknown-linux-musl", Libc::Musl),
        ("x86_64-apple-darwin", Libc::Other),
        ("x86_64-unknown-freebsd", Libc::Other),
        ("x86_64-pc-windows-gnu", Libc::Other),
    ] {
        let text = config(triple, libc);
        let mut names: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix("#define ")?.split(' ').next())
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{triple}");
    }
}

#[test]
fn asserts_stay_on() {
    assert!(private_config().contains("#undef NDEBUG"));
}
