//! Changing or ending a service.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{Service, ServiceInfo, ServiceKey};
use crate::hash::ServiceId;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::{Refusal, Thing};

/// Changes what is said of a service, or ends it.
///
/// - The sender runs it, and it has not ended.
/// - What is said of it is whole, as in `RegisterService`, and differs from what was said.
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
pub struct UpdateService {
    /// The service.
    pub service: ServiceId,
    /// What it is now; none where it ends.
    pub info: Option<ServiceInfo>,
}

impl Rules for UpdateService {
    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = ServiceKey { service: self.service };
        let service = ledger.find(&key, Thing::Service)?;
        ensure(service.owner == call.sender, Refusal::NotAllowed(Thing::Service))?;
        ensure(service.info.is_some(), Refusal::Status(Thing::Service))?;
        ensure(service.info != self.info, Refusal::NoChange)?;
        if let Some(info) = &self.info {
            info.check()?;
        }
        ledger.put(&key, &Service { owner: call.sender, info: self.info.clone() });
        Ok(())
    }
}
