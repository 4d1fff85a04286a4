//! Commit certificates: that more than two thirds of the validators committed a block.

use bitvec::order::Lsb0;
use bitvec::slice::BitSlice;
use bitvec::vec::BitVec;
use borsh::{BorshDeserialize, BorshSerialize, io};

use crate::address::Address;
use crate::encoding::{DecodeError, DecodeReason, decode};
use crate::hash::{BlockId, ChainId, Domain, Hash};
use crate::keys::{Batch, PublicKey, Signature};
use crate::validator_set::{MAX_VALIDATORS, ValidatorSet};
use crate::vote::{Message as _, Step, Vote};

/// The precommits by which a block was committed: a bit for each member of the height's set of
/// validators, and a signature for each bit that is set.
///
/// What was signed is not in it: every signature is of the [`Vote`] that follows from chain, height,
/// round and block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    height: u64,
    round: u32,
    block: BlockId,
    voters: BitVec<u8, Lsb0>,
    signatures: Vec<Signature>,
}

/// Why a certificate does not hold, or cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// A vote is by nobody of the set.
    #[error("the key {} belongs to no validator of the height", Hash(.key.0))]
    Unknown {
        /// The key.
        key: PublicKey,
    },
    /// Two votes are by one validator.
    #[error("the validator {validator} votes twice")]
    Duplicate {
        /// The validator.
        validator: Address,
    },
    /// The bitmap is of another number of validators.
    #[error("the certificate is of {found} validators, the set has {expected}")]
    Members {
        /// How many the set has.
        expected: usize,
        /// How many the bitmap is of.
        found: usize,
    },
    /// The voters are too few.
    #[error("voting power {found} of {total} is not more than {needed}")]
    Power {
        /// The power of the voters.
        found: u64,
        /// The power of all.
        total: u64,
        /// Which share is needed.
        needed: Share,
    },
    /// A signature does not hold.
    #[error("the vote of {validator} is not signed by its consensus key")]
    Signature {
        /// The first such validator.
        validator: Address,
    },
}

/// A share of voting power that must be exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Two thirds: enough to commit.
    TwoThirds,
    /// A third: one honest validator at least.
    Third,
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TwoThirds => "two thirds",
            Self::Third => "a third",
        })
    }
}

impl Certificate {
    /// The largest encoding in bytes.
    pub const MAX_BYTES: usize = 8 + 4 + 32 + 2 + MAX_VALIDATORS / 8 + MAX_VALIDATORS * 64;

    /// A certificate of precommits for a block, which are not verified here.
    ///
    /// # Errors
    /// Where a vote is by nobody of the set, or two are by one.
    pub fn new(
        height: u64,
        round: u32,
        block: BlockId,
        set: &ValidatorSet,
        votes: impl IntoIterator<Item = (PublicKey, Signature)>,
    ) -> Result<Self, CertificateError> {
        let mut by_place: Vec<Option<Signature>> = vec![None; set.len()];
        for (key, signature) in votes {
            let index = set.index_of_key(&key).ok_or(CertificateError::Unknown { key })?;
            let place = by_place.get_mut(index).ok_or(CertificateError::Unknown { key })?;
            if place.replace(signature).is_some() {
                let validator = set.get(index).map(|member| member.validator).unwrap_or_default();
                return Err(CertificateError::Duplicate { validator });
            }
        }
        let voters = by_place.iter().map(Option::is_some).collect();
        let signatures = by_place.into_iter().flatten().collect();
        Ok(Self { height, round, block, voters, signatures })
    }

    /// Decodes a certificate.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode("a certificate", bytes, Self::MAX_BYTES)
    }

    /// The height of the block.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.height
    }

    /// The round it was committed in.
    #[must_use]
    pub fn round(&self) -> u32 {
        self.round
    }

    /// The block.
    #[must_use]
    pub fn block(&self) -> BlockId {
        self.block
    }

    /// A bit for each member of the set, in its order.
    #[must_use]
    pub fn bitmap(&self) -> &BitSlice<u8, Lsb0> {
        &self.voters
    }

    /// A signature for each bit that is set.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// The vote that every signature is of.
    #[must_use]
    pub fn vote(&self, chain: ChainId) -> Vote {
        let Self { height, round, block, .. } = *self;
        Vote { chain, height, round, step: Step::Precommit, block: Some(block) }
    }

    /// The accounts of those who voted; of a set of another size, nobody.
    #[must_use]
    pub fn voters(&self, set: &ValidatorSet) -> Vec<Address> {
        if self.voters.len() != set.len() {
            return Vec::new();
        }
        self.voters.iter_ones().filter_map(|at| Some(set.get(at)?.validator)).collect()
    }

    /// Checks that more than two thirds of a set committed the block. The set must be that of the
    /// certificate's height, from the verifier or under a hash that he trusts.
    ///
    /// # Errors
    /// Where the bitmap is of a set of another size, the voters are too few, or a signature does
    /// not hold. One that does not hold refuses all, whoever else signed.
    pub fn verify(&self, set: &ValidatorSet, chain: ChainId) -> Result<(), CertificateError> {
        let found = self.power_in(set, set)?;
        if !set.is_quorum(found) {
            let (total, needed) = (set.total_power(), Share::TwoThirds);
            return Err(CertificateError::Power { found, total, needed });
        }
        self.verify_signatures(set, chain)
    }

    /// Checks what [`Certificate::verify`] does, and that more than a third of `trusted`, an
    /// earlier set of the same chain, are among the voters, by the same keys.
    ///
    /// # Errors
    /// As [`Certificate::verify`], and [`Share::Third`] where the trusted ones are too few.
    pub fn verify_trusting(
        &self,
        set: &ValidatorSet,
        trusted: &ValidatorSet,
        chain: ChainId,
    ) -> Result<(), CertificateError> {
        let found = self.power_in(set, trusted)?;
        if !trusted.is_third(found) {
            let (total, needed) = (trusted.total_power(), Share::Third);
            return Err(CertificateError::Power { found, total, needed });
        }
        self.verify(set, chain)
    }

    /// The power that the voters, who are members of `set`, have in `other`.
    fn power_in(&self, set: &ValidatorSet, other: &ValidatorSet) -> Result<u64, CertificateError> {
        let (expected, found) = (set.len(), self.voters.len());
        if expected != found {
            return Err(CertificateError::Members { expected, found });
        }
        let voters = self.voters.iter_ones().filter_map(|at| set.get(at));
        let members = voters.filter_map(|voter| {
            let member = other.get(other.index_of(voter.validator)?)?;
            (member.consensus_key == voter.consensus_key).then_some(member.power)
        });
        // Each member counts once, so this is at most the total of a set.
        Ok(members.sum())
    }

    fn verify_signatures(
        &self,
        set: &ValidatorSet,
        chain: ChainId,
    ) -> Result<(), CertificateError> {
        let message = self.vote(chain).signing_hash();
        let mut batch = Batch::new();
        let voters: Vec<_> = self.voters.iter_ones().filter_map(|at| set.get(at)).collect();
        for (voter, signature) in voters.iter().zip(&self.signatures) {
            batch.push(&voter.consensus_key, &message.0, signature);
        }
        batch.verify().map_err(|failed| {
            let first = failed.first().and_then(|at| voters.get(*at));
            let validator = first.map(|voter| voter.validator).unwrap_or_default();
            CertificateError::Signature { validator }
        })
    }

    /// The hash of the certificate of the height before, as headers hold it; none at height 1.
    #[must_use]
    pub fn hash_of(certificate: Option<&Self>) -> Hash {
        Domain::Certificate.hash_of(&certificate)
    }
}

/// Height, round and block; the number of members as two bytes; the bitmap, the lowest bit first,
/// with zeros behind the last member; 64 bytes for each bit that is set.
impl BorshSerialize for Certificate {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        (self.height, self.round, self.block).serialize(writer)?;
        // At most `MAX_VALIDATORS`, by every way to make one.
        (self.voters.len() as u16).serialize(writer)?;
        for eight in self.voters.chunks(8) {
            let bits = eight.iter().by_vals().enumerate();
            bits.fold(0_u8, |byte, (at, bit)| byte | u8::from(bit) << at).serialize(writer)?;
        }
        self.signatures.iter().try_for_each(|signature| signature.serialize(writer))
    }
}

impl BorshDeserialize for Certificate {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let (height, round, block) = <(u64, u32, BlockId)>::deserialize_reader(reader)?;
        let members = usize::from(u16::deserialize_reader(reader)?);
        if members > MAX_VALIDATORS {
            let reason = DecodeReason::TooLong { limit: MAX_VALIDATORS, found: members };
            return Err(reason.into_io());
        }
        let mut bytes = Vec::with_capacity(MAX_VALIDATORS / 8);
        for _ in 0..members.div_ceil(8) {
            bytes.push(u8::deserialize_reader(reader)?);
        }
        let mut voters = BitVec::<u8, Lsb0>::from_vec(bytes);
        if voters.split_off(members).any() {
            return Err(DecodeReason::Invalid.into_io());
        }
        let count = voters.count_ones();
        let mut signatures = Vec::new();
        for _ in 0..count {
            signatures.push(Signature::deserialize_reader(reader)?);
        }
        Ok(Self { height, round, block, voters, signatures })
    }
}
