//! RFC 6962 Merkle trees with strict proofs, and the content-id rules of Chronolith.
