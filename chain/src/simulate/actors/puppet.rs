//! A real validator in the hands of an actor, and what can be forged with its key.

use std::rc::Rc;

use chronolith_disk::SimDisk;

use crate::address::Address;
use crate::block::{Block, Draft};
use crate::consensus::message::{FromValidator, Message};
use crate::consensus::{Input, Now, Output, Validator};
use crate::hash::{BlockId, Hash};
use crate::keys::{PublicKey, SecretKey};
use crate::ledger::AccountKey;
use crate::simulate::setup::{Setup, SetupError, consensus_key};
use crate::state::Overlay;
use crate::transaction::Transaction;
use crate::vote::{Proposal, Step, Vote};

/// What a real validator wants to send.
pub(super) enum Letter {
    /// To everybody.
    ToAll(Message),
    /// To one node.
    ToOne(usize, Message),
}

impl Letter {
    pub(super) fn message(&self) -> &Message {
        match self {
            Self::ToAll(message) | Self::ToOne(_, message) => message,
        }
    }
}

/// What came of a call of the real validator.
#[derive(Default)]
pub(super) struct Said {
    pub(super) letters: Vec<Letter>,
    /// The height it committed last in this call.
    pub(super) committed: Option<u64>,
}

/// A real validator and its key.
pub(super) struct Puppet {
    pub(super) node: usize,
    pub(super) key: SecretKey,
    pub(super) public: PublicKey,
    pub(super) setup: Rc<Setup>,
    pub(super) disk: SimDisk,
    /// None where it cannot go on and could not be opened again.
    validator: Option<Validator>,
}

impl Puppet {
    /// A validator at the genesis.
    pub(super) fn new(node: usize, setup: &Rc<Setup>) -> Result<Self, SetupError> {
        let key = consensus_key(node);
        let disk = setup.disk(node);
        let validator = Some(setup.open(node, &disk)?);
        let public = key.public();
        Ok(Self { node, key, public, setup: Rc::clone(setup), disk, validator })
    }

    /// Puts it on another disk, with whatever that holds.
    pub(super) fn put_on(&mut self, disk: SimDisk) {
        self.validator = None;
        self.validator = self.setup.open(self.node, &disk).ok();
        self.disk = disk;
    }

    /// Lets the real validator handle an input. One that fails begins again at the genesis.
    pub(super) fn handle(&mut self, now: Now, input: Input) -> Said {
        let Some(validator) = &mut self.validator else {
            self.put_on(self.setup.disk(self.node));
            return Said::default();
        };
        let Ok(outputs) = validator.handle(now, input) else {
            self.validator = None;
            return Said::default();
        };
        let mut said = Said::default();
        for output in outputs {
            match output {
                Output::Broadcast(message) => said.letters.push(Letter::ToAll(message)),
                Output::Send { to, message } => {
                    said.letters.push(Letter::ToOne(to.0 as usize, message));
                }
                Output::Committed { decided, .. } => {
                    said.committed = Some(decided.block.header.height);
                }
                _ => {}
            }
        }
        said
    }

    pub(super) fn wake_at(&self) -> Option<u64> {
        self.validator.as_ref().and_then(Validator::wake_at)
    }

    /// The height it works on.
    pub(super) fn height(&self) -> u64 {
        self.validator.as_ref().map_or(1, |validator| validator.position().height)
    }

    /// The round it is in.
    pub(super) fn round(&self) -> u32 {
        self.validator.as_ref().and_then(|validator| validator.position().round).unwrap_or(0)
    }

    /// The next nonce of an account, as far as it knows.
    pub(super) fn nonce(&self, address: Address) -> u64 {
        let state = self.validator.as_ref().map(|validator| Overlay::new(validator.state()));
        let account = state.and_then(|state| state.get(&AccountKey { address }).ok().flatten());
        account.map_or(0, |account| account.nonce)
    }

    /// A vote that is signed whatever was signed before.
    pub(super) fn vote(
        &self,
        height: u64,
        round: u32,
        step: Step,
        block: Option<BlockId>,
    ) -> Message {
        let vote = Vote { chain: self.setup.chain, height, round, step, block };
        Message::Vote(FromValidator::new(vote, &self.key))
    }

    /// A proposal that is signed whatever was signed before.
    pub(super) fn proposal(&self, proposal: Proposal) -> Message {
        Message::Proposal(FromValidator::new(proposal, &self.key))
    }

    /// The proposal in a message, if it is this validator's.
    pub(super) fn own_proposal(&self, message: &Message) -> Option<Proposal> {
        match message {
            Message::Proposal(proposal) if proposal.key == self.public => {
                Some(proposal.signed.message)
            }
            _ => None,
        }
    }

    /// The vote in a message, if it is this validator's.
    pub(super) fn own_vote(&self, message: &Message) -> Option<Vote> {
        match message {
            Message::Vote(vote) if vote.key == self.public => Some(vote.signed.message),
            _ => None,
        }
    }

    /// Another block that could stand where a block of its own stands: as valid, a little later.
    pub(super) fn other_block(&self, block: &Block) -> Option<Block> {
        let validator = self.validator.as_ref()?;
        let draft = Draft {
            time_ns: block.header.time_ns.saturating_add(1),
            proposer: block.header.proposer,
            beacon: block.header.beacon,
            certificate: block.certificate.clone(),
            evidence: block.evidence.clone(),
            transactions: Transaction::verify_all(block.transactions.to_vec()).ok()?,
        };
        let (other, _) = draft.build(validator.blocks().tip(), validator.state()).ok()?;
        Some(other)
    }

    /// The block of a proposal among what is about to be sent.
    pub(super) fn find_block(letters: &[Letter], id: BlockId) -> Option<Block> {
        letters.iter().find_map(|letter| match letter.message() {
            Message::Block(block) if block.header.id() == id => Some((**block).clone()),
            _ => None,
        })
    }
}

/// A block that nobody has.
pub(super) fn phantom(number: u64) -> BlockId {
    let mut bytes = Hash::default().0;
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    BlockId(bytes)
}
