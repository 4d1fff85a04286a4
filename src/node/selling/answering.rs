//! Answers to questions of the configuration, which nobody has to look at.

use chronolith_chain::hash::RequestId;

use super::look::Look;
use super::{Runner, SellingEvent};
use crate::market::question::QuestionError;
use crate::market::{MarketError, VenueError};
use crate::node::submit::SubmitError;

impl Runner {
    /// Answers a request. One that cannot be answered yet waits, with the reason; it is tried again less and less
    /// often, and seldom from the beginning where it would fail again by what it asks. The owner can decline it or
    /// answer it by his word meanwhile.
    pub(super) fn answer(&mut self, request: RequestId) {
        if !self.answers.get(&request).is_none_or(Look::is_time) {
            return;
        }
        match self.desk.answer(request, None) {
            Ok(_) => {
                self.answers.remove(&request);
                (self.tell)(SellingEvent::Answered { request });
            }
            Err(error) => {
                let look = self.answers.entry(request).or_insert_with(Look::first);
                match is_lasting(&error) {
                    true => look.put_off_longest(),
                    false => look.put_off(),
                }
                self.waits(request, error.to_string());
            }
        }
    }
}

/// Whether a failure is of what is asked, so that it is the same the next time; one that the ledger refuses also
/// costs its fee.
fn is_lasting(error: &MarketError) -> bool {
    match error {
        MarketError::Question(error) => matches!(
            **error,
            QuestionError::TooLong { .. } | QuestionError::Column(_) | QuestionError::Scope(_)
        ),
        MarketError::Grant(_) => true,
        MarketError::Venue(VenueError::Submit(error)) => {
            matches!(**error, SubmitError::Refused { .. })
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A question that reads what is not sold was asked of the database again after half a second, one second, two.
    #[test]
    fn what_fails_by_its_content_is_told_from_what_may_be_there_later() {
        let is_lasting = |error: QuestionError| is_lasting(&error.into());
        assert!(is_lasting(QuestionError::Scope("rpm".to_owned())));
        assert!(is_lasting(QuestionError::Column("mean".to_owned())));
        assert!(is_lasting(QuestionError::TooLong { found: 2, most: 1 }));
        assert!(!is_lasting(QuestionError::Sql("the time is over".to_owned())));
        let later = MarketError::Missing { what: "anchored chunk for", id: "1".to_owned() };
        assert!(!super::is_lasting(&later));
    }
}
