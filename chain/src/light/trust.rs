//! From one trusted header to a later one.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::certificate::{Certificate, CertificateError};
use crate::genesis::Genesis;
use crate::hash::{BlockId, ChainId, Hash};
use crate::header::{HEADER_VERSION, Header};
use crate::validator_set::{ValidatorSet, ValidatorSetError};

const DAY_NS: u64 = 86_400 * 1_000_000_000;

/// How far trust reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// For how long after its time a header is trusted, in nanoseconds; no value means for ever.
    ///
    /// It must be shorter than unbonding takes: those who signed can be punished only until then,
    /// and what they sign later costs them nothing.
    pub trusting_period_ns: Option<u64>,
    /// How far ahead of the verifier's clock a header may be, in nanoseconds.
    pub clock_drift_ns: u64,
}

impl Default for Options {
    /// Nine days, of the fourteen that unbonding takes by default; ten seconds.
    fn default() -> Self {
        Self { trusting_period_ns: Some(9 * DAY_NS), clock_drift_ns: 10 * 1_000_000_000 }
    }
}

/// A header that is trusted, or the genesis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    chain: ChainId,
    height: u64,
    time_ns: u64,
    block: BlockId,
    header: Option<Header>,
    /// The set that committed the header; of the genesis, the one that commits the first.
    validators: ValidatorSet,
    next_validators: Hash,
}

/// A later header with what makes it trusted.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Step {
    /// The header.
    pub header: Header,
    /// The set that committed it.
    pub validators: ValidatorSet,
    /// What commits it.
    pub certificate: Certificate,
}

/// Why a header is not trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// The trusted header is too old to go on from.
    #[error(
        "the trusted header is {} days old, longer than it is trusted; get a newer one from somebody \
         you trust",
        now_ns.saturating_sub(*trusted_ns) / DAY_NS
    )]
    Expired {
        /// Its time.
        trusted_ns: u64,
        /// The verifier's time.
        now_ns: u64,
    },
    /// The header is of another version.
    #[error("the header has version {found}, this program knows {HEADER_VERSION}")]
    Version {
        /// Its version.
        found: u16,
    },
    /// The header is of another chain.
    #[error("the header is of the chain {found}")]
    Chain {
        /// Its chain.
        found: ChainId,
    },
    /// The header is not later than the trusted one.
    #[error("the header has height {found}, and the trusted one {trusted}")]
    Height {
        /// The trusted height.
        trusted: u64,
        /// The header's.
        found: u64,
    },
    /// The header's time is not between the trusted one's and the verifier's.
    #[error(
        "the header's time {found_ns} ns is not after {trusted_ns} ns and up to {latest_ns} ns"
    )]
    Time {
        /// The trusted header's.
        trusted_ns: u64,
        /// The latest that is believed.
        latest_ns: u64,
        /// The header's.
        found_ns: u64,
    },
    /// The set is not the one whose hash the header holds.
    #[error("the header was committed by the set {expected}, not by {found}")]
    Set {
        /// The hash in the header.
        expected: Hash,
        /// That of the set.
        found: Hash,
    },
    /// The next header must be committed by the set that the trusted one names.
    #[error("the trusted header names the set {expected}, and the next was committed by {found}")]
    NextSet {
        /// The hash in the trusted header.
        expected: Hash,
        /// The hash in the next.
        found: Hash,
    },
    /// The next header does not follow on the trusted one.
    #[error("the header follows on {found}, not on the trusted block")]
    Previous {
        /// What it follows on.
        found: BlockId,
    },
    /// The certificate is of another block.
    #[error("the certificate is of the block {found} at height {height}")]
    OtherBlock {
        /// Its height.
        height: u64,
        /// Its block.
        found: BlockId,
    },
    /// The certificate does not hold, or too little of a trusted set is in it.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

impl Trusted {
    /// Trust in a genesis.
    ///
    /// # Errors
    /// Where its validators are no set.
    pub fn genesis(genesis: &Genesis) -> Result<Self, ValidatorSetError> {
        let validators = genesis.validator_set()?;
        let chain = genesis.chain_id();
        Ok(Self {
            chain,
            height: 0,
            time_ns: genesis.time_ms.saturating_mul(1_000_000),
            block: BlockId(chain.0),
            header: None,
            next_validators: validators.hash(),
            validators,
        })
    }

    /// Trust in a header that was got from somebody who is trusted, with the set that committed it.
    ///
    /// # Errors
    /// [`StepError::Set`] where the set is another, [`StepError::Version`].
    pub fn header(header: Header, validators: ValidatorSet) -> Result<Self, StepError> {
        if header.version != HEADER_VERSION {
            return Err(StepError::Version { found: header.version });
        }
        ensure_set(&header, &validators)?;
        Ok(Self {
            chain: header.chain,
            height: header.height,
            time_ns: header.time_ns,
            block: header.id(),
            next_validators: header.next_validators,
            validators,
            header: Some(header),
        })
    }

    /// The chain.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        self.chain
    }

    /// The height; 0 of the genesis.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.height
    }

    /// The block; of the genesis, the chain's id.
    #[must_use]
    pub fn block(&self) -> BlockId {
        self.block
    }

    /// The header; the genesis has none.
    #[must_use]
    pub fn get(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// The hash of the set that commits the next block.
    #[must_use]
    pub fn next_validators(&self) -> Hash {
        self.next_validators
    }

    /// Goes on to a later header, at the verifier's time in nanoseconds since the epoch.
    ///
    /// # Errors
    /// Why the header cannot be trusted; the trust that there was stays as it is.
    pub fn advance(&self, step: &Step, now_ns: u64, options: &Options) -> Result<Self, StepError> {
        let Step { header, validators, certificate } = step;
        self.ensure_times(header, now_ns, options)?;
        ensure_set(header, validators)?;
        let (height, found) = (certificate.height(), certificate.block());
        if (height, found) != (header.height, header.id()) {
            return Err(StepError::OtherBlock { height, found });
        }
        let is_next = header.height == self.height.saturating_add(1);
        let is_named = header.validators == self.next_validators;
        if is_next && !is_named {
            let (expected, found) = (self.next_validators, header.validators);
            return Err(StepError::NextSet { expected, found });
        }
        if is_next && header.previous != self.block {
            return Err(StepError::Previous { found: header.previous });
        }
        if is_named {
            certificate.verify(validators, self.chain)?;
        } else {
            certificate.verify_trusting(validators, &self.validators, self.chain)?;
        }
        Self::header(header.clone(), validators.clone())
    }

    fn ensure_times(
        &self,
        header: &Header,
        now_ns: u64,
        options: &Options,
    ) -> Result<(), StepError> {
        let trusted_ns = self.time_ns;
        let until = options.trusting_period_ns.map(|period| trusted_ns.saturating_add(period));
        if until.is_some_and(|until| until < now_ns) {
            return Err(StepError::Expired { trusted_ns, now_ns });
        }
        if header.version != HEADER_VERSION {
            return Err(StepError::Version { found: header.version });
        }
        if header.chain != self.chain {
            return Err(StepError::Chain { found: header.chain });
        }
        if header.height <= self.height {
            return Err(StepError::Height { trusted: self.height, found: header.height });
        }
        let (latest_ns, found_ns) = (now_ns.saturating_add(options.clock_drift_ns), header.time_ns);
        if found_ns <= trusted_ns || found_ns > latest_ns {
            return Err(StepError::Time { trusted_ns, latest_ns, found_ns });
        }
        Ok(())
    }
}

fn ensure_set(header: &Header, validators: &ValidatorSet) -> Result<(), StepError> {
    let (expected, found) = (header.validators, validators.hash());
    if expected == found { Ok(()) } else { Err(StepError::Set { expected, found }) }
}
