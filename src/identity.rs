//! Who is who: certificates that accounts issue, and access that owners give for a time.
//!
//! | file | |
//! |---|---|
//! | `authority.rs` | an account that issues X.509 certificates |
//! | `request.rs` | what somebody sends it who wants one |
//! | `certificate.rs` | what a certificate says of its account |
//! | `pass.rs` | access to a service for a time, on its owner's word |
//! | `standing.rs` | what the ledger says of either now: good, ended, revoked |
//! | `transfer.rs` | a device that changes hands |
//!
//! A certificate says which account a TLS key is of. The ledger has its hash, who vouched for it, until when,
//! and whether that was taken back ([`Certify`](chronolith_chain::ledger::Certify)); nobody learns a name
//! from it.

pub mod authority;
pub mod certificate;
pub mod pass;
pub mod request;
pub mod standing;
pub mod transfer;

/// Why something about identity fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The library that makes certificates refuses.
    #[error("cannot {what}: {source}")]
    Make {
        /// What was to be made.
        what: &'static str,
        /// Why not.
        source: rcgen::Error,
    },
    /// Bytes are no certificate of an account.
    #[error("this is no certificate of an account: {0}")]
    Certificate(String),
    /// A request was not signed by the account that it is of.
    #[error("the request is not signed by the account {0}, or is for another chain")]
    NotSigned(chronolith_chain::address::Address),
    /// A name of a host is none.
    #[error("{name:?} is neither a host name nor an address: {source}")]
    Host {
        /// The name.
        name: String,
        /// Why not.
        source: rcgen::Error,
    },
    /// No randomness.
    #[error(transparent)]
    Random(#[from] crate::wallet::WalletError),
    /// A time that no certificate has.
    #[error("a certificate cannot be valid until then: {0}")]
    Time(String),
}
