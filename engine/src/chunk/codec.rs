//! Codecs of a chunk's two columns: times and values.
