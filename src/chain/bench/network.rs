//! Keys and genesis of a network that lives as long as a measurement.

use std::time::{SystemTime, UNIX_EPOCH};

use chronolith_chain::address::Address;
use chronolith_chain::coin::Amount;
use chronolith_chain::consensus::{BeaconChain, Identity};
use chronolith_chain::encoding::{Rising, Text};
use chronolith_chain::genesis::{Genesis, GenesisAccount, GenesisValidator};
use chronolith_chain::hash::{Domain, Hash};
use chronolith_chain::keys::SecretKey;
use chronolith_chain::ledger::{ParameterChange, ParameterName};

use crate::chain::ChainError;

/// How many blocks of its own a validator can reveal an element of its beacon chain for.
const BEACON_LENGTH: u32 = 10_000;
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

/// The genesis of so many validators and accounts.
pub(super) fn genesis(validators: u16, payers: u16) -> Result<Genesis, ChainError> {
    let validator = |number| {
        let identity = identity(number);
        GenesisValidator {
            validator: SecretKey::from_seed(&secret(3, number)).public().into(),
            consensus_key: identity.key.public(),
            bond: Amount::coins(10_000),
            beacon: identity.beacon.end(),
            power: 10,
        }
    };
    let account =
        |number| GenesisAccount { address: Address::from(payer(number).public()), balance: FUNDS };
    // Room for what these processors can do; the parameters of a real chain are for real networks.
    let parameters = [
        ParameterChange { name: ParameterName::BlockBytes, value: 8_000_000 },
        ParameterChange { name: ParameterName::BlockWeight, value: 100_000 },
    ];
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Genesis {
        name: Text::new("bench")?,
        time_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        protocol: 1,
        parameters: Rising::new(parameters)?,
        accounts: Rising::new((0..payers).map(account).collect::<Vec<_>>())?,
        validators: Rising::new((0..validators).map(validator).collect::<Vec<_>>())?,
    })
}
