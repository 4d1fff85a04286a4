//! Transactions that wait for a block.
//!
//! Bounded in bytes and per account; a better price pushes the worst out. What one account sends
//! stays in the order of its nonces, accounts are served by price. Only transactions whose
//! signatures hold get in.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};

use crate::address::Address;
use crate::coin::Amount;
use crate::hash::{ChainId, TransactionId};
use crate::ledger::{
    Account, AccountKey, Inadmissible, ParameterName, Parameters, ParametersKey, least_fee,
};
use crate::state::{Overlay, StateError, View};
use crate::transaction::{SignatureError, Verified};

/// What the mempool may hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// All transactions together, in bytes of their encodings.
    pub bytes: usize,
    /// Transactions of one account.
    pub per_account: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 64 << 20, per_account: 4_096 }
    }
}

/// Why a transaction is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It is not signed by its sender.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It waits already.
    #[error("the transaction {0} waits already")]
    Known(TransactionId),
    /// It could not be in a block, now or for ever.
    #[error(transparent)]
    Inadmissible(#[from] Inadmissible),
    /// Its nonce is too far from the account's next.
    #[error("the nonce {found} is too far from the next one, {next}: at most {most} may wait")]
    TooFar {
        /// The account's next nonce.
        next: u64,
        /// The transaction's.
        found: u64,
        /// How many of one account may wait.
        most: usize,
    },
    /// Another with this nonce waits, and this one does not pay a tenth more.
    #[error("another transaction with this nonce waits; to replace it, pay at least {least}")]
    Replacement {
        /// What would replace it.
        least: Amount,
    },
    /// There is no room, and everything that waits pays more.
    #[error("the mempool is full of transactions with higher fees; pay more, or try again later")]
    Full,
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Refused {
    /// Whether a transaction of the sender has the nonce, in a block (it may be this one) or waiting for one: one that
    /// was signed for the first time may be taken with the next nonce.
    #[must_use]
    pub const fn is_nonce_taken(&self) -> bool {
        match self {
            Self::Replacement { .. } => true,
            Self::Inadmissible(Inadmissible::Nonce { expected, found }) => *found < *expected,
            _ => false,
        }
    }
}

/// What a byte of a transaction pays, in motes.
type Price = u128;

struct Waiting {
    transaction: Verified,
    price: Price,
    since: u64,
    is_local: bool,
}

/// Transactions that wait for a block.
pub struct Mempool {
    chain: ChainId,
    limits: Limits,
    bytes: usize,
    accounts: BTreeMap<Address, BTreeMap<u64, Waiting>>,
    by_id: HashMap<TransactionId, (Address, u64)>,
    by_price: BTreeSet<(Price, Reverse<TransactionId>)>,
    by_expiry: BTreeSet<(u64, TransactionId)>,
}

fn price(transaction: &Verified) -> Price {
    transaction.body().fee.0 / transaction.size().max(1) as u128
}

fn account(state: &dyn View, address: Address) -> Result<Account, StateError> {
    Ok(Overlay::new(state).get(&AccountKey { address })?.unwrap_or_default())
}

/// The parameters of a state.
pub(crate) fn parameters(state: &dyn View) -> Result<Parameters, StateError> {
    Ok(Overlay::new(state).get(&ParametersKey {})?.unwrap_or_default())
}

impl Mempool {
    /// An empty mempool of a chain.
    #[must_use]
    pub fn new(chain: ChainId, limits: Limits) -> Self {
        Self {
            chain,
            limits,
            bytes: 0,
            accounts: BTreeMap::new(),
            by_id: HashMap::new(),
            by_price: BTreeSet::new(),
            by_expiry: BTreeSet::new(),
        }
    }

    /// How many transactions wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// How many bytes wait.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A transaction that waits.
    #[must_use]
    pub fn get(&self, id: &TransactionId) -> Option<&Verified> {
        let (sender, nonce) = self.by_id.get(id)?;
        Some(&self.accounts.get(sender)?.get(nonce)?.transaction)
    }

    /// Whether a transaction waits that could be in the next block.
    pub fn has_ready(&self, state: &dyn View) -> Result<bool, StateError> {
        for (sender, waiting) in &self.accounts {
            if waiting.contains_key(&account(state, *sender)?.nonce) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes a transaction that may be in the block of height `next` or a later one.
    pub fn admit(
        &mut self,
        transaction: Verified,
        state: &dyn View,
        next: u64,
        is_local: bool,
    ) -> Result<TransactionId, Refused> {
        let (id, price) = (transaction.id(), price(&transaction));
        if self.by_id.contains_key(&id) {
            return Err(Refused::Known(id));
        }
        let (sender, nonce) = (transaction.body().sender, transaction.body().nonce);
        let known = account(state, sender)?;
        self.check(&transaction, state, &known, next)?;
        if let Some(other) = self.accounts.get(&sender).and_then(|waiting| waiting.get(&nonce)) {
            let fee = other.transaction.body().fee.0;
            let least = Amount(fee.saturating_add(fee / 10).saturating_add(1));
            if transaction.body().fee < least {
                return Err(Refused::Replacement { least });
            }
            let other = other.transaction.id();
            self.remove(&other);
        }
        self.make_room(transaction.size(), price)?;
        self.bytes += transaction.size();
        self.by_id.insert(id, (sender, nonce));
        self.by_price.insert((price, Reverse(id)));
        self.by_expiry.insert((transaction.body().valid_until, id));
        let waiting = Waiting { transaction, price, since: next, is_local };
        self.accounts.entry(sender).or_default().insert(nonce, waiting);
        Ok(id)
    }

    /// Whether a transaction could be in the block of height `next` once those before it were.
    fn check(
        &self,
        transaction: &Verified,
        state: &dyn View,
        known: &Account,
        next: u64,
    ) -> Result<(), Refused> {
        let body = transaction.body();
        if body.version != 1 {
            return Err(Inadmissible::Version { found: body.version }.into());
        }
        if body.chain != self.chain {
            return Err(Inadmissible::Chain { found: body.chain }.into());
        }
        let valid_until = body.valid_until;
        if next > valid_until {
            return Err(Inadmissible::Expired { valid_until }.into());
        }
        let parameters = parameters(state)?;
        let latest = next.saturating_add(parameters.count(ParameterName::ValidLongest));
        if valid_until > latest {
            return Err(Inadmissible::TooLong { valid_until, latest }.into());
        }
        let (expected, found) = (known.nonce, body.nonce);
        if found < expected {
            return Err(Inadmissible::Nonce { expected, found }.into());
        }
        let most = self.limits.per_account;
        if found - expected >= most as u64 {
            return Err(Refused::TooFar { next: expected, found, most });
        }
        let least = least_fee(&parameters, transaction.size(), body.action.weight());
        if body.fee < least {
            return Err(Inadmissible::Fee { least, found: body.fee }.into());
        }
        // What the account's others will have paid is not there for this one.
        let others = self.accounts.get(&body.sender).into_iter().flatten();
        let before = others.filter(|(nonce, _)| **nonce < found);
        let fees = before.map(|(_, waiting)| waiting.transaction.body().fee.0);
        let need = fees.fold(body.fee.0, u128::saturating_add);
        if known.balance.0 < need {
            let (have, need) = (known.balance, Amount(need));
            return Err(Inadmissible::Balance { have, need }.into());
        }
        Ok(())
    }

    /// Drops the worst until there is room, if they are worse.
    fn make_room(&mut self, size: usize, price: Price) -> Result<(), Refused> {
        if size > self.limits.bytes {
            return Err(Refused::Full);
        }
        while self.bytes + size > self.limits.bytes {
            let Some((worst, Reverse(id))) = self.by_price.first().copied() else {
                return Err(Refused::Full);
            };
            if worst >= price {
                return Err(Refused::Full);
            }
            self.drop_with_followers(&id);
        }
        Ok(())
    }

    fn remove(&mut self, id: &TransactionId) -> Option<Waiting> {
        let (sender, nonce) = self.by_id.remove(id)?;
        let waiting = self.accounts.get_mut(&sender)?;
        let removed = waiting.remove(&nonce)?;
        if waiting.is_empty() {
            self.accounts.remove(&sender);
        }
        self.bytes -= removed.transaction.size();
        self.by_price.remove(&(removed.price, Reverse(*id)));
        self.by_expiry.remove(&(removed.transaction.body().valid_until, *id));
        Some(removed)
    }

    /// Removes a transaction, and those of its account that cannot be in a block without it.
    pub fn drop_with_followers(&mut self, id: &TransactionId) {
        let Some((sender, nonce)) = self.by_id.get(id).copied() else { return };
        let followers = self.accounts.get(&sender).into_iter().flat_map(|all| all.range(nonce..));
        let ids: Vec<TransactionId> =
            followers.map(|(_, waiting)| waiting.transaction.id()).collect();
        for id in ids {
            self.remove(&id);
        }
    }

    /// The best transactions for the next block, within its bounds, in an order in which they can
    /// be executed.
    pub fn select(
        &self,
        state: &dyn View,
        most_bytes: u64,
        most_weight: u64,
        most: usize,
    ) -> Result<Vec<Verified>, StateError> {
        let mut heads = BinaryHeap::new();
        for (sender, waiting) in &self.accounts {
            let nonce = account(state, *sender)?.nonce;
            if let Some(first) = waiting.get(&nonce) {
                heads.push((first.price, Reverse(first.transaction.id()), *sender, nonce));
            }
        }
        let (mut chosen, mut bytes, mut weight) = (Vec::new(), 0_u64, 0_u64);
        while let Some((_, _, sender, nonce)) = heads.pop()
            && chosen.len() < most
        {
            let Some(waiting) = self.accounts.get(&sender) else { continue };
            let Some(Waiting { transaction, .. }) = waiting.get(&nonce) else { continue };
            let size = transaction.size() as u64;
            let work = transaction.body().action.weight();
            if bytes + size > most_bytes || weight.saturating_add(work) > most_weight {
                // The account has to wait; smaller ones of others may still fit.
                continue;
            }
            (bytes, weight) = (bytes + size, weight + work);
            chosen.push(transaction.clone());
            if let Some(after) = waiting.get(&(nonce + 1)) {
                let id = Reverse(after.transaction.id());
                heads.push((after.price, id, sender, nonce + 1));
            }
        }
        Ok(chosen)
    }

    /// Removes what a block made done or impossible. `senders` are those of its transactions, and
    /// `state` is the one after it.
    pub fn after_block(
        &mut self,
        senders: impl IntoIterator<Item = Address>,
        state: &dyn View,
        next: u64,
    ) -> Result<(), StateError> {
        while let Some((valid_until, id)) = self.by_expiry.first().copied()
            && valid_until < next
        {
            self.drop_with_followers(&id);
        }
        for sender in senders.into_iter().collect::<BTreeSet<_>>() {
            let Some(waiting) = self.accounts.get(&sender) else { continue };
            let Account { nonce, balance, .. } = account(state, sender)?;
            let done: Vec<TransactionId> =
                waiting.range(..nonce).map(|(_, waiting)| waiting.transaction.id()).collect();
            let mut fees = 0_u128;
            let unpaid = waiting.range(nonce..).find_map(|(_, waiting)| {
                fees = fees.saturating_add(waiting.transaction.body().fee.0);
                (fees > balance.0).then(|| waiting.transaction.id())
            });
            for id in done {
                self.remove(&id);
            }
            if let Some(id) = unpaid {
                self.drop_with_followers(&id);
            }
        }
        Ok(())
    }

    /// Transactions that were submitted here and wait since before `height`: others may not have
    /// them.
    #[must_use]
    pub fn overdue(&self, height: u64, most: usize) -> Vec<Verified> {
        let all = self.accounts.values().flat_map(BTreeMap::values);
        let overdue = all.filter(|waiting| waiting.is_local && waiting.since < height);
        overdue.take(most).map(|waiting| waiting.transaction.clone()).collect()
    }
}
