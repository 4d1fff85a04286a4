//! The memory of this process while it answers queries.
//!
//! A query accounts for what it holds, but not for all that its operators make in passing. Two
//! lines lie behind its own limit: a thread that looks at what the process holds and ends the query,
//! and a limit of the operating system, at which an allocation fails and the process ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use chronolith_query::Canceller;

/// What the program needs besides queries, and what queries may need beyond their limit.
const MARGIN_BYTES: usize = 128 << 20;
/// What lies between the two lines.
const RESERVE_BYTES: usize = 128 << 20;
/// The stack of each thread that runs queries, which counts whole, however little of it is used.
const STACK_BYTES: usize = 64 << 20;
/// How often the thread looks.
const GLANCE: Duration = Duration::from_millis(3);

/// What the process may hold while a query with a limit runs: bytes.
const fn ceiling(limit_bytes: usize) -> usize {
    limit_bytes.saturating_add(limit_bytes / 2).saturating_add(MARGIN_BYTES)
}

/// Has the operating system refuse what is far beyond the limit, whatever asks for it. The process
/// then ends with exit code 1, after the allocation that failed was named.
pub(super) fn bound(limit_bytes: usize) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let stacks = threads.saturating_mul(STACK_BYTES);
    let most = ceiling(limit_bytes).saturating_add(RESERVE_BYTES).saturating_add(stacks) as u64;
    // Where there is no such limit the other lines still hold.
    let Ok((_, hard)) = rlimit::Resource::DATA.get() else { return };
    if rlimit::Resource::DATA.set(most.min(hard), hard).is_ok() {
        let always = Arc::new(AtomicBool::new(true));
        let aborted = signal_hook::consts::SIGABRT;
        drop(signal_hook::flag::register_conditional_shutdown(aborted, 1, always));
    }
}

/// Ends a query, while it is held, when the process holds too much.
pub(super) struct MemoryWatch {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    exceeded: Arc<AtomicBool>,
}

impl MemoryWatch {
    pub(super) fn new(limit_bytes: usize, canceller: Canceller) -> Self {
        let exceeded = Arc::new(AtomicBool::new(false));
        let (end, ended) = channel();
        let flag = Arc::clone(&exceeded);
        let watch = move || {
            while ended.recv_timeout(GLANCE) == Err(RecvTimeoutError::Timeout) {
                if resident_bytes().is_some_and(|bytes| bytes > ceiling(limit_bytes)) {
                    flag.store(true, Ordering::Relaxed);
                    canceller.cancel();
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("chronolith-memory".to_owned());
        Self { end: Some(end), thread: thread.spawn(watch).ok(), exceeded }
    }

    pub(super) fn is_exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed)
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// What of the process's own memory is in use; mapped files are not counted. `None` where the
/// system does not say.
fn resident_bytes() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kibibytes: usize = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}
