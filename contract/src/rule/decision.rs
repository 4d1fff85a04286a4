//! What went into a decision, in canonical bytes: an arbiter runs it again and finds the same.

use std::collections::BTreeMap;
use std::fmt;

use chronolith_merkle::{DAG_CBOR, HashFunction, content_id};
use cid::Cid;
use ipld_core::ipld::Ipld;

use super::{Outcome, Value};
use crate::canonical::depth_is_bounded;
use crate::compiled::Compiled;

/// The longest record of an evaluation: bytes.
pub const EVALUATION_BYTES_MAX: usize = 262_144;
const VERSION: i128 = 1;

/// A rule of a contract and its inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// The contract.
    pub contract: Cid,
    /// Which of its rules: `grants/NAME`, `steps/NAME/POSITION` or `ends/NAME/PARTY`.
    pub rule: String,
    /// What the rule was given.
    pub inputs: Value,
}

/// What was decided, and from what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The content id of the [`Evaluation`]'s canonical bytes.
    pub inputs_cid: Cid,
    /// Which rule it was.
    pub rule: String,
    /// What it gave.
    pub outcome: Outcome,
}

/// Why an evaluation cannot be run again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// The bytes are not the canonical form of one.
    #[error("not the record of an evaluation: {0}")]
    Bytes(String),
    /// It is of another contract.
    #[error("the evaluation is of contract {of}, and this one is {this}")]
    Contract {
        /// The contract that it names.
        of: Box<Cid>,
        /// The one it was to be run with.
        this: Box<Cid>,
    },
    /// The contract has no such rule.
    #[error("the contract has no rule {0}")]
    Rule(String),
    /// The bytes are others than those that the decision names.
    #[error("the decision was made from {of}, and these bytes are {these}")]
    Inputs {
        /// What the decision names.
        of: Box<Cid>,
        /// The content id of the bytes.
        these: Box<Cid>,
    },
    /// It gives another outcome.
    #[error("the decision says {said:?}, and the rule gives {gives:?}")]
    Outcome {
        /// What the decision says.
        said: Outcome,
        /// What the rule gives.
        gives: Outcome,
    },
}

impl Evaluation {
    /// The canonical bytes: DAG-CBOR.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let fields = BTreeMap::from([
            ("contract".to_owned(), Ipld::Link(self.contract)),
            ("inputs".to_owned(), self.inputs.to_ipld()),
            ("rule".to_owned(), Ipld::String(self.rule.clone())),
            ("v".to_owned(), Ipld::Integer(VERSION)),
        ]);
        // Maps, lists and scalars always encode.
        serde_ipld_dagcbor::to_vec(&Ipld::Map(fields)).unwrap_or_default()
    }

    /// Reads the canonical bytes; anything else is refused.
    ///
    /// # Errors
    /// [`EvaluationError::Bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EvaluationError> {
        let wrong = |problem: &str| EvaluationError::Bytes(problem.to_owned());
        if bytes.len() > EVALUATION_BYTES_MAX {
            return Err(wrong("it is longer than any"));
        }
        if !depth_is_bounded(bytes) {
            return Err(wrong("maps and lists lie too deep in each other"));
        }
        let read: Ipld = serde_ipld_dagcbor::from_slice(bytes)
            .map_err(|error| EvaluationError::Bytes(error.to_string()))?;
        let Ipld::Map(mut fields) = read else { return Err(wrong("it is no map")) };
        match fields.remove("v") {
            Some(Ipld::Integer(VERSION)) => {}
            Some(Ipld::Integer(found)) => {
                let problem = format!("version {found}, and this program reads {VERSION}");
                return Err(EvaluationError::Bytes(problem));
            }
            _ => return Err(wrong("it has no version")),
        }
        let (Some(Ipld::Link(contract)), Some(inputs), Some(Ipld::String(rule)), 0) = (
            fields.remove("contract"),
            fields.remove("inputs"),
            fields.remove("rule"),
            fields.len(),
        ) else {
            return Err(wrong("its fields are contract, inputs, rule and v"));
        };
        let inputs = Value::from_ipld(inputs).ok_or_else(|| wrong("no input is like that"))?;
        let evaluation = Self { contract, rule, inputs };
        if evaluation.to_bytes() != bytes {
            return Err(wrong("it has another canonical form"));
        }
        Ok(evaluation)
    }

    /// The content id of the canonical bytes.
    #[must_use]
    pub fn cid(&self) -> Cid {
        content_id(DAG_CBOR, HashFunction::Sha256, &self.to_bytes())
    }

    /// Runs the rule.
    ///
    /// # Errors
    /// [`EvaluationError`] where it is of another contract, or of a rule that the contract does not have.
    pub fn run(&self, compiled: &Compiled) -> Result<Decision, EvaluationError> {
        if self.contract != compiled.cid() {
            let of = Box::new(self.contract);
            return Err(EvaluationError::Contract { of, this: Box::new(compiled.cid()) });
        }
        let rule = compiled.rule(&self.rule);
        let rule = rule.ok_or_else(|| EvaluationError::Rule(self.rule.clone()))?;
        let outcome = rule.evaluate(&self.inputs);
        Ok(Decision { inputs_cid: self.cid(), rule: self.rule.clone(), outcome })
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.outcome {
            Outcome::Yes => write!(f, "{} holds", self.rule),
            Outcome::No => write!(f, "{} does not hold", self.rule),
            Outcome::Share(points) => write!(f, "{} gives {points} basis points", self.rule),
            Outcome::Failed(failure) => write!(f, "{} failed: {failure}", self.rule),
        }
    }
}

impl Decision {
    /// Runs the rule again on the inputs of then, and compares.
    ///
    /// # Errors
    /// [`EvaluationError`] with what does not agree.
    pub fn replay(&self, inputs: &[u8], compiled: &Compiled) -> Result<(), EvaluationError> {
        let these = content_id(DAG_CBOR, HashFunction::Sha256, inputs);
        if these != self.inputs_cid {
            let of = Box::new(self.inputs_cid);
            return Err(EvaluationError::Inputs { of, these: Box::new(these) });
        }
        let again = Evaluation::from_bytes(inputs)?.run(compiled)?;
        if again.rule != self.rule {
            return Err(EvaluationError::Rule(self.rule.clone()));
        }
        if again.outcome != self.outcome {
            let (said, gives) = (self.outcome, again.outcome);
            return Err(EvaluationError::Outcome { said, gives });
        }
        Ok(())
    }
}
