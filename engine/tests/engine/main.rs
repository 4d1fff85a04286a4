//! The promises of the store, one behaviour per file.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod oracle;
mod random_operations_agree_with_an_oracle;
