//! Answers to questions of the configuration, which nobody has to look at.

use chronolith_chain::hash::RequestId;

use super::look::Look;
use super::{Runner, SellingEvent};

impl Runner {
    /// Answers a request. One that cannot be answered yet waits, with the reason; it is tried again less and less
    /// often, and the owner can decline it or answer it by his word meanwhile.
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
                self.answers.entry(request).or_insert_with(Look::first).put_off();
                self.waits(request, error.to_string());
            }
        }
    }
}
