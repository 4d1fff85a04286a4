//! Handing fragments to a storage peer, and having it consent to lease them.
//!
//! The peer is handed each fragment first, and consents once it has them all on disk. Its consent is
//! checked here: it names the root over the very fragments that were handed over.

use chronolith_chain::address::Address;
use chronolith_chain::coin::{Amount, CoinError};
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::{Bytes, Text};
use chronolith_chain::hash::{ChainId, Hash};
use chronolith_chain::keys::{SecretKey, verify};
use chronolith_chain::ledger::{
    AssignedFragment, Fragment, Fragments, LeaseTerms, NewLease, batch_root,
};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use libp2p::Multiaddr;

use crate::exchange::{AskError, Asked, Asker, Question, Reply, ask};
use crate::network::{AddressError, KnownPeer, NetworkHandle};
use crate::pack::PackHeader;
use crate::stored::StoredFragment;

/// How many fragments are on their way to one peer at once.
const AT_ONCE: usize = 4;
/// The most fragments of one lease.
pub const LEASE_FRAGMENTS: usize = 256;

/// A fragment that a peer is to keep.
#[derive(Debug, Clone)]
pub struct Handed {
    /// The header of its pack.
    pub header: PackHeader,
    /// The fragment.
    pub fragment: StoredFragment,
}

/// Whom fragments are handed to, and for whom.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// The account of the peer.
    pub account: Address,
    /// Where it is reached.
    pub known: KnownPeer,
}

/// In whose name fragments are handed over, and on which terms they are to be leased.
pub struct Offer<'a> {
    /// The chain.
    pub chain: ChainId,
    /// Who placed the packs and pays.
    pub owner: Address,
    /// The key of who asks: the owner, or a repairer.
    pub asker: &'a SecretKey,
    /// What is paid for an epoch, all fragments together.
    pub price: Amount,
    /// The first epoch in which they need not be kept any more.
    pub until_epoch: u64,
    /// The last height at which the consent is to count.
    pub valid_until: u64,
}

/// Why a peer has no lease.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandOverError {
    /// It gave no answer, or refused.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The address that the ledger has of it is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A fragment is larger than what goes over the network.
    #[error(
        "fragment {index} of pack {pack} has {bytes} bytes, more than are sent at once; cut the pack into more fragments"
    )]
    TooLarge {
        /// Of which pack.
        pack: ContentId,
        /// Which.
        index: u8,
        /// Its size.
        bytes: usize,
    },
    /// These fragments cannot be one lease: none, more than 256, or one twice.
    #[error("{fragments} fragments cannot be one lease: 1 to {LEASE_FRAGMENTS} different ones can")]
    Batch {
        /// How many.
        fragments: usize,
    },
    /// It keeps another fragment of the same pack: the two would be lost together.
    #[error("{peer} keeps another fragment of pack {pack} already")]
    HasOther {
        /// Who.
        peer: Address,
        /// Of which pack.
        pack: ContentId,
    },
    /// What it signed is not a consent to this lease.
    #[error("{peer} consented to something else than the lease of what it was handed")]
    OtherConsent {
        /// Who.
        peer: Address,
    },
    /// More blocks than 64 bits count.
    #[error(transparent)]
    Overflow(#[from] CoinError),
}

impl Recipient {
    /// A peer as the ledger has it.
    ///
    /// # Errors
    /// An address that names no peer of the network.
    pub fn of(account: Address, address: &Text<256>) -> Result<Self, AddressError> {
        Ok(Self { account, known: address.parse()? })
    }
}

/// The fragments as a lease names them, and the root over their blocks that it commits to.
///
/// # Errors
/// [`HandOverError::Batch`]; more blocks than 64 bits count.
pub fn batch(handed: &[Handed]) -> Result<(Fragments, Hash), HandOverError> {
    let refused = || HandOverError::Batch { fragments: handed.len() };
    let mut assigned: Vec<AssignedFragment> = handed
        .iter()
        .map(|one| AssignedFragment {
            fragment: Fragment { pack: one.fragment.pack, index: one.fragment.fragment.index },
            root: Hash(one.fragment.fragment.tree().root()),
            blocks: one.fragment.shape.blocks(),
        })
        .collect();
    assigned.sort_by_key(|one| (one.fragment.pack, one.fragment.index));
    let fragments = assigned.iter().map(|one| one.fragment).collect::<Vec<_>>();
    let fragments = Fragments::new(fragments).map_err(|_| refused())?;
    let root = batch_root(&assigned)?.ok_or_else(refused)?;
    Ok((fragments, root.hash))
}

/// Hands a peer fragments and has it consent to a lease of them.
///
/// # Errors
/// Why there is no lease. What the peer has on disk already it drops by itself when no lease follows.
pub async fn hand_over(
    network: &NetworkHandle,
    offer: &Offer<'_>,
    to: &Recipient,
    handed: &[Handed],
) -> Result<(Fragments, NewLease), HandOverError> {
    let (fragments, root) = batch(handed)?;
    let addresses: Vec<Multiaddr> = vec![to.known.address.clone()];
    has_no_other(network, to, &fragments).await?;
    let keeps = handed.iter().map(|one| keep(offer, to, one));
    stream::iter(keeps)
        .map(|question| {
            let addresses = addresses.clone();
            async move {
                let question = question?;
                let wanted = |reply| matches!(reply, Reply::Kept).then_some(());
                Ok::<_, HandOverError>(
                    ask(network, to.known.peer, addresses, &question, wanted).await?,
                )
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    let Offer { chain, owner, price, until_epoch, valid_until, .. } = *offer;
    let asked = Asked { chain, peer: to.account, owner, fragments: &fragments, valid_until };
    let by = Asker::sign(offer.asker, &asked);
    let question = Question::Consent {
        owner,
        by,
        fragments: fragments.clone(),
        price,
        until_epoch,
        valid_until,
    };
    let lease = ask(network, to.known.peer, addresses, &question, |reply| match reply {
        Reply::Consent(lease) => Some(lease),
        _ => None,
    })
    .await?;
    let terms = LeaseTerms { root, price, until_epoch, valid_until };
    let message = NewLease::consent(chain, owner, &fragments, &terms);
    let is_it = lease.peer == to.account
        && lease.root == root
        && lease.valid_until == valid_until
        && verify(&to.account.key(), &message, &lease.consent);
    match is_it {
        true => Ok((fragments, lease)),
        false => Err(HandOverError::OtherConsent { peer: to.account }),
    }
}

/// Refuses a peer that keeps another fragment of one of the packs.
async fn has_no_other(
    network: &NetworkHandle,
    to: &Recipient,
    fragments: &Fragments,
) -> Result<(), HandOverError> {
    for of_pack in fragments.chunk_by(|a, b| a.pack == b.pack) {
        let Some(Fragment { pack, .. }) = of_pack.first().copied() else { continue };
        let addresses = vec![to.known.address.clone()];
        let held =
            ask(network, to.known.peer, addresses, &Question::Held(pack), |reply| match reply {
                Reply::Held(held) => Some(held.to_vec()),
                Reply::Absent => Some(Vec::new()),
                _ => None,
            })
            .await?;
        let is_new = |index: &u8| of_pack.iter().any(|fragment| fragment.index == *index);
        if !held.iter().all(is_new) {
            return Err(HandOverError::HasOther { peer: to.account, pack });
        }
    }
    Ok(())
}

/// The question that hands over a fragment.
fn keep(offer: &Offer<'_>, to: &Recipient, handed: &Handed) -> Result<Question, HandOverError> {
    let Handed { header, fragment } = handed;
    let Offer { chain, owner, .. } = *offer;
    let named = Fragment { pack: fragment.pack, index: fragment.fragment.index };
    let fragments = &[named][..];
    let asked = Asked { chain, peer: to.account, owner, fragments, valid_until: 0 };
    let by = Asker::sign(offer.asker, &asked);
    let bytes = fragment.to_bytes();
    let too_large = HandOverError::TooLarge {
        pack: fragment.pack,
        index: fragment.fragment.index,
        bytes: bytes.len(),
    };
    let (Ok(header), Ok(fragment)) = (Bytes::new(header.to_bytes()), Bytes::new(bytes)) else {
        return Err(too_large);
    };
    Ok(Question::Keep { owner, by, header, fragment })
}
