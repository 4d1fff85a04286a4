//! Words of the query language, each with its place.

use super::Failure;

/// What a word is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// A name or a keyword, with colons where they may stand.
    Name(String),
    Number(f64),
    /// A length of time in seconds.
    Duration(f64),
    Text(String),
    /// An operator or a bracket.
    Sign(&'static str),
    End,
}

/// A word and the byte of the query where it begins.
#[derive(Debug, Clone)]
pub(crate) struct Word {
    pub(crate) token: Token,
    pub(crate) offset: usize,
}

/// Longer signs come before those that they begin with.
const SIGNS: [&str; 26] = [
    "==", "!=", ">=", "<=", "=~", "!~", "+", "-", "*", "/", "%", "^", "=", ">", "<", "(", ")", "{",
    "}", "[", "]", ",", "@", ":", "!", ";",
];

/// All words of a query, the last of them [`Token::End`].
pub(crate) fn words(text: &str) -> Result<Vec<Word>, Failure> {
    let mut words = Vec::new();
    let (mut at, mut brackets) = (0, 0_usize);
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        if first == '#' {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        let (token, length) = word(rest, first, brackets > 0)
            .map_err(|(shift, problem)| Failure::new(at + shift, problem))?;
        match token {
            Token::Sign("[") => brackets += 1,
            Token::Sign("]") => brackets = brackets.saturating_sub(1),
            _ => {}
        }
        words.push(Word { token, offset: at });
        at += length;
    }
    words.push(Word { token: Token::End, offset: text.len() });
    Ok(words)
}

type Read = Result<(Token, usize), (usize, String)>;

fn word(rest: &str, first: char, in_brackets: bool) -> Read {
    if first.is_ascii_digit()
        || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit()))
    {
        return number(rest).map_err(|problem| (0, problem));
    }
    if matches!(first, '"' | '\'' | '`') {
        return quoted(rest, first);
    }
    let starts_name = |c: char| c.is_ascii_alphabetic() || c == '_' || (c == ':' && !in_brackets);
    if starts_name(first) {
        let fits = |c: char| starts_name(c) || c.is_ascii_digit();
        let end = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        return Ok((Token::Name(rest[..end].to_owned()), end));
    }
    match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        Some(sign) => Ok((Token::Sign(sign), sign.len())),
        None => Err((0, format!("unexpected character {first:?}"))),
    }
}

/// A number or a duration.
fn number(rest: &str) -> Result<(Token, usize), String> {
    let mut end = 0;
    let bytes = rest.as_bytes();
    while end < bytes.len() {
        let byte = bytes[end];
        let is_sign = matches!(byte, b'+' | b'-')
            && matches!(bytes[end - 1], b'e' | b'E')
            && !rest.starts_with("0x")
            && !rest.starts_with("0X");
        if !(byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.' || is_sign) {
            break;
        }
        end += 1;
    }
    let text = &rest[..end];
    if let Some(value) = number_value(text) {
        return Ok((Token::Number(value), end));
    }
    match duration_seconds(text) {
        Some(seconds) => Ok((Token::Duration(seconds), end)),
        None => Err(format!("{text:?} is neither a number nor a duration such as 1h30m")),
    }
}

/// A number as Go reads it: decimal, hexadecimal, octal, with underscores between digits.
pub(crate) fn number_value(text: &str) -> Option<f64> {
    let bare = text.trim_start_matches(['+', '-']);
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    match bare.to_ascii_lowercase().as_str() {
        "inf" => return Some(sign * f64::INFINITY),
        "nan" => return Some(f64::NAN),
        _ => {}
    }
    if !bare.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        || bare.ends_with('_')
        || bare.contains("__")
        || text.len() - bare.len() > 1
    {
        return None;
    }
    let digits = bare.replace('_', "");
    if let Some(digits) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        return u64::from_str_radix(digits, 16).ok().map(|value| sign * value as f64);
    }
    let octal = digits.len() > 1 && digits.starts_with('0');
    if octal && digits.bytes().all(|byte| matches!(byte, b'0'..=b'7')) {
        return u64::from_str_radix(&digits, 8).ok().map(|value| sign * value as f64);
    }
    digits.parse::<f64>().ok().map(|value| sign * value)
}

/// A duration such as `1h30m` in seconds; units fall from year to millisecond.
pub(crate) fn duration_seconds(text: &str) -> Option<f64> {
    const UNITS: [(&str, u64); 7] = [
        ("y", 31_536_000_000),
        ("w", 604_800_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    let (mut rest, mut next, mut total_ms) = (text, 0, 0_u64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let length = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let index = UNITS.iter().position(|(unit, _)| *unit == &rest[..length])?;
        if index < next {
            return None;
        }
        next = index + 1;
        total_ms = total_ms.checked_add(count.checked_mul(UNITS[index].1)?)?;
        rest = &rest[length..];
    }
    (!text.is_empty()).then_some(total_ms as f64 / 1000.0)
}

/// A string in any of three quotes; backticks know no escapes.
fn quoted(rest: &str, quote: char) -> Read {
    let mut value = String::new();
    let mut bytes = Vec::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    let flush = |bytes: &mut Vec<u8>, value: &mut String| {
        value.push_str(&String::from_utf8_lossy(bytes));
        bytes.clear();
    };
    while let Some((at, c)) = chars.next() {
        if c == quote {
            flush(&mut bytes, &mut value);
            return Ok((Token::Text(value), at + 1));
        }
        if c != '\\' || quote == '`' {
            if c == '\n' && quote != '`' {
                return Err((at, "a string must end on its line; close it".to_owned()));
            }
            flush(&mut bytes, &mut value);
            value.push(c);
            continue;
        }
        let Some((_, escape)) = chars.next() else { break };
        let width = match escape {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            '0'..='7' => 2,
            _ => 0,
        };
        let mut digits = String::new();
        while digits.len() < width
            && let Some((_, digit)) = chars.peek()
            && digit.is_ascii_hexdigit()
        {
            digits.push(*digit);
            chars.next();
        }
        match unescape(escape, &digits, quote) {
            Some(Escaped::Byte(byte)) => bytes.push(byte),
            Some(Escaped::Char(c)) => {
                flush(&mut bytes, &mut value);
                value.push(c);
            }
            None => return Err((at, format!("unknown escape sequence \\{escape}{digits}"))),
        }
    }
    Err((0, format!("a string is not closed; it needs another {quote}")))
}

enum Escaped {
    Byte(u8),
    Char(char),
}

fn unescape(escape: char, digits: &str, quote: char) -> Option<Escaped> {
    let simple = match escape {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' => '\\',
        c if c == quote => c,
        'x' if digits.len() == 2 => {
            return u8::from_str_radix(digits, 16).ok().map(Escaped::Byte);
        }
        '0'..='7' if digits.len() == 2 => {
            return u8::from_str_radix(&format!("{escape}{digits}"), 8).ok().map(Escaped::Byte);
        }
        'u' if digits.len() == 4 => char::from_u32(u32::from_str_radix(digits, 16).ok()?)?,
        'U' if digits.len() == 8 => char::from_u32(u32::from_str_radix(digits, 16).ok()?)?,
        _ => return None,
    };
    Some(Escaped::Char(simple))
}
