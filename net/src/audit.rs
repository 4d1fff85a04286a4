//! Audits: what a peer shows of the blocks that the chain drew, and how anybody checks it.
//!
//! All of it is the chain's, which judges answers too ([`ReportWrongAnswer`]): the question follows from
//! the state ([`Question::of`]), the answer shows each block with its way to the root that the ledger
//! keeps of the peer. A peer keeps the fragments of its leases in [`Assigned`], by the slots that the
//! ledger gave them, and a clone of it from the last block of each epoch, to answer from in the next.
//!
//! [`ReportWrongAnswer`]: chronolith_chain::ledger::ReportWrongAnswer

mod kept;
mod verdicts;

pub use chronolith_chain::ledger::{
    ANSWER_BYTES_MAX, Abstention, Answer, AnswerFault, Assigned, AssignedError, Located, Question,
    Sample, SampleFault,
};
pub use kept::KeptAnswers;
pub use verdicts::{Heard, Verdicts};
