//! Keys and genesis of a network that lives as long as a measurement.

use std::time::{SystemTime, UNIX_EPOCH};

use chronolith_chain::address::Address;
use chronolith_chain::coin::Amount;
use chronolith_chain::consensus::{BeaconChain, Identity};
use chronolith_chain::encoding::{Rising, Text};
use chronolith_chain::genesis::{Genesis, GenesisAccount, GenesisValidator};
use chronolith_chain::hash::{Domain, Hash};
use chronolith_chain::keys::SecretKey;
use chronolith_chain::ledger::{PROTOCOL, ParameterChange, ParameterName};

use super::load::Terms;
use crate::chain::ChainError;

/// How many blocks of its own a validator can reveal an element of its beacon chain for.
const BEACON_LENGTH: u32 = 10_000;
/// What each validator bonds.
pub(super) const BOND: Amount = Amount::coins(10_000);
/// What each account begins with.
const FUNDS: Amount = Amount::coins(1_000_000);

/// The secret of somebody: `kind` and a number. These keys guard nothing.
fn secret(kind: u8, number: u16) -> [u8; 32] {
    let Hash(bytes) = Domain::Derived.hash_of(&(b"chain bench", kind, number));
    bytes
}

/// Who a validator is.
pub(super) fn identity(number: u16) -> Identity {
    Identity {
        key: SecretKey::from_seed(&secret(0, number)),
        beacon: BeaconChain::new(&secret(1, number), BEACON_LENGTH),
    }
}

/// The key of an account that pays.
pub(super) fn payer(number: u16) -> SecretKey {
    SecretKey::from_seed(&secret(2, number))
}

/// The key of the device of an account.
pub(super) fn device(number: u16) -> SecretKey {
    SecretKey::from_seed(&secret(4, number))
}

/// The key of the account that a node runs as.
pub(super) fn account(number: u16) -> SecretKey {
    SecretKey::from_seed(&secret(3, number))
}

/// Who is in a network.
#[derive(Debug, Clone, Copy)]
pub(super) struct Network {
    /// How many validators are seated at the beginning.
    pub(super) validators: u16,
    /// How many nodes there are, validators included.
    pub(super) nodes: u16,
    /// How many accounts pay.
    pub(super) payers: u16,
}

impl Network {
    /// The genesis.
    pub(super) fn genesis(&self, terms: Option<Terms>) -> Result<Genesis, ChainError> {
        let validator = |number| {
            let identity = identity(number);
            GenesisValidator {
                validator: account(number).public().into(),
                consensus_key: identity.key.public(),
                bond: BOND,
                beacon: identity.beacon.end(),
                power: 10,
            }
        };
        let funded = |key: SecretKey| GenesisAccount {
            address: Address::from(key.public()),
            balance: FUNDS,
        };
        let accounts = (0..self.payers).map(payer).chain((0..self.nodes).map(account));
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Genesis {
            name: Text::new("bench")?,
            time_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            protocol: PROTOCOL,
            parameters: Rising::new(self.parameters(terms))?,
            accounts: Rising::new(accounts.map(funded).collect::<Vec<_>>())?,
            validators: Rising::new((0..self.validators).map(validator).collect::<Vec<_>>())?,
        })
    }

    fn parameters(&self, terms: Option<Terms>) -> Vec<ParameterChange> {
        // Room for what these processors can do; the parameters of a real chain are for real
        // networks.
        let mut changes =
            vec![(ParameterName::BlockBytes, 8_000_000), (ParameterName::BlockWeight, 100_000)];
        if let Some(Terms { blocks, .. }) = terms {
            changes.extend([
                (ParameterName::TermBlocks, u128::from(blocks)),
                (ParameterName::ReadyBlocks, u128::from(blocks / 2).clamp(1, 100)),
                (ParameterName::PuzzleBits, 10),
                (ParameterName::Seats, u128::from(self.validators)),
            ]);
        }
        changes.into_iter().map(|(name, value)| ParameterChange { name, value }).collect()
    }
}
