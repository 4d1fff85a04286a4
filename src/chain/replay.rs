//! Executing a chain once more, from nothing but its genesis.

use chronolith_chain::block::Tip;
use chronolith_chain::consensus::message::Decided;
use chronolith_chain::genesis::Genesis;
use chronolith_chain::ledger::{Receipt, Validators};
use chronolith_chain::state::{Options, State};
use chronolith_chain::validator_set::ValidatorSet;

use super::ChainError;

/// A chain that is executed in memory, block by block. Nothing of a block is believed: its place,
/// its signatures, what it makes of the state, and the certificate that commits it are checked.
pub struct Replay {
    tip: Tip,
    state: State,
}

impl Replay {
    /// The beginning of a chain.
    pub fn new(genesis: &Genesis) -> Result<Self, ChainError> {
        let options = Options { keep_versions: 1, ..Options::default() };
        let state = State::in_memory(0, genesis.values()?, options)?;
        Ok(Self { tip: Tip::genesis(genesis), state })
    }

    /// What the next block builds on.
    #[must_use]
    pub fn tip(&self) -> &Tip {
        &self.tip
    }

    /// The state after the last block.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Executes the next block, and gives what became of its transactions.
    ///
    /// # Errors
    /// Why it does not follow, or is not committed. The chain stays as it was.
    pub fn apply(&mut self, decided: &Decided) -> Result<Vec<Receipt>, ChainError> {
        let Decided { block, certificate } = decided;
        let header = &block.header;
        let height = header.height;
        let set = ValidatorSet::from_seats(&Validators::of(&self.state)?.next)?;
        if (certificate.height(), certificate.block()) != (height, header.id()) {
            return Err(ChainError::OtherCertificate { height });
        }
        certificate
            .verify(&set, self.tip.chain)
            .map_err(|reason| ChainError::Certificate { height, reason })?;
        let executed = block
            .check(&self.tip, &self.state)
            .map_err(|reason| ChainError::Block { height, reason: Box::new(reason) })?;
        self.state.commit(executed.prepared)?;
        self.tip.advance(header);
        Ok(executed.receipts)
    }
}
