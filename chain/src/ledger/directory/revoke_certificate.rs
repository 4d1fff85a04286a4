//! Taking one's word back.

use borsh::{BorshDeserialize, BorshSerialize};

use super::CertificateKey;
use crate::hash::CertificateId;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::{Refusal, Thing};

/// Revokes a certificate, from this height on.
///
/// - The sender issued it, or is its subject; and it is not revoked yet.
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
pub struct RevokeCertificate {
    /// The certificate.
    pub certificate: CertificateId,
}

impl Rules for RevokeCertificate {
    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = CertificateKey { certificate: self.certificate };
        let mut certificate = ledger.find(&key, Thing::Certificate)?;
        let may = [certificate.issuer, certificate.certified.subject].contains(&call.sender);
        ensure(may, Refusal::NotAllowed(Thing::Certificate))?;
        ensure(certificate.revoked.is_none(), Refusal::NoChange)?;
        certificate.revoked = Some(ledger.height);
        ledger.put(&key, &certificate);
        Ok(())
    }
}
