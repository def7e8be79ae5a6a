//! Half-way through a port: a timer that still is C's way, one that is Rust, and both on one base.
//!
//! `cargo run --example port_from_c`; it ends after three ticks of each.

use libevent2::{EventBase, Result, Timer, ffi};
use std::ffi::{c_short, c_void};
use std::time::Duration;

const INTERVAL: Duration = Duration::from_millis(20);

/// What C calls a context: the callback gets a `void *` to it.
struct Context {
    ticks: u32,
    event: *mut ffi::event,
}

/// As it was in C:
///
/// ```c
/// static void on_tick(evutil_socket_t fd, short what, void *arg)
/// {
///     struct context *ctx = arg;
///     printf("C's way: tick %u\n", ++ctx->ticks);
///     if (ctx->ticks == 3)
///         event_del(ctx->event);
/// }
/// ```
unsafe extern "C" fn on_tick(_fd: ffi::evutil_socket_t, _what: c_short, arg: *mut c_void) {
    // SAFETY: `main` passes a Context that outlives the event, and lends it to nobody else
    // while the loop runs.
    let context = unsafe { &mut *arg.cast::<Context>() };
    context.ticks += 1;
    println!("C's way: tick {}", context.ticks);
    if context.ticks == 3 {
        // SAFETY: the event is alive until `main` frees it.
        unsafe { ffi::event_del(context.event) };
    }
}

/// Runs the example.
pub fn main() -> Result<()> {
    let mut base = EventBase::new()?;

    // Not ported yet. The base lends its pointer; the lifetimes are the program's business, as
    // they are in C.
    let context = Box::into_raw(Box::new(Context {
        ticks: 0,
        event: std::ptr::null_mut(),
    }));
    let interval = ffi::timeval {
        tv_sec: 0,
        tv_usec: INTERVAL.subsec_micros() as _,
    };
    // SAFETY: the base is alive until after event_free below, and so is the context.
    let event = unsafe {
        let persist = ffi::EV_PERSIST as c_short;
        let event = ffi::event_new(base.as_ptr(), -1, persist, Some(on_tick), context.cast());
        assert!(!event.is_null(), "out of memory");
        (*context).event = event;
        ffi::event_add(event, &interval);
        event
    };

    // Ported: the context is what the closure captures, and event_del and event_free are `close`.
    let mut ticks = 0;
    let _ticker = Timer::every(&base, INTERVAL, move |timer| {
        ticks += 1;
        println!("Rust's way: tick {ticks}");
        if ticks == 3 {
            timer.close();
        }
    })?;

    base.run()?;

    // SAFETY: both are freed once, and the base does not know of the event any more.
    unsafe {
        ffi::event_free(event);
        drop(Box::from_raw(context));
    }
    Ok(())
}
