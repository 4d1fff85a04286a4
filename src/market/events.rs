//! What happens to sales under data contracts, and which of the contracts' webhooks are to hear of it.
//!
//! | file | |
//! |---|---|
//! | `fact.rs` | what the ledger says of a sale, by the names that contracts have for it |
//! | `course.rs` | a sale on its way through the steps of its contract |
//! | `record.rs` | what is kept of a sale: the facts that were seen, and the calls that wait |
//! | `message.rs` | what a call says |
//! | `folder.rs` | the records on disk |
//!
//! Facts follow from the ledger's state, and not from having listened: what happened while the node was away
//! is in the state when it is back, and what a later status covers is in the blocks. Each fact is taken into a sale's record once, together with the calls
//! that follow from it, before any is made; a call goes from the record when it was answered. Its id follows
//! from the sale, the webhook and the fact alone. So every fact is told at least once, and never under two ids.

mod course;
mod fact;
mod folder;
mod message;
mod record;

pub use fact::{Covered, Fact, Party, of_right, of_subscription};
pub use folder::{EventsError, Folder};
pub use message::{Message, message};
pub use record::{Call, Offered, Record, SaleId, Seen, Told};
