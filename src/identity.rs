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
    /// The account does not own a device.
    #[error("{device} is not {account}'s on the ledger: {reason}")]
    NotOwned {
        /// The device.
        device: chronolith_chain::address::Address,
        /// The account.
        account: chronolith_chain::address::Address,
        /// Whose it is.
        reason: String,
    },
    /// A device has another name already.
    #[error("{device} is {name:?} in this database: one device has one name")]
    Named {
        /// The device.
        device: chronolith_chain::address::Address,
        /// Its name.
        name: String,
    },
    /// A device's name stands for another device already.
    #[error(
        "the database has sealed chunks of the device {name:?} as another one: begin a database of its own for what \
         it produces from now on"
    )]
    Sealed {
        /// The name.
        name: String,
    },
    /// The database.
    #[error(transparent)]
    Read(#[from] chronolith_engine::ReadError),
    /// The keys of the database.
    #[error(transparent)]
    Keys(#[from] crate::keys::KeysError),
    /// The ledger's state cannot be read.
    #[error(transparent)]
    State(#[from] chronolith_chain::state::StateError),
    /// A time that no certificate has.
    #[error("a certificate cannot be valid until then: {0}")]
    Time(String),
}
