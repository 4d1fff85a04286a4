//! The text of a query as an expression.
//!
//! ```text
//! query  := all { "OR" all }
//! all    := { term }                       every term must fit
//! term   := [ "-" ] ( "(" query ")" | FIELD ":" value | value )
//! value  := WORD [ "*" ] | '"' ... '"'
//! ```

use super::error::SearchError;

/// The longest text of a query: bytes.
const TEXT_BYTES_MAX: usize = 4_096;
/// The most words, fields and parentheses of a query.
const TERMS_MAX: usize = 256;
/// How deep parentheses may stand in each other.
const DEPTH_MAX: usize = 32;

/// What a query says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expression {
    /// All of them fit; where there are none, everything does.
    All(Vec<Expression>),
    /// One of them fits.
    Any(Vec<Expression>),
    /// It does not fit.
    Not(Box<Expression>),
    /// A word.
    Word { text: String, is_prefix: bool },
    /// Words beside each other.
    Phrase(String),
    /// A label with its value. `at` is where it stands, in characters from 1.
    Label { key: String, value: String, is_prefix: bool, at: usize },
}

/// A piece of a query with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Not,
    Or,
    /// A word, in quotes or not.
    Value {
        text: String,
        is_quoted: bool,
        is_prefix: bool,
    },
    /// What stands before a colon.
    Field(String),
}

fn error(at: usize, problem: impl Into<String>) -> SearchError {
    SearchError::Query { at: at + 1, problem: problem.into() }
}

/// Whether a character ends a word.
fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | '"')
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, SearchError> {
    let characters: Vec<char> = text.chars().collect();
    let (mut tokens, mut at) = (Vec::new(), 0);
    while let Some(c) = characters.get(at).copied() {
        let start = at;
        if tokens.len() > 2 * TERMS_MAX {
            return Err(error(at, format!("more than {TERMS_MAX} words; make it shorter")));
        }
        if c.is_whitespace() {
            at += 1;
            continue;
        }
        let follows_field = matches!(tokens.last(), Some((_, Token::Field(_))));
        let token = match c {
            '(' | ')' => {
                at += 1;
                if c == '(' { Token::Open } else { Token::Close }
            }
            '-' if !follows_field => {
                at += 1;
                match characters.get(at) {
                    Some(next) if !next.is_whitespace() && *next != ')' => Token::Not,
                    _ => return Err(error(start, "- stands before what must not fit: -word")),
                }
            }
            '"' => {
                let end = characters[start + 1..].iter().position(|c| *c == '"');
                let end = end.ok_or_else(|| error(start, "this quote is not closed"))?;
                at = start + 1 + end + 1;
                let text = characters[start + 1..at - 1].iter().collect();
                Token::Value { text, is_quoted: true, is_prefix: false }
            }
            _ => word(&characters, &mut at, follows_field),
        };
        tokens.push((start, token));
    }
    Ok(tokens)
}

/// A word without quotes, or the field before a colon.
fn word(characters: &[char], at: &mut usize, follows_field: bool) -> Token {
    let start = *at;
    while characters.get(*at).is_some_and(|c| !ends_word(*c)) {
        if characters[*at] == ':' && !follows_field && *at > start {
            let has_value = characters.get(*at + 1).is_some_and(|c| *c == '"' || !ends_word(*c));
            let field: String = characters[start..*at].iter().collect();
            // A time of day or an address is a word.
            if has_value && !field.chars().all(|c| c.is_ascii_digit()) {
                *at += 1;
                return Token::Field(field);
            }
        }
        *at += 1;
    }
    let mut text: String = characters[start..*at].iter().collect();
    if text == "OR" && !follows_field {
        return Token::Or;
    }
    let is_prefix = text.ends_with('*');
    text.truncate(text.trim_end_matches('*').len());
    Token::Value { text, is_quoted: false, is_prefix }
}

impl Expression {
    /// Reads the text of a query.
    pub(super) fn parse(text: &str) -> Result<Self, SearchError> {
        if text.len() > TEXT_BYTES_MAX {
            let what = format!("the text has {} bytes, more than {TEXT_BYTES_MAX}", text.len());
            return Err(error(0, what));
        }
        let mut parser = Parser { tokens: tokens(text)?, next: 0, terms: 0 };
        let expression = parser.any(0)?;
        match parser.tokens.get(parser.next) {
            None => Ok(expression),
            Some((at, _)) => Err(error(*at, "this parenthesis closes nothing")),
        }
    }

    /// Whether everything fits.
    pub(super) fn is_everything(&self) -> bool {
        matches!(self, Self::All(parts) if parts.is_empty())
    }
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    terms: usize,
}

impl Parser {
    fn peek(&self) -> Option<&(usize, Token)> {
        self.tokens.get(self.next)
    }

    fn take(&mut self) -> Option<(usize, Token)> {
        let token = self.tokens.get(self.next).cloned();
        self.next += 1;
        token
    }

    fn any(&mut self, depth: usize) -> Result<Expression, SearchError> {
        let mut parts = vec![self.all(depth)?];
        while let Some((at, Token::Or)) = self.peek().cloned() {
            self.next += 1;
            let part = self.all(depth)?;
            if part.is_everything() || parts.iter().any(Expression::is_everything) {
                return Err(error(at, "OR stands between two words or parentheses"));
            }
            parts.push(part);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::Any(parts) })
    }

    fn all(&mut self, depth: usize) -> Result<Expression, SearchError> {
        let mut parts = Vec::new();
        while let Some((_, token)) = self.peek()
            && !matches!(token, Token::Or | Token::Close)
        {
            parts.push(self.term(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::All(parts) })
    }

    fn term(&mut self, depth: usize) -> Result<Expression, SearchError> {
        let end = self.tokens.last().map_or(0, |(at, _)| *at);
        let (at, token) = self.take().ok_or_else(|| error(end, "something is missing here"))?;
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return Err(error(at, format!("more than {TERMS_MAX} words; make it shorter")));
        }
        match token {
            Token::Not => Ok(Expression::Not(Box::new(self.term(depth)?))),
            Token::Open => {
                if depth >= DEPTH_MAX {
                    return Err(error(at, format!("more than {DEPTH_MAX} parentheses deep")));
                }
                let inner = self.any(depth + 1)?;
                match self.take() {
                    Some((_, Token::Close)) if !inner.is_everything() => Ok(inner),
                    Some((_, Token::Close)) => Err(error(at, "there is nothing in here")),
                    _ => Err(error(at, "this parenthesis is not closed")),
                }
            }
            Token::Field(key) => match self.take() {
                Some((_, Token::Value { text, is_prefix, .. })) => {
                    Ok(Expression::Label { key, value: text, is_prefix, at: at + 1 })
                }
                _ => Err(error(at, format!("{key}: has no value; write {key}:value"))),
            },
            Token::Value { text, is_quoted: true, .. } => Ok(Expression::Phrase(text)),
            // A star by itself fits everything.
            Token::Value { text, is_prefix: true, .. } if text.is_empty() => {
                Ok(Expression::All(Vec::new()))
            }
            Token::Value { text, is_prefix, .. } => Ok(Expression::Word { text, is_prefix }),
            Token::Close | Token::Or => Err(error(at, "something is missing before this")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

    use proptest::prelude::*;

    use super::*;

    fn word(text: &str) -> Expression {
        Expression::Word { text: text.to_owned(), is_prefix: false }
    }

    fn label(key: &str, value: &str, is_prefix: bool, at: usize) -> Expression {
        Expression::Label { key: key.to_owned(), value: value.to_owned(), is_prefix, at }
    }

    #[test]
    fn words_phrases_fields_and_their_opposites_are_read() {
        let parse = |text: &str| Expression::parse(text).unwrap();
        assert_eq!(parse("  "), Expression::All(vec![]));
        assert_eq!(parse("*"), Expression::All(vec![]));
        assert_eq!(parse("speed"), word("speed"));
        assert_eq!(
            parse("tyre* -\"flat tyre\" device:car-1*"),
            Expression::All(vec![
                Expression::Word { text: "tyre".into(), is_prefix: true },
                Expression::Not(Box::new(Expression::Phrase("flat tyre".into()))),
                label("device", "car-1", true, 20),
            ])
        );
        assert_eq!(
            parse("a (b OR unit:\"km / h\") OR -c"),
            Expression::Any(vec![
                Expression::All(vec![
                    word("a"),
                    Expression::Any(vec![word("b"), label("unit", "km / h", false, 9)]),
                ]),
                Expression::Not(Box::new(word("c"))),
            ])
        );
        assert_eq!(parse("value:-5"), label("value", "-5", false, 1));
        assert_eq!(parse("12:30"), word("12:30"));
        assert_eq!(parse(":x"), word(":x"));
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_place() {
        for (text, place, part) in [
            ("speed \"km", 7, "not closed"),
            ("(speed", 1, "not closed"),
            ("speed)", 6, "closes nothing"),
            ("a OR", 3, "between"),
            ("OR a", 1, "between"),
            ("()", 1, "nothing in here"),
            ("- a", 1, "stands before"),
            ("größe -", 7, "stands before"),
        ] {
            match Expression::parse(text) {
                Err(SearchError::Query { at, problem }) => {
                    assert!(at == place && problem.contains(part), "{text}: {at} {problem}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
        for text in ["(".repeat(4_000), "a ".repeat(2_000), "x".repeat(5_000), "-".repeat(3_000)] {
            assert!(Expression::parse(&text).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[ -~äß\u{0}\"()*:OR-]{0,200}") {
            let _ = Expression::parse(&text);
        }
    }
}
