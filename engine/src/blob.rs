//! Blobs: values too large for a chunk.

/// The folder of blobs.
pub(crate) const DIR: &str = "blobs";
