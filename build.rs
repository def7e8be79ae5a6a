//! Tells the crate which libevent it is built over, as `libevent-sys` found it.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(libevent_2_2)");
    let of = |name: &str| env::var(format!("DEP_EVENT_{name}")).unwrap_or_default();

    let version = u32::from_str_radix(&of("VERSION_NUMBER"), 16).unwrap_or(0);
    if version >= 0x0202_0000 {
        println!("cargo:rustc-cfg=libevent_2_2");
    }
    // What openssl-sys was built over.
    println!("cargo:rustc-check-cfg=cfg(openssl_3)");
    let openssl = env::var("DEP_OPENSSL_VERSION_NUMBER").unwrap_or_default();
    if u64::from_str_radix(&openssl, 16).is_ok_and(|version| version >= 0x3000_0000) {
        println!("cargo:rustc-cfg=openssl_3");
    }
    // For benches and tests that compile C beside Rust.
    for name in ["INCLUDE", "LIB"] {
        println!("cargo:rustc-env=LIBEVENT2_C_{name}={}", of(name));
    }
}
