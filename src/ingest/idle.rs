//! Standard input that says when nothing more is there yet, so that what was read meanwhile need
//! not wait for more.

use std::io::{self, Read, StdinLock};

/// Reads standard input; where a read would wait, `on_idle` is called first.
pub struct IdleStdin<F> {
    stdin: StdinLock<'static>,
    on_idle: F,
}

impl<F: FnMut() -> io::Result<()>> IdleStdin<F> {
    /// Locks standard input.
    pub fn new(on_idle: F) -> Self {
        Self { stdin: io::stdin().lock(), on_idle }
    }
}

impl<F: FnMut() -> io::Result<()>> Read for IdleStdin<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !is_ready(&self.stdin) {
            (self.on_idle)()?;
        }
        self.stdin.read(buffer)
    }
}

/// Whether a read returns at once. What cannot be asked counts as ready.
#[cfg(unix)]
fn is_ready(stdin: &StdinLock<'_>) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(stdin, PollFlags::IN)], Some(&at_once)) != Ok(0)
}

/// Where it cannot be asked.
#[cfg(not(unix))]
fn is_ready(_: &StdinLock<'_>) -> bool {
    true
}
