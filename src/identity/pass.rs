//! Access to a service for a time, on its owner's word: a certificate on the ledger that nothing has to be
//! sent for.

use chronolith_chain::address::Address;
use chronolith_chain::encoding::Text;
use chronolith_chain::hash::{Domain, Hash, ServiceId};
use chronolith_chain::ledger::Certify;

use crate::http::Scope;

/// What an account may do with a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    /// The service.
    pub service: ServiceId,
    /// Who may.
    pub account: Address,
    /// What.
    pub scope: Scope,
}

impl Pass {
    /// What the ledger finds it by, beside the owner.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Domain::ServicePass.hash_of(&(self.service, self.account, self.scope.to_string()))
    }

    /// What the ledger calls its purpose.
    #[must_use]
    pub fn purpose(&self) -> String {
        format!("access:{}", self.scope)
    }

    /// The owner's word, until a time in milliseconds since the epoch.
    ///
    /// # Errors
    /// Where the purpose is longer than the ledger takes, which none is.
    pub fn certify(
        &self,
        valid_until_ms: u64,
    ) -> Result<Certify, chronolith_chain::encoding::TooLong> {
        Ok(Certify {
            subject: self.account,
            purpose: Text::new(self.purpose())?,
            certificate: self.hash(),
            valid_until_ms,
        })
    }
}
