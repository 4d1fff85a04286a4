//! Making transactions that the chain takes: the next nonce, a fee that is enough, an expiry.

use chronolith_chain::address::Address;
use chronolith_chain::coin::Amount;
use chronolith_chain::encoding::encode;
use chronolith_chain::hash::ChainId;
use chronolith_chain::keys::{SecretKey, Signature};
use chronolith_chain::ledger::{
    AccountKey, Action, ParameterName, Parameters, ParametersKey, least_fee,
};
use chronolith_chain::state::{Overlay, View};
use chronolith_chain::transaction::{Body, Transaction};

use super::ChainError;

/// For how many blocks a transaction may wait, unless the chain allows less.
const VALID_BLOCKS: u64 = 1_000;

/// Makes the next transactions of an account.
#[derive(Debug, Clone)]
pub struct Composer {
    chain: ChainId,
    sender: Address,
    nonce: u64,
    valid_until: u64,
    parameters: Parameters,
    times: u32,
}

impl Composer {
    /// From the state after the block of `height`.
    pub fn new(
        chain: ChainId,
        state: &dyn View,
        height: u64,
        sender: Address,
    ) -> Result<Self, ChainError> {
        let state = Overlay::new(state);
        let account = state.get(&AccountKey { address: sender })?.unwrap_or_default();
        let parameters = state.get(&ParametersKey {})?.unwrap_or_default();
        let longest = parameters.get(ParameterName::ValidLongest);
        let blocks = u64::try_from(longest).unwrap_or(u64::MAX).min(VALID_BLOCKS);
        let valid_until = height.saturating_add(blocks);
        Ok(Self { chain, sender, nonce: account.nonce, valid_until, parameters, times: 1 })
    }

    /// Lets no transaction be in a block above a height, from now on.
    pub fn expire_at(&mut self, height: u64) {
        self.valid_until = self.valid_until.min(height);
    }

    /// Pays so many times the least fee from now on: more than others, or than what is to be replaced.
    pub fn pay_times(&mut self, times: u32) {
        self.times = times.max(1);
    }

    /// The body of the next transaction, with the least fee that is enough.
    pub fn body(&mut self, action: impl Into<Action>) -> Body {
        let mut body = Body {
            version: 1,
            chain: self.chain,
            sender: self.sender,
            nonce: self.nonce,
            valid_until: self.valid_until,
            fee: Amount::ZERO,
            action: action.into(),
        };
        // A fee has the same length whatever it is, and so has every signature.
        let unsigned = Transaction { body, signature: Signature([0; 64]) };
        let size = encode(&unsigned).len();
        body = unsigned.body;
        let least = least_fee(&self.parameters, size, body.action.weight());
        body.fee = Amount(least.0.saturating_mul(self.times.into()));
        self.nonce = self.nonce.saturating_add(1);
        body
    }

    /// The next transaction, signed.
    pub fn sign(&mut self, action: impl Into<Action>, key: &SecretKey) -> Transaction {
        self.body(action).sign(key)
    }
}
