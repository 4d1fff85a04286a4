//! Changes of continuous queries sent to others' servers, as Standard Webhooks has it
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).
//!
//! | file | |
//! |---|---|
//! | `signature.rs` | the secret that messages are signed with |
//! | `hook.rs` | what is kept of each: where it sends, and how far it came |
//! | `delivery.rs` | sending, and trying again |
//! | `reach.rs` | where nothing is sent to |
//!
//! A message is sent until the receiver answers with a status of success; only then is its cursor
//! kept and the next one sent. So each change arrives at least once and in order, over restarts too.
//! A message that is tried again has the same `webhook-id`; after a restart its changes may be part of
//! a longer one, and receivers tell by the cursor of each.

mod delivery;
mod hook;
mod reach;
mod signature;

pub(crate) use delivery::{HOOKS, Webhooks};
pub(crate) use hook::{Hook, HookError};
pub(crate) use signature::{Secret, random_secret};
