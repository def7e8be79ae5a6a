//! Compiles and runs a C program with the headers and libraries that this crate was built with.

#![allow(dead_code)]

use std::fs;
use std::path::Path;
use std::process::Command;

/// All public headers that the libevent at hand has.
pub fn includes(ssl: bool) -> String {
    let mut headers = vec![
        "event",
        "event_struct",
        "buffer",
        "bufferevent",
        "bufferevent_struct",
        "dns",
        "dns_struct",
        "http",
        "http_struct",
        "keyvalq_struct",
        "listener",
        "rpc",
        "rpc_struct",
        "tag",
        "thread",
        "util",
        "buffer_compat",
        "bufferevent_compat",
        "dns_compat",
        "event_compat",
        "http_compat",
        "rpc_compat",
        "tag_compat",
    ];
    if cfg!(libevent_2_2) {
        headers.extend(["watch", "ws"]);
    }
    if ssl {
        headers.push("bufferevent_ssl");
    }
    headers
        .iter()
        .map(|header| format!("#include <event2/{header}.h>\n"))
        .collect()
}

/// What the C program prints.
pub fn run_c(name: &str, source: &str) -> String {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (file, program) = (dir.join(format!("{name}.c")), dir.join(name));
    fs::write(&file, source).unwrap();

    let target = env!("LIBEVENT_SYS_TARGET");
    let mut compiler = cc::Build::new();
    compiler
        .target(target)
        .host(target)
        .opt_level(0)
        .debug(false)
        .cargo_metadata(false)
        .warnings(false);
    let mut command = compiler.get_compiler().to_command();
    command.args(["-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64"]);
    for dir in std::env::split_paths(env!("LIBEVENT_SYS_INCLUDE")) {
        command.arg(format!("-I{}", dir.display()));
    }
    command.arg(&file).arg("-o").arg(&program);
    for dir in std::env::split_paths(env!("LIBEVENT_SYS_LIB")) {
        command
            .arg(format!("-L{}", dir.display()))
            .arg(format!("-Wl,-rpath,{}", dir.display()));
    }
    command.args([
        "-levent_extra",
        "-levent_pthreads",
        "-levent_core",
        "-lpthread",
    ]);
    // A sanitizer that is preloaded for this test is not for the compiler.
    command.env_remove("LD_PRELOAD");
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{:?} {:?}\n{}",
        command.get_program(),
        command.get_args(),
        String::from_utf8_lossy(&output.stderr)
    );

    let output = Command::new(&program).output().unwrap();
    assert!(
        output.status.success(),
        "{name}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
