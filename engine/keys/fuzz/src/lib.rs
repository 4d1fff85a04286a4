//! What the fuzz targets share: a bound on what a decoder allocates.

#[path = "../../../fuzz/src/allocation.rs"]
mod allocation;

/// Runs a target. Decoding, encoding again and the copy to compare stay in proportion to the input.
pub fn bounded(data: &[u8], target: fn(&[u8])) {
    allocation::within(64 * data.len() + (1 << 20), || target(data));
}
