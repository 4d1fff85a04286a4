//! Copies held by others: the peers of Chronolith and what they keep.
//!
//! [`network`] connects nodes over libp2p: gossip of the chain, requests with deadlines and caps,
//! lookups in a distributed hash table. [`validator`] lets a validator speak through it, [`exchange`]
//! is what nodes ask each other. Nothing that arrives is trusted: a peer is who its key says, and whatever it sends is bounded before it
//! is read and checked by hash or signature before it is used.

#![forbid(unsafe_code)]

pub mod exchange;
pub mod network;
pub mod validator;
