//! Following sources: what is new goes in, what is gone goes out, in one commit with the position.

use std::collections::{HashMap, HashSet};

use tantivy::indexer::IndexWriterOptions;
use tantivy::query::Query;
use tantivy::query::doc_predicate_query::{DocPredicateQuery, FunctionPredicate};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet, Index, IndexWriter, ReloadPolicy, Searcher, SegmentReader, Term};

use super::document::{Chunk, ChunkId, Source, Subject, Update};
use super::error::SearchError;
use super::index::{Loaded, SearchIndex};
use super::position::Position;
use super::remote::{Offer, Provenance, RemoteSource, RemoteUpdate};
use super::schema::{
    Fields, column, header_number, hidden_number, is_remote, local_number, mark, remote_number,
    revision,
};
use super::words::Analyzer;

/// Memory in which documents are gathered before they go to a file: bytes. The least that tantivy takes:
/// each following pays for its pages anew.
const BUDGET_BYTES: usize = 15_000_000;

/// What following did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    /// Nothing had changed.
    Unchanged,
    /// What had changed was added.
    Updated,
    /// The index was built anew.
    Rebuilt,
    /// Somebody else changes the index, or it cannot be written: what was committed last is
    /// searched.
    Behind,
    /// The same, and nothing was committed: an index in memory is searched.
    InMemory,
}

impl SearchIndex {
    /// Brings the index up to what a database has; what it has of others stays as it is. Killed at any
    /// moment, the next following goes on from the last commit or builds anew.
    pub fn follow(&mut self, source: &dyn Source) -> Result<Followed, SearchError> {
        self.follow_sources(&Sources { local: Some(source), remote: None })
    }

    /// The same for what others told alone.
    pub fn follow_remote(&mut self, source: &RemoteSource) -> Result<Followed, SearchError> {
        self.follow_sources(&Sources { local: None, remote: Some(source) })
    }

    /// The same for both.
    pub fn follow_both(
        &mut self,
        local: &dyn Source,
        remote: &RemoteSource,
    ) -> Result<Followed, SearchError> {
        self.follow_sources(&Sources { local: Some(local), remote: Some(remote) })
    }

    fn follow_sources(&mut self, source: &Sources<'_>) -> Result<Followed, SearchError> {
        let Some(_lock) = self.lock()? else {
            if self.loaded.is_some() {
                return Ok(Followed::Behind);
            }
            self.loaded =
                Some(self.build(Index::create_in_ram(self.fields.schema.clone()), source)?);
            return Ok(Followed::InMemory);
        };
        // Another process may have changed it since it was opened.
        if self.load_changed().is_ok() {
            match self.update(source) {
                Ok(Some(followed)) => return Ok(followed),
                Err(error @ (SearchError::Read(_) | SearchError::Remote(_))) => return Err(error),
                // What an index does not take is as good as damage.
                Ok(None) | Err(_) => {}
            }
        }
        let path = self.building()?;
        let index = Index::create_in_dir(&path, self.fields.schema.clone());
        let index = index.map_err(|error| SearchError::index(path.display(), error))?;
        drop(self.build(index, source)?);
        self.replace()?;
        self.load().map_err(|damage| SearchError::index(self.folder.display(), damage))?;
        Ok(Followed::Rebuilt)
    }

    /// Adds what changed since the index' position; `None` where it has to be built anew.
    fn update(&mut self, source: &Sources<'_>) -> Result<Option<Followed>, SearchError> {
        let Some(loaded) = &self.loaded else { return Ok(None) };
        let mut writer = Writer::new(&self.fields, &loaded.index, Some(loaded.reader.searcher()));
        let Some(position) = source.changes(&loaded.position, &mut writer)? else {
            return Ok(None);
        };
        if !writer.has_changed && position == loaded.position {
            return Ok(Some(Followed::Unchanged));
        }
        writer.commit(&position)?;
        Ok(self.load().is_ok().then_some(Followed::Updated))
    }

    /// Fills an empty index with everything that a source has.
    fn build(&self, index: Index, source: &Sources<'_>) -> Result<Loaded, SearchError> {
        let mut writer = Writer::new(&self.fields, &index, None);
        let position = source.everything(&mut writer)?.ok_or_else(|| {
            SearchError::index(self.folder.display(), "the source has no beginning")
        })?;
        writer.commit(&position)?;
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let loaded = Loaded { index, reader, position };
        let damage = |damage| SearchError::index(self.folder.display(), damage);
        loaded.check_counts(&self.fields).map_err(damage)?;
        Ok(loaded)
    }
}

/// Where documents come from.
struct Sources<'a> {
    local: Option<&'a dyn Source>,
    remote: Option<&'a RemoteSource>,
}

impl Sources<'_> {
    /// Hands over what changed since a position; the new one. `None` where all has to begin anew.
    fn changes(
        &self,
        since: &Position,
        writer: &mut Writer<'_>,
    ) -> Result<Option<Position>, SearchError> {
        let mut position = match self.local {
            None => since.clone(),
            Some(local) => match local.changes(Some(since), writer)? {
                None => return Ok(None),
                Some(position) => position,
            },
        };
        position.remote = match self.remote {
            None => since.remote,
            Some(remote) => remote.changes(since.remote.as_ref(), writer)?,
        };
        position.subjects = writer.subjects(since.subjects);
        Ok(Some(position))
    }

    /// Hands over everything.
    fn everything(&self, writer: &mut Writer<'_>) -> Result<Option<Position>, SearchError> {
        let mut position = match self.local {
            None => Position::default(),
            Some(local) => match local.changes(None, writer)? {
                None => return Ok(None),
                Some(position) => position,
            },
        };
        if let Some(remote) = self.remote {
            position.remote = remote.changes(None, writer)?;
        }
        position.subjects = writer.subjects(0);
        Ok(Some(position))
    }
}

/// Changes of an index that become visible together.
struct Writer<'a> {
    fields: &'a Fields,
    index: &'a Index,
    /// Started with the first change: most followings find none.
    writer: Option<IndexWriter>,
    analyzer: Analyzer,
    cells: Vec<u64>,
    searcher: Option<Searcher>,
    /// Read when it is first asked for.
    known: Option<Known>,
    has_changed: bool,
}

/// The metrics of this database that are in an index, and what stands for hidden ones.
#[derive(Default)]
struct Known {
    /// What tells the version of each metric, by its number in the index.
    prints: HashMap<u64, u64>,
    /// What stands for hidden subjects.
    hidden: HashSet<u64>,
}

impl Known {
    fn read(fields: &Fields, searcher: Option<&Searcher>) -> Result<Self, SearchError> {
        let mut known = Self::default();
        for reader in searcher.into_iter().flat_map(Searcher::segment_readers) {
            let columns = reader.fast_fields();
            let subjects = columns.u64(column::SUBJECT)?;
            for mark in [mark::HIDDEN, mark::HIDDEN_REMOTE] {
                for doc in marked(fields, reader, mark)? {
                    known.hidden.extend(subjects.first(doc));
                }
            }
            let Some(print) = columns.column_opt::<u64>(column::PRINT)? else { continue };
            for doc in marked(fields, reader, mark::SUBJECT)? {
                if let (Some(subject), Some(print)) = (subjects.first(doc), print.first(doc)) {
                    known.prints.insert(subject, print);
                }
            }
        }
        Ok(known)
    }
}

impl<'a> Writer<'a> {
    fn new(fields: &'a Fields, index: &'a Index, searcher: Option<Searcher>) -> Self {
        let (analyzer, cells) = (Analyzer::default(), Vec::new());
        let (writer, known, has_changed) = (None, None, false);
        Self { fields, index, writer, analyzer, cells, searcher, known, has_changed }
    }

    fn known(&mut self) -> Result<&mut Known, SearchError> {
        match &mut self.known {
            Some(known) => Ok(known),
            slot @ None => Ok(slot.insert(Known::read(self.fields, self.searcher.as_ref())?)),
        }
    }

    /// How many metrics of this database there are with the changes, and what stands for hidden ones,
    /// where there were so many before.
    fn subjects(&self, before: u64) -> u64 {
        let count = |known: &Known| (known.prints.len() + known.hidden.len()) as u64;
        self.known.as_ref().map_or(before, count)
    }

    /// Adds what stands for the hidden subjects of a chunk, where it has none and that is not there.
    fn add_hidden(&mut self, chunk: &Chunk, is_remote: bool) -> Result<(), SearchError> {
        let number = hidden_number(chunk.level, chunk.kind, is_remote);
        if chunk.subject.is_none() && self.known()?.hidden.insert(number) {
            let document = self.fields.hidden_document(chunk.level, chunk.kind, is_remote);
            self.writer()?.add_document(document)?;
        }
        Ok(())
    }

    /// Takes out the document of a number.
    fn remove(&mut self, number: u64) -> Result<(), SearchError> {
        let term = Term::from_field_u64(self.fields.number, number);
        self.writer()?.delete_term(term);
        Ok(())
    }

    fn writer(&mut self) -> Result<&IndexWriter, SearchError> {
        self.has_changed = true;
        match &mut self.writer {
            Some(writer) => Ok(writer),
            slot @ None => Ok(slot.insert(start(self.index)?)),
        }
    }

    fn commit(mut self, position: &Position) -> Result<(), SearchError> {
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => start(self.index)?,
        };
        let mut prepared = writer.prepare_commit()?;
        prepared.set_payload(&position.to_text());
        prepared.commit()?;
        writer.wait_merging_threads()?;
        Ok(())
    }
}

fn start(index: &Index) -> Result<IndexWriter, SearchError> {
    let options = IndexWriterOptions::builder()
        .memory_budget_per_thread(BUDGET_BYTES)
        .num_worker_threads(1)
        .num_merge_threads(1)
        .build();
    Ok(index.writer_with_options(options)?)
}

/// The documents of a segment with a mark.
pub(super) fn marked(
    fields: &Fields,
    reader: &SegmentReader,
    mark: &str,
) -> Result<Vec<u32>, SearchError> {
    let term = Term::from_field_text(fields.mark, mark);
    let postings =
        reader.inverted_index(fields.mark)?.read_postings(&term, IndexRecordOption::Basic);
    let postings = postings.map_err(tantivy::TantivyError::from)?;
    let Some(mut postings) = postings else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    while postings.doc() != tantivy::TERMINATED {
        if !reader.is_deleted(postings.doc()) {
            found.push(postings.doc());
        }
        postings.advance();
    }
    Ok(found)
}

/// A number that tells one version of a subject from another.
fn print(subject: &Subject) -> u64 {
    let mut bytes = Vec::with_capacity(256);
    let mut put = |text: &str| {
        bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    };
    [&subject.device, &subject.metric, &subject.unit].into_iter().for_each(|text| put(text));
    for pairs in [&subject.tags, &subject.metadata] {
        put(&pairs.len().to_string());
        pairs.iter().flat_map(|(key, value)| [key, value]).for_each(|text| put(text));
    }
    put(&format!("{:?}", (subject.kind, subject.level, subject.place, subject.axis)));
    (bytes.len() as u64) << 32 | u64::from(crc32fast::hash(&bytes))
}

impl Update for Writer<'_> {
    fn knows_subject(&mut self, number: u32) -> Result<bool, SearchError> {
        Ok(self.known()?.prints.contains_key(&local_number(number)))
    }

    fn subject(&mut self, subject: &Subject) -> Result<(), SearchError> {
        let print = print(subject);
        let number = local_number(subject.number);
        let known = self.known()?.prints.insert(number, print);
        if known == Some(print) {
            return Ok(());
        }
        if known.is_some() {
            self.remove(number)?;
        }
        let document = self.fields.subject_document(subject, print, &mut self.analyzer);
        self.writer()?.add_document(document)?;
        Ok(())
    }

    fn chunk(&mut self, chunk: &Chunk) -> Result<(), SearchError> {
        self.add_hidden(chunk, false)?;
        let document = self.fields.chunk_document(chunk, &mut self.cells);
        self.writer()?.add_document(document)?;
        Ok(())
    }

    fn gone(&mut self, chunks: Vec<ChunkId>) -> Result<(), SearchError> {
        if !chunks.is_empty() {
            let query = those_of(chunks.into_iter().collect());
            self.writer()?.delete_query(query)?;
        }
        Ok(())
    }
}

impl RemoteUpdate for Writer<'_> {
    fn clear(&mut self) -> Result<(), SearchError> {
        let term = Term::from_field_text(self.fields.mark, mark::TOLD);
        self.writer()?.delete_term(term);
        Ok(())
    }

    fn metric(&mut self, subject: &Subject) -> Result<(), SearchError> {
        self.remove(remote_number(subject.number))?;
        let document = self.fields.remote_document(subject, &mut self.analyzer);
        self.writer()?.add_document(document)?;
        Ok(())
    }

    fn subject_gone(&mut self, number: u32) -> Result<(), SearchError> {
        self.remove(remote_number(number))
    }

    fn header(
        &mut self,
        sequence: u64,
        chunk: &Chunk,
        provenance: &Provenance,
    ) -> Result<(), SearchError> {
        self.add_hidden(chunk, true)?;
        let document = self.fields.header_document(sequence, chunk, provenance, &mut self.cells);
        self.writer()?.add_document(document)?;
        Ok(())
    }

    fn header_gone(&mut self, sequence: u64) -> Result<(), SearchError> {
        self.remove(header_number(sequence))
    }

    fn offer(
        &mut self,
        number: u32,
        offer: &Offer,
        provenance: &Provenance,
    ) -> Result<(), SearchError> {
        self.remove(remote_number(number))?;
        let document = self.fields.offer_document(number, offer, provenance, &mut self.analyzer);
        self.writer()?.add_document(document)?;
        Ok(())
    }
}

/// A query for chunks of this database by their ids.
fn those_of(ids: HashSet<ChunkId>) -> Box<dyn Query> {
    let ids = std::sync::Arc::new(ids);
    let predicate = FunctionPredicate::from(move |reader: &SegmentReader| {
        let columns = reader.fast_fields();
        let metric = columns.u64(column::METRIC)?;
        let window = columns.i64(column::WINDOW)?;
        let revisions = columns.u64(column::REVISION)?;
        let last = columns.i64(column::LAST)?;
        let first = columns.i64(column::FIRST)?;
        let subject = columns.u64(column::SUBJECT)?;
        let ids = std::sync::Arc::clone(&ids);
        Ok(move |doc: u32| {
            let values = (metric.first(doc), window.first(doc), revisions.first(doc));
            let (Some(metric), Some(window), Some(found)) = values else { return false };
            let (generation, part) = ((found >> 32) as u32, found as u32);
            debug_assert_eq!(revision(generation, part), found);
            let is_chunk = first.first(doc) <= last.first(doc);
            let is_own = subject.first(doc).is_some_and(|number| !is_remote(number));
            is_chunk
                && is_own
                && ids.contains(&ChunkId { metric: metric as u32, window, generation, part })
        })
    });
    Box::new(DocPredicateQuery::from(predicate))
}
