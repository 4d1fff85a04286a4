//! Announcing a service.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{Service, ServiceKey};
use crate::content::ContentId;
use crate::encoding::Text;
use crate::hash::ServiceId;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::Refusal;

/// Announces a service that the sender runs; its id follows from the transaction's.
///
/// - Name, kind and endpoint are not empty. Names need not be unique: the id is, and the owner is
///   shown with it.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct RegisterService {
    /// What it is.
    pub info: ServiceInfo,
}

/// What a service is.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct ServiceInfo {
    /// What it is called.
    pub name: Text<64>,
    /// What it does: `sql`, `bridge`, `explorer`.
    pub kind: Text<32>,
    /// Where it is reached.
    pub endpoint: Text<256>,
    /// A description, if there is one.
    pub description: Option<ContentId>,
}

impl ServiceInfo {
    /// Refuses one with nothing in a field that must have something.
    pub(super) fn check(&self) -> Result<(), Halt> {
        let is_whole = !(self.name.is_empty() || self.kind.is_empty() || self.endpoint.is_empty());
        ensure(is_whole, Refusal::Zero)
    }
}

impl Rules for RegisterService {
    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        self.info.check()?;
        let key = ServiceKey { service: ServiceId::made_by(call.transaction) };
        ledger.put(&key, &Service { owner: call.sender, info: Some(self.info.clone()) });
        Ok(())
    }
}
