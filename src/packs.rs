//! Packs and fragments in folders.
//!
//! A pack is `CID.car`: a CAR file of its header and its body. Beside it lies `CID.mask`, the secret
//! that its fragments are masked by, which only its owner may read; and `CID.regions`, where the pack may
//! not be kept anywhere. Fragments lie in a folder of their own, as peers keep them:
//! `CID.INDEX.fragment`, and `CID.header`, the pack's header.

mod regions;

use std::fs::{self, File};
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::encode;
use chronolith_chain::hash::Hash;
use chronolith_chain::ledger::{Fragments, fragments_hash};
use chronolith_disk::{Disk, RealDisk};
use chronolith_fragment::{Fragment, MaskSecret};
use chronolith_net::car::{CarError, read_pack, write_pack};
use chronolith_net::fetch::{fragment_name, header_name};
use chronolith_net::join::Collector;
use chronolith_net::pack::{HEADER_BYTES_MAX, Pack, PackError, PackHeader};
use chronolith_net::stored::StoredFragment;

use crate::wallet::{WalletError, ensure_private, secret_of, write_private};
pub use regions::{load_regions, store_regions};

/// The largest file of a fragment that is read: bytes. The longest body in one fragment, and its way.
const FRAGMENT_FILE_MOST: u64 = (2 << 20) + 4_096;
/// The largest file of a secret: bytes.
const SECRET_FILE_MOST: u64 = 128;

/// Why packs cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackFileError {
    /// The disk failed.
    #[error("cannot {what} {}: {source}", place.display())]
    Disk {
        /// What was to be done.
        what: &'static str,
        /// With which file.
        place: PathBuf,
        /// What the disk said.
        source: std::io::Error,
    },
    /// A file is no pack.
    #[error("{} is no pack: {source}", place.display())]
    NoPack {
        /// Which file.
        place: PathBuf,
        /// What is wrong with it.
        source: CarError,
    },
    /// A file is no header.
    #[error("{}: {source}", place.display())]
    NoHeader {
        /// Which file.
        place: PathBuf,
        /// What is wrong with it.
        source: PackError,
    },
    /// A folder has the headers of several packs, or of none.
    #[error("{} holds {found} pack headers; name one pack's header file", place.display())]
    Headers {
        /// Which folder.
        place: PathBuf,
        /// How many there are.
        found: usize,
    },
    /// A file says where a pack may be kept, and names no region.
    #[error(
        "{} names no region, one a line: write where the pack may be kept, or remove the file if that is anywhere",
        place.display()
    )]
    NoRegions {
        /// Which file.
        place: PathBuf,
    },
    /// A mask's secret cannot be had.
    #[error("the mask of the pack in {}: {source}", place.display())]
    Secret {
        /// Which file.
        place: PathBuf,
        /// Why.
        source: WalletError,
    },
}

fn failed(what: &'static str, place: &Path) -> impl FnOnce(std::io::Error) -> PackFileError {
    let place = place.to_owned();
    move |source| PackFileError::Disk { what, place, source }
}

/// Makes a folder where there is none.
///
/// # Errors
/// Where the disk fails.
pub fn open_folder(folder: &Path) -> Result<RealDisk, PackFileError> {
    RealDisk::create(folder).map_err(failed("open", folder))
}

/// Writes a file as a whole or not at all; one that is there is replaced.
fn write(disk: &dyn Disk, folder: &Path, name: &str, bytes: &[u8]) -> Result<(), PackFileError> {
    let unfinished = format!(".{name}.new");
    let written = disk.open(&unfinished).and_then(|file| {
        file.set_len(0)?;
        file.append(bytes)?;
        file.sync()
    });
    let written = written.and_then(|()| disk.rename(&unfinished, name));
    written.and_then(|()| disk.sync_dir("")).map_err(failed("write", &folder.join(name)))
}

/// Writes a pack and the secret of its mask; the pack's file.
///
/// # Errors
/// Where the disk fails.
pub fn store_pack(
    folder: &Path,
    pack: &Pack,
    secret: &MaskSecret,
) -> Result<PathBuf, PackFileError> {
    let disk = open_folder(folder)?;
    let id = pack.content_id();
    let (name, mask) = (format!("{id}.car"), format!("{id}.mask"));
    // The secret first: a pack without it could not be repaired.
    let text = format!("{}\n", Hash(*secret.as_bytes()));
    write_private(&disk, &format!(".{mask}.new"), &mask, text.as_bytes())
        .map_err(failed("write", &folder.join(&mask)))?;
    let bytes = write_pack(Vec::new(), pack).map_err(failed("write", &folder.join(&name)))?;
    write(&disk, folder, &name, &bytes)?;
    Ok(folder.join(name))
}

/// Reads a pack and checks every byte of it.
///
/// # Errors
/// A file that cannot be read, or is no pack.
pub fn load_pack(place: &Path) -> Result<Pack, PackFileError> {
    let file = File::open(place).map_err(failed("open", place))?;
    read_pack(BufReader::new(file))
        .map_err(|source| PackFileError::NoPack { place: place.to_owned(), source })
}

/// Reads a secret, from the file that is named, or the one beside a pack's.
///
/// # Errors
/// A file that is not there, that others may read, or that is no secret.
pub fn load_secret(place: &Path) -> Result<MaskSecret, PackFileError> {
    let refused = |source| PackFileError::Secret { place: place.to_owned(), source };
    let metadata = fs::metadata(place).map_err(failed("open", place))?;
    ensure_private(&metadata, place).map_err(refused)?;
    let bytes = read_bounded(place, SECRET_FILE_MOST)?;
    let text = String::from_utf8(bytes).unwrap_or_default();
    Ok(MaskSecret::new(secret_of(&text).map_err(refused)?))
}

fn read_bounded(place: &Path, most: u64) -> Result<Vec<u8>, PackFileError> {
    let file = File::open(place).map_err(failed("open", place))?;
    let mut bytes = Vec::new();
    // One byte more than allowed, so that what is too long does not look like what is not.
    file.take(most + 1).read_to_end(&mut bytes).map_err(failed("read", place))?;
    Ok(bytes)
}

/// Writes a pack's header into a folder of fragments.
///
/// # Errors
/// Where the disk fails.
pub fn store_header(folder: &Path, header: &PackHeader) -> Result<(), PackFileError> {
    let name = header_name(&header.content_id());
    write(&open_folder(folder)?, folder, &name, &header.to_bytes())
}

/// Writes a fragment; its file.
///
/// # Errors
/// Where the disk fails.
pub fn store_fragment(
    folder: &Path,
    header: &PackHeader,
    fragment: Fragment,
) -> Result<PathBuf, PackFileError> {
    let (pack, shape) = (header.content_id(), header.shape);
    let name = fragment_name(&pack, fragment.index);
    let bytes = StoredFragment { pack, shape, fragment }.to_bytes();
    write(&open_folder(folder)?, folder, &name, &bytes)?;
    Ok(folder.join(name))
}

/// Reads the header in a folder of fragments, or in a file that is named.
///
/// # Errors
/// None, several, or one that is no header.
pub fn load_header(place: &Path) -> Result<PackHeader, PackFileError> {
    let mut places = if place.is_dir() { list(place, ".header")? } else { vec![place.to_owned()] };
    let found = places.len();
    let Some(file) = places.pop().filter(|_| found == 1) else {
        return Err(PackFileError::Headers { place: place.to_owned(), found });
    };
    let bytes = read_bounded(&file, HEADER_BYTES_MAX as u64)?;
    PackHeader::from_bytes(&bytes).map_err(|source| PackFileError::NoHeader { place: file, source })
}

/// Gathers the fragments of a pack in a folder, each checked; files that are none are its liars. Those
/// whose names are of other packs are not looked at.
///
/// # Errors
/// Where the disk fails.
pub fn collect(folder: &Path, header: PackHeader) -> Result<Collector<PathBuf>, PackFileError> {
    let prefix = format!("{}.", header.content_id());
    let mut collector = Collector::new(header);
    for place in list(folder, ".fragment")? {
        let name = place.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(&prefix) {
            let bytes = read_bounded(&place, FRAGMENT_FILE_MOST)?;
            collector.offer(place, &bytes);
        }
    }
    Ok(collector)
}

/// The packs in a folder, by their names; there are none where there is no folder.
///
/// # Errors
/// Where the disk fails.
pub fn list_packs(folder: &Path) -> Result<Vec<(ContentId, PathBuf)>, PackFileError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let named = |place: PathBuf| Some((place.file_stem()?.to_str()?.parse().ok()?, place));
    Ok(list(folder, ".car")?.into_iter().filter_map(named).collect())
}

/// Writes down which fragments a lease is of: the ledger keeps their hash alone.
///
/// # Errors
/// Where the disk fails.
pub fn store_lease(folder: &Path, fragments: &Fragments) -> Result<(), PackFileError> {
    let name = format!("{}.lease", fragments_hash(fragments));
    write(&open_folder(folder)?, folder, &name, &encode(fragments))
}

/// The files that [`store_lease`] wrote.
///
/// # Errors
/// Where the disk fails.
pub fn list_leases(folder: &Path) -> Result<Vec<PathBuf>, PackFileError> {
    if folder.is_dir() { list(folder, ".lease") } else { Ok(Vec::new()) }
}

/// The files of a folder whose names end so, in order.
fn list(folder: &Path, ending: &str) -> Result<Vec<PathBuf>, PackFileError> {
    let mut places = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed("list", folder))? {
        let name = entry.map_err(failed("list", folder))?.file_name();
        if name.to_str().is_some_and(|name| name.ends_with(ending) && !name.starts_with('.')) {
            places.push(folder.join(name));
        }
    }
    places.sort();
    Ok(places)
}

/// Where the secret of a pack's mask lies, by the file or the id of the pack.
#[must_use]
pub fn secret_beside(pack: &Path, id: ContentId) -> PathBuf {
    pack.parent().unwrap_or(Path::new("")).join(format!("{id}.mask"))
}
