//! From files and streams to records.
