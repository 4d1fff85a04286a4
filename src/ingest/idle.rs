//! Standard input that says when nothing more is there yet, so that what was read meanwhile need
//! not wait for more; and whose waiting a signal ends.

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
            wait(&self.stdin)?;
        }
        read(&mut self.stdin, buffer)
    }
}

/// Whether a read returns at once. What cannot be asked counts as ready.
#[cfg(unix)]
fn is_ready(stdin: &StdinLock<'_>) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(stdin, PollFlags::IN)], Some(&at_once)) != Ok(0)
}

/// Waits until a read returns at once; a signal is an error of kind `Interrupted`.
#[cfg(unix)]
fn wait(stdin: &StdinLock<'_>) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    match poll(&mut [PollFd::new(stdin, PollFlags::IN)], None) {
        Err(rustix::io::Errno::INTR) => Err(io::ErrorKind::Interrupted.into()),
        _ => Ok(()),
    }
}

/// Reads past the buffer of the lock: what lay in there would not count as ready.
#[cfg(unix)]
fn read(stdin: &mut StdinLock<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::read(&*stdin, buffer)?)
}

/// Reads as ever.
#[cfg(not(unix))]
fn read(stdin: &mut StdinLock<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    stdin.read(buffer)
}

/// Where it cannot be waited for: the read does.
#[cfg(not(unix))]
fn wait(_: &StdinLock<'_>) -> io::Result<()> {
    Ok(())
}

/// Where it cannot be asked.
#[cfg(not(unix))]
fn is_ready(_: &StdinLock<'_>) -> bool {
    true
}
