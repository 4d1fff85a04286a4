//! Bounds on what a writer may hand to the store.

/// Bounds that a batch is checked against before anything of it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest device, metric name, tag key, tag value, unit, metadata key: bytes.
    pub name_bytes: usize,
    /// Most tags of one metric.
    pub tags: usize,
    /// Most bytes of one metric's metadata, keys and values together.
    pub metadata_bytes: usize,
    /// Most metrics in one database.
    pub metrics: usize,
    /// Longest value that is kept in a chunk; longer ones go to the blob store: bytes.
    pub value_bytes: usize,
    /// Most bytes of records in one batch, as counted by [`crate::Batch::size_bytes`].
    pub batch_bytes: usize,
}

impl Limits {
    /// The most bytes a chunk keeps of one value, whatever the settings.
    pub const VALUE_BYTES_MAX: usize = 64 * 1024;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            name_bytes: 1024,
            tags: 64,
            metadata_bytes: 64 * 1024,
            metrics: 16_000_000,
            value_bytes: Self::VALUE_BYTES_MAX,
            batch_bytes: 64 * 1024 * 1024,
        }
    }
}
