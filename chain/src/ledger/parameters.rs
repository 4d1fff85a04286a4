//! Parameters of the chain: in the state, changed by governance, never global.

use borsh::{BorshDeserialize, BorshSerialize};

use super::storage::{epoch, epoch_end};
use super::tables::tables;
use crate::coin::{Amount, BasisPoints, MOTES_PER_COIN};
use crate::encoding::Keyed;

tables! {
    /// The parameters.
    0x05 ParametersKey {} => Parameters;
}

/// What is known of a parameter.
#[derive(Debug, Clone, Copy)]
pub struct ParameterInfo {
    /// Which one.
    pub name: ParameterName,
    /// Its name as text.
    pub text: &'static str,
    /// What it is, with its unit.
    pub meaning: &'static str,
    /// What it is unless a genesis says otherwise.
    pub default: u128,
    /// The least it may be.
    pub minimum: u128,
    /// The most it may be.
    pub maximum: u128,
}

macro_rules! parameters {
    ($($index:literal $name:ident $text:ident: $default:expr, $minimum:expr, $maximum:expr, $meaning:literal;)*) => {
        /// The name of a parameter.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize,
        )]
        #[derive(serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[borsh(use_discriminant = true)]
        #[repr(u8)]
        pub enum ParameterName {
            $(#[doc = $meaning] $name = $index,)*
        }

        impl ParameterName {
            /// All parameters, by their numbers.
            pub const ALL: &'static [ParameterInfo] = &[$(ParameterInfo {
                name: Self::$name,
                text: stringify!($text),
                meaning: $meaning,
                default: $default,
                minimum: $minimum,
                maximum: $maximum,
            },)*];
        }

        /// The values of all parameters.
        #[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
        #[derive(serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Parameters {
            $(#[serde(with = "crate::json::decimal")] $text: u128,)*
        }

        impl Default for Parameters {
            fn default() -> Self {
                Self { $($text: $default,)* }
            }
        }

        impl Parameters {
            /// The value of a parameter.
            #[must_use]
            pub fn get(&self, name: ParameterName) -> u128 {
                match name { $(ParameterName::$name => self.$text,)* }
            }

            /// Sets a parameter to a value within its bounds; says whether it is.
            #[must_use]
            pub fn set(&mut self, name: ParameterName, value: u128) -> bool {
                match name {$(
                    ParameterName::$name => {
                        let is_within = ($minimum..=$maximum).contains(&value);
                        if is_within {
                            self.$text = value;
                        }
                        is_within
                    }
                )*}
            }
        }
    };
}

const COIN: u128 = MOTES_PER_COIN;
const DAY: u128 = 86_400;

parameters! {
    0 BlockBytes block_bytes: 2_000_000, 100_000, 16_000_000, "the most bytes of transactions in a block";
    1 BlockWeight block_weight: 20_000, 1_000, 1_000_000, "the most weight of transactions in a block, in transfers";
    2 FeePerByte fee_per_byte: 1_000_000_000, 0, COIN, "the least fee for each byte of a transaction, in motes";
    3 FeePerWeight fee_per_weight: 100_000_000_000, 0, COIN, "the least fee for each unit of weight, in motes";
    4 FeeBurn fee_burn: 5_000, 0, 10_000, "the share of fees that is burnt, in basis points";
    5 Issuance issuance: 0, 0, 1_000 * COIN, "what is minted for the voters of each block, in motes";
    6 ProposerShare proposer_share: 500, 0, 5_000, "the proposer's share of a block's reward, in basis points";
    7 ValidLongest valid_longest: DAY, 100, 30 * DAY, "how many blocks ahead a transaction may be valid";
    10 MinimumBond minimum_bond: 1_000 * COIN, 1, u128::MAX, "the least bond of a validator, in motes";
    11 MinimumDelegation minimum_delegation: COIN, 1, u128::MAX, "the least delegation, in motes";
    12 UnbondingBlocks unbonding_blocks: 14 * DAY, 10, 60 * DAY, "how many blocks unbonding takes, within which misdeeds are punished";
    13 DoubleSignSlash double_sign_slash: 500, 1, 5_000, "the share of a bond that signing twice costs, in basis points";
    14 ReporterShare reporter_share: 500, 0, 5_000, "the share of what is slashed that goes to who proved it, in basis points";
    15 TermBlocks term_blocks: 500, 10, 100_000, "how many blocks a term has";
    16 TermsPerLot terms_per_lot: 10, 1, 100, "how many terms a lot has";
    17 ReadyBlocks ready_blocks: 100, 1, 1_000, "how many blocks before the end of a term candidates say that they are ready";
    18 PuzzleBits puzzle_bits: 16, 0, 64, "how many leading zero bits the answer to a candidate's puzzle has";
    19 Seats seats: 22, 4, 128, "how many validators a term seats, at most";
    60 ContributionFloor contribution_floor: 0, 0, u128::MAX, "the least contribution of a candidate, in points";
    61 ScoreFee score_fee: 1_000, 0, 1_000_000, "points for each coin of fees that was burnt";
    62 ScoreAudit score_audit: 10, 0, 1_000_000, "points for each audit that was passed";
    63 ScoreBond score_bond: 1, 0, 1_000_000, "points for each coin that was bonded for 86,400 blocks";
    64 AbsenceShare absence_share: 5_000, 100, 10_000, "the share of a term's votes that a validator may miss, in basis points";
    65 AbsenceSlash absence_slash: 10, 0, 1_000, "the share of a bond that missing more costs, in basis points";
    20 ProposalDeposit proposal_deposit: 100 * COIN, 1, u128::MAX, "the deposit for a proposal, in motes";
    21 VotingBlocks voting_blocks: 7 * DAY, 5, 59 * DAY, "how many blocks are voted on a proposal; less than unbonding takes";
    22 Quorum quorum: 3_334, 1, 10_000, "the share of bonded stake that must vote, in basis points";
    23 PassShare pass_share: 5_000, 1, 10_000, "the share of votes for or against that must be for, in basis points; more is needed";
    30 IssueFee issue_fee: 10 * COIN, 0, u128::MAX, "what issuing a coin costs, burnt, in motes";
    31 DeviceDeposit device_deposit: COIN / 100, 0, u128::MAX, "what a device's place in the state costs, burnt, in motes";
    40 CheckBlocksLeast check_blocks_least: 100, 1, DAY, "the shortest time a buyer may be given to check a grant, in blocks";
    41 CancelBlocks cancel_blocks: 20, 1, 1_000, "how many blocks a grant that is on its way has after a buyer cancels";
    42 DeadlineLongest deadline_longest: 30 * DAY, 10, 365 * DAY, "how many blocks ahead the deadline of a request may be";
    50 StorageBond storage_bond: 100 * COIN, 1, u128::MAX, "the least bond of a storage peer, in motes";
    51 LeaseBurn lease_burn: 200, 0, 5_000, "the share of lease payments that is burnt, in basis points";
    52 AuditBlocks audit_blocks: 30, 1, 500, "how many blocks after an epoch its audits are attested";
    53 AuditMisses audit_misses: 3, 1, 1_000, "how many audits in a row a peer may miss before its leases are lost";
    54 LeaseLongest lease_longest: 100_000, 1, 10_000_000, "how many epochs ahead a lease may run";
    55 EpochBlocks epoch_blocks: 600, 10, 100_000, "how many blocks an epoch has, above audit_blocks; set at genesis for ever";
    56 WrongAnswerSlash wrong_answer_slash: 5_000, 1, 10_000, "the share of a storage peer's bond that a lie costs, in basis points";
}

/// A parameter's new value.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct ParameterChange {
    /// Which one.
    pub name: ParameterName,
    /// The value.
    #[serde(with = "crate::json::decimal")]
    pub value: u128,
}

impl Keyed for ParameterChange {
    type Key = ParameterName;

    fn key(&self) -> ParameterName {
        self.name
    }
}

impl ParameterName {
    /// Whether only a genesis sets it: heights would belong to other epochs if it changed later.
    #[must_use]
    pub const fn is_fixed(self) -> bool {
        matches!(self, Self::EpochBlocks)
    }
}

impl Parameters {
    /// The epoch that a height is in; the first is 0.
    #[must_use]
    pub fn epoch(&self, height: u64) -> u64 {
        epoch(height, self.count(ParameterName::EpochBlocks))
    }

    /// The height at which an epoch begins, and the one before ends.
    #[must_use]
    pub fn epoch_end(&self, epoch: u64) -> u64 {
        epoch_end(epoch, self.count(ParameterName::EpochBlocks))
    }

    /// A parameter that counts; all of them are far below 2⁶⁴ by their bounds.
    pub(crate) fn count(&self, name: ParameterName) -> u64 {
        u64::try_from(self.get(name)).unwrap_or(u64::MAX)
    }

    /// A parameter that is an amount.
    pub(crate) fn amount(&self, name: ParameterName) -> Amount {
        Amount(self.get(name))
    }

    /// A parameter that is a share.
    #[must_use]
    pub fn share(&self, name: ParameterName) -> BasisPoints {
        BasisPoints(u16::try_from(self.get(name)).unwrap_or(BasisPoints::WHOLE.0))
    }

    /// Whether the parameters agree with each other: votes must be over before what was bonded at
    /// their beginning can be bonded again elsewhere, and the audits of an epoch before the next ends.
    #[must_use]
    pub fn agree(&self) -> bool {
        self.voting_blocks < self.unbonding_blocks
            && self.ready_blocks < self.term_blocks
            && self.audit_blocks < self.epoch_blocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_within_their_bounds_and_agree() {
        let mut parameters = Parameters::default();
        assert!(parameters.agree());
        for info in ParameterName::ALL {
            assert_eq!(parameters.get(info.name), info.default, "{}", info.text);
            assert!(parameters.set(info.name, info.default), "{}", info.text);
            assert!(info.minimum == 0 || !parameters.set(info.name, info.minimum - 1));
            assert!(info.maximum == u128::MAX || !parameters.set(info.name, info.maximum + 1));
        }
    }
}
