//! What a node does by itself after each block: its roles, one after the other, on a thread of their
//! own, so that neither the chain nor the network waits for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use chronolith_net::validator::Gossiped;

use super::auditor::Auditor;
use super::keeper::Keeper;
use super::repairer::Repairer;

/// What the thread is told.
enum Duty {
    Height(u64),
    Answer(Gossiped),
    Stop,
}

/// Tells the thread what happened.
#[derive(Clone)]
pub(super) struct DutiesHandle {
    inbox: Sender<Duty>,
    /// The last height; a node that catches up has no duties at those before it.
    height: Arc<AtomicU64>,
}

/// What the thread is told through, until its roles are there.
pub(super) struct DutiesInbox {
    received: Receiver<Duty>,
    handle: DutiesHandle,
}

/// The roles of a node.
pub(super) struct Roles {
    pub(super) auditor: Auditor,
    pub(super) keeper: Option<Keeper>,
    pub(super) repairer: Option<Repairer>,
}

/// The running thread; it ends when this is dropped.
pub(super) struct Duties {
    handle: DutiesHandle,
    thread: Option<JoinHandle<()>>,
}

impl Default for DutiesInbox {
    fn default() -> Self {
        let (inbox, received) = channel();
        Self { received, handle: DutiesHandle { inbox, height: Arc::default() } }
    }
}

impl DutiesInbox {
    pub(super) fn handle(&self) -> DutiesHandle {
        self.handle.clone()
    }
}

impl DutiesHandle {
    fn tell(&self, duty: Duty) {
        // An error says that the node ends.
        drop(self.inbox.send(duty));
    }

    /// A block was committed.
    pub(super) fn committed(&self, height: u64) {
        self.height.store(height, Ordering::Release);
        self.tell(Duty::Height(height));
    }

    /// An answer to an audit arrived.
    pub(super) fn answer(&self, answer: Gossiped) {
        self.tell(Duty::Answer(answer));
    }
}

impl Duties {
    pub(super) fn start(inbox: DutiesInbox, mut roles: Roles) -> std::io::Result<Self> {
        let DutiesInbox { received, handle } = inbox;
        let last = Arc::clone(&handle.height);
        let run = move || {
            while let Ok(duty) = received.recv() {
                match duty {
                    Duty::Stop => return,
                    Duty::Answer(answer) => roles.auditor.judge(answer),
                    Duty::Height(height) if height < last.load(Ordering::Acquire) => {}
                    Duty::Height(height) => roles.height(height),
                }
            }
        };
        let thread = thread::Builder::new().name("duties".to_owned()).spawn(run)?;
        Ok(Self { handle, thread: Some(thread) })
    }
}

impl Drop for Duties {
    fn drop(&mut self) {
        self.handle.tell(Duty::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic in it was printed.
            drop(thread.join());
        }
    }
}

impl Roles {
    fn height(&mut self, height: u64) {
        self.auditor.height(height);
        if let Some(answer) = self.keeper.as_mut().and_then(|keeper| keeper.height(height)) {
            // Gossip does not come back to who says it.
            self.auditor.hear(&answer);
        }
        if let Some(repairer) = &mut self.repairer {
            repairer.height(height);
        }
    }
}
