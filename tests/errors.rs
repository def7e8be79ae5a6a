//! What becomes of an error: one that a callback returns, and one that a call returns.

#[path = "common/mod.rs"]
mod common;
#[path = "kinds/mod.rs"]
mod kinds;

use common::{Bump, Count, bounded, count};
use kinds::{Readable, Subject, base};
use libevent2::dns::{Cause, Config, Resolver};
use libevent2::{
    BoxError, CommonTimeout, Error, Event, EventBase, EventBuilder, EventConfig, Features, Idle,
    Interest, LoopEnd, LoopHandle, Ready, Signal, Timer, UserEvent, supported_methods,
};
use std::cell::RefCell;
use std::error::Error as _;
use std::fmt;
use std::fs::File;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// An error of a handler's own.
#[derive(Debug)]
struct NoLuck(u32);

impl fmt::Display for NoLuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no luck, {} times", self.0)
    }
}

impl std::error::Error for NoLuck {}

#[track_caller]
fn no_luck(result: Result<LoopEnd, Error>) -> u32 {
    match result {
        Err(Error::Callback(error)) => error.downcast_ref::<NoLuck>().unwrap().0,
        other => panic!("{other:?}"),
    }
}

for_each_kind! {
    an_error_stops_the_loop_and_run_returns_it,
    with_an_error_handler_the_loop_goes_on,
    an_error_of_a_replacement_counts_as_much,
    an_error_from_a_callback_that_closed_itself_is_not_lost,
}

fn an_error_stops_the_loop_and_run_returns_it<S: Subject>() {
    let ran = count();
    let mut base = base();
    let counted = ran.clone();
    let owner = S::make(&base, move |view| {
        if counted.bump() == 1 {
            return Err(NoLuck(1));
        }
        view.close();
        Ok(())
    })
    .unwrap();
    assert_eq!(no_luck(base.run()), 1);
    assert_eq!(ran.get(), 1);
    S::fire(&owner).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(ran.get(), 2);
}

fn with_an_error_handler_the_loop_goes_on<S: Subject>() {
    let mut base = base();
    let seen: Rc<RefCell<Vec<u32>>> = Rc::default();
    let list = seen.clone();
    base.on_error(move |_, error| {
        list.borrow_mut()
            .push(error.downcast_ref::<NoLuck>().unwrap().0);
    });
    let mut n = 0;
    let _owner = S::make(&base, move |view| {
        n += 1;
        if n == 3 {
            view.close();
        } else {
            S::fire(view)?;
        }
        Err::<(), BoxError>(NoLuck(n).into())
    })
    .unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(*seen.borrow(), [1, 2, 3]);
}

fn an_error_of_a_replacement_counts_as_much<S: Subject>() {
    let mut base = base();
    let owner = S::make(&base, |_| ()).unwrap();
    S::replace(&owner, |_| Err(NoLuck(5))).unwrap();
    assert_eq!(no_luck(base.run()), 5);
}

fn an_error_from_a_callback_that_closed_itself_is_not_lost<S: Subject>() {
    let mut base = base();
    let owner = S::make(&base, |view| {
        view.close();
        Err(NoLuck(6))
    });
    S::detach(owner.unwrap());
    assert_eq!(no_luck(base.run()), 6);
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn what_runs_once_may_fail_too() {
    let _bound = bounded();
    let mut base = base();
    let _timer = Timer::after(&base, Duration::ZERO, |_| Err(NoLuck(1))).unwrap();
    assert_eq!(no_luck(base.run()), 1);
    let _idle = Idle::once(&base, |_| Err(NoLuck(2))).unwrap();
    assert_eq!(no_luck(base.run()), 2);
    let source = Readable::new();
    let _event = Event::once(&base, source, Interest::READ, None, |_, _| Err(NoLuck(3))).unwrap();
    assert_eq!(no_luck(base.run()), 3);
    base.remote().unwrap().post(|_| Err(NoLuck(4))).unwrap();
    assert_eq!(no_luck(base.run()), 4);
    base.on_exit(|_| Err(NoLuck(5)));
    assert_eq!(no_luck(base.run()), 5);
}

#[test]
fn jobs_and_exit_hooks_report_to_the_error_handler() {
    let _bound = bounded();
    let mut base = base();
    let seen = count();
    let counted = seen.clone();
    base.on_error(move |_, _| {
        counted.bump();
    });
    let ran = Arc::new(Mutex::new(0));
    let remote = base.remote().unwrap();
    for _ in 0..3 {
        let ran = ran.clone();
        let job = move |_: &LoopHandle| {
            *ran.lock().unwrap() += 1;
            Err(NoLuck(1))
        };
        remote.post(job).unwrap();
    }
    base.on_exit(|_| Err(NoLuck(2)));
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!((seen.get(), *ran.lock().unwrap()), (4, 3));
}

#[test]
fn of_two_errors_the_first_is_returned() {
    let _bound = bounded();
    let mut base = base();
    let _timer = Timer::after(&base, Duration::ZERO, |_| Err(NoLuck(1))).unwrap();
    base.on_exit(|_| Err(NoLuck(2)));
    assert_eq!(no_luck(base.run()), 1);
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
}

/// A user event that fails as often as it is triggered.
fn failing(base: &LoopHandle) -> UserEvent {
    let event = UserEvent::new(base, |_| Err(NoLuck(1))).unwrap();
    event.trigger().unwrap();
    event
}

#[test]
fn an_error_handler_may_put_another_in_its_place() {
    let _bound = bounded();
    let mut base = base();
    let (first, second): (Count, Count) = (count(), count());
    let counted = (first.clone(), second.clone());
    base.on_error(move |handle, _| {
        counted.0.bump();
        let second = counted.1.clone();
        handle.on_error(move |_, _| {
            second.bump();
        });
    });
    let event = failing(&base);
    base.run().unwrap();
    event.trigger().unwrap();
    base.run().unwrap();
    assert_eq!((first.get(), second.get()), (1, 1));
}

#[test]
fn an_error_handler_may_stop_the_loop() {
    let _bound = bounded();
    let mut base = base();
    base.on_error(|handle, _| handle.exit_now());
    let _event = failing(&base);
    let _ticker = Timer::every(&base, Duration::from_millis(1), |_| ()).unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::Break);
}

// --- errors of calls -------------------------------------------------------------------------------

/// The error's text must name what it is about.
#[track_caller]
fn says<T>(result: Result<T, Error>, parts: &[&str]) -> Error {
    let Err(error) = result else {
        panic!("no error");
    };
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
    error
}

#[test]
fn os_names_the_call_the_descriptor_and_the_systems_reason() {
    let base = base();
    if base.method() != "epoll" {
        return assert!(base.features().contains(Features::FDS));
    }
    let file = Rc::new(File::open("Cargo.toml").unwrap());
    let fd = std::os::fd::AsRawFd::as_raw_fd(&*file);
    let error = says(
        Event::new(&base, file, Interest::READ, |_, _| ()),
        &["event_add", &format!("descriptor {fd}"), "not permitted"],
    );
    assert!(matches!(error, Error::Os { .. }));
    assert_eq!(error.io().unwrap().raw_os_error(), Some(libc::EPERM));
    assert_eq!(
        io::Error::from(error).kind(),
        io::ErrorKind::PermissionDenied
    );
}

#[test]
fn a_signal_that_the_system_refuses_is_named() {
    let _turn = kinds::signals();
    let base = base();
    // Kept by glibc for itself.
    let error = says(Signal::new(&base, 32, |_| ()), &["event_add", "signal 32"]);
    assert!(matches!(error, Error::Os { .. }));
    // What was refused is not counted as taken.
    let other = EventBase::new().unwrap();
    Signal::new(&other, libc::SIGUSR2, |_| ()).unwrap().close();
}

#[test]
fn libevent_names_the_function_that_refused() {
    let base = base();
    for millis in 1..=256 {
        CommonTimeout::new(&base, Duration::from_millis(millis)).unwrap();
    }
    CommonTimeout::new(&base, Duration::from_millis(7)).unwrap();
    let error = says(
        CommonTimeout::new(&base, Duration::from_millis(257)),
        &["libevent refused event_base_init_common_timeout"],
    );
    assert!(matches!(error, Error::Libevent { .. }));
}

#[test]
fn closed_names_what_is_closed() {
    let base = base();
    let handle = base.handle().clone();
    let remote = base.remote().unwrap();
    let event = UserEvent::new(&base, |_| ()).unwrap();
    drop(base);
    for error in [
        says(Timer::new(&handle, |_| ()), &["event base is closed"]),
        says(handle.remote(), &["event base is closed"]),
        says(handle.dump(), &["event base is closed"]),
        says(handle.events(), &["event base is closed"]),
        says(handle.exit_after(Duration::ZERO), &["event base"]),
        says(handle.activate_fd(0, Ready::READ), &["event base"]),
        says(handle.activate_signal(1), &["event base"]),
        says(
            CommonTimeout::new(&handle, Duration::ZERO),
            &["event base is closed"],
        ),
        says(remote.post(|_| ()), &["event base is closed"]),
        says(remote.wake(), &["event base is closed"]),
        says(remote.stop(), &["event base is closed"]),
        says(event.trigger(), &["event is closed"]),
    ] {
        assert!(matches!(error, Error::Closed { .. }));
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::NotConnected);
    }
    handle.exit();
    handle.exit_now();
    handle.rescan();
    handle.update_time();
    handle.now();
    assert_eq!((handle.method(), handle.priorities()), ("", 0));
    assert!(handle.as_ptr().is_null());
}

/// T31: the number of priorities is fixed before there is an event.
#[test]
fn invalid_names_the_argument_and_what_would_do() {
    let _turn = kinds::signals();
    let base = base();
    let config = EventConfig::new;
    for error in [
        says(
            config().priorities(0).build(),
            &["priorities", "between 1 and 256"],
        ),
        says(config().priorities(257).build(), &["priorities", "257"]),
        says(
            config().avoid_method("e\0").build(),
            &["avoid_method", "NUL"],
        ),
        says(
            Timer::every(&base, Duration::ZERO, |_| ()),
            &["interval", "zero", "Idle"],
        ),
        says(
            UserEvent::new(&base, |_| ()).unwrap().set_priority(3),
            &["priority", "3 is not below the 3"],
        ),
        says(
            EventBuilder::new(Interest::EDGE).build(&base, Readable::new(), |_, _| ()),
            &["interest", "nothing to wait for"],
        ),
        says(Signal::new(&base, 99, |_| ()), &["99 is no signal"]),
        says(
            Signal::new(&base, libc::SIGKILL, |_| ()),
            &["signal", "9 cannot be caught"],
        ),
        says(
            libevent2::enable_debug_mode(),
            &["debug mode", "before the first event base"],
        ),
    ] {
        assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::InvalidInput);
    }
}

#[test]
fn a_priority_cannot_change_while_the_event_is_active() {
    let base = base();
    let event = UserEvent::new(&base, |_| ()).unwrap();
    event.trigger().unwrap();
    says(event.set_priority(0), &["priority", "active"]);
    event.cancel();
    event.set_priority(0).unwrap();
}

/// T39: edge-triggered and other events on one descriptor; libevent looks in debug mode only.
#[test]
fn one_descriptor_cannot_be_watched_in_both_modes() {
    let base = base();
    let source = Rc::new(Readable::new());
    let _level = Event::new(&base, source.clone(), Interest::READ, |_, _| ()).unwrap();
    let edge = Interest::WRITE | Interest::EDGE;
    says(
        Event::new(&base, source, edge, |_, _| ()),
        &["interest", "descriptor", "other mode"],
    );
}

/// T39: select and poll would ignore what they do not have.
#[test]
fn unsupported_names_the_feature_and_what_is_missing() {
    let mut config = EventConfig::new();
    for method in supported_methods() {
        if method != "select" {
            config = config.avoid_method(&method);
        }
    }
    let plain = config.build().unwrap();
    assert_eq!(plain.method(), "select");
    let source = Readable::new;
    let edge = Interest::READ | Interest::EDGE;
    let unlocked = EventConfig::new().no_lock().build().unwrap();
    let single = EventConfig::new().priorities(1).build().unwrap();
    for error in [
        says(
            Event::new(&plain, source(), edge, |_, _| ()),
            &["edge-triggering", "back end"],
        ),
        says(
            Event::new(&plain, source(), Interest::CLOSED, |_, _| ()),
            &["Interest::CLOSED", "back end"],
        ),
        says(
            config.avoid_method("select").build(),
            &["configuration", "no back end"],
        ),
        says(unlocked.remote(), &["a Remote", "without locks"]),
        says(Idle::new(&single, |_| ()), &["idle work", "one priority"]),
    ] {
        assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::Unsupported);
    }
}

/// T37: libevent delivers the signals of a process to one base, and only warns about a second.
#[test]
fn signals_taken_names_the_signal() {
    let _turn = kinds::signals();
    let (one, two) = (base(), base());
    let first = Signal::new(&one, libc::SIGUSR1, |_| ()).unwrap();
    let error = says(
        Signal::new(&two, libc::SIGUSR2, |_| ()),
        &["signal 12", "another event base"],
    );
    assert!(matches!(error, Error::SignalsTaken { signum: 12 }));
    // The end of the first base gives them to whoever asks next.
    drop(one);
    let _second = Signal::new(&two, libc::SIGUSR2, |_| ()).unwrap();
    drop(first);
    says(Signal::new(&base(), libc::SIGUSR2, |_| ()), &["signal 12"]);
}

#[test]
fn a_failed_lookup_names_what_was_asked_for_and_is_an_error_of_io() {
    let _bound = bounded();
    let mut base = base();
    let resolver = Resolver::new(&base, Config::default()).unwrap();
    let errors = Rc::<RefCell<Vec<_>>>::default();
    for name in ["no..where", "www.example.com"] {
        let errors = errors.clone();
        let lookup = resolver.lookup_ipv4(name, move |found| {
            errors.borrow_mut().push(found.unwrap_err());
        });
        lookup.unwrap().detach();
    }
    base.run().unwrap();
    let errors = errors.take();
    let [bad_name, no_server] = &errors[..] else {
        panic!("{errors:?}");
    };
    assert_eq!(bad_name.cause(), Cause::BadName);
    assert_eq!(no_server.cause(), Cause::NoServer);
    for (error, words, kind) in [
        (bad_name, "no..where", io::ErrorKind::InvalidInput),
        (no_server, "www.example.com", io::ErrorKind::Other),
    ] {
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(io::Error::from(error.clone()).kind(), kind);
        let error = says(Err::<(), _>(Error::from(error.clone())), &[words]);
        assert_eq!(io::Error::from(error).kind(), kind);
    }
}

#[test]
fn callback_has_the_handlers_error_as_its_source() {
    let _bound = bounded();
    let mut base = base();
    let _event = failing(&base);
    let error = says(base.run(), &["a callback failed", "no luck, 1 times"]);
    assert!(error.source().unwrap().is::<NoLuck>());
    assert!(error.io().is_none());
}
