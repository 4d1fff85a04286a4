//! Audits: what a peer shows of the blocks that the chain drew, and how anybody checks it.
//!
//! The question follows from the chain ([`chronolith_chain::ledger::audit_seed`] and
//! [`chronolith_chain::ledger::audited_blocks`]): numbers of blocks among all that the peer was ever
//! assigned. The answer shows each block with its way to the root that the ledger keeps of the peer.

mod answer;
mod assigned;

pub use answer::{
    ANSWER_BYTES_MAX, Abstention, Answer, AnswerFault, Question, Sample, SampleFault,
};
pub use assigned::{Assigned, AssignedError, Located};
