//! Files that get their names when they are whole: who is stopped in the middle leaves none of that
//! name, and the file that was there before.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Writes a file that is not there yet.
pub(super) fn create<T>(
    place: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<T>,
) -> Result<T> {
    // A link that leads nowhere is there, too.
    if fs::symlink_metadata(place).is_ok() {
        bail!("{} is there already: remove it, or name another file", place.display());
    }
    rewrite(place, write)
}

/// Writes a file as it grows; one that is there is replaced.
pub(super) fn rewrite<T>(
    place: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<T>,
) -> Result<T> {
    put(place, write).with_context(|| format!("cannot write {}", place.display()))
}

/// Writes a file; one that is there is replaced.
pub(super) fn replace(place: &Path, bytes: &[u8]) -> Result<()> {
    let written = match fs::metadata(place) {
        // The other end of a pipe, or a device, is where the bytes go.
        Ok(metadata) if !metadata.is_file() => fs::write(place, bytes).map_err(Into::into),
        // What a link leads to is replaced, and not the link.
        Ok(_) => place.canonicalize().map_err(Into::into).and_then(|place| put_all(&place, bytes)),
        Err(_) => put_all(place, bytes),
    };
    written.with_context(|| format!("cannot write {}", place.display()))
}

fn put_all(place: &Path, bytes: &[u8]) -> Result<()> {
    put(place, |out| Ok(out.write_all(bytes)?))
}

fn put<T>(place: &Path, write: impl FnOnce(&mut BufWriter<File>) -> Result<T>) -> Result<T> {
    let mut name = OsString::from(".");
    name.push(place.file_name().context("it names no file")?);
    name.push(".new");
    let unfinished = place.with_file_name(name);
    let mut out = BufWriter::new(File::create(&unfinished)?);
    let written = write(&mut out).and_then(|written| {
        out.flush()?;
        out.get_ref().sync_all()?;
        fs::rename(&unfinished, place)?;
        sync_folder(place)?;
        Ok(written)
    });
    if written.is_err() {
        // What went wrong is told; the next attempt begins this file anew.
        let _ = fs::remove_file(&unfinished);
    }
    written
}

/// Makes a name in a folder last.
fn sync_folder(place: &Path) -> io::Result<()> {
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    fn names(folder: &Path) -> Vec<OsString> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    /// An export that failed in the middle left a file cut off, and the next one said that it was
    /// there already: it was written under its own name. Now it gets that name when it is whole.
    #[test]
    fn what_fails_half_way_leaves_nothing_and_can_be_done_again() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("export");
        let failed = create(&place, |out| -> Result<()> {
            out.write_all(&[7; 100_000])?;
            bail!("the disk is full")
        });
        assert!(format!("{:#}", failed.unwrap_err()).contains("the disk is full"));
        assert!(names(folder.path()).is_empty());
        create(&place, |out| Ok(out.write_all(b"whole")?)).unwrap();
        assert_eq!(names(folder.path()), ["export"]);
        assert_eq!(fs::read(&place).unwrap(), b"whole");
        let problem = create(&place, |_| Ok(())).unwrap_err().to_string();
        assert!(problem.contains("is there already"), "{problem}");
        assert_eq!(fs::read(&place).unwrap(), b"whole");
    }

    /// A file that was left when its writer was killed does not keep the next from writing.
    #[test]
    fn what_a_killed_writer_left_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("export");
        fs::write(folder.path().join(".export.new"), [7; 100_000]).unwrap();
        create(&place, |out| Ok(out.write_all(b"whole")?)).unwrap();
        assert_eq!(names(folder.path()), ["export"]);
        assert_eq!(fs::read(&place).unwrap(), b"whole");
    }

    #[test]
    #[cfg(unix)]
    fn a_link_stays_and_what_it_leads_to_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (place, link) = (folder.path().join("proof"), folder.path().join("link"));
        fs::write(&place, b"old").unwrap();
        std::os::unix::fs::symlink(&place, &link).unwrap();
        replace(&link, b"new").unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        // What is no file, as a device, is written to, and no file takes its place.
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        replace(&socket, b"gone").unwrap_err();
        assert!(!fs::metadata(&socket).unwrap().is_file());
    }
}
