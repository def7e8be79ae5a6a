//! One interface to every kind of event, so that a test can be written once for all of them.

#![allow(dead_code, reason = "each test binary uses its own part")]

use libevent2::{
    CallbackResult, Event, EventBase, EventCore, EventRef, Idle, IdleRef, Interest, Kind,
    LoopHandle, Ready, Result, Signal, SignalRef, Timer, TimerRef, UserEvent, UserEventRef, ffi,
};
use std::io::Write;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A kind of event. What `make` gives is due in the next turn of the loop.
pub trait Subject: 'static {
    type View: Deref<Target = EventCore> + 'static;
    type Owner: Deref<Target = Self::View> + 'static;
    const KIND: Kind;

    fn make<O: CallbackResult + 'static>(
        base: &LoopHandle,
        callback: impl FnMut(&Self::View) -> O + 'static,
    ) -> Result<Self::Owner>;
    /// Makes it due once more.
    fn fire(view: &Self::View) -> Result<()>;
    fn replace<O: CallbackResult + 'static>(
        view: &Self::View,
        callback: impl FnMut(&Self::View) -> O + 'static,
    ) -> Result<()>;
    fn detach(owner: Self::Owner);
    fn into_ptr(owner: Self::Owner) -> *mut ffi::event;

    /// Signals belong to one base of the process at a time: tests with them take turns.
    fn turn() -> Option<MutexGuard<'static, ()>> {
        None
    }
}

static SIGNALS: Mutex<()> = Mutex::new(());

/// Waits until no other test uses signals.
pub fn signals() -> MutexGuard<'static, ()> {
    SIGNALS.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn base() -> EventBase {
    EventBase::new().unwrap()
}

/// The end of a closure that is to panic: `panic!` itself has no type that a callback may return.
pub fn fail(message: &'static str) {
    panic!("{message}");
}

/// A socket with something to read.
#[derive(Debug)]
pub struct Readable {
    here: UnixStream,
    _there: UnixStream,
}

impl Readable {
    pub fn new() -> Self {
        let (here, mut there) = UnixStream::pair().unwrap();
        here.set_nonblocking(true).unwrap();
        there.write_all(b"x").unwrap();
        let _there = there;
        Readable { here, _there }
    }
}

impl AsFd for Readable {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.here.as_fd()
    }
}

/// The parts of an implementation that are the same for each kind.
macro_rules! common {
    ($owner:ty, $view:ty, $kind:ident) => {
        type View = $view;
        type Owner = $owner;
        const KIND: Kind = Kind::$kind;

        fn detach(owner: $owner) {
            owner.detach();
        }

        fn into_ptr(owner: $owner) -> *mut ffi::event {
            owner.into_ptr()
        }
    };
}

/// A readable descriptor, level-triggered: due in every turn until it is closed.
pub struct Fd;

impl Subject for Fd {
    common!(Event<Readable>, EventRef<Readable>, Event);

    fn make<O: CallbackResult + 'static>(
        base: &LoopHandle,
        mut callback: impl FnMut(&Self::View) -> O + 'static,
    ) -> Result<Self::Owner> {
        Event::new(base, Readable::new(), Interest::READ, move |event, _| {
            callback(event)
        })
    }

    fn fire(view: &Self::View) -> Result<()> {
        view.activate(Ready::READ)
    }

    fn replace<O: CallbackResult + 'static>(
        view: &Self::View,
        mut callback: impl FnMut(&Self::View) -> O + 'static,
    ) -> Result<()> {
        view.set_callback(move |event, _| callback(event))
    }
}

/// A timer that is set each time.
pub struct Once;

impl Subject for Once {
    common!(Timer, TimerRef, Timer);

    fn make<O: CallbackResult + 'static>(
        base: &LoopHandle,
        callback: impl FnMut(&Self::View) -> O + 'static,
    ) -> Result<Self::Owner> {
        let timer = Timer::new(base, callback)?;
        timer.set(Duration::ZERO)?;
        Ok(timer)
    }

    fn fire(view: &Self::View) -> Result<()> {
        view.set(Duration::ZERO)
    }

    fn replace<O: CallbackResult + 'static>(
        view: &Self::View,
        callback: impl FnMut(&Self::View) -> O + 'static,
    ) -> Result<()> {
        view.set_callback(callback)
    }
}

/// A timer that repeats by itself.
pub struct Every;

impl Subject for Every {
    common!(Timer, TimerRef, Timer);

    fn make<O: CallbackResult + 'static>(
        base: &LoopHandle,
        callback: impl FnMut(&Self::View) -> O + 'static,
    ) -> Result<Self::Owner> {
        Timer::every(base, Duration::from_micros(100), callback)
    }

    fn fire(view: &Self::View) -> Result<()> {
        view.set(Duration::from_micros(1))
    }

    fn replace<O: CallbackResult + 'static>(
        view: &Self::View,
        callback: impl FnMut(&Self::View) -> O + 'static,
    ) -> Result<()> {
        view.set_callback(callback)
    }
}

pub struct Sig;

impl Sig {
    pub const SIGNUM: i32 = libc::SIGUSR1;

    pub fn raise() {
        // SAFETY: the signal has a handler of libevent's while an event waits for it.
        assert_eq!(unsafe { libc::raise(Self::SIGNUM) }, 0);
    }
}

impl Subject for Sig {
    common!(Signal, SignalRef, Signal);

    fn make<O: CallbackResult + 'static>(
        base: &LoopHandle,
        callback: impl FnMut(&Self::View) -> O + 'static,
    ) -> Result<Self::Owner> {
        let signal = Signal::new(base, Self::SIGNUM, callback)?;
        Self::raise();
        Ok(signal)
    }

    fn fire(_: &Self::View) -> Result<()> {
        Self::raise();
        Ok(())
    }

    fn replace<O: CallbackResult + 'static>(
        view: &Self::View,
        callback: impl FnMut(&Self::View) -> O + 'static,
    ) -> Result<()> {
        view.set_callback(callback)
    }

    fn turn() -> Option<MutexGuard<'static, ()>> {
        Some(signals())
    }
}

pub struct User;

impl Subject for User {
    common!(UserEvent, UserEventRef, UserEvent);

    fn make<O: CallbackResult + 'static>(
        base: &LoopHandle,
        callback: impl FnMut(&Self::View) -> O + 'static,
    ) -> Result<Self::Owner> {
        let event = UserEvent::new(base, callback)?;
        event.trigger()?;
        Ok(event)
    }

    fn fire(view: &Self::View) -> Result<()> {
        view.trigger()
    }

    fn replace<O: CallbackResult + 'static>(
        view: &Self::View,
        callback: impl FnMut(&Self::View) -> O + 'static,
    ) -> Result<()> {
        view.set_callback(callback)
    }
}

/// Idle work: due in every turn until it is closed.
pub struct Spare;

impl Subject for Spare {
    common!(Idle, IdleRef, Idle);

    fn make<O: CallbackResult + 'static>(
        base: &LoopHandle,
        callback: impl FnMut(&Self::View) -> O + 'static,
    ) -> Result<Self::Owner> {
        Idle::new(base, callback)
    }

    fn fire(view: &Self::View) -> Result<()> {
        view.resume()
    }

    fn replace<O: CallbackResult + 'static>(
        view: &Self::View,
        callback: impl FnMut(&Self::View) -> O + 'static,
    ) -> Result<()> {
        view.set_callback(callback)
    }
}

/// Makes a test of each named generic function for each kind of event.
#[macro_export]
macro_rules! for_each_kind {
    ($($test:ident),* $(,)?) => {
        $crate::for_each_kind!(@kind fd = Fd: $($test)*);
        $crate::for_each_kind!(@kind timer = Once: $($test)*);
        $crate::for_each_kind!(@kind ticker = Every: $($test)*);
        $crate::for_each_kind!(@kind signal = Sig: $($test)*);
        $crate::for_each_kind!(@kind user_event = User: $($test)*);
        $crate::for_each_kind!(@kind idle = Spare: $($test)*);
    };
    (@kind $module:ident = $kind:ident: $($test:ident)*) => {
        mod $module {
            use $crate::kinds::{$kind, Subject};

            $(#[test]
            fn $test() {
                let _bound = $crate::common::bounded();
                let _turn = <$kind as Subject>::turn();
                super::$test::<$kind>();
            })*
        }
    };
}
