//! Which subjects an expression fits, as a query of tantivy.

use tantivy::query::{
    AllQuery, BooleanQuery, BoostQuery, ConstScoreQuery, EmptyQuery, FuzzyTermQuery, Occur,
    PhraseQuery, Query, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Searcher, Term};

use super::complement::Complement;
use super::error::SearchError;
use super::expression::Expression;
use super::request::{Facet, Request};
use super::schema::{Fields, label_term};
use super::words::{Analyzer, Piece};

/// How much more a word counts as it is written than by its stem alone.
const EXACT_BOOST: f32 = 1.5;

/// Makes queries of expressions.
pub(super) struct Matcher<'a> {
    pub(super) fields: &'a Fields,
    pub(super) searcher: &'a Searcher,
    pub(super) analyzer: Analyzer,
}

/// Names that queries use for facets beside those of their own.
fn facet_key(key: &str) -> &str {
    match key {
        "name" => Facet::Metric.name(),
        "kind" => Facet::Type.name(),
        other => other,
    }
}

impl Matcher<'_> {
    /// The subjects with one of some marks that an expression and the labels of a request fit.
    pub(super) fn query(
        &mut self,
        expression: &Expression,
        request: &Request,
        marks: &[&str],
    ) -> Result<Box<dyn Query>, SearchError> {
        let marked = marks.iter().map(|mark| {
            let term = Term::from_field_text(self.fields.mark, mark);
            (Occur::Should, self.term(term))
        });
        let marked: Box<dyn Query> = Box::new(BooleanQuery::new(marked.collect()));
        let marked: Box<dyn Query> = Box::new(ConstScoreQuery::new(marked, 0.0));
        let mut parts = vec![(Occur::Must, marked)];
        for (key, value) in &request.labels {
            let key = self.analyzer.label(key);
            let label = self.label(&key, value, false).map_err(SearchError::Request)?;
            parts.push((Occur::Must, label));
        }
        if !expression.is_everything() {
            parts.push((Occur::Must, self.of(expression)?));
        }
        Ok(Box::new(BooleanQuery::new(parts)))
    }

    fn term(&self, term: Term) -> Box<dyn Query> {
        let option = match term.field() == self.fields.word || term.field() == self.fields.stem {
            true => IndexRecordOption::WithFreqs,
            false => IndexRecordOption::Basic,
        };
        Box::new(TermQuery::new(term, option))
    }

    fn of(&mut self, expression: &Expression) -> Result<Box<dyn Query>, SearchError> {
        Ok(match expression {
            Expression::All(parts) if parts.is_empty() => Box::new(AllQuery),
            Expression::All(parts) => self.joined(parts, Occur::Must)?,
            Expression::Any(parts) => self.joined(parts, Occur::Should)?,
            Expression::Not(part) => Box::new(Complement(self.of(part)?)),
            Expression::Word { text, is_prefix } => self.word(text, *is_prefix),
            Expression::Phrase(text) => self.phrase(text),
            Expression::Label { key, value, is_prefix, at } => {
                let key = self.analyzer.label(key);
                let label = self.label(&key, value, *is_prefix);
                label.map_err(|problem| SearchError::Query { at: *at, problem })?
            }
        })
    }

    fn joined(
        &mut self,
        parts: &[Expression],
        occur: Occur,
    ) -> Result<Box<dyn Query>, SearchError> {
        let clauses = parts.iter().map(|part| Ok((occur, self.of(part)?)));
        let clauses = clauses.collect::<Result<_, SearchError>>()?;
        Ok(Box::new(BooleanQuery::new(clauses)))
    }

    /// A word, which may be several once its punctuation is taken away.
    fn word(&mut self, text: &str, is_prefix: bool) -> Box<dyn Query> {
        let mut pieces = self.analyzer.pieces(text);
        let last = pieces.pop();
        let Some(last) = last else { return Box::new(EmptyQuery) };
        if is_prefix {
            let term = Term::from_field_text(self.fields.word, &last.whole);
            let prefix: Box<dyn Query> = Box::new(FuzzyTermQuery::new_prefix(term, 0, false));
            let words = pieces.iter().map(|piece| self.piece(piece));
            let words: Vec<Box<dyn Query>> = words.collect();
            let clauses = words.into_iter().chain([prefix]).map(|query| (Occur::Must, query));
            return Box::new(BooleanQuery::new(clauses.collect()));
        }
        if pieces.is_empty() {
            return self.piece(&last);
        }
        pieces.push(last);
        self.beside(&pieces)
    }

    fn phrase(&mut self, text: &str) -> Box<dyn Query> {
        let pieces = self.analyzer.pieces(text);
        match &pieces[..] {
            [] => Box::new(EmptyQuery),
            [piece] if piece.parts.is_empty() => self.exact(&piece.whole),
            [piece] => self.one_of(vec![self.exact(&piece.whole), self.beside(&pieces)]),
            _ => self.beside(&pieces),
        }
    }

    fn exact(&self, word: &str) -> Box<dyn Query> {
        self.term(Term::from_field_text(self.fields.word, word))
    }

    fn one_of(&self, queries: Vec<Box<dyn Query>>) -> Box<dyn Query> {
        let clauses = queries.into_iter().map(|query| (Occur::Should, query)).collect();
        Box::new(BooleanQuery::new(clauses))
    }

    /// A piece as it is written, by its stem, or as its parts beside each other.
    fn piece(&mut self, piece: &Piece) -> Box<dyn Query> {
        let stem = self.analyzer.stem(&piece.whole);
        let stem = self.term(Term::from_field_text(self.fields.stem, &stem));
        let exact: Box<dyn Query> =
            Box::new(BoostQuery::new(self.exact(&piece.whole), EXACT_BOOST));
        let mut forms = vec![exact, stem];
        if !piece.parts.is_empty() {
            forms.push(self.beside(std::slice::from_ref(piece)));
        }
        self.one_of(forms)
    }

    /// Words beside each other, each as the parts it is written in.
    fn beside(&self, pieces: &[Piece]) -> Box<dyn Query> {
        let whole = |piece: &Piece| vec![piece.whole.clone()];
        let parts = |piece: &Piece| match piece.parts.is_empty() {
            true => whole(piece),
            false => piece.parts.clone(),
        };
        let words: Vec<String> = pieces.iter().flat_map(parts).collect();
        match &words[..] {
            [word] => self.exact(word),
            _ => {
                let term = |word: &String| Term::from_field_text(self.fields.word, word);
                Box::new(PhraseQuery::new(words.iter().map(term).collect()))
            }
        }
    }

    /// A label; its key is a facet or the key of some tag.
    fn label(&mut self, key: &str, value: &str, is_prefix: bool) -> Result<Box<dyn Query>, String> {
        let key = facet_key(key);
        if Facet::from_name(key).is_none() && !self.has_key(key)? {
            return Err(unknown_key(key));
        }
        let value = self.analyzer.label(value);
        let term = Term::from_field_text(self.fields.label, &label_term(key, &value));
        let query = match is_prefix {
            true => Box::new(FuzzyTermQuery::new_prefix(term, 0, false)),
            false => self.term(term),
        };
        Ok(Box::new(ConstScoreQuery::new(query, 0.1)))
    }

    /// Whether some subject has a tag or metadata with a key.
    fn has_key(&self, key: &str) -> Result<bool, String> {
        for reader in self.searcher.segment_readers() {
            let terms = reader.inverted_index(self.fields.label).map_err(|e| e.to_string())?;
            let first = label_term(key, "");
            let stream = terms.terms().range().ge(&first).into_stream();
            let mut stream = stream.map_err(|error| error.to_string())?;
            if stream.advance() && stream.key().starts_with(first.as_bytes()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn unknown_key(key: &str) -> String {
    let known = Facet::ALL.map(Facet::name);
    let near = known.iter().find(|name| strsim::damerau_levenshtein(name, key) <= 2);
    match near {
        Some(name) => format!("there is no field {key:?}; did you mean {name}?"),
        None => format!("there is no field or tag {key:?}; fields are {}", known.join(", ")),
    }
}

/// The terms of a field from one on, as many as `take` wants.
pub(super) fn each_term(
    searcher: &Searcher,
    field: Field,
    take: &mut dyn FnMut(&str) -> bool,
) -> Result<(), SearchError> {
    for reader in searcher.segment_readers() {
        let index = reader.inverted_index(field)?;
        let mut stream = index.terms().stream().map_err(tantivy::TantivyError::from)?;
        while stream.advance() {
            let term = std::str::from_utf8(stream.key());
            if !term.is_ok_and(&mut *take) {
                return Ok(());
            }
        }
    }
    Ok(())
}
