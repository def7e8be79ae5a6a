//! The functions written for C's macros do what the macros do: the same steps in C and in Rust must print the same.
#![cfg(unix)]
// The fields of a timeval are i32 on some targets.
#![allow(clippy::unnecessary_cast)]

mod common;

use std::ffi::{c_short, c_void};
use std::fmt::Write;
use std::ptr::null_mut;

use libevent_sys::compat::*;
use libevent_sys::*;

/// Prints what is known of an event after `step`.
const C_HELPERS: &str = r#"
#include <stdio.h>
#include <string.h>
static void cb(evutil_socket_t fd, short what, void *arg) { (void)fd; (void)what; ++*(int *)arg; }
#define ALL (EV_TIMEOUT|EV_READ|EV_WRITE|EV_SIGNAL)
#define SHOW(step, ev) printf("%s: fd %d events %d pending %d initialized %d fired %d\n", step, (int)event_get_fd(ev), \
    (int)event_get_events(ev), event_pending((ev), ALL, NULL), event_initialized(ev) != 0, fired)
#define N(step, value) printf("%s: %lld\n", step, (long long)(value))
"#;

unsafe extern "C" fn callback(_: evutil_socket_t, _: c_short, fired: *mut c_void) {
    // SAFETY: the test passes a pointer to its own i32, which outlives the loop.
    unsafe { *fired.cast::<i32>() += 1 }
}

struct Printed(String);

impl Printed {
    unsafe fn event(&mut self, step: &str, ev: *const event, fired: *const i32) {
        // SAFETY: the caller passes an initialised event and its counter.
        let (fd, events, pending, initialized, fired) = unsafe {
            let all = EV_TIMEOUT | EV_READ | EV_WRITE | EV_SIGNAL;
            (
                event_get_fd(ev),
                event_get_events(ev),
                event_pending(ev, all, null_mut()),
                event_initialized(ev) != 0,
                *fired,
            )
        };
        let initialized = u8::from(initialized);
        let _ = writeln!(
            self.0,
            "{step}: fd {fd} events {events} pending {pending} initialized {initialized} fired {fired}"
        );
    }

    fn number(&mut self, step: &str, value: impl Into<i64>) {
        let _ = writeln!(self.0, "{step}: {}", value.into());
    }
}

#[test]
fn events() {
    let c = common::includes(false)
        + C_HELPERS
        + r#"
int main(void) {
    int fired = 0;
    struct timeval tv = { 0, 1000 }, hour = { 3600, 0 };
    struct event_base *base = event_base_new();
    struct event *ev = evtimer_new(base, cb, &fired);
    SHOW("evtimer_new", ev);
    N("evtimer_add", evtimer_add(ev, &tv));
    N("evtimer_pending", evtimer_pending(ev, NULL));
    N("evtimer_initialized", evtimer_initialized(ev) != 0);
    event_base_dispatch(base);
    SHOW("ran", ev);
    evtimer_add(ev, &hour);
    N("evtimer_del", evtimer_del(ev));
    SHOW("deleted", ev);
    event_free(ev);

    struct event own;
    memset(&own, 0, sizeof(own));
    N("not yet", evtimer_initialized(&own) != 0);
    N("evtimer_assign", evtimer_assign(&own, base, cb, &fired));
    SHOW("assigned", &own);

    ev = evsignal_new(base, 10, cb, &fired);
    SHOW("evsignal_new", ev);
    N("event_get_signal", event_get_signal(ev));
    N("evsignal_add", evsignal_add(ev, NULL));
    N("evsignal_pending", evsignal_pending(ev, NULL));
    N("evsignal_initialized", evsignal_initialized(ev) != 0);
    raise(10);
    event_base_loop(base, EVLOOP_ONCE);
    SHOW("raised", ev);
    N("evsignal_del", evsignal_del(ev));
    N("evsignal_pending", evsignal_pending(ev, NULL));
    event_free(ev);
    N("evsignal_assign", evsignal_assign(&own, base, 12, cb, &fired));
    SHOW("evsignal_assign", &own);

    ev = evuser_new(base, cb, &fired);
    SHOW("evuser_new", ev);
    evuser_trigger(ev);
    N("evuser_pending", evuser_pending(ev, NULL));
    N("evuser_initialized", evuser_initialized(ev) != 0);
    event_base_loop(base, EVLOOP_NONBLOCK);
    SHOW("triggered", ev);
    evuser_trigger(ev);
    N("evuser_del", evuser_del(ev));
    event_base_loop(base, EVLOOP_NONBLOCK);
    SHOW("deleted", ev);
    event_free(ev);
    event_base_free(base);

    base = event_init();
    evtimer_set(&own, cb, &fired); SHOW("evtimer_set", &own);
    evsignal_set(&own, 10, cb, &fired); SHOW("evsignal_set", &own);
    timeout_set(&own, cb, &fired); SHOW("timeout_set", &own);
    N("timeout_add", timeout_add(&own, &hour));
    N("timeout_pending", timeout_pending(&own, NULL));
    N("timeout_initialized", timeout_initialized(&own) != 0);
    N("timeout_del", timeout_del(&own));
    signal_set(&own, 10, cb, &fired); SHOW("signal_set", &own);
    N("signal_add", signal_add(&own, NULL));
    N("signal_pending", signal_pending(&own, NULL));
    N("signal_initialized", signal_initialized(&own) != 0);
    N("EVENT_SIGNAL", EVENT_SIGNAL(&own));
    N("EVENT_FD", EVENT_FD(&own));
    N("signal_del", signal_del(&own));
    SHOW("end", &own);

    struct evbuffer *buffer = evbuffer_new();
    encode_int(buffer, 0x1234);
    N("EVBUFFER_LENGTH", EVBUFFER_LENGTH(buffer));
    N("EVBUFFER_DATA", EVBUFFER_DATA(buffer)[0]);
    evbuffer_free(buffer);
    struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);
    N("EVBUFFER_INPUT", EVBUFFER_INPUT(bev) == bufferevent_get_input(bev));
    N("EVBUFFER_OUTPUT", EVBUFFER_OUTPUT(bev) == bufferevent_get_output(bev));
    bufferevent_free(bev);
    event_base_free(base);
    return 0;
}
"#;
    assert_eq!(
        rust_events(),
        common::run_c(
            "events",
            &c.replacen("int main", "#include <signal.h>\nint main", 1)
        )
    );
}

fn rust_events() -> String {
    let mut out = Printed(String::new());
    let tv = timeval {
        tv_sec: 0,
        tv_usec: 1000,
    };
    let hour = timeval {
        tv_sec: 3600,
        tv_usec: 0,
    };
    // SAFETY: one thread; every event is freed or not pending before its base is freed; `fired` and `own` outlive the bases.
    unsafe {
        let mut counter = 0i32;
        let fired: *mut i32 = &raw mut counter;
        let (cb, arg): (event_callback_fn, _) = (Some(callback), fired.cast::<c_void>());
        let base = event_base_new();
        let ev = evtimer_new(base, cb, arg);
        out.event("evtimer_new", ev, fired);
        out.number("evtimer_add", evtimer_add(ev, &tv));
        out.number("evtimer_pending", evtimer_pending(ev, null_mut()));
        out.number("evtimer_initialized", evtimer_initialized(ev) != 0);
        event_base_dispatch(base);
        out.event("ran", ev, fired);
        evtimer_add(ev, &hour);
        out.number("evtimer_del", evtimer_del(ev));
        out.event("deleted", ev, fired);
        event_free(ev);

        let mut own: event = std::mem::zeroed();
        let own: *mut event = &raw mut own;
        out.number("not yet", evtimer_initialized(own) != 0);
        out.number("evtimer_assign", evtimer_assign(own, base, cb, arg));
        out.event("assigned", own, fired);

        let ev = evsignal_new(base, 10, cb, arg);
        out.event("evsignal_new", ev, fired);
        out.number("event_get_signal", event_get_signal(ev));
        out.number("evsignal_add", evsignal_add(ev, std::ptr::null()));
        out.number("evsignal_pending", evsignal_pending(ev, null_mut()));
        out.number("evsignal_initialized", evsignal_initialized(ev) != 0);
        libc::raise(10);
        event_base_loop(base, EVLOOP_ONCE);
        out.event("raised", ev, fired);
        out.number("evsignal_del", evsignal_del(ev));
        out.number("evsignal_pending", evsignal_pending(ev, null_mut()));
        event_free(ev);
        out.number("evsignal_assign", evsignal_assign(own, base, 12, cb, arg));
        out.event("evsignal_assign", own, fired);

        let ev = evuser_new(base, cb, arg);
        out.event("evuser_new", ev, fired);
        evuser_trigger(ev);
        out.number("evuser_pending", evuser_pending(ev, null_mut()));
        out.number("evuser_initialized", evuser_initialized(ev) != 0);
        event_base_loop(base, EVLOOP_NONBLOCK);
        out.event("triggered", ev, fired);
        evuser_trigger(ev);
        out.number("evuser_del", evuser_del(ev));
        event_base_loop(base, EVLOOP_NONBLOCK);
        out.event("deleted", ev, fired);
        event_free(ev);
        event_base_free(base);

        let base = event_init();
        evtimer_set(own, cb, arg);
        out.event("evtimer_set", own, fired);
        evsignal_set(own, 10, cb, arg);
        out.event("evsignal_set", own, fired);
        timeout_set(own, cb, arg);
        out.event("timeout_set", own, fired);
        out.number("timeout_add", timeout_add(own, &hour));
        out.number("timeout_pending", timeout_pending(own, null_mut()));
        out.number("timeout_initialized", timeout_initialized(own) != 0);
        out.number("timeout_del", timeout_del(own));
        signal_set(own, 10, cb, arg);
        out.event("signal_set", own, fired);
        out.number("signal_add", signal_add(own, std::ptr::null()));
        out.number("signal_pending", signal_pending(own, null_mut()));
        out.number("signal_initialized", signal_initialized(own) != 0);
        out.number("EVENT_SIGNAL", EVENT_SIGNAL(own));
        out.number("EVENT_FD", EVENT_FD(own));
        out.number("signal_del", signal_del(own));
        out.event("end", own, fired);

        let buffer = evbuffer_new();
        encode_int(buffer, 0x1234);
        out.number("EVBUFFER_LENGTH", EVBUFFER_LENGTH(buffer) as i64);
        out.number("EVBUFFER_DATA", *EVBUFFER_DATA(buffer));
        evbuffer_free(buffer);
        let bev = bufferevent_socket_new(base, -1, 0);
        out.number(
            "EVBUFFER_INPUT",
            EVBUFFER_INPUT(bev) == bufferevent_get_input(bev),
        );
        out.number(
            "EVBUFFER_OUTPUT",
            EVBUFFER_OUTPUT(bev) == bufferevent_get_output(bev),
        );
        bufferevent_free(bev);
        event_base_free(base);
    }
    out.0
}

/// Pairs with every relation: equal, seconds differ, microseconds differ, carry and borrow.
const TIMES: [(i64, i64); 5] = [(0, 0), (0, 1), (1, 999_999), (2, 1), (2, 500_000)];

#[test]
fn time_arithmetic() {
    let mut c = common::includes(false) + C_HELPERS + "int main(void) { struct timeval a, b, r;\n";
    let mut rust = Printed(String::new());
    for (a, b) in TIMES
        .iter()
        .flat_map(|a| TIMES.iter().map(move |b| (*a, *b)))
    {
        let _ = writeln!(
            c,
            "a.tv_sec = {}; a.tv_usec = {}; b.tv_sec = {}; b.tv_usec = {};\n\
             evutil_timeradd(&a, &b, &r); N(\"add s\", r.tv_sec); N(\"add us\", r.tv_usec);\n\
             evutil_timersub(&a, &b, &r); N(\"sub s\", r.tv_sec); N(\"sub us\", r.tv_usec);\n\
             N(\"lt\", evutil_timercmp(&a, &b, <)); N(\"eq\", evutil_timercmp(&a, &b, ==)); N(\"ge\", evutil_timercmp(&a, &b, >=));\n\
             N(\"isset\", evutil_timerisset(&a) != 0);",
            a.0, a.1, b.0, b.1
        );
        let time = |t: (i64, i64)| timeval {
            tv_sec: t.0 as _,
            tv_usec: t.1 as _,
        };
        let (a, b, mut r) = (time(a), time(b), time((7, 7)));
        // SAFETY: all three are this function's own.
        unsafe {
            evutil_timeradd(&a, &b, &mut r);
            rust.number("add s", r.tv_sec as i64);
            rust.number("add us", r.tv_usec as i64);
            evutil_timersub(&a, &b, &mut r);
            rust.number("sub s", r.tv_sec as i64);
            rust.number("sub us", r.tv_usec as i64);
            let order = evutil_timercmp(&a, &b);
            rust.number("lt", order.is_lt());
            rust.number("eq", order.is_eq());
            rust.number("ge", order.is_ge());
            rust.number("isset", evutil_timerisset(&a));
        }
    }
    let _ = writeln!(
        c,
        "evutil_timerclear(&r); N(\"clear\", evutil_timerisset(&r) != 0); return 0; }}"
    );
    let mut r = timeval {
        tv_sec: 1,
        tv_usec: 1,
    };
    // SAFETY: this function's own.
    unsafe {
        evutil_timerclear(&mut r);
        rust.number("clear", evutil_timerisset(&r));
    }
    assert_eq!(rust.0, common::run_c("time", &c));
}

#[test]
fn socket_errors() {
    let c = common::includes(false)
        + C_HELPERS
        + r#"
int main(void) {
    EVUTIL_SET_SOCKET_ERROR(11);
    N("error", EVUTIL_SOCKET_ERROR());
    N("geterror", evutil_socket_geterror(-1));
    puts(evutil_socket_error_to_string(11));
    N("close", EVUTIL_CLOSESOCKET(-1));
    struct timeval tv = { 0, 0 };
    N("time", evutil_gettimeofday(&tv, NULL));
    N("set", tv.tv_sec > 1000000000);
    return 0;
}
"#;
    let mut rust = Printed(String::new());
    EVUTIL_SET_SOCKET_ERROR(11);
    rust.number("error", EVUTIL_SOCKET_ERROR());
    rust.number("geterror", evutil_socket_geterror(-1));
    // SAFETY: only this test of this program calls strerror; -1 is nobody's socket; tv is this function's own.
    unsafe {
        let text = std::ffi::CStr::from_ptr(evutil_socket_error_to_string(11))
            .to_str()
            .unwrap();
        let _ = writeln!(rust.0, "{text}");
        rust.number("close", EVUTIL_CLOSESOCKET(-1));
        let mut tv = timeval {
            tv_sec: 0,
            tv_usec: 0,
        };
        rust.number("time", evutil_gettimeofday(&mut tv, null_mut()));
        rust.number("set", tv.tv_sec > 1_000_000_000);
    }
    assert_eq!(rust.0, common::run_c("errors", &c));
}
