//! The promises of segment stores, on a folder and on a real server that speaks S3.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod databases_move_there_and_back;
mod failures_are_told_apart;
mod objects_are_whole;
mod place;
