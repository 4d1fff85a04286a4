//! Up to where an index follows its source; stored with each commit.

use std::collections::BTreeMap;

/// The version of the schema and of everything that decides what is found: raise it and every
/// index is rebuilt.
const VERSION: u32 = 3;

/// A segment of the source that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentMark {
    /// Its length, 0 where it could not be read whole: bytes.
    pub size_bytes: u64,
    /// How many chunks it has that can be delivered.
    pub chunks: u64,
}

/// Up to where an index follows what others told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemotePosition {
    /// Which file was read.
    pub id: [u8; 16],
    /// Up to where: bytes.
    pub at: u64,
    /// Where the last batch begins that was read: bytes.
    pub last: u64,
    /// The checksum of that batch.
    pub crc: u32,
    /// How many headers there are.
    pub headers: u64,
    /// How many metrics and offers there are.
    pub subjects: u64,
}

/// Up to where an index follows its sources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position {
    /// Names the database; empty where none is followed.
    pub source: Vec<u8>,
    /// All seal batches up to this number are there.
    pub batch: u64,
    /// Up to which version of its descriptions the source was read, by its own count.
    pub descriptions: u64,
    /// How many subjects there are; the index counts them.
    pub subjects: u64,
    /// The segments that were read, by file.
    pub segments: BTreeMap<String, SegmentMark>,
    /// What was read of others; `None` where nothing is kept of them.
    pub remote: Option<RemotePosition>,
}

impl Position {
    /// How many chunks of this database there are.
    #[must_use]
    pub fn chunks(&self) -> u64 {
        self.segments.values().map(|mark| mark.chunks).sum()
    }

    /// How many documents there are in all.
    pub(super) fn documents(&self) -> u64 {
        let remote = self.remote.map_or(0, |remote| remote.headers.saturating_add(remote.subjects));
        self.chunks().saturating_add(self.subjects).saturating_add(remote)
    }

    /// As text with a checksum, since the file of the index that holds it has none.
    pub(super) fn to_text(&self) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let source = hex(&self.source);
        let segment = |(file, mark): (&String, &SegmentMark)| {
            format!("segment {} {} {file}\n", mark.size_bytes, mark.chunks)
        };
        let segments: String = self.segments.iter().map(segment).collect();
        let remote = self.remote.map_or_else(String::new, |remote| {
            let RemotePosition { id, at, last, crc, headers, subjects } = remote;
            format!("remote {} {at} {last} {crc} {headers} {subjects}\n", hex(&id))
        });
        let Self { batch, descriptions, subjects, .. } = self;
        let text = format!(
            "search {VERSION}\nsource {source}\nbatch {batch}\ndescriptions {descriptions}\n\
             subjects {subjects}\n{remote}{segments}"
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
        let source = bytes_of(lines.next()?.strip_prefix("source ")?)?;
        let batch = lines.next()?.strip_prefix("batch ")?.parse().ok()?;
        let descriptions = lines.next()?.strip_prefix("descriptions ")?.parse().ok()?;
        let subjects = lines.next()?.strip_prefix("subjects ")?.parse().ok()?;
        let mut lines = lines.peekable();
        let remote = match lines.next_if(|line| line.starts_with("remote ")) {
            None => None,
            Some(line) => Some(remote(line.strip_prefix("remote ")?)?),
        };
        let mut segments = BTreeMap::new();
        for line in lines {
            let mut parts = line.strip_prefix("segment ")?.splitn(3, ' ');
            let size_bytes = parts.next()?.parse().ok()?;
            let chunks = parts.next()?.parse().ok()?;
            segments.insert(parts.next()?.to_owned(), SegmentMark { size_bytes, chunks });
        }
        Some(Self { source, batch, descriptions, subjects, segments, remote })
    }
}

/// Bytes of hexadecimal digits.
fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    (0..hex.len()).step_by(2).map(byte).collect()
}

fn remote(text: &str) -> Option<RemotePosition> {
    let mut parts = text.split(' ');
    let id = bytes_of(parts.next()?)?.try_into().ok()?;
    let mut number = || parts.next()?.parse::<u64>().ok();
    let (at, last, crc) = (number()?, number()?, u32::try_from(number()?).ok()?);
    let (headers, subjects) = (number()?, number()?);
    let position = RemotePosition { id, at, last, crc, headers, subjects };
    parts.next().is_none().then_some(position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_comes_back_and_a_damaged_one_does_not() {
        let mark = SegmentMark { size_bytes: 77, chunks: 3 };
        let segments = BTreeMap::from([("segments/672/000000000001.seg".to_owned(), mark)]);
        let source = vec![0, 255, 16];
        let remote =
            RemotePosition { id: [0xab; 16], at: 99, last: 32, crc: 7, headers: 5, subjects: 6 };
        let remote = Some(remote);
        let position =
            Position { source, batch: 9, descriptions: 4, subjects: 2, segments, remote };
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
