//! Handing peers their fragments, and leasing what they consent to.

use std::collections::BTreeSet;

use chronolith_chain::address::Address;
use chronolith_chain::coin::Amount;
use chronolith_chain::encoding::Text;
use chronolith_chain::ledger::{Action, AssignBatch, Peer, PeerKey};
use chronolith_chain::state::Overlay;
use chronolith_net::dispersal::{Handed, LEASE_FRAGMENTS, Offer, Recipient, hand_over};
use chronolith_net::stored::StoredFragment;
use futures::executor::block_on;
use futures::stream::{self, StreamExt as _};

use super::draw::{Groups, Open};
use super::{CONSENT_BLOCKS, Placer, PlacingError, Progress, ToPlace};
use crate::node::NodeState;

/// To how many peers fragments are handed at once.
const PEERS_AT_ONCE: usize = 8;

/// What a peer is drawn for.
struct Drawn {
    peer: Address,
    address: Text<256>,
    until_epoch: u64,
    price: Amount,
    handed: Vec<Handed>,
}

impl Placer<'_> {
    /// Hands each peer its fragments, and leases those that it consents to.
    pub(super) fn disperse(
        &mut self,
        packs: &[ToPlace],
        groups: Groups,
        failed: &mut BTreeSet<Address>,
    ) -> Result<(), PlacingError> {
        let state = NodeState::new(self.submitter.client());
        let overlay = Overlay::new(&state);
        let valid_until = state.height()?.saturating_add(CONSENT_BLOCKS);
        let mut batches = Vec::new();
        for ((peer, until_epoch), open) in groups {
            let row: Option<Peer> = overlay.get(&PeerKey { peer })?;
            let address = row.map(|row| row.address).unwrap_or_default();
            for batch in open.chunks(LEASE_FRAGMENTS) {
                let handed = batch.iter().filter_map(|one| handed(packs, one)).collect();
                let price = batch.iter().try_fold(Amount::ZERO, |sum, one| sum.plus(one.price))?;
                batches.push(Drawn { peer, address: address.clone(), until_epoch, price, handed });
            }
        }
        let (chain, owner) = (self.submitter.chain(), self.submitter.address());
        let (network, asker) = (self.submitter.client().network(), self.submitter.key());
        let taken = stream::iter(batches)
            .map(|drawn| {
                let (network, asker) = (&network, asker);
                async move {
                    let Drawn { price, until_epoch, .. } = drawn;
                    let offer = Offer { chain, owner, asker, price, until_epoch, valid_until };
                    let leased = async {
                        let to = Recipient::of(drawn.peer, &drawn.address)?;
                        hand_over(network, &offer, &to, &drawn.handed).await
                    };
                    (leased.await, drawn)
                }
            })
            .buffer_unordered(PEERS_AT_ONCE)
            .collect::<Vec<_>>();
        let (mut actions, mut leased): (Vec<Action>, _) = (Vec::new(), Vec::new());
        for (outcome, Drawn { peer, handed, .. }) in block_on(taken) {
            match outcome {
                Ok((fragments, lease)) => {
                    (self.tell)(Progress::Consented { peer, fragments: fragments.clone() });
                    let bytes = handed.iter().map(|one| one.fragment.fragment.bytes.len() as u64);
                    leased.push((peer, fragments.len(), bytes.sum::<u64>()));
                    actions.push(AssignBatch { fragments, lease }.into());
                }
                Err(error) => {
                    failed.insert(peer);
                    let reason = error.to_string();
                    (self.tell)(Progress::Failed { peer, reason });
                }
            }
        }
        let done = self.submitter.settle(actions)?;
        for ((peer, fragments, bytes), done) in leased.into_iter().zip(done) {
            match done.receipt.refusal {
                None => (self.tell)(Progress::Leased { peer, fragments, bytes }),
                Some(refusal) => {
                    failed.insert(peer);
                    let reason = format!("the ledger refuses the lease: {refusal}");
                    (self.tell)(Progress::Failed { peer, reason });
                }
            }
        }
        Ok(())
    }
}

fn handed(packs: &[ToPlace], open: &Open) -> Option<Handed> {
    let header = packs.get(open.place)?.pack.header().clone();
    let (pack, shape) = (header.content_id(), header.shape);
    let fragment = StoredFragment { pack, shape, fragment: open.fragment.clone() };
    Some(Handed { header, fragment })
}
