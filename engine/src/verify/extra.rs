//! Files in a database's directory that belong to nothing.

use std::collections::HashSet;

use chronolith_disk::Disk;

use crate::blob;
use crate::db::state_file_name;
use crate::error::{DiskContext, DiskError};
use crate::keys;
use crate::manifest::{self, Manifest};
use crate::registry;
use crate::run;
use crate::segment;
use crate::wal;

/// The file that the process which has the database open locks.
const LOCK: &str = "LOCK";
/// What the program that opens the database has to know: where old segments go, where the keys are, which rules of
/// privacy there are.
const SETTINGS: [&str; 3] = ["store.toml", "keys.toml", "privacy.toml"];
/// A cache that can be rebuilt at any time.
const SEARCH: &str = "search/";
/// What search keeps of others, in a format of its own.
const REMOTE: &str = "remote/";
/// What repairs keep.
const LOST: &str = "lost/";
/// What was read from a segment store.
const CACHE: &str = "cache/";

/// The files that the manifest does not name, in order; folders that it knows nothing of end in `/`.
pub(super) fn extra_files(disk: &dyn Disk, manifest: &Manifest) -> Result<Vec<String>, DiskError> {
    let known = known_files(manifest);
    let mut extra = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for name in disk.list(&folder).at(disk, "list", &folder)? {
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            match path.strip_suffix('/') {
                Some(path) if is_folder(path) => folders.push(path.to_owned()),
                None if known.contains(&path) || is_kept(&path, manifest) => {}
                _ if [SEARCH, REMOTE, LOST, CACHE].contains(&path.as_str()) => {}
                _ => extra.push(path),
            }
        }
    }
    extra.sort_unstable();
    Ok(extra)
}

fn known_files(manifest: &Manifest) -> HashSet<String> {
    let runs = manifest.runs.iter().map(|record| run::file_name(record.number));
    let segments = manifest.segments.iter();
    let segments = segments.map(|record| manifest.segment_file(record));
    let single = [LOCK, manifest::FILE, registry::log::FILE, keys::FILE];
    let single = single.into_iter().chain(SETTINGS).map(str::to_owned);
    let state = manifest.state.map(state_file_name);
    runs.chain(segments).chain(single).chain(state).collect()
}

/// Folders whose files are looked at.
fn is_folder(path: &str) -> bool {
    let folders = [wal::DIR, run::DIR, segment::DIR, blob::DIR, keys::DIR, "state"];
    folders.contains(&path) || path.strip_prefix(segment::DIR).is_some_and(|p| p.starts_with('/'))
}

/// Files that the manifest has no names for: the log's, and blobs, which records name.
fn is_kept(path: &str, manifest: &Manifest) -> bool {
    let Some((folder, name)) = path.rsplit_once('/') else { return false };
    match folder {
        wal::DIR => wal::file_number(name).is_some_and(|number| number >= manifest.first_log),
        blob::DIR => name.ends_with(".blob"),
        _ => false,
    }
}
