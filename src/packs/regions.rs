//! Where a pack may be kept: `CID.regions` beside its file, a region a line. A pack without may be kept
//! anywhere.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use chronolith_chain::content::ContentId;

use super::{PackFileError, open_folder, read_bounded, write};

/// The largest file: bytes. A region has at most 16, and a contract names at most as many as its file holds.
const FILE_MOST: u64 = 256 << 10;

fn name(pack: ContentId) -> String {
    format!("{pack}.regions")
}

/// Writes where a pack may be kept. It is there before the pack is, so that no pack is placed elsewhere.
///
/// # Errors
/// Where the disk fails.
pub fn store_regions(
    folder: &Path,
    pack: ContentId,
    regions: &[String],
) -> Result<(), PackFileError> {
    let mut text = regions.join("\n");
    text.push('\n');
    write(&open_folder(folder)?, folder, &name(pack), text.as_bytes())
}

/// Reads where a pack may be kept, from beside its file; empty for anywhere.
///
/// # Errors
/// Where the file is there and cannot be read, or names no region.
pub fn load_regions(pack: &Path, id: ContentId) -> Result<Vec<String>, PackFileError> {
    let place: PathBuf = pack.parent().unwrap_or(Path::new("")).join(name(id));
    let bytes = match read_bounded(&place, FILE_MOST) {
        Ok(bytes) => bytes,
        Err(PackFileError::Disk { source, .. }) if source.kind() == ErrorKind::NotFound => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let is_whole = bytes.len() as u64 <= FILE_MOST && bytes.ends_with(b"\n");
    let text = String::from_utf8(bytes).ok().filter(|_| is_whole);
    let regions = text.map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
    let regions = regions.filter(|all| !all.is_empty() && all.iter().all(|one| !one.is_empty()));
    regions.ok_or(PackFileError::NoRegions { place })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use std::fs;

    use super::*;

    #[test]
    fn regions_come_back_and_a_damaged_file_is_not_anywhere() {
        let folder = tempfile::tempdir().unwrap();
        let id = ContentId::of_raw(b"a pack");
        let pack = folder.path().join(format!("{id}.car"));
        assert_eq!(load_regions(&pack, id).unwrap(), Vec::<String>::new());
        let regions = vec!["eu-west".to_owned(), "eu-north".to_owned()];
        store_regions(folder.path(), id, &regions).unwrap();
        assert_eq!(load_regions(&pack, id).unwrap(), regions);
        for damaged in ["", "\n", "eu-west", "eu-west\n\n"] {
            fs::write(folder.path().join(name(id)), damaged).unwrap();
            let refused = load_regions(&pack, id).unwrap_err();
            assert!(matches!(refused, PackFileError::NoRegions { .. }), "{damaged:?}: {refused}");
        }
    }
}
