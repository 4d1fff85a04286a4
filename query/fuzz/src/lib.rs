//! What the fuzz targets share: a bound on what a decoder allocates.

#[path = "../../../engine/fuzz/src/allocation.rs"]
mod allocation;

pub use allocation::within;

/// A bound for decoders that stay in proportion to their input; the factor covers the structures of
/// the smallest items, and the new encoding that is compared.
#[must_use]
pub const fn in_proportion(input: usize) -> usize {
    128 * input + (1 << 20)
}
