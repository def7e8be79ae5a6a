//! Which sockets a resolver has open. Alone in its binary: the descriptors are the process's.
#![cfg(target_os = "linux")]

mod common;
mod dns_common;

use common::bounded;
use dns_common::NameServer;
use dns_common::got::{Client, config, knowing};
use libevent2::dns::Cause;

fn open() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_resolver_has_sockets_only_while_something_is_asked() {
    let _watchdog = bounded();
    let (knowing, silent) = (knowing(), NameServer::silent());
    let mut client = Client::new(config(&[&silent, &knowing]));
    client.run();
    let before = open();
    assert!(client.host("www").is_ok());
    assert_eq!(open(), before, "also after a server failed");

    let lookup = client.resolver.lookup_host("www", |_| ()).unwrap();
    assert_eq!(open(), before + 1, "the first server's");
    client.resolver.suspend().unwrap();
    assert_eq!(open(), before);
    client.resolver.resume().unwrap();
    assert_eq!(open(), before + 1);
    drop(lookup);
    client.run();
    assert_eq!(open(), before);

    client.resolver.as_ptr();
    assert_eq!(open(), before + 2, "C may ask at any time");
    client.resolver.close();
    assert_eq!(open(), before);

    // Without a descriptor left there is nobody to ask, which is no panic and no hang.
    let mut client = Client::new(config(&[&knowing]));
    assert!(client.host("www").is_ok());
    let mut taken = Vec::new();
    // SAFETY: rlimit is plain data; the limit is lowered only.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = limit.rlim_cur.min(64);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
    while let Ok(file) = std::fs::File::open("/dev/null") {
        taken.push(file);
    }
    let error = client.host("www").unwrap_err();
    assert_eq!(error.cause(), Cause::NoServer);
    assert!(error.to_string().contains("Too many open files"), "{error}");
    drop(taken);
    assert!(client.host("www").is_ok());
}
