//! What somebody may have meant.

/// The nearest of the names that are there, if one is near.
pub(crate) fn did_you_mean<'a>(
    name: &str,
    there: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // A name that is longer than any is none of them, and the comparison takes the product of lengths.
    if name.len() > 64 {
        return None;
    }
    let near = |other: &'a str| (strsim::jaro_winkler(name, other), other);
    let nearest = there.into_iter().map(near).max_by(|one, other| one.0.total_cmp(&other.0));
    nearest.filter(|(how, _)| *how > 0.8).map(|(_, other)| other)
}
