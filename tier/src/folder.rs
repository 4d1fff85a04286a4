//! A folder as a segment store: a disk that is larger or slower, or a file server.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chronolith_engine::StoreProblem;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

/// The client of a folder. It is made for each call, since the folder may come and go.
pub(crate) fn client(folder: &Path) -> Result<Arc<dyn ObjectStore>, StoreProblem> {
    match LocalFileSystem::new_with_prefix(folder) {
        Ok(client) => Ok(Arc::new(client)),
        Err(error) => Err(StoreProblem::Unreachable(format!(
            "the folder {} cannot be opened ({error}); make it, or mount what should be there",
            folder.display()
        ))),
    }
}

/// Makes an object durable with its name and all folders above it, which the client does not, and
/// removes what an interrupted upload of it left.
pub(crate) fn make_durable(folder: &Path, object: &str) -> Result<(), StoreProblem> {
    let place = folder.join(object);
    sync(&place)
        .and_then(|()| remove_parts(&place))
        .and_then(|()| sync_folders(folder, &place))
        .map_err(|error| problem(&place, &error))
}

/// Makes the removal of an object durable.
pub(crate) fn make_removal_durable(folder: &Path, object: &str) -> Result<(), StoreProblem> {
    let Some(parent) = folder.join(object).parent().map(Path::to_owned) else { return Ok(()) };
    match sync(&parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        synced => synced.map_err(|error| problem(&parent, &error)),
    }
}

fn problem(place: &Path, error: &io::Error) -> StoreProblem {
    StoreProblem::Other(format!("{} cannot be synced: {error}", place.display()))
}

fn sync(place: &Path) -> io::Result<()> {
    File::open(place)?.sync_all()
}

fn sync_folders(folder: &Path, place: &Path) -> io::Result<()> {
    let above = place.ancestors().skip(1);
    above.take_while(|above| above.starts_with(folder)).try_for_each(sync)
}

/// The client writes to `NAME#1` and so on before it renames.
fn remove_parts(place: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (place.parent(), place.file_name()) else { return Ok(()) };
    let start = format!("{}#", name.to_string_lossy());
    let parts = fs::read_dir(parent)?.filter_map(Result::ok);
    let parts: Vec<PathBuf> = parts
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&start))
        .map(|entry| entry.path())
        .collect();
    parts.iter().try_for_each(fs::remove_file)
}
