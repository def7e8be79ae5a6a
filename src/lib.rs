//! Safe Rust over the C [libevent](https://libevent.org) library.
//!
//! A program gets libevent's event loop, with its semantics, and writes closures where C has a
//! function and a `void *`, drops a value where C calls a `*_free`, and gets a [`Result`] where C
//! gives -1. It needs no `unsafe` of its own.
//!
//! ```
//! use libevent2::{EventBase, Timer};
//! use std::time::Duration;
//!
//! let mut base = EventBase::new()?;
//! let mut ticks = 0;
//! let _ticker = Timer::every(&base, Duration::from_millis(10), move |timer| {
//!     ticks += 1;
//!     println!("tick {ticks}");
//!     if ticks == 3 {
//!         timer.handle().exit();
//!     }
//! })?;
//! base.run()?;
//! # Ok::<(), libevent2::Error>(())
//! ```
//!
//! # The loop
//!
//! Three types, one job each:
//!
//! | Type | Job | Where |
//! |---|---|---|
//! | [`EventBase`] | owns the loop and runs it: [`run`](EventBase::run), [`run_once`](EventBase::run_once) … | the thread that made it |
//! | [`LoopHandle`] | makes objects on the loop, stops it, looks at it; cheap to clone, also into callbacks | the same thread |
//! | [`Remote`] | posts closures to the loop, wakes and stops it | any thread |
//!
//! What lives on a loop:
//!
//! | Type | Its callback runs |
//! |---|---|
//! | [`Event`] | when a descriptor is readable, writable or closed by the peer, or after a timeout |
//! | [`Timer`] | after a delay, at a time, or every so often |
//! | [`Signal`] | when a signal arrived, from the loop and not from the signal handler |
//! | [`UserEvent`] | when the program triggers it |
//! | [`Idle`] | when nothing else is ready |
//! | [`BufferEvent`] | when a connection has something to read, has sent all, or has ended: TCP, Unix, TLS, pairs and filters |
//! | [`Listener`] | when somebody has connected |
#![cfg_attr(
    feature = "http",
    doc = "| [`http::Server`] | when a request has come, which it answers at once or later |"
)]
#![cfg_attr(
    all(feature = "async", unix),
    doc = "",
    doc = "Without callbacks: [`block_on`](EventBase::block_on) and [`spawn`](LoopHandle::spawn) run futures",
    doc = "on the same loop ([`task`]); [`time`] and [`net`] have what they await, and a bufferevent is",
    doc = "awaited as a [`stream::AsyncStream`]."
)]
//!
//! # Ownership
//!
//! - The value that a constructor returns owns the C object. Dropping it ends the object: its
//!   callback is not called again, and the closure is dropped. `let _ = Timer::after(…)` is a
//!   timer that never runs; the types are `#[must_use]`.
//! - `detach` gives an object to its base. It lives until it is closed or the base is dropped.
//! - `close` ends an object through a shared reference. It may be called anywhere, also inside the
//!   object's own callback: the closure is then dropped when it returns.
//! - A callback gets a view of its own object ([`TimerRef`] for a [`Timer`]), never the owner. All
//!   methods take `&self`. An owner dereferences to its view, the view of an event to [`EventCore`].
//! - When an [`EventBase`] is dropped, every object that still lives on it is closed. What is left
//!   of it in the program is inert: what can fail returns [`Error::Closed`].
//! - Closures are `'static`: share state with `Rc<Cell<_>>` and `Rc<RefCell<_>>`, or move it in.
//!   An [`Event`] owns its descriptor, or a share in it, so that the number cannot be reused while
//!   it is watched.
//!
//! # Callbacks
//!
//! - No callback runs inside the call that registers or triggers it.
//! - Inside a callback everything is allowed: make objects, close, drop, re-arm or trigger any of
//!   them, replace the running closure (`set_callback`: the new one takes over after the call), stop
//!   the loop. The one thing that cannot be done is to run the same base again.
//! - A callback is never entered twice at a time. What triggers it while it runs is queued.
//!
//! # Errors and panics
//!
//! A constructor or method that can fail returns [`Error`], which says what on which object. A
//! callback may return `()` or a `Result<(), E>`. An error stops the loop, and `run` returns it as
//! [`Error::Callback`]; with [`LoopHandle::on_error`] a handler gets it and the loop goes on.
//!
//! A panic never unwinds into C. It stops the loop, and `run` resumes it with the payload of the
//! first callback that panicked. On a base that C runs, [`LoopHandle::take_panic`] and
//! [`LoopHandle::take_error`] have what happened.
//!
//! # Threads
//!
//! A base, its handles and its objects are `!Send`; only [`Remote`] goes to other threads. A
//! program may have a base per thread. libevent's locks are switched on before the first base is
//! made, so that a C library may use the base from other threads;
//! [`EventConfig::no_lock`] leaves them out for one base. Signals are delivered to one base per
//! process; a second one gets [`Error::SignalsTaken`].
//!
//! # Beside C
//!
//! [`ffi`] has the whole C API of the libevent that is linked. [`EventBase::as_ptr`](LoopHandle::as_ptr)
//! and [`EventCore::as_ptr`] lend the C object to it. [`EventBase::from_ptr`] takes over a base
//! that C made; [`EventBase::attach`] makes Rust objects on a base that C owns and runs.
//! [`EventBase::into_ptr`] and the events' `into_ptr` give an object to C.
//!
//! # From C to Rust
//!
//! The search of this documentation finds the C names. All 425 functions are listed in
//! `docs/coverage.md`.
//!
//! | C | Rust |
//! |---|---|
//! | `event_base_new`, `event_base_free` | [`EventBase::new`], drop |
//! | `event_config_*`, `event_base_priority_init` | [`EventConfig`] |
//! | `event_base_dispatch` | [`EventBase::run`] |
//! | `event_base_loop` with `EVLOOP_ONCE`, `EVLOOP_NONBLOCK`, `EVLOOP_NO_EXIT_ON_EMPTY` | [`run_once`](EventBase::run_once), [`run_nonblocking`](EventBase::run_nonblocking), [`run_until_exit`](EventBase::run_until_exit) |
//! | `event_base_loopexit` | [`exit`](LoopHandle::exit), [`exit_after`](LoopHandle::exit_after) |
//! | `event_base_loopbreak` | [`exit_now`](LoopHandle::exit_now) |
//! | `event_base_loopcontinue` | [`rescan`](LoopHandle::rescan) |
//! | `event_base_got_exit`, `event_base_got_break` | [`LoopEnd`], which `run` returns |
//! | `event_new` and `event_add` | [`Event::new`]; with `EV_TIMEOUT`, a priority, or without `EV_PERSIST`: [`EventBuilder`] |
//! | `event_del`, `event_free` | [`remove`](EventRef::remove), [`close`](EventCore::close) or drop |
//! | `event_active` | [`activate`](EventRef::activate), [`trigger`](UserEventRef::trigger) |
//! | `event_pending` | [`is_pending`](EventCore::is_pending), [`remaining`](EventCore::remaining) |
//! | `event_priority_set` | [`set_priority`](EventCore::set_priority) |
//! | `event_base_once` | [`Event::once`], [`Timer::after`] |
//! | `evtimer_new` and `evtimer_add` | [`Timer::after`], [`Timer::every`], [`Timer::at`]; or [`Timer::new`] and [`set`](TimerRef::set) |
//! | `evsignal_new` and `evsignal_add` | [`Signal::new`] |
//! | `evuser_new`, `evuser_trigger` | [`UserEvent::new`], [`trigger`](UserEventRef::trigger) |
//! | `event_base_init_common_timeout` | [`CommonTimeout`] |
//! | `event_reinit` | [`EventBase::reinit_after_fork`] |
//! | `event_base_dump_events`, `event_base_foreach_event` | [`dump`](LoopHandle::dump), [`events`](LoopHandle::events) |
//! | `event_set_log_callback`, `event_set_fatal_callback` | [`log::set_logger`], [`log::set_fatal_hook`] |
//! | `evthread_use_pthreads` | done before the first base is made; [`Remote`] |
#![cfg_attr(
    feature = "http",
    doc = "| `evhttp_new`, `evhttp_bind_socket`, `evhttp_set_cb`, `evhttp_set_gencb` | [`http::Server::bind`], [`route`](http::ServerRef::route), [`fallback`](http::ServerRef::fallback) |",
    doc = "| `evhttp_request_*`, `evhttp_send_reply` | [`http::Request`], [`respond`](http::Request::respond) |"
)]
//! | `evbuffer_*` | [`Buffer`], and [`BufferRef`] for one that C owns |
//! | `bufferevent_*` | [`BufferEvent`]; the table in [`stream`] |
//! | `evconnlistener_new_bind`, `evconnlistener_new` | [`Listener::bind`], [`Listener::from_socket`] |
//! | `evtag_*` | [`tag`] |
//! | `evdns_*` | [`dns::Resolver`], [`dns::Server`]; the table in [`dns`] |
//!
//! # Features
//!
//! `async` and `http` are on by default. `futures-io`, `tokio` and `hyper` bring the traits of these
//! crates to what `async` has. README.md has the list, and tells how libevent is found.

#![allow(
    clippy::unnecessary_cast,
    reason = "the types of C's constants differ by target"
)]

pub use libevent_sys as ffi;

mod base;
pub mod buffer;
mod callback;
#[cfg(unix)]
pub mod dns;
mod error;
mod event;
#[cfg(feature = "http")]
pub mod evhttp;
#[cfg(feature = "http")]
pub mod http;
mod init;
mod later;
#[cfg(unix)]
pub mod listener;
pub mod log;
#[cfg(all(feature = "async", unix))]
pub mod net;
#[cfg(unix)]
pub mod stream;
mod sync;
pub mod tag;
#[cfg(feature = "async")]
pub mod task;
#[cfg(feature = "async")]
pub mod time;
#[cfg(not(feature = "async"))]
mod time;
pub mod util;
mod version;

pub use base::{
    ConfigFlags, EventBase, EventConfig, EventCounts, EventInfo, Features, Kind, LoopEnd,
    LoopHandle, Remote, Stats,
};
pub use buffer::{Buffer, BufferRef};
pub use callback::CallbackResult;
pub use error::{BoxError, Error, Result};
pub use event::{
    CommonTimeout, Event, EventBuilder, EventCore, EventRef, Idle, IdleRef, Interest, RawSocket,
    Ready, Signal, SignalRef, Source, Timeout, Timer, TimerRef, UserEvent, UserEventRef,
};
pub use init::enable_debug_mode;
#[cfg(unix)]
pub use listener::{Listener, ListenerRef};
#[cfg(unix)]
pub use stream::{BufferEvent, BufferEventRef};
pub use version::{supported_methods, version, version_number};

/// The examples of README.md, as tests.
#[cfg(all(doctest, unix, feature = "async", feature = "http"))]
#[doc = include_str!("../README.md")]
struct Readme;
