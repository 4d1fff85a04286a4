//! Calling the webhooks of contracts: each of them by itself, one message after the other, until it is
//! answered.
//!
//! What waits is in the records of the sales; here are only the next messages of each webhook. One that was
//! answered goes from its record before the next is sent, so that after a kill at most the one that was on its
//! way is sent again, under the id that it had.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

use chronolith_chain::hash::Hash;
use parking_lot::Mutex;
use reqwest::Url;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

use super::desk::Desk;
use super::{SellingEvent, SellingSettings, Tell};
use crate::market::book::Book;
use crate::market::events::{EventsError, Folder, Message, Record, message};
use crate::node::{NodeError, NodeSettings};
use crate::wallet::read_private;
use crate::webhook::{Secret, Sender, Undelivered, Waits, address};

/// The most messages of a webhook that are in memory; more wait in their records.
const QUEUE: usize = 256;

/// How a webhook of a contract is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookStatus {
    /// Messages that were answered since the node was started.
    pub told: u64,
    /// Messages that wait, as many as are in memory.
    pub waiting: usize,
    /// Tries in a row that failed.
    pub failures: u32,
    /// Why the last one did, or why nothing is sent.
    pub failure: Option<String>,
    /// Whether nothing is sent any more.
    pub has_ended: bool,
}

/// A contract's hash, and the name of one of its webhooks.
type Line = (Hash, String);

/// The next messages of a webhook.
#[derive(Default)]
struct Queue {
    messages: VecDeque<Message>,
    /// The ids of these, and of the one that is on its way.
    ids: BTreeSet<String>,
}

/// What the market's thread and the calls share.
pub(super) struct Shared {
    pub(super) folder: Folder,
    pub(super) book: Book,
    /// Also held while a record is changed, so that no call that was answered comes back.
    queues: Mutex<BTreeMap<Line, Queue>>,
    woken: BTreeMap<Line, Notify>,
    desk: Desk,
    tell: Tell,
}

/// The calls of a node that runs; they stop when this is dropped.
pub(super) struct Calls {
    pub(super) shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

/// Where the messages of a webhook go.
struct Target {
    line: Line,
    /// What it is called in what is told: `CONTRACT/WEBHOOK`.
    name: String,
    url: Url,
    secret: Secret,
}

impl Calls {
    /// Begins to call the webhooks of the contracts; none where no contract has any.
    ///
    /// # Errors
    /// What is wrong with the secrets, an address, or what is kept.
    pub(super) fn start(
        settings: &SellingSettings,
        node: &NodeSettings,
        book: &Book,
        desk: &Desk,
        tell: &Tell,
    ) -> Result<Option<Self>, NodeError> {
        let wrong = |reason: &dyn std::fmt::Display| NodeError::Settings {
            place: node.place.clone(),
            reason: format!("market.webhooks: {reason}"),
        };
        let (mut targets, mut unsigned, mut used) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (hash, compiled) in book.contracts() {
            let contract = compiled.contract();
            for hook in &contract.webhooks {
                let name = format!("{}/{}", contract.name, hook.name);
                let known = [&name, &hook.name]
                    .into_iter()
                    .find_map(|key| settings.webhooks.get_key_value(key));
                let Some((key, file)) = known else {
                    unsigned.push(name);
                    continue;
                };
                used.insert(key.clone());
                let secret = secret(&node.path(file)).map_err(|error| wrong(&error))?;
                let url = address(&hook.url).map_err(|error| wrong(&format!("{name}: {error}")))?;
                targets.push(Target { line: (hash, hook.name.clone()), name, url, secret });
            }
        }
        if let Some(unknown) = settings.webhooks.keys().find(|key| !used.contains(*key)) {
            let reason = format!(
                "no contract has a webhook {unknown:?}; name it WEBHOOK or CONTRACT/WEBHOOK"
            );
            return Err(wrong(&reason));
        }
        if targets.is_empty() && unsigned.is_empty() {
            return Ok(None);
        }
        let place = desk.trade().purse.events();
        let folder = Folder::within(&place).map_err(|error| wrong(&error))?;
        for name in unsigned {
            let reason = "[market.webhooks] names no secret for it, so that it is not called";
            let failure = Some(reason.to_owned());
            let status = WebhookStatus { failure, ..WebhookStatus::default() };
            desk.status_mut().webhooks.insert(name.clone(), status);
            tell(SellingEvent::Untold { webhook: name, reason: reason.to_owned() });
        }
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(NodeError::disk("start threads for", &node.place))?;
        let sender = Sender::new().map_err(|error| wrong(&error))?;
        let lines = targets.iter().map(|target| &target.line);
        let shared = Arc::new(Shared {
            folder,
            book: book.clone(),
            queues: Mutex::new(
                lines.clone().map(|line| (line.clone(), Queue::default())).collect(),
            ),
            woken: lines.map(|line| (line.clone(), Notify::new())).collect(),
            desk: desk.clone(),
            tell: Arc::clone(tell),
        });
        for target in targets {
            let (hash, webhook) = &target.line;
            let ended = shared.folder.ended(*hash, webhook).map_err(|error| wrong(&error))?;
            let status = WebhookStatus {
                has_ended: ended.is_some(),
                failure: ended,
                ..WebhookStatus::default()
            };
            let has_ended = status.has_ended;
            shared.desk.status_mut().webhooks.insert(target.name.clone(), status);
            if has_ended {
                shared.queues.lock().remove(&target.line);
                continue;
            }
            let calling = Calling { shared: Arc::clone(&shared), sender: sender.clone(), target };
            drop(runtime.spawn(calling.run()));
        }
        Ok(Some(Self { shared, runtime: Some(runtime) }))
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        // What is on its way is sent again, under the same id.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Reads the secret of a webhook.
fn secret(place: &Path) -> Result<Secret, String> {
    let text = read_private(place).map_err(|error| error.to_string())?;
    Secret::parse(text.trim()).map_err(|reason| format!("{}: {reason}", place.display()))
}

impl Shared {
    /// Looks at the record of a sale and may change it, while no call of it is answered. What waits of it is
    /// queued, as far as there is room. Gives what `work` gives.
    pub(super) fn with_record<T>(
        &self,
        work: impl FnOnce(&Folder) -> Result<(Option<Record>, T), EventsError>,
    ) -> Result<T, EventsError> {
        let mut queues = self.queues.lock();
        let (record, given) = work(&self.folder)?;
        if let Some(record) = record {
            self.enqueue(&mut queues, &record);
        }
        Ok(given)
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
    fn enqueue(&self, queues: &mut BTreeMap<Line, Queue>, record: &Record) {
        let Some(compiled) = self.book.contract(record.contract) else { return };
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
    fn next(&self, line: &Line) -> Option<Message> {
        self.queues.lock().get_mut(line)?.messages.pop_front()
    }

    /// How many messages of a webhook are in memory.
    fn waiting(&self, line: &Line) -> usize {
        self.queues.lock().get(line).map_or(0, |queue| queue.ids.len())
    }

    /// Takes a call that was answered from its record.
    fn answered(&self, line: &Line, message: &Message) -> Result<(), EventsError> {
        let mut queues = self.queues.lock();
        if let Some(mut record) = self.folder.record(message.sale)?
            && record.answered(&message.call)
        {
            self.folder.keep(&record)?;
        }
        if let Some(queue) = queues.get_mut(line) {
            queue.ids.remove(&message.id);
        }
        Ok(())
    }
}

/// The task of one webhook.
struct Calling {
    shared: Arc<Shared>,
    sender: Sender,
    target: Target,
}

impl Calling {
    async fn run(self) {
        let Target { line, .. } = &self.target;
        loop {
            let Some(message) = self.shared.next(line) else {
                self.note(|_| {});
                let Some(woken) = self.shared.woken.get(line) else { return };
                woken.notified().await;
                continue;
            };
            if !self.deliver(&message).await {
                return;
            }
            let mut waits = Waits::new();
            // A full disk ends no webhook; the next message waits for it.
            while let Err(error) = self.shared.answered(line, &message) {
                self.failed(error.to_string());
                tokio::time::sleep(waits.next(None)).await;
            }
            self.note(|status| {
                status.told += 1;
                (status.failures, status.failure) = (0, None);
            });
            let (webhook, on) = (self.target.name.clone(), message.call.on.clone());
            (self.shared.tell)(SellingEvent::Told { webhook, on, sale: message.sale });
        }
    }

    /// Sends a message until it is taken; whether the receiver wants more.
    async fn deliver(&self, message: &Message) -> bool {
        let Target { line, url, secret, .. } = &self.target;
        let mut waits = Waits::new();
        loop {
            match self.sender.send(url, secret, &message.id, &message.body).await {
                Ok(()) => return true,
                Err(Undelivered::Later(reason, wanted)) => {
                    self.failed(reason);
                    tokio::time::sleep(waits.next(wanted)).await;
                }
                Err(Undelivered::Never(reason)) => {
                    let kept = self.shared.folder.end(line.0, &line.1, &reason);
                    // Where that is not kept, it is asked again after a restart.
                    let reason = kept.err().map_or(reason, |error| error.to_string());
                    self.shared.queues.lock().remove(line);
                    self.failed(reason);
                    self.note(|status| status.has_ended = true);
                    return false;
                }
            }
        }
    }

    fn note(&self, change: impl FnOnce(&mut WebhookStatus)) {
        let waiting = self.shared.waiting(&self.target.line);
        let mut status = self.shared.desk.status_mut();
        let status = status.webhooks.entry(self.target.name.clone()).or_default();
        status.waiting = waiting;
        change(status);
    }

    /// Notes a failure; the first one in a row is told.
    fn failed(&self, reason: String) {
        let mut is_first = false;
        self.note(|status| {
            is_first = status.failures == 0;
            status.failures = status.failures.saturating_add(1);
            status.failure = Some(reason.clone());
        });
        if is_first {
            let webhook = self.target.name.clone();
            (self.shared.tell)(SellingEvent::Untold { webhook, reason });
        }
    }
}
