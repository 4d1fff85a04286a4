//! Headers: what the world sees of a chunk, as canonical DAG-CBOR.
//!
//! Metrics of level 3 and 4 are named openly. For level 1 and 2 the header shows the window, the
//! kind, the level and a pseudonym; names, tags, times, count and codec stand in an inner header
//! inside the body, where the encryption of the body will cover them.

use std::collections::BTreeMap;

use chronolith_keys::policy::Policies;
use chronolith_keys::{Encryption, SCHEME, TreeId};
use chronolith_merkle::{DAG_CBOR, HashFunction, content_id};
use cid::Cid;
use ipld_core::ipld::Ipld;
use serde::Deserialize;
use serde_bytes::ByteArray;

use crate::model::{Definition, Kind, Level, Place, Window};

/// The version of headers that this program writes.
const VERSION: u64 = 1;

/// Which chunk of a metric it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChunkKey {
    /// The metric's number in this database.
    pub metric: u32,
    /// The window it covers.
    pub window: Window,
    /// 0 for the first chunk of a window; each later chunk that amends it has the next number.
    pub generation: u32,
    /// 0, or the number of the part where a window needs several bodies.
    pub part: u32,
}

/// What a header shows of the records.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// The device.
    pub device: String,
    /// The metric's name.
    pub name: String,
    /// The metric's tags.
    pub tags: BTreeMap<String, String>,
    /// The unit of the values; empty where unknown.
    pub unit: String,
    /// Coarse place of production.
    pub place: Option<Place>,
    /// What the producer says of the metric.
    pub metadata: BTreeMap<String, String>,
    /// What was done to the records as they were written.
    pub policies: Policies,
    /// Time of the first record, nanoseconds since the epoch.
    pub first_ns: i64,
    /// Time of the last record, nanoseconds since the epoch.
    pub last_ns: i64,
    /// How many records there are.
    pub count: u64,
    /// The codecs of times and values, `times/values`.
    pub codec: String,
}

/// A chunk's header.
#[derive(Debug, Clone, PartialEq)]
pub struct ChunkHeader {
    /// The kind of the values.
    pub kind: Kind,
    /// How private the metric is.
    pub level: Level,
    /// The length of windows in nanoseconds.
    pub window_ns: i64,
    /// The number of the window.
    pub window: Window,
    /// The generation; see [`ChunkKey::generation`].
    pub generation: u32,
    /// The part; see [`ChunkKey::part`].
    pub part: u32,
    /// The last generation whose records this chunk replaces, where it does.
    pub supersedes: Option<u32>,
    /// How the body is encrypted; `None` where it is in the clear.
    pub encryption: Option<Encryption>,
    /// The body, a raw block.
    pub body: Cid,
    /// The length of the body in bytes.
    pub body_bytes: u64,
    /// The public key of the producer, ed25519.
    pub producer: [u8; 32],
    /// A name for the metric that says nothing of it; for level 1 and 2.
    pub pseudonym: Option<[u8; 32]>,
    /// What is shown of the records; `None` where it is hidden in the body.
    pub shown: Option<Shown>,
}

/// Bytes that are not a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a chunk header: {0}")]
pub struct HeaderError(String);

impl Shown {
    pub(crate) fn new(
        definition: &Definition,
        first_ns: i64,
        last_ns: i64,
        count: u64,
        codec: String,
    ) -> Self {
        Self {
            device: definition.metric.device().to_owned(),
            name: definition.metric.name().to_owned(),
            tags: definition.metric.tags().iter().cloned().collect(),
            unit: definition.unit.clone(),
            place: definition.place,
            metadata: definition.metadata.clone(),
            policies: definition.policies.clone(),
            first_ns,
            last_ns,
            count,
            codec,
        }
    }

    fn fields(&self, fields: &mut BTreeMap<String, Ipld>) {
        let text = |text: &String| Ipld::String(text.clone());
        let texts = |texts: &BTreeMap<String, String>| {
            Ipld::Map(texts.iter().map(|(key, value)| (key.clone(), text(value))).collect())
        };
        fields.insert("device".into(), text(&self.device));
        fields.insert("name".into(), text(&self.name));
        fields.insert("tags".into(), texts(&self.tags));
        fields.insert("unit".into(), text(&self.unit));
        let place = self.place.map(|place| {
            let parts = [place.latitude_centidegrees, place.longitude_centidegrees];
            Ipld::List(parts.map(|part| Ipld::Integer(part.into())).to_vec())
        });
        fields.insert("place".into(), place.unwrap_or(Ipld::Null));
        fields.insert("metadata".into(), texts(&self.metadata));
        if !self.policies.as_slice().is_empty() {
            fields.insert("policies".into(), Ipld::String(self.policies.to_string()));
        }
        fields.insert("first".into(), Ipld::Integer(self.first_ns.into()));
        fields.insert("last".into(), Ipld::Integer(self.last_ns.into()));
        fields.insert("count".into(), Ipld::Integer(self.count.into()));
        fields.insert("codec".into(), text(&self.codec));
    }

    fn from_fields(fields: Fields) -> Result<Self, HeaderError> {
        let place = |(latitude_centidegrees, longitude_centidegrees)| Place {
            latitude_centidegrees,
            longitude_centidegrees,
        };
        Ok(Self {
            device: needed("device", fields.device)?,
            name: needed("name", fields.name)?,
            tags: needed("tags", fields.tags)?,
            unit: needed("unit", fields.unit)?,
            place: fields.place.map(place),
            metadata: needed("metadata", fields.metadata)?,
            policies: match fields.policies {
                None => Policies::default(),
                Some(text) => text.parse().map_err(|error| HeaderError(format!("{error}")))?,
            },
            first_ns: needed("first", fields.first)?,
            last_ns: needed("last", fields.last)?,
            count: needed("count", fields.count)?,
            codec: needed("codec", fields.codec)?,
        })
    }

    /// The inner header of a body whose public header hides all this and shows a pseudonym.
    pub(crate) fn to_inner(&self, pseudonym: &[u8; 32]) -> Vec<u8> {
        let mut fields = BTreeMap::new();
        self.fields(&mut fields);
        fields.insert("pseudonym".into(), Ipld::Bytes(pseudonym.to_vec()));
        to_cbor(fields)
    }

    /// Reads an inner header: what the public one hides, and the pseudonym in its place. Anything
    /// that [`Shown::to_inner`] would not write is refused.
    pub(crate) fn from_inner(bytes: &[u8]) -> Result<(Self, [u8; 32]), HeaderError> {
        let fields: Fields = from_cbor(bytes)?;
        let pseudonym = needed("pseudonym", fields.pseudonym)?.into_array();
        let shown = Self::from_fields(fields)?;
        canonical(&shown.to_inner(&pseudonym), bytes)?;
        Ok((shown, pseudonym))
    }
}

impl ChunkHeader {
    /// The header of a metric's chunk as far as the definition and the key say it.
    pub(crate) fn of(definition: &Definition, key: ChunkKey) -> Self {
        Self {
            kind: definition.kind,
            level: definition.level,
            window_ns: definition.window_ns,
            window: key.window,
            generation: key.generation,
            part: key.part,
            supersedes: None,
            encryption: None,
            body: Cid::default(),
            body_bytes: 0,
            producer: [0; 32],
            pseudonym: None,
            shown: None,
        }
    }

    /// The canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut fields = self.fields_without_body();
        fields.insert("body".into(), Ipld::Link(self.body));
        fields.insert("body_bytes".into(), Ipld::Integer(self.body_bytes.into()));
        to_cbor(fields)
    }

    /// What an encrypted body is bound to, its associated data: the SHA-256 of the header's canonical bytes
    /// without `body` and `body_bytes`. It says all that the header says but what follows from the body.
    #[must_use]
    pub fn binding(&self) -> [u8; 32] {
        HashFunction::Sha256.digest(&to_cbor(self.fields_without_body()))
    }

    fn fields_without_body(&self) -> BTreeMap<String, Ipld> {
        let mut fields = BTreeMap::new();
        let integer = |value: i128| Ipld::Integer(value);
        fields.insert("v".into(), integer(VERSION.into()));
        fields.insert("kind".into(), Ipld::String(self.kind.name().into()));
        fields.insert("level".into(), integer(self.level.number().into()));
        fields.insert("window_ns".into(), integer(self.window_ns.into()));
        fields.insert("window".into(), integer(self.window.into()));
        fields.insert("generation".into(), integer(self.generation.into()));
        fields.insert("part".into(), integer(self.part.into()));
        let supersedes = self.supersedes.map_or(Ipld::Null, |last| integer(last.into()));
        fields.insert("supersedes".into(), supersedes);
        fields.insert("encryption".into(), encryption_field(self.encryption));
        fields.insert("producer".into(), Ipld::Bytes(self.producer.to_vec()));
        if let Some(pseudonym) = self.pseudonym {
            fields.insert("pseudonym".into(), Ipld::Bytes(pseudonym.to_vec()));
        }
        if let Some(shown) = &self.shown {
            shown.fields(&mut fields);
        }
        fields
    }

    /// Reads a header; anything that [`ChunkHeader::to_bytes`] would not write is refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HeaderError> {
        let Version { v: version } = from_cbor(bytes)?;
        if version != VERSION {
            return Err(HeaderError(format!("version {version}; this program reads {VERSION}")));
        }
        let fields: Fields = from_cbor(bytes)?;
        let kind = needed("kind", fields.kind.as_deref())?.parse::<Kind>();
        let level = Level::from_number(needed("level", fields.level)?);
        let encryption = needed("encryption", fields.encryption.as_ref())?.known()?;
        let pseudonym = fields.pseudonym.map(ByteArray::into_array);
        let header = Self {
            kind: kind.map_err(|error| HeaderError(error.to_string()))?,
            level: level.ok_or_else(|| HeaderError("no such level".into()))?,
            window_ns: needed("window_ns", fields.window_ns)?,
            window: needed("window", fields.window)?,
            generation: needed("generation", fields.generation)?,
            part: needed("part", fields.part)?,
            supersedes: fields.supersedes,
            encryption,
            body: needed("body", fields.body)?,
            body_bytes: needed("body_bytes", fields.body_bytes)?,
            producer: needed("producer", fields.producer)?.into_array(),
            pseudonym,
            shown: match pseudonym {
                Some(_) => None,
                None => Some(Shown::from_fields(fields)?),
            },
        };
        canonical(&header.to_bytes(), bytes)?;
        Ok(header)
    }

    /// The chunk's identity to the world.
    #[must_use]
    pub fn content_id(&self, function: HashFunction) -> Cid {
        content_id(DAG_CBOR, function, &self.to_bytes())
    }
}

/// Canonical DAG-CBOR of a map. Writing to memory cannot fail, and no field is a float.
fn to_cbor(fields: BTreeMap<String, Ipld>) -> Vec<u8> {
    serde_ipld_dagcbor::to_vec(&Ipld::Map(fields)).unwrap_or_default()
}

/// Decodes into a type whose fields say what may come, so that no bytes can make it reserve more
/// memory than they fill; a general tree of values would reserve what its lists claim to hold.
fn from_cbor<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, HeaderError> {
    serde_ipld_dagcbor::from_slice(bytes).map_err(|error| HeaderError(error.to_string()))
}

/// The version, whatever else a later version may have.
#[derive(Deserialize)]
struct Version {
    v: u64,
}

/// What a header or an inner header may hold.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    #[serde(rename = "v")]
    _version: Option<u64>,
    kind: Option<String>,
    level: Option<u8>,
    window_ns: Option<i64>,
    window: Option<Window>,
    generation: Option<u32>,
    part: Option<u32>,
    supersedes: Option<u32>,
    encryption: Option<EncryptionField>,
    body: Option<Cid>,
    body_bytes: Option<u64>,
    producer: Option<ByteArray<32>>,
    pseudonym: Option<ByteArray<32>>,
    device: Option<String>,
    name: Option<String>,
    tags: Option<BTreeMap<String, String>>,
    unit: Option<String>,
    place: Option<(i32, i32)>,
    metadata: Option<BTreeMap<String, String>>,
    policies: Option<String>,
    first: Option<i64>,
    last: Option<i64>,
    count: Option<u64>,
    codec: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EncryptionField {
    scheme: u64,
    tree: Option<ByteArray<32>>,
    commitment: Option<ByteArray<32>>,
}

impl EncryptionField {
    /// What it says; scheme 0 is in the clear.
    fn known(&self) -> Result<Option<Encryption>, HeaderError> {
        match self.scheme {
            0 => Ok(None),
            SCHEME => Ok(Some(Encryption {
                tree: TreeId(needed("tree", self.tree)?.into_array()),
                commitment: needed("commitment", self.commitment)?.into_array(),
            })),
            other => {
                let what = format!("encryption scheme {other}; this program knows 0 and {SCHEME}");
                Err(HeaderError(what))
            }
        }
    }
}

fn encryption_field(encryption: Option<Encryption>) -> Ipld {
    let mut fields = BTreeMap::new();
    let scheme = if encryption.is_some() { SCHEME } else { 0 };
    fields.insert("scheme".to_owned(), Ipld::Integer(scheme.into()));
    if let Some(Encryption { tree, commitment }) = encryption {
        fields.insert("tree".to_owned(), Ipld::Bytes(tree.0.to_vec()));
        fields.insert("commitment".to_owned(), Ipld::Bytes(commitment.to_vec()));
    }
    Ipld::Map(fields)
}

fn needed<T>(name: &str, value: Option<T>) -> Result<T, HeaderError> {
    value.ok_or_else(|| HeaderError(format!("{name} is missing")))
}

/// A field too many, or one in the wrong form, shows as bytes that are not those of the encoding.
fn canonical(encoded: &[u8], bytes: &[u8]) -> Result<(), HeaderError> {
    if encoded == bytes {
        return Ok(());
    }
    Err(HeaderError("the bytes are not canonical".into()))
}
