//! Where the facts of the ledger come from: a chain in this process, or the node that it runs.

use std::collections::{BTreeMap, BTreeSet};

use chronolith_chain::address::Address;
use chronolith_chain::consensus::Validator;
use chronolith_chain::genesis::Genesis;
use chronolith_chain::hash::Hash;
use chronolith_chain::ledger::{Device, DeviceKey};
use chronolith_chain::light::Prover;
use chronolith_chain::state::{Overlay, State, StateError, View as _};

use crate::chain::prove::{Proof, Since};
use crate::chain::{Chain, ChainError};
use crate::node::NodeLink;

/// A ledger that can be asked, and that proves what it says. Between two questions it may go on.
pub trait Ledger {
    /// The devices whose catalogues have one of these roots.
    ///
    /// # Errors
    /// Where the state cannot be read.
    fn devices(
        &self,
        roots: BTreeSet<Hash>,
    ) -> Result<BTreeMap<Hash, Vec<(Address, Device)>>, ChainError>;

    /// What the state has under some keys, given as bytes.
    ///
    /// # Errors
    /// Where the state cannot be read.
    fn values(&self, keys: Vec<Vec<u8>>) -> Result<Vec<Option<Vec<u8>>>, ChainError>;

    /// The proof of what the state has under some keys, for who trusts the header of a height.
    ///
    /// # Errors
    /// Where it cannot be made.
    fn prove(&self, since: Since, keys: Vec<Vec<u8>>) -> Result<Proof, ChainError>;
}

impl Ledger for Chain {
    fn devices(
        &self,
        roots: BTreeSet<Hash>,
    ) -> Result<BTreeMap<Hash, Vec<(Address, Device)>>, ChainError> {
        Ok(devices(self.state()?, &roots)?)
    }

    fn values(&self, keys: Vec<Vec<u8>>) -> Result<Vec<Option<Vec<u8>>>, ChainError> {
        Ok(values(self.state()?, &keys)?)
    }

    fn prove(&self, since: Since, keys: Vec<Vec<u8>>) -> Result<Proof, ChainError> {
        since.entries(self, &keys)
    }
}

/// The ledger that a node follows. The genesis, which the verifier needs, is not in its proofs.
pub struct NodeLedger<'a>(pub &'a NodeLink);

impl NodeLedger<'_> {
    fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Validator) -> Result<T, ChainError> + Send + 'static,
    ) -> Result<T, ChainError> {
        self.0.chain().look(look).ok_or(ChainError::NodeEnded)?
    }
}

impl Ledger for NodeLedger<'_> {
    fn devices(
        &self,
        roots: BTreeSet<Hash>,
    ) -> Result<BTreeMap<Hash, Vec<(Address, Device)>>, ChainError> {
        self.look(move |validator| Ok(devices(validator.state(), &roots)?))
    }

    fn values(&self, keys: Vec<Vec<u8>>) -> Result<Vec<Option<Vec<u8>>>, ChainError> {
        self.look(move |validator| Ok(values(validator.state(), &keys)?))
    }

    fn prove(&self, since: Since, keys: Vec<Vec<u8>>) -> Result<Proof, ChainError> {
        self.look(move |validator| {
            let prover = Prover::new(validator.blocks(), validator.state());
            let facts = prover.entries(&keys)?;
            since.proof_by(&prover, None::<&Genesis>, None, facts)
        })
    }
}

fn devices(
    state: &State,
    roots: &BTreeSet<Hash>,
) -> Result<BTreeMap<Hash, Vec<(Address, Device)>>, StateError> {
    let mut found: BTreeMap<Hash, Vec<(Address, Device)>> = BTreeMap::new();
    Overlay::new(state).each(&[], |DeviceKey { device: account }, device: Device| {
        if roots.contains(&device.catalogue) {
            found.entry(device.catalogue).or_default().push((account, device));
        }
        Ok::<_, StateError>(())
    })?;
    Ok(found)
}

fn values(state: &State, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StateError> {
    keys.iter().map(|key| state.get_bytes(key)).collect()
}
