//! Validators as processes of their own, under load: what `chronolith chain bench` measures.
//!
//! The transport is plain frames over TCP on the loopback interface; it knows no strangers.
//!
//! | file | |
//! |---|---|
//! | `frame.rs` | what is said over a connection, and its bounds |
//! | `connection.rs` | a connection: a thread that reads, a thread that writes |
//! | `node.rs` | the process of a validator |
//! | `load.rs` | the process that makes the load and measures |
//! | `network.rs` | keys and genesis of the validators and of the accounts that pay |

mod connection;
mod frame;
mod load;
mod network;
mod node;

pub use load::{BenchReport, Load, run};
pub use node::serve;
