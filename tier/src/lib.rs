//! Sealed segments of a database in an S3-compatible store, or in another folder.
//!
//! [`StoreSettings`] says where, as a person writes it; [`ObjectSegments`] is that place for the
//! engine, by the `object_store` crate.
//!
//! ```
//! use std::sync::Arc;
//!
//! use chronolith_engine::{Options, SegmentStoreOptions};
//! use chronolith_tier::{ObjectSegments, StoreSettings};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let url = format!("file://{}", folder.path().display());
//! let settings = StoreSettings::new(url); // or "s3://bucket/prefix"
//! let store = Arc::new(ObjectSegments::open(&settings)?);
//! let options =
//!     Options { segment_store: Some(SegmentStoreOptions::new(store)), ..Options::default() };
//! # let _ = options;
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod calls;
mod folder;
mod objects;
mod problem;
#[cfg(feature = "s3")]
mod s3;
mod settings;

pub use objects::ObjectSegments;
pub use settings::{Secret, SettingsError, StoreSettings};
