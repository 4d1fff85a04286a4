//! Likelier words where nothing was found.

use tantivy::Searcher;

use super::error::SearchError;
use super::expression::Expression;
use super::matching::each_term;
use super::schema::Fields;
use super::words::Analyzer;

/// The most words of the index that are compared.
const COMPARED_MAX: usize = 200_000;

/// The text of a query with each word that is nowhere replaced by the nearest that is somewhere;
/// `None` where there is no such word, or none near it.
pub(super) fn suggestion(
    fields: &Fields,
    searcher: &Searcher,
    text: &str,
    expression: &Expression,
) -> Result<Option<String>, SearchError> {
    let mut analyzer = Analyzer::default();
    let mut wanted = Vec::new();
    words_of(expression, &mut wanted);
    let (mut suggested, mut changed) = (text.to_owned(), false);
    for word in wanted {
        let folded = analyzer.fold(&word);
        let Some(near) = nearest(fields, searcher, &folded)? else { continue };
        suggested = suggested.replacen(&word, &near, 1);
        changed = true;
    }
    Ok(changed.then_some(suggested))
}

/// The words and values that must fit.
fn words_of(expression: &Expression, words: &mut Vec<String>) {
    match expression {
        Expression::All(parts) | Expression::Any(parts) => {
            parts.iter().for_each(|part| words_of(part, words));
        }
        Expression::Word { text, .. } => words.push(text.clone()),
        Expression::Label { value, .. } | Expression::Phrase(value) => {
            words.extend(value.split_whitespace().map(str::to_owned));
        }
        Expression::Not(_) => {}
    }
}

/// The word of the index that is nearest to one that is not there: one change away, two where it
/// is longer than five characters (Damerau and Levenshtein).
fn nearest(
    fields: &Fields,
    searcher: &Searcher,
    word: &str,
) -> Result<Option<String>, SearchError> {
    let length = word.chars().count();
    if !(3..=64).contains(&length) {
        return Ok(None);
    }
    let most = if length > 5 { 2 } else { 1 };
    let mut best: Option<(usize, String)> = None;
    let mut compared = 0;
    each_term(searcher, fields.word, &mut |term| {
        compared += 1;
        let near = term.chars().count().abs_diff(length) <= most;
        if near {
            let distance = strsim::damerau_levenshtein(term, word);
            let is_better = best.as_ref().is_none_or(|(least, _)| distance < *least);
            if distance <= most && is_better {
                best = Some((distance, term.to_owned()));
            }
        }
        compared < COMPARED_MAX && best.as_ref().is_none_or(|(least, _)| *least > 0)
    })?;
    Ok(best.filter(|(distance, _)| *distance > 0).map(|(_, term)| term))
}
