use super::core::EventCore;
use super::node::{self, Replacement};
use super::{owner, view};
use crate::base::Kind;
use crate::callback::CallbackResult;
use crate::error::{Error, Result};
use crate::sync::lock;
use crate::{LoopHandle, ffi};
use std::cell::Cell;
use std::os::raw::c_short;
use std::sync::Mutex;

owner! {
    /// Calls its closure when a signal arrives, from the loop and not from the signal handler,
    /// so that the closure may do anything. It holds the loop; dropping it restores what the
    /// process did on the signal before.
    ///
    /// ```no_run
    /// use libevent2::{EventBase, Signal};
    ///
    /// let mut base = EventBase::new()?;
    /// let _int = Signal::new(&base, libc::SIGINT, |signal| signal.handle().exit())?;
    /// base.run()?;
    /// # Ok::<(), libevent2::Error>(())
    /// ```
    #[doc(alias = "evsignal_new")]
    #[doc(alias = "evsignal_assign")]
    Signal => SignalRef
}

/// What the callback of a signal sees of its event.
pub struct SignalRef {
    core: EventCore,
    replacement: Replacement<SignalRef>,
    signum: i32,
    /// Held from construction until the event is closed.
    claim: Cell<Option<Claim>>,
}

view!(SignalRef, what: () = |_| ());

impl Signal {
    /// Calls `callback` for each `signum` (use `libc`'s constants), once for each time that it
    /// was delivered.
    ///
    /// # Errors
    /// - [`Error::Invalid`] for a number that is no signal, and for signals that cannot be
    ///   caught or must not be returned from (`SIGKILL`, `SIGSTOP`, `SIGSEGV`, `SIGILL`,
    ///   `SIGFPE`, `SIGBUS`);
    /// - [`Error::SignalsTaken`] while another base of this process has signals: libevent
    ///   delivers all signals to one base;
    /// - [`Error::Os`] when the system refuses, [`Error::Closed`] when the base is gone.
    #[doc(alias = "evsignal_add")]
    #[doc(alias = "EV_SIGNAL")]
    pub fn new<O: CallbackResult + 'static>(
        base: &LoopHandle,
        signum: i32,
        mut callback: impl FnMut(&SignalRef) -> O + 'static,
    ) -> Result<Self> {
        check(signum)?;
        let claim = Claim::new(base.inner().open()?, signum)?;
        let view = SignalRef {
            core: EventCore::new(base, Kind::Signal),
            replacement: Replacement::default(),
            signum,
            claim: Cell::new(Some(claim)),
        };
        let flags = (ffi::EV_SIGNAL | ffi::EV_PERSIST) as c_short;
        let fd = signum as ffi::evutil_socket_t;
        let handler = move |signal: &SignalRef, ()| callback(signal);
        let signal = Signal(node::make(view, fd, flags, handler)?);
        signal.core.add(None)?;
        Ok(signal)
    }
}

impl SignalRef {
    /// The signal's number.
    #[doc(alias = "event_get_signal")]
    pub fn signum(&self) -> i32 {
        self.signum
    }

    /// Puts another closure in the place of the present one, also from inside it.
    ///
    /// # Errors
    /// [`Error::Closed`] when the event is closed.
    pub fn set_callback<O: CallbackResult + 'static>(
        &self,
        mut callback: impl FnMut(&SignalRef) -> O + 'static,
    ) -> Result<()> {
        node::replace(self, move |signal, ()| callback(signal))
    }

    fn on_closed(&self) {
        self.claim.take();
    }
}

fn check(signum: i32) -> Result<()> {
    let uncatchable = [
        #[cfg(unix)]
        libc::SIGKILL,
        #[cfg(unix)]
        libc::SIGSTOP,
        #[cfg(unix)]
        libc::SIGBUS,
        libc::SIGSEGV,
        libc::SIGILL,
        libc::SIGFPE,
    ];
    // NSIG of every system that libevent runs on; the kernel refuses the rest by itself.
    if !(1..=64).contains(&signum) {
        return Err(Error::invalid("signal", format!("{signum} is no signal")));
    }
    if uncatchable.contains(&signum) {
        return Err(Error::invalid(
            "signal",
            format!("{signum} cannot be caught and returned from"),
        ));
    }
    Ok(())
}

/// The base that has the process's signals, and how many events of it do.
static OWNER: Mutex<Option<(usize, usize)>> = Mutex::new(None);

/// One signal event's share in the process-wide claim of its base.
struct Claim {
    base: usize,
}

impl Claim {
    fn new(base: *mut ffi::event_base, signum: i32) -> Result<Self> {
        let base = base as usize;
        let mut owner = lock(&OWNER);
        match &mut *owner {
            Some((holder, _)) if *holder != base => return Err(Error::SignalsTaken { signum }),
            Some((_, events)) => *events += 1,
            none => *none = Some((base, 1)),
        }
        Ok(Claim { base })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut owner = lock(&OWNER);
        if let Some((holder, events)) = &mut *owner
            && *holder == self.base
        {
            *events -= 1;
            if *events == 0 {
                *owner = None;
            }
        }
    }
}
