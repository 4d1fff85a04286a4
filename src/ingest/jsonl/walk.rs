//! Walks over JSON that was checked: where the values are, and nothing else. On JSON that is not
//! valid the walk gives nonsense, but it ends and stays within the text.

use std::borrow::Cow;

use chronolith_engine::Kind;

/// How deep objects are flattened; `serde_json` refuses text that nests deeper.
const MAX_DEPTH: usize = 128;
/// How long the paths of one line may be together: bytes. Each leaf has all the keys that lead to it.
const MAX_PATHS_BYTES: usize = 4 << 20;

/// A value where it lies in the text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    /// As it was written.
    Number(&'a str),
    /// With its quotes.
    String(&'a str),
    Array(&'a str),
    Object(&'a str),
}

impl<'a> Json<'a> {
    /// The value at an offset.
    pub(super) fn at(text: &'a str, start: usize) -> Self {
        let whole = text.get(start..end_of(text.as_bytes(), start)).unwrap_or_default();
        match whole.as_bytes().first() {
            Some(b'{') => Self::Object(whole),
            Some(b'[') => Self::Array(whole),
            Some(b'"') => Self::String(whole),
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'n') | None => Self::Null,
            Some(_) => Self::Number(whole),
        }
    }

    /// The kind of metric that the value is for where nothing else says it.
    pub(super) const fn kind(self) -> Option<Kind> {
        match self {
            Self::Bool(_) => Some(Kind::Bool),
            Self::Number(_) => Some(Kind::F64),
            Self::String(_) => Some(Kind::Text),
            Self::Null | Self::Array(_) | Self::Object(_) => None,
        }
    }

    /// The text of a scalar; none for null, arrays and objects.
    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Bool(true) => Some(Cow::Borrowed("true")),
            Self::Bool(false) => Some(Cow::Borrowed("false")),
            Self::Number(text) => Some(Cow::Borrowed(text)),
            Self::String(quoted) => unquote(quoted),
            Self::Null | Self::Array(_) | Self::Object(_) => None,
        }
    }
}

/// The text of a quoted string; none where its escapes are no text (lone surrogates).
pub(super) fn unquote(quoted: &str) -> Option<Cow<'_, str>> {
    let inner = quoted.get(1..quoted.len().checked_sub(1)?)?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(quoted).ok().map(Cow::Owned)
}

/// A value that is no object, under the keys that lead to it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Leaf<'a> {
    /// The keys, joined by dots.
    pub(super) path: Cow<'a, str>,
    pub(super) json: Json<'a>,
    /// Where the value is.
    pub(super) at: usize,
}

/// All leaves of the object at an offset, in the order of the text; or where the paths get too long.
pub(super) fn leaves(text: &str, start: usize) -> Result<Vec<Leaf<'_>>, usize> {
    let mut walk = Walk { text, room: MAX_PATHS_BYTES, leaves: Vec::new() };
    walk.descend(start, None, 0)?;
    Ok(walk.leaves)
}

struct Walk<'a> {
    text: &'a str,
    /// How long further paths may be together.
    room: usize,
    leaves: Vec<Leaf<'a>>,
}

impl Walk<'_> {
    fn descend(&mut self, start: usize, prefix: Option<&str>, depth: usize) -> Result<(), usize> {
        for (key, json, at) in members(self.text, start) {
            let path = match prefix {
                None => key,
                Some(prefix) => {
                    let length = prefix.len() + 1 + key.len();
                    self.room = self.room.checked_sub(length).ok_or(at)?;
                    Cow::Owned(format!("{prefix}.{key}"))
                }
            };
            match json {
                Json::Object(_) if depth < MAX_DEPTH => {
                    self.descend(at, Some(&path), depth + 1)?;
                }
                _ => self.leaves.push(Leaf { path, json, at }),
            }
        }
        Ok(())
    }
}

/// The members of the object at an offset: key, value and where the value is.
pub(super) fn members(
    text: &str,
    start: usize,
) -> impl Iterator<Item = (Cow<'_, str>, Json<'_>, usize)> {
    let bytes = text.as_bytes();
    let mut at = start + 1;
    std::iter::from_fn(move || {
        let key_at = skip(bytes, at, b" \t\r\n,");
        if bytes.get(key_at) != Some(&b'"') {
            return None;
        }
        let key_end = end_of(bytes, key_at);
        let value_at = skip(bytes, key_end, b" \t\r\n:");
        at = end_of(bytes, value_at).max(value_at + 1);
        let quoted = text.get(key_at..key_end)?;
        let key = unquote(quoted).unwrap_or(Cow::Borrowed(quoted));
        Some((key, Json::at(text, value_at), value_at))
    })
}

fn skip(bytes: &[u8], mut at: usize, over: &[u8]) -> usize {
    while bytes.get(at).is_some_and(|byte| over.contains(byte)) {
        at += 1;
    }
    at
}

/// The offset behind the value at an offset.
fn end_of(bytes: &[u8], start: usize) -> usize {
    match bytes.get(start) {
        Some(b'"') => end_of_string(bytes, start),
        Some(b'{' | b'[') => {
            let (mut depth, mut at) = (0usize, start);
            while let Some(byte) = bytes.get(at) {
                match byte {
                    b'"' => {
                        at = end_of_string(bytes, at);
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                at += 1;
                if depth == 0 {
                    return at;
                }
            }
            bytes.len()
        }
        _ => {
            let rest = bytes.get(start..).unwrap_or_default();
            let ends =
                |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n');
            start + rest.iter().position(ends).unwrap_or(rest.len())
        }
    }
}

fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        at += found;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}
