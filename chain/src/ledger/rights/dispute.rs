//! Showing that a grant's keys are wrong.

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_keys::{Grant as Keys, GrantContext, HeaderView, OneTimeSecret, TreeId, Windows};
use chronolith_merkle::HashFunction;

use super::{
    HiddenScope, MetricName, OfferKey, RequestKey, Right, RightStatus, SellerKey, Subject,
    give_back,
};
use crate::address::Address;
use crate::content::ContentId;
use crate::encoding::{Bytes, Text};
use crate::hash::{Domain, Hash, RequestId};
use crate::ledger::action::Rules;
use crate::ledger::anchors::AnchorKey;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::devices::EraKey;
use crate::ledger::refusal::{Refusal, Thing};
use crate::list::{ListProof, ListRoot};

/// Disputes a grant: reveals the one-time secret, the sealed roots, one chunk's header and its path to
/// an anchor, so that the ledger can open the message, derive the key commitment of that chunk, and
/// compare it with the header's.
///
/// - The sender is the buyer. The request is granted, and the time to check is not over: the block in
///   which the owner would be paid is the last one.
/// - The secret is that of the request's one-time key, and the sealed roots are those that were
///   granted.
/// - The header is that of an encrypted chunk, in the canonical form of version 1. Its content id, by
///   SHA-256 or BLAKE3, is at the place in the anchored batch, by the path.
/// - The batch was anchored in the time of the scope's key tree, by the owner of that time, by the
///   producer of that time or by the device itself: nobody else's header counts against the owner.
/// - The right covers the chunk. Of data that is named: the header shows its metric, which is one of
///   the scope's, and its key tree is the one that follows from the device, the number of the device's
///   key tree, the rotation that is given, the length of windows and the metric. Of hidden data: what
///   the offer is of is revealed, hashes to the offer's subject, and has the header's key tree. The
///   header's window touches the right's time range.
/// - If the roots give the chunk's key, by the header's commitment, the dispute is refused as
///   `KeysHold`.
/// - Otherwise the buyer gets all of the payment back and the grant is one more that is held against
///   the owner: the message does not open, or is no grant, has no such tree, does not cover the
///   window, or gives another key.
///
/// Whatever comes of it, everybody who reads the block can open the grant from then on.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Dispute {
    /// The request that was granted.
    pub request: RequestId,
    /// The secret half of the request's one-time key.
    #[serde(with = "crate::json::hex")]
    pub secret: [u8; 32],
    /// The sealed key-tree roots, as they were granted.
    pub wrapped: Bytes<16384>,
    /// The header of a chunk that the right covers.
    pub header: Bytes<16384>,
    /// The root of the batch it is anchored in, and the producer who anchored it.
    pub anchor: (Address, Hash),
    /// The chunk's place in the batch.
    pub index: u32,
    /// The way from the header to the batch's root.
    pub path: ListProof,
    /// Why the chunk's key tree is one of the scope's.
    pub tree: ChunkTree,
}

/// Why a chunk's key tree is one of a scope's.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub enum ChunkTree {
    /// Its id follows from what the scope and the header show.
    Named {
        /// How many trees the metric had before under this owner.
        rotation: u32,
    },
    /// It is one of the trees of a hidden scope.
    Hidden(HiddenScope),
}

impl Rules for Dispute {
    fn weight(&self) -> u64 {
        20
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = RequestKey { request: self.request };
        let right = ledger.find(&key, Thing::Request)?;
        ensure(right.buyer == call.sender, Refusal::NotAllowed(Thing::Request))?;
        let RightStatus::Granted { wrapped, settles } = right.status else {
            return Err(Refusal::Status(Thing::Request).into());
        };
        // A settlement may come late, where many are due at once.
        let until = settles.saturating_add(1);
        ensure(ledger.height < until, Refusal::Late { until })?;
        let secret = OneTimeSecret::from_bytes(self.secret);
        ensure(secret.public() == right.key, Refusal::Secret)?;
        ensure(Domain::Grant.hash(&self.wrapped) == wrapped, Refusal::Sealed)?;

        let header = HeaderView::from_bytes(&self.header).map_err(|error| Refusal::Header {
            offset: u32::try_from(error.offset).unwrap_or(u32::MAX),
        })?;
        self.ensure_anchored(ledger, &right, &header)?;

        let context = GrantContext { chain: ledger.chain.0, request: self.request.0 };
        let keys = Keys::open(&self.wrapped, &secret, &context).ok();
        let given = keys.and_then(|keys| keys.body_key(&header.encryption.tree, header.slot));
        ensure(!given.is_some_and(|given| header.is_key(&given)), Refusal::KeysHold)?;

        let seller = SellerKey { seller: right.owner };
        let mut record = ledger.get_or_default(&seller)?;
        record.faulty = record.faulty.saturating_add(1);
        ledger.put(&seller, &record);
        give_back(ledger, key, right, RightStatus::Faulty)
    }
}

impl Dispute {
    /// Refuses a header that the right does not cover, or that nobody anchored who spoke for the
    /// device.
    fn ensure_anchored(
        &self,
        ledger: &Ledger<'_>,
        right: &Right,
        header: &HeaderView<'_>,
    ) -> Result<(), Halt> {
        let (producer, root) = self.anchor;
        let anchored = ledger.find(&AnchorKey { producer, root: root.0 }, Thing::Anchor)?;
        let batch = ListRoot { root, count: anchored.chunks };
        let is_at_place =
            [HashFunction::Sha256, HashFunction::Blake3].into_iter().any(|function| {
                let id = ContentId::of_dag_cbor(function, &self.header);
                self.path.verify(&batch, self.index, &id).is_ok()
            });
        ensure(is_at_place, Refusal::Path)?;

        let offer = ledger.find(&OfferKey { offer: right.offer }, Thing::Offer)?.offer;
        let covered = covered(&offer.scope.subject, &self.tree, header);
        let (device, tree) = covered.ok_or(Refusal::Scope)?;
        let windows = Windows::touching(header.window_ns, right.from_ms, right.until_ms);
        let touches = windows.is_ok_and(|windows| windows.numbers().contains(&header.slot.window));
        ensure(touches, Refusal::Scope)?;
        let era = ledger.find(&EraKey { device, tree }, Thing::Device)?;
        ensure(era.could_anchor(device, producer, anchored.time_ms), Refusal::Anchorer)
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
