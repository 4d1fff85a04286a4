//! Claims: only one runtime moves the queries of a database on.
//!
//! Two would both compute what comes and number their changes apart: the second batch would overwrite
//! the first. Two processes cannot open a database for writing, so it is enough to tell the logs of
//! one process apart.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chronolith_engine::Follower;

use super::error::ContinuousError;

/// The logs whose queries somebody moves on.
static CLAIMED: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());

fn claimed() -> MutexGuard<'static, BTreeSet<usize>> {
    CLAIMED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A follower that no other runtime of the same log has beside it.
pub(super) struct Claim {
    follower: Follower,
}

impl Claim {
    pub(super) fn new(follower: Follower) -> Result<Self, ContinuousError> {
        match claimed().insert(follower.log_address()) {
            true => Ok(Self { follower }),
            false => Err(ContinuousError::AlreadyOpen),
        }
    }

    pub(super) const fn follower(&self) -> &Follower {
        &self.follower
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // The follower still holds the log, so that its address is of no other.
        claimed().remove(&self.follower.log_address());
    }
}
