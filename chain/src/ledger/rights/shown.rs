//! What who disputes shows of a chunk and of a grant, and how it is judged.

use chronolith_keys::{Grant as Keys, GrantContext, HeaderView, OneTimeSecret, TreeId, Windows};
use chronolith_merkle::HashFunction;

use super::{ChunkTree, MetricName, SellerKey, Subject};
use crate::address::Address;
use crate::content::ContentId;
use crate::encoding::Text;
use crate::hash::{ChainId, Domain, Hash};
use crate::ledger::anchors::AnchorKey;
use crate::ledger::call::{Halt, Ledger, ensure};
use crate::ledger::devices::EraKey;
use crate::ledger::refusal::{Refusal, Thing};
use crate::list::{ListProof, ListRoot};

/// A chunk that somebody shows: its header, its place in an anchored batch, and why it is of a scope.
pub(in crate::ledger) struct Shown<'a> {
    pub(in crate::ledger) header: &'a [u8],
    pub(in crate::ledger) anchor: (Address, Hash),
    pub(in crate::ledger) index: u32,
    pub(in crate::ledger) path: &'a ListProof,
    pub(in crate::ledger) tree: ChunkTree,
}

impl<'a> Shown<'a> {
    /// Refuses a header that a scope does not cover in a time range, in milliseconds since the epoch, or that
    /// nobody anchored who spoke for the device.
    pub(in crate::ledger) fn check(
        &self,
        ledger: &Ledger<'_>,
        subject: &Subject,
        from_ms: u64,
        until_ms: u64,
    ) -> Result<HeaderView<'a>, Halt> {
        let header = HeaderView::from_bytes(self.header).map_err(|error| Refusal::Header {
            offset: u32::try_from(error.offset).unwrap_or(u32::MAX),
        })?;
        let (producer, root) = self.anchor;
        let anchored = ledger.find(&AnchorKey { producer, root: root.0 }, Thing::Anchor)?;
        let batch = ListRoot { root, count: anchored.chunks };
        let is_at_place =
            [HashFunction::Sha256, HashFunction::Blake3].into_iter().any(|function| {
                let id = ContentId::of_dag_cbor(function, self.header);
                self.path.verify(&batch, self.index, &id).is_ok()
            });
        ensure(is_at_place, Refusal::Path)?;

        let covered = covered(subject, &self.tree, &header);
        let (device, tree) = covered.ok_or(Refusal::Scope)?;
        let windows = Windows::touching(header.window_ns, from_ms, until_ms);
        let touches = windows.is_ok_and(|windows| windows.numbers().contains(&header.slot.window));
        ensure(touches, Refusal::Scope)?;
        let era = ledger.find(&EraKey { device, tree }, Thing::Device)?;
        let speaks = era.could_anchor(device, producer, anchored.time_ms);
        ensure(speaks, Refusal::Anchorer)?;
        Ok(header)
    }
}

/// The device and the number of its key tree, where a chunk is of a scope.
fn covered(
    subject: &Subject,
    reason: &ChunkTree,
    header: &HeaderView<'_>,
) -> Option<(Address, u32)> {
    let found = header.encryption.tree;
    match (subject, reason) {
        (Subject::Metrics { device, tree, metrics }, ChunkTree::Named { rotation }) => {
            let metric = header.metric.as_ref()?;
            let is_of_scope = metrics.is_empty()
                || Text::new(metric.name).is_ok_and(|name| metrics.contains(&MetricName(name)));
            let expected = TreeId::named(&device.0, *tree, *rotation, header.window_ns, metric);
            (is_of_scope && expected == found).then_some((*device, *tree))
        }
        (Subject::Hidden(_), ChunkTree::Hidden(scope)) => {
            let has_tree = scope.trees.iter().any(|tree| tree.0.0 == found.0);
            (has_tree && scope.subject() == *subject).then_some((scope.device, scope.tree))
        }
        _ => None,
    }
}

/// A sealed message that is contested, as the ledger knows it.
pub(in crate::ledger) struct Contested {
    /// The height at which it would be paid for: the last one for a dispute.
    pub(in crate::ledger) settles: u64,
    /// The one-time key that it is sealed to.
    pub(in crate::ledger) key: [u8; 32],
    /// Its hash.
    pub(in crate::ledger) wrapped: Hash,
    /// What it is bound to in the place of a request.
    pub(in crate::ledger) context: [u8; 32],
}

impl Contested {
    /// Refuses what comes too late, another secret, and another message.
    pub(in crate::ledger) fn check(
        &self,
        ledger: &Ledger<'_>,
        secret: [u8; 32],
        wrapped: &[u8],
    ) -> Result<OneTimeSecret, Halt> {
        // A settlement may come late, where many are due at once.
        let until = self.settles.saturating_add(1);
        ensure(ledger.height < until, Refusal::Late { until })?;
        let secret = OneTimeSecret::from_bytes(secret);
        ensure(secret.public() == self.key, Refusal::Secret)?;
        ensure(Domain::Grant.hash(wrapped) == self.wrapped, Refusal::Sealed)?;
        Ok(secret)
    }
}

/// Whether a sealed grant gives the key that a header commits to.
pub(in crate::ledger) fn gives_key(
    chain: ChainId,
    wrapped: &[u8],
    secret: &OneTimeSecret,
    request: [u8; 32],
    header: &HeaderView<'_>,
) -> bool {
    let context = GrantContext { chain: chain.0, request };
    let keys = Keys::open(wrapped, secret, &context).ok();
    let given = keys.and_then(|keys| keys.body_key(&header.encryption.tree, header.slot));
    given.is_some_and(|given| header.is_key(&given))
}

/// Holds one more faulty grant against an account that sells.
pub(in crate::ledger) fn blame(ledger: &mut Ledger<'_>, seller: Address) -> Result<(), Halt> {
    let key = SellerKey { seller };
    let mut record = ledger.get_or_default(&key)?;
    record.faulty = record.faulty.saturating_add(1);
    ledger.put(&key, &record);
    Ok(())
}
