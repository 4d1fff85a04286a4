//! RFC 6962 Merkle trees with strict proofs, and the content-id rules of Chronolith.
//!
//! The trees are those of `rs_merkle` over an own hasher that separates leaves from nodes. The
//! crate's own verification accepts duplicate and out-of-range indices, trailing hashes and inner
//! nodes in the place of leaves; [`Proof::verify`] does not: the verifier names the indices and
//! the number of leaves, and the proof must have exactly the hashes they need.

#![forbid(unsafe_code)]

mod content_id;
mod tree;

pub use content_id::{DAG_CBOR, HashFunction, RAW, content_id, matches};
pub use tree::{Digest, Proof, ProofError, Tree, leaf_hash, node_hash, proof_len};
