//! libevent compiled from source by the crate libevent-src.

use crate::found::{Found, is_set, var};

pub fn build() -> Result<Found, String> {
    let mut build = libevent_src::Build::new();
    if let Some(dir) = var("LIBEVENT_SOURCE_DIR") {
        build.source_dir(dir);
    }
    build.lto(is_set("LIBEVENT_LTO"));
    #[cfg(feature = "openssl")]
    build.openssl(crate::found::openssl_include_dirs());

    let artifacts = build.build().map_err(|error| error.to_string())?;
    for warning in &artifacts.warnings {
        println!("cargo:warning={warning}");
    }
    for path in &artifacts.watch {
        println!("cargo:rerun-if-changed={}", path.display());
    }
    Ok(Found {
        include_dirs: vec![artifacts.include_dir],
        lib_dirs: vec![artifacts.lib_dir],
        root: Some(artifacts.root),
        libs: artifacts.libs,
        is_static: true,
        system_libs: artifacts.system_libs,
        vendored: true,
        version_text: Some(artifacts.source.version),
    })
}
