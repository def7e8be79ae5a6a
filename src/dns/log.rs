use crate::error::Result;
use crate::ffi;
use crate::log::{HookGuard, Level, Sink};
use std::os::raw::{c_char, c_int};

static LOGGER: Sink = Sink::new(|on| {
    // SAFETY: the function lives for ever; NULL lets evdns speak as the rest of libevent does.
    unsafe { ffi::evdns_set_log_fn(on.then_some(on_log as _)) };
});

/// Sends evdns's messages, of every resolver and server of this process, to `logger` instead of to
/// libevent's own ([`log::set_logger`](crate::log::set_logger), whose conditions hold here too). It
/// gets all of them, [`Level::Warning`] or [`Level::Message`]: C does not tell which are for
/// debugging.
///
/// ```
/// use libevent2::dns;
/// use libevent2::log::Level;
///
/// let _guard = dns::set_logger(|level, message| {
///     if level == Level::Warning {
///         eprintln!("dns: {message}");
///     }
/// })?;
/// # Ok::<(), libevent2::Error>(())
/// ```
///
/// # Errors
/// [`Error::Os`](crate::Error::Os) when the system has no thread to give.
#[doc(alias = "evdns_set_log_fn")]
pub fn set_logger(logger: impl FnMut(Level, &str) + Send + 'static) -> Result<HookGuard> {
    LOGGER.set(logger)
}

/// Waits until the logger has handled all messages made before.
pub fn flush_logger() {
    LOGGER.flush();
}

unsafe extern "C" fn on_log(is_warning: c_int, message: *const c_char) {
    let level = match is_warning {
        0 => Level::Message,
        _ => Level::Warning,
    };
    // SAFETY: as C calls it.
    unsafe { LOGGER.send(level, message) };
}
