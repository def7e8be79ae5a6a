#[path = "../../examples/dns_lookup/json.rs"]
mod json;

use crate::common::bounded;
use crate::dns_common::{A, AAAA, NO_SUCH_NAME, NameServer, PTR, Query, REFUSED};
use crate::program::{End, Program};
use std::net::IpAddr;

const IPV4: &str = "192.0.2.7";
const IPV6: &str = "2001:db8::7";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// An address of the family asked for, unless the name begins with what says otherwise.
fn answer(query: &Query) -> Option<Vec<u8>> {
    let first = query.name.split('.').next().unwrap();
    Some(match (first, query.kind) {
        ("silent", _) => return None,
        ("none", _) => query.error(NO_SUCH_NAME),
        ("refused", _) => query.error(REFUSED),
        ("empty", _) => query.reply().bytes(),
        ("alias", A) => {
            let reply = query.reply().cname(&query.exact, 60, "real.example");
            reply.a("real.example", 60, [192, 0, 2, 7].into()).bytes()
        }
        (_, A) => query.address(ip(IPV4), 60),
        (_, AAAA) => query.address(ip(IPV6), 30),
        (_, PTR) => query.reply().ptr(&query.exact, 5, "host.example").bytes(),
        _ => query.reply().bytes(),
    })
}

/// Without the search list of the machine that the tests run on.
const CONFIG: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/examples_run/resolv.conf"
);

fn look_up(server: &NameServer, arguments: &[&str]) -> End {
    let address = server.address().to_string();
    let arguments = [&["--config", CONFIG, "--server", &address], arguments].concat();
    Program::start("dns_lookup", &arguments).end()
}

#[test]
fn each_name_has_a_line_with_what_was_found() {
    let _watchdog = bounded();
    let server = NameServer::start(answer);
    let end = look_up(&server, &["a.example", "192.0.2.1", "b.example"]);
    assert!(end.status.success(), "{end:?}");
    assert_eq!(
        end.stdout,
        "a.example: 2001:db8::7, 192.0.2.7; for 30 s\n\
         192.0.2.1: 192.0.2.1\n\
         b.example: 2001:db8::7, 192.0.2.7; for 30 s\n"
    );
    assert_eq!(end.stderr, "");
}

#[test]
fn names_are_asked_for_at_once_and_printed_in_their_order() {
    let _watchdog = bounded();
    // No name is answered before the last one was asked for, and the last one is answered first.
    let mut held = Vec::new();
    let server = NameServer::start(move |query: &Query| {
        held.push(answer(query).unwrap());
        match held.len() {
            3 => held.drain(..).rev().collect(),
            _ => Vec::new(),
        }
    });
    let names = ["a.example", "b.example", "c.example"];
    let end = look_up(&server, &[&["--ipv4"], &names[..]].concat());
    assert!(end.status.success(), "{end:?}");
    let printed: Vec<_> = end.stdout.lines().map(|line| &line[..9]).collect();
    assert_eq!(printed, names);
    assert_eq!(server.queries().len(), 3);
}

#[test]
fn a_name_that_is_not_found_is_an_error_and_the_others_are_printed() {
    let _watchdog = bounded();
    let server = NameServer::start(answer);
    let names = ["none.x", "a.x", "empty.x", "refused.x", "a..x", "b.x"];
    let end = look_up(&server, &names);
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    let printed: Vec<_> = end.stdout.lines().map(|line| &line[..4]).collect();
    assert_eq!(printed, ["a.x:", "b.x:"]);
    let errors: Vec<_> = end.stderr.lines().collect();
    assert_eq!(
        errors[..3],
        [
            "dns_lookup: looking up none.x: there is no such name",
            "dns_lookup: looking up empty.x: it has no record of that kind",
            "dns_lookup: looking up refused.x: the name server refused to answer",
        ]
    );
    assert!(errors[3].starts_with("dns_lookup: looking up a..x: "));
    assert_eq!(errors.len(), 4);
}

#[test]
fn one_family_is_asked_for_when_one_is_wanted() {
    let _watchdog = bounded();
    for (option, kind, line) in [
        ("--ipv4", A, "a.x: 192.0.2.7; for 60 s\n"),
        ("--ipv6", AAAA, "a.x: 2001:db8::7; for 30 s\n"),
    ] {
        for also in [&[][..], &["--canonical"]] {
            let server = NameServer::start(answer);
            let end = look_up(&server, &[&["a.x", option], also].concat());
            let line = match also {
                [] => line.to_owned(),
                // libevent does not tell for how long.
                _ => line.split(';').next().unwrap().to_owned() + "\n",
            };
            assert_eq!(end.stdout, line);
            let kinds: Vec<_> = server.queries().iter().map(|query| query.kind).collect();
            assert_eq!(kinds, [kind]);
        }
    }
}

#[test]
fn an_alias_is_told_when_asked_for() {
    let _watchdog = bounded();
    let server = NameServer::start(answer);
    let end = look_up(&server, &["alias.x", "--canonical", "--ipv4"]);
    assert_eq!(end.stdout, "alias.x: 192.0.2.7; alias of real.example\n");
    let end = look_up(&server, &["alias.x", "--canonical", "--ipv4", "--json"]);
    assert_eq!(
        end.stdout,
        r#"{"name":"alias.x","full_name":"alias.x","addresses":["192.0.2.7"],"canonical_name":"real.example"}"#
            .to_owned()
            + "\n"
    );
}

#[test]
fn addresses_have_names_when_asked_for() {
    let _watchdog = bounded();
    let server = NameServer::start(answer);
    let names = ["192.0.2.1", "2001:db8::1", "a.x", "--reverse"];
    let end = look_up(&server, &names);
    assert!(end.status.success(), "{end:?}");
    assert_eq!(
        end.stdout,
        "192.0.2.1: host.example; for 5 s\n\
         2001:db8::1: host.example; for 5 s\n\
         a.x: 2001:db8::7, 192.0.2.7; for 30 s\n"
    );
    let end = look_up(&server, &["192.0.2.1", "--reverse", "--json"]);
    assert_eq!(
        end.stdout,
        r#"{"name":"192.0.2.1","full_name":"192.0.2.1","names":["host.example"],"ttl":5}"#
            .to_owned()
            + "\n"
    );
}

#[test]
fn json_has_an_object_for_each_name_also_for_odd_ones() {
    let _watchdog = bounded();
    let server = NameServer::start(answer);
    let names = ["a.x", "none.x", "q\"b\\\t.x", "ä", "--json"];
    let end = look_up(&server, &names);
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    let lines: Vec<_> = end.stdout.lines().collect();
    assert_eq!(
        lines[..3],
        [
            r#"{"name":"a.x","full_name":"a.x","addresses":["2001:db8::7","192.0.2.7"],"ttl":30}"#,
            r#"{"name":"none.x","cause":"NoSuchName","error":"looking up none.x: there is no such name"}"#,
            r#"{"name":"q\"b\\\t.x","full_name":"q\"b\\\t.x","addresses":["2001:db8::7","192.0.2.7"],"ttl":30}"#,
        ]
    );
    assert!(lines[3].starts_with(r#"{"name":"ä","cause":"BadName","error":""#));
    assert_eq!(lines.len(), 4);
    assert_eq!(end.stderr, "");
}

#[test]
fn json_is_escaped() {
    assert_eq!(json::string(""), r#""""#);
    assert_eq!(json::string("a\"\\/ü😀"), r#""a\"\\/ü😀""#);
    assert_eq!(
        json::string("\n\r\t\0\x1b\x7f\u{9b}"),
        r#""\n\r\t\u0000\u001b\u007f\u009b""#
    );
    assert_eq!(json::list(&[]), "[]");
    assert_eq!(json::list(&["a".into(), "\"".into()]), r#"["a","\""]"#);
}

#[test]
fn a_silent_server_has_no_more_time_than_it_is_given() {
    let _watchdog = bounded();
    let server = NameServer::start(answer);
    let end = look_up(&server, &["silent.x", "a.x", "--timeout", "0.3"]);
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    assert_eq!(
        end.stderr,
        "dns_lookup: looking up silent.x: no name server answered in time\n"
    );
    assert!(end.stdout.starts_with("a.x: "));
}

#[test]
fn another_server_is_asked_when_one_is_silent() {
    let _watchdog = bounded();
    let (silent, server) = (NameServer::silent(), NameServer::start(answer));
    let address = server.address().to_string();
    let arguments = ["a.x", "--server", &address, "--timeout", "3"];
    let end = look_up(&silent, &arguments);
    assert!(end.status.success(), "{end:?}");
    assert_eq!(end.stdout, "a.x: 2001:db8::7, 192.0.2.7; for 30 s\n");
}

#[test]
fn a_file_tells_the_servers_and_the_domains() {
    let _watchdog = bounded();
    let server = NameServer::start(|query: &Query| match query.name.as_str() {
        "www.example.net" => answer(query),
        _ => Some(query.error(NO_SUCH_NAME)),
    });
    let name = format!("libevent2-resolv-conf-{}", std::process::id());
    let file = std::env::temp_dir().join(name);
    let text = format!(
        "nameserver {}\nsearch example.org example.net\n",
        server.address()
    );
    std::fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    let end = Program::start("dns_lookup", &["www", "--config", path, "--json"]).end();
    std::fs::remove_file(&file).unwrap();
    assert!(end.status.success(), "{end:?}");
    assert!(end.stdout.contains(r#""full_name":"www.example.net""#));

    let end = Program::start("dns_lookup", &["www", "--config", path]).end();
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    assert!(end.stderr.contains(path), "{end:?}");
}
