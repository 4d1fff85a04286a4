//! The state machine of Tendermint, as `arc-malachitebft-core-consensus` implements it, behind
//! events and actions of this crate. Nothing else knows that crate.
//!
//! What it relies on, and its callers see to:
//!
//! - Everything it is told is of its present height, signed, and by members of the set.
//! - It asks for nothing while it runs: what it wants done is returned as actions, in order.
//! - It is built on assertions. One that fails is caught here and ends consensus, nothing else.

mod context;

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arc_malachitebft_core_consensus as malachite;
use arc_malachitebft_core_types as types;
use malachite::{
    Effect, Error, LivenessMsg, LocallyProposedValue, MisbehaviorEvidence, Params, ProposedValue,
    Resumable as _, Resume, SignedConsensusMsg,
};
use types::{
    CommitCertificate, PolkaCertificate, PolkaSignature, Round, RoundCertificateType,
    RoundSignature, SignedMessage, Timeout, TimeoutKind, ValueOrigin, ValuePayload, VoteType,
};

use self::context::{
    Context, CoreProposal, CoreSet, CoreVote, Height, Value, Voter, block_of, nil_or,
};
use super::event::{Action, Decision, Event, ProposedBlock, Timer, TimerKind};
use super::message::{
    Endorsement, FromValidator, Message, Polka, RoundCertificate, RoundCertificateKind, RoundVote,
};
use crate::encoding::List;
use crate::hash::{BlockId, ChainId};
use crate::keys::{PublicKey, Signature};
use crate::ledger::{Evidence, Misdeed};
use crate::validator_set::ValidatorSet;
use crate::vote::{Proposal, Signed, Step, Vote};

type State = malachite::State<Context>;
type CoreInput = malachite::Input<Context>;
type CoreError = Error<Context>;

/// What signs for the core, or refuses to.
pub(super) trait Sign {
    /// Signs a vote; none where that would contradict what was signed before.
    fn vote(&mut self, vote: &Vote) -> Option<Signature>;

    /// Signs a proposal; none where that would contradict what was signed before.
    fn proposal(&mut self, proposal: &Proposal) -> Option<Signature>;
}

/// Why the core cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CoreFailure {
    /// An assertion of the core failed.
    #[error("the consensus core failed: {0}; restart, and report this with the log")]
    Panicked(String),
    /// The log of a height leads to other votes than those it recorded.
    #[error(
        "the votes of this height do not follow from its log: {0}; this validator stands aside"
    )]
    Diverged(String),
    /// The core did something that cannot be answered.
    #[error("the consensus core gave up: {0}")]
    Stuck(String),
}

/// Whose turn it is to propose: the members of the set in the order of their keys, going on by one
/// with each height and each round.
pub(super) fn proposer_index(members: usize, height: u64, round: u32) -> usize {
    let turn = u128::from(height) + u128::from(round);
    // The remainder is below the number of members.
    turn.checked_rem(members as u128).unwrap_or(0) as usize
}

/// The consensus key whose turn it is to propose.
pub(super) fn proposer(set: &ValidatorSet, height: u64, round: u32) -> PublicKey {
    let mut keys: Vec<PublicKey> =
        set.members().iter().map(|member| member.consensus_key).collect();
    keys.sort_unstable();
    keys.get(proposer_index(keys.len(), height, round)).copied().unwrap_or_default()
}

fn core_set(set: &ValidatorSet) -> CoreSet {
    CoreSet::new(set.members().iter().map(|member| (member.consensus_key, member.power)))
}

/// The state machine of one height after the other.
pub(super) struct Core {
    state: State,
    /// An assertion that fails at the next input, as if it were one of the library's.
    #[cfg(test)]
    pub(super) fault: Option<&'static str>,
}

impl Core {
    /// A state machine that votes by a key, or only follows where that is not in the set.
    pub(super) fn new(chain: ChainId, key: PublicKey, set: &ValidatorSet) -> Self {
        let params = Params {
            address: Voter(key),
            threshold_params: malachite::ThresholdParams::default(),
            value_payload: ValuePayload::ProposalAndParts,
            enabled: true,
        };
        // Nothing of another height is ever told, so its own queue stays empty.
        let state = State::new(Context { chain }, Height(0), core_set(set), params, 1, 1);
        Self {
            state,
            #[cfg(test)]
            fault: None,
        }
    }

    /// Lets it sign, or only follow.
    pub(super) fn set_voting(&mut self, is_voting: bool) {
        self.state.params.enabled = is_voting;
    }

    /// The present round, once the height has begun.
    pub(super) fn round(&self) -> Option<u32> {
        self.state.round().as_u32()
    }

    /// Makes it take what is told from now on for a log that is replayed: its own votes in there
    /// are used again where it comes to the same ones.
    pub(super) fn begin_replay<'a>(&mut self, events: impl Iterator<Item = &'a Event>) {
        let inputs: Vec<CoreInput> = events.map(|event| self.input(event)).collect();
        self.state.index_wal_entries(&inputs);
    }

    /// Ends a replay.
    pub(super) fn end_replay(&mut self) {
        self.state.reset_entries_index();
    }

    /// Begins a height.
    pub(super) fn start(
        &mut self,
        height: u64,
        set: &ValidatorSet,
        signer: &mut dyn Sign,
        actions: &mut Vec<Action>,
    ) -> Result<(), CoreFailure> {
        let policy = types::VoteExtensionPolicy::Disabled;
        let input = CoreInput::StartHeight(Height(height), core_set(set), false, None, policy);
        self.process(input, signer, actions)
    }

    /// Tells it something of its height.
    pub(super) fn tell(
        &mut self,
        event: &Event,
        signer: &mut dyn Sign,
        actions: &mut Vec<Action>,
    ) -> Result<(), CoreFailure> {
        let input = self.input(event);
        self.process(input, signer, actions)
    }

    /// What it saw signed twice at this height since it was asked last.
    pub(super) fn take_evidence(&mut self) -> Vec<Evidence> {
        evidence(MisbehaviorEvidence {
            proposals: self.state.driver.take_proposal_evidence(),
            votes: self.state.driver.take_vote_evidence(),
        })
    }

    /// The proof that a block was prevoted for by two thirds in a round.
    pub(super) fn polka(&self, round: u32, block: BlockId) -> Option<Polka> {
        self.state.polka_certificate(Round::new(round), &block).map(from_polka)
    }

    fn process(
        &mut self,
        input: CoreInput,
        signer: &mut dyn Sign,
        actions: &mut Vec<Action>,
    ) -> Result<(), CoreFailure> {
        let state = &mut self.state;
        #[cfg(test)]
        let fault = self.fault.take();
        let run = || -> Result<(), Box<CoreError>> {
            #[cfg(test)]
            if let Some(text) = fault {
                std::panic::resume_unwind(Box::new(text));
            }
            malachite::process!(
                input: input,
                state: state,
                metrics: &(),
                with: effect => Ok::<_, Infallible>(answer(effect, signer, actions))
            )
        };
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => match *error {
                Error::ReplayDivergence(..) => Err(CoreFailure::Diverged(error.to_string())),
                // A certificate that was pruned: nothing is proposed in this round.
                Error::MissingPolkaCertificate(..) => Ok(()),
                _ => Err(CoreFailure::Stuck(error.to_string())),
            },
            Err(panic) => Err(CoreFailure::Panicked(panic_text(panic.as_ref()))),
        }
    }

    fn input(&self, event: &Event) -> CoreInput {
        match event {
            Event::Proposal(proposal) => CoreInput::Proposal(SignedMessage::new(
                CoreProposal::new(proposal.signed.message, proposal.key),
                proposal.signed.signature,
            )),
            Event::Vote(vote) => CoreInput::Vote(SignedMessage::new(
                CoreVote::new(vote.signed.message, vote.key),
                vote.signed.signature,
            )),
            Event::Polka(polka) => CoreInput::PolkaCertificate(to_polka(polka)),
            Event::Round(certificate) => CoreInput::RoundCertificate(to_round(certificate)),
            Event::Timeout(timer) => CoreInput::TimeoutElapsed(to_timeout(*timer)),
            Event::Propose { round, block } => CoreInput::Propose(LocallyProposedValue {
                height: self.state.height(),
                round: Round::new(*round),
                value: Value(*block),
            }),
            Event::Value(proposed) => {
                let ProposedBlock { height, round, valid_round, proposer, block, is_valid } =
                    *proposed;
                let value = ProposedValue {
                    height: Height(height),
                    round: Round::new(round),
                    valid_round: Round::from(valid_round),
                    proposer: Voter(proposer),
                    value: Value(block),
                    validity: types::Validity::from_bool(is_valid),
                };
                CoreInput::ProposedValue(value, ValueOrigin::Consensus)
            }
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// Turns an effect into an action, and says how to go on.
fn answer(
    effect: Effect<Context>,
    signer: &mut dyn Sign,
    actions: &mut Vec<Action>,
) -> Resume<Context> {
    match effect {
        Effect::CancelAllTimeouts(resume) => {
            actions.push(Action::CancelAll);
            resume.resume_with(())
        }
        Effect::CancelTimeout(timeout, resume) => {
            actions.extend(from_timeout(timeout).map(Action::Cancel));
            resume.resume_with(())
        }
        Effect::ScheduleTimeout(timeout, resume) => {
            actions.extend(from_timeout(timeout).map(Action::Schedule));
            resume.resume_with(())
        }
        Effect::StartRound(_, round, proposer, _, resume) => {
            let round = round.as_u32().unwrap_or(0);
            actions.push(Action::StartRound { round, proposer: proposer.0 });
            resume.resume_with(())
        }
        Effect::PublishConsensusMsg(message, resume) => {
            actions.push(Action::Publish(match message {
                SignedConsensusMsg::Vote(vote) => Message::Vote(from_vote(&vote)),
                SignedConsensusMsg::Proposal(proposal) => {
                    Message::Proposal(from_proposal(&proposal))
                }
            }));
            resume.resume_with(())
        }
        Effect::PublishLivenessMsg(message, resume) => {
            actions.push(Action::Publish(match message {
                LivenessMsg::Vote(vote) => Message::Vote(from_vote(&vote)),
                LivenessMsg::PolkaCertificate(polka) => Message::Polka(from_polka(&polka)),
                LivenessMsg::SkipRoundCertificate(votes) => Message::Round(from_round(&votes)),
            }));
            resume.resume_with(())
        }
        Effect::RepublishVote(vote, resume) => {
            actions.push(Action::Publish(Message::Vote(from_vote(&vote))));
            resume.resume_with(())
        }
        Effect::RepublishRoundCertificate(votes, resume) => {
            actions.push(Action::Publish(Message::Round(from_round(&votes))));
            resume.resume_with(())
        }
        Effect::GetValue(_, round, _, resume) => {
            actions.push(Action::GetValue { round: round.as_u32().unwrap_or(0) });
            resume.resume_with(())
        }
        Effect::RestreamProposal(_, _, _, _, block, resume) => {
            actions.push(Action::Restream { block });
            resume.resume_with(())
        }
        Effect::Decide(certificate, _, resume) => {
            actions.push(Action::Decide(from_commit(&certificate)));
            resume.resume_with(())
        }
        Effect::Finalize(_, _, misbehaviour, resume) => {
            actions.push(Action::Evidence(evidence(misbehaviour)));
            resume.resume_with(())
        }
        Effect::WalAppend(_, input, resume) => {
            actions.extend(event(input).map(Action::Log));
            resume.resume_with(())
        }
        Effect::SignVote(vote, resume) => match signer.vote(&vote.message) {
            Some(signature) => resume.resume_with(SignedMessage::new(vote, signature)),
            // No vote: the core takes the wrong kind of answer for an error and stops.
            None => Resume::Continue,
        },
        Effect::SignProposal(proposal, resume) => match signer.proposal(&proposal.message) {
            Some(signature) => resume.resume_with(SignedMessage::new(proposal, signature)),
            None => Resume::Continue,
        },
        // All of these were verified before they were told.
        Effect::VerifySignature(_, _, resume) => resume.resume_with(true),
        Effect::VerifyCommitCertificate(_, _, _, resume) => resume.resume_with(Ok(())),
        Effect::VerifyPolkaCertificate(_, _, _, resume) => resume.resume_with(Ok(())),
        Effect::VerifyRoundCertificate(_, _, _, resume) => resume.resume_with(Ok(())),
        // Blocks that are decided elsewhere are committed without the core; votes carry nothing.
        Effect::VerifyExtendedCommitCertificate(..)
        | Effect::CertVerifiedSyncValue(..)
        | Effect::CertRejectedSyncValue(..)
        | Effect::ExtendVote(..)
        | Effect::VerifyVoteExtension(..) => Resume::Continue,
    }
}

fn event(input: CoreInput) -> Option<Event> {
    Some(match input {
        CoreInput::Vote(vote) => Event::Vote(from_vote(&vote)),
        CoreInput::Proposal(proposal) => Event::Proposal(from_proposal(&proposal)),
        CoreInput::PolkaCertificate(polka) => Event::Polka(from_polka(&polka)),
        CoreInput::TimeoutElapsed(timeout) => Event::Timeout(from_timeout(timeout)?),
        CoreInput::ProposedValue(proposed, _) => Event::Value(ProposedBlock {
            height: proposed.height.0,
            round: proposed.round.as_u32().unwrap_or(0),
            valid_round: proposed.valid_round.as_u32(),
            proposer: proposed.proposer.0,
            block: proposed.value.0,
            is_valid: proposed.validity.is_valid(),
        }),
        // The core asks for none of these to be logged.
        CoreInput::StartHeight(..)
        | CoreInput::RoundCertificate(_)
        | CoreInput::Propose(_)
        | CoreInput::SyncValueResponse(_) => return None,
    })
}

fn from_vote(vote: &SignedMessage<Context, CoreVote>) -> FromValidator<Vote> {
    let signed = Signed { message: vote.message.message, signature: vote.signature };
    FromValidator { key: vote.message.voter.0, signed }
}

fn from_proposal(proposal: &SignedMessage<Context, CoreProposal>) -> FromValidator<Proposal> {
    let signed = Signed { message: proposal.message.message, signature: proposal.signature };
    FromValidator { key: proposal.message.voter.0, signed }
}

fn to_polka(polka: &Polka) -> PolkaCertificate<Context> {
    let signature = |vote: &Endorsement| PolkaSignature::new(Voter(vote.key), vote.signature);
    PolkaCertificate {
        height: Height(polka.height),
        round: Round::new(polka.round),
        value_id: polka.block,
        polka_signatures: polka.prevotes.iter().map(signature).collect(),
    }
}

fn from_polka(polka: &PolkaCertificate<Context>) -> Polka {
    let vote = |vote: &PolkaSignature<Context>| Endorsement {
        key: vote.address.0,
        signature: vote.signature,
    };
    let prevotes: Vec<Endorsement> = polka.polka_signatures.iter().map(vote).collect();
    Polka {
        height: polka.height.0,
        round: polka.round.as_u32().unwrap_or(0),
        block: polka.value_id,
        // One vote of a validator at most, so there is room.
        prevotes: List::new(prevotes).unwrap_or_default(),
    }
}

fn to_round(certificate: &RoundCertificate) -> types::RoundCertificate<Context> {
    let signature = |vote: &RoundVote| {
        let kind = match vote.step {
            Step::Prevote => VoteType::Prevote,
            Step::Precommit => VoteType::Precommit,
        };
        RoundSignature::new(kind, nil_or(vote.block), Voter(vote.vote.key), vote.vote.signature)
    };
    types::RoundCertificate {
        height: Height(certificate.height),
        round: Round::new(certificate.round),
        cert_type: match certificate.kind {
            RoundCertificateKind::Skip => RoundCertificateType::Skip,
            RoundCertificateKind::Precommit => RoundCertificateType::Precommit,
        },
        round_signatures: certificate.votes.iter().map(signature).collect(),
    }
}

fn from_round(certificate: &types::RoundCertificate<Context>) -> RoundCertificate {
    let vote = |vote: &RoundSignature<Context>| RoundVote {
        step: match vote.vote_type {
            VoteType::Prevote => Step::Prevote,
            VoteType::Precommit => Step::Precommit,
        },
        block: block_of(&vote.value_id),
        vote: Endorsement { key: vote.address.0, signature: vote.signature },
    };
    let votes: Vec<RoundVote> = certificate.round_signatures.iter().map(vote).collect();
    RoundCertificate {
        height: certificate.height.0,
        round: certificate.round.as_u32().unwrap_or(0),
        kind: match certificate.cert_type {
            RoundCertificateType::Skip => RoundCertificateKind::Skip,
            RoundCertificateType::Precommit => RoundCertificateKind::Precommit,
        },
        votes: List::new(votes).unwrap_or_default(),
    }
}

fn from_commit(certificate: &CommitCertificate<Context>) -> Decision {
    let votes = certificate.commit_signatures.iter();
    Decision {
        height: certificate.height.0,
        round: certificate.round.as_u32().unwrap_or(0),
        block: certificate.value_id,
        precommits: votes.map(|vote| (vote.address.0, vote.signature)).collect(),
    }
}

fn to_timeout(timer: Timer) -> Timeout {
    let kind = match timer.kind {
        TimerKind::Propose => TimeoutKind::Propose,
        TimerKind::Prevote => TimeoutKind::Prevote,
        TimerKind::Precommit => TimeoutKind::Precommit,
        TimerKind::Rebroadcast => TimeoutKind::Rebroadcast,
    };
    Timeout::new(Round::new(timer.round), kind)
}

fn from_timeout(timeout: Timeout) -> Option<Timer> {
    let kind = match timeout.kind {
        TimeoutKind::Propose => TimerKind::Propose,
        TimeoutKind::Prevote => TimerKind::Prevote,
        TimeoutKind::Precommit => TimerKind::Precommit,
        TimeoutKind::Rebroadcast => TimerKind::Rebroadcast,
        // No height has a target time: what comes after a decision is the caller's.
        TimeoutKind::FinalizeHeight(_) => return None,
    };
    Some(Timer { kind, round: timeout.round.as_u32()? })
}

fn evidence(misbehaviour: MisbehaviorEvidence<Context>) -> Vec<Evidence> {
    let mut all = Vec::new();
    for (voter, pairs) in misbehaviour.votes.iter() {
        all.extend(pairs.iter().map(|(first, second)| Evidence {
            key: voter.0,
            misdeed: Misdeed::Votes(from_vote(first).signed, from_vote(second).signed),
        }));
    }
    for (voter, pairs) in misbehaviour.proposals.iter() {
        all.extend(pairs.iter().map(|(first, second)| Evidence {
            key: voter.0,
            misdeed: Misdeed::Proposals(from_proposal(first).signed, from_proposal(second).signed),
        }));
    }
    all
}
