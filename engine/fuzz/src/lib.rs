//! What the fuzz targets share: a bound on what a decoder allocates, and inputs taken apart.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use chronolith_engine::chunk::codec::{Policy, decode_values, encode_values};
use chronolith_engine::{Column, Kind};

/// Counts what is allocated. What C code (zstd's working memory) allocates is not seen.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;
static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grow(size: usize) {
    let now = NOW.fetch_add(size, Ordering::Relaxed).wrapping_add(size);
    PEAK.fetch_max(now, Ordering::Relaxed);
}

fn shrink(size: usize) {
    NOW.fetch_sub(size, Ordering::Relaxed);
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        shrink(layout.size());
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size > layout.size() {
            grow(size - layout.size());
        } else {
            shrink(layout.size() - size);
        }
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Runs `work`, which must not hold more than `bound` bytes more than before at any time.
pub fn within<R>(bound: usize, work: impl FnOnce() -> R) -> R {
    let before = NOW.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let result = work();
    let peak = PEAK.load(Ordering::Relaxed) - before;
    assert!(peak <= bound, "{peak} bytes were allocated where at most {bound} may be");
    result
}

/// What the codecs promise to allocate at most (`engine/src/chunk/codec.rs`).
#[must_use]
pub const fn promised(input: usize, count: usize) -> usize {
    8 * input + 32 * count + (1 << 20)
}

/// A bound for decoders that promise to stay in proportion to their input; the factor covers the
/// structures of the smallest items, and the new encoding that is compared. serde reserves up to
/// 1 MiB for a list by its claimed length; the rest is small change.
#[must_use]
pub const fn in_proportion(input: usize) -> usize {
    64 * input + (1 << 20) + (64 << 10)
}

/// `count u16 · bytes`: small counts, so that the bound on allocation is a tight one.
#[must_use]
pub fn counted(data: &[u8]) -> Option<(usize, &[u8])> {
    let (count, bytes) = data.split_first_chunk::<2>()?;
    Some((u16::from_le_bytes(*count).into(), bytes))
}

/// The values of a kind: decoding stays within the promise, and what decodes comes back.
pub fn values(kind: Kind, data: &[u8]) {
    let Some((count, bytes)) = counted(data) else { return };
    let mut column = Column::new(kind);
    let decoded =
        within(promised(bytes.len(), count), || decode_values(kind, bytes, count, &mut column));
    match decoded {
        Err(_) => {
            let is_var = matches!(kind, Kind::Text | Kind::Bytes);
            assert!(is_var || column.is_empty(), "what was appended before an error stayed");
        }
        Ok(()) => {
            assert_eq!(column.len(), count);
            for policy in [Policy::Smallest, Policy::Fastest] {
                let mut encoded = Vec::new();
                encode_values(&column, policy, &mut encoded);
                let mut again = Column::new(kind);
                within(promised(encoded.len(), count), || {
                    decode_values(kind, &encoded, count, &mut again)
                })
                .expect("an own encoding decodes");
                assert!(again == column, "the values changed in a new encoding");
            }
        }
    }
}
