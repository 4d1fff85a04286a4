//! What the ledger says of somebody's word now.

use std::fmt;

use chronolith_chain::address::Address;
use chronolith_chain::hash::{CertificateId, Hash};
use chronolith_chain::ledger::{Certificate, CertificateKey, CertifiedKey, Certify};
use chronolith_chain::state::{Overlay, StateError, View};

/// How somebody's word stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is good.
    Good {
        /// The certificate on the ledger.
        certificate: CertificateId,
        /// What was certified.
        certified: Certify,
    },
    /// The issuer never gave it, or of another account.
    Unknown,
    /// It has ended.
    Expired {
        /// The certificate on the ledger.
        certificate: CertificateId,
        /// When, in milliseconds since the epoch.
        until_ms: u64,
    },
    /// It was taken back.
    Revoked {
        /// The certificate on the ledger.
        certificate: CertificateId,
        /// At which height.
        height: u64,
    },
}

impl Standing {
    /// How a certificate of the ledger stands at a time, in milliseconds since the epoch.
    #[must_use]
    pub fn of(certificate: CertificateId, found: Certificate, now_ms: u64) -> Self {
        let holds = found.holds(now_ms);
        match found.revoked {
            Some(height) => Self::Revoked { certificate, height },
            None if holds => Self::Good { certificate, certified: found.certified },
            None => Self::Expired { certificate, until_ms: found.certified.valid_until_ms },
        }
    }

    /// One word for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Good { .. } => "good",
            Self::Unknown => "unknown",
            Self::Expired { .. } => "expired",
            Self::Revoked { .. } => "revoked",
        }
    }

    /// The certificate on the ledger, where there is one.
    #[must_use]
    pub const fn certificate(&self) -> Option<CertificateId> {
        match self {
            Self::Unknown => None,
            Self::Good { certificate, .. }
            | Self::Expired { certificate, .. }
            | Self::Revoked { certificate, .. } => Some(*certificate),
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good { .. } => f.write_str("the ledger has it, and it is good"),
            Self::Unknown => f.write_str("the ledger has no such certificate of this issuer"),
            Self::Expired { until_ms, .. } => {
                write!(f, "it ended at {}", crate::chain::shown::milliseconds(*until_ms))
            }
            Self::Revoked { height, .. } => write!(f, "it was revoked at height {height}"),
        }
    }
}

/// How the word of an issuer about an account stands, by the hash of what was certified and the time in
/// milliseconds since the epoch.
///
/// # Errors
/// Where the state cannot be read.
pub fn standing(
    state: &dyn View,
    issuer: Address,
    subject: Address,
    hash: Hash,
    now_ms: u64,
) -> Result<Standing, StateError> {
    let state = Overlay::new(state);
    let Some(certificate) = state.get(&CertifiedKey { issuer, hash })? else {
        return Ok(Standing::Unknown);
    };
    Ok(match state.get(&CertificateKey { certificate })? {
        Some(found) if found.certified.subject == subject => {
            Standing::of(certificate, found, now_ms)
        }
        _ => Standing::Unknown,
    })
}
