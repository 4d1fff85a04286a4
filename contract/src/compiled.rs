//! A contract that was checked, with its rules ready to be evaluated.

use std::collections::BTreeMap;

use chronolith_merkle::HashFunction;
use cid::Cid;

use crate::canonical;
use crate::model::Contract;
use crate::rule::{Decision, Evaluation, EvaluationError, Outcome, Rule, Value};

/// A contract that was checked: every name in it is known, every rule is CEL of the right shape, and every
/// way through its steps ends.
#[derive(Debug, Clone)]
pub struct Compiled {
    contract: Contract,
    cid: Cid,
    rules: BTreeMap<String, Rule>,
}

/// What the rules of a contract say to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The name of the first rule that grants; none where the owner is to be asked.
    pub by: Option<String>,
    /// What each rule decided, with the bytes that it decided from.
    pub decisions: Vec<(Decision, Vec<u8>)>,
}

impl Compiled {
    /// What was checked, in its order.
    pub(crate) fn new(contract: Contract, rules: BTreeMap<String, Rule>) -> Self {
        let cid = canonical::cid(&contract);
        Self { contract, cid, rules }
    }

    /// The contract.
    #[must_use]
    pub const fn contract(&self) -> &Contract {
        &self.contract
    }

    /// Its content id: the same for the same contract, whatever its file looks like.
    #[must_use]
    pub const fn cid(&self) -> Cid {
        self.cid
    }

    /// The hash in its content id: what an offer on the ledger names as the policy that it is granted by.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        HashFunction::Sha256.digest(&self.to_bytes())
    }

    /// A rule by its name: `grants/NAME`, `steps/NAME/POSITION` or `ends/NAME/PARTY`.
    #[must_use]
    pub fn rule(&self, name: &str) -> Option<&Rule> {
        self.rules.get(name)
    }

    /// Asks the rules that grant. `inputs` is a record of request, lists, budget and now; see
    /// [`crate::rule::of_request`].
    ///
    /// All rules are asked, so that the record is whole; one that fails grants nothing.
    ///
    /// # Errors
    /// [`EvaluationError`] where the contract changed under the names of its rules, which it does not.
    pub fn decide(&self, inputs: &Value) -> Result<Grant, EvaluationError> {
        let mut grant = Grant { by: None, decisions: Vec::new() };
        for rule in &self.contract.grants {
            let (decision, bytes) = self.evaluate(&format!("grants/{}", rule.name), inputs)?;
            if decision.outcome == Outcome::Yes && grant.by.is_none() {
                grant.by = Some(rule.name.clone());
            }
            grant.decisions.push((decision, bytes));
        }
        Ok(grant)
    }

    /// Evaluates a rule, and gives the canonical bytes of what it decided from.
    pub(crate) fn evaluate(
        &self,
        rule: &str,
        inputs: &Value,
    ) -> Result<(Decision, Vec<u8>), EvaluationError> {
        let evaluation =
            Evaluation { contract: self.cid, rule: rule.to_owned(), inputs: inputs.clone() };
        Ok((evaluation.run(self)?, evaluation.to_bytes()))
    }
}

impl PartialEq for Compiled {
    fn eq(&self, other: &Self) -> bool {
        self.contract == other.contract
    }
}

impl Eq for Compiled {}
