//! Judging the answers of storage peers. Every node judges what it passes on; a validator attests
//! what it heard, and reports lies.

use chronolith_chain::address::Address;
use chronolith_chain::ledger::{
    AttestAudits, AttestationKey, ParameterName, Parameters, ParametersKey, PeerKey,
    ReportWrongAnswer, SeatsKey,
};
use chronolith_chain::state::{Overlay, StateError, View};
use chronolith_net::audit::{Answer, Heard, KeptAnswers, Question, Verdicts};
use chronolith_net::network::{NetworkHandle, Verdict};
use chronolith_net::validator::{ChainHandle, Gossiped};

use super::account::Account;
use super::event::{Listener, NodeEvent};

/// After how many blocks something is handed in again that had no effect.
const PATIENCE_BLOCKS: u64 = 4;
/// For how many epochs after their own answers are kept.
const KEPT_EPOCHS: u64 = 8;

/// Judges answers to audits.
pub(super) struct Auditor {
    chain: ChainHandle,
    network: NetworkHandle,
    /// The account of a validator; other nodes only judge.
    account: Option<Account>,
    kept: std::sync::Arc<KeptAnswers>,
    tell: Listener,
    /// The epoch that is audited after the last block, if there is one.
    asked: Option<u64>,
    /// The epoch whose answers were heard last.
    epoch: u64,
    verdicts: Verdicts,
    handed_in: Option<u64>,
    /// How often something was handed in and had no effect.
    tries: u32,
}

/// What is to be done at a height.
struct Due {
    /// The audited epoch.
    epoch: u64,
    /// Whether this node may attest now, and did not.
    attests: bool,
    /// The lies that are not reported yet and that it is this node's turn to report.
    lies: Vec<Answer>,
}

impl Auditor {
    pub(super) fn new(
        chain: ChainHandle,
        network: NetworkHandle,
        account: Option<Account>,
        kept: std::sync::Arc<KeptAnswers>,
        tell: Listener,
    ) -> Self {
        let verdicts = Verdicts::default();
        let (asked, epoch, handed_in, tries) = (None, u64::MAX, None, 0);
        Self { chain, network, account, kept, tell, asked, epoch, verdicts, handed_in, tries }
    }

    fn failed(&self, what: &'static str, reason: impl ToString) {
        (self.tell)(NodeEvent::Failed { what, reason: reason.to_string() });
    }

    /// Begins with an epoch that is audited now, with what was heard of it before a restart.
    fn begin(&mut self, epoch: u64) {
        if self.epoch == epoch {
            return;
        }
        (self.epoch, self.verdicts, self.handed_in) = (epoch, Verdicts::default(), None);
        if let Err(error) = self.kept.prune(epoch.saturating_sub(KEPT_EPOCHS)) {
            self.failed("forgetting old answers", error);
        }
        match self.kept.of_epoch(epoch).map(Iterator::collect::<Vec<_>>) {
            Ok(answers) => {
                for bytes in answers {
                    self.hear(&bytes);
                }
            }
            Err(error) => self.failed("reading answers again", error),
        }
    }

    /// Judges an answer that a neighbour passed on.
    pub(super) fn judge(&mut self, gossiped: Gossiped) {
        let Gossiped { from, id, bytes, room } = gossiped;
        let verdict = self.hear(&bytes);
        drop(room);
        self.network.judge(id, from, verdict);
    }

    /// Hears an answer; what is to be thought of whoever passed it on.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> Verdict {
        let Ok(answer) = Answer::from_bytes(bytes) else { return Verdict::Lie };
        let (epoch, peer) = (answer.epoch, answer.peer);
        // Others may be a block ahead or behind.
        if self.asked != Some(epoch) {
            return Verdict::Stale;
        }
        self.begin(epoch);
        if self.verdicts.has_heard(&peer) {
            return Verdict::Stale;
        }
        let asked = self.chain.look(move |validator| {
            let state = validator.state();
            let row = Overlay::new(state).get(&PeerKey { peer })?;
            let question = Question::of(state, validator.chain(), epoch, peer)?;
            Ok::<_, StateError>(row.zip(question).map(|(row, question)| (row.number, question)))
        });
        let (number, question) = match asked {
            Some(Ok(Some(asked))) => asked,
            // What is asked about an epoch that is over is the same everywhere.
            Some(Ok(None)) => return Verdict::Lie,
            Some(Err(_)) | None => return Verdict::Stale,
        };
        match self.verdicts.hear(number, &question, &answer) {
            Heard::Known => Verdict::Stale,
            Heard::Foreign(_) => Verdict::Lie,
            // A lie goes on as well: others are to see it.
            Heard::Passed | Heard::Lied(_) => {
                if let Err(error) = self.kept.keep(epoch, &peer, bytes) {
                    self.failed("keeping an answer", error);
                }
                Verdict::Good
            }
        }
    }

    /// Does what is due after a block.
    pub(super) fn height(&mut self, height: u64) {
        let asked = self.chain.look(move |validator| {
            Ok::<_, StateError>(audited(&parameters(validator.state())?, height))
        });
        match asked {
            Some(Ok(asked)) => self.asked = asked,
            Some(Err(error)) => return self.failed("reading the parameters", error),
            None => return,
        }
        let Some(account) = self.account.clone() else { return };
        let lies: Vec<Answer> = self.verdicts.lies().cloned().collect();
        let address = account.address;
        let due = self.chain.look(move |validator| due(validator.state(), height, address, lies));
        let due = match due {
            Some(Ok(Some(due))) => due,
            Some(Err(error)) => return self.failed("looking what is to be attested", error),
            Some(Ok(None)) | None => return,
        };
        if due.attests {
            self.begin(due.epoch);
        }
        if self.handed_in.is_some_and(|at| height < at.saturating_add(PATIENCE_BLOCKS)) {
            return;
        }
        // One at a time: each is signed with the account's next number, and takes the place of one that
        // found none in a block. Reports have more time than attestations.
        if due.attests {
            self.attest(&account);
        } else if let Some(answer) = due.lies.into_iter().next() {
            self.report(&account, answer);
        } else {
            self.tries = 0;
            return;
        }
        self.handed_in = Some(height);
        self.tries = self.tries.saturating_add(1);
    }

    fn attest(&self, account: &Account) {
        let (passed, answers) = (self.verdicts.bitmap(), self.verdicts.root());
        let action = AttestAudits { epoch: self.epoch, passed, answers };
        match account.hand_in(&self.chain, action, self.tries) {
            Ok(_) => {
                let (epoch, passed) = (self.epoch, self.verdicts.count());
                (self.tell)(NodeEvent::Attested { epoch, passed });
            }
            Err(reason) => self.failed("attesting audits", reason),
        }
    }

    fn report(&self, account: &Account, answer: Answer) {
        let (peer, epoch) = (answer.peer, answer.epoch);
        match account.hand_in(&self.chain, ReportWrongAnswer { answer }, self.tries) {
            Ok(_) => {
                let lie = "it signed blocks that are not what it was assigned".to_owned();
                (self.tell)(NodeEvent::Reported { peer, epoch, lie });
            }
            Err(reason) => self.failed("reporting a wrong answer", reason),
        }
    }
}

pub(super) fn parameters(state: &dyn View) -> Result<Parameters, StateError> {
    Ok(Overlay::new(state).get(&ParametersKey {})?.unwrap_or_default())
}

/// The epoch whose audits are answered and attested after the block of a height, if there is one.
pub(super) fn audited(parameters: &Parameters, height: u64) -> Option<u64> {
    let epoch = parameters.epoch(height);
    let since = height - parameters.epoch_end(epoch);
    (u128::from(since) + 1 < parameters.get(ParameterName::AuditBlocks))
        .then(|| epoch.checked_sub(1))
        .flatten()
}

/// What a validator has to do after the block of a height. Answers have half of the time; lies are
/// reported by one validator after the other, in the order of their seats, until one report holds.
fn due(
    state: &dyn View,
    height: u64,
    account: Address,
    lies: Vec<Answer>,
) -> Result<Option<Due>, StateError> {
    let parameters = parameters(state)?;
    let Some(epoch) = parameters.epoch(height).checked_sub(1) else { return Ok(None) };
    let is_asked = audited(&parameters, height) == Some(epoch);
    let overlay = Overlay::new(state);
    let seats = overlay.get(&SeatsKey {})?.unwrap_or_default();
    let Some(seat) = seats.iter().position(|seat| seat.validator == account) else {
        return Ok(None);
    };
    let since = height - parameters.epoch_end(epoch.saturating_add(1));
    let half = parameters.get(ParameterName::AuditBlocks) / 2;
    let attested = overlay.get(&AttestationKey { epoch, validator: account })?;
    let attests = is_asked && u128::from(since) >= half && attested.is_none();
    let mut reported = Vec::new();
    if since / PATIENCE_BLOCKS >= seat as u64 {
        for answer in lies {
            let peer = overlay.get(&PeerKey { peer: answer.peer })?;
            if answer.epoch == epoch && peer.is_some_and(|peer| peer.lied_epoch != Some(epoch)) {
                reported.push(answer);
            }
        }
    }
    Ok(Some(Due { epoch, attests, lies: reported }))
}
