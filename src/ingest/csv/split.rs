//! Cuts rows and cells.

use chronolith_engine::Kind;
use memchr::memchr;

/// A cell's place: in the row, or in the splitter's scratch where quotes were taken out.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
    /// Where the cell starts in the row.
    offset: usize,
    quoted: bool,
    in_scratch: bool,
}

/// Cuts rows at line ends and cells at delimiters; quoted cells may hold both, and `""` for `"`.
#[derive(Debug)]
pub(super) struct Splitter {
    pub(super) delimiter: u8,
    spans: Vec<Span>,
    scratch: Vec<u8>,
}

/// What cutting came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// A row of so many bytes and line ends; its cells are in the splitter.
    Row { bytes: usize, lines: u64 },
    /// The window ends before the row does.
    More,
}

impl Splitter {
    pub(super) const fn new(delimiter: u8) -> Self {
        Self { delimiter, spans: Vec::new(), scratch: Vec::new() }
    }

    /// Cuts the row at the start of the window.
    pub(super) fn cut(&mut self, window: &[u8]) -> Cut {
        self.spans.clear();
        self.scratch.clear();
        let Some(length) = memchr(b'\n', window) else { return Cut::More };
        let line = &window[..length];
        if memchr(b'"', line).is_some() {
            return self.cut_quoted(window);
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut start = 0;
        loop {
            let found = memchr(self.delimiter, &line[start..]).map(|at| start + at);
            let end = found.unwrap_or(line.len());
            let plain = Span { start, end, offset: start, quoted: false, in_scratch: false };
            self.spans.push(plain);
            match found {
                Some(end) => start = end + 1,
                None => return Cut::Row { bytes: length + 1, lines: 1 },
            }
        }
    }

    fn cut_quoted(&mut self, window: &[u8]) -> Cut {
        let (mut at, mut lines) = (0, 0);
        loop {
            let end = match self.cell(window, at, &mut lines) {
                Some(end) => end,
                None => return Cut::More,
            };
            match window.get(end) {
                Some(b'\n') => return Cut::Row { bytes: end + 1, lines: lines + 1 },
                Some(_) => at = end + 1,
                None => return Cut::More,
            }
        }
    }

    /// Cuts one cell; gives the offset of the delimiter or line end behind it.
    fn cell(&mut self, window: &[u8], offset: usize, lines: &mut u64) -> Option<usize> {
        let blanks = window.get(offset..)?.iter().take_while(|byte| **byte == b' ').count();
        if window.get(offset + blanks) != Some(&b'"') {
            let end = self.end_of_plain(window, offset)?;
            let start = offset;
            let text_end = without_return(window, start, end);
            let plain = Span { start, end: text_end, offset, quoted: false, in_scratch: false };
            self.spans.push(plain);
            return Some(end);
        }
        let start = self.scratch.len();
        let mut at = offset + blanks + 1;
        loop {
            let length = memchr(b'"', window.get(at..)?)?;
            let piece = &window[at..at + length];
            *lines += memchr::memchr_iter(b'\n', piece).count() as u64;
            self.scratch.extend_from_slice(piece);
            at += length + 1;
            if window.get(at) != Some(&b'"') {
                break;
            }
            self.scratch.push(b'"');
            at += 1;
        }
        // What follows the closing quote, usually nothing, belongs to the cell.
        let end = self.end_of_plain(window, at)?;
        let text_end = without_return(window, at, end);
        let rest = &window[at..text_end];
        if !rest.iter().all(|byte| *byte == b' ') {
            self.scratch.extend_from_slice(rest);
        }
        let end_of_text = self.scratch.len();
        let span = Span { start, end: end_of_text, offset, quoted: true, in_scratch: true };
        self.spans.push(span);
        Some(end)
    }

    fn end_of_plain(&self, window: &[u8], at: usize) -> Option<usize> {
        memchr::memchr2(self.delimiter, b'\n', window.get(at..)?).map(|found| at + found)
    }
}

/// The end of a cell's text: a `\r` before the line end is none of it.
fn without_return(window: &[u8], start: usize, end: usize) -> usize {
    let returns = end > start && window[end - 1] == b'\r' && window.get(end) == Some(&b'\n');
    end - usize::from(returns)
}

/// A text without blanks around it: nearly always there are none, and its ends show that at once.
#[inline]
fn trimmed(text: &str) -> &str {
    let is_sign = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
    let bytes = text.as_bytes();
    if is_sign(bytes.first()) && is_sign(bytes.last()) { text } else { text.trim() }
}

/// A cell of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell<'a> {
    /// The text, without blanks around it where it was not quoted.
    pub(super) text: &'a str,
    /// Where the cell starts in the row.
    pub(super) offset: usize,
    /// Whether the text was in quotes.
    pub(super) quoted: bool,
}

impl Cell<'_> {
    /// Whether the cell has no value.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty() || !self.quoted && crate::ingest::value::is_empty(self.text)
    }

    /// Whether the cell has a value. In a column that was declared as text, all but nothing is one.
    #[inline]
    pub(super) fn has_value(&self, typed: Option<Kind>) -> bool {
        !self.is_empty() || (typed == Some(Kind::Text) && !self.text.is_empty())
    }
}

/// A row of text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    /// The line that it starts on, from 1.
    pub(super) line: u64,
    text: &'a str,
    scratch: &'a str,
    spans: &'a [Span],
}

impl<'a> Row<'a> {
    /// The row that was cut from the start of the window; an error names the first byte that is
    /// not UTF-8.
    pub(super) fn new(
        window: &'a [u8],
        bytes: usize,
        line: u64,
        splitter: &'a Splitter,
    ) -> Result<Self, (usize, u8)> {
        let window = &window[..bytes];
        let text = std::str::from_utf8(window).map_err(|error| {
            let at = error.valid_up_to();
            (at, window.get(at).copied().unwrap_or_default())
        })?;
        let scratch = std::str::from_utf8(&splitter.scratch).map_err(|_| (0, b'"'))?;
        Ok(Self { line, text, scratch, spans: &splitter.spans })
    }

    /// How many cells the row has.
    pub(super) const fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether the row is a blank line, or the Ctrl-Z that ends files of DOS.
    pub(super) fn is_blank(&self) -> bool {
        let is_blank = |text: &str| matches!(text, "" | "\u{1a}");
        self.spans.len() == 1 && self.cell(0).is_some_and(|cell| is_blank(cell.text))
    }

    /// Whether the row is a comment among rows of so many cells.
    pub(super) fn is_comment(&self, width: usize) -> bool {
        self.spans.len() == 1 && width > 1 && self.text.starts_with('#')
    }

    /// A cell by its number, from 0.
    pub(super) fn cell(&self, index: usize) -> Option<Cell<'a>> {
        let span = self.spans.get(index)?;
        let whole = if span.in_scratch { self.scratch } else { self.text };
        let text = whole.get(span.start..span.end).unwrap_or_default();
        let text = if span.quoted { text } else { trimmed(text) };
        Some(Cell { text, offset: span.offset, quoted: span.quoted })
    }

    /// All cells.
    pub(super) fn cells(&self) -> impl Iterator<Item = Cell<'a>> {
        (0..self.spans.len()).filter_map(|index| self.cell(index))
    }
}
