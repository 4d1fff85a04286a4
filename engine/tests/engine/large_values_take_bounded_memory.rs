//! However large the values of one window are together, flushing, sealing, compacting and reading
//! them takes a bounded amount of memory.
//!
//! What is allocated is counted in a process of its own, which has no other test in it.

use std::process::Command;

use chronolith_engine::{
    Aggregation, Bucket, Db, Durability, Every, Function, Kind, Maintenance, Metric, Options,
    SealScope, ValueRef,
};
use peak_alloc::PeakAlloc;

use crate::crash_script::Random;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

const MIB: usize = 1 << 20;
const BUDGET_BYTES: usize = 8 * MIB;
const VALUE_BYTES: usize = 64 * 1024;
const ROLE: &str = "CHRONOLITH_MEMORY_TEST";

fn options() -> Options {
    Options {
        memtable_bytes: BUDGET_BYTES,
        maintenance: Maintenance::Manual,
        default_window_ns: 24 * 3_600 * 1_000_000_000,
        ..Options::default()
    }
}

/// 256 MiB of values in one window: in order, or shuffled over all of it.
fn live_through(is_shuffled: bool) {
    let count = 256 * MIB / VALUE_BYTES;
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(folder.path(), options()).unwrap();
    let id = db.metric(Metric::new("car-1", "picture"), Kind::Bytes).unwrap();
    let mut random = Random(7);
    let mut value = vec![0; VALUE_BYTES];
    let place = |at: usize| if is_shuffled { at * 1_663 % count } else { at };
    for at in 0..count {
        value
            .chunks_exact_mut(8)
            .for_each(|part| part.copy_from_slice(&random.next().to_le_bytes()));
        value[..8].copy_from_slice(&(place(at) as u64).to_le_bytes());
        let mut batch = db.batch();
        batch.push(id, place(at) as i64 * 1_000_000, ValueRef::Bytes(&value)).unwrap();
        db.write(&batch, Durability::Buffered).unwrap();
    }
    let read = |what: &str| {
        let mut found = 0;
        for block in db.scan(id, ..).unwrap() {
            let block = block.unwrap();
            for (time_ns, value) in block.iter() {
                let ValueRef::Bytes(bytes) = value else { panic!("{what}: {value:?}") };
                let number = u64::from_le_bytes(*bytes.first_chunk().unwrap());
                assert_eq!((time_ns, number), (found * 1_000_000, found as u64), "{what}");
                found += 1;
            }
        }
        assert_eq!(found as usize, count, "{what}");
        let aggregation = Aggregation {
            from_ns: i64::MIN,
            to_ns: i64::MAX,
            every: Every::Everything,
            functions: vec![Function::Count],
        };
        let buckets = db.aggregate(&[id], &aggregation).unwrap();
        assert_eq!(buckets.iter().flatten().map(Bucket::count).sum::<u64>() as usize, count);
        assert_eq!(db.latest(id).unwrap().unwrap().0, (count as i64 - 1) * 1_000_000);
    };
    let step = |what: &str, act: &mut dyn FnMut()| {
        ALLOCATED.reset_peak_usage();
        act();
        let peak = ALLOCATED.peak_usage() / MIB;
        eprintln!("{what}: at most {peak} MiB");
        // Decoded sections, a slice and its encoding; 256 MiB would be all of the window.
        assert!(peak <= 8 * BUDGET_BYTES / MIB + 48, "{what}: {peak} MiB");
    };
    step("reading runs", &mut || read("runs"));
    step("merging runs", &mut || drop(db.compact().unwrap()));
    step("reading one run", &mut || read("one run"));
    step("sealing", &mut || assert!(db.seal(SealScope::All).unwrap().chunks > 200));
    step("reading chunks", &mut || read("chunks"));
    db.delete(&[id], 999_999..=1_000_001).unwrap();
    step("replacing chunks", &mut || drop(db.compact().unwrap()));
    assert_eq!(db.scan(id, ..3_000_000).unwrap().map(|b| b.unwrap().len()).sum::<usize>(), 2);
}

/// Symptom: sealing a window of many large values took as much memory as all of them. Loss: the
/// process, on a small gateway. Cause: a window was merged whole before it was encoded. Fix: it is
/// merged and encoded by slices of time.
#[test]
fn a_window_far_larger_than_the_memory_budget_is_sealed_and_read() {
    if let Ok(role) = std::env::var(ROLE) {
        live_through(role == "shuffled");
        return;
    }
    for role in ["in order", "shuffled"] {
        let name = "large_values_take_bounded_memory::a_window_far_larger_than_the_memory_budget_is_sealed_and_read";
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(ROLE, role)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{role}: {said}");
        let peaks = said.lines().filter(|line| line.contains("at most"));
        eprintln!("{role}: {}", peaks.collect::<Vec<_>>().join("; "));
    }
}
