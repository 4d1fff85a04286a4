//! The text of line protocol: blanks, keys, escapes.

use memchr::{memchr, memchr2};

use super::{Fault, Reason};

/// The offset of the first byte that is no blank.
#[inline]
pub(super) fn skip_blanks(buffer: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | 0) = buffer.get(at) {
        at += 1;
    }
    at
}

/// The offset behind the line end that is at `at`.
#[inline]
pub(super) fn end_of_line(buffer: &[u8], at: usize) -> Option<usize> {
    match buffer.get(at) {
        Some(b'\n') => Some(at + 1),
        Some(b'\r') if buffer.get(at + 1) == Some(&b'\n') => Some(at + 2),
        _ => None,
    }
}

/// The offset of the blank behind measurement and tags.
#[inline]
pub(super) fn series_end(buffer: &[u8], start: usize) -> Result<usize, Box<Fault>> {
    let mut at = start;
    loop {
        let rest = buffer.get(at..).unwrap_or_default();
        let found = memchr2(b' ', b'\n', rest).map_or(buffer.len(), |found| at + found);
        match buffer.get(found) {
            Some(b' ') if found > start && buffer[found - 1] == b'\\' => at = found + 1,
            Some(b' ') => return Ok(found),
            _ => return Err(Fault::new(start, "the line has no fields")),
        }
    }
}

/// The offset of the `=` behind a field key.
pub(super) fn field_key_end(buffer: &[u8], start: usize) -> Result<usize, Box<Fault>> {
    let mut at = start;
    loop {
        match buffer.get(at) {
            Some(b'\\') if !matches!(buffer.get(at + 1), None | Some(b'\n')) => at += 2,
            Some(b'=') if at == start => return Err(Fault::new(start, "a field has no key")),
            Some(b'=') => return Ok(at),
            Some(b',' | b' ' | b'\n' | b'\r') | None => {
                return Err(Fault::new(start, "a field needs a key, = and a value"));
            }
            Some(_) => at += 1,
        }
    }
}

/// The most tags of a series: each is compared with all before it. A database takes fewer.
const MAX_TAGS: usize = 256;

/// Measurement and tags, unescaped.
#[derive(Debug, Default)]
pub(super) struct Tags {
    pub(super) measurement: String,
    pub(super) tags: Vec<(String, String)>,
}

/// Parses `measurement,key=value,...`; offsets of faults count from its start.
pub(super) fn tags(key: &[u8]) -> Result<Tags, Box<Fault>> {
    if let Err(error) = std::str::from_utf8(key) {
        let at = error.valid_up_to();
        let reason = Reason::NotUtf8(key.get(at).copied().unwrap_or_default());
        return Err(Fault::of(at, reason));
    }
    let mut parts = Parts { bytes: key, at: 0 };
    let (_, measurement) = parts.next(b"", b", ").unwrap_or_default();
    if measurement.is_empty() {
        return Err(Fault::new(0, "the measurement is missing"));
    }
    let mut tags: Vec<(String, String)> = Vec::new();
    while parts.at < key.len() {
        let start = parts.at + 1;
        parts.at = start;
        if tags.len() >= MAX_TAGS {
            return Err(Fault::new(start, "a series has at most 256 tags"));
        }
        let (stop, name) = parts.next(b"=", b",= ").unwrap_or_default();
        if stop != b'=' || name.is_empty() {
            return Err(Fault::new(start, "a tag needs a key, = and a value"));
        }
        parts.at += 1;
        let value_at = parts.at;
        let (stop, value) = parts.next(b"=", b",= ").unwrap_or_default();
        if value.is_empty() {
            return Err(Fault::new(value_at, "a tag has no value"));
        }
        if stop == b'=' {
            return Err(Fault::new(parts.at, "a tag has two ="));
        }
        if tags.iter().any(|(other, _)| *other == name) {
            return Err(Fault::new(start, "a tag is given twice"));
        }
        tags.push((name, value));
    }
    Ok(Tags { measurement, tags })
}

/// Cuts escaped text at delimiters.
struct Parts<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Parts<'_> {
    /// The text up to a byte of `stops` that no backslash is before; the byte is 0 at the end.
    fn next(&mut self, stops: &[u8], escapes: &[u8]) -> Option<(u8, String)> {
        let start = self.at;
        let mut at = start;
        let stop = loop {
            match self.bytes.get(at) {
                None => break 0,
                Some(byte)
                    if (*byte == b',' || stops.contains(byte))
                        && (at == start || self.bytes[at - 1] != b'\\') =>
                {
                    break *byte;
                }
                Some(_) => at += 1,
            }
        };
        self.at = at;
        let text = std::str::from_utf8(&self.bytes[start..at]).ok()?;
        Some((stop, unescape(text, escapes)))
    }
}

/// Drops the backslash before each byte of `escapes`.
pub(super) fn unescape(text: &str, escapes: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let escaped = |next: &char| u8::try_from(*next).is_ok_and(|byte| escapes.contains(&byte));
        if char != '\\' || !chars.peek().is_some_and(escaped) {
            out.push(char);
        } else if let Some(next) = chars.next() {
            out.push(next);
        }
    }
    out
}

/// A field key, unescaped.
pub(super) fn unescape_key(text: &str) -> String {
    if memchr(b'\\', text.as_bytes()).is_none() {
        return text.to_owned();
    }
    unescape(text, b",= ")
}

/// A quoted string, unescaped into `out`.
pub(super) fn unescape_string(text: &str, out: &mut String) {
    out.clear();
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match (char, chars.peek()) {
            ('\\', Some('"' | '\\')) => out.extend(chars.next()),
            _ => out.push(char),
        }
    }
}
