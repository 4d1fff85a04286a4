//! Fragments: the erasure-coded, masked pieces of a pack that peers keep, and the proofs about them.
//!
//! A body of bytes is cut into `needed` data fragments; Reed–Solomon adds parity fragments, so that
//! any `needed` of all restore it. Each fragment is masked with a keystream of its own and lies under
//! a Merkle tree of its blocks of 256 bytes; one root commits to all fragments:
//!
//! ```
//! use chronolith_fragment::{Encoder, MaskSecret, Profile, Shape, restore};
//!
//! let body = vec![7_u8; 10_000];
//! let shape = Shape::of(Profile::Lab, body.len())?;
//! let secret = MaskSecret::new([1; 32]);
//! let encoded = Encoder::new(shape)?.encode(&body, &secret)?;
//! // Any four of the six restore it.
//! let four = [0_u8, 2, 4, 5].map(|index| &encoded.fragments()[usize::from(index)]);
//! assert_eq!(restore(shape, &four, |index| Some(secret.key(index)))?[..body.len()], body);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The crate has no I/O, no clock and no randomness, so that the ledger's rules can stand on it as
//! well as the network's.

#![forbid(unsafe_code)]

mod code;
mod encode;
mod evidence;
mod mask;
mod proof;
mod shape;
mod tree;

pub use code::{CodeError, ErasureCode, Piece, PortableReedSolomon, ReedSolomon, fastest};
pub use encode::{Encoded, Encoder, Fragment, restore, restore_rows};
pub use evidence::{Committed, RowError, RowVerdict, ShownRow, judge_row};
pub use mask::{COMMITMENT_BYTES, MaskKey, MaskSecret};
pub use proof::{FragmentFault, Shown};
pub use shape::{BLOCK_BYTES, BODY_BYTES_MAX, Cut, FRAGMENTS_MAX, Profile, Shape, ShapeError};
pub use tree::FragmentTree;
