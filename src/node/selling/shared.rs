//! What the market's thread and the calls of webhooks share: the records of sales, and the next messages of
//! each webhook.
//!
//! Whoever works with a sale's record has the lock of that sale alone: files are read and written while nobody
//! waits who is not about the same sale. The queues are in memory, and are locked for moments.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use chronolith_chain::hash::Hash;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Tell;
use super::desk::Desk;
use crate::market::book::Book;
use crate::market::events::{EventsError, Folder, Message, Record, SaleId, message};

/// The most messages of a webhook that are in memory; more wait in their records.
const QUEUE: usize = 256;

/// A contract's hash, and the name of one of its webhooks.
pub(super) type Line = (Hash, String);

/// The next messages of a webhook.
#[derive(Default)]
struct Queue {
    messages: VecDeque<Message>,
    /// The ids of these, and of the one that is on its way.
    ids: BTreeSet<String>,
}

/// A lock for each sale that somebody works with.
#[derive(Default)]
struct Locks(Mutex<BTreeMap<SaleId, Arc<Mutex<()>>>>);

impl Locks {
    /// Does something with a sale while nobody else does.
    fn with<T>(&self, sale: SaleId, work: impl FnOnce() -> T) -> T {
        let lock = Arc::clone(self.0.lock().entry(sale).or_default());
        let held = lock.lock();
        let done = work();
        drop(held);
        let mut all = self.0.lock();
        drop(lock);
        // Whoever waits for it has it, too.
        if all.get(&sale).is_some_and(|kept| Arc::strong_count(kept) == 1) {
            all.remove(&sale);
        }
        done
    }
}

/// What the market's thread and the calls share.
pub(super) struct Shared {
    pub(super) folder: Folder,
    pub(super) book: Book,
    pub(super) desk: Desk,
    pub(super) tell: Tell,
    sales: Locks,
    queues: Mutex<BTreeMap<Line, Queue>>,
    woken: BTreeMap<Line, Notify>,
}

impl Shared {
    /// With an empty queue for each line.
    pub(super) fn new(
        folder: Folder,
        book: Book,
        desk: Desk,
        tell: Tell,
        lines: impl Iterator<Item = Line> + Clone,
    ) -> Self {
        let queues = lines.clone().map(|line| (line, Queue::default())).collect();
        Self {
            folder,
            book,
            desk,
            tell,
            sales: Locks::default(),
            queues: Mutex::new(queues),
            woken: lines.map(|line| (line, Notify::new())).collect(),
        }
    }

    /// Looks at the record of a sale and may change it, while no call of it is answered. What waits of it is
    /// queued, as far as there is room. Gives what `work` gives.
    pub(super) fn with_record<T>(
        &self,
        sale: SaleId,
        work: impl FnOnce(&Folder) -> Result<(Option<Record>, T), EventsError>,
    ) -> Result<T, EventsError> {
        self.sales.with(sale, || {
            let (record, given) = work(&self.folder)?;
            // With the sale held, so that no call that was answered meanwhile comes back.
            if let Some(record) = record {
                self.enqueue(&record);
            }
            Ok(given)
        })
    }

    /// Whether more messages of some webhooks of a contract can be queued.
    pub(super) fn has_room(&self, contract: Hash, webhooks: &BTreeSet<String>) -> bool {
        let queues = self.queues.lock();
        webhooks.iter().any(|webhook| {
            let queue = queues.get(&(contract, webhook.clone()));
            queue.is_some_and(|queue| queue.messages.len() < QUEUE)
        })
    }

    /// Queues the calls of a sale in their order.
    fn enqueue(&self, record: &Record) {
        let Some(compiled) = self.book.contract(record.contract) else { return };
        let mut queues = self.queues.lock();
        for call in &record.calls {
            let line = (record.contract, call.webhook.clone());
            let Some(queue) = queues.get_mut(&line) else { continue };
            // Where one finds no room, none behind it does.
            if queue.messages.len() >= QUEUE {
                continue;
            }
            let message = message(compiled, record, call);
            if queue.ids.insert(message.id.clone()) {
                queue.messages.push_back(message);
                if let Some(woken) = self.woken.get(&line) {
                    woken.notify_one();
                }
            }
        }
    }

    /// The next message of a webhook.
    pub(super) fn next(&self, line: &Line) -> Option<Message> {
        self.queues.lock().get_mut(line)?.messages.pop_front()
    }

    /// Who is woken when there is a message of a webhook.
    pub(super) fn woken(&self, line: &Line) -> Option<&Notify> {
        self.woken.get(line)
    }

    /// How many messages of a webhook are in memory.
    pub(super) fn waiting(&self, line: &Line) -> usize {
        self.queues.lock().get(line).map_or(0, |queue| queue.ids.len())
    }

    /// Queues nothing more of a webhook.
    pub(super) fn end(&self, line: &Line) {
        self.queues.lock().remove(line);
    }

    /// Takes a call that was answered from its record.
    pub(super) fn answered(&self, line: &Line, message: &Message) -> Result<(), EventsError> {
        self.sales.with(message.sale, || {
            if let Some(mut record) = self.folder.record(message.sale)?
                && record.answered(&message.call)
            {
                self.folder.keep(&record)?;
            }
            if let Some(queue) = self.queues.lock().get_mut(line) {
                queue.ids.remove(&message.id);
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use std::sync::mpsc::channel;
    use std::time::Duration;

    use chronolith_chain::hash::RequestId;

    use super::*;

    /// One lock was held over the files of every sale: a slow disk kept all webhooks and the market's thread
    /// waiting.
    #[test]
    fn who_works_with_a_sale_keeps_only_those_of_the_same_sale_waiting() {
        let [one, other] = [1, 2].map(|byte| SaleId::Request(RequestId([byte; 32])));
        let locks = Arc::new(Locks::default());
        let (said, told) = channel();
        let start = |sale, word: &'static str| {
            let (locks, said) = (Arc::clone(&locks), said.clone());
            std::thread::spawn(move || locks.with(sale, || said.send(word).unwrap()))
        };
        let (same, another) = locks.with(one, || {
            let another = start(other, "another");
            let patience = Duration::from_secs(60);
            assert_eq!(told.recv_timeout(patience), Ok("another"));
            let same = start(one, "the same");
            // Until it has come to where it waits.
            while Arc::strong_count(&locks.0.lock()[&one]) < 3 {
                std::thread::yield_now();
            }
            assert!(told.try_recv().is_err());
            (same, another)
        });
        same.join().unwrap();
        another.join().unwrap();
        assert_eq!(told.try_recv(), Ok("the same"));
        assert!(locks.0.lock().is_empty(), "no lock stays");
    }
}
