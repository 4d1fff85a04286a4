//! The ledger: what transactions do to the state.
//!
//! [`execute`] is a pure function of a state and a block. A transaction that does not belong into
//! the block (wrong nonce, unpaid fee, expired) makes the whole block invalid; one whose action is
//! refused stays in it, pays its fee and changes nothing else. Each action is one file, whose type's
//! documentation is its specification; `docs/ledger.md` is generated from these.

mod action;
mod agenda;
mod anchors;
mod call;
mod coin;
mod deals;
mod devices;
mod directory;
mod execute;
mod governance;
mod parameters;
mod refusal;
mod rewards;
mod rights;
mod storage;
mod supply;
mod tables;
mod validators;

pub use action::{Action, ActionKind, PROTOCOL};
pub use agenda::{AgendaKey, Counters, CountersKey, Task};
pub use anchors::{
    Anchor, AnchorKey, Anchored, DeviceCatalogue, Discard, Pack, PackKey, PlacePack, Repairer,
};
pub use coin::{
    Account, AccountKey, BurnCoin, HoldingKey, IssueCoin, IssuedCoin, IssuedCoinKey, LockCoin,
    MintCoin, Supply, SupplyKey, Transfer,
};
pub use deals::{
    Advance, Advanced, Arbitrate, Award, AwardBounty, Bounty, BountyKey, Deal, DealKey,
    DealOutcome, DealStatus, DealStepKey, DealVerdictKey, Decided, DisputePeriod, DrawSubscription,
    EndSubscription, JoinDeal, Leftover, Next, OUTCOMES_MOST, OpenDeal, Ownership, PARTIES_MOST,
    Parties, Party, Period, PeriodKey, PeriodStatus, Plan, PostBounty, SHARES_MOST, STEPS_MOST,
    SUBMISSIONS_MOST, Share, Step, Submission, SubmissionKey, SubmitToBounty, SubmittedRight,
    SubmitterKey, Subscribe, Subscription, SubscriptionKey, SubscriptionStatus, TopUpSubscription,
    Verdict,
};
pub use devices::{
    Device, DeviceKey, Era, EraKey, RegisterDevice, RetireDevice, TransferDevice, empty_catalogue,
};
pub use directory::{
    Certificate, CertificateKey, CertifiedKey, Certify, RegisterService, RevokeCertificate,
    Service, ServiceInfo, ServiceKey, UpdateService,
};
pub(crate) use execute::check_limits;
pub use execute::{BlockError, Executed, Inadmissible, Input, Receipt, execute, least_fee};
pub use governance::{
    Ballot, BallotKey, Choice, Outcome, Proposal, ProposalKey, Propose, ProposedChange,
    ProtocolKey, Vote,
};
pub use parameters::{ParameterChange, ParameterInfo, ParameterName, Parameters, ParametersKey};
pub use refusal::{Refusal, Thing};
pub use rights::{
    AnswerKey, AnswerRequest, Answered, BATCHES_MOST, Batch, Cancel, ChunkTree, CloseOffer,
    Decline, Delivery, Dispute, DisputeAnswer, Extension, ExtensionKey, Grant, HiddenScope,
    MetricName, Offer, OfferExtended, OfferKey, OpenOffer, ROYALTIES_MOST, Request, RequestKey,
    Revoke, Right, RightStatus, Royalty, SOURCES_MOST, Scope, Seller, SellerKey, Source, Subject,
    Terms, TreeName,
};
pub use storage::{
    ANSWER_BYTES_MAX, AUDIT_SAMPLES, Abstention, Answer, AnswerFault, AssignBatch, Assigned,
    AssignedError, AssignedFragment, AssignedRoot, Assignment, AttestAudits, Attestation,
    AttestationKey, BEACONS_KEPT, BLOCK_BYTES, BeaconKey, Beside, CloseStorage, Fragment,
    Fragments, Lease, LeaseKey, LeaseStatus, LeaseTerms, Located, NewLease, OpenStorage, Peak,
    Peer, PeerIndexKey, PeerKey, Question, Reassign, Renew, Repair, ReportWrongAnswer,
    ReportWrongEncoding, SLOTS_MAX, Sample, SampleFault, Settlement, SettlementKey, ShownBlock,
    SlotNode, SlotNodeKey, SumPath, UsedConsentKey, audit_seed, audited_blocks, batch_root, epoch,
    epoch_end, fragments_hash, leases_of,
};
pub use supply::{CoinSum, Imbalance, audit};
pub use validators::{
    Absence, AbsenceKey, Bond, BondedKey, CandidateKey, ConsensusKeyKey, Contribution, Delegate,
    DelegationKey, Draw, DrawKey, Drawn, Duties, Evidence, HALVING_BLOCKS, Misdeed, MisdeedKey,
    NextBeacon, PastSeatsKey, Puzzle, Ready, Retract, Schedule, ScheduleKey, Seat, Seats, SeatsKey,
    Slash, SlashKey, Unbond, Unbonding, UnbondingKey, Validator, ValidatorKey, Validators,
    beacon_step, contribution, draw, puzzle_is_solved,
};
