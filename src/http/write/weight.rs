//! What a message of protobuf takes in memory once it is decoded, found out before it is.
//!
//! An element that is empty is two bytes of a body and some hundred in memory, so that a body within its
//! bounds could take the memory of fifty. Nothing is allocated here: the fields are walked over as they lie.

use crate::http::body::{Room, Taken};
use crate::http::problem::Problem;

/// A field that takes memory; all others are passed over when they are decoded, too.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) tag: u32,
    pub(super) kind: Kind,
}

/// How a field takes memory.
#[derive(Debug)]
pub(super) enum Kind {
    /// So many bytes for each number; numbers may be packed, a byte or more each.
    Numbers(usize),
    /// So many bytes for each number of eight bytes; such numbers may be packed, too.
    Doubles(usize),
    /// So many bytes; what it holds stays in the body.
    InPlace(usize),
    /// So many bytes, and those that it holds.
    Bytes(usize),
    /// So many bytes, and what its own fields take.
    Message(usize, &'static [Part]),
}

/// What an object of JSON takes beside its members, and each member or element: bytes.
const OBJECT_BYTES: usize = 640;
const MEMBER_BYTES: usize = 64;

/// Takes room for what a body of JSON is read into.
///
/// # Errors
/// Where there is no room.
pub(super) fn take_room_of_json(taken: &mut Taken, room: &Room) -> Result<(), Problem> {
    let weight = weigh_json(taken.bytes());
    taken.take_more(room, weight)
}

fn weigh_json(bytes: &[u8]) -> usize {
    // What is in texts counts, too: few have many of these.
    let each = |byte: &u8| match byte {
        b'{' => OBJECT_BYTES,
        b',' | b'[' => MEMBER_BYTES,
        _ => 1,
    };
    bytes.iter().map(each).sum()
}

/// How deep messages may lie within others, as `prost` has it.
const DEPTH_MOST: usize = 100;

/// Takes room for what a body is decoded into.
///
/// # Errors
/// Where it is no message, or there is no room.
pub(super) fn take_room(
    taken: &mut Taken,
    room: &Room,
    parts: &'static [Part],
) -> Result<(), Problem> {
    let malformed = || Problem::invalid("the body is not the message that its type says");
    // Lists double as they grow.
    let weight = weigh(taken.bytes(), parts, 0).ok_or_else(malformed)?.saturating_mul(2);
    taken.take_more(room, weight)
}

/// What a message takes; none where it is none.
fn weigh(mut bytes: &[u8], parts: &[Part], depth: usize) -> Option<usize> {
    if depth > DEPTH_MOST {
        return None;
    }
    let mut sum = 0_usize;
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let tag = u32::try_from(key >> 3).ok()?;
        let inner = match key & 7 {
            0 => varint(&mut bytes).map(|_| None)?,
            1 => take(&mut bytes, 8).map(|_| None)?,
            2 => {
                let length = varint(&mut bytes)?;
                Some(take(&mut bytes, usize::try_from(length).ok()?)?)
            }
            5 => take(&mut bytes, 4).map(|_| None)?,
            // Groups, which no message of today has.
            _ => return None,
        };
        let Some(part) = parts.iter().find(|part| part.tag == tag) else { continue };
        sum = sum.saturating_add(match (&part.kind, inner) {
            (Kind::Numbers(each), packed) => packed.map_or(*each, |packed| packed.len() * each),
            (Kind::Doubles(each), packed) => packed.map_or(*each, |packed| packed.len() / 8 * each),
            (Kind::InPlace(each), _) => *each,
            (Kind::Bytes(each), inner) => each + inner.map_or(0, <[u8]>::len),
            (Kind::Message(each, parts), Some(inner)) => {
                each.saturating_add(weigh(inner, parts, depth + 1)?)
            }
            (Kind::Message(..), None) => return None,
        });
    }
    Some(sum)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INNER: &[Part] = &[Part { tag: 1, kind: Kind::Bytes(32) }];
    const OUTER: &[Part] =
        &[Part { tag: 1, kind: Kind::Message(72, INNER) }, Part { tag: 2, kind: Kind::Numbers(8) }];

    #[test]
    fn empty_elements_weigh_what_they_take_in_memory() {
        assert_eq!(weigh(&[], OUTER, 0), Some(0));
        // A thousand empty messages.
        assert_eq!(weigh(&[0x0a, 0].repeat(1_000), OUTER, 0), Some(72_000));
        // A message with a text of three bytes, and one that is not kept.
        assert_eq!(weigh(b"\x0a\x08\x0a\x03abc\x12\x01x", OUTER, 0), Some(72 + 32 + 3));
        // Numbers one by one, and packed.
        assert_eq!(weigh(b"\x10\x05\x11\0\0\0\0\0\0\0\0\x12\x03\x01\x02\x03", OUTER, 0), Some(40));
    }

    #[test]
    fn empty_objects_of_json_weigh_what_they_take_in_memory() {
        let objects = format!("[{}{{}}]", "{},".repeat(999));
        assert!(weigh_json(objects.as_bytes()) >= 1_000 * (OBJECT_BYTES + MEMBER_BYTES));
        assert_eq!(weigh_json(b"\"abc\""), 5);
    }

    #[test]
    fn what_is_no_message_has_no_weight() {
        for wrong in [
            &b"\x0a"[..],
            b"\x0a\x05ab",
            b"\x08",
            b"\x0b",
            b"\x0a\x02\x0a\x05",
            b"\x08\x01",
            &[0xff; 12],
        ] {
            assert_eq!(weigh(wrong, OUTER, 0), None, "{wrong:?}");
        }
    }
}
