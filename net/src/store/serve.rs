//! Answering what others ask for fragments.

use chronolith_chain::encoding::{Bytes, List};

use super::{FragmentStore, StoreError};
use crate::exchange::{Question, Reply};

/// The answer to a question for a header, for what is held, for a fragment or for blocks of one; `None`
/// for every other question.
///
/// A question costs at most one fragment that is read and hashed, and nothing is kept for it. Where
/// the disk fails the answer is a refusal that says nothing of this machine; damage is absence.
#[must_use]
pub fn serve(store: &FragmentStore, question: &Question) -> Option<Reply> {
    let reply = match question {
        Question::Header(pack) => {
            answer(store.header(*pack), |bytes| Bytes::new(bytes).ok().map(Reply::Header))
        }
        Question::Held(pack) => {
            let held = store.held(*pack);
            let is_here = !held.is_empty();
            List::new(held).ok().filter(|_| is_here).map_or(Reply::Absent, Reply::Held)
        }
        Question::Fragment { pack, index } => answer(store.fragment(*pack, *index), |bytes| {
            Bytes::new(bytes).ok().map(Reply::Fragment)
        }),
        Question::Blocks { pack, index, first, count } => {
            let blocks = store.blocks(*pack, *index, *first, *count);
            answer(blocks, |bytes| Bytes::new(bytes).ok().map(Reply::Blocks))
        }
        _ => return None,
    };
    Some(reply)
}

/// What is told of bytes that were asked for.
fn answer(
    found: Result<Option<Vec<u8>>, StoreError>,
    reply: impl FnOnce(Vec<u8>) -> Option<Reply>,
) -> Reply {
    match found {
        Ok(Some(bytes)) => {
            reply(bytes).unwrap_or_else(|| Reply::refused("it is too long for an answer"))
        }
        Ok(None) | Err(StoreError::Damaged(_)) => Reply::Absent,
        Err(StoreError::Rows { fault, .. }) => Reply::refused(&fault.to_string()),
        Err(_) => Reply::refused("it cannot be read now"),
    }
}
