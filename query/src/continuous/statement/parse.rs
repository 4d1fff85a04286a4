//! From text to statements.
//!
//! The words around the query are read here; the query itself, from `SELECT` on, is read by the
//! parser that SQL uses, and then checked for being one that can be kept up to date.

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::{Query, QueryOptions, Statement, options, select};

/// The longest statement: bytes.
const LENGTH_MAX: usize = 64 * 1024;
/// The longest name: bytes.
const NAME_MAX: usize = 200;
/// The deepest nesting that the parser follows.
const DEPTH_MAX: usize = 40;

const KNOWN: &str = "write CREATE CONTINUOUS QUERY name AS SELECT …, SHOW CONTINUOUS QUERIES, or \
                     REFRESH, PAUSE, RESUME or DROP CONTINUOUS QUERY name";

/// Words, taken one after the other.
struct Words<'a> {
    tokens: &'a [TokenWithSpan],
    at: usize,
}

impl Words<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|token| &token.token)
    }

    fn found(&self) -> String {
        self.tokens.get(self.at).map_or("the end".to_owned(), |token| {
            format!("{} (column {})", token.token, token.span.start.column)
        })
    }

    fn take(&mut self, word: &str) -> bool {
        let is_it = matches!(self.peek(), Some(Token::Word(found))
            if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word));
        self.at += usize::from(is_it);
        is_it
    }

    fn expect(&mut self, word: &str) -> Result<(), String> {
        if self.take(word) {
            return Ok(());
        }
        Err(format!("{word} should stand where there is {}; {KNOWN}", self.found()))
    }

    fn name(&mut self, what: &str) -> Result<String, String> {
        let name = match self.peek() {
            Some(Token::Word(word)) => word.value.clone(),
            _ => return Err(format!("{what} should stand where there is {}", self.found())),
        };
        if name.is_empty() || name.len() > NAME_MAX {
            return Err(format!("{what} has 1 to {NAME_MAX} bytes, not {}", name.len()));
        }
        self.at += 1;
        Ok(name)
    }

    fn end(&self) -> Result<(), String> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(format!("the statement should end before {}", self.found())),
        }
    }

    fn time(&mut self) -> Result<i64, String> {
        let time = match self.peek() {
            Some(Token::SingleQuotedString(text)) => super::conditions::time_ns(text),
            Some(Token::Number(text, _)) => super::conditions::time_ns(text),
            _ => return Err(format!("a time should stand where there is {}", self.found())),
        };
        self.at += 1;
        time
    }
}

pub(super) fn statement(text: &str) -> Result<Statement, String> {
    if text.len() > LENGTH_MAX {
        return Err(format!("a statement has {} bytes, more than {LENGTH_MAX}", text.len()));
    }
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location();
    let tokens = tokens.map_err(|error| format!("the statement cannot be read: {error}"))?;
    let is_word = |token: &TokenWithSpan| !matches!(token.token, Token::Whitespace(_));
    let mut tokens: Vec<TokenWithSpan> = tokens.into_iter().filter(is_word).collect();
    while tokens.last().is_some_and(|last| matches!(last.token, Token::SemiColon | Token::EOF)) {
        tokens.pop();
    }
    let mut words = Words { tokens: &tokens, at: 0 };
    let verbs = ["CREATE", "SHOW", "REFRESH", "PAUSE", "RESUME", "DROP"];
    let Some(verb) = verbs.into_iter().find(|verb| words.take(verb)) else {
        return Err(format!("{} begins no statement; {KNOWN}", words.found()));
    };
    words.expect("CONTINUOUS")?;
    if verb == "SHOW" {
        words.expect("QUERIES")?;
        words.end()?;
        return Ok(Statement::Show);
    }
    words.expect("QUERY")?;
    let name = words.name("the name of the query")?;
    if verb == "CREATE" {
        return create(text, name, words).map(|query| Statement::Create(Box::new(query)));
    }
    let statement = match verb {
        "REFRESH" => {
            let from_ns = if words.take("FROM") { words.time()? } else { i64::MIN };
            // Up to and without the time, as everywhere.
            let to_ns = if words.take("TO") { words.time()?.saturating_sub(1) } else { i64::MAX };
            if from_ns > to_ns {
                return Err("the range to refresh ends before it begins".to_owned());
            }
            Statement::Refresh { name, from_ns, to_ns }
        }
        "PAUSE" => Statement::Pause(name),
        "RESUME" => Statement::Resume(name),
        _ => {
            let keep_data = words.take("KEEP");
            if keep_data {
                words.expect("DATA")?;
            }
            Statement::Drop { name, keep_data }
        }
    };
    words.end()?;
    Ok(statement)
}

fn create(text: &str, name: String, mut words: Words<'_>) -> Result<Query, String> {
    let into =
        if words.take("INTO") { words.name("the name of the metric")? } else { name.clone() };
    words.expect("AS")?;
    let rest = &words.tokens[words.at..];
    let options_at = options_begin(rest);
    let dialect = PostgreSqlDialect {};
    let parser = |tokens: &[TokenWithSpan]| {
        let parser = Parser::new(&dialect).with_recursion_limit(DEPTH_MAX);
        parser.with_tokens_with_locations(tokens.to_vec())
    };
    let mut select = parser(&rest[..options_at]);
    let parsed = select.parse_query().map_err(|error| error.to_string())?;
    if select.peek_token().token != Token::EOF {
        return Err(format!("the query should end before {}", select.peek_token()));
    }
    let options = match rest.get(options_at + 2..) {
        Some(tokens) if options_at < rest.len() => options::parse(&mut parser(tokens))?,
        _ => QueryOptions::default(),
    };
    let selected = select::read(*parsed)?;
    selected.query(name, into, options, text.trim().to_owned())
}

/// Where the last `WITH (` begins whose bracket ends the statement.
fn options_begin(tokens: &[TokenWithSpan]) -> usize {
    let mut depth = 0_i32;
    for (at, token) in tokens.iter().enumerate().rev() {
        match &token.token {
            Token::RParen => depth += 1,
            Token::LParen => {
                depth -= 1;
                if depth == 0 {
                    let is_with = at.checked_sub(1).and_then(|before| tokens.get(before));
                    return match is_with.map(|token| &token.token) {
                        Some(Token::Word(word)) if word.value.eq_ignore_ascii_case("with") => {
                            at - 1
                        }
                        _ => tokens.len(),
                    };
                }
            }
            _ if depth == 0 => return tokens.len(),
            _ => {}
        }
    }
    tokens.len()
}
