//! Lists of the ledger: a bounded number of entries behind an id, read a part at a time.

use chronolith_chain::state::{Key, Overlay};

use super::input::id;
use crate::http::chain::{ask, ending};
use crate::http::parameters::last;
use crate::http::problem::Problem;
use crate::http::state::HttpState;

/// How many entries a list has where it is not said.
const LIMIT: usize = 100;
/// The most that it has.
const LIMIT_MOST: usize = 1_000;
/// How many entries the validator reads at a time. It has other things to do.
const AT_ONCE: usize = 256;

/// Which part of a list is wanted: `?limit=` and `?after=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    limit: usize,
    after: Option<[u8; 32]>,
}

impl Part {
    /// What the parameters of an address say.
    pub(super) fn of(query: &str) -> Result<Self, Problem> {
        let limit = match last(query, "limit").map(|text| (text.parse(), text)) {
            None => LIMIT,
            Some((Ok(limit), _)) if (1..=LIMIT_MOST).contains(&limit) => limit,
            Some((_, text)) => {
                let what = format!("limit is a number from 1 to {LIMIT_MOST}, not {text:?}");
                return Err(Problem::invalid(what));
            }
        };
        let after = last(query, "after").map(|text| id(&text, |id| id)).transpose()?;
        Ok(Self { limit, after })
    }

    /// The entries of a kind that are wanted, in the order of their keys. The validator gives some at a time;
    /// what is chosen, and made of them, is made here.
    pub(super) async fn read<K>(
        self,
        state: &HttpState,
        key: fn([u8; 32]) -> K,
        wanted: impl Fn(&K, &K::Value) -> bool + Send,
    ) -> Result<Vec<(K, K::Value)>, Problem>
    where
        K: Key + Send + Copy + 'static,
        K::Value: Send + 'static,
    {
        let (mut found, mut after) = (Vec::new(), self.after.map(key));
        loop {
            let read = ask(state, move |link| {
                let looked = link.chain().look(move |validator| {
                    Overlay::new(validator.state()).scan_behind(after.as_ref(), AT_ONCE)
                });
                let looked: Result<Vec<(K, K::Value)>, _> = looked.ok_or_else(ending)?;
                looked.map_err(|error| Problem::internal(error.to_string()))
            });
            let read = read.await?;
            let is_last = read.len() < AT_ONCE;
            after = read.last().map(|(key, _)| *key);
            let left = self.limit.saturating_sub(found.len());
            found.extend(read.into_iter().filter(|(key, value)| wanted(key, value)).take(left));
            if is_last || found.len() >= self.limit {
                return Ok(found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_lists_are_bounded() {
        let part = |query: &str| Part::of(query).map_err(|problem| problem.status.as_u16());
        let id = "07".repeat(32);
        assert_eq!(part("closed=true"), Ok(Part { limit: 100, after: None }));
        let wanted = Part { limit: 1_000, after: Some([7; 32]) };
        assert_eq!(part(&format!("limit=1000&after={id}")), Ok(wanted));
        for wrong in ["limit=0", "limit=1001", "limit=-1", "limit=all", "after=7", "after=x"] {
            assert_eq!(part(wrong), Err(400), "{wrong}");
        }
    }
}
