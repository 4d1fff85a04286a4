//! Wherever the power is cut, a store that is opened again has what it acknowledged, whole, and of what it
//! was doing all or nothing; no file is left that belongs to nothing. The same after operations that
//! fail, and the store goes on.

use std::collections::BTreeMap;
use std::sync::Arc;

use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::List;
use chronolith_chain::hash::Hash;
use chronolith_chain::ledger::AssignedFragment;
use chronolith_chain::simulate::Random;
use chronolith_disk::{CrashMode, Disk, Failure, FailureKind, FaultyDisk, Lie, SimDisk};
use chronolith_fragment::{MaskSecret, Profile};
use chronolith_net::store::{Consent, FragmentStore, StoreError};

use crate::store_fixture::{ALICE, BOB, Kit, ROOM};

#[derive(Debug, Clone, Copy)]
enum Step {
    Keep { kit: usize, index: u8, owner: Address, height: u64 },
    Remove { kit: usize, index: u8, owner: Address },
    RemovePack { kit: usize, owner: Address },
    Consent { valid_until: u64 },
    DropConsent,
    Secret { byte: u8 },
    DropSecret,
    Reopen,
}

const STEPS: [Step; 19] = [
    Step::Keep { kit: 0, index: 0, owner: ALICE, height: 5 },
    Step::Keep { kit: 0, index: 1, owner: ALICE, height: 6 },
    Step::Keep { kit: 0, index: 1, owner: BOB, height: 7 },
    Step::Consent { valid_until: 40 },
    Step::Keep { kit: 1, index: 9, owner: BOB, height: 8 },
    Step::Remove { kit: 0, index: 1, owner: ALICE },
    Step::Secret { byte: 1 },
    Step::Reopen,
    Step::Consent { valid_until: 50 },
    Step::Keep { kit: 0, index: 4, owner: BOB, height: 9 },
    Step::Keep { kit: 1, index: 9, owner: ALICE, height: 10 },
    Step::Remove { kit: 0, index: 0, owner: ALICE },
    Step::Keep { kit: 0, index: 0, owner: BOB, height: 11 },
    Step::Secret { byte: 2 },
    Step::RemovePack { kit: 0, owner: BOB },
    Step::DropConsent,
    Step::Keep { kit: 0, index: 2, owner: ALICE, height: 12 },
    Step::Remove { kit: 1, index: 9, owner: BOB },
    Step::DropSecret,
];

/// What a store holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Holds {
    kept: BTreeMap<(usize, u8, Address), u64>,
    consent: Option<u64>,
    secret: Option<u8>,
}

impl Holds {
    /// After so many steps.
    fn after(steps: usize) -> Self {
        let mut holds = Self::default();
        for step in STEPS.into_iter().take(steps) {
            match step {
                Step::Keep { kit, index, owner, height } => {
                    holds.kept.entry((kit, index, owner)).or_insert(height);
                }
                Step::Remove { kit, index, owner } => {
                    holds.kept.remove(&(kit, index, owner));
                }
                Step::RemovePack { kit, owner } => {
                    holds.kept.retain(|key, _| (key.0, key.2) != (kit, owner));
                }
                Step::Consent { valid_until } => holds.consent = Some(valid_until),
                Step::DropConsent => holds.consent = None,
                Step::Secret { byte } => holds.secret = Some(byte),
                Step::DropSecret => holds.secret = None,
                Step::Reopen => {}
            }
        }
        holds
    }

    /// How many files hold this.
    fn files(&self) -> usize {
        let mut fragments: Vec<_> = self.kept.keys().map(|(kit, index, _)| (kit, index)).collect();
        fragments.dedup();
        let records = usize::from(self.consent.is_some()) + usize::from(self.secret.is_some());
        1 + fragments.len() + self.kept.len() + records
    }
}

struct Campaign {
    kits: [Kit; 2],
    fragments: List<AssignedFragment, 256>,
}

impl Campaign {
    fn new() -> Self {
        let mut random = Random::new(1);
        let kits =
            [Kit::small(&mut random, Profile::Lab), Kit::small(&mut random, Profile::Standard)];
        let fragments = List::new([kits[0].assigned(0), kits[0].assigned(1)]).unwrap();
        Self { kits, fragments }
    }

    fn consent(&self, valid_until: u64) -> Consent {
        Consent { owner: BOB, fragments: self.fragments.clone(), valid_until }
    }

    fn hash(&self) -> Hash {
        self.consent(0).fragments_hash()
    }

    fn pack(&self) -> ContentId {
        self.kits[1].id
    }

    fn do_step(
        &self,
        disk: &Arc<dyn Disk>,
        store: &mut Option<FragmentStore>,
        step: Step,
    ) -> Result<(), StoreError> {
        if matches!(step, Step::Reopen) {
            drop(store.take());
        }
        if store.is_none() {
            *store = Some(FragmentStore::open(Arc::clone(disk), ROOM)?);
        }
        let store = store.as_ref().unwrap();
        let records = store.records();
        match step {
            Step::Keep { kit, index, owner, height } => {
                self.kits[kit].keep(store, owner, height, index).map(drop)
            }
            Step::Remove { kit, index, owner } => {
                store.remove(owner, self.kits[kit].id, index).map(drop)
            }
            Step::RemovePack { kit, owner } => {
                store.remove_pack(owner, self.kits[kit].id).map(drop)
            }
            Step::Consent { valid_until } => records.put_consent(&self.consent(valid_until)),
            Step::DropConsent => records.remove_consent(BOB, self.hash()).map(drop),
            Step::Secret { byte } => {
                records.put_secret(ALICE, self.pack(), &MaskSecret::new([byte; 32]))
            }
            Step::DropSecret => records.remove_secret(ALICE, self.pack()).map(drop),
            Step::Reopen => Ok(()),
        }
    }

    /// Does the steps until one fails; how many were acknowledged.
    fn run(&self, disk: &Arc<dyn Disk>) -> usize {
        let mut store = None;
        STEPS.iter().take_while(|step| self.do_step(disk, &mut store, **step).is_ok()).count()
    }

    /// What is in a store, every fragment of it checked.
    fn holds(&self, store: &FragmentStore) -> Result<Holds, String> {
        let mut holds = Holds::default();
        for kept in store.kept() {
            let kit = self.kits.iter().position(|kit| kit.id == kept.fragment.pack).unwrap();
            let index = kept.fragment.index;
            let found = store.fragment(kept.fragment.pack, index).map_err(|e| e.to_string())?;
            if found.as_deref() != Some(self.kits[kit].sent(index)) {
                return Err(format!("fragment {index} of pack {kit} is not whole"));
            }
            holds.kept.insert((kit, index, kept.owner), kept.height);
        }
        let records = store.records();
        let consent = records.consent(BOB, self.hash()).map_err(|error| error.to_string())?;
        holds.consent = consent.map(|consent| consent.valid_until);
        let secret = records.secret(ALICE, self.pack()).map_err(|error| error.to_string())?;
        holds.secret = secret.map(|secret| secret.as_bytes()[0]);
        Ok(holds)
    }

    /// Opens what a cut left, after so many acknowledged steps.
    fn check(&self, disk: &SimDisk, done: usize) -> Result<(), String> {
        let store = FragmentStore::open(Arc::new(disk.clone()), ROOM);
        let store = store.map_err(|error| error.to_string())?;
        let holds = self.holds(&store)?;
        let (before, after) = (Holds::after(done), Holds::after(done + 1));
        let keys = holds.kept.keys().chain(before.kept.keys()).chain(after.kept.keys());
        for key in keys {
            let found = holds.kept.get(key);
            if found != before.kept.get(key) && found != after.kept.get(key) {
                return Err(format!("{key:?} is kept since {found:?}"));
            }
        }
        if ![before.consent, after.consent].contains(&holds.consent) {
            return Err(format!("the consent is {:?}", holds.consent));
        }
        if ![before.secret, after.secret].contains(&holds.secret) {
            return Err(format!("the secret is {:?}", holds.secret));
        }
        let files = disk.files();
        if files.len() != holds.files() {
            return Err(format!("{} files where {holds:?} is held: {files:?}", files.len()));
        }
        drop(store);
        // What was cleared away is so for good.
        let again = FragmentStore::open(Arc::new(disk.crash(CrashMode::DropUnsynced, 0)), ROOM);
        let again = again.map_err(|error| error.to_string())?;
        if again.found().unfinished != 0 || self.holds(&again)? != holds {
            return Err(format!("another store is found after it was opened: {:?}", again.found()));
        }
        Ok(())
    }
}

#[test]
fn a_power_cut_at_every_operation_loses_nothing_that_was_acknowledged() {
    let campaign = Campaign::new();
    let whole = SimDisk::new();
    assert_eq!(campaign.run(&(Arc::new(whole.clone()) as _)), STEPS.len());
    let operations = whole.operations();
    let mut cuts = 0;
    for cut in 0..=operations {
        let disk = SimDisk::new();
        disk.cut_after(cut);
        let done = campaign.run(&(Arc::new(disk.clone()) as _));
        for mode in CrashMode::ALL {
            for seed in 0..4 {
                let survivor = disk.crash(mode, cut * 4 + seed);
                let checked = campaign.check(&survivor, done);
                checked
                    .unwrap_or_else(|error| panic!("cut after {cut}, {mode:?}, {seed}: {error}"));
                cuts += 1;
            }
        }
    }
    println!("{cuts} power cuts over {operations} operations");
    assert!(operations > 100);
}

#[test]
fn a_power_cut_while_it_is_opened_loses_nothing_either() {
    let campaign = Campaign::new();
    let whole = SimDisk::new();
    campaign.run(&(Arc::new(whole.clone()) as _));
    let mut cuts = 0;
    for first in (0..whole.operations()).step_by(3) {
        let disk = SimDisk::new();
        disk.cut_after(first);
        let done = campaign.run(&(Arc::new(disk.clone()) as _));
        let survivor = disk.crash(CrashMode::Mixed, first);
        for second in 0..12 {
            let again = survivor.deep_clone();
            again.cut_after(second);
            drop(FragmentStore::open(Arc::new(again.clone()), ROOM));
            let last = again.crash(CrashMode::Mixed, second);
            let checked = campaign.check(&last, done);
            checked.unwrap_or_else(|error| panic!("cuts after {first}, {second}: {error}"));
            cuts += 1;
        }
    }
    println!("{cuts} second cuts");
}

/// A step that does not wait for the disk is noticed: so each of these syncs is needed.
#[test]
fn a_disk_that_lies_during_one_step_is_noticed() {
    let campaign = Campaign::new();
    let mut noticed = 0;
    for (number, step) in STEPS.into_iter().enumerate() {
        let of_owner = matches!(step, Step::Keep { kit: 0, index: 1, owner: BOB, .. })
            || matches!(step, Step::Keep { kit: 1, index: 9, owner: ALICE, .. });
        let writes = match step {
            // An owner alone is an empty file.
            Step::Keep { .. } => !of_owner,
            Step::Consent { .. } | Step::Secret { .. } => true,
            _ => false,
        };
        for lie in [Lie::FileSync, Lie::FolderSync] {
            if matches!(step, Step::Reopen) || (lie == Lie::FileSync && !writes) {
                continue;
            }
            let sim = SimDisk::new();
            let disk: Arc<dyn Disk> = Arc::new(sim.clone());
            let mut store = None;
            for before in STEPS.into_iter().take(number) {
                campaign.do_step(&disk, &mut store, before).unwrap();
            }
            let honest = sim.deep_clone();
            campaign.check(&honest.crash(CrashMode::DropUnsynced, 0), number).unwrap();
            // The store is open before the disk lies, in the first step as well.
            store = store.or_else(|| FragmentStore::open(Arc::clone(&disk), ROOM).ok());
            sim.lie(Some(lie));
            campaign.do_step(&disk, &mut store, step).unwrap();
            let survivor = sim.crash(CrashMode::DropUnsynced, 0);
            assert!(campaign.check(&survivor, number + 1).is_err(), "{lie:?} in {step:?}");
            noticed += 1;
        }
    }
    println!("{noticed} lies");
}

/// Does every step until it succeeds, at most three times.
fn insist(campaign: &Campaign, disk: &Arc<dyn Disk>) -> FragmentStore {
    let mut store = None;
    for step in STEPS {
        let mut tries = 0;
        while let Err(error) = campaign.do_step(disk, &mut store, step) {
            tries += 1;
            assert!(tries < 3, "{step:?}: {error}");
        }
    }
    store.unwrap()
}

#[test]
fn after_any_failed_operation_the_store_goes_on() {
    let campaign = Campaign::new();
    let expected = Holds::after(STEPS.len());
    let counting = FaultyDisk::new(Arc::new(SimDisk::new()), None);
    insist(&campaign, &(Arc::new(counting.clone()) as _));
    let kinds =
        [FailureKind::Sync, FailureKind::NoSpace, FailureKind::ShortWrite, FailureKind::Read];
    let mut failures = 0;
    for kind in kinds {
        let is_read = kind == FailureKind::Read;
        let count = if is_read { counting.reads() } else { counting.operations() };
        for at in 1..=count {
            let disk = SimDisk::new();
            let forgetful = disk.clone();
            let faulty = FaultyDisk::with_failed_sync(
                Arc::new(disk.clone()),
                Some(Failure { kind, at, stays: false }),
                move |path| forgetful.forget_unsynced(path),
            );
            let store = insist(&campaign, &(Arc::new(faulty.clone()) as _));
            assert_eq!(campaign.holds(&store).as_ref(), Ok(&expected), "{kind:?} at {at}");
            assert_eq!(store.damaged(), 0);
            drop(store);
            failures += u64::from(faulty.has_failed());
            for mode in CrashMode::ALL {
                let survivor = disk.crash(mode, at);
                let checked = campaign.check(&survivor, STEPS.len());
                checked.unwrap_or_else(|error| panic!("{kind:?} at {at}, {mode:?}: {error}"));
            }
        }
    }
    println!("{failures} failures");
    assert!(failures > 100);
}

#[test]
fn a_full_disk_takes_nothing_and_gives_what_it_has() {
    let campaign = Campaign::new();
    let disk = SimDisk::new();
    let kit = &campaign.kits[0];
    let store = FragmentStore::open(Arc::new(disk.clone()), ROOM).unwrap();
    kit.keep(&store, ALICE, 5, 0).unwrap();
    drop(store);
    let files = disk.files();
    let failure = Failure { kind: FailureKind::NoSpace, at: 1, stays: true };
    let faulty = FaultyDisk::new(Arc::new(disk.clone()), Some(failure));
    let store = FragmentStore::open(Arc::new(faulty.clone()), ROOM).unwrap();
    let used = store.used_bytes();
    for index in 1..4 {
        let refused = kit.keep(&store, ALICE, 5, index);
        assert!(matches!(refused, Err(StoreError::Disk { .. })), "{refused:?}");
    }
    assert!(kit.keep(&store, BOB, 5, 0).is_err());
    assert!(store.records().put_consent(&campaign.consent(9)).is_err());
    assert_eq!(store.fragment(kit.id, 0).unwrap().unwrap(), kit.sent(0));
    assert_eq!((store.used_bytes(), disk.files()), (used, files));
    faulty.mend();
    for index in 1..4 {
        kit.keep(&store, ALICE, 5, index).unwrap();
    }
    assert_eq!(store.held(kit.id), [0, 1, 2, 3]);
}
