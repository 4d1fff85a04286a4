//! Why a server cannot run.

use std::io;
use std::path::PathBuf;

use super::tokens::TokenError;

/// Why a server cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The settings are not as they should be.
    #[error("{}: {reason}", place.display())]
    Settings {
        /// Their file.
        place: PathBuf,
        /// What is wrong, with line and column.
        reason: String,
    },
    /// The address is none.
    #[error("{0:?} is no address to listen on; write 127.0.0.1:8428, or 0.0.0.0:8428 for all")]
    Address(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// Everybody could come in.
    #[error(
        "{0} can be reached from other machines, and there are no tokens, so that everybody there \
         could read and write; make one with `chronolith token new`, or listen on 127.0.0.1, or say \
         that all may come in (--allow-all, allow_all = true)"
    )]
    NoTokens(String),
    /// Tokens would be sent in the clear.
    #[error(
        "{0} can be reached from other machines, and without TLS tokens and records could be read on \
         the way; give a certificate and its key, or listen on 127.0.0.1, or say that something else \
         in front has TLS (--allow-plain, allow_plain = true)"
    )]
    NoTls(String),
    /// A certificate without key, or the other way round.
    #[error("TLS needs both a certificate and its key; the {0} is missing")]
    HalfOfTls(&'static str),
    /// A file of TLS cannot be used.
    #[error("{} cannot be used for TLS: {reason}", place.display())]
    Tls {
        /// The file.
        place: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// What a service is called on the ledger is no such name.
    #[error("service = {0:?}: write the 64 hexadecimal digits of a service of the ledger")]
    Service(String),
    /// Nobody could come with a certificate.
    #[error(
        "authorities are named, and nobody can come with a certificate without TLS: give the certificate of the \
         server and its key"
    )]
    NoTlsForCertificates,
    /// The tokens cannot be read.
    #[error(transparent)]
    Tokens(#[from] TokenError),
    /// The operating system refused threads.
    #[error("cannot start the threads of HTTP: {0}")]
    Threads(io::Error),
    /// What is kept of webhooks cannot be read.
    #[error("the webhooks in {}: {source}", place.display())]
    Webhooks {
        /// Their folder.
        place: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// Continuous queries cannot be opened.
    #[cfg(feature = "continuous")]
    #[error(transparent)]
    Continuous(#[from] chronolith_query::continuous::ContinuousError),
    /// SQL cannot be answered.
    #[cfg(feature = "sql")]
    #[error(transparent)]
    Sql(#[from] chronolith_query::QueryError),
}
