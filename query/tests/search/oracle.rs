//! A search that looks at every document: what the index must find.

use std::collections::{BTreeMap, BTreeSet};

use chronolith_engine::{Kind, Level};
use chronolith_query::search::{
    Axis, Chunk, ChunkId, Facet, GeoBox, Position, SearchError, SegmentMark, Source, Subject,
    Target, Update,
};

/// Documents in memory as a source; they never change.
#[derive(Debug, Clone, Default)]
pub(crate) struct Documents {
    pub(crate) subjects: Vec<Subject>,
    pub(crate) chunks: Vec<Chunk>,
}

impl Source for Documents {
    fn changes(
        &self,
        since: Option<&Position>,
        update: &mut dyn Update,
    ) -> Result<Option<Position>, SearchError> {
        if let Some(since) = since {
            return Ok(Some(since.clone()));
        }
        for subject in &self.subjects {
            update.subject(subject)?;
        }
        for chunk in &self.chunks {
            update.chunk(chunk)?;
        }
        let mark = SegmentMark { size_bytes: 1, chunks: self.chunks.len() as u64 };
        let segments = BTreeMap::from([("all".to_owned(), mark)]);
        Ok(Some(Position { source: vec![7], segments, ..Position::default() }))
    }
}

/// What a query means, beside how it is written.
#[derive(Debug, Clone)]
pub(crate) enum Meaning {
    Word(String),
    Prefix(String),
    Phrase(Vec<String>),
    Label(String, String),
    Not(Box<Meaning>),
    All(Vec<Meaning>),
    Any(Vec<Meaning>),
}

impl Meaning {
    pub(crate) fn text(&self) -> String {
        let joined = |parts: &[Self], between: &str| {
            parts.iter().map(Self::text).collect::<Vec<_>>().join(between)
        };
        match self {
            Self::Word(word) => word.clone(),
            Self::Prefix(word) => format!("{word}*"),
            Self::Phrase(words) => format!("\"{}\"", words.join(" ")),
            Self::Label(key, value) => format!("{key}:\"{value}\""),
            Self::Not(part) => format!("-({})", part.text()),
            Self::All(parts) => format!("({})", joined(parts, " ")),
            Self::Any(parts) => format!("({})", joined(parts, " OR ")),
        }
    }

    pub(crate) fn fits(&self, subject: &Subject) -> bool {
        match self {
            Self::Word(word) => texts(subject).iter().any(|text| {
                let words = words(text);
                has(&words, word) || stand_together(&words, &parts(word))
            }),
            Self::Prefix(start) => texts(subject)
                .iter()
                .any(|text| words(text).iter().any(|(word, _)| word.starts_with(start))),
            Self::Phrase(wanted) => {
                let wanted: Vec<String> = wanted.iter().flat_map(|word| parts(word)).collect();
                texts(subject).iter().any(|text| stand_together(&words(text), &wanted))
            }
            Self::Label(key, value) => {
                let facet = Facet::from_name(key).and_then(|facet| facet.of(subject));
                let label = || subject.label(key).map(str::to_owned);
                facet.or_else(label).is_some_and(|found| found.to_lowercase() == *value)
            }
            Self::Not(part) => !part.fits(subject),
            Self::All(parts) => parts.iter().all(|part| part.fits(subject)),
            Self::Any(parts) => parts.iter().any(|part| part.fits(subject)),
        }
    }
}

fn has(words: &[(String, usize)], word: &str) -> bool {
    words.iter().any(|(found, _)| found == word)
}

/// Whether words stand beside each other in this order.
fn stand_together(words: &[(String, usize)], wanted: &[String]) -> bool {
    words.iter().any(|(_, from)| {
        wanted
            .iter()
            .enumerate()
            .all(|(n, word)| words.iter().any(|(found, at)| found == word && *at == from + n))
    })
}

/// The parts that a word of a query is cut into, as names are.
fn parts(word: &str) -> Vec<String> {
    words(word)
        .split_first()
        .map_or_else(Vec::new, |(_, parts)| parts.iter().map(|(part, _)| part.clone()).collect())
}

fn texts(subject: &Subject) -> Vec<String> {
    let pairs = subject.tags.iter().chain(&subject.metadata);
    let pairs = pairs.flat_map(|(key, value)| [key.clone(), value.clone()]);
    let named = [subject.metric.clone(), subject.device.clone(), subject.unit.clone()];
    named.into_iter().chain(pairs).collect()
}

/// The words of an ASCII text with their positions, each piece whole and in its parts.
fn words(text: &str) -> Vec<(String, usize)> {
    let (mut words, mut position) = (Vec::new(), 0);
    for piece in text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|piece| !piece.is_empty())
    {
        let mut parts: Vec<String> = Vec::new();
        let mut before = ' ';
        for c in piece.chars() {
            let ends = (before.is_ascii_lowercase() && c.is_ascii_uppercase())
                || before.is_ascii_digit() != c.is_ascii_digit();
            if parts.is_empty() || ends {
                parts.push(String::new());
            }
            parts.last_mut().unwrap().push(c.to_ascii_lowercase());
            before = c;
        }
        words.push((piece.to_ascii_lowercase(), position));
        words.extend(parts.iter().cloned().enumerate().map(|(n, part)| (part, position + n)));
        position += parts.len();
    }
    words
}

/// Conditions beside the text.
#[derive(Debug, Clone)]
pub(crate) struct Conditions {
    pub(crate) meaning: Option<Meaning>,
    pub(crate) range: (i64, i64),
    pub(crate) place: Option<GeoBox>,
    pub(crate) price: Option<(u128, u128)>,
}

impl Conditions {
    /// Whether a subject has a price that is wanted.
    fn affords(&self, subject: Option<&Subject>) -> bool {
        let Some((least, most)) = self.price else { return true };
        let price = subject.and_then(|subject| subject.metadata.get("price"));
        price.is_some_and(|price| (least..=most).contains(&price.parse().unwrap()))
    }
}

/// What a naive search names a thing that it finds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    Device(String),
    Metric(String, String, Vec<(String, String)>),
    Chunk(String),
}

impl Documents {
    /// Whether a chunk's device was in a box at some time of it in a range.
    fn is_inside(&self, subject: &Subject, chunk: &Chunk, geo: GeoBox, range: (i64, i64)) -> bool {
        if subject.place.is_some_and(|place| geo.holds(place)) {
            return true;
        }
        let of = |axis: Axis| {
            self.chunks.iter().filter(move |other| {
                let owner = other.subject.map(|number| &self.subjects[number as usize]);
                let bounds = other.bounds;
                owner.is_some_and(|owner| {
                    owner.device == subject.device
                        && owner.axis == Some(axis)
                        && bounds.is_some_and(|(_, (low, high))| geo.meets(axis, low, high))
                })
            })
        };
        of(Axis::Latitude).any(|latitude| {
            of(Axis::Longitude).any(|longitude| {
                let three = [latitude, longitude, chunk];
                let first = three.iter().map(|chunk| chunk.first_ns).max().unwrap();
                let last = three.iter().map(|chunk| chunk.last_ns).min().unwrap();
                first.max(range.0) <= last.min(range.1)
            })
        })
    }

    /// The chunks that fit.
    pub(crate) fn chunks(&self, conditions: &Conditions) -> Vec<&Chunk> {
        let fits = |chunk: &&Chunk| {
            let subject = chunk.subject.map(|number| &self.subjects[number as usize]);
            let text = match (&conditions.meaning, subject) {
                (None, _) => true,
                (Some(meaning), Some(subject)) => meaning.fits(subject),
                (Some(meaning), None) => meaning.fits(&hidden(chunk.level, chunk.kind)),
            };
            let place = match (conditions.place, subject) {
                (None, _) => true,
                (Some(geo), Some(subject)) => self.is_inside(subject, chunk, geo, conditions.range),
                (Some(_), None) => false,
            };
            let (from_ns, to_ns) = conditions.range;
            let text = text && conditions.affords(subject);
            text && place && chunk.first_ns <= to_ns && chunk.last_ns >= from_ns
        };
        self.chunks.iter().filter(fits).collect()
    }

    /// The metrics that fit.
    pub(crate) fn metrics(&self, conditions: &Conditions) -> Vec<&Subject> {
        let sealed: BTreeSet<u32> =
            self.chunks(conditions).iter().filter_map(|chunk| chunk.subject).collect();
        let is_always = conditions.range == (i64::MIN, i64::MAX);
        let fits = |subject: &&Subject| {
            let text = conditions.meaning.as_ref().is_none_or(|meaning| meaning.fits(subject));
            let inside = conditions
                .place
                .is_some_and(|geo| subject.place.is_some_and(|place| geo.holds(place)));
            let anywhere = conditions.place.is_none();
            let text = text && conditions.affords(Some(subject));
            text && (sealed.contains(&subject.number) || (is_always && (anywhere || inside)))
        };
        self.subjects.iter().filter(fits).collect()
    }

    /// The names of everything that fits.
    pub(crate) fn names(&self, target: Target, conditions: &Conditions) -> BTreeSet<Name> {
        let metrics = || self.metrics(conditions).into_iter();
        match target {
            Target::Chunk => {
                let cid = |chunk: &Chunk| Name::Chunk(chunk.cid.to_string());
                self.chunks(conditions).into_iter().map(cid).collect()
            }
            Target::Offer => panic!("offers are compared elsewhere"),
            Target::Device => metrics().map(|s| Name::Device(s.device.clone())).collect(),
            Target::Metric => metrics()
                .map(|s| {
                    let tags = s.tags.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
                    Name::Metric(s.device.clone(), s.metric.clone(), tags)
                })
                .collect(),
        }
    }
}

/// All that is known of a hidden chunk.
fn hidden(level: Level, kind: Kind) -> Subject {
    Subject {
        number: 0,
        device: String::new(),
        metric: String::new(),
        tags: BTreeMap::new(),
        metadata: BTreeMap::new(),
        unit: String::new(),
        kind,
        level,
        place: None,
        axis: None,
        producer: String::new(),
    }
}

/// A chunk of a subject; its content id is made from its identity.
pub(crate) fn chunk(subject: &Subject, window: i64, span: (i64, i64)) -> Chunk {
    let digest = format!("{:16x}{:16x}", subject.number, window);
    let cid = [&[1, 0x55, 0x12, 32], digest.as_bytes()].concat();
    Chunk {
        id: ChunkId { metric: subject.number, window, generation: 0, part: 0 },
        subject: Some(subject.number),
        kind: subject.kind,
        level: subject.level,
        first_ns: span.0,
        last_ns: span.1,
        records: 10,
        size_bytes: 100,
        cid: cid::Cid::try_from(cid.as_slice()).unwrap(),
        bounds: None,
    }
}
