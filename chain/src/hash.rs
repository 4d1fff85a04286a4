//! Hashes and the ids that are made of them.
//!
//! Everything that is hashed or signed has a [`Domain`], so that bytes of one meaning can never
//! pass for bytes of another: `SHA-256(length of the domain's name ‖ name ‖ bytes)`. Trees use
//! single bytes below 0x06 in that place, which no name is as short as.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use sha2::{Digest as _, Sha256};

/// What hashed or signed bytes mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Domain {
    /// The unsigned body of a transaction.
    Transaction,
    /// A block header.
    Block,
    /// The genesis document, which names the chain.
    Genesis,
    /// A vote for, or against, a block.
    Vote,
    /// A proposer's claim that a block is its proposal.
    Proposal,
    /// A device key's consent to its registration.
    RegisterDevice,
    /// A new owner's consent to a device.
    TransferDevice,
    /// A peer's consent to a lease.
    Lease,
    /// The fragments of a lease.
    LeaseEntries,
    /// One step of a validator's beacon chain.
    Beacon,
    /// The mixed randomness that lots are drawn by.
    Seed,
    /// The numbers that a lot is drawn by.
    Draw,
    /// The puzzle of a candidate.
    Puzzle,
    /// A set of validators.
    ValidatorSet,
    /// A commit certificate, or that there is none.
    Certificate,
    /// An id that is derived from the transaction that made the thing.
    Derived,
    /// The coefficients of a batch verification.
    Batch,
    /// A key of the state.
    StateKey,
    /// A value of the state.
    StateValue,
    /// A message that a grant wraps.
    Grant,
    /// What an offer of hidden data is of.
    HiddenScope,
    /// What the audits of an epoch are drawn by.
    Audit,
    /// What a peer signs of its answer to an audit.
    AuditAnswer,
    /// By what an owner's node grants by itself.
    Policy,
    /// What a note to a buyer is looked up by.
    Note,
    /// Where the fragments of a pack go.
    Placement,
    /// That somebody asks a storage peer to keep fragments.
    AskStorage,
    /// What the keys of a subscription's period are bound to.
    Period,
    /// The word of somebody who answers a question of data.
    Answer,
    /// An account's word that a key is its own.
    CertificateRequest,
    /// An owner's word that somebody may use a service.
    ServicePass,
}

impl Domain {
    /// The name that goes in front of the bytes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transaction => "chronolith/transaction/1",
            Self::Block => "chronolith/block/1",
            Self::Genesis => "chronolith/genesis/1",
            Self::Vote => "chronolith/vote/1",
            Self::Proposal => "chronolith/proposal/1",
            Self::RegisterDevice => "chronolith/register-device/1",
            Self::TransferDevice => "chronolith/transfer-device/1",
            Self::Lease => "chronolith/lease/1",
            Self::LeaseEntries => "chronolith/lease-entries/1",
            Self::Beacon => "chronolith/beacon/1",
            Self::Seed => "chronolith/seed/1",
            Self::Draw => "chronolith/draw/1",
            Self::Puzzle => "chronolith/puzzle/1",
            Self::ValidatorSet => "chronolith/validator-set/1",
            Self::Certificate => "chronolith/certificate/1",
            Self::Derived => "chronolith/derived/1",
            Self::Batch => "chronolith/batch/1",
            Self::StateKey => "chronolith/state-key/1",
            Self::StateValue => "chronolith/state-value/1",
            Self::Grant => "chronolith/grant/1",
            Self::HiddenScope => "chronolith/hidden-scope/1",
            Self::Audit => "chronolith/audit/1",
            Self::AuditAnswer => "chronolith/audit-answer/1",
            Self::Policy => "chronolith/policy/1",
            Self::Note => "chronolith/note/1",
            Self::Placement => "chronolith/placement/1",
            Self::AskStorage => "chronolith/ask-storage/1",
            Self::Period => "chronolith/period/1",
            Self::Answer => "chronolith/answer/1",
            Self::CertificateRequest => "chronolith/certificate-request/1",
            Self::ServicePass => "chronolith/service-pass/1",
        }
    }

    /// The hash of bytes in this domain.
    #[must_use]
    pub fn hash(self, bytes: &[u8]) -> Hash {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        Hash(hasher.finalize().into())
    }

    /// The hash of a value's encoding in this domain.
    #[must_use]
    pub fn hash_of<T: BorshSerialize + ?Sized>(self, value: &T) -> Hash {
        let mut hasher = Encoded(self.hasher());
        // Hashing cannot fail, and our encodings only fail where their writer does.
        let _ = value.serialize(&mut hasher);
        Hash(hasher.0.finalize().into())
    }

    fn hasher(self) -> Sha256 {
        let name = self.name().as_bytes();
        let mut hasher = Sha256::new();
        hasher.update([name.len() as u8]);
        hasher.update(name);
        hasher
    }
}

/// Hashes what is encoded into it.
struct Encoded(Sha256);

impl borsh::io::Write for Encoded {
    fn write(&mut self, bytes: &[u8]) -> borsh::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> borsh::io::Result<()> {
        Ok(())
    }
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Defines types of 32 bytes that print as hexadecimal digits.
macro_rules! digests {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
            Default,
        )]
        pub struct $name(pub [u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    )*};
}

digests! {
    /// A SHA-256 digest.
    Hash;
    /// Names a chain: the hash of its genesis document.
    ChainId;
    /// Names a transaction: the hash of its unsigned body, which is also what is signed.
    TransactionId;
    /// Names a block: the hash of its header.
    BlockId;
    /// Names an issued coin.
    CoinId;
    /// Names an offer.
    OfferId;
    /// Names a request, and the right that a grant makes of it.
    RequestId;
    /// Names a lease.
    LeaseId;
    /// Names a service.
    ServiceId;
    /// Names a certificate.
    CertificateId;
    /// Names a bounty.
    BountyId;
    /// Names a deal.
    DealId;
    /// Names a subscription.
    SubscriptionId;
}

/// Ids of things that a transaction makes, one of a kind at most.
macro_rules! derived {
    ($($name:ident = $kind:literal;)*) => {$(
        impl $name {
            /// The id of what a transaction makes.
            #[must_use]
            pub fn made_by(transaction: TransactionId) -> Self {
                let mut bytes = [$kind; 33];
                bytes[1..].copy_from_slice(&transaction.0);
                Self(Domain::Derived.hash(&bytes).0)
            }
        }
    )*};
}

derived! {
    CoinId = 1;
    OfferId = 2;
    RequestId = 3;
    LeaseId = 4;
    ServiceId = 5;
    CertificateId = 6;
    BountyId = 7;
    DealId = 8;
    SubscriptionId = 9;
}

impl RequestId {
    /// The id of the request that the award of a submission becomes.
    #[must_use]
    pub fn awarded(bounty: BountyId, number: u32) -> Self {
        let mut bytes = [10; 37];
        bytes[1..33].copy_from_slice(&bounty.0);
        bytes[33..].copy_from_slice(&number.to_le_bytes());
        Self(Domain::Derived.hash(&bytes).0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_separates() {
        // By hand: printf '\x18chronolith/transaction/1abc' | sha256sum
        let found = Domain::Transaction.hash(b"abc").to_string();
        assert_eq!(found, "6a7cd7950b5fe1861581f426d8288df6d4dd038f92455a595ad9d4c0001dd068");
    }

    #[test]
    fn values_hash_as_their_encoding() {
        let value = (7_u32, [1_u8; 4]);
        let bytes = borsh::to_vec(&value).unwrap_or_default();
        assert_eq!(Domain::Block.hash_of(&value), Domain::Block.hash(&bytes));
        assert_ne!(Domain::Block.hash(&bytes), Domain::Vote.hash(&bytes));
    }

    #[test]
    fn ids_of_different_kinds_differ() {
        let transaction = TransactionId([9; 32]);
        assert_ne!(CoinId::made_by(transaction).0, OfferId::made_by(transaction).0);
    }
}
