//! Vouching for somebody.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{Certificate, CertificateKey, CertifiedKey};
use crate::address::Address;
use crate::encoding::Text;
use crate::hash::{CertificateId, Hash};
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::governance::ProtocolKey;
use crate::ledger::refusal::Refusal;

/// The protocol from which on certificates are found by their hashes.
const FOUND_SINCE: u16 = 2;

/// Issues a certificate; its id follows from the transaction's. Everybody may: who relies on it
/// decides whose word counts.
///
/// - It is valid beyond the block's time.
/// - The ledger keeps the hash of the certificate (of X.509, say), never what is in it.
/// - From protocol 2 on it is found by its issuer and that hash, so that one proof shows whether it was
///   revoked. Where the issuer certified the same hash before, this one counts.
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
pub struct Certify {
    /// Whom or what it is about.
    pub subject: Address,
    /// What is certified: `tls`, `workshop`, `odometer`.
    pub purpose: Text<32>,
    /// The hash of the certificate.
    pub certificate: Hash,
    /// Its end, in milliseconds since the epoch.
    pub valid_until_ms: u64,
}

impl Rules for Certify {
    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        ensure(!self.purpose.is_empty(), Refusal::Zero)?;
        ensure(self.valid_until_ms > ledger.time_ms, Refusal::Range)?;
        let id = CertificateId::made_by(call.transaction);
        let certificate = Certificate {
            issuer: call.sender,
            certified: self.clone(),
            issued: ledger.height,
            revoked: None,
        };
        ledger.put(&CertificateKey { certificate: id }, &certificate);
        if ledger.get_or_default(&ProtocolKey {})? >= FOUND_SINCE {
            ledger.put(&CertifiedKey { issuer: call.sender, hash: self.certificate }, &id);
        }
        Ok(())
    }
}
