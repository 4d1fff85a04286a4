//! The guard before the parser: bounds on the text of a query.
//!
//! Planning recurses over expressions, so that a chain of a hundred thousand operators would
//! exhaust the stack, which no error can catch. What can nest is therefore bounded; lists of
//! values, which cannot, only by the length of the text.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// The longest text: bytes.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// The most tokens between two commas.
const TOKENS_MAX: usize = 2_000;

/// A sentence where a text is too long or too deep to be planned.
pub(crate) fn check(sql: &str) -> Result<(), String> {
    if sql.len() > TEXT_BYTES_MAX {
        let size = sql.len();
        return Err(format!("the query has {size} bytes, more than {TEXT_BYTES_MAX}; shorten it"));
    }
    // What cannot be split into tokens is the parser's to explain.
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize() else { return Ok(()) };
    let mut run = 0_usize;
    for token in tokens {
        run = match token {
            Token::Whitespace(_) => run,
            // Members of a list stand beside each other.
            Token::Comma => run.saturating_sub(1),
            _ => run + 1,
        };
        // A list adds one value for each comma, which cancel each other.
        if run > TOKENS_MAX {
            return Err(format!(
                "the query has expressions of more than {TOKENS_MAX} words; \
                 use IN (...) or a join with VALUES instead of long chains"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_pass_and_long_chains_do_not() {
        let list = format!("SELECT 1 WHERE 1 IN (1{})", ", 2".repeat(50_000));
        assert!(check(&list).is_ok());
        let chain = format!("SELECT 1{}", " + 1".repeat(50_000));
        assert!(check(&chain).is_err());
        assert!(check(&"(".repeat(1 << 20)).is_err());
        assert!(check(&" ".repeat((1 << 20) + 1)).is_err());
        assert!(check("SELECT 'unfinished").is_ok());
    }
}
