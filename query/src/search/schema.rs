//! The fields of the index, and documents as it takes them.

use chronolith_engine::{Kind, Level};
use tantivy::TantivyDocument;
use tantivy::schema::{
    BytesOptions, Field, IndexRecordOption, NumericOptions, Schema, TextFieldIndexing, TextOptions,
};

use super::cells;
use super::document::{Axis, Chunk, Subject};
use super::request::Facet;
use super::words::{Analyzer, Word, tokens};

/// Subjects are numbered from here on; before are those that stand for hidden ones.
pub(super) const FIRST_SUBJECT: u64 = 64;
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
}

/// The terms of the field `mark`.
pub(super) mod mark {
    /// A subject.
    pub(in crate::search) const SUBJECT: &str = "subject";
    /// What stands for hidden subjects.
    pub(in crate::search) const HIDDEN: &str = "hidden";
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
    /// A subject's own number; only subjects have it.
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
            schema: schema.build(),
        }
    }

    pub(super) fn facet(&self, facet: Facet) -> Field {
        self.facets[facet as usize]
    }

    /// A subject as it is indexed. `print` tells it from other versions of itself.
    pub(super) fn subject_document(
        &self,
        subject: &Subject,
        print: u64,
        analyzer: &mut Analyzer,
    ) -> TantivyDocument {
        let mut document = self.empty(FIRST_SUBJECT + u64::from(subject.number));
        document.add_u64(self.number, FIRST_SUBJECT + u64::from(subject.number));
        document.add_u64(self.print, print);
        self.add_words(&mut document, subject, analyzer);
        document.add_text(self.mark, mark::SUBJECT);
        match subject.axis {
            Some(Axis::Latitude) => document.add_text(self.mark, mark::LATITUDE),
            Some(Axis::Longitude) => document.add_text(self.mark, mark::LONGITUDE),
            None => {}
        }
        let mut label = |key: &str, value: &str| {
            let term = label_term(&analyzer.label(key), &analyzer.label(value));
            document.add_text(self.label, term);
        };
        let other = subject.metadata.iter().filter(|(key, _)| !subject.tags.contains_key(*key));
        for (key, value) in other.chain(&subject.tags) {
            label(key, value);
        }
        let values = Facet::ALL.map(|facet| (facet, facet.of(subject)));
        for (facet, value) in &values {
            if let Some(value) = value
                && !matches!(facet, Facet::Class | Facet::Owner | Facet::Region | Facet::Price)
            {
                label(facet.name(), value);
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

    /// What stands for all hidden subjects of a level and kind.
    pub(super) fn hidden_document(&self, level: Level, kind: Kind) -> TantivyDocument {
        let number = hidden_number(level, kind);
        let mut document = self.empty(number);
        document.add_u64(self.number, number);
        self.add_price(&mut document, NO_PRICE);
        let (level, kind) = (level.number().to_string(), kind.name());
        document.add_text(self.mark, mark::HIDDEN);
        document.add_text(self.label, label_term(Facet::Level.name(), &level));
        document.add_text(self.label, label_term(Facet::Type.name(), kind));
        document.add_text(self.facet(Facet::Level), level);
        document.add_text(self.facet(Facet::Type), kind);
        document
    }

    /// A chunk as it is indexed.
    pub(super) fn chunk_document(&self, chunk: &Chunk, cells: &mut Vec<u64>) -> TantivyDocument {
        let subject = match chunk.subject {
            Some(number) => FIRST_SUBJECT + u64::from(number),
            None => hidden_number(chunk.level, chunk.kind),
        };
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

    fn add_words(
        &self,
        document: &mut TantivyDocument,
        subject: &Subject,
        analyzer: &mut Analyzer,
    ) {
        let mut words = Vec::new();
        let pairs = subject.tags.iter().chain(&subject.metadata);
        let pairs = pairs.flat_map(|(key, value)| [key.as_str(), value]);
        let texts = [subject.metric.as_str(), &subject.device, &subject.unit];
        let mut position = 0;
        for text in texts.into_iter().chain(pairs) {
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
pub(super) const fn hidden_number(level: Level, kind: Kind) -> u64 {
    (level.number() as u64 & 3) << 4 | (kind as u64 & 15)
}

/// Generation and part of a chunk in one number, in their order.
pub(super) const fn revision(generation: u32, part: u32) -> u64 {
    (generation as u64) << 32 | part as u64
}
