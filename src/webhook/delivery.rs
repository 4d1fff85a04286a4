//! Sending, and trying again.

use std::collections::BTreeMap;
use std::sync::Arc;

use chronolith_disk::Disk;
use chronolith_query::continuous::{Change, Continuous, ContinuousError, From};
use futures::StreamExt as _;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::hook::{Hook, HookError};
use super::sender::{Sender, Undelivered, Waits, now};
use crate::rows::{changes, rfc3339};

/// The most changes of one message.
const CHANGES: usize = 200;
/// The most webhooks.
pub(crate) const HOOKS: usize = 256;

/// How a webhook is doing.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeliveryStatus {
    /// Messages that were delivered since the start.
    pub(crate) delivered: u64,
    /// Tries in a row that failed.
    pub(crate) failures: u32,
    /// Why the last one did.
    pub(crate) failure: Option<String>,
    /// Whether nothing is sent any more.
    pub(crate) has_ended: bool,
}

/// A webhook as it is kept; none once it was deleted, so that no delivery that still runs saves it again.
type Shared = Arc<Mutex<Option<Hook>>>;

/// A webhook that runs.
struct Running {
    hook: Shared,
    status: Arc<Mutex<DeliveryStatus>>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// All webhooks of a database. They stop when this is dropped.
pub(crate) struct Webhooks {
    disk: Arc<dyn Disk>,
    sender: Sender,
    runtime: Handle,
    running: Mutex<BTreeMap<String, Running>>,
}

impl Webhooks {
    /// None yet; what they keep is on a disk, and they run on a runtime.
    pub(crate) fn new(disk: Arc<dyn Disk>, runtime: Handle) -> Result<Self, reqwest::Error> {
        Ok(Self { disk, sender: Sender::new()?, runtime, running: Mutex::default() })
    }

    /// Goes on with those that are kept; what of them cannot be read.
    pub(crate) fn resume(&self, queries: &Continuous) -> std::io::Result<Vec<HookError>> {
        let (hooks, failed) = Hook::load_all(&self.disk)?;
        let mut running = self.running.lock();
        for hook in hooks {
            running.insert(hook.name.clone(), self.start(hook, queries));
        }
        Ok(failed)
    }

    /// Keeps a new one, and begins to send.
    pub(crate) fn add(&self, hook: Hook, queries: &Continuous) -> Result<(), HookError> {
        let mut running = self.running.lock();
        if running.contains_key(&hook.name) {
            return Err(HookError::Exists(hook.name));
        }
        if running.len() >= HOOKS {
            return Err(HookError::Wrong(format!("there are {HOOKS} webhooks, and no more fit")));
        }
        hook.save(&*self.disk)?;
        running.insert(hook.name.clone(), self.start(hook, queries));
        Ok(())
    }

    /// Ends one and forgets it.
    pub(crate) fn remove(&self, name: &str) -> Result<(), HookError> {
        let mut running = self.running.lock();
        let unknown = || HookError::Unknown(name.to_owned());
        let one = running.remove(name).ok_or_else(unknown)?;
        forget(&one.hook, &*self.disk)
    }

    /// All, with how they are doing.
    pub(crate) fn list(&self) -> Vec<(Hook, DeliveryStatus)> {
        let running = self.running.lock();
        let all = running.values();
        all.filter_map(|one| Some((one.hook.lock().clone()?, one.status.lock().clone()))).collect()
    }

    fn start(&self, hook: Hook, queries: &Continuous) -> Running {
        let status = DeliveryStatus {
            failure: hook.ended.clone(),
            has_ended: hook.ended.is_some(),
            ..DeliveryStatus::default()
        };
        let (hook, status) = (Arc::new(Mutex::new(Some(hook))), Arc::new(Mutex::new(status)));
        let delivery = Delivery {
            hook: Arc::clone(&hook),
            status: Arc::clone(&status),
            queries: queries.clone(),
            disk: Arc::clone(&self.disk),
            sender: self.sender.clone(),
        };
        Running { hook, status, task: self.runtime.spawn(delivery.run()) }
    }
}

/// Deletes a webhook: nobody who has it saves it from now on.
fn forget(hook: &Shared, disk: &dyn Disk) -> Result<(), HookError> {
    let mut held = hook.lock();
    held.take().map_or(Ok(()), |hook| hook.remove(disk))
}

/// Changes a webhook and keeps that; whether it is still there.
fn update(
    hook: &Shared,
    disk: &dyn Disk,
    change: impl FnOnce(&mut Hook),
) -> Result<bool, HookError> {
    let mut held = hook.lock();
    let Some(hook) = held.as_mut() else { return Ok(false) };
    change(hook);
    hook.save(disk).map(|()| true)
}

/// What is told of a webhook that is no more.
const DELETED: &str = "the webhook was deleted";

/// The task of one webhook.
struct Delivery {
    hook: Shared,
    status: Arc<Mutex<DeliveryStatus>>,
    queries: Continuous,
    disk: Arc<dyn Disk>,
    sender: Sender,
}

impl Delivery {
    async fn run(self) {
        loop {
            let at = {
                let held = self.hook.lock();
                let hook = held.as_ref().filter(|hook| hook.ended.is_none());
                hook.map(|hook| (hook.query.clone(), hook.cursor))
            };
            let Some((query, cursor)) = at else { return };
            let reason = match self.queries.subscribe(&query, From::Cursor(cursor)) {
                Ok(subscription) => {
                    let names =
                        self.queries.columns(&query).map(|columns| changes::names(&columns));
                    let Ok(names) = names else { continue };
                    let mut stream = subscription.into_stream().ready_chunks(CHANGES);
                    match self.follow(&query, &names, &mut stream).await {
                        Ok(Some(error)) => error.to_string(),
                        Ok(None) => "the continuous queries have ended".to_owned(),
                        Err(reason) => reason,
                    }
                }
                Err(ContinuousError::CursorTooOld { oldest, .. }) => {
                    // The receiver is told that some are gone, and goes on with what is kept.
                    let data = json!({"query": query, "after": cursor, "before": oldest});
                    let id = format!("{cursor}-missed-{oldest}");
                    match self.deliver(&id, "continuous.missed", &data, oldest).await {
                        Ok(()) => continue,
                        Err(reason) => reason,
                    }
                }
                Err(error) => error.to_string(),
            };
            let mut status = self.status.lock();
            status.failure = Some(reason);
            status.has_ended = true;
            return;
        }
    }

    /// Delivers changes until they end; by which error, or why the receiver gets no more.
    async fn follow<S>(
        &self,
        query: &str,
        names: &[String],
        stream: &mut S,
    ) -> Result<Option<ContinuousError>, String>
    where
        S: futures::Stream<Item = Vec<Result<Arc<Change>, ContinuousError>>> + Unpin,
    {
        while let Some(chunk) = stream.next().await {
            let (mut rows, mut ended) = (Vec::new(), None);
            let (mut first, mut last) = (0, 0);
            for change in chunk {
                match change {
                    Ok(change) => {
                        let kind = changes::kind(change.kind);
                        let cells = changes::cells(change.cursor, kind, &change.row);
                        rows.push(changes::object(names, &cells));
                        first = if first == 0 { change.cursor } else { first };
                        last = change.cursor;
                    }
                    Err(error) => ended = Some(error),
                }
            }
            if !rows.is_empty() {
                let data = json!({"query": query, "cursor": last, "changes": rows});
                let id = format!("{first}-{last}");
                self.deliver(&id, "continuous.changes", &data, last).await?;
            }
            if ended.is_some() {
                return Ok(ended);
            }
        }
        Ok(None)
    }

    /// Sends a message until it is taken, and keeps how far that came.
    async fn deliver(&self, id: &str, kind: &str, data: &Value, cursor: u64) -> Result<(), String> {
        let name = self.hook.lock().as_ref().map(|hook| hook.name.clone());
        let id = format!("{}-{id}", name.ok_or(DELETED)?);
        let body = json!({"type": kind, "timestamp": now_text(), "data": data}).to_string();
        let mut waits = Waits::new();
        loop {
            match self.send(&id, &body).await {
                Ok(()) => break,
                Err(Undelivered::Never(reason)) => {
                    let ended = reason.clone();
                    self.keep(move |hook| hook.ended = Some(ended.clone())).await?;
                    return Err(reason);
                }
                Err(Undelivered::Later(reason, wanted)) => {
                    self.failed(reason);
                    tokio::time::sleep(waits.next(wanted)).await;
                }
            }
        }
        self.keep(move |hook| hook.cursor = cursor).await?;
        {
            let mut status = self.status.lock();
            status.delivered += 1;
            (status.failures, status.failure) = (0, None);
        }
        Ok(())
    }

    fn failed(&self, reason: String) {
        let mut status = self.status.lock();
        status.failures = status.failures.saturating_add(1);
        status.failure = Some(reason);
    }

    /// Keeps a change of the webhook, as soon as the disk does: a full disk ends none.
    async fn keep(
        &self,
        change: impl Fn(&mut Hook) + Clone + Send + 'static,
    ) -> Result<(), String> {
        let mut waits = Waits::new();
        loop {
            let (hook, disk) = (Arc::clone(&self.hook), Arc::clone(&self.disk));
            let change = change.clone();
            let saved = tokio::task::spawn_blocking(move || update(&hook, &*disk, change));
            match saved.await {
                Ok(Ok(true)) => return Ok(()),
                Ok(Ok(false)) | Err(_) => return Err(DELETED.to_owned()),
                Ok(Err(error)) => self.failed(error.to_string()),
            }
            tokio::time::sleep(waits.next(None)).await;
        }
    }

    async fn send(&self, id: &str, body: &str) -> Result<(), Undelivered> {
        let to = self.hook.lock().as_ref().map(|hook| (hook.url.clone(), hook.secret.clone()));
        let (url, secret) = to.ok_or_else(|| Undelivered::Never(DELETED.to_owned()))?;
        self.sender.send(&url, &secret, id, body).await
    }
}

fn now_text() -> String {
    rfc3339(i64::try_from(now().as_nanos()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use chronolith_disk::RealDisk;

    use super::super::random_secret;
    use super::*;

    /// A webhook that was deleted while a message was on its way was there again after a restart, and
    /// sent on: the delivery kept its cursor right after the file was removed.
    #[test]
    fn a_deleted_webhook_is_not_saved_again() {
        let folder = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::create(folder.path()).unwrap());
        let secret = random_secret().unwrap();
        let hook = Hook::new("a".into(), "q".into(), "https://a/b", secret, 1).unwrap();
        hook.save(&*disk).unwrap();
        let shared = Arc::new(Mutex::new(Some(hook)));
        assert!(update(&shared, &*disk, |hook| hook.cursor = 7).unwrap());
        assert_eq!(Hook::load_all(&disk).unwrap().0[0].cursor, 7);
        forget(&shared, &*disk).unwrap();
        assert!(!update(&shared, &*disk, |hook| hook.cursor = 8).unwrap());
        assert!(Hook::load_all(&disk).unwrap().0.is_empty());
        forget(&shared, &*disk).unwrap();
    }
}
