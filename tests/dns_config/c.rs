//! What C makes of the same files.

use super::Dir;
use libevent2::dns::Config;
use libevent2::{EventBase, Result, ffi};
use socket2::SockAddr;
use std::ffi::CString;
use std::net::SocketAddr;
use std::os::raw::c_int;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// The code that `evdns_base_resolv_conf_parse` gives for a file, and the servers that it adds.
fn read_by_c(path: &Path) -> Result<(c_int, Vec<SocketAddr>)> {
    let base = EventBase::new()?;
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: the event base outlives the DNS base, which is freed once and asks nothing; the
    // address is as long as C says, and not longer than its place.
    unsafe {
        let dns = ffi::evdns_base_new(base.as_ptr(), 0);
        let all = ffi::DNS_OPTIONS_ALL as c_int;
        let code = ffi::evdns_base_resolv_conf_parse(dns, all, path.as_ptr());
        let servers = (0..ffi::evdns_base_count_nameservers(dns)).map(|n| {
            let ((), address) = SockAddr::try_init(|place, length| {
                let size = *length;
                *length = ffi::evdns_base_get_nameserver_addr(dns, n, place.cast(), size) as _;
                Ok(())
            })
            .unwrap();
            address.as_socket().unwrap()
        });
        let servers = servers.collect();
        ffi::evdns_base_free(dns, 1);
        Ok((code, servers))
    }
}

#[test]
fn servers_are_those_that_c_reads() -> Result<()> {
    let dir = Dir::new("servers_in_c");
    for text in [
        "nameserver 192.0.2.1",
        "nameserver 192.0.2.1:5353\nnameserver 192.0.2.1\n",
        "# nameserver 192.0.2.9\nnameserver 192.0.2.1 # nameserver 192.0.2.9",
        "  nameserver\t192.0.2.1\nnameserver 192.0.2.1\nnameserver 192.0.2.256\n",
        "search a\nnameserver 192.0.2.2\noptions ndots:2 no-such\nnameserver 192.0.2.1:65536",
        "Nameserver 192.0.2.9\nnameserver\nnameserver 192.0.2.1:x\nnameserver 192.0.2.1",
    ] {
        let path = dir.file("resolv.conf", text);
        let (code, mut servers) = read_by_c(&path)?;
        assert_eq!(code, 0, "{text:?}");
        let mut ours = Config::from_file(&path)?.servers;
        // C keeps them in a ring.
        servers.sort();
        ours.sort();
        assert_eq!(ours, servers, "{text:?}");
    }
    Ok(())
}

/// C reports a failure, for which `evdns_base_new` of 2.1 gives NULL; or it takes the end of the
/// line for a part of the address.
#[test]
fn files_that_c_fails_to_read_are_read() -> Result<()> {
    let dir = Dir::new("not_in_c");
    let here = ["127.0.0.1:53".parse().unwrap()];
    let server = ["192.0.2.1:53".parse().unwrap()];
    for (text, servers) in [
        ("search a.example\n", here),
        ("nameserver resolver.example\n", here),
        ("nameserver 192.0.2.1\r\n", server),
        ("\0\nnameserver 192.0.2.1\n", server),
    ] {
        let path = dir.file("resolv.conf", text);
        let (code, c) = read_by_c(&path)?;
        assert_eq!(c, here, "{text:?}");
        assert_ne!(code, 0, "{text:?}");
        assert_eq!(Config::from_file(&path)?.servers, servers, "{text:?}");
    }
    Ok(())
}
