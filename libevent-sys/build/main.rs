//! Chooses a libevent and its bindings, and tells cargo. How each is found stands in the modules.

mod bindings;
mod find_system;
mod find_vendored;
mod found;
#[cfg(feature = "bindgen")]
mod generate;
#[cfg(feature = "openssl")]
mod same_openssl;
mod version;

use found::Found;
use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=build");
    println!("cargo:rustc-check-cfg=cfg(libevent_2_2)");

    let libevent = find();
    #[cfg(feature = "openssl")]
    check_openssl(&libevent);
    let version = version::detect(&libevent);
    libevent.print_link_lines();
    libevent.print_metadata(version);
    if version.is_2_2() {
        println!("cargo:rustc-cfg=libevent_2_2");
    }
    let out_dir = PathBuf::from(found::cargo_var("OUT_DIR"));
    bindings::write(&libevent, version, &out_dir.join("bindings.rs"));
    bindings::list_functions(&out_dir.join("bindings.rs"), &out_dir.join("functions.rs"));
    version.write(&out_dir.join("version.rs"));
}

/// First match wins: folders named by the environment, the system by pkg-config, compiled from source.
fn find() -> Found {
    let source_allowed = !found::is_set("LIBEVENT_NO_VENDOR");
    let only_source = source_allowed && cfg!(feature = "vendored");

    // Named folders beat the feature too: whoever sets them means this very build.
    if let Some(libevent) = find_system::from_environment() {
        return libevent;
    }
    // docs.rs links nothing and has no network.
    if std::env::var_os("DOCS_RS").is_some() {
        return Found {
            version_text: Some("2.1.13".to_owned()),
            ..Found::default()
        };
    }
    let mut reasons = Vec::new();
    if !only_source {
        match find_system::from_pkg_config() {
            Ok(libevent) => return libevent,
            Err(reason) => reasons.push(reason),
        }
    }
    if source_allowed {
        match find_vendored::build() {
            Ok(libevent) => return libevent,
            Err(reason) => reasons.push(reason),
        }
    } else {
        reasons
            .push("compiling libevent from source is forbidden by LIBEVENT_NO_VENDOR".to_owned());
    }
    found::fail(&reasons)
}

/// Ends the build when an installed libevent and the crate `openssl` are for different OpenSSLs.
#[cfg(feature = "openssl")]
fn check_openssl(libevent: &Found) {
    let told = |name: &str| std::env::var(format!("DEP_OPENSSL_{name}")).ok();
    if libevent.vendored || libevent.libs.is_empty() || libevent.is_static {
        return;
    }
    let ours = same_openssl::Ours {
        number: told("VERSION_NUMBER").and_then(|number| u64::from_str_radix(&number, 16).ok()),
        is_own_copy: told("VENDORED").is_some(),
    };
    let dirs = find_system::openssl_part_dirs(libevent);
    if let Some(objection) = same_openssl::objection(&dirs, &ours) {
        eprintln!("\n{objection}\n");
        std::process::exit(101);
    }
}
