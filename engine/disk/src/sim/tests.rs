//! What the simulated disk promises to those who test with it.

use std::io;
use std::sync::Arc;

use crate::{CrashMode, Disk, Failure, FailureKind, FaultyDisk, Lie, SimDisk, read_all};

fn write(disk: &dyn Disk, path: &str, bytes: &[u8]) -> io::Result<()> {
    disk.open(path)?.append(bytes).map(drop)
}

fn write_synced(disk: &dyn Disk, path: &str, bytes: &[u8]) -> io::Result<()> {
    let file = disk.open(path)?;
    file.append(bytes)?;
    file.sync()
}

#[test]
fn what_is_synced_under_a_synced_name_survives_every_crash() -> io::Result<()> {
    let disk = SimDisk::new();
    disk.create_dir_all("a/b")?;
    write_synced(&disk, "a/b/file", b"kept")?;
    ["", "a", "a/b"].iter().try_for_each(|folder| disk.sync_dir(folder))?;
    for mode in CrashMode::ALL {
        for seed in 0..50 {
            assert_eq!(disk.crash(mode, seed).read_file("a/b/file")?, b"kept");
        }
    }
    Ok(())
}

#[test]
fn a_synced_file_is_gone_without_its_name_or_that_of_its_folder() -> io::Result<()> {
    let disk = SimDisk::new();
    disk.create_dir_all("a")?;
    write_synced(&disk, "a/file", b"lost")?;
    assert!(disk.crash(CrashMode::DropUnsynced, 0).files().is_empty());
    disk.sync_dir("a")?;
    assert!(disk.crash(CrashMode::DropUnsynced, 0).files().is_empty());
    disk.sync_dir("")?;
    assert_eq!(disk.crash(CrashMode::DropUnsynced, 0).files(), ["a/file"]);
    Ok(())
}

#[test]
fn a_rename_survives_wholly_or_not_at_all() -> io::Result<()> {
    let disk = SimDisk::new();
    write_synced(&disk, "name", b"old")?;
    disk.sync_dir("")?;
    write_synced(&disk, "name.new", b"new")?;
    disk.rename("name.new", "name")?;
    assert_eq!(disk.crash(CrashMode::DropUnsynced, 0).read_file("name")?, b"old");
    assert_eq!(disk.crash(CrashMode::KeepAll, 0).read_file("name")?, b"new");
    let mut seen = Vec::new();
    for seed in 0..50 {
        seen.push(disk.crash(CrashMode::Reordered, seed).read_file("name")?);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen, [b"new", b"old"]);
    Ok(())
}

#[test]
fn unsynced_pieces_may_be_torn_and_may_arrive_out_of_order() -> io::Result<()> {
    let disk = SimDisk::new();
    disk.open("file")?;
    disk.sync_dir("")?;
    write(&disk, "file", &[1; 1024])?;
    write(&disk, "file", &[2; 1024])?;
    let (mut torn, mut hole) = (false, false);
    for seed in 0..200 {
        let survived = disk.crash(CrashMode::Torn, seed).read_file("file")?;
        torn |= !survived.is_empty() && survived.len() < 2048;
        let survived = disk.crash(CrashMode::Reordered, seed).read_file("file")?;
        hole |= survived.len() == 2048 && survived.first() == Some(&0);
    }
    assert!(torn && hole);
    Ok(())
}

#[test]
fn nothing_works_after_the_power_is_cut() -> io::Result<()> {
    let disk = SimDisk::new();
    write(&disk, "file", b"x")?;
    disk.cut_after(disk.operations() + 1);
    let file = disk.open("file")?;
    file.sync()?;
    assert!(file.sync().is_err() && file.append(b"y").is_err() && file.len().is_err());
    assert!(disk.open("other").is_err() && disk.list("").is_err() && disk.is_cut());
    Ok(())
}

#[test]
fn the_history_holds_the_disk_before_every_operation() -> io::Result<()> {
    let disk = SimDisk::new();
    disk.keep_history();
    write(&disk, "file", b"x")?;
    write(&disk, "file", b"y")?;
    let history = disk.history();
    assert_eq!(history.len() as u64, disk.operations() + 1);
    assert!(history.first().is_some_and(|image| image.files().is_empty()));
    assert!(history.last().is_some_and(|image| image.read_file("file").is_ok_and(|b| b == b"xy")));
    Ok(())
}

#[test]
fn a_lock_ends_with_its_holder_and_with_the_power() -> io::Result<()> {
    let disk = SimDisk::new();
    let lock = disk.lock("LOCK")?;
    assert!(disk.lock("LOCK").is_err());
    assert!(disk.crash(CrashMode::KeepAll, 0).lock("LOCK").is_ok());
    drop(lock);
    assert!(disk.lock("LOCK").is_ok());
    Ok(())
}

#[test]
fn a_lie_leaves_everything_pending() -> io::Result<()> {
    let disk = SimDisk::new();
    disk.lie(Some(Lie::FileSync));
    write_synced(&disk, "file", b"lost")?;
    disk.sync_dir("")?;
    assert!(disk.crash(CrashMode::DropUnsynced, 0).read_file("file")?.is_empty());
    Ok(())
}

#[test]
fn a_failed_sync_forgets_what_the_next_one_claims() -> io::Result<()> {
    let sim = SimDisk::new();
    let forget = sim.clone();
    let failure = Failure { kind: FailureKind::Sync, at: 3, stays: false };
    let disk = FaultyDisk::with_failed_sync(Arc::new(sim.clone()), Some(failure), move |path| {
        forget.forget_unsynced(path);
    });
    let file = disk.open("file")?;
    file.append(b"gone")?;
    assert!(file.sync().is_err());
    file.append(b" and kept")?;
    file.sync()?;
    disk.sync_dir("")?;
    assert_eq!(read_all(&disk, "file")?, b"gone and kept");
    let survived = sim.crash(CrashMode::KeepAll, 0).read_file("file")?;
    assert_eq!(survived, b"\0\0\0\0 and kept");
    Ok(())
}

#[test]
fn a_full_disk_takes_half_of_a_write_and_nothing_new() -> io::Result<()> {
    let sim = SimDisk::new();
    let failure = Failure { kind: FailureKind::NoSpace, at: 2, stays: true };
    let disk = FaultyDisk::new(Arc::new(sim), Some(failure));
    let file = disk.open("file")?;
    let full = file.append(b"1234").map_err(|error| error.kind());
    assert_eq!(full, Err(io::ErrorKind::StorageFull));
    assert_eq!(read_all(&disk, "file")?, b"12");
    assert!(disk.open("other").is_err() && disk.has_failed());
    disk.mend();
    assert!(disk.open("other").is_ok());
    Ok(())
}
