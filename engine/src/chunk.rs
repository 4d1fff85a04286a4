//! Chunks: the immutable records of one metric in one window.

pub mod codec;
