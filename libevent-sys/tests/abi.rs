//! Sizes, alignments, offsets and constants are those of C: the Rust values are compared with what a C program prints.
#![cfg(unix)]

mod common;

use std::fmt::Write;
use std::mem::{align_of, offset_of, size_of};

use libevent_sys::*;

/// For each type: its C name, its size and alignment, and the offsets of its fields (with the C name where it differs).
macro_rules! layouts {
    ($($type:ty = $c:literal { $($($field:ident).+ $(= $cfield:literal)?),* $(,)? })*) => {
        [$((
            $c,
            size_of::<$type>(),
            align_of::<$type>(),
            vec![$((c_field(stringify!($($field).+), &[$($cfield)?]), offset_of!($type, $($field).+))),*],
        )),*]
    };
}

fn c_field(field: &str, name_in_c: &[&str]) -> String {
    name_in_c.first().unwrap_or(&field).replace(' ', "")
}

#[test]
fn layouts() {
    let layouts = layouts! {
        event = "struct event" {
            ev_evcallback, ev_evcallback.evcb_active_next, ev_evcallback.evcb_flags, ev_evcallback.evcb_pri,
            ev_evcallback.evcb_closure, ev_evcallback.evcb_cb_union, ev_evcallback.evcb_arg, ev_timeout_pos,
            ev_timeout_pos.min_heap_idx, ev_timeout_pos.ev_next_with_common_timeout, ev_fd, ev_base, ev_, ev_.ev_io,
            ev_.ev_io.ev_io_next, ev_.ev_io.ev_timeout, ev_.ev_signal.ev_signal_next, ev_.ev_signal.ev_ncalls,
            ev_.ev_signal.ev_pncalls, ev_events, ev_res, ev_timeout,
        }
        event_callback = "struct event_callback" { evcb_active_next, evcb_flags, evcb_pri, evcb_closure, evcb_cb_union, evcb_arg }
        event_watermark = "struct event_watermark" { low, high }
        bufferevent = "struct bufferevent" {
            ev_base, be_ops, ev_read, ev_write, input, output, wm_read, wm_write, readcb, writecb, errorcb, cbarg, timeout_read,
            timeout_write, enabled,
        }
        evbuffer_ptr = "struct evbuffer_ptr" { pos, internal_, internal_.chain, internal_.pos_in_chain }
        evbuffer_cb_info = "struct evbuffer_cb_info" { orig_size, n_added, n_deleted }
        evbuffer_iovec = "struct evbuffer_iovec" { iov_base, iov_len }
        evkeyval = "struct evkeyval" { next, next.tqe_next, next.tqe_prev, key, value }
        evkeyvalq = "struct evkeyvalq" { tqh_first, tqh_last }
        event_list = "struct event_list" { tqh_first, tqh_last }
        evdns_server_request = "struct evdns_server_request" { flags, nquestions, questions }
        evdns_server_question = "struct evdns_server_question" { type_ = "type", class = "dns_question_class", name }
        evhttp_request = "struct evhttp_request" {
            next, next.tqe_next, evcon, flags, input_headers, output_headers, remote_host, remote_port, host_cache, kind,
            type_ = "type", headers_size, body_size, uri, uri_elems, major, minor, response_code, response_code_line,
            input_buffer, ntoread, output_buffer, cb, cb_arg, chunk_cb, header_cb, error_cb, on_complete_cb, on_complete_cb_arg,
        }
        evrpc_status = "struct evrpc_status" { error, http_req }
        evrpc = "struct evrpc" {
            next, uri, request_new, request_new_arg, request_free, request_unmarshal, reply_new, reply_new_arg, reply_free,
            reply_complete, reply_marshal, cb, cb_arg, base,
        }
        evthread_lock_callbacks = "struct evthread_lock_callbacks" { lock_api_version, supported_locktypes, alloc, free, lock, unlock }
        evthread_condition_callbacks = "struct evthread_condition_callbacks" {
            condition_api_version, alloc_condition, free_condition, signal_condition, wait_condition,
        }
        evutil_addrinfo = "struct evutil_addrinfo" { ai_flags, ai_addr, ai_canonname, ai_next }
        timeval = "struct timeval" { tv_sec, tv_usec }
        evutil_socket_t = "evutil_socket_t" {}
        evhttp_cmd_type = "enum evhttp_cmd_type" {}
        bufferevent_options = "enum bufferevent_options" {}
        socklen_t = "ev_socklen_t" {}
        i64 = "ev_off_t" {}
        isize = "ev_ssize_t" {}
    };

    let (mut program, mut expected) = (start(), String::new());
    for (name, size, align, fields) in &layouts {
        let _ = writeln!(
            program,
            r#"P("{name} size", sizeof({name})); P("{name} align", _Alignof({name}));"#
        );
        let _ = writeln!(expected, "{name} size = {size}\n{name} align = {align}");
        for (field, offset) in fields {
            let _ = writeln!(
                program,
                r#"P("{name} {field}", offsetof({name}, {field}));"#
            );
            let _ = writeln!(expected, "{name} {field} = {offset}");
        }
    }
    compare(
        &common::run_c("layouts", &(program + "return 0; }\n")),
        &expected,
    );
}

/// Every integer constant of the bindings, read from their text, so that none is forgotten.
#[test]
fn generated_constants() {
    let bindings = include_str!(concat!(env!("OUT_DIR"), "/bindings.rs"));
    let constants: Vec<_> = bindings
        .lines()
        .filter_map(|line| line.strip_prefix("pub const "))
        .filter_map(|line| line.strip_suffix(';')?.split_once(": "))
        .filter_map(|(name, rest)| Some((name, rest.split_once(" = ")?.1.parse::<i64>().ok()?)))
        // That part is bound only with OpenSSL; its header is empty otherwise.
        .filter(|(name, _)| cfg!(feature = "openssl") || !(name.starts_with("BUFFEREVENT_SSL_")))
        .collect();
    assert!(
        constants.len() > 150,
        "only {} constants found",
        constants.len()
    );
    compare_constants("generated_constants", &constants);
}

/// The ones written by hand.
#[test]
fn handwritten_constants() {
    macro_rules! list {
        ($($name:ident),* $(,)?) => { vec![$((stringify!($name), $name as i64)),*] };
    }
    let mut constants = list![
        DNS_OPTIONS_ALL,
        LIBEVENT_VERSION_NUMBER,
        EV_SIZE_MAX,
        EV_SSIZE_MAX,
        EV_SSIZE_MIN,
        EV_RATE_LIMIT_MAX,
        EVTHREAD_USE_PTHREADS_IMPLEMENTED,
        EVUTIL_EAI_AGAIN,
        EVUTIL_EAI_BADFLAGS,
        EVUTIL_EAI_CANCEL,
        EVUTIL_EAI_FAIL,
        EVUTIL_EAI_FAMILY,
        EVUTIL_EAI_MEMORY,
        EVUTIL_EAI_NONAME,
        EVUTIL_EAI_SERVICE,
        EVUTIL_EAI_SOCKTYPE,
        EVUTIL_EAI_SYSTEM,
        EVUTIL_AI_PASSIVE,
        EVUTIL_AI_CANONNAME,
        EVUTIL_AI_NUMERICHOST,
    ];
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    constants.extend(list![
        EVUTIL_EAI_ADDRFAMILY,
        EVUTIL_EAI_NODATA,
        EVUTIL_AI_NUMERICSERV,
        EVUTIL_AI_V4MAPPED,
        EVUTIL_AI_ALL,
        EVUTIL_AI_ADDRCONFIG,
    ]);
    #[cfg(libevent_2_2)]
    constants.extend(list![EVHTTP_REQ_MAX]);
    compare_constants("handwritten_constants", &constants);
}

fn start() -> String {
    let includes = common::includes(cfg!(feature = "openssl"));
    format!(
        "#include <stddef.h>\n#include <stdio.h>\n{includes}\n\
         #define P(name, value) printf(\"%s = %lld\\n\", name, (long long)(value))\nint main(void) {{\n"
    )
}

fn compare_constants(name: &str, constants: &[(&str, i64)]) {
    let (mut program, mut expected) = (start(), String::new());
    for (constant, value) in constants {
        let _ = writeln!(program, r#"P("{constant}", {constant});"#);
        let _ = writeln!(expected, "{constant} = {value}");
    }
    compare(
        &common::run_c(name, &(program + "return 0; }\n")),
        &expected,
    );
}

/// Line by line, so that a failure names the constant or field.
fn compare(c: &str, rust: &str) {
    let differences: Vec<_> = c
        .lines()
        .zip(rust.lines())
        .filter(|(c, rust)| c != rust)
        .collect();
    assert!(differences.is_empty(), "(C, Rust): {differences:#?}");
    assert_eq!(c.lines().count(), rust.lines().count());
}
