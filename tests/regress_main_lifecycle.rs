//! libevent's own regress cases (test/regress.c, group `main`): how bases and events begin and end.
//! The whole list, and what is left out, is in docs/regress.md.

#![cfg(unix)]

mod common;
#[path = "common/regress.rs"]
mod regress;

use common::{Bump, DropCount, bounded, count};
use libevent2::{
    ConfigFlags, Error, Event, EventBase, EventBuilder, EventConfig, Interest, LoopEnd, Ready,
    Signal, Timer, UserEvent, ffi, log,
};
use regress::{TEXT, pair, read, write};
use std::cell::{Cell, RefCell};
use std::net::Shutdown;
use std::ptr;
use std::rc::Rc;
use std::time::Duration;

#[test]
fn event_base_new() {
    let _watchdog = bounded();
    let (there, here) = pair();
    write(&there, TEXT);
    there.shutdown(Shutdown::Write).unwrap();

    let mut base = EventBase::new().unwrap();
    let calls = count();
    let seen = Rc::clone(&calls);
    let event = Event::new(&base, here, Interest::READ, move |event, ready| {
        assert_eq!(ready, Ready::READ);
        let length = read(event.source());
        match seen.bump() {
            1 => assert_eq!(length, TEXT.len()),
            2 => {
                assert_eq!(length, 0, "not all was read at first");
                event.remove();
                event.handle().exit();
            }
            _ => panic!("called after the end of the stream"),
        }
    })
    .unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::Exit);
    assert_eq!(calls.get(), 2);
    assert!(!event.is_pending());
}

#[test]
fn free_active_base() {
    let _watchdog = bounded();
    let dropped = count();
    let event = |base: &EventBase| {
        let held = DropCount(Rc::clone(&dropped));
        let (here, there) = pair();
        let event = EventBuilder::new(Interest::READ)
            .paused()
            .build(base, here, move |_, _| -> () {
                let _held = &held;
                panic!("its base is gone");
            })
            .unwrap();
        (event, there)
    };

    let base = EventBase::new().unwrap();
    let (pending, _peer) = event(&base);
    pending.add().unwrap();
    drop(base);
    assert!(pending.is_closed());
    assert_eq!(dropped.get(), 1);

    let base = EventBase::new().unwrap();
    let (active, _peer) = event(&base);
    active.activate(Ready::READ).unwrap();
    drop(base);
    assert!(active.is_closed());
    assert!(matches!(active.add(), Err(Error::Closed { .. })));
    assert_eq!(dropped.get(), 2);
}

#[test]
fn manipulate_active_events() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (here, _there) = pair();
    let calls = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&calls);
    let event = EventBuilder::new(Interest::READ)
        .paused()
        .build(&base, here, move |_, ready| seen.borrow_mut().push(ready))
        .unwrap();
    assert_eq!(event.pending(), Ready::empty());

    event.activate(Ready::READ).unwrap();
    assert_eq!(event.pending(), Ready::READ);

    // Activated twice: for both, in one call.
    event.activate(Ready::WRITE).unwrap();
    assert_eq!(event.pending(), Ready::READ | Ready::WRITE);
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(*calls.borrow(), [Ready::READ | Ready::WRITE]);
    assert_eq!(event.pending(), Ready::empty());

    // And taken back.
    event.activate(Ready::READ).unwrap();
    event.remove();
    assert_eq!(event.pending(), Ready::empty());
    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(calls.borrow().len(), 1);
}

#[test]
fn event_new_selfarg() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let seen = Rc::new(Cell::new(ptr::null_mut()));
    let own = Rc::clone(&seen);
    let event = UserEvent::new(&base, move |event| {
        own.set(event.as_ptr());
        event.handle().exit();
    })
    .unwrap();
    event.trigger().unwrap();
    assert_eq!(base.run().unwrap(), LoopEnd::Exit);
    // The callback was given its own event.
    assert_eq!(seen.get(), event.as_ptr());
    assert!(!seen.get().is_null());
}

#[test]
fn evmap_invalid_slots() {
    let _watchdog = bounded();
    let base = EventBase::new().unwrap();
    for signum in [-1, 0, 65, 1000, i32::MAX, i32::MIN] {
        let result = Signal::new(&base, signum, |_| ());
        assert!(
            matches!(result, Err(Error::Invalid { what: "signal", .. })),
            "{signum}"
        );
    }
    // What cannot be caught.
    for signum in [libc::SIGKILL, libc::SIGSTOP, libc::SIGSEGV] {
        let result = Signal::new(&base, signum, |_| ());
        assert!(
            matches!(result, Err(Error::Invalid { what: "signal", .. })),
            "{signum}"
        );
    }
    // Nothing of the failed ones is left: another base may have signals.
    let other = EventBase::new().unwrap();
    let signal = Signal::new(&other, libc::SIGUSR1, |_| ()).unwrap();
    assert_eq!(signal.signum(), libc::SIGUSR1);
    assert_eq!(base.stats().live_total(), 0);
}

#[test]
fn bad_assign() {
    let _watchdog = bounded();
    let base = EventBase::new().unwrap();
    let signal = ffi::EV_SIGNAL as u16;
    let (read, write) = (Interest::READ.bits(), Interest::WRITE.bits());
    // There is no safe way to ask for a descriptor and a signal in one, but by force.
    for bits in [signal | read, signal | write, signal, 0x4000, 0] {
        let (here, _there) = pair();
        let result = Event::new(&base, here, Interest::from_bits_retain(bits), |_, _| ());
        let Err(Error::Invalid { what, why }) = result else {
            panic!("{bits:#x} was taken");
        };
        assert_eq!(what, "interest");
        assert!(!why.is_empty());
    }
    // No signal was claimed by that.
    let other = EventBase::new().unwrap();
    drop(Signal::new(&other, libc::SIGUSR2, |_| ()).unwrap());
    assert_eq!(base.stats().live_total(), 0);
    // The same for a base: a flag by force does not take its locks away.
    let no_lock = ConfigFlags::from_bits_retain(ffi::EVENT_BASE_FLAG_NOLOCK);
    let mut locked = EventConfig::new().flags(no_lock).build().unwrap();
    // A base with locks has one event of libevent's own, by which other threads wake it.
    assert_eq!(locked.events().unwrap().len(), base.events().unwrap().len());
    let remote = locked.remote().unwrap();
    let thread = std::thread::spawn(move || remote.post(|handle| handle.exit()).unwrap());
    assert_eq!(locked.run_until_exit().unwrap(), LoopEnd::Exit);
    thread.join().unwrap();
}

#[test]
fn bad_reentrant() {
    let _watchdog = bounded();
    let _quiet = log::set_logger(|_, _| ()).unwrap();
    let base = Rc::new(RefCell::new(EventBase::new().unwrap()));
    let handle = base.borrow().handle().clone();
    let runs = count();
    let (seen, again) = (Rc::clone(&runs), Rc::downgrade(&base));
    let event = UserEvent::new(&handle, move |event| {
        seen.bump();
        // To run it takes the base for oneself, and the loop has it.
        assert!(again.upgrade().expect("it runs").try_borrow_mut().is_err());
        // What a C library would get that tries it.
        // SAFETY: the base is alive; C refuses, as it runs.
        let code = unsafe { ffi::event_base_loop(event.handle().as_ptr(), 0) };
        assert_eq!(code, -1);
    })
    .unwrap();
    event.trigger().unwrap();
    assert_eq!(base.borrow_mut().run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(runs.get(), 1);
}

#[test]
fn event_remove_timeout() {
    let _watchdog = bounded();
    let mut base = EventBase::new().unwrap();
    let (here, there) = pair();
    let ms = Duration::from_millis;

    let reads = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&reads);
    let event = EventBuilder::new(Interest::READ)
        .timeout(ms(400))
        .build(&base, here, move |event, ready| {
            seen.borrow_mut().push(ready);
            assert_eq!(read(event.source()), 1);
            if seen.borrow().len() == 2 {
                event.remove();
            }
        })
        .unwrap();
    let event = Rc::new(event);
    let timer = Timer::new(&base, |_| -> () { panic!("its time was taken away") }).unwrap();
    timer.set(ms(400)).unwrap();
    let timer = Rc::new(timer);

    let (its_event, its_timer) = (Rc::clone(&event), Rc::clone(&timer));
    let _remove = Timer::after(&base, ms(25), move |_| {
        its_event.set_timeout(None).unwrap();
        its_timer.cancel();
        assert_eq!(its_event.pending(), Ready::READ);
        assert_eq!(its_event.remaining(), None);
        assert!(!its_timer.is_pending());
    })
    .unwrap();
    // A read does not bring the timeout back.
    let writers: Vec<_> = [40, 600]
        .map(|delay| {
            let there = Rc::clone(&there);
            Timer::after(&base, ms(delay), move |_| write(&there, b"A")).unwrap()
        })
        .into_iter()
        .collect();

    assert_eq!(base.run().unwrap(), LoopEnd::NoEvents);
    assert_eq!(*reads.borrow(), [Ready::READ, Ready::READ]);
    assert!(writers.iter().all(|timer| timer.is_closed()));
}
