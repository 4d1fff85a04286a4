//! A keystore's file is one whole keystore whenever the power goes, and its owner's alone.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use chronolith_disk::{CrashMode, Disk, Failure, FailureKind, FaultyDisk, Lie, RealDisk, SimDisk};
use chronolith_keys::{
    Keystore, KeystoreError, KeystoreFile, KeystoreFileError, MetricId, Secret, TreeId, Unlock,
    Wrap,
};

use crate::random::{Random, commitment, tree};

const PATH: &str = "keys/trees";
const METRIC: MetricId = MetricId([1; 32]);
const SEEDS: u64 = 5;

fn disk() -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir_all("keys").unwrap();
    disk.sync_dir("").unwrap();
    disk
}

fn new_keystore() -> Keystore {
    let mut keystore = Keystore::generate(Wrap::Plain, &mut Random(1)).unwrap();
    keystore.begin(METRIC, TreeId([1; 32]), Secret::generate(&mut Random(1))).unwrap();
    keystore
}

fn open(disk: &impl Fn() -> Arc<dyn Disk>) -> Result<KeystoreFile, KeystoreFileError> {
    KeystoreFile::open(disk(), PATH, Unlock::Plain)
}

type Change = fn(&mut Keystore) -> Result<(), KeystoreError>;

/// The steps of an owner.
fn steps() -> [Change; 4] {
    [
        |keystore| keystore.rotate(METRIC, 100, TreeId([2; 32]), Secret::generate(&mut Random(2))),
        |keystore| keystore.puncture(&TreeId([1; 32]), 5..=9),
        |keystore| keystore.renew(Wrap::Plain, &mut Random(3)),
        |keystore| keystore.destroy(&METRIC, 50..=150),
    ]
}

/// What a keystore says and opens, in few words.
fn state(keystore: &Keystore) -> String {
    let trees: Vec<_> = keystore
        .trees()
        .map(|tree| (tree.id(), tree.windows(), [4, 5, 120].map(|at| commitment(tree, at))))
        .collect();
    format!("{trees:?} {:?} {:?}", keystore.trees_of(&METRIC), keystore.wrapping_key().bytes())
}

/// Makes a file and takes the steps; the disk's operations and the state after each of them.
fn play(disk: &SimDisk) -> Result<Vec<(u64, String)>, KeystoreFileError> {
    let random = &mut Random(9);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut file = KeystoreFile::create(shared, PATH, new_keystore(), random)?;
    let mut states = vec![(disk.operations(), state(file.keystore()))];
    for step in steps() {
        file.change(random, step)?;
        states.push((disk.operations(), state(file.keystore())));
    }
    Ok(states)
}

/// Cuts the power at every operation in every way: what is there is the last state that somebody was
/// told of or the one that was being written. Says where that does not hold.
fn cut_everywhere(lie: Option<Lie>) -> Vec<String> {
    let disk = disk();
    disk.lie(lie);
    disk.keep_history();
    let begin = disk.operations();
    let states = play(&disk).unwrap();
    let mut wrong = Vec::new();
    let mut cuts = 0;
    for (image, operations) in disk.history().iter().zip(begin..) {
        for (mode, seed) in
            CrashMode::ALL.iter().flat_map(|mode| (0..SEEDS).map(move |at| (*mode, at)))
        {
            let survived = image.crash(mode, seed);
            let done = states.partition_point(|(at, _)| *at <= operations);
            let found = match open(&|| Arc::new(survived.clone())) {
                Ok(file) => state(file.keystore()),
                Err(KeystoreFileError::Missing { .. }) if done == 0 => continue,
                Err(error) => format!("{error:?}"),
            };
            let allowed = &states[done.saturating_sub(1)..(done + 1).min(states.len())];
            if !allowed.iter().any(|(_, state)| *state == found) {
                wrong.push(format!("cut after {operations}, {mode:?} {seed}: {found}"));
            }
            // It goes on from there, and what is left lying about is gone with the next change.
            if let Ok(mut file) = open(&|| Arc::new(survived.clone())) {
                file.change(&mut Random(7), |keystore| keystore.puncture(&TreeId([1; 32]), 0..=0))
                    .unwrap();
                drop(file);
                assert_eq!(survived.files(), ["keys/trees", "keys/trees.lock"]);
            }
            cuts += 1;
        }
    }
    assert!(cuts > 500, "{cuts} cuts");
    wrong
}

#[test]
fn a_power_cut_leaves_the_keystore_before_or_after_a_change() {
    let wrong = cut_everywhere(None);
    assert!(wrong.is_empty(), "{} of them: {:#?}", wrong.len(), wrong.first());
}

#[test]
fn a_disk_that_does_not_sync_is_noticed_by_the_test_before() {
    assert!(!cut_everywhere(Some(Lie::FileSync)).is_empty());
    assert!(!cut_everywhere(Some(Lie::FolderSync)).is_empty());
}

#[test]
fn a_change_that_could_not_be_written_is_not_made() {
    for kind in [FailureKind::Sync, FailureKind::NoSpace, FailureKind::ShortWrite] {
        let mut fired = 0;
        for at in 1..=10 {
            let sim = disk();
            let random = &mut Random(9);
            drop(
                KeystoreFile::create(Arc::new(sim.clone()), PATH, new_keystore(), random).unwrap(),
            );
            let failure = Failure { kind, at, stays: false };
            let faulty = FaultyDisk::new(Arc::new(sim.clone()), Some(failure));
            let Ok(mut file) = open(&|| Arc::new(faulty.clone())) else { continue };
            let before = state(file.keystore());
            let change = |keystore: &mut Keystore| keystore.destroy(&METRIC, 0..=9);
            let changed = file.change(random, change);
            if !faulty.has_failed() {
                continue;
            }
            fired += 1;
            assert!(
                matches!(changed, Err(KeystoreFileError::Disk { .. })),
                "{kind:?} {at}: {changed:?}"
            );
            assert_eq!(state(file.keystore()), before);
            // The next try makes it.
            file.change(random, change).unwrap();
            let after = state(file.keystore());
            drop(file);
            assert_eq!(state(open(&|| Arc::new(sim.clone())).unwrap().keystore()), after);
        }
        assert!(fired > 0, "{kind:?} never happened");
    }
}

#[test]
fn a_refused_change_writes_nothing() {
    let disk = disk();
    let random = &mut Random(9);
    let mut file =
        KeystoreFile::create(Arc::new(disk.clone()), PATH, new_keystore(), random).unwrap();
    let (before, operations) = (state(file.keystore()), disk.operations());
    let refused = file.change(random, |keystore| {
        keystore.destroy(&METRIC, 0..=9)?;
        keystore.insert(tree(1))
    });
    let exists = KeystoreError::Exists { tree: TreeId([1; 32]) };
    let found = refused.unwrap_err();
    assert!(
        matches!(&found, KeystoreFileError::Keystore { source, .. } if *source == exists),
        "{found}"
    );
    assert_eq!((state(file.keystore()), disk.operations()), (before, operations));
}

#[test]
fn every_damaged_byte_is_refused_with_the_file() {
    let disk = disk();
    drop(
        KeystoreFile::create(Arc::new(disk.clone()), PATH, new_keystore(), &mut Random(9)).unwrap(),
    );
    let size = disk.read_file(PATH).unwrap().len() as u64;
    for offset in 0..size {
        disk.flip(PATH, offset, 1).unwrap();
        let error = open(&|| Arc::new(disk.clone())).unwrap_err();
        let KeystoreFileError::Keystore { place, source } = error else { panic!("{error}") };
        assert!(place.contains(PATH));
        let is_said = matches!(source, KeystoreError::Damaged | KeystoreError::Malformed { .. });
        assert!(is_said, "byte {offset}: {source}");
        disk.flip(PATH, offset, 1).unwrap();
    }
    assert!(open(&|| Arc::new(disk.clone())).is_ok());
}

#[test]
fn one_opener_at_a_time_and_no_file_is_made_twice_or_out_of_nothing() {
    let disk = disk();
    let shared = || -> Arc<dyn Disk> { Arc::new(disk.clone()) };
    assert!(matches!(open(&shared).unwrap_err(), KeystoreFileError::Missing { .. }));
    let create = || KeystoreFile::create(shared(), PATH, new_keystore(), &mut Random(9));
    let file = create().unwrap();
    assert!(matches!(open(&shared).unwrap_err(), KeystoreFileError::Locked { .. }));
    assert!(matches!(create().unwrap_err(), KeystoreFileError::Locked { .. }));
    drop(file);
    assert!(matches!(create().unwrap_err(), KeystoreFileError::Exists { .. }));
    assert!(open(&shared).is_ok());
}

#[test]
fn a_file_that_others_may_read_is_refused_and_none_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let disk = || -> Arc<dyn Disk> { Arc::new(RealDisk::existing(folder.path()).unwrap()) };
    let open = || KeystoreFile::open(disk(), "trees", Unlock::Plain);
    let mode = |name: &str| {
        std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777
    };
    let allow = |name: &str, mode| {
        let rights = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(folder.path().join(name), rights).unwrap();
    };
    drop(KeystoreFile::create(disk(), "trees", new_keystore(), &mut Random(1)).unwrap());
    assert_eq!(mode("trees"), 0o600);
    for rights in [0o640, 0o604, 0o620, 0o601] {
        allow("trees", rights);
        let error = open().unwrap_err();
        assert!(matches!(error, KeystoreFileError::NotPrivate { .. }), "{rights:o}: {error}");
        assert!(error.to_string().contains("chmod 600"));
    }
    allow("trees", 0o600);
    // What somebody left where the next one is written gives it no rights.
    let mut file = open().unwrap();
    std::fs::write(folder.path().join("trees.new"), "").unwrap();
    allow("trees.new", 0o666);
    file.change(&mut Random(1), |keystore| keystore.destroy(&METRIC, 0..=9)).unwrap();
    drop(file);
    assert_eq!(mode("trees"), 0o600);
    assert!(open().is_ok());
}

#[test]
fn a_destroyed_key_is_in_no_file_of_the_disk() {
    let disk = disk();
    let random = &mut Random(9);
    // Under a wrapping key of its own the file is opened here, as by a thief of both.
    let mut file =
        KeystoreFile::create(Arc::new(disk.clone()), PATH, new_keystore(), random).unwrap();
    let has_key = |disk: &SimDisk| {
        disk.files().iter().any(|path| {
            let bytes = disk.read_file(path).unwrap();
            let opened = Keystore::from_bytes(&bytes, Unlock::Plain);
            opened.is_ok_and(|keystore| {
                keystore.tree(&TreeId([1; 32])).is_some_and(|tree| commitment(tree, 7).is_some())
            })
        })
    };
    assert!(has_key(&disk), "the test would notice");
    file.change(random, |keystore| keystore.destroy(&METRIC, 5..=9)).unwrap();
    assert!(!has_key(&disk));
    for mode in CrashMode::ALL {
        assert!(!has_key(&disk.crash(mode, 1)), "{mode:?}");
    }
}
