//! A bridge from an MQTT broker into a database.
//!
//! | file | |
//! |---|---|
//! | `settings.rs` | what the configuration says |
//! | `topic.rs` | levels of topics, and names that are made of them |
//! | `message.rs` | from one message to records |
//! | `connection.rs` | how the broker is reached |
//! | `bridge.rs` | the thread that receives, writes and acknowledges |
//!
//! A message of quality of service 1 or 2 is acknowledged when its records are on stable storage,
//! and the session is kept by the broker while the bridge is away: what the broker took for it
//! arrives at least once. A record that arrives twice is one record, since its metric and time are
//! the same.

mod bridge;
mod connection;
mod message;
mod settings;
mod topic;

pub use bridge::{Bridge, BridgeEvent};
pub use settings::{MqttError, MqttSettings, Payload, TopicSettings};
