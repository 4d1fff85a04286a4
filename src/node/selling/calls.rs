//! Calling the webhooks of contracts: each of them by itself, one message after the other, until it is
//! answered.
//!
//! What waits is in the records of the sales; only the next messages of each webhook are in memory. One that
//! was answered goes from its record before the next is sent, so that after a kill at most the one that was on
//! its way is sent again, under the id that it had. Files are read and written on threads of their own.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use tokio::runtime::{Builder, Runtime};
use tokio::task::spawn_blocking;

use super::desk::Desk;
use super::shared::{Line, Shared};
use super::{SellingEvent, SellingSettings, Tell};
use crate::market::book::Book;
use crate::market::events::{EventsError, Folder, Message};
use crate::node::{NodeError, NodeSettings};
use crate::wallet::read_private;
use crate::webhook::{Secret, Sender, Undelivered, Waits, address};

/// How long a record that is being written is waited for at the end.
const WRITING: Duration = Duration::from_secs(2);

/// How a webhook of a contract is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookStatus {
    /// What it is called: `CONTRACT/WEBHOOK`.
    pub name: String,
    /// The content id of its contract: there may be several of one name.
    pub contract: String,
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
    /// The content id of the contract.
    contract: String,
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
                let (line, cid) = ((hash, hook.name.clone()), compiled.cid().to_string());
                let known = [&name, &hook.name]
                    .into_iter()
                    .find_map(|key| settings.webhooks.get_key_value(key));
                let Some((key, file)) = known else {
                    unsigned.push((line, name, cid));
                    continue;
                };
                used.insert(key.clone());
                let secret = secret(&node.path(file)).map_err(|error| wrong(&error))?;
                let url = address(&hook.url).map_err(|error| wrong(&format!("{name}: {error}")))?;
                targets.push(Target { line, name, contract: cid, url, secret });
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
        for (line, name, contract) in unsigned {
            let reason = "[market.webhooks] names no secret for it, so that it is not called";
            let (webhook, failure) = (name.clone(), Some(reason.to_owned()));
            let status = WebhookStatus { name, contract, failure, ..WebhookStatus::default() };
            desk.status_mut().webhooks.insert(line, status);
            tell(SellingEvent::Untold { webhook, reason: reason.to_owned() });
        }
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(NodeError::disk("start threads for", &node.place))?;
        let sender = Sender::new().map_err(|error| wrong(&error))?;
        let lines = targets.iter().map(|target| target.line.clone());
        let (book, desk, tell) = (book.clone(), desk.clone(), Arc::clone(tell));
        let shared = Arc::new(Shared::new(folder, book, desk, tell, lines));
        for target in targets {
            let (hash, webhook) = &target.line;
            let ended = shared.folder.ended(*hash, webhook).map_err(|error| wrong(&error))?;
            let status = WebhookStatus {
                name: target.name.clone(),
                contract: target.contract.clone(),
                has_ended: ended.is_some(),
                failure: ended,
                ..WebhookStatus::default()
            };
            let has_ended = status.has_ended;
            shared.desk.status_mut().webhooks.insert(target.line.clone(), status);
            if has_ended {
                shared.end(&target.line);
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
        // What is on its way is sent again, under the same id. No record is written behind whoever comes next.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(WRITING);
        }
    }
}

/// Reads the secret of a webhook.
pub(super) fn secret(place: &Path) -> Result<Secret, String> {
    let text = read_private(place).map_err(|error| error.to_string())?;
    Secret::parse(text.trim()).map_err(|reason| format!("{}: {reason}", place.display()))
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
                let Some(woken) = self.shared.woken(line) else { return };
                woken.notified().await;
                continue;
            };
            if !self.deliver(&message).await {
                return;
            }
            let mut waits = Waits::new();
            // A full disk ends no webhook; the next message waits for it.
            while let Err(reason) = self.answered(&message).await {
                self.failed(reason);
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
        let Target { url, secret, .. } = &self.target;
        let mut waits = Waits::new();
        loop {
            match self.sender.send(url, secret, &message.id, &message.body).await {
                Ok(()) => return true,
                Err(Undelivered::Later(reason, wanted)) => {
                    self.failed(reason);
                    tokio::time::sleep(waits.next(wanted)).await;
                }
                Err(Undelivered::Never(reason)) => {
                    self.end(reason).await;
                    return false;
                }
            }
        }
    }

    /// Does something with files on a thread for that; why it failed.
    async fn with_files(
        &self,
        work: impl FnOnce(&Shared, &Line) -> Result<(), EventsError> + Send + 'static,
    ) -> Result<(), String> {
        let (shared, line) = (Arc::clone(&self.shared), self.target.line.clone());
        let done = spawn_blocking(move || work(&shared, &line)).await;
        done.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    /// Takes a call that was answered from its record.
    async fn answered(&self, message: &Message) -> Result<(), String> {
        let message = message.clone();
        self.with_files(move |shared, line| shared.answered(line, &message)).await
    }

    /// Notes and tells that the receiver wants no more, whatever failed before.
    async fn end(&self, reason: String) {
        let said = reason.clone();
        let kept = self.with_files(move |shared, (contract, webhook)| {
            shared.folder.end(*contract, webhook, &said)
        });
        let reason = match kept.await {
            Ok(()) => reason,
            Err(error) => {
                format!(
                    "{reason}; it is called again after a restart, as that cannot be kept: {error}"
                )
            }
        };
        self.shared.end(&self.target.line);
        self.note(|status| {
            status.failures = status.failures.saturating_add(1);
            status.failure = Some(reason.clone());
            status.has_ended = true;
        });
        self.tell_failure(reason);
    }

    fn note(&self, change: impl FnOnce(&mut WebhookStatus)) {
        let line = &self.target.line;
        let waiting = self.shared.waiting(line);
        if let Some(status) = self.shared.desk.status_mut().webhooks.get_mut(line) {
            status.waiting = waiting;
            change(status);
        }
    }

    fn tell_failure(&self, reason: String) {
        let webhook = self.target.name.clone();
        (self.shared.tell)(SellingEvent::Untold { webhook, reason });
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
            self.tell_failure(reason);
        }
    }
}
