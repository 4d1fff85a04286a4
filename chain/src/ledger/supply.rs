//! The supply invariant: of every coin, what was made less what was burnt is what is there.

use std::collections::BTreeMap;

use super::anchors::{Pack, PackKey};
use super::coin::{Account, AccountKey, HoldingKey, IssuedCoinKey, SupplyKey};
use super::deals::{BountyKey, DealKey, PeriodKey, SubscriptionKey};
use super::governance::ProposalKey;
use super::rights::RequestKey;
use super::storage::{LeaseKey, PeerKey};
use super::validators::{BondedKey, DelegationKey, UnbondingKey, ValidatorKey};
use crate::coin::{Amount, Coin, CoinError};
use crate::encoding::decode;
use crate::state::{Key, State, StateError};

/// What is wrong with the sums of a state.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Imbalance {
    /// More or less of a coin is there than there should be.
    #[error("of {coin:?}, {minted} were made and {burnt} burnt, and {found} are there")]
    Supply {
        /// The coin.
        coin: Coin,
        /// How much was made.
        minted: Amount,
        /// How much of it was burnt.
        burnt: Amount,
        /// How much is there.
        found: Amount,
    },
    /// The sum of what is bonded is not what is counted.
    #[error("{counted} are counted as bonded, and {found} are")]
    Bonded {
        /// What is counted.
        counted: Amount,
        /// What is there.
        found: Amount,
    },
    /// The shares of a validator's stake are not those that are held.
    #[error("a validator's stake has {counted} shares, and {found} are held")]
    Shares {
        /// What is counted.
        counted: u128,
        /// What is held.
        found: u128,
    },
    /// A sum is larger than any amount.
    #[error(transparent)]
    Coin(#[from] CoinError),
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Where a coin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CoinSum {
    /// How much was made.
    pub minted: Amount,
    /// How much of it was burnt.
    pub burnt: Amount,
    /// In accounts.
    pub balances: Amount,
    /// Behind validators, on the way from there, and behind storage peers.
    pub bonds: Amount,
    /// Set aside for requests, bounties, deals, subscriptions, packs and leases.
    pub escrows: Amount,
    /// Set aside for proposals.
    pub deposits: Amount,
}

impl CoinSum {
    /// All that is there.
    pub fn there(&self) -> Result<Amount, CoinError> {
        self.balances.plus(self.bonds)?.plus(self.escrows)?.plus(self.deposits)
    }
}

#[derive(Default)]
struct Sums {
    coins: BTreeMap<Coin, CoinSum>,
    staked: Amount,
    counted: Amount,
    shares: BTreeMap<[u8; 32], (u128, u128)>,
    /// The coins of subscriptions, and what is set aside for their periods.
    subscriptions: BTreeMap<[u8; 32], Coin>,
    periods: BTreeMap<[u8; 32], Amount>,
}

fn add(to: &mut Amount, amount: Amount) -> Result<(), Imbalance> {
    *to = to.plus(amount)?;
    Ok(())
}

/// The key and the value of an entry, if it is of a kind.
fn entry<K: Key>(key: &[u8], value: &[u8]) -> Result<Option<(K, K::Value)>, Imbalance> {
    let Some(key) = K::from_bytes(key) else { return Ok(None) };
    let value = decode(K::NAME, value, usize::MAX).map_err(StateError::from)?;
    Ok(Some((key, value)))
}

impl Sums {
    fn native(&mut self) -> &mut CoinSum {
        self.coins.entry(Coin::Native).or_default()
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), Imbalance> {
        match key.first().copied() {
            Some(AccountKey::KIND) => {
                if let Some((_, Account { balance, .. })) = entry::<AccountKey>(key, value)? {
                    add(&mut self.native().balances, balance)?;
                }
            }
            Some(HoldingKey::KIND) => {
                if let Some((key, amount)) = entry::<HoldingKey>(key, value)? {
                    let sum = self.coins.entry(Coin::Issued(key.coin)).or_default();
                    add(&mut sum.balances, amount)?;
                }
            }
            Some(IssuedCoinKey::KIND) => {
                if let Some((key, coin)) = entry::<IssuedCoinKey>(key, value)? {
                    let sum = self.coins.entry(Coin::Issued(key.coin)).or_default();
                    (sum.minted, sum.burnt) = (coin.minted, coin.burnt);
                }
            }
            Some(SupplyKey::KIND) => {
                if let Some((_, supply)) = entry::<SupplyKey>(key, value)? {
                    let sum = self.native();
                    (sum.minted, sum.burnt) = (supply.minted, supply.burnt);
                }
            }
            Some(RequestKey::KIND) => {
                if let Some((_, right)) = entry::<RequestKey>(key, value)? {
                    add(&mut self.coins.entry(right.coin).or_default().escrows, right.escrow)?;
                }
            }
            Some(PackKey::KIND) => {
                if let Some((_, Pack { escrow, repair_escrow, .. })) = entry::<PackKey>(key, value)?
                {
                    add(&mut self.native().escrows, escrow.plus(repair_escrow)?)?;
                }
            }
            Some(LeaseKey::KIND) => {
                if let Some((_, lease)) = entry::<LeaseKey>(key, value)? {
                    add(&mut self.native().escrows, lease.escrow)?;
                }
            }
            Some(ProposalKey::KIND) => {
                if let Some((_, proposal)) = entry::<ProposalKey>(key, value)? {
                    add(&mut self.native().deposits, proposal.deposit)?;
                }
            }
            Some(PeerKey::KIND) => {
                if let Some((_, peer)) = entry::<PeerKey>(key, value)? {
                    add(&mut self.native().bonds, peer.bond)?;
                }
            }
            _ if self.take_deals(key, value)? => {}
            _ => self.take_stake(key, value)?,
        }
        Ok(())
    }

    fn escrow(&mut self, coin: Coin, amount: Amount) -> Result<(), Imbalance> {
        add(&mut self.coins.entry(coin).or_default().escrows, amount)
    }

    /// What is set aside for bounties, deals and subscriptions; whether the entry is of these. A period's
    /// coin is its subscription's, which may come later.
    fn take_deals(&mut self, key: &[u8], value: &[u8]) -> Result<bool, Imbalance> {
        if let Some((_, bounty)) = entry::<BountyKey>(key, value)? {
            self.escrow(bounty.coin, bounty.escrow)?;
        } else if let Some((_, deal)) = entry::<DealKey>(key, value)? {
            for (party, amount) in deal.plan.parties.iter().zip(deal.escrows.iter()) {
                self.escrow(party.coin, *amount)?;
            }
        } else if let Some((key, found)) = entry::<SubscriptionKey>(key, value)? {
            self.escrow(found.coin, found.escrow)?;
            self.subscriptions.insert(key.subscription.0, found.coin);
        } else if let Some((key, period)) = entry::<PeriodKey>(key, value)? {
            let kept = self.periods.entry(key.subscription.0).or_default();
            add(kept, period.escrow)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Counts what is set aside for periods by the coins of their subscriptions.
    fn take_periods(&mut self) -> Result<(), Imbalance> {
        for (subscription, amount) in std::mem::take(&mut self.periods) {
            // A period without its subscription would be a coin that nobody can name.
            let coin = self.subscriptions.get(&subscription).copied().unwrap_or_default();
            self.escrow(coin, amount)?;
        }
        Ok(())
    }

    fn take_stake(&mut self, key: &[u8], value: &[u8]) -> Result<(), Imbalance> {
        match key.first().copied() {
            Some(ValidatorKey::KIND) => {
                if let Some((key, validator)) = entry::<ValidatorKey>(key, value)? {
                    add(&mut self.native().bonds, validator.stake)?;
                    add(&mut self.staked, validator.stake)?;
                    self.shares.entry(key.validator.0).or_default().0 = validator.shares;
                }
            }
            Some(UnbondingKey::KIND) => {
                if let Some((_, unbonding)) = entry::<UnbondingKey>(key, value)? {
                    add(&mut self.native().bonds, unbonding.amount)?;
                }
            }
            Some(BondedKey::KIND) => {
                if let Some((_, counted)) = entry::<BondedKey>(key, value)? {
                    self.counted = counted;
                }
            }
            Some(DelegationKey::KIND) => {
                if let Some((key, shares)) = entry::<DelegationKey>(key, value)? {
                    let held = &mut self.shares.entry(key.validator.0).or_default().1;
                    *held = held.checked_add(shares).ok_or(CoinError::Overflow)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Sums up every coin in the present version of a state, and checks that nothing is lost or
/// invented: made − burnt = balances + bonds + escrows + deposits; and that the counters of stake
/// and shares are right.
pub fn audit(state: &State) -> Result<BTreeMap<Coin, CoinSum>, Imbalance> {
    let mut sums = Sums::default();
    let mut done = Ok(());
    state.for_each_at(state.head().version, &mut |key, value| {
        if done.is_ok() {
            done = sums.take(key, value);
        }
    })?;
    done?;
    sums.take_periods()?;
    for (coin, sum) in &sums.coins {
        let (coin, minted, burnt, found) = (*coin, sum.minted, sum.burnt, sum.there()?);
        if burnt.plus(found)? != minted {
            return Err(Imbalance::Supply { coin, minted, burnt, found });
        }
    }
    if sums.staked != sums.counted {
        return Err(Imbalance::Bonded { counted: sums.counted, found: sums.staked });
    }
    for (counted, found) in sums.shares.into_values() {
        if counted != found {
            return Err(Imbalance::Shares { counted, found });
        }
    }
    Ok(sums.coins)
}
