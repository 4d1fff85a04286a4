//! An account that a node acts for by itself: it signs what its roles have to hand in.

use chronolith_chain::address::Address;
use chronolith_chain::hash::TransactionId;
use chronolith_chain::keys::SecretKey;
use chronolith_chain::ledger::Action;
use chronolith_net::validator::ChainHandle;

use super::run::storage_account;
use super::{NodeError, NodeSettings};
use crate::chain::Composer;

/// The storage role of a configuration, for whoever does something for it by hand.
pub struct StorageRole(Account);

impl StorageRole {
    /// The role that a configuration names.
    ///
    /// # Errors
    /// A configuration without one, or whose key cannot be read.
    pub fn of(settings: &NodeSettings) -> Result<Self, NodeError> {
        let missing = || NodeError::NoStorage { place: settings.place.clone() };
        let storage = settings.storage.as_ref().ok_or_else(missing)?;
        storage_account(settings, storage).map(Self)
    }

    /// Its account.
    #[must_use]
    pub fn address(&self) -> Address {
        self.0.address
    }

    /// The key that signs for the account.
    #[must_use]
    pub fn key(&self) -> SecretKey {
        self.0.key()
    }
}

/// The account of a role.
#[derive(Clone)]
pub(super) struct Account {
    seed: [u8; 32],
    /// Who it is.
    pub(super) address: Address,
}

impl Account {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self { seed, address: SecretKey::from_seed(&seed).public().into() }
    }

    /// The key that signs.
    pub(super) fn key(&self) -> SecretKey {
        SecretKey::from_seed(&self.seed)
    }

    /// Signs an action and hands it in; whether it has an effect is seen in the state. What was handed in
    /// before in vain, `tries` times, is replaced: each time twice as much is paid, up to a thousand times
    /// the least fee. The error says why it is not even waiting.
    pub(super) fn hand_in(
        &self,
        chain: &ChainHandle,
        action: impl Into<Action>,
        tries: u32,
    ) -> Result<TransactionId, String> {
        let (action, account) = (action.into(), self.clone());
        let signed = chain.look(move |validator| {
            let (state, height) = (validator.state(), validator.blocks().tip().height);
            let mut composer = Composer::new(validator.chain(), state, height, account.address)?;
            composer.pay_times(1 << tries.min(10));
            Ok::<_, crate::chain::ChainError>(composer.sign(action, &account.key()))
        });
        let stopped = || "the chain has stopped".to_owned();
        let transaction = signed.ok_or_else(stopped)?.map_err(|error| error.to_string())?;
        let handed = chain.submit(vec![transaction]).ok_or_else(stopped)?;
        match handed.into_iter().next() {
            Some(Ok(id)) => Ok(id),
            Some(Err(refused)) => Err(refused.to_string()),
            None => Err(stopped()),
        }
    }
}
