//! Directory: services that accounts run, and certificates they issue.

mod certify;
mod register_service;
mod revoke_certificate;
mod update_service;

pub use certify::Certify;
pub use register_service::{RegisterService, ServiceInfo};
pub use revoke_certificate::RevokeCertificate;
pub use update_service::UpdateService;

use borsh::{BorshDeserialize, BorshSerialize};

use super::tables::tables;
use crate::address::Address;
use crate::hash::{CertificateId, Hash, ServiceId};

tables! {
    /// A service.
    0x48 ServiceKey { service: ServiceId } => Service;
    /// A certificate.
    0x49 CertificateKey { certificate: CertificateId } => Certificate;
    /// The last certificate that an account issued with a hash, from protocol 2 on.
    0x4A CertifiedKey { issuer: Address, hash: Hash } => CertificateId;
}

/// A service that an account runs.
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
pub struct Service {
    /// Who runs it.
    pub owner: Address,
    /// What it is; none where it ended.
    pub info: Option<ServiceInfo>,
}

impl Certificate {
    /// Whether it holds at a time, in milliseconds since the epoch: it was not revoked, and has not ended.
    #[must_use]
    pub const fn holds(&self, time_ms: u64) -> bool {
        self.revoked.is_none() && time_ms < self.certified.valid_until_ms
    }
}

/// A certificate that an account issued.
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
pub struct Certificate {
    /// Who issued it. Whoever relies on it decides whom to believe.
    pub issuer: Address,
    /// What was certified.
    pub certified: Certify,
    /// The height at which it was issued.
    pub issued: u64,
    /// The height at which it was revoked, if it was.
    pub revoked: Option<u64>,
}
