//! Keys of caches: parts that came from the input, told apart whatever is in them.

/// Appends a part behind its length, so that no other parts give the same key.
pub(super) fn push_part(key: &mut String, part: &str) {
    // Lengths that are no character share one; names of such lengths are refused anyway.
    let length = u32::try_from(part.len()).ok().and_then(char::from_u32);
    key.push(length.unwrap_or(char::MAX));
    key.push_str(part);
}

#[cfg(test)]
mod tests {
    use super::push_part;

    /// Parts were joined by NUL: `a`, `\0b` and `a\0`, `b` were one device and tag.
    #[test]
    fn parts_are_told_apart_whatever_they_hold() {
        let key = |parts: &[&str]| {
            let mut key = String::new();
            parts.iter().for_each(|part| push_part(&mut key, part));
            key
        };
        assert_ne!(key(&["a", "\0b"]), key(&["a\0", "b"]));
        assert_ne!(key(&["a\0k\0v"]), key(&["a", "k", "v"]));
        assert_ne!(key(&["", "a"]), key(&["a", ""]));
        assert_ne!(key(&["\u{1}a"]), key(&["", "a"]));
    }
}
