//! A sync that fails, or a disk that is full, ends consensus with an error that names the file.
//! Nothing is said after it; what was said before holds when the files are opened again.

use std::collections::BTreeMap;
use std::sync::Arc;

use chronolith_chain::consensus::message::Message;
use chronolith_chain::consensus::{Config, ConsensusError, Files, Input, Now, Output, Validator};
use chronolith_chain::genesis::Genesis;
use chronolith_chain::hash::{BlockId, Hash};
use chronolith_chain::vote::Message as _;
use chronolith_disk::{Disk, Failure, FailureKind, FaultyDisk, SimDisk};

use crate::network::{BEGIN_NS, config, genesis, identity};

/// The height that is enough.
const HEIGHT: u64 = 4;

/// What a validator said so far.
#[derive(Default)]
struct Said {
    now_ns: u64,
    committed: BTreeMap<u64, BlockId>,
    signed: BTreeMap<(u64, u32, u8), Hash>,
}

impl Said {
    fn note(&mut self, output: Output) {
        let (step, hash) = match output {
            Output::Committed { decided, .. } => {
                let header = &decided.block.header;
                let before = self.committed.insert(header.height, header.id());
                assert!(before.is_none_or(|before| before == header.id()), "committed twice");
                return;
            }
            Output::Broadcast(Message::Vote(vote)) => {
                let vote = vote.signed.message;
                ((vote.height, vote.round, 1 + vote.step as u8), vote.signing_hash())
            }
            Output::Broadcast(Message::Proposal(proposal)) => {
                let proposal = proposal.signed.message;
                ((proposal.height, proposal.round, 0), proposal.signing_hash())
            }
            _ => return,
        };
        assert_eq!(*self.signed.entry(step).or_insert(hash), hash, "signed twice: {step:?}");
    }

    /// Runs until a height is committed, or something fails.
    fn run(&mut self, validator: &mut Validator, height: u64) -> Result<(), ConsensusError> {
        for _ in 0..10_000 {
            if validator.blocks().tip().height >= height {
                return Ok(());
            }
            let wake_ns = validator.wake_at().unwrap_or(0);
            self.now_ns = wake_ns.max(self.now_ns + 1);
            let now = Now { elapsed_ns: self.now_ns, time_ns: BEGIN_NS + self.now_ns };
            for output in validator.handle(now, Input::Tick)? {
                self.note(output);
            }
        }
        panic!("no height {height}");
    }
}

fn files(disk: &Arc<dyn Disk>) -> Files {
    Files { data: Arc::clone(disk), guard: Arc::clone(disk), guard_path: "signed".to_owned() }
}

/// A lone validator's disk, one of whose operations fails; whether it came to that.
fn fail(genesis: &Genesis, made: &SimDisk, kind: FailureKind, at: u64, stays: bool) -> bool {
    let under = made.deep_clone();
    let forgetful = under.clone();
    let failure = Some(Failure { kind, at, stays });
    let disk = FaultyDisk::with_failed_sync(Arc::new(under.clone()), failure, move |path| {
        forgetful.forget_unsynced(path);
    });
    let shared = Arc::new(disk.clone()) as Arc<dyn Disk>;
    let config: Config = config();
    let context = format!("{kind:?} at {at}, stays {stays}");
    let mut said = Said::default();
    // Closing the files writes, too; what fails then is nobody's loss.
    let mut has_failed = false;
    let ended = Validator::open(genesis, &files(&shared), Some(identity(0)), config).and_then(
        |mut validator| {
            let ended = said.run(&mut validator, HEIGHT);
            if ended.is_err() {
                // It is over: nothing that comes is taken in or answered.
                let now = Now { elapsed_ns: said.now_ns, time_ns: BEGIN_NS };
                let after = validator.handle(now, Input::Tick);
                assert!(matches!(after, Err(ConsensusError::Stopped)), "{context}");
            }
            has_failed = disk.has_failed();
            ended
        },
    );
    let is_failed = match ended {
        Ok(()) => false,
        Err(error) => {
            let is_of_disk = matches!(
                error,
                ConsensusError::State(_)
                    | ConsensusError::Store(_)
                    | ConsensusError::Log(_)
                    | ConsensusError::Guard(_)
            );
            assert!(is_of_disk, "{context}: {error}");
            assert!(!error.to_string().is_empty());
            true
        }
    };
    assert!(is_failed || !has_failed, "{context}: no failure passes unseen");
    drop(disk);
    // The same files on a disk that works.
    let shared = Arc::new(under) as Arc<dyn Disk>;
    let mut validator = Validator::open(genesis, &files(&shared), Some(identity(0)), config)
        .unwrap_or_else(|error| panic!("{context}: {error}"));
    let told = said.committed.keys().next_back().copied().unwrap_or(0);
    assert!(validator.blocks().tip().height >= told, "{context}: a block is lost");
    for (height, block) in &said.committed {
        let kept = validator.blocks().block(*height).unwrap().unwrap();
        assert_eq!(kept.block.header.id(), *block, "{context}");
    }
    // Another process counts its time anew.
    said.now_ns = 0;
    said.run(&mut validator, HEIGHT + 2).unwrap_or_else(|error| panic!("{context}: {error}"));
    is_failed
}

#[test]
fn every_operation_that_fails_ends_consensus_and_loses_nothing() {
    let (genesis, made) = (genesis(1), SimDisk::new());
    let shared = Arc::new(made.clone()) as Arc<dyn Disk>;
    Validator::create(&genesis, &files(&shared), Some(identity(0)), config()).unwrap();
    let mut failures = 0;
    for kind in [FailureKind::Sync, FailureKind::NoSpace, FailureKind::ShortWrite] {
        // Some operations cannot fail in this way; after the last one, none does.
        let (mut at, mut quiet) = (1, 0);
        while quiet < 40 {
            let is_failed = fail(&genesis, &made, kind, at, false);
            fail(&genesis, &made, kind, at, true);
            quiet = if is_failed { 0 } else { quiet + 1 };
            failures += u64::from(is_failed);
            at += 1;
        }
    }
    println!("{failures} failed operations, each alone and with all after it");
    assert!(failures > 50);
}
