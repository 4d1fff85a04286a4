//! An assertion of the core that fails ends consensus on this node, and nothing else: the process
//! goes on, and the files are as they were.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use chronolith_disk::{Disk, SimDisk};

use super::{Config, ConsensusError, Files, Identity, Input, Now, Validator};
use crate::coin::Amount;
use crate::consensus::BeaconChain;
use crate::consensus::core::CoreFailure;
use crate::encoding::{Rising, Text};
use crate::genesis::{Genesis, GenesisValidator};
use crate::keys::SecretKey;

fn identity() -> Identity {
    Identity { key: SecretKey::from_seed(&[1; 32]), beacon: BeaconChain::new(&[2; 32], 50) }
}

fn genesis() -> Genesis {
    let identity = identity();
    let validator = GenesisValidator {
        validator: SecretKey::from_seed(&[3; 32]).public().into(),
        consensus_key: identity.key.public(),
        bond: Amount::coins(5_000),
        beacon: identity.beacon.end(),
        power: 10,
    };
    Genesis {
        name: Text::new("panic").unwrap(),
        time_ms: 1,
        protocol: 1,
        parameters: Rising::default(),
        accounts: Rising::default(),
        validators: Rising::new([validator]).unwrap(),
    }
}

fn files(disk: &SimDisk) -> Files {
    let disk = Arc::new(disk.clone()) as Arc<dyn Disk>;
    Files { data: Arc::clone(&disk), guard: disk, guard_path: "signed".to_owned() }
}

#[test]
fn ends_consensus_with_a_clear_error_and_leaves_the_files() {
    let (genesis, disk) = (genesis(), SimDisk::new());
    let config = Config { interval_ms: 0, heartbeat_ms: Some(1_000), ..Config::default() };
    let mut validator =
        Validator::create(&genesis, &files(&disk), Some(identity()), config).unwrap();
    let now = |step: u64| {
        let ns = step * 1_000_000_000;
        Now { elapsed_ns: ns, time_ns: 1_000_000_000 + ns }
    };
    for step in 1..20 {
        validator.handle(now(step), Input::Tick).unwrap();
    }
    let height = validator.blocks().tip().height;
    assert!(height > 3);

    // An assertion of the library that fails while it works on the next height.
    validator.core.fault = Some("assertion `left == right` failed");
    let before: Vec<_> = disk.files().iter().map(|file| disk.read_file(file).unwrap()).collect();
    let ended = validator.handle(now(30), Input::Tick);
    let Err(ConsensusError::Core(CoreFailure::Panicked(text))) = &ended else {
        panic!("{:?}", ended.map(|outputs| outputs.len()));
    };
    assert_eq!(text, "assertion `left == right` failed");
    let error = ended.err().unwrap().to_string();
    assert!(error.contains("the consensus core failed") && error.contains("restart"), "{error}");
    let after = validator.handle(now(31), Input::Tick);
    assert!(matches!(after, Err(ConsensusError::Stopped)));
    let kept: Vec<_> = disk.files().iter().map(|file| disk.read_file(file).unwrap()).collect();
    assert!(before == kept, "no file was touched");

    // Opened again, it goes on where it was.
    drop(validator);
    let mut validator = Validator::open(&genesis, &files(&disk), Some(identity()), config).unwrap();
    assert_eq!(validator.blocks().tip().height, height);
    for step in 40..44 {
        validator.handle(now(step), Input::Tick).unwrap();
    }
    assert!(validator.blocks().tip().height > height);
}
