//! Giving repairers the secrets of the packs that name them.

use chronolith_chain::address::Address;
use chronolith_chain::ledger::{PackKey, PeerKey, Repairer};
use chronolith_chain::state::Overlay;
use chronolith_net::dispersal::Recipient;
use chronolith_net::exchange::{Question, Reply, SentSecret, ask};
use futures::executor::block_on;

use super::{Placer, PlacingError, Progress, ToPlace};
use crate::node::NodeState;

impl Placer<'_> {
    /// Gives the repairers that the packs name their secrets.
    pub(super) fn entrust(&mut self, packs: &[ToPlace]) -> Result<(), PlacingError> {
        let state = NodeState::new(self.submitter.client());
        for one in packs {
            let pack = one.pack.content_id();
            let key = PackKey { pack, owner: self.submitter.address() };
            let Some(placed) = Overlay::new(&state).get(&key)? else { continue };
            for Repairer(repairer) in placed.repairers.iter().copied() {
                let error = self.entrust_one(repairer, one).err();
                (self.tell)(Progress::Entrusted { repairer, pack, error });
            }
        }
        Ok(())
    }

    fn entrust_one(&self, repairer: Address, one: &ToPlace) -> Result<(), String> {
        let state = NodeState::new(self.submitter.client());
        let row = Overlay::new(&state).get(&PeerKey { peer: repairer });
        let row = row.map_err(|error| error.to_string())?;
        let row = row.ok_or("it is no storage peer, so that nobody knows where it is reached")?;
        let to = Recipient::of(repairer, &row.address).map_err(|error| error.to_string())?;
        let secret = SentSecret(*one.secret.as_bytes());
        let (owner, pack) = (self.submitter.address(), one.pack.content_id());
        let question = Question::Entrust { owner, pack, secret };
        let (network, addresses) = (self.submitter.client().network(), vec![to.known.address]);
        let wanted = |reply| matches!(reply, Reply::Kept).then_some(());
        let asked = ask(&network, to.known.peer, addresses, &question, wanted);
        block_on(asked).map_err(|error| error.to_string())
    }
}
