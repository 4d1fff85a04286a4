//! The embedded chain: validators in this process, blocks on demand.
//!
//! A chain is a directory that one process at a time opens:
//!
//! ```text
//! genesis                what the chain begins with; named so last, so that there is a whole chain
//! lock                   held by the process that uses the chain
//! validators/N/key       the consensus key and the beacon chain of validator N; private
//! validators/N/data/     state, blocks and log
//! validators/N/guard/    what it signed last
//! ```
//!
//! | file | |
//! |---|---|
//! | `founding.rs` | making the directory |
//! | `directory.rs` | what is in it, and opening it |
//! | `drive.rs` | the driver: clock, messages between the validators, transactions in, receipts out |
//! | `compose.rs` | transactions with the next nonce and a fee that is enough |
//! | `money.rs` | amounts as people write them |
//! | `replay.rs` | executing blocks once more, from the genesis |
//! | `prove.rs` | proofs for light clients |
//! | `anchor.rs` | seal batches of a database onto the chain |
//! | `export.rs` | blocks with their certificates as a file |
//! | `offers.rs` | offers of the ledger for search |
//! | `shown.rs` | what is on the chain as JSON |
//! | `bench/` | validators as processes of their own, under load |

pub mod anchor;
pub mod bench;
mod compose;
mod directory;
mod drive;
mod error;
pub mod export;
mod founding;
mod money;
#[cfg(feature = "search")]
pub mod offers;
pub mod prove;
mod replay;
pub(crate) mod shown;

pub use compose::Composer;
pub(crate) use directory::Secrets;
pub use directory::{read_genesis, read_genesis_file};
pub use drive::{Chain, Settled};
pub use error::ChainError;
pub(crate) use founding::genesis;
pub use founding::{Beginning, Foundation};
pub(crate) use money::{amount, coins};
pub use replay::Replay;
