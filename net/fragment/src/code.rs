//! The erasure code: parity from data, and data from what is left.
//!
//! Reed–Solomon over GF(2^8) with the polynomial 0x11d and the systematic Vandermonde matrix of
//! Backblaze's code, as `reed-solomon-erasure` has it. It works byte by byte: the bytes at one place
//! of all fragments belong together, whatever lies beside them. So a body is coded in pieces that
//! stay in the processor's cache, and a single block can be restored from blocks.

use reed_solomon_erasure::{Field, galois_8};

/// Why bytes are not coded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeError {
    /// The body does not fit the shape.
    #[error("a body of {found} bytes where the shape has room for {room}")]
    Body {
        /// How long the body is.
        found: usize,
        /// How many bytes the data fragments hold.
        room: usize,
    },
    /// Too few different fragments of the shape.
    #[error("{found} fragments where {needed} are needed")]
    TooFew {
        /// How many are needed.
        needed: u8,
        /// How many different ones of the right length there are.
        found: u8,
    },
    /// The key that unmasks a fragment is not there.
    #[error("the mask key of fragment {fragment} is missing; ask the owner for it")]
    MissingKey {
        /// Which fragment.
        fragment: u8,
    },
    /// The code refuses the pieces: their number or lengths differ from those of the shape.
    #[error("the pieces do not fit the code: {reason}")]
    Pieces {
        /// What the code says.
        reason: String,
    },
}

impl From<reed_solomon_erasure::Error> for CodeError {
    fn from(error: reed_solomon_erasure::Error) -> Self {
        Self::Pieces { reason: error.to_string() }
    }
}

/// A piece of one fragment, and whether its bytes are known. An unknown piece of data has the length
/// of the others; an unknown piece of parity may be empty.
pub type Piece<'a> = (&'a mut [u8], bool);

/// A systematic code that works byte by byte.
pub trait ErasureCode: Send + Sync {
    /// Makes the parity pieces of data pieces; all have one length.
    ///
    /// # Errors
    /// [`CodeError::Pieces`] for numbers or lengths that do not fit.
    fn encode(&self, data: &[&[u8]], parity: &mut [&mut [u8]]) -> Result<(), CodeError>;

    /// Fills in the data pieces that are not known. There is a piece for each fragment, in order.
    ///
    /// # Errors
    /// [`CodeError::Pieces`] for numbers or lengths that do not fit, or too few known ones.
    fn restore_data(&self, all: &mut [Piece<'_>]) -> Result<(), CodeError>;
}

/// Reed–Solomon in C with the processor's vector instructions. The C code is compiled for AVX2 on
/// x86-64 and does not ask: [`fastest`] does.
pub struct ReedSolomon(galois_8::ReedSolomon);

/// The same code in safe Rust by a table of products: for processors without AVX2, and for the
/// ledger, whose verdicts should not hang on instructions of one machine.
pub struct PortableReedSolomon(reed_solomon_erasure::ReedSolomon<Portable>);

impl ReedSolomon {
    /// The code of a shape.
    ///
    /// # Errors
    /// [`CodeError::Pieces`] where the code has no such counts.
    pub fn new(needed: u8, fragments: u8) -> Result<Self, CodeError> {
        let parity = usize::from(fragments.saturating_sub(needed));
        Ok(Self(galois_8::ReedSolomon::new(needed.into(), parity)?))
    }
}

impl PortableReedSolomon {
    /// The code of a shape.
    ///
    /// # Errors
    /// [`CodeError::Pieces`] where the code has no such counts.
    pub fn new(needed: u8, fragments: u8) -> Result<Self, CodeError> {
        let parity = usize::from(fragments.saturating_sub(needed));
        Ok(Self(reed_solomon_erasure::ReedSolomon::new(needed.into(), parity)?))
    }
}

/// The fastest code that this processor runs.
///
/// # Errors
/// [`CodeError::Pieces`] where the code has no such counts.
pub fn fastest(needed: u8, fragments: u8) -> Result<Box<dyn ErasureCode>, CodeError> {
    #[cfg(target_arch = "x86_64")]
    let has_vectors = std::arch::is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    let has_vectors = true;
    if has_vectors {
        return Ok(Box::new(ReedSolomon::new(needed, fragments)?));
    }
    Ok(Box::new(PortableReedSolomon::new(needed, fragments)?))
}

impl ErasureCode for ReedSolomon {
    fn encode(&self, data: &[&[u8]], parity: &mut [&mut [u8]]) -> Result<(), CodeError> {
        Ok(self.0.encode_sep(data, parity)?)
    }

    fn restore_data(&self, all: &mut [Piece<'_>]) -> Result<(), CodeError> {
        Ok(self.0.reconstruct_data(all)?)
    }
}

impl ErasureCode for PortableReedSolomon {
    fn encode(&self, data: &[&[u8]], parity: &mut [&mut [u8]]) -> Result<(), CodeError> {
        Ok(self.0.encode_sep(data, parity)?)
    }

    fn restore_data(&self, all: &mut [Piece<'_>]) -> Result<(), CodeError> {
        Ok(self.0.reconstruct_data(all)?)
    }
}

/// GF(2^8) as [`galois_8`] has it, with slices multiplied in safe Rust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Portable;

impl Field for Portable {
    const ORDER: usize = 256;
    type Elem = u8;

    fn add(a: u8, b: u8) -> u8 {
        galois_8::add(a, b)
    }

    fn mul(a: u8, b: u8) -> u8 {
        galois_8::mul(a, b)
    }

    fn div(a: u8, b: u8) -> u8 {
        galois_8::div(a, b)
    }

    fn exp(a: u8, n: usize) -> u8 {
        galois_8::exp(a, n)
    }

    fn zero() -> u8 {
        0
    }

    fn one() -> u8 {
        1
    }

    fn nth_internal(n: usize) -> u8 {
        n as u8
    }

    fn mul_slice(factor: u8, input: &[u8], out: &mut [u8]) {
        let Some(products) = galois_8::MUL_TABLE.get(usize::from(factor)) else { return };
        for (out, input) in out.iter_mut().zip(input) {
            *out = products[usize::from(*input)];
        }
    }

    fn mul_slice_add(factor: u8, input: &[u8], out: &mut [u8]) {
        let Some(products) = galois_8::MUL_TABLE.get(usize::from(factor)) else { return };
        for (out, input) in out.iter_mut().zip(input) {
            *out ^= products[usize::from(*input)];
        }
    }
}
