//! An embeddable time-series store whose sealed chunks are provable.

#![forbid(unsafe_code)]

pub mod chunk;
mod model;

pub use model::*;
