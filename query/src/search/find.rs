//! Answering a request.

mod listing;
mod metrics;
mod offers;
mod sealed;

use std::ops::RangeInclusive;

use tantivy::Searcher;

use super::error::SearchError;
use super::expression::Expression;
use super::index::SearchIndex;
use super::matching::Matcher;
use super::remote::Trust;
use super::request::{Answer, LIMIT_MAX, Origin, REACH_MAX, Request, Sort, Target};
use super::schema::{Fields, NO_PRICE, mark};
use super::subjects::{SubjectHit, Subjects};
use super::suggest::suggestion;
use super::words::Analyzer;

/// What is needed to answer a request.
struct Search<'a> {
    fields: &'a Fields,
    searcher: Searcher,
    request: &'a Request,
    expression: Expression,
}

impl SearchIndex {
    /// Answers a request from what was committed last.
    pub fn search(&self, request: &Request) -> Result<Answer, SearchError> {
        check(request)?;
        let expression = Expression::parse(&request.text)?;
        let (fields, searcher) = (&self.fields, self.searcher()?);
        let search = Search { fields, searcher, request, expression };
        let mut answer = match request.target {
            Target::Chunk => search.chunks()?,
            Target::Metric => search.metrics()?,
            Target::Device => search.devices()?,
            Target::Offer => search.offers()?,
        };
        if answer.total == 0 {
            answer.suggestion =
                suggestion(fields, &search.searcher, &request.text, &search.expression)?;
        }
        Ok(answer)
    }
}

fn check(request: &Request) -> Result<(), SearchError> {
    let fail = |problem: String| Err(SearchError::Request(problem));
    if request.limit > LIMIT_MAX {
        return fail(format!("a limit of {} is more than {LIMIT_MAX}", request.limit));
    }
    let reach = request.offset.saturating_add(request.limit);
    if reach > REACH_MAX {
        return fail(format!("offset and limit reach to {reach}, more than {REACH_MAX}"));
    }
    if request.from_ns > request.to_ns {
        return fail("the range of time ends before it begins".to_owned());
    }
    if request.price.as_ref().is_some_and(RangeInclusive::is_empty) {
        return fail("the range of prices ends before it begins".to_owned());
    }
    if request.target == Target::Offer && request.place.is_some() {
        return fail("offers are in no box; narrow them by region, or look for chunks".to_owned());
    }
    Ok(())
}

impl Search<'_> {
    fn range(&self) -> (i64, i64) {
        (self.request.from_ns, self.request.to_ns)
    }

    /// Whether every time is in the range.
    fn is_always(&self) -> bool {
        self.range() == (i64::MIN, i64::MAX)
    }

    /// Whether all subjects that fit are found, whatever chunks they have.
    fn needs_no_chunks(&self) -> bool {
        self.is_always() && self.request.trust == Trust::Told
    }

    /// Whether subjects are narrowed by anything that is indexed of them.
    fn has_conditions(&self) -> bool {
        !self.expression.is_everything()
            || !self.request.labels.is_empty()
            || self.request.price.is_some()
            || self.request.origin != Origin::Any
    }

    fn subjects(&self) -> Result<Subjects, SearchError> {
        let marks: &[&str] = match (self.request.target, self.request.origin) {
            (Target::Offer, _) => &[mark::OFFER],
            (Target::Metric | Target::Device, Origin::Any) => &[mark::SUBJECT, mark::REMOTE],
            (Target::Metric | Target::Device, Origin::Local) => &[mark::SUBJECT],
            (Target::Metric | Target::Device, Origin::Remote) => &[mark::REMOTE],
            (Target::Chunk, Origin::Any) => {
                &[mark::SUBJECT, mark::REMOTE, mark::HIDDEN, mark::HIDDEN_REMOTE]
            }
            (Target::Chunk, Origin::Local) => &[mark::SUBJECT, mark::HIDDEN],
            (Target::Chunk, Origin::Remote) => &[mark::REMOTE, mark::HIDDEN_REMOTE],
        };
        let mut matcher = Matcher {
            fields: self.fields,
            searcher: &self.searcher,
            analyzer: Analyzer::default(),
        };
        let query = matcher.query(&self.expression, self.request, marks)?;
        let with_scores = self.request.sort == Sort::Relevance && !self.expression.is_everything();
        let found = Subjects::find(&self.searcher, &*query, with_scores)?;
        let Some(prices) = &self.request.price else { return Ok(found) };
        let is_wanted = |hit: &SubjectHit| hit.price != NO_PRICE && prices.contains(&hit.price);
        Ok(Subjects::new(found.hits.into_iter().filter(is_wanted).collect()))
    }
}

/// What decides the order of two that are found; the least comes first.
type Rank = (i128, i64);

/// The rank of something by the order that is asked for.
fn rank(sort: Sort, score: f32, price: u128, span_ns: Option<(i64, i64)>) -> Rank {
    // What has no records comes behind what has.
    let newest = span_ns.map_or(i64::MAX, |(_, last)| !last);
    match sort {
        // Scores are not negative, and the bits of such floats are in their order.
        Sort::Relevance => (-i128::from(score.to_bits()), newest),
        Sort::Time => (span_ns.map_or(i64::MAX, |(first, _)| first).into(), newest),
        Sort::Freshness => (newest.into(), 0),
        // All 128 bits, in the order of signed numbers.
        Sort::Price => ((price ^ 1 << 127) as i128, newest),
    }
}
