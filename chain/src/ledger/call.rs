//! What rules see: the state under their changes, the block, the parameters, who calls.

use super::agenda::{AgendaKey, Counters, CountersKey, Task};
use super::coin::{Account, AccountKey, HoldingKey, Supply, SupplyKey};
use super::parameters::Parameters;
use super::refusal::{Refusal, Thing};
use crate::address::Address;
use crate::coin::{Amount, Coin, CoinError};
use crate::hash::{ChainId, TransactionId};
use crate::state::{Key, Overlay, StateError};

/// Why rules stop.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Halt {
    /// The action is refused; the block goes on.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The state cannot be read; the block cannot be executed here.
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<CoinError> for Halt {
    fn from(error: CoinError) -> Self {
        Self::Refused(Refusal::Coin(error))
    }
}

/// Who calls an action.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) sender: Address,
    pub(crate) transaction: TransactionId,
}

/// The ledger while a block is executed.
pub(crate) struct Ledger<'a> {
    pub(crate) state: Overlay<'a>,
    pub(crate) chain: ChainId,
    pub(crate) height: u64,
    /// The block's time in milliseconds since the epoch.
    pub(crate) time_ms: u64,
    /// The parameters as of the beginning of the block.
    pub(crate) parameters: Parameters,
}

/// Refuses where a condition does not hold.
pub(crate) fn ensure(condition: bool, refusal: Refusal) -> Result<(), Halt> {
    if condition { Ok(()) } else { Err(Halt::Refused(refusal)) }
}

/// Refuses a number outside its bounds.
pub(crate) fn ensure_within(
    found: impl Into<u128>,
    minimum: impl Into<u128>,
    maximum: impl Into<u128>,
) -> Result<(), Halt> {
    let (found, minimum, maximum) = (found.into(), minimum.into(), maximum.into());
    let refusal = Refusal::Bounds { minimum, maximum, found };
    ensure((minimum..=maximum).contains(&found), refusal)
}

impl Ledger<'_> {
    /// The epoch of the block.
    pub(crate) fn epoch(&self) -> u64 {
        self.parameters.epoch(self.height)
    }

    /// The height at which an epoch begins, and the one before ends.
    pub(crate) fn epoch_end(&self, epoch: u64) -> u64 {
        self.parameters.epoch_end(epoch)
    }

    /// The value of a key.
    pub(crate) fn get<K: Key>(&self, key: &K) -> Result<Option<K::Value>, Halt> {
        Ok(self.state.get(key)?)
    }

    /// The value of a key that must be there.
    pub(crate) fn find<K: Key>(&self, key: &K, thing: Thing) -> Result<K::Value, Halt> {
        self.get(key)?.ok_or(Halt::Refused(Refusal::Missing(thing)))
    }

    /// The value of a key, or what its type begins with.
    pub(crate) fn get_or_default<K: Key>(&self, key: &K) -> Result<K::Value, Halt>
    where
        K::Value: Default,
    {
        Ok(self.get(key)?.unwrap_or_default())
    }

    pub(crate) fn put<K: Key>(&mut self, key: &K, value: &K::Value) {
        self.state.put(key, value);
    }

    pub(crate) fn remove<K: Key>(&mut self, key: &K) {
        self.state.remove(key);
    }

    /// Puts an amount into an account.
    pub(crate) fn pay(&mut self, to: Address, coin: Coin, amount: Amount) -> Result<(), Halt> {
        if amount.is_zero() {
            return Ok(());
        }
        match coin {
            Coin::Native => {
                let key = AccountKey { address: to };
                let account: Account = self.get_or_default(&key)?;
                let balance = account.balance.plus(amount)?;
                self.put(&key, &Account { balance, ..account });
            }
            Coin::Issued(coin) => {
                let key = HoldingKey { address: to, coin };
                let amount = self.get_or_default(&key)?.plus(amount)?;
                self.put(&key, &amount);
            }
        }
        Ok(())
    }

    /// Takes an amount out of an account.
    pub(crate) fn take(&mut self, from: Address, coin: Coin, amount: Amount) -> Result<(), Halt> {
        match coin {
            Coin::Native => {
                let key = AccountKey { address: from };
                let account: Account = self.get_or_default(&key)?;
                let balance = account.balance.minus(amount)?;
                if !amount.is_zero() {
                    self.put(&key, &Account { balance, ..account });
                }
            }
            Coin::Issued(coin) => {
                let key = HoldingKey { address: from, coin };
                let left = self.get_or_default(&key)?.minus(amount)?;
                if left.is_zero() {
                    self.remove(&key);
                } else {
                    self.put(&key, &left);
                }
            }
        }
        Ok(())
    }

    /// Counts native coin as burnt that was taken from wherever it was.
    pub(crate) fn burn(&mut self, amount: Amount) -> Result<(), Halt> {
        let supply: Supply = self.get_or_default(&SupplyKey {})?;
        let burnt = supply.burnt.plus(amount)?;
        self.put(&SupplyKey {}, &Supply { burnt, ..supply });
        Ok(())
    }

    /// Counts native coin as made that is put wherever it goes.
    pub(crate) fn mint(&mut self, amount: Amount) -> Result<(), Halt> {
        let supply: Supply = self.get_or_default(&SupplyKey {})?;
        let minted = supply.minted.plus(amount)?;
        self.put(&SupplyKey {}, &Supply { minted, ..supply });
        Ok(())
    }

    /// Changes the counters, and gives what they were.
    pub(crate) fn count(&mut self, change: impl FnOnce(&mut Counters)) -> Result<Counters, Halt> {
        let before: Counters = self.get_or_default(&CountersKey {})?;
        let mut after = before;
        change(&mut after);
        self.put(&CountersKey {}, &after);
        Ok(before)
    }

    /// Has something done at the end of the block at a height, or as soon after as there is room.
    pub(crate) fn schedule(&mut self, height: u64, task: Task) -> Result<(), Halt> {
        let counters = self.count(|counters| counters.tasks += 1)?;
        self.put(&AgendaKey { height, number: counters.tasks }, &task);
        Ok(())
    }
}
