//! Fetching: a pack, or one item of it, from many peers at once, some of whom are slow, silent or lie.
//!
//! | file | |
//! |---|---|
//! | `pack.rs` | a whole pack: any fragments that are enough, each checked as it arrives |
//! | `item.rs` | one item: some blocks of a few fragments, by [`ItemRead`](crate::partial::ItemRead) |
//! | `plan.rs` | which fragment is asked of whom next, and when another one in addition; no I/O |
//! | `pace.rs` | what is slow: how long others took |
//! | `roster.rs` | who may have what, and who is not asked any more |
//! | `session.rs` | the questions that are on their way, and who has the pack |
//! | `folder.rs` | fragments that arrived before, as `pack fragments` writes them |
//! | `report.rs`, `error.rs` | who gave what, who lied, who was silent |
//!
//! Peers come from whoever calls, and from the DHT; both are hints. The header is checked by the pack's
//! content id, everything else by the header, before it is used. A fetch may be dropped at any time: what
//! arrived is in its folder, and the next one asks for the rest.
//!
//! Timers are those of tokio: a fetch runs within a runtime of it, or by [`wait_for`].

mod error;
mod folder;
mod item;
mod pace;
mod pack;
mod plan;
mod report;
mod roster;
mod session;
mod settings;

pub use error::{Failure, FetchError, FetchLie};
pub use folder::{FolderError, FragmentFolder, fragment_name, header_name};
pub use item::{FetchedItem, ItemFetch, Keys, fetch_item};
pub use pack::{Fetched, Giver, PackFetch, fetch_pack};
pub use report::{FetchEvent, PeerReport, Report};
pub use settings::{FetchSettings, Source};

/// Waits for a fetch where there is no runtime.
///
/// # Errors
/// Where the timer of one cannot be had.
pub fn wait_for<T>(fetch: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    Ok(runtime.block_on(fetch))
}
