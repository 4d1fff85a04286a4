//! Storage as Chronolith sees it: one directory of files behind the [`Disk`] trait.
//!
//! The engine does all its file access through this trait, so that a test can put a simulated
//! disk under it, cut the power between any two operations and look at what survived.
//! [`RealDisk`] is a directory of the operating system; [`SimDisk`] keeps files in memory and
//! models what an unsynced write may become; [`FaultyDisk`] fails a chosen operation.
//!
//! Paths are relative to the disk's root and use `/`.

#![forbid(unsafe_op_in_unsafe_fn)]

mod faulty;
mod mapped;
mod real;
mod sim;
mod traits;

pub use faulty::{Failure, FailureKind, FaultyDisk};
pub use mapped::Mapped;
pub use real::RealDisk;
pub use sim::{CrashMode, Lie, SimDisk};
pub use traits::{Disk, DiskFile, DiskLock, read_all};
