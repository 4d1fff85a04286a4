//! The canonical bytes of a contract: DAG-CBOR, of which a contract has exactly one, and its content id.

use chronolith_merkle::{DAG_CBOR, HashFunction, content_id};
use cid::Cid;

use crate::check;
use crate::compiled::Compiled;
use crate::file::{Problem, Problems};
use crate::model::{Contract, VERSION};

/// The longest canonical form: bytes.
pub const CANONICAL_BYTES_MAX: usize = 262_144;
/// How deep maps and lists lie in each other.
const DEPTH_MAX: usize = 12;

/// Why bytes are not a contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CanonicalError {
    /// They are too long.
    #[error("{found} bytes where a contract has at most {CANONICAL_BYTES_MAX}")]
    Long {
        /// How many there are.
        found: usize,
    },
    /// They are no DAG-CBOR of a contract.
    #[error("not the canonical form of a contract: {0}")]
    Form(String),
    /// A version that this program does not know.
    #[error("the contract is of version {found}, and this program reads {VERSION}")]
    Version {
        /// The version.
        found: u64,
    },
    /// They are of a contract, but not in its one form.
    #[error("the contract has another canonical form than these bytes")]
    NotCanonical,
    /// The contract is not valid.
    #[error("the contract is not valid:\n{0}")]
    Invalid(Problems),
}

/// The canonical bytes. The contract must be sorted.
pub(crate) fn to_bytes(contract: &Contract) -> Vec<u8> {
    // Texts, numbers, lists and maps with texts as keys always encode.
    serde_ipld_dagcbor::to_vec(contract).unwrap_or_default()
}

/// The content id of a contract.
pub(crate) fn cid(contract: &Contract) -> Cid {
    content_id(DAG_CBOR, HashFunction::Sha256, &to_bytes(contract))
}

impl Compiled {
    /// The canonical bytes: the block that the contract's content id names.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self.contract())
    }

    /// Reads and checks the canonical bytes; anything else is refused.
    ///
    /// # Errors
    /// [`CanonicalError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CanonicalError> {
        if bytes.len() > CANONICAL_BYTES_MAX {
            return Err(CanonicalError::Long { found: bytes.len() });
        }
        if !depth_is_bounded(bytes) {
            let problem = "maps and lists lie too deep in each other".to_owned();
            return Err(CanonicalError::Form(problem));
        }
        let contract: Contract = serde_ipld_dagcbor::from_slice(bytes)
            .map_err(|error| CanonicalError::Form(error.to_string()))?;
        if contract.contract != VERSION {
            return Err(CanonicalError::Version { found: contract.contract });
        }
        let compiled = check::check(contract).map_err(|findings| {
            let problem = |finding: check::Finding| Problem {
                line: 0,
                column: 0,
                path: finding.path,
                message: finding.message,
            };
            CanonicalError::Invalid(Problems(findings.into_iter().map(problem).collect()))
        })?;
        // Sorted by the check: what was in another order, or in another encoding, has other bytes.
        if compiled.to_bytes() == bytes { Ok(compiled) } else { Err(CanonicalError::NotCanonical) }
    }
}

/// Whether CBOR's maps, lists and tags lie at most so deep in each other, found without a stack, for
/// decoders that have no limit of their own. Bytes that are no CBOR may pass; a decoder refuses them.
pub(crate) fn depth_is_bounded(bytes: &[u8]) -> bool {
    // How many items each open map or list still has.
    let mut open: Vec<u64> = Vec::new();
    let mut at = 0_usize;
    while let Some(first) = bytes.get(at) {
        let short = usize::from(first & 31);
        let length = match short {
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => 0,
        };
        let tail = bytes.get(at + 1..at + 1 + length).unwrap_or_default();
        let argument = match length {
            0 => short as u64,
            _ => tail.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        };
        at += 1 + length;
        if let Some(left) = open.last_mut() {
            *left = left.saturating_sub(1);
        }
        match first >> 5 {
            2 | 3 => at = at.saturating_add(usize::try_from(argument).unwrap_or(usize::MAX)),
            4 => open.push(argument),
            5 => open.push(argument.saturating_mul(2)),
            6 => open.push(1),
            _ => {}
        }
        if open.len() > DEPTH_MAX {
            return false;
        }
        while open.last() == Some(&0) {
            open.pop();
        }
    }
    true
}
