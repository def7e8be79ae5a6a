//! What belongs to the whole process: the logger, the fatal hook, debug mode.

#![cfg(unix)]

#[path = "common/regress.rs"]
mod regress;

use libevent2::log::{self, Level};
use libevent2::{
    Event, EventBase, EventBuilder, EventConfig, Interest, UserEvent, enable_debug_mode, ffi,
};
use regress::alone;
use std::cell::RefCell;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

/// Makes libevent warn: a loop cannot be run inside itself.
fn provoke_a_warning() {
    let mut base = EventBase::new().unwrap();
    let event = UserEvent::new(&base, |event| {
        // SAFETY: the base is alive; C refuses, as it runs.
        let code = unsafe { ffi::event_base_loop(event.handle().as_ptr(), 0) };
        assert_eq!(code, -1);
    })
    .unwrap();
    event.trigger().unwrap();
    base.run().unwrap();
    log::flush();
}

type Messages = Arc<Mutex<Vec<(Level, String)>>>;

fn collecting() -> (Messages, impl Fn(Level, &str) + Send + Sync + 'static) {
    let messages = Messages::default();
    let to = Arc::clone(&messages);
    let logger = move |level, text: &str| to.lock().unwrap().push((level, text.to_owned()));
    (messages, logger)
}

#[test]
fn a_logger_gets_the_messages_until_its_guard_is_dropped() {
    alone(
        "a_logger_gets_the_messages_until_its_guard_is_dropped",
        || {
            let (first, logger) = collecting();
            let first_guard = log::set_logger(logger).unwrap();
            provoke_a_warning();
            let text = "event_base_loop: reentrant invocation.  Only one event_base_loop can run on each event_base at once.";
            assert_eq!(*first.lock().unwrap(), [(Level::Warning, text.to_owned())]);

            // Another takes its place; the guard of the first has nothing to take away any more.
            let (second, logger) = collecting();
            let second_guard = log::set_logger(logger).unwrap();
            drop(first_guard);
            provoke_a_warning();
            assert_eq!(
                (first.lock().unwrap().len(), second.lock().unwrap().len()),
                (1, 1)
            );

            drop(second_guard);
            provoke_a_warning();
            assert_eq!(
                (first.lock().unwrap().len(), second.lock().unwrap().len()),
                (1, 1)
            );
        },
    );
}

/// T41: C speaks in the middle of its work. On the thread of the loop a logger could free what C
/// still uses, and wait for ever for a lock that C holds.
#[test]
fn a_logger_cannot_reach_the_loop_that_libevent_speaks_of() {
    thread_local!(static EVENT: RefCell<Option<Event<File>>> = RefCell::default());
    alone(
        "a_logger_cannot_reach_the_loop_that_libevent_speaks_of",
        || {
            for config in [EventConfig::new(), EventConfig::new().no_lock()] {
                let base = config.build().unwrap();
                if base.method() != "epoll" {
                    // Others do not refuse the file, and so say nothing.
                    return;
                }
                let remote = base.remote();
                let (seen, logged) = channel();
                let _guard = log::set_logger(move |_, _| {
                    // It may use libevent: it waits until the loop's thread is through.
                    let posted = remote.as_ref().map(|remote| remote.wake().is_ok());
                    let found = EVENT.with_borrow(Option::is_some);
                    seen.send((found, posted.unwrap_or(true))).unwrap();
                })
                .unwrap();
                let file = File::open("/dev/null").unwrap();
                let event = EventBuilder::new(Interest::READ).paused();
                let event = event.build(&base, file, |_, _| ()).unwrap();
                EVENT.set(Some(event));
                EVENT.with_borrow(|event| event.as_ref().unwrap().add().unwrap_err());
                assert_eq!(logged.recv().unwrap(), (false, true));
                EVENT.take();
            }
        },
    );
}

/// T41: it is C that calls, with a lock held.
#[test]
fn a_panic_in_a_logger_goes_nowhere() {
    alone("a_panic_in_a_logger_goes_nowhere", || {
        let _guard = log::set_logger(|_, text| panic!("{text}")).unwrap();
        provoke_a_warning();
        provoke_a_warning();
    });
}

/// T41: a message about a message would be one without end.
#[test]
fn a_message_from_inside_a_logger_is_dropped() {
    alone("a_message_from_inside_a_logger_is_dropped", || {
        let (messages, logger) = collecting();
        let _guard = log::set_logger(move |level, text| {
            logger(level, text);
            provoke_a_warning();
        })
        .unwrap();
        provoke_a_warning();
        assert_eq!(messages.lock().unwrap().len(), 1);
    });
}

/// T42: a fatal callback that returned would let the process run its destructors.
#[test]
fn after_a_fatal_error_the_hook_runs_and_the_process_is_aborted() {
    const NAME: &str = "after_a_fatal_error_the_hook_runs_and_the_process_is_aborted";
    const DIE: &str = "LIBEVENT2_TEST_DIES";
    extern "C" fn at_exit() {
        println!("destructors");
    }
    if let Ok(how) = std::env::var(DIE) {
        log::set_fatal_hook(move |code| {
            println!("hook: {code}");
            assert_eq!(how, "returns");
        })
        .keep();
        // SAFETY: `at_exit` does not unwind. libevent cannot go on from the second call of the
        // other, and says so.
        unsafe {
            libc::atexit(at_exit);
            ffi::event_enable_debug_mode();
            ffi::event_enable_debug_mode();
        }
        println!("went on");
    }
    for how in ["returns", "panics"] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args([NAME, "--exact", "--test-threads=1", "--nocapture"])
            .env(DIE, how)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{said}");
        assert!(said.contains("hook: 1\n"), "{said}");
        assert!(
            !said.contains("went on") && !said.contains("destructors"),
            "{said}"
        );
    }
}

/// T44: C ends the process for both.
#[test]
fn debug_mode_can_be_enabled_twice() {
    alone("debug_mode_can_be_enabled_twice", || {
        enable_debug_mode().unwrap();
        enable_debug_mode().unwrap();
        let mut base = EventBase::new().unwrap();
        let event = UserEvent::new(&base, |event| event.close()).unwrap();
        event.trigger().unwrap();
        base.run().unwrap();
        assert!(event.is_closed());
        // It is on already.
        enable_debug_mode().unwrap();
    });
}

#[test]
fn debug_mode_is_refused_once_there_was_a_base() {
    alone("debug_mode_is_refused_once_there_was_a_base", || {
        drop(EventBase::new().unwrap());
        let error = enable_debug_mode().unwrap_err();
        assert!(
            error.to_string().contains("before the first event base"),
            "{error}"
        );
    });
}
