//! Which C files make which library. Upstream's own division, so that names and link lines are those of a system libevent.

use crate::{Os, Source, Target};

const CORE: &[&str] = &[
    "buffer.c",
    "bufferevent.c",
    "bufferevent_filter.c",
    "bufferevent_pair.c",
    "bufferevent_ratelim.c",
    "bufferevent_sock.c",
    "event.c",
    "evmap.c",
    "evthread.c",
    "evutil.c",
    "evutil_rand.c",
    "evutil_time.c",
    "listener.c",
    "log.c",
    "signal.c",
    "strlcpy.c",
];

const EXTRA: &[&str] = &["event_tagging.c", "http.c", "evdns.c", "evrpc.c"];

/// One static library and the files in it.
pub(crate) struct Library {
    pub(crate) name: &'static str,
    pub(crate) files: Vec<&'static str>,
}

/// The libraries to build, dependents before what they depend on: the order a linker wants.
pub(crate) fn libraries(source: &Source, target: &Target, openssl: bool) -> Vec<Library> {
    let windows = target.os == Os::Windows;
    // What is new in 2.2 is compiled when the source has it.
    let present = |files: &[&'static str]| {
        files
            .iter()
            .copied()
            .filter(|file| source.has(file))
            .collect::<Vec<_>>()
    };

    let mut core = CORE.to_vec();
    core.extend(match target.os {
        Os::Linux => vec!["select.c", "poll.c", "epoll.c"],
        Os::Windows => vec![
            "win32select.c",
            "buffer_iocp.c",
            "bufferevent_async.c",
            "event_iocp.c",
            "evthread_win32.c",
        ],
        Os::Apple | Os::FreeBsd | Os::NetBsd | Os::OpenBsd => {
            vec!["select.c", "poll.c", "kqueue.c"]
        }
    });
    core.extend(present(&["watch.c"]));
    if target.os == Os::Linux {
        core.extend(present(&["signalfd.c"]));
    }
    if windows && source.has("wepoll.c") {
        core.extend(["wepoll.c", "epoll.c"]);
    }

    let mut extra = EXTRA.to_vec();
    extra.extend(present(&["ws.c", "sha1.c"]));

    let mut libraries = vec![Library {
        name: "event_extra",
        files: extra,
    }];
    if openssl {
        let mut files = vec!["bufferevent_openssl.c"];
        files.extend(present(&["bufferevent_ssl.c"]));
        libraries.push(Library {
            name: "event_openssl",
            files,
        });
    }
    if !windows {
        libraries.push(Library {
            name: "event_pthreads",
            files: vec!["evthread_pthread.c"],
        });
    }
    libraries.push(Library {
        name: "event_core",
        files: core,
    });
    libraries
}

/// Libraries of the system that libevent calls.
pub(crate) fn system_libraries(target: &Target, version_number: u32) -> Vec<&'static str> {
    match target.os {
        Os::Windows if version_number >= 0x0202_0000 => {
            vec!["ws2_32", "shell32", "advapi32", "iphlpapi", "bcrypt"]
        }
        Os::Windows => vec!["ws2_32", "shell32", "advapi32", "iphlpapi"],
        _ => vec!["pthread"],
    }
}
