//! What holds of every format, and the real recordings.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod accounting;
mod damage;
mod real_can;
mod real_csv;
mod real_other;
mod speed;
pub(super) mod support;
mod testdata;
