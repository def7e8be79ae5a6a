//! An installed libevent for another OpenSSL is refused when it is built.

#[path = "../build/same_openssl.rs"]
mod same_openssl;

use same_openssl::{Ours, agrees, needed, objection};
use std::fs;
use std::path::PathBuf;

fn folder(name: &str, library: &[u8]) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("libevent_openssl.so"), library).unwrap();
    dir
}

#[test]
fn a_library_names_the_libssl_that_it_needs() {
    let elf = b"\x7fELF\0bufferevent_openssl\0libssl_x\0libssl.so.1.1\0libcrypto.so.1.1\0";
    assert_eq!(needed(elf).as_deref(), Some("libssl.so.1.1"));
    let macho = b"\0/opt/lib/libssl.3.dylib\0";
    assert_eq!(needed(macho).as_deref(), Some("libssl.3.dylib"));
    assert_eq!(needed(b"no TLS in here, libssl or not"), None);
}

#[test]
fn versions_agree_by_what_the_binary_interface_depends_on() {
    assert!(agrees("3", 0x3000_0130));
    assert!(agrees("3", 0x3050_0000));
    assert!(agrees("1.1", 0x1010_117f));
    assert!(agrees("1.0.2", 0x1000_20ff));
    assert!(!agrees("1.1", 0x3000_0130));
    assert!(!agrees("3", 0x1010_117f));
    assert!(!agrees("1.0.2", 0x1010_117f));
}

#[test]
fn another_openssl_is_refused_with_both_names() {
    let dirs = [folder("for_1_1", b"\0libssl.so.1.1\0")];
    let ours = |number| Ours {
        number: Some(number),
        is_own_copy: false,
    };
    assert_eq!(objection(&dirs, &ours(0x1010_117f)), None);
    let reason = objection(&dirs, &ours(0x3000_0130)).unwrap();
    assert!(
        reason.contains("libssl.so.1.1") && reason.contains("0x30000130"),
        "{reason}"
    );
}

#[test]
fn a_second_copy_of_the_same_openssl_is_refused() {
    let dirs = [folder("for_3", b"\0libssl.so.3\0")];
    let ours = Ours {
        number: Some(0x3000_0130),
        is_own_copy: true,
    };
    assert!(
        objection(&dirs, &ours)
            .unwrap()
            .contains("openssl-sys compiles one of its own")
    );
}

#[test]
fn what_cannot_be_known_is_no_objection() {
    let ours = Ours {
        number: Some(0x3000_0130),
        is_own_copy: true,
    };
    assert_eq!(objection(&[PathBuf::from("/nowhere")], &ours), None);
}
