//! futures-rustls on the loop, to OpenSSL's own server.

mod support;

use std::path::Path;
use std::process::Output;
use support::{Certificate, Program, bounded, example, free_port, program};
use tempfile::TempDir;

/// `openssl s_server`, which serves the files of a folder.
fn openssl(folder: &Path, certificate: &Certificate, more: &[&str]) -> Option<(Program, u16)> {
    let mut command = program("openssl")?;
    let port = free_port();
    command
        .current_dir(folder)
        .args(["s_server", "-WWW", "-accept", &format!("127.0.0.1:{port}")])
        .arg("-cert")
        .arg(certificate.cert())
        .arg("-key")
        .arg(certificate.key())
        .args(more);
    let server = Program::start(&mut command, "KILL");
    server.line_with("ACCEPT");
    Some((server, port))
}

fn fetch(host: &str, port: u16, path: &str, trusted: &Certificate) -> Output {
    let mut client = example("tls_client");
    client.args([host, &port.to_string(), path]);
    client.arg(trusted.cert()).output().unwrap()
}

fn folder() -> (TempDir, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let large: Vec<u8> = (0..4_u32 << 20).map(|i| (i ^ (i >> 8)) as u8).collect();
    std::fs::write(folder.path().join("large"), &large).unwrap();
    (folder, large)
}

#[test]
fn a_file_comes_by_every_version_of_tls() {
    let _bounded = bounded();
    let ((folder, large), certificate) = (folder(), Certificate::new());
    for (flag, version) in [("-tls1_2", "TLSv1_2"), ("-tls1_3", "TLSv1_3")] {
        let Some((_server, port)) = openssl(folder.path(), &certificate, &[flag]) else {
            return;
        };
        let output = fetch("localhost", port, "/large", &certificate);
        let shown = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && shown.trim() == version,
            "{shown}"
        );
        assert!(output.stdout.starts_with(b"HTTP/1.0 200 "));
        assert!(output.stdout.ends_with(&large));
    }
}

#[test]
fn a_server_that_is_not_trusted_is_not_asked() {
    let _bounded = bounded();
    let ((folder, _), certificate) = (folder(), Certificate::new());
    let Some((_server, port)) = openssl(folder.path(), &certificate, &[]) else {
        return;
    };
    // It is another one's certificate; or it is not for this name.
    for (host, trusted) in [
        ("localhost", &Certificate::new()),
        ("127.0.0.1", &certificate),
    ] {
        let output = fetch(host, port, "/large", trusted);
        let shown = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{shown}");
        assert!(
            output.stdout.is_empty() && shown.contains("ertificate"),
            "{shown}"
        );
    }
}
