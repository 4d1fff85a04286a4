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

pub use action::{Action, ActionKind};
pub use agenda::{AgendaKey, Counters, CountersKey, Task};
pub use anchors::{
    Anchor, AnchorKey, Anchored, DeviceCatalogue, Discard, Pack, PackKey, PlacePack, Repairer,
};
pub use coin::{
    Account, AccountKey, BurnCoin, HoldingKey, IssueCoin, IssuedCoin, IssuedCoinKey, LockCoin,
    MintCoin, Supply, SupplyKey, Transfer,
};
pub use devices::{
    Device, DeviceKey, Era, EraKey, RegisterDevice, RetireDevice, TransferDevice, empty_catalogue,
};
pub use directory::{
    Certificate, CertificateKey, Certify, RegisterService, RevokeCertificate, Service, ServiceInfo,
    ServiceKey, UpdateService,
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
    Cancel, ChunkTree, CloseOffer, Decline, Dispute, Grant, HiddenScope, MetricName, Offer,
    OfferKey, OpenOffer, Request, RequestKey, Revoke, Right, RightStatus, Scope, Seller, SellerKey,
    Subject, Terms, TreeName,
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
