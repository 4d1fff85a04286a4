//! Simulations of storage: how often data is lost over years, and how often cheaters are caught.
//!
//! Both follow from their seeds alone. The audits are real ones: packs, fragments, trees, answers and
//! their checks are those of this crate.

pub mod audits;
pub mod durability;
