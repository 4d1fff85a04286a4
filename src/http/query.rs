//! Asking over HTTP: SQL, PromQL as Prometheus has it, continuous queries and their changes.
//!
//! | file | |
//! |---|---|
//! | `form.rs` | parameters: of the address, and of a form in the body |
//! | `admission.rs` | how many queries run at a time, and what each may take |
//! | `sql.rs`, `sql/` | `/api/v1/sql` |
//! | `prometheus.rs`, `prometheus/` | Prometheus' API |
//! | `continuous.rs`, `continuous/` | continuous queries, and those who follow them |
//! | `webhooks.rs` | the same sent to others' servers |
//! | `search.rs` | `/api/v1/search` |

mod admission;
#[cfg(feature = "continuous")]
mod continuous;
mod form;
#[cfg(feature = "promql")]
mod prometheus;
#[cfg(feature = "search")]
mod search;
#[cfg(feature = "sql")]
mod sql;
#[cfg(feature = "continuous")]
mod webhooks;

use axum::Router;

use super::state::HttpState;
pub(super) use admission::{Admission, run};
#[cfg(feature = "continuous")]
pub(super) use continuous::Running;
#[cfg(feature = "search")]
pub(super) use search::Searching;

/// The routes of those who ask.
pub(super) fn routes(state: &HttpState) -> Router<HttpState> {
    let routes = Router::new();
    #[cfg(feature = "sql")]
    let routes = routes.merge(sql::routes(state));
    #[cfg(feature = "promql")]
    let routes = routes.merge(prometheus::routes(state));
    #[cfg(feature = "continuous")]
    let routes = routes.merge(continuous::routes(state)).merge(webhooks::routes(state));
    #[cfg(feature = "search")]
    let routes = routes.merge(search::routes(state));
    routes
}
