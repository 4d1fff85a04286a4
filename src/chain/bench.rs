//! Validators as processes of their own, under load: what `chronolith chain bench` measures.
//!
//! The transport is plain frames over TCP on the loopback interface; it knows no strangers.
//!
//! | file | |
//! |---|---|
//! | `frame.rs` | what is said over a connection, and its bounds |
//! | `connection.rs` | a connection: a thread that reads, a thread that writes |
//! | `node.rs` | the process of a validator |
//! | `candidacy.rs` | what a validator hands in to be seated |
//! | `load.rs` | the process that makes the load and measures |
//! | `processes.rs` | starting, killing and reaching the processes |
//! | `kills.rs` | who is killed when |
//! | `told.rs` | what a validator told of its blocks, and must not lose |
//! | `watch.rs` | what validators signed, and must not sign twice |
//! | `measures.rs` | what is counted, and the report |
//! | `network.rs` | keys and genesis of the validators and of the accounts that pay |

mod candidacy;
mod connection;
mod frame;
mod kills;
mod load;
mod measures;
mod network;
mod node;
mod processes;
mod told;
mod watch;

pub use load::{Load, Terms, run};
pub use measures::BenchReport;
pub use node::{NodeOptions, serve};
