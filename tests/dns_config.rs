//! What is read from `resolv.conf` and `hosts`, be it what it may.

#![cfg(unix)]

#[path = "dns_config/c.rs"]
mod c;
mod common;
#[path = "dns_config/hosts.rs"]
mod hosts;
#[path = "dns_config/options.rs"]
mod options;

use common::bounded;
use hosts::ip;
use libevent2::dns::{Config, Hosts};
use libevent2::{Error, Result};
use proptest::collection::vec;
use proptest::prelude::*;
use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn servers(text: &str) -> Vec<String> {
    let servers = Config::parse(text).servers;
    servers.iter().map(SocketAddr::to_string).collect()
}

/// A place of a test's own for files.
struct Dir(PathBuf);

impl Dir {
    fn new(test: &str) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("dns_config-{test}"));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Dir(dir)
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

// Servers

#[test]
fn a_server_is_an_address_with_or_without_a_port() {
    for (line, server) in [
        ("nameserver 192.0.2.1", "192.0.2.1:53"),
        ("nameserver 192.0.2.1:5353", "192.0.2.1:5353"),
        ("nameserver 2001:db8::1", "[2001:db8::1]:53"),
        ("nameserver [2001:db8::1]", "[2001:db8::1]:53"),
        ("nameserver [2001:db8::1]:5353", "[2001:db8::1]:5353"),
        ("nameserver fe80::1%7", "[fe80::1%7]:53"),
        ("nameserver [fe80::1%7]:5353", "[fe80::1%7]:5353"),
        ("\t nameserver \t 192.0.2.1 \t ", "192.0.2.1:53"),
        ("nameserver 192.0.2.1\r", "192.0.2.1:53"),
        ("nameserver 192.0.2.1 what follows", "192.0.2.1:53"),
        ("nameserver 192.0.2.1 # the old one", "192.0.2.1:53"),
    ] {
        assert_eq!(servers(line), [server], "{line:?}");
    }
}

#[test]
fn a_server_may_be_on_a_named_interface() {
    let (name, index) = [("lo", c"lo"), ("lo0", c"lo0")]
        // SAFETY: a C string.
        .map(|(name, c)| (name, unsafe { libc::if_nametoindex(c.as_ptr()) }))
        .into_iter()
        .find(|&(_, index)| index != 0)
        .expect("a loopback interface");
    let found = Config::parse(&format!("nameserver fe80::1%{name}")).servers;
    let [SocketAddr::V6(server)] = found[..] else {
        panic!("{found:?}");
    };
    assert_eq!((server.scope_id(), server.port()), (index, 53));
}

#[test]
fn what_is_no_server_is_passed_over() {
    for line in [
        "nameserver",
        "nameserver ",
        "nameserver resolver.example",
        "nameserver 192.0.2",
        "nameserver 192.0.2.256",
        "nameserver 192.0.2.1:0",
        "nameserver 192.0.2.1:65536",
        "nameserver 192.0.2.1:53x",
        "nameserver 192.0.2.1:",
        "nameserver [2001:db8::1",
        "nameserver [2001:db8::1]53",
        "nameserver fe80::1%no-such-interface",
        "nameserver 192.0.2.1\0",
        "nameserver # 192.0.2.1",
        "nameserver192.0.2.1",
        "NAMESERVER 192.0.2.1",
        "# nameserver 192.0.2.1",
        "#nameserver 192.0.2.1",
        ";nameserver 192.0.2.1",
        "  ; nameserver 192.0.2.1",
        "\0nameserver 192.0.2.1",
    ] {
        assert_eq!(Config::parse(line), Config::default(), "{line:?}");
    }
}

#[test]
fn servers_keep_their_order_and_are_there_once() {
    let text = "nameserver 192.0.2.2\nnameserver 192.0.2.1\nnonsense\nnameserver 192.0.2.2:53\n\
                nameserver 192.0.2.2:54\nnameserver ::1\nnameserver [::1]:53";
    assert_eq!(
        servers(text),
        ["192.0.2.2:53", "192.0.2.1:53", "192.0.2.2:54", "[::1]:53"]
    );
}

#[test]
fn ends_of_lines_are_those_of_any_system() {
    for text in [
        "nameserver 192.0.2.1\nsearch a.example\n",
        "nameserver 192.0.2.1\nsearch a.example",
        "nameserver 192.0.2.1\r\nsearch a.example\r\n",
        "\n\r\n\nnameserver 192.0.2.1\n\n\nsearch a.example\r",
    ] {
        let config = Config::parse(text);
        assert_eq!(
            config.servers,
            ["192.0.2.1:53".parse().unwrap()],
            "{text:?}"
        );
        assert_eq!(config.search, ["a.example"], "{text:?}");
    }
}

#[test]
fn many_servers_are_read_at_once() {
    let _watchdog = bounded();
    let text: String = (0..50_000_u32)
        .map(|n| format!("nameserver {}\n", IpAddr::from(n.to_be_bytes())))
        .collect();
    assert_eq!(Config::parse(&text).servers.len(), 50_000);
}

// Domains

#[test]
fn the_last_line_about_domains_counts() {
    let long = "x".repeat(64);
    for (text, search) in [
        (
            "search a.example b.example",
            &["a.example", "b.example"][..],
        ),
        ("domain a.example", &["a.example"]),
        ("domain a.example b.example", &["a.example"]),
        ("domain a.example\nsearch b.example c", &["b.example", "c"]),
        ("search b.example c\ndomain a.example", &["a.example"]),
        ("search a\nsearch b", &["b"]),
        ("search a.example\ndomain", &["a.example"]),
        ("search a.example\nsearch", &[]),
        ("search a.example\nsearch .", &[]),
        (
            "search .a.example ..b.example c.example.",
            &["a.example", "b.example", "c.example"],
        ),
        ("search a.example # b.example", &["a.example"]),
        (
            "search\ta.example\t \tb.example\r",
            &["a.example", "b.example"],
        ),
        (
            &format!("search a..b {long} \u{fc}.example nul\0 c"),
            &["c"],
        ),
        ("searchable a.example", &[]),
    ] {
        assert_eq!(Config::parse(text).search, search, "{text:?}");
    }
}

// Files

#[test]
fn text_says_nothing_that_is_not_in_it() {
    assert_eq!(Config::parse(""), Config::default());
}

/// libevent 2.1.12 makes no resolver then: `evdns_base_new` gives NULL.
#[test]
fn a_file_without_a_server_means_the_one_on_this_machine() -> Result<()> {
    let dir = Dir::new("without_a_server");
    for text in ["", "search a.example\n", "nameserver\nnameserver nonsense"] {
        let config = Config::from_file(dir.file("resolv.conf", text))?;
        assert_eq!(
            config.servers,
            ["127.0.0.1:53".parse().unwrap()],
            "{text:?}"
        );
        assert!(config.hosts.is_empty());
    }
    let config = Config::from_file(dir.file("resolv.conf", "nameserver 192.0.2.1"))?;
    assert_eq!(config.servers, ["192.0.2.1:53".parse().unwrap()]);
    Ok(())
}

#[test]
fn a_file_that_names_no_domain_on_purpose_gets_none() -> Result<()> {
    let dir = Dir::new("no_domain");
    let config = Config::from_file(dir.file("resolv.conf", "search .\n"))?;
    assert!(config.search.is_empty());
    let config = Config::from_file(dir.file("resolv.conf", "search a.example\n"))?;
    assert_eq!(config.search, ["a.example"]);
    Ok(())
}

#[test]
fn bytes_that_are_no_text_are_harmless() -> Result<()> {
    let dir = Dir::new("bytes");
    let path = dir.file(
        "resolv.conf",
        b"\xff\xfe\0\0\nnameserver 192.0.2.1\n\0\0\nsearch \xff a\nnameserver 192.0.2.2\xff\n",
    );
    let config = Config::from_file(&path)?;
    assert_eq!(config.servers, ["192.0.2.1:53".parse().unwrap()]);
    assert_eq!(config.search, ["a"]);

    let path = dir.file(
        "hosts",
        b"\xff\n\0\n192.0.2.1 a \xff b\0 c\n192.0.2.2\0 d\n192.0.2.3 d",
    );
    let hosts = Hosts::from_file(&path)?;
    assert!(hosts.names(ip("192.0.2.1")).eq(["a", "c"]));
    assert!(hosts.addresses("d").eq([ip("192.0.2.3")]));
    Ok(())
}

/// The kind of the error that reading a file gives, of either format.
fn refused(path: &Path) -> io::ErrorKind {
    let errors = [
        Config::from_file(path).unwrap_err(),
        Hosts::from_file(path).unwrap_err(),
    ];
    let [config, hosts] = errors.map(|error| match error {
        Error::Os { op, source } => {
            assert_eq!(op, format!("reading {}", path.display()));
            source.kind()
        }
        other => panic!("{other:?}"),
    });
    assert_eq!(config, hosts);
    config
}

#[test]
fn a_file_that_is_not_there_is_an_error_with_its_name() {
    let path = Path::new("/no/such/file");
    assert_eq!(refused(path), io::ErrorKind::NotFound);
    let said = Config::from_file(path).unwrap_err().to_string();
    assert!(said.starts_with("reading /no/such/file: "), "{said}");
}

#[test]
fn what_never_ends_is_not_read() {
    let _watchdog = bounded();
    let dir = Dir::new("never_ends");
    let pipe = dir.0.join("pipe");
    let name = CString::new(pipe.as_os_str().as_bytes()).unwrap();
    // SAFETY: a C string.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    for path in [&pipe, Path::new("/dev/zero"), &dir.0] {
        assert_eq!(refused(path), io::ErrorKind::InvalidInput, "{path:?}");
    }
}

#[test]
fn a_file_that_is_too_large_is_refused() -> Result<()> {
    let _watchdog = bounded();
    let dir = Dir::new("too_large");
    let path = dir.file("sparse", "");
    // No disk is filled: it is all hole.
    let length = |bytes| {
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(bytes)
    };
    length(1 << 40).unwrap();
    assert_eq!(refused(&path), io::ErrorKind::FileTooLarge);

    length((1 << 20) + 1).unwrap();
    assert!(Config::from_file(&path).is_err());
    length(1 << 20).unwrap();
    assert!(Config::from_file(&path).is_ok());
    // Hosts are a longer list.
    length((1 << 20) + 1).unwrap();
    assert!(Hosts::from_file(&path)?.is_empty());
    Ok(())
}

#[test]
fn a_link_to_a_file_is_followed() -> Result<()> {
    let dir = Dir::new("link");
    let file = dir.file("stub-resolv.conf", "nameserver 192.0.2.1");
    let link = dir.0.join("resolv.conf");
    std::os::unix::fs::symlink(file, &link).unwrap();
    let config = Config::from_file(&link)?;
    assert_eq!(config.servers, ["192.0.2.1:53".parse().unwrap()]);
    Ok(())
}

#[test]
fn this_system_has_a_configuration() -> Result<()> {
    let config = Config::system()?;
    assert!(!config.servers.is_empty());
    assert_eq!(config.hosts, Hosts::system()?);
    Ok(())
}

// Anything

/// Lines that come near to what is understood.
fn line() -> impl Strategy<Value = String> {
    let word = "nameserver|search|domain|options|#|;|ndots:|timeout:|attempts:|max-inflight:|\
                bind-to:|edns0|so-rcvbuf:|[0-9]{1,20}|[0-9]{1,3}(\\.[0-9]{1,3}){3}(:[0-9]{1,6})?|\
                \\[?[0-9a-f:]{1,30}(%[a-z0-9]{0,4})?\\]?(:[0-9]{0,6})?|[a-zA-Z.-]{0,80}|\\PC{0,9}";
    vec((word, "[ \t\r\0]?"), 0..6).prop_map(|words| {
        let words = words.into_iter();
        words.map(|(word, space)| word + &space).collect()
    })
}

fn lines() -> impl Strategy<Value = String> {
    vec(line(), 0..12).prop_map(|lines| lines.join("\n"))
}

/// What holds of every configuration that was read.
fn is_sound(config: &Config) {
    assert!(config.ndots <= 15);
    assert!((1..=30_000).contains(&config.timeout.as_millis()));
    assert!(config.attempts >= 1 && config.max_timeouts >= 1);
    assert!((1..=65_000).contains(&config.max_in_flight));
    assert!(config.family_delay <= Duration::from_secs(3600));
    assert!(config.edns_size.is_none_or(|size| size >= 512));
    assert!(config.servers.iter().all(|server| server.port() != 0));
    for (n, server) in config.servers.iter().enumerate() {
        assert!(!config.servers[..n].contains(server));
    }
    for domain in &config.search {
        assert!(domain.is_ascii() && (1..=253).contains(&domain.len()));
        assert!(!domain.starts_with('.') && !domain.ends_with('.'));
    }
    assert!(config.hosts.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_text_is_read(text in lines()) {
        is_sound(&Config::parse(&text));
        let hosts = Hosts::parse(&text);
        for word in text.split_ascii_whitespace() {
            for address in hosts.addresses(word) {
                let word = word.strip_suffix('.').unwrap_or(word);
                assert!(hosts.names(address).any(|name| name.eq_ignore_ascii_case(word)));
            }
        }
    }

    #[test]
    fn what_was_read_is_read_again_the_same(text in lines()) {
        let config = Config::parse(&text);
        let mut again: String = config.servers.iter().map(|s| format!("nameserver {s}\n")).collect();
        again += &format!("search {}\n", config.search.join(" "));
        let read = Config::parse(&again);
        assert_eq!((read.servers, read.search), (config.servers, config.search));
    }

    #[test]
    fn any_bytes_are_read(bytes in vec(any::<u8>(), 0..2000)) {
        let dir = Dir::new("any_bytes");
        let path = dir.file("file", &bytes);
        Hosts::from_file(&path).unwrap();
        assert!(!Config::from_file(&path).unwrap().servers.is_empty());
    }
}
