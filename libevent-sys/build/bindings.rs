//! Where the bindings come from: the checked-in file of libevent's minor line, or bindgen.

use std::fs;
use std::path::Path;

use crate::found::Found;
use crate::version::Version;

/// Writes the bindings that fit `version` to `to`.
#[cfg(not(feature = "bindgen"))]
pub fn write(_: &Found, version: Version, to: &Path) {
    let line = match version.0 >> 16 {
        0x0201 => "v2_1",
        0x0202 => "v2_2",
        _ => panic!(
            "there are no ready-made bindings for libevent {:#010x}: turn on the feature `bindgen` of libevent-sys (needs libclang)",
            version.0
        ),
    };
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/bindings/{line}.rs"));
    println!("cargo:rerun-if-changed={}", from.display());
    fs::copy(&from, to).unwrap_or_else(|error| {
        panic!(
            "cannot copy {} to {}: {error}",
            from.display(),
            to.display()
        )
    });
}

/// Generates the bindings from the headers of `libevent`.
#[cfg(feature = "bindgen")]
pub fn write(libevent: &Found, _: Version, to: &Path) {
    let text = crate::generate::bindings(&libevent.include_dirs).unwrap_or_else(|error| {
        panic!(
            "cannot generate bindings from {:?}: {error}",
            libevent.include_dirs
        )
    });
    fs::write(to, text).unwrap_or_else(|error| panic!("cannot write {}: {error}", to.display()));
}

/// Writes a list of all bound functions to `to`, for the test that asks the linker for each.
pub fn list_functions(bindings: &Path, to: &Path) {
    let text = fs::read_to_string(bindings)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", bindings.display()));
    let mut list = String::from("fn functions() -> Vec<(&'static str, usize)> {\n    vec![\n");
    let (mut module, mut foreign) = ("", false);
    for line in text.lines() {
        if let Some(name) = line
            .strip_prefix("pub mod ")
            .and_then(|rest| rest.strip_suffix(" {"))
        {
            module = if name == "compat" { "compat::" } else { "" };
            if name == "ssl" && !cfg!(feature = "openssl") {
                break;
            }
        }
        // Methods are indented as deep.
        foreign = line == "unsafe extern \"C\" {" || foreign && line != "}";
        if !foreign {
            continue;
        }
        if let Some((name, _)) = line
            .strip_prefix("    pub fn ")
            .and_then(|rest| rest.split_once('('))
        {
            list.push_str(&format!(
                "        (\"{name}\", {module}{name} as *const () as usize),\n"
            ));
        }
    }
    list.push_str("    ]\n}\n");
    fs::write(to, list).unwrap_or_else(|error| panic!("cannot write {}: {error}", to.display()));
}
