//! Mail by async-smtp and by lettre on the loop, to Python's aiosmtpd.

mod support;

use std::io::Write;
use std::process::{Output, Stdio};
use std::thread;
use support::{Certificate, Program, bounded, example, python, serve};
use tempfile::TempDir;

/// Keeps every mail in a file of the folder, and says from whom and to whom it is.
const SERVER: &str = r#"
import asyncio, ssl, sys
from aiosmtpd.smtp import SMTP

folder, *tls = sys.argv[1:]

class Keep:
    count = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        with open(f"{folder}/{self.count}", "wb") as file:
            file.write(envelope.content)
        self.count += 1
        how = session.ssl["cipher"] if session.ssl else "plain"
        print("mail", envelope.mail_from, *envelope.rcpt_tos, how)
        return f"250 kept {len(envelope.content)} bytes"

async def main():
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
    keep = Keep()
    make = lambda: SMTP(keep, tls_context=context, require_starttls=bool(tls))
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    print("port", server.sockets[0].getsockname()[1])
    await server.serve_forever()

asyncio.run(main())
"#;

const CLIENTS: [&str; 2] = ["smtp_client", "smtp_lettre"];

struct Server {
    program: Program,
    port: u16,
    folder: TempDir,
}

impl Server {
    fn start(certificate: Option<&Certificate>) -> Option<Self> {
        let mut python = python("aiosmtpd")?;
        let folder = tempfile::tempdir().unwrap();
        let mut args = vec![folder.path().to_owned()];
        args.extend(certificate.into_iter().flat_map(|c| [c.cert(), c.key()]));
        let args: Vec<&str> = args.iter().map(|path| path.to_str().unwrap()).collect();
        let (program, port) = serve(&mut python, SERVER, &args);
        Some(Server {
            program,
            port,
            folder,
        })
    }

    /// Has the example send a mail, over TLS if there is a certificate to trust.
    fn send(&self, client: &str, to: &str, mail: &[u8], trusted: Option<&Certificate>) -> Output {
        let mut command = example(client);
        let port = self.port.to_string();
        command.args(["localhost", &port, "ada@example.org", to]);
        if let Some(certificate) = trusted {
            command.arg(certificate.cert());
        }
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = pipes.stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        thread::scope(|scope| {
            scope.spawn(move || stdin.write_all(mail).unwrap());
            child.wait_with_output().unwrap()
        })
    }

    fn kept(&self, number: usize) -> Option<Vec<u8>> {
        std::fs::read(self.folder.path().join(number.to_string())).ok()
    }
}

/// Everything that must not be taken for the end of the mail, or for something else.
fn difficult() -> Vec<u8> {
    let mut mail = b"Subject: dots\r\n\r\n.\r\n..\r\n.hidden\r\n...\r\n \r\n. \r\na.\r\n".to_vec();
    mail.extend("grüße\r\n\r\n.\r\nQUIT\r\n".as_bytes());
    mail.extend([b".".repeat(900), b"\r\n".to_vec()].concat());
    mail.extend(b"the last line has no end");
    mail
}

/// More than any buffer between the two holds.
fn large() -> Vec<u8> {
    let lines = (0..100_000).map(|n| format!("{n} .{}\r\n", ".".repeat(n % 70)));
    lines.collect::<String>().into_bytes()
}

#[track_caller]
fn assert_sent(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_mail_arrives_byte_by_byte() {
    let _bounded = bounded();
    let Some(server) = Server::start(None) else {
        return;
    };
    let mut number = 0;
    for client in CLIENTS {
        for mail in [difficult(), large()] {
            let output = server.send(client, "bob@example.org", &mail, None);
            assert_sent(&output);
            let line = server.program.line_with("mail ");
            assert_eq!(line, "mail ada@example.org bob@example.org plain");
            // Both clients end the last line, whether it has an end or not.
            let expected = [&mail[..], b"\r\n"].concat();
            let kept = server.kept(number).unwrap();
            assert!(kept == expected, "{client}: {} bytes", kept.len());
            let answer = format!("kept {} bytes\n", expected.len());
            assert_eq!(String::from_utf8_lossy(&output.stdout), answer);
            number += 1;
        }
    }
}

#[test]
fn starttls_encrypts_the_mail() {
    let _bounded = bounded();
    let certificate = Certificate::new();
    let Some(server) = Server::start(Some(&certificate)) else {
        return;
    };
    for (number, client) in CLIENTS.into_iter().enumerate() {
        let mail = large();
        let output = server.send(client, "bob@example.org", &mail, Some(&certificate));
        assert_sent(&output);
        assert!(output.stdout.starts_with(b"encrypted\n"), "{output:?}");
        let line = server.program.line_with("mail ");
        assert!(!line.ends_with("plain"), "{line}");
        let kept = server.kept(number).unwrap();
        assert!(kept.strip_suffix(b"\r\n") == Some(&mail), "{client}");
    }
}

#[test]
fn a_server_that_cannot_be_trusted_gets_no_mail() {
    let _bounded = bounded();
    let certificate = Certificate::new();
    let Some(server) = Server::start(Some(&certificate)) else {
        return;
    };
    for client in CLIENTS {
        let other = Certificate::new();
        let output = server.send(client, "bob@example.org", b"secret", Some(&other));
        assert!(!output.status.success(), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        assert_eq!(server.kept(0), None);
    }
}

#[test]
fn a_refused_mail_is_an_error_that_says_why() {
    let _bounded = bounded();
    let Some(server) = Server::start(None) else {
        return;
    };
    for client in CLIENTS {
        let output = server.send(client, "nobody@example.org", b"hello", None);
        assert!(!output.status.success(), "{output:?}");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains("no such user"), "{error}");
        assert_eq!(server.kept(0), None);
    }
}
