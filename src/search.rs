//! The search index beside a database, and what others told beside it.

use std::path::Path;

use chronolith_query::search::remote::{RemoteError, RemoteSource};
use chronolith_query::search::{CatalogueSource, Followed, GeoBox, SearchError, SearchIndex};

/// The folder of the index in a database.
pub(crate) const FOLDER: &str = "search";
/// The folder of what others told in a database.
pub(crate) const REMOTE_FOLDER: &str = "remote";

/// What others told of a database, for an index.
pub(crate) fn remote_source(directory: &Path) -> Result<RemoteSource, RemoteError> {
    RemoteSource::new(&directory.join(REMOTE_FOLDER))
}

/// Brings an index up to date with a database and what others told beside it. Where that is damaged,
/// `tell` is told, and the database is followed alone.
///
/// # Errors
/// Where the index or the database cannot be read.
pub(crate) fn follow(
    index: &mut SearchIndex,
    directory: &Path,
    source: &CatalogueSource<'_>,
    tell: &mut dyn FnMut(&str),
) -> Result<Followed, SearchError> {
    let followed = remote_source(directory)
        .map_err(SearchError::from)
        .and_then(|remote| index.follow_both(source, &remote));
    match followed {
        Err(SearchError::Remote(error)) => {
            tell(&format!("what others told is not brought up to date: {error}"));
            index.follow(source)
        }
        other => other,
    }
}

/// Two corners as `LAT,LON,LAT,LON`, or what is wrong with them.
pub(crate) fn corners(text: &str) -> Result<GeoBox, String> {
    let numbers: Vec<f64> = text.split(',').map_while(|part| part.trim().parse().ok()).collect();
    match (&numbers[..], text.split(',').count()) {
        (&[south, west, north, east], 4) => {
            let (south, north) = (south.min(north), south.max(north));
            GeoBox::new(south, west, north, east).map_err(|error| error.to_string())
        }
        _ => Err(format!("{text:?} is no box; write two corners in degrees: 48.1,11.4,48.3,11.7")),
    }
}
