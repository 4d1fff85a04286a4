//! HTTP: a database that programs write to and ask, by the protocols that they speak already.
//!
//! [`HttpServer::start`] serves one open database until it is stopped. `docs/http.md` has every
//! route with an example.
//!
//! | file | |
//! |---|---|
//! | `settings.rs` | where to listen, and every limit |
//! | `server.rs`, `connection.rs`, `tls.rs` | accepting connections, and what each may take |
//! | `tokens.rs`, `callers.rs`, `access.rs`, `ticket.rs` | who may do what, by a token or a certificate, and until when |
//! | `router.rs`, `body.rs`, `parameters.rs`, `answer.rs`, `problem.rs` | what all routes have in common |
//! | `status.rs`, `measures.rs` | health and figures of the server itself |
//! | `write.rs`, `write/` | those who write |
//! | `query.rs`, `query/` | those who ask |
//! | `chain.rs`, `identity.rs` | the chain that the node follows, its roles, and who is who |
//! | `openapi.json` | all routes, for programs |

mod access;
mod answer;
mod body;
mod callers;
mod chain;
mod connection;
mod error;
mod identity;
mod market;
mod measures;
mod parameters;
mod problem;
mod query;
mod router;
mod server;
mod settings;
mod state;
mod status;
mod ticket;
mod tls;
mod tokens;
mod write;

pub use callers::AuthoritySettings;
pub use error::HttpError;
pub use server::HttpServer;
pub use settings::HttpSettings;
pub use state::{ProducingLook, ServedNode};
pub use tokens::{Scope, Token, TokenError, TokenFile};

/// The webhooks of a database: `DIR.webhooks` beside it, so that no copy of the database has their
/// secrets.
#[cfg(feature = "continuous")]
fn webhooks(
    database: &std::path::Path,
    runtime: &tokio::runtime::Handle,
    queries: &chronolith_query::continuous::Continuous,
    tell: &state::Listener,
) -> Result<crate::webhook::Webhooks, HttpError> {
    let place = crate::beside::beside(database, "webhooks")
        .map_err(|source| HttpError::Webhooks { place: database.to_owned(), source })?;
    let failed = |source| HttpError::Webhooks { place: place.clone(), source };
    let disk = chronolith_disk::RealDisk::create(&place).map_err(failed)?;
    let webhooks = crate::webhook::Webhooks::new(std::sync::Arc::new(disk), runtime.clone())
        .map_err(|error| failed(std::io::Error::other(error)))?;
    for error in webhooks.resume(queries).map_err(failed)? {
        tell(&error.to_string());
    }
    Ok(webhooks)
}
