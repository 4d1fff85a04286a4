//! An index is a cache: damaged, cut short or half written in any place, it is built anew and
//! answers as before.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use chronolith_engine::SealScope;
use chronolith_query::search::{CatalogueSource, Request, SearchIndex, Target};

use crate::catalogues_are_followed::{answers, drive, open};

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.is_file()).collect();
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for file in files(from) {
        fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

#[test]
fn every_damage_gives_the_same_answers() {
    let directory = tempfile::tempdir().unwrap();
    let db = open(&directory.path().join("db"));
    let folder = directory.path().join("search");
    for (device, place) in [("car-1", (48.1, 11.5)), ("car-2", (52.5, 13.4))] {
        drive(&db, device, 0, 3, place);
        db.seal(SealScope::All).unwrap();
        SearchIndex::open(&folder).unwrap().follow(&CatalogueSource::new(&db)).unwrap();
    }
    let index = SearchIndex::open(&folder).unwrap();
    let expected = answers(&index);
    drop(index);
    let whole = directory.path().join("whole");
    copy(&folder.join("index"), &whole);
    let names: Vec<PathBuf> = files(&whole);
    let (mut damages, mut rebuilt) = (0, 0);
    for name in &names {
        let bytes = fs::read(name).unwrap();
        let mut damaged: Vec<Vec<u8>> = [0, bytes.len() / 2, bytes.len().saturating_sub(1)]
            .map(|len| bytes[..len.min(bytes.len())].to_vec())
            .into();
        let step = (bytes.len() / 24).max(1);
        damaged.extend((0..bytes.len()).step_by(step).map(|at| {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            flipped
        }));
        damaged.push([&bytes[..], b"tail"].concat());
        for damaged in damaged {
            copy(&whole, &folder.join("index"));
            let file = folder.join("index").join(name.file_name().unwrap());
            fs::write(&file, &damaged).unwrap();
            let mut index = SearchIndex::open(&folder).unwrap();
            rebuilt += usize::from(index.position().is_none());
            index.follow(&CatalogueSource::new(&db)).unwrap();
            assert_eq!(answers(&index), expected, "{}", file.display());
            damages += 1;
        }
        copy(&whole, &folder.join("index"));
        fs::remove_file(folder.join("index").join(name.file_name().unwrap())).unwrap();
        let mut index = SearchIndex::open(&folder).unwrap();
        index.follow(&CatalogueSource::new(&db)).unwrap();
        assert_eq!(answers(&index), expected, "without {}", name.display());
    }
    eprintln!("{damages} damages of {} files, {rebuilt} seen", names.len());
    assert!(rebuilt * 10 > damages * 7, "{rebuilt} of {damages} damages were seen");
}

#[test]
fn what_an_interrupted_replacement_left_is_no_obstacle() {
    let directory = tempfile::tempdir().unwrap();
    let db = open(&directory.path().join("db"));
    drive(&db, "car-1", 0, 3, (48.1, 11.5));
    db.seal(SealScope::All).unwrap();
    let folder = directory.path().join("search");
    let mut index = SearchIndex::open(&folder).unwrap();
    index.follow(&CatalogueSource::new(&db)).unwrap();
    let expected = answers(&index);
    for (from, to) in [("index", "building"), ("index", "replaced")] {
        drop(fs::remove_dir_all(folder.join(to)));
        fs::rename(folder.join(from), folder.join(to)).unwrap();
        let mut index = SearchIndex::open(&folder).unwrap();
        assert!(index.position().is_none());
        index.follow(&CatalogueSource::new(&db)).unwrap();
        assert_eq!(answers(&index), expected);
    }
    fs::create_dir_all(folder.join("building")).unwrap();
    fs::write(folder.join("building/meta.json"), "{").unwrap();
    let mut index = SearchIndex::open(&folder).unwrap();
    index.forget();
    index.follow(&CatalogueSource::new(&db)).unwrap();
    assert_eq!(answers(&index), expected);
}

#[test]
fn damaged_data_does_not_keep_the_rest_from_being_found() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let db = open(&path);
    drive(&db, "car-1", 0, 2, (48.1, 11.5));
    db.seal(SealScope::All).unwrap();
    drive(&db, "car-2", 0, 2, (48.1, 11.5));
    db.seal(SealScope::All).unwrap();
    let file = db.segments()[1].file.clone();
    db.close().unwrap();
    let original = fs::read(path.join(&file)).unwrap();
    let mut damaged = original.clone();
    let end = damaged.len() - 1;
    damaged[end] ^= 1;
    fs::write(path.join(&file), &damaged).unwrap();
    let folder = path.join("search");
    let devices = |expected: &[&str], is_damaged: bool| {
        let db = open(&path);
        let source = CatalogueSource::new(&db);
        let mut index = SearchIndex::open(&folder).unwrap();
        index.follow(&source).unwrap();
        assert_eq!(source.take_damaged().len(), usize::from(is_damaged));
        let request = Request { target: Target::Chunk, ..Request::default() };
        let hits = index.search(&request).unwrap().hits;
        let found: BTreeSet<String> = hits.into_iter().map(|hit| hit.device).collect();
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    };
    devices(&["car-1"], true);
    devices(&["car-1"], true);
    fs::write(path.join(&file), &original).unwrap();
    devices(&["car-1", "car-2"], false);
}
