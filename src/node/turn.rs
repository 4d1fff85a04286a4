//! Turns: of those in this process who act for one account, one signs and hands in at a time.
//!
//! A transaction has the account's next number. Of two that are signed by the same state one is never in a block.

use std::collections::BTreeSet;

use chronolith_chain::address::Address;
use parking_lot::{Condvar, Mutex};

/// The accounts that somebody acts for now.
static ACTING: Mutex<BTreeSet<Address>> = Mutex::new(BTreeSet::new());
/// Somebody is done.
static DONE: Condvar = Condvar::new();

/// The turn of whoever acts for an account, from the state that he signs by to the block; it ends when this is
/// dropped. Nobody takes a second one of the same account meanwhile.
#[must_use]
pub(crate) struct Turn(Address);

impl Turn {
    /// Waits until nobody else acts for an account.
    pub(crate) fn of(account: Address) -> Self {
        let mut acting = ACTING.lock();
        while !acting.insert(account) {
            DONE.wait(&mut acting);
        }
        Self(account)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        ACTING.lock().remove(&self.0);
        DONE.notify_all();
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn one_acts_for_an_account_at_a_time() {
        let (acting, most) = (AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            let all = (0..4).map(|_| {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        let _turn = Turn::of(Address([7; 32]));
                        most.fetch_max(acting.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        acting.fetch_sub(1, Ordering::SeqCst);
                    }
                })
            });
            all.collect::<Vec<_>>().into_iter().for_each(|one| one.join().unwrap());
            // Others are not held up.
            let _turns = (Turn::of(Address([7; 32])), Turn::of(Address([8; 32])));
        });
        assert_eq!(most.into_inner(), 1);
    }
}
