//! Runs.

use std::sync::Arc;

use chronolith_disk::{Disk, SimDisk};

use crate::chunk::codec::gorilla;
use crate::model::Kind;
use crate::protect::{Clear, Protect, Purpose};
use crate::run::{self, Run, RunWriter};

use super::{SECOND_NS, Spy, Swap, block_of, disk_with, split};

/// A run: `length of the table u16 · table · content of every section`.
pub fn run_table(data: &[u8]) {
    let (table, section) = split(data);
    let disk = run_disk();
    let name = run::file_name(1);
    let size = disk.len(&name).expect("the run is there");
    let swap = Swap::new(Purpose::Run, vec![table.to_vec(), section.to_vec()]);
    let run = Run::new(Arc::new(disk), swap, name.clone(), size);
    let Ok(sections) = run.sections() else { return };
    for section in sections.take(64) {
        let found = run.sections_of(section.metric, section.window, section.window);
        assert!(found.is_ok_and(|mut found| found.any(|other| other == section)));
        for kind in Kind::ALL {
            if let Ok(block) = run.decode(&section, kind) {
                assert_eq!(block.values().len(), block.len());
                assert!(block.times().is_sorted_by(|a, b| a < b));
            }
        }
    }
    let disk = disk_with(run::DIR, &name, data);
    let run = Run::new(Arc::new(disk), Arc::new(Clear), name, data.len() as u64);
    let _ = run.sections().map(Iterator::count);
    let mark = run::Mark::new(b"fuzz", 1);
    let mut bytes = data.to_vec();
    let size = bytes.len() as u64;
    if run::mend(&mut bytes, size, (mark, mark), &Clear) != run::Mended::Nothing {
        let disk = disk_with(run::DIR, &run::file_name(1), &bytes);
        let (name, size) = (run::file_name(1), bytes.len() as u64);
        let run = Run::new(Arc::new(disk), Arc::new(Clear), name, size);
        let sections = run.sections().map(|sections| sections.take(64).collect::<Vec<_>>());
        for section in sections.unwrap_or_default() {
            let _ = run.decode(&section, Kind::I64);
        }
    }
}

/// A disk with a run of two sections of one record of bytes each.
fn run_disk() -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir_all(run::DIR).expect("a folder on an empty disk");
    let mut writer = RunWriter::create(&disk, &Clear, b"fuzz", 1).expect("a run");
    for metric in [1, 2] {
        writer.push_block(metric, 0, &block_of(Kind::I64, 8)).expect("a section");
    }
    writer.finish().expect("a run");
    disk
}

pub(super) fn seeds(seeds: &mut Vec<(&'static str, Vec<u8>)>) {
    let disk = run_disk();
    let spy = Arc::new(Spy::default());
    let size = disk.len(&run::file_name(1)).expect("the run is there");
    let protect = Arc::clone(&spy) as Arc<dyn Protect>;
    let run = Run::new(Arc::new(disk), protect, run::file_name(1), size);
    for section in run.sections().expect("an own run opens") {
        run.decode(&section, Kind::I64).expect("an own section decodes");
    }
    let contents = spy.0.lock().clone();
    let mut seed = (contents[0].len() as u16).to_le_bytes().to_vec();
    seed.extend_from_slice(&contents[0]);
    // The same as columns, and as a stream: which is said in the table and in the section.
    let mut streams = seed.clone();
    for row in 0..2 {
        streams[2 + row * 48 + 28] = 0;
    }
    seed.extend_from_slice(&contents[1]);
    let words = 10;
    streams.extend_from_slice(&contents[1][..words]);
    let form = streams.len() - words + 3;
    streams[form] = 0;
    let mut stream = gorilla::Gorilla::new();
    (0..8).for_each(|at| stream.push(at * SECOND_NS, at as u64));
    stream.copy_stream(&mut streams);
    seeds.push(("run_table", seed));
    seeds.push(("run_table", streams));
    let file = run_disk().read_file(&run::file_name(1)).expect("the run is there");
    seeds.push(("run_table", file));
}
