//! The fields of the index, and documents as it takes them.

use chronolith_engine::{Kind, Level};
use tantivy::TantivyDocument;
use tantivy::schema::{
    BytesOptions, Field, IndexRecordOption, NumericOptions, Schema, TextFieldIndexing, TextOptions,
};

use super::cells;
use super::document::{Axis, Chunk, Subject};
use super::remote::{Offer, Provenance, put_offer, put_provenance};
use super::request::Facet;
use super::words::{Analyzer, Word, tokens};

/// Subjects are numbered from here on; before are those that stand for hidden ones. Those of this
/// database have even numbers, those of others odd ones.
pub(super) const FIRST_SUBJECT: u64 = 128;
/// What stands for hidden subjects of others has this bit.
const HIDDEN_REMOTE: u64 = 64;
/// Headers of others have numbers from here on, so that they can be taken out one by one.
const FIRST_HEADER: u64 = 1 << 63;
/// Where a subject costs nothing that is known.
pub(super) const NO_PRICE: u128 = u128::MAX;

/// Names of columns that are read by name.
pub(super) mod column {
    pub(in crate::search) const SUBJECT: &str = "subject";
    pub(in crate::search) const METRIC: &str = "metric_number";
    pub(in crate::search) const FIRST: &str = "first";
    pub(in crate::search) const LAST: &str = "last";
    pub(in crate::search) const WINDOW: &str = "window";
    pub(in crate::search) const REVISION: &str = "revision";
    pub(in crate::search) const RECORDS: &str = "records";
    pub(in crate::search) const SIZE: &str = "size";
    pub(in crate::search) const LOW: &str = "low";
    pub(in crate::search) const HIGH: &str = "high";
    /// The upper half of the price, and the lower.
    pub(in crate::search) const PRICE: [&str; 2] = ["price_upper", "price_lower"];
    pub(in crate::search) const PRINT: &str = "print";
    pub(in crate::search) const LATITUDE: &str = "latitude";
    pub(in crate::search) const LONGITUDE: &str = "longitude";
    pub(in crate::search) const TRUST: &str = "trust";
    /// The first and the last time of an offer.
    pub(in crate::search) const OFFER: [&str; 2] = ["offer_first", "offer_last"];
}

/// The terms of the field `mark`.
pub(super) mod mark {
    /// A metric of this database.
    pub(in crate::search) const SUBJECT: &str = "subject";
    /// A metric of others.
    pub(in crate::search) const REMOTE: &str = "remote";
    /// An offer.
    pub(in crate::search) const OFFER: &str = "offer";
    /// What stands for hidden subjects of this database.
    pub(in crate::search) const HIDDEN: &str = "hidden";
    /// What stands for hidden subjects of others.
    pub(in crate::search) const HIDDEN_REMOTE: &str = "hidden remote";
    /// All that others told: metrics, offers and headers.
    pub(in crate::search) const TOLD: &str = "told";
    /// A subject whose values are latitudes of its device.
    pub(in crate::search) const LATITUDE: &str = "latitude";
    /// A subject whose values are longitudes of its device.
    pub(in crate::search) const LONGITUDE: &str = "longitude";
}

/// All fields.
#[derive(Debug, Clone)]
pub(super) struct Fields {
    pub(super) schema: Schema,
    /// Words of subjects with their positions.
    pub(super) word: Field,
    /// Stems of the same.
    pub(super) stem: Field,
    /// Labels of subjects, key and value in lower case.
    pub(super) label: Field,
    /// What only the program says of a document; see [`mark`].
    pub(super) mark: Field,
    /// The own number of a subject, and of a header of others; other chunks have none.
    pub(super) number: Field,
    /// Cells of time; only chunks have them.
    pub(super) cell: Field,
    /// Cells of degrees; only chunks of coordinates have them.
    pub(super) degrees: Field,
    /// The subject of a chunk, and of a subject itself.
    pub(super) subject: Field,
    pub(super) cid: Field,
    pub(super) tag: Field,
    metadata: Field,
    facets: [Field; Facet::ALL.len()],
    metric: Field,
    first: Field,
    last: Field,
    window: Field,
    revision: Field,
    records: Field,
    size: Field,
    low: Field,
    high: Field,
    price: [Field; 2],
    print: Field,
    latitude: Field,
    longitude: Field,
    trust: Field,
    offer_span: [Field; 2],
    /// Where a header or an offer of others comes from.
    pub(super) provenance: Field,
    /// A whole offer.
    pub(super) offer: Field,
}

impl Fields {
    pub(super) fn new() -> Self {
        let mut schema = Schema::builder();
        let text = |option: IndexRecordOption, norms: bool| {
            let indexing = TextFieldIndexing::default().set_tokenizer("raw");
            TextOptions::default()
                .set_indexing_options(indexing.set_index_option(option).set_fieldnorms(norms))
        };
        let fast = || NumericOptions::default().set_fast();
        let stored = || TextOptions::default().set_stored();
        let word = text(IndexRecordOption::WithFreqsAndPositions, true);
        let facets =
            Facet::ALL.map(|facet| schema.add_text_field(facet.name(), stored().set_fast("raw")));
        Self {
            word: schema.add_text_field("word", word),
            stem: schema.add_text_field("stem", text(IndexRecordOption::WithFreqs, true)),
            label: schema.add_text_field("label", text(IndexRecordOption::Basic, false)),
            mark: schema.add_text_field("mark", text(IndexRecordOption::Basic, false)),
            number: schema.add_u64_field("number", NumericOptions::default().set_indexed()),
            cell: schema.add_u64_field("cell", NumericOptions::default().set_indexed()),
            degrees: schema.add_u64_field("degrees", NumericOptions::default().set_indexed()),
            subject: schema.add_u64_field(column::SUBJECT, fast().set_indexed()),
            cid: schema.add_bytes_field("cid", BytesOptions::default().set_stored()),
            tag: schema.add_text_field("tag", stored()),
            metadata: schema.add_text_field("metadata", stored()),
            facets,
            metric: schema.add_u64_field(column::METRIC, fast()),
            first: schema.add_i64_field(column::FIRST, fast()),
            last: schema.add_i64_field(column::LAST, fast()),
            window: schema.add_i64_field(column::WINDOW, fast()),
            revision: schema.add_u64_field(column::REVISION, fast()),
            records: schema.add_u64_field(column::RECORDS, fast()),
            size: schema.add_u64_field(column::SIZE, fast()),
            low: schema.add_f64_field(column::LOW, fast()),
            high: schema.add_f64_field(column::HIGH, fast()),
            price: column::PRICE.map(|half| schema.add_u64_field(half, fast())),
            print: schema.add_u64_field(column::PRINT, fast()),
            latitude: schema.add_f64_field(column::LATITUDE, fast()),
            longitude: schema.add_f64_field(column::LONGITUDE, fast()),
            trust: schema.add_u64_field(column::TRUST, fast()),
            offer_span: column::OFFER.map(|end| schema.add_i64_field(end, fast())),
            provenance: schema.add_bytes_field("provenance", BytesOptions::default().set_stored()),
            offer: schema.add_bytes_field("offer", BytesOptions::default().set_stored()),
            schema: schema.build(),
        }
    }

    pub(super) fn facet(&self, facet: Facet) -> Field {
        self.facets[facet as usize]
    }

    /// A metric of this database as it is indexed. `print` tells it from other versions of itself.
    pub(super) fn subject_document(
        &self,
        subject: &Subject,
        print: u64,
        analyzer: &mut Analyzer,
    ) -> TantivyDocument {
        let mut document = self.metric_document(subject, local_number(subject.number), analyzer);
        document.add_u64(self.print, print);
        document.add_text(self.mark, mark::SUBJECT);
        document
    }

    /// A metric of others as it is indexed.
    pub(super) fn remote_document(
        &self,
        subject: &Subject,
        analyzer: &mut Analyzer,
    ) -> TantivyDocument {
        let mut document = self.metric_document(subject, remote_number(subject.number), analyzer);
        document.add_text(self.mark, mark::REMOTE);
        document.add_text(self.mark, mark::TOLD);
        document
    }

    fn metric_document(
        &self,
        subject: &Subject,
        number: u64,
        analyzer: &mut Analyzer,
    ) -> TantivyDocument {
        let mut document = self.empty(number);
        document.add_u64(self.number, number);
        let pairs = subject.tags.iter().chain(&subject.metadata);
        let pairs = pairs.flat_map(|(key, value)| [key.as_str(), value]);
        let texts = [subject.metric.as_str(), &subject.device, &subject.unit];
        self.add_words(&mut document, texts.into_iter().chain(pairs), analyzer);
        match subject.axis {
            Some(Axis::Latitude) => document.add_text(self.mark, mark::LATITUDE),
            Some(Axis::Longitude) => document.add_text(self.mark, mark::LONGITUDE),
            None => {}
        }
        let other = subject.metadata.iter().filter(|(key, _)| !subject.tags.contains_key(*key));
        for (key, value) in other.chain(&subject.tags) {
            self.add_label(&mut document, key, value, analyzer);
        }
        let values = Facet::ALL.map(|facet| (facet, facet.of(subject)));
        for (facet, value) in &values {
            if let Some(value) = value
                && !facet.is_label()
            {
                self.add_label(&mut document, facet.name(), value, analyzer);
            }
        }
        for (facet, value) in values {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                document.add_text(self.facet(facet), value);
            }
        }
        for (field, pairs) in [(self.tag, &subject.tags), (self.metadata, &subject.metadata)] {
            pairs
                .iter()
                .for_each(|(key, value)| document.add_text(field, format!("{key}={value}")));
        }
        self.add_price(&mut document, subject.price().unwrap_or(NO_PRICE));
        if let Some((latitude, longitude)) = subject.place {
            document.add_f64(self.latitude, latitude);
            document.add_f64(self.longitude, longitude);
        }
        document
    }

    /// An offer as it is indexed.
    pub(super) fn offer_document(
        &self,
        number: u32,
        offer: &Offer,
        provenance: &Provenance,
        analyzer: &mut Analyzer,
    ) -> TantivyDocument {
        let number = remote_number(number);
        let mut document = self.empty(number);
        document.add_u64(self.number, number);
        let listing = &offer.listing;
        let pairs = listing.tags.iter().flat_map(|(key, value)| [key.as_str(), value]);
        let names = offer.metrics.iter().chain(&listing.devices).map(String::as_str);
        let texts = [listing.description.as_str(), &listing.region, &offer.owner, &offer.device];
        self.add_words(&mut document, names.chain(texts).chain(pairs), analyzer);
        // A tag that is named as a facet must not tell of another owner or price than there is.
        for (key, value) in &listing.tags {
            if Facet::from_name(&key.to_lowercase()).is_none() {
                self.add_label(&mut document, key, value, analyzer);
            }
        }
        for facet in Facet::ALL {
            let mut values = facet.of_offer(offer);
            values.retain(|value| !value.is_empty());
            values.sort_unstable();
            values.dedup();
            for value in values {
                self.add_label(&mut document, facet.name(), &value, analyzer);
                document.add_text(self.facet(facet), value);
            }
        }
        self.add_price(&mut document, offer.price.least().min(NO_PRICE - 1));
        let (first_ns, last_ns) = offer.span_ns();
        document.add_i64(self.offer_span[0], first_ns);
        document.add_i64(self.offer_span[1], last_ns);
        let mut bytes = Vec::new();
        put_offer(&mut bytes, offer);
        document.add_bytes(self.offer, &bytes);
        document.add_text(self.mark, mark::OFFER);
        self.add_provenance(&mut document, provenance);
        document
    }

    /// A header of others as it is indexed.
    pub(super) fn header_document(
        &self,
        sequence: u64,
        chunk: &Chunk,
        provenance: &Provenance,
        cells: &mut Vec<u64>,
    ) -> TantivyDocument {
        let subject = match chunk.subject {
            Some(number) => remote_number(number),
            None => hidden_number(chunk.level, chunk.kind, true),
        };
        let mut document = self.chunk_of(subject, chunk, cells);
        document.add_u64(self.number, header_number(sequence));
        self.add_provenance(&mut document, provenance);
        document
    }

    fn add_provenance(&self, document: &mut TantivyDocument, provenance: &Provenance) {
        let mut bytes = Vec::new();
        put_provenance(&mut bytes, provenance);
        document.add_bytes(self.provenance, &bytes);
        document.add_u64(self.trust, provenance.trust as u64);
        document.add_text(self.mark, mark::TOLD);
    }

    fn add_label(
        &self,
        document: &mut TantivyDocument,
        key: &str,
        value: &str,
        analyzer: &mut Analyzer,
    ) {
        let term = label_term(&analyzer.label(key), &analyzer.label(value));
        document.add_text(self.label, term);
    }

    /// What stands for all hidden subjects of a level and kind.
    pub(super) fn hidden_document(
        &self,
        level: Level,
        kind: Kind,
        is_remote: bool,
    ) -> TantivyDocument {
        let number = hidden_number(level, kind, is_remote);
        let mut document = self.empty(number);
        document.add_u64(self.number, number);
        self.add_price(&mut document, NO_PRICE);
        let (level, kind) = (level.number().to_string(), kind.name());
        let mark = if is_remote { mark::HIDDEN_REMOTE } else { mark::HIDDEN };
        document.add_text(self.mark, mark);
        document.add_text(self.label, label_term(Facet::Level.name(), &level));
        document.add_text(self.label, label_term(Facet::Type.name(), kind));
        document.add_text(self.facet(Facet::Level), level);
        document.add_text(self.facet(Facet::Type), kind);
        document
    }

    /// A chunk of this database as it is indexed.
    pub(super) fn chunk_document(&self, chunk: &Chunk, cells: &mut Vec<u64>) -> TantivyDocument {
        let subject = match chunk.subject {
            Some(number) => local_number(number),
            None => hidden_number(chunk.level, chunk.kind, false),
        };
        self.chunk_of(subject, chunk, cells)
    }

    fn chunk_of(&self, subject: u64, chunk: &Chunk, cells: &mut Vec<u64>) -> TantivyDocument {
        let mut document = TantivyDocument::with_capacity(320);
        document.add_u64(self.subject, subject);
        document.add_u64(self.metric, u64::from(chunk.id.metric));
        document.add_i64(self.first, chunk.first_ns);
        document.add_i64(self.last, chunk.last_ns);
        document.add_i64(self.window, chunk.id.window);
        document.add_u64(self.revision, revision(chunk.id.generation, chunk.id.part));
        document.add_u64(self.records, u64::from(chunk.records));
        document.add_u64(self.size, u64::from(chunk.size_bytes));
        document.add_bytes(self.cid, &chunk.cid.to_bytes());
        cells::terms_of_span(chunk.first_ns, chunk.last_ns, cells);
        cells.iter().for_each(|cell| document.add_u64(self.cell, *cell));
        if let Some((axis, (low, high))) = chunk.bounds {
            document.add_f64(self.low, low);
            document.add_f64(self.high, high);
            cells::terms_of_bounds(axis, (low, high), cells);
            cells.iter().for_each(|cell| document.add_u64(self.degrees, *cell));
        }
        document
    }

    /// A document with the columns of chunks that all have, so that these are dense. It ends
    /// before it begins: no range of time finds it.
    fn empty(&self, subject: u64) -> TantivyDocument {
        let mut document = TantivyDocument::default();
        document.add_u64(self.subject, subject);
        document.add_i64(self.first, 1);
        document.add_i64(self.last, 0);
        document.add_i64(self.window, 0);
        for field in [self.metric, self.revision, self.records, self.size] {
            document.add_u64(field, 0);
        }
        document
    }

    fn add_price(&self, document: &mut TantivyDocument, price: u128) {
        document.add_u64(self.price[0], (price >> 64) as u64);
        document.add_u64(self.price[1], price as u64);
    }

    fn add_words<'a>(
        &self,
        document: &mut TantivyDocument,
        texts: impl Iterator<Item = &'a str>,
        analyzer: &mut Analyzer,
    ) {
        let (mut words, mut position) = (Vec::new(), 0);
        for text in texts {
            // Phrases do not reach from one text into the next.
            position = analyzer.words(text, position, &mut words) + 8;
        }
        let stems: Vec<Word> = words
            .iter()
            .map(|word| Word { text: analyzer.stem(&word.text), position: word.position })
            .collect();
        document.add_pre_tokenized_text(self.stem, tokens(stems.into_iter()));
        document.add_pre_tokenized_text(self.word, tokens(words.into_iter()));
    }
}

/// The term of a label; names hardly ever hold what is between the two.
pub(super) fn label_term(key: &str, value: &str) -> String {
    format!("{key}\u{0}{value}")
}

/// The number of what stands for hidden subjects of a level and kind.
pub(super) const fn hidden_number(level: Level, kind: Kind, is_remote: bool) -> u64 {
    let remote = if is_remote { HIDDEN_REMOTE } else { 0 };
    remote | (level.number() as u64 & 3) << 4 | (kind as u64 & 15)
}

/// The number in the index of a metric of this database.
pub(super) const fn local_number(number: u32) -> u64 {
    FIRST_SUBJECT + 2 * number as u64
}

/// The number in the index of a metric or an offer of others.
pub(super) const fn remote_number(number: u32) -> u64 {
    FIRST_SUBJECT + 2 * number as u64 + 1
}

/// Whether a number in the index is of others.
pub(super) const fn is_remote(number: u64) -> bool {
    number & (if number < FIRST_SUBJECT { HIDDEN_REMOTE } else { 1 }) != 0
}

/// The number of a header of others.
pub(super) const fn header_number(sequence: u64) -> u64 {
    FIRST_HEADER | sequence
}

/// Generation and part of a chunk in one number, in their order.
pub(super) const fn revision(generation: u32, part: u32) -> u64 {
    (generation as u64) << 32 | part as u64
}
