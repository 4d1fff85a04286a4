//! Parameters as addresses and forms have them.

/// Names and values in the order in which they stand.
pub(super) fn pairs(text: &str) -> Vec<(String, String)> {
    let pairs = form_urlencoded::parse(text.as_bytes());
    pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

/// The last value of a name; an empty one is none.
pub(super) fn last(text: &str, name: &str) -> Option<String> {
    let found = form_urlencoded::parse(text.as_bytes()).filter(|(other, _)| other == name).last();
    found.map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())
}
