//! Provable answers: a question, its answer, and what shows anybody that the answer is right.
//!
//! ```text
//! the rows
//!   computed again from   the bodies of the chunks
//!   which are named by    their headers
//!   which are listed in   the devices' catalogues: all of the range, and of all metrics that the question
//!                         could mean
//!   whose roots are in    the ledger's state, as are the anchors of the seal batches and the owners
//!   whose root is in      a block's header
//!   which is signed by    the validators that a trusted header leads to
//! ```
//!
//! | file | |
//! |---|---|
//! | `bundle.rs` | what a file has |
//! | `make.rs` | making it from a database and a ledger |
//! | `verify.rs` | checking it, and `refused.rs` why it does not hold |
//! | `replay.rs` | answering from chunks alone, which both do |
//! | `windows.rs` | which chunks a range has to have, for both |
//! | `facts.rs` | what the ledger must say |
//! | `ledger.rs` | where facts come from |
//! | `rows.rs` | rows in the one form that they are compared by |
//!
//! `docs/provable-answers.md` says what is proved and what is not.

mod bundle;
mod facts;
mod ledger;
mod make;
mod refused;
mod replay;
mod rows;
mod verify;
mod windows;

use std::collections::BTreeMap;

use chronolith_engine::{Definition, Kind, Metric};

pub use bundle::{
    AnswerBundle, BatchPath, ChunkPart, DeviceProof, FILE_MOST, FormatError, Identity, MAGIC,
    MetricProof, Name, OtherMetric, Question, Word,
};
pub use facts::{DeviceFacts, FactsError};
pub use ledger::{Ledger, NodeLedger};
pub use make::{AnchorTimes, Made, MakeError, MakeSettings, Note, make};
pub use refused::{AnswerRefused, Reason};
pub use replay::{Replay, ReplayError, Scope};
pub use rows::{Column, Rows, RowsError};
pub use verify::{
    AnchoredChunks, Computed, Expected, Supplies, Trust, VerifiedAnswer, VerifiedDevice,
    VerifiedMetric, verify,
};

/// A database without records that has the metrics of an answer and the others of their devices: what a
/// question depends on, is told from it. Of the others only the names are known, so that all are of floats.
fn scope_of<'a>(
    definitions: &[Definition],
    others: impl IntoIterator<Item = &'a OtherMetric>,
) -> Result<Replay, ReplayError> {
    let mut all: BTreeMap<Metric, Definition> = BTreeMap::new();
    for other in others {
        if let OtherMetric::Named(identity) = other
            && let Some(metric) = identity.metric()
        {
            all.insert(metric.clone(), Definition::new(metric, Kind::F64));
        }
    }
    for definition in definitions {
        all.insert(definition.metric.clone(), definition.clone());
    }
    Replay::new(all.into_values())
}
