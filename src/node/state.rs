//! The ledger's state, read from a running node.

use std::cell::Cell;

use chronolith_chain::encoding::Bytes;
use chronolith_chain::state::{StateError, View};
use chronolith_net::exchange::{MAX_ROWS, Question, ROW_KEY_BYTES, Reply, Rows};

use super::{Client, NodeError};

/// How many rows the first page of a scan has; further ones have more.
const FIRST_PAGE: u16 = 32;

/// What a node says the state is. Whoever runs the node trusts it; others verify proofs instead.
pub struct NodeState<'a> {
    client: &'a Client,
    height: Cell<u64>,
}

impl<'a> NodeState<'a> {
    /// The state of the node that a client asks.
    #[must_use]
    pub fn new(client: &'a Client) -> Self {
        Self { client, height: Cell::new(0) }
    }

    /// The height of the block after which the last rows were so.
    ///
    /// # Errors
    /// Where the node does not answer.
    pub fn height(&self) -> Result<u64, StateError> {
        if self.height.get() == 0 {
            self.rows(&[], Some(&[0]), 1)?;
        }
        Ok(self.height.get())
    }

    fn rows(&self, from: &[u8], until: Option<&[u8]>, most: u16) -> Result<Rows, StateError> {
        let elsewhere = |error: &dyn std::fmt::Display| StateError::Elsewhere(error.to_string());
        let key =
            |bytes: &[u8]| Bytes::<ROW_KEY_BYTES>::new(bytes).map_err(|error| elsewhere(&error.0));
        let until = until.map(key).transpose()?;
        let question = Question::Rows { from: key(from)?, until, most };
        let asked = self.client.ask(&question, |reply| match reply {
            Reply::Rows(rows) => Some(rows),
            _ => None,
        });
        let rows = asked.map_err(|error: NodeError| elsewhere(&error))?;
        self.height.set(rows.height);
        Ok(rows)
    }
}

impl View for NodeState<'_> {
    fn get_bytes(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let end = [key, &[0]].concat();
        let rows = self.rows(key, Some(&end), 1)?;
        Ok(rows.rows.first().filter(|row| *row.0 == *key).map(|row| row.1.to_vec()))
    }

    fn scan_bytes(
        &self,
        from: &[u8],
        until: Option<&[u8]>,
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StateError> {
        let (mut from, mut most) = (from.to_vec(), FIRST_PAGE);
        loop {
            let page = self.rows(&from, until, most)?;
            for (key, value) in page.rows.iter() {
                if !each(key, value) {
                    return Ok(());
                }
            }
            let Some((last, _)) = page.rows.last().filter(|_| !page.is_end) else { return Ok(()) };
            from = [last, &[0][..]].concat();
            most = most.saturating_mul(4).min(MAX_ROWS as u16);
        }
    }
}
