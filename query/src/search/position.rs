//! Up to where an index follows its source; stored with each commit.

use std::collections::BTreeMap;

/// The version of the schema and of everything that decides what is found: raise it and every
/// index is rebuilt.
const VERSION: u32 = 2;

/// A segment of the source that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentMark {
    /// Its length, 0 where it could not be read whole: bytes.
    pub size_bytes: u64,
    /// How many chunks it has that can be delivered.
    pub chunks: u64,
}

/// Up to where an index follows its source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position {
    /// Names the source.
    pub source: Vec<u8>,
    /// All seal batches up to this number are there.
    pub batch: u64,
    /// Up to which version of its descriptions the source was read, by its own count.
    pub descriptions: u64,
    /// How many subjects there are; the index counts them.
    pub subjects: u64,
    /// The segments that were read, by file.
    pub segments: BTreeMap<String, SegmentMark>,
}

impl Position {
    /// How many chunks there are.
    #[must_use]
    pub fn chunks(&self) -> u64 {
        self.segments.values().map(|mark| mark.chunks).sum()
    }

    /// As text with a checksum, since the file of the index that holds it has none.
    pub(super) fn to_text(&self) -> String {
        let source: String = self.source.iter().map(|byte| format!("{byte:02x}")).collect();
        let segment = |(file, mark): (&String, &SegmentMark)| {
            format!("segment {} {} {file}\n", mark.size_bytes, mark.chunks)
        };
        let segments: String = self.segments.iter().map(segment).collect();
        let Self { batch, descriptions, subjects, .. } = self;
        let text = format!(
            "search {VERSION}\nsource {source}\nbatch {batch}\ndescriptions {descriptions}\n\
             subjects {subjects}\n{segments}"
        );
        let crc = crc32fast::hash(text.as_bytes());
        format!("{text}crc {crc:08x}")
    }

    /// Reads what [`Position::to_text`] wrote; `None` for anything else.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let (body, crc) = text.rsplit_once("crc ")?;
        if format!("{:08x}", crc32fast::hash(body.as_bytes())) != crc {
            return None;
        }
        let mut lines = body.lines();
        if lines.next()? != format!("search {VERSION}") {
            return None;
        }
        let hex = lines.next()?.strip_prefix("source ")?;
        let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
        let source = (0..hex.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>()?;
        let batch = lines.next()?.strip_prefix("batch ")?.parse().ok()?;
        let descriptions = lines.next()?.strip_prefix("descriptions ")?.parse().ok()?;
        let subjects = lines.next()?.strip_prefix("subjects ")?.parse().ok()?;
        let mut segments = BTreeMap::new();
        for line in lines {
            let mut parts = line.strip_prefix("segment ")?.splitn(3, ' ');
            let size_bytes = parts.next()?.parse().ok()?;
            let chunks = parts.next()?.parse().ok()?;
            segments.insert(parts.next()?.to_owned(), SegmentMark { size_bytes, chunks });
        }
        Some(Self { source, batch, descriptions, subjects, segments })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_comes_back_and_a_damaged_one_does_not() {
        let mark = SegmentMark { size_bytes: 77, chunks: 3 };
        let segments = BTreeMap::from([("segments/672/000000000001.seg".to_owned(), mark)]);
        let source = vec![0, 255, 16];
        let position = Position { source, batch: 9, descriptions: 4, subjects: 2, segments };
        let text = position.to_text();
        assert_eq!(Position::from_text(&text).as_ref(), Some(&position));
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let damaged = String::from_utf8_lossy(&bytes).into_owned();
            assert_eq!(Position::from_text(&damaged), None, "{damaged}");
        }
    }
}
