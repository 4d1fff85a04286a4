//! Chunks: the immutable records of one metric in one window.
//!
//! A chunk is a header and a body. The body is the encoded records; the header, canonical
//! DAG-CBOR, names the body by its content id and says what the records are. The header's own
//! content id is the chunk's identity to the world. On the local disk the header is kept as a few
//! bytes of a segment's footer and rebuilt byte for byte when it is asked for.

pub(crate) mod body;
pub mod codec;
mod foreign;
pub(crate) mod header;
mod opened;
pub(crate) mod statistics;
pub(crate) mod stored;

pub use chronolith_keys::{Encryption, TreeId};
pub use foreign::{ForeignChunk, ForeignError, OpenedForeign};
pub use header::{ChunkHeader, ChunkKey, HeaderError, Shown};
pub use opened::{OpenChunkError, OpenedChunk};
pub use statistics::{Statistics, Sum};
