//! The name server, asked by a socket of ours and by `dig`.

use crate::common::bounded;
use crate::common::peers::peer;
use crate::program::Program;
use std::fs;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::time::Duration;

const ZONE: &str = r#"
# A zone, with a comment of its own
example             NS     ns.example      ; and another one
@                   MX     10 Mail.Example.
@            60     TXT    "some text; with # marks" more
mail.example 60     A      192.0.2.1
@            60     a      192.0.2.2
@                   AAAA   2001:db8::1
www.example         CNAME  alias.example
ALIAS.example.      CNAME  mail.example
round.example       CNAME  about.example
about.example       CNAME  round.example
away.example        CNAME  elsewhere.test
192.0.2.1           PTR    mail.example
2001:db8::1         PTR    mail.example
ns.example          A      192.0.2.53
"#;

/// A file that is there as long as this is.
struct Zone(PathBuf);

impl Zone {
    fn new(name: &str, text: &str) -> Self {
        let name = format!("libevent2-zone-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).unwrap();
        Zone(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    fn serve(&self) -> Program {
        Program::start("dns_server", &["--zone", self.path(), "--port", "0"])
    }
}

impl Drop for Zone {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The flags and the counts of the answer, and its bytes.
fn ask(port: u16, name: &str, kind: u8) -> ([u16; 6], Vec<u8>) {
    let mut query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0".to_vec();
    for label in name.split('.') {
        query.push(label.len() as u8);
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, kind, 0, 1]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let limit = Some(Duration::from_secs(20));
    socket.set_read_timeout(limit).unwrap();
    socket.send_to(&query, ("127.0.0.1", port)).unwrap();
    let mut answer = vec![0; 512];
    let length = socket.recv(&mut answer).unwrap();
    answer.truncate(length);
    let number = |at: usize| u16::from_be_bytes([answer[2 * at], answer[2 * at + 1]]);
    ([0, 1, 2, 3, 4, 5].map(number), answer)
}

#[test]
fn it_answers_from_its_file_and_tells_of_it() {
    let _watchdog = bounded();
    let zone = Zone::new("answers", ZONE);
    let server = zone.serve();
    let port = server.port();
    // Recursion desired, authoritative, an answer; and the code.
    let (yes, no) = (0x8500, 0x8503);
    let cases = [
        ("mail.example", 1, yes, 2, 0, "NOERROR, 2 answers"),
        ("MAIL.eXample", 28, yes, 1, 0, "NOERROR, 1 answers"),
        ("mail.example", 16, yes, 0, 0, "NOERROR, 0 answers"),
        ("www.example", 1, yes, 4, 0, "NOERROR, 4 answers"),
        ("www.example", 5, yes, 1, 0, "NOERROR, 1 answers"),
        ("round.example", 1, yes, 16, 0, "NOERROR, 16 answers"),
        ("away.example", 1, yes, 1, 0, "NOERROR, 1 answers"),
        ("example", 15, yes, 1, 3, "NOERROR, 1 answers"),
        ("example", 255, yes, 3, 4, "NOERROR, 3 answers"),
        (
            "1.2.0.192.in-addr.arpa",
            12,
            yes,
            1,
            0,
            "NOERROR, 1 answers",
        ),
        // There are names that end with it.
        ("2.0.192.in-addr.arpa", 12, yes, 0, 0, "NOERROR, 0 answers"),
        ("none.example", 1, no, 0, 0, "NXDOMAIN, 0 answers"),
        ("xample", 1, no, 0, 0, "NXDOMAIN, 0 answers"),
    ];
    for (name, kind, flags, answers, additional, says) in cases {
        let (head, _) = ask(port, name, kind);
        let expected = [0x1234, flags, 1, answers, 0, additional];
        assert_eq!(head, expected, "{name} {kind}");
        let line = server.line_with(name);
        assert!(
            line.ends_with(says) && line.contains(" asks for "),
            "{line}"
        );
    }
    let (_, text) = ask(port, "example", 16);
    assert!(text.ends_with(b"\x1csome text; with # marks more"));
    server.signal(libc::SIGINT);
    let end = server.end();
    assert!(end.status.success() && end.stderr.is_empty(), "{end:?}");
}

#[test]
fn a_bad_line_of_a_zone_is_named() {
    let _watchdog = bounded();
    let cases = [
        ("a A 192.0.2.1\n\nb A 1.2.3\n", ":3: 1.2.3: invalid IPv4"),
        ("a A\n", ":1: A has one value, and not 0"),
        ("a AAAA ::1 ::2", ":1: AAAA has one value, and not 2"),
        ("a\n", ":1: the type is missing"),
        (
            "a 99999999999999999999 A 1.2.3.4",
            ":1: 99999999999999999999: ",
        ),
        ("a WKS 1", ":1: there are no records of type WKS here"),
        ("a MX mail", ":1: MX has a number and a name"),
        ("a MX many mail", ":1: many: "),
        ("@ A 1.2.3.4", ":1: @ stands for"),
        ("a..b A 1.2.3.4", ":1: name: \"a..b\""),
        ("a TXT \"open", ":1: a quote is not closed"),
        ("a CNAME b\n@ A 1.2.3.4", ":2: a is an alias"),
        ("a A 1.2.3.4\nA. CNAME b", ":2: A. is an alias"),
    ];
    for (text, why) in cases {
        let zone = Zone::new("bad", text);
        let end = zone.serve().end();
        assert_eq!(end.status.code(), Some(1), "{text:?}");
        let expected = format!("dns_server: {}{why}", zone.path());
        assert!(end.stderr.starts_with(&expected), "{text:?}: {end:?}");
    }
    let end = Program::start("dns_server", &["--zone", "/no/such/file"]).end();
    assert!(end.stderr.contains("/no/such/file: "), "{end:?}");
    let end = Program::start("dns_server", &[]).end();
    assert!(end.stderr.contains("--zone FILE is missing"), "{end:?}");
}

#[test]
fn dig_understands_it() {
    let _watchdog = bounded();
    let Some(_) = peer("dig") else { return };
    let zone = Zone::new("dig", ZONE);
    let server = zone.serve();
    let port = server.port().to_string();
    let dig = |arguments: &[&str]| {
        let mut command = peer("dig").unwrap();
        let command = command.args(["@127.0.0.1", "-p", &port, "+tries=1", "+time=20"]);
        let output = command.args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(dig(&["+short", "mail.example"]), "192.0.2.1\n192.0.2.2\n");
    let chain = "alias.example.\nmail.example.\n192.0.2.1\n192.0.2.2\n";
    assert_eq!(dig(&["+short", "www.example"]), chain);
    assert_eq!(dig(&["+short", "-x", "192.0.2.1"]), "mail.example.\n");
    assert_eq!(dig(&["+short", "-x", "2001:db8::1"]), "mail.example.\n");
    assert_eq!(dig(&["+short", "example", "MX"]), "10 Mail.Example.\n");
    assert_eq!(dig(&["+short", "example", "NS"]), "ns.example.\n");
    let text = "\"some text; with # marks more\"\n";
    assert_eq!(dig(&["+short", "example", "TXT"]), text);
    let all = dig(&["none.example"]);
    assert!(
        all.contains("status: NXDOMAIN") && all.contains("flags: qr aa rd;"),
        "{all}"
    );
    assert!(!all.contains("WARNING: Message"), "{all}");
    let plain = dig(&["+noedns", "+norecurse", "mail.example", "TXT"]);
    assert!(
        plain.contains("status: NOERROR") && plain.contains("ANSWER: 0"),
        "{plain}"
    );
}
