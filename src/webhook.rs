//! Messages to others' servers, as Standard Webhooks has it
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>): changes of
//! continuous queries from here, and what happens under data contracts from the market's role
//! (`src/node/selling/calls.rs`).
//!
//! | file | |
//! |---|---|
//! | `signature.rs` | the secret that messages are signed with |
//! | `sender.rs` | sending one message once, and the waits between tries |
//! | `reach.rs` | where nothing is sent to |
//! | `hook.rs` | what is kept of one that sends changes: where to, and how far it came |
//! | `delivery.rs` | changes, in order, again until they are taken |
//!
//! A message is sent until the receiver answers with a status of success; only then is its cursor
//! kept and the next one sent. So each change arrives at least once and in order, over restarts too.
//! A message that is tried again has the same `webhook-id`; after a restart its changes may be part of
//! a longer one, and receivers tell by the cursor of each.

#[cfg(feature = "continuous")]
mod delivery;
#[cfg(feature = "continuous")]
mod hook;
mod reach;
mod sender;
mod signature;

#[cfg(feature = "continuous")]
pub(crate) use delivery::{HOOKS, Webhooks};
#[cfg(feature = "continuous")]
pub(crate) use hook::{Hook, HookError};
pub(crate) use reach::address;
pub(crate) use sender::{Sender, Undelivered, Waits};
pub(crate) use signature::Secret;
#[cfg(feature = "continuous")]
pub(crate) use signature::random_secret;
