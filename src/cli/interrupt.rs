//! Ctrl-C: the first asks a command to stop where it can do so in order, the second ends it.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level::pipe};

/// What a shell says of a command that was interrupted.
pub(super) const EXIT_CODE: u8 = 130;

/// How a command hears of an interruption.
pub(super) struct Interruption {
    /// Set by the first.
    pub(super) stop: Arc<AtomicBool>,
    /// Has a byte once `stop` is set, for those who wait.
    pub(super) wake: UnixStream,
}

/// Listens for Ctrl-C and SIGTERM; the second of them ends the program at once.
pub(super) fn listen() -> io::Result<Interruption> {
    let stop = Arc::new(AtomicBool::new(false));
    let (wake, waker) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag not yet set, and who wakes finds it set.
        flag::register_conditional_shutdown(signal, EXIT_CODE.into(), Arc::clone(&stop))?;
        flag::register(signal, Arc::clone(&stop))?;
        pipe::register(signal, waker.try_clone()?)?;
    }
    Ok(Interruption { stop, wake })
}
