//! Commits: rows, state, changes and the position in one batch of the log.

use std::sync::Arc;

use chronolith_engine::{Batch, Db, Durability};

use super::error::ContinuousError;
use super::feed::Feed;
use super::intake::Touched;
use super::live::{Live, end_ns};
use super::outputs;
use super::row::{Change, ChangeKind, Row, encode_changes};
use super::state::{changes_key, namespace, put_cell};
use super::step::Outcomes;

impl Live {
    /// The changes that a step makes, with the next cursors.
    pub(super) fn changes(&mut self, outcomes: &Outcomes) -> Vec<Arc<Change>> {
        let mut changes = Vec::new();
        let mut ordered: Vec<_> = outcomes.iter().collect();
        // In the order of time, whatever the group.
        ordered.sort_by_key(|((group, start_ns), _)| (*start_ns, *group));
        for ((group, start_ns), outcome) in ordered {
            let (kind, values) = match (&outcome.before, &outcome.after) {
                (None, Some((values, _))) => (ChangeKind::Insert, values),
                (Some(_), Some((values, _))) => (ChangeKind::Update, values),
                (Some((values, _)), None) => (ChangeKind::Delete, values),
                (None, None) => continue,
            };
            let before = match kind {
                ChangeKind::Update => outcome.before.as_ref().map(|(values, _)| values.clone()),
                _ => None,
            };
            self.progress.cursor += 1;
            let row = Row {
                keys: self.groups[*group].keys.clone(),
                start_ns: *start_ns,
                end_ns: end_ns(&self.query, outcome.last_ns),
                values: values.clone(),
                is_final: outcome.is_final,
            };
            changes.push(Arc::new(Change { cursor: self.progress.cursor, kind, row, before }));
        }
        changes
    }

    /// Writes everything in one batch, and tells those who follow once it is on stable storage.
    pub(super) fn commit(
        &mut self,
        db: &Db,
        touched: &Touched,
        outcomes: &Outcomes,
        changes: Vec<Arc<Change>>,
        feed: &Feed,
    ) -> Result<(), ContinuousError> {
        let mut batch = db.batch();
        for ((index, start_ns), outcome) in outcomes {
            let group = &mut self.groups[*index];
            outputs::define(db, &self.query, &mut group.outputs)?;
            let (before, after) = (outcome.before.as_ref(), outcome.after.as_ref());
            outputs::put(&mut batch, &self.query, &group.outputs, *start_ns, before, after)?;
        }
        let namespace = namespace(&self.query.name);
        for (index, start_ns, metric) in &touched.cells {
            let group = &self.groups[*index];
            let open = group.open.get(start_ns).filter(|open| !open.is_over);
            let cell = open.and_then(|open| open.cells.get(metric));
            put_cell(&mut batch, &namespace, *start_ns, *metric, cell);
        }
        self.log(&mut batch, &namespace, &changes, feed);
        self.remember_pending();
        self.progress.put(&mut batch, &self.query.name);
        db.write(&batch, Durability::Synced)?;
        self.position_stored = self.progress.position;
        feed.publish(changes, self.progress.cursor, self.query.options.keep_changes);
        Ok(())
    }

    /// Keeps changes for those who come back, and lets the oldest go.
    fn log(&self, batch: &mut Batch, namespace: &str, changes: &[Arc<Change>], feed: &Feed) {
        let most = self.query.options.keep_changes as usize;
        let kept = &changes[changes.len().saturating_sub(most)..];
        if let Some(last) = kept.last() {
            batch.put_state(namespace, &changes_key(last.cursor), &encode_changes(kept));
        }
        for last in feed.commits_to_drop(kept.len(), self.query.options.keep_changes) {
            batch.remove_state(namespace, &changes_key(last));
        }
    }
}
