use crate::common::bounded;
use crate::dns_common::{A, AAAA, NO_SUCH_NAME, NameServer, PTR, Query, SERVER_FAILURE, labels};
use crate::program::{End, Program};
use std::net::UdpSocket;
use std::time::Duration;

fn answer(query: &Query) -> Option<Vec<u8>> {
    let reply = query.reply();
    Some(match (query.name.as_str(), query.kind) {
        ("none.example", _) => query.error(NO_SUCH_NAME),
        ("fails.example", _) => query.error(SERVER_FAILURE),
        ("alias.example", A) => {
            let reply = reply.cname(&query.exact, 60, "real.example");
            reply.a("real.example", 60, [192, 0, 2, 7].into()).bytes()
        }
        ("www.example", A) => {
            let reply = reply.a(&query.exact, 60, [192, 0, 2, 7].into());
            reply.a(&query.exact, 60, [192, 0, 2, 8].into()).bytes()
        }
        ("www.example", AAAA) => {
            let address = "2001:db8::7".parse().unwrap();
            reply.aaaa(&query.exact, 60, address).bytes()
        }
        (_, PTR) => reply.ptr(&query.exact, 60, "host.example").bytes(),
        _ => reply.bytes(),
    })
}

/// Looks up names one by one, so that the lines have an order.
fn look_up(options: &[&str], names: &[&str]) -> Vec<End> {
    let server = NameServer::start(answer);
    let address = server.address().to_string();
    let look_up = |name: &&str| {
        let arguments = [options, &["-s", &address, *name]].concat();
        Program::start("dns_example", &arguments).end()
    };
    names.iter().map(look_up).collect()
}

const FIRST: &str = "EVUTIL_AI_CANONNAME in example = 2\n";

#[test]
fn without_arguments_the_syntax_is_shown() {
    let _watchdog = bounded();
    let end = Program::start("dns_example", &[]).end();
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    let lines: Vec<_> = end.stderr.lines().collect();
    assert!(lines[0].starts_with("syntax: "), "{lines:?}");
    assert!(lines[0].ends_with("dns_example [-x] [-v] [-c resolv.conf] [-s ns] hostname"));
    assert!(lines[1].ends_with("dns_example [-T]"), "{lines:?}");
    assert_eq!(lines.len(), 2);
}

#[test]
fn a_name_has_ipv4_addresses_or_a_number_that_says_why_not() {
    let _watchdog = bounded();
    let names = [
        "www.example",
        "none.example",
        "empty.example",
        "fails.example",
    ];
    let ends = look_up(&[], &names);
    let expected = [
        "www.example: 192.0.2.7\nwww.example: 192.0.2.8\n",
        "none.example: No answer (3)\n",
        "empty.example: No answer (70)\n",
        "fails.example: No answer (2)\n",
    ];
    for ((end, name), expected) in ends.iter().zip(names).zip(expected) {
        assert!(end.status.success(), "{end:?}");
        assert_eq!(end.stdout, format!("{FIRST}{expected}"));
        assert!(
            end.stderr
                .starts_with(&format!("resolving (fwd) {name}...\n"))
        );
    }
}

#[test]
fn getaddrinfo_gives_both_families_and_the_name_behind_an_alias() {
    let _watchdog = bounded();
    let names = [
        "www.example",
        "alias.example",
        "none.example",
        "empty.example",
    ];
    let ends = look_up(&["-g"], &names);
    let expected = [
        "[0] www.example: 192.0.2.7\n\
         [1] www.example: 192.0.2.8\n\
         [2] www.example: 2001:db8::7\n",
        "    alias.example ==> real.example\n[0] alias.example: 192.0.2.7\n",
        "none.example: nodename nor servname provided, or not known\n",
        "empty.example: non-recoverable failure in name resolution\n",
    ];
    for (end, expected) in ends.iter().zip(expected) {
        assert!(end.status.success(), "{end:?}");
        assert_eq!(end.stdout, format!("{FIRST}{expected}"));
    }
}

#[test]
fn an_address_has_a_name_and_what_is_none_is_passed_over() {
    let _watchdog = bounded();
    let ends = look_up(&["-x"], &["192.0.2.7", "www.example"]);
    assert_eq!(ends[0].stdout, format!("{FIRST}192.0.2.7: host.example\n"));
    assert_eq!(ends[0].stderr, "resolving 192.0.2.7...\n");
    assert_eq!(ends[1].stdout, FIRST);
    assert_eq!(ends[1].stderr, "Skipping non-IP www.example\n");
}

#[test]
fn its_file_tells_whom_to_ask() {
    let _watchdog = bounded();
    let server = NameServer::start(answer);
    let name = format!("libevent2-dns-example-{}", std::process::id());
    let file = std::env::temp_dir().join(name);
    let text = format!("search example\nnameserver {}\n", server.address());
    std::fs::write(&file, text).unwrap();
    let arguments = ["-c", file.to_str().unwrap(), "www.example"];
    let end = Program::start("dns_example", &arguments).end();
    std::fs::remove_file(&file).unwrap();
    assert!(end.stdout.contains("www.example: 192.0.2.7\n"), "{end:?}");
    for arguments in [["-s", "nonsense", "x"], ["-c", "/no/such/file", "x"]] {
        let end = Program::start("dns_example", &arguments).end();
        assert_eq!(end.status.code(), Some(1), "{end:?}");
        assert_eq!(end.stderr, "Couldn't configure nameservers\n");
        assert_eq!(end.stdout, "");
    }
}

#[test]
fn it_says_what_libevent_says_when_it_is_to() {
    let _watchdog = bounded();
    let end = look_up(&["-v"], &["www.example"]).remove(0);
    assert!(end.stderr.contains("INFO: "), "{end:?}");
    assert!(end.stdout.contains("www.example: 192.0.2.8\n"), "{end:?}");
    let end = look_up(&["-q"], &["www.example"]).remove(0);
    let lines: Vec<_> = end.stderr.lines().collect();
    assert!(lines[0].ends_with("dns_example: invalid option -- 'q'"));
    assert_eq!(lines[1], "Unknown option ?");
    assert!(!end.stderr.contains("INFO: "), "{end:?}");
}

/// A name server and who asks it, in one process.
#[test]
fn it_is_a_server_which_it_can_ask_itself() {
    let _watchdog = bounded();
    let free = UdpSocket::bind("0.0.0.0:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let address = format!("127.0.0.1:{port}");
    let arguments = ["-T", "-s", &address, "www.example"];
    let environment = [("DNS_EXAMPLE_PORT", &*port.to_string())];
    let program = Program::start_with("dns_example", &arguments, &environment);
    let line = program.line_with(" -- replying for ");
    assert_eq!(line.to_lowercase(), " -- replying for www.example (a)");
    assert_eq!(program.line_with(": 192"), "www.example: 192.168.11.11");

    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let ask = |name: &str, kind: u16| {
        let header = [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let query = [&header[..], &labels(name), &kind.to_be_bytes(), &[0, 1]].concat();
        client.send_to(&query, &*address).unwrap();
        let mut reply = [0; 512];
        let length = client.recv(&mut reply).unwrap();
        reply[..length].to_vec()
    };
    let reply = ask("7.2.0.192.in-addr.arpa", PTR);
    assert!(reply.ends_with(&labels("foo.bar.example.com")), "{reply:?}");
    let line = " -- replying for 7.2.0.192.in-addr.arpa (PTR)";
    assert_eq!(program.line_with(""), line);
    let reply = ask("www.example", AAAA);
    assert_eq!(reply[6..8], [0, 0], "there are answers in {reply:?}");
    assert_eq!(program.line_with(""), " -- skipping www.example [28 1]");
}
