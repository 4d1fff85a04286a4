//! Standard input that says when nothing more is there yet, so that what was read meanwhile need
//! not wait for more; and whose waiting can be ended.

use std::io::{self, Read, StdinLock};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Reads standard input; where a read would wait, `on_idle` is called first.
pub struct IdleStdin<F> {
    stdin: StdinLock<'static>,
    wake: UnixStream,
    on_idle: F,
}

impl<F: FnMut() -> io::Result<()>> IdleStdin<F> {
    /// Locks standard input. A byte in `wake` ends the waiting with an error of kind `Interrupted`.
    pub fn new(wake: UnixStream, on_idle: F) -> Self {
        Self { stdin: io::stdin().lock(), wake, on_idle }
    }

    /// Whether a read returns at once. What cannot be asked counts as ready.
    fn is_ready(&self) -> bool {
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.stdin, PollFlags::IN)], Some(&at_once)) != Ok(0)
    }

    /// Waits until a read returns at once.
    fn wait(&self) -> io::Result<()> {
        let mut both = [
            PollFd::from_borrowed_fd(self.stdin.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.wake.as_fd(), PollFlags::IN),
        ];
        let polled = poll(&mut both, None);
        let is_woken = !both[1].revents().is_empty();
        match polled {
            Ok(_) if is_woken => Err(io::ErrorKind::Interrupted.into()),
            Err(rustix::io::Errno::INTR) => Err(io::ErrorKind::Interrupted.into()),
            _ => Ok(()),
        }
    }
}

impl<F: FnMut() -> io::Result<()>> Read for IdleStdin<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.is_ready() {
            (self.on_idle)()?;
            self.wait()?;
        }
        // Past the buffer of the lock: what lay in there would not count as ready.
        Ok(rustix::io::read(&self.stdin, buffer)?)
    }
}
