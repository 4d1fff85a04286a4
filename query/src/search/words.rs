//! Text as words.
//!
//! Names of metrics are written in every way (`tyre_pressure`, `cycMps`, `obd2.RPM`), so a text is
//! cut where letters and digits end, and such a piece once more where lower case meets upper and
//! letters meet digits. Both the piece and its parts are words. Words are in lower case without
//! accents; for descriptions there is the stem of each as well (Porter2, English).

use tantivy::tokenizer::{
    AsciiFoldingFilter, Language, LowerCaser, PreTokenizedString, RawTokenizer, Stemmer,
    TextAnalyzer, Token,
};

/// The most words of one subject.
const WORDS_MAX: usize = 10_000;
/// Where longer words are cut: bytes.
const WORD_BYTES_MAX: usize = 120;

/// Where keys and values of labels are cut: bytes.
const LABEL_BYTES_MAX: usize = 1_000;

/// A word, and its place in the text: pieces stand where their first part does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) position: usize,
}

/// A piece of a text: the whole, and its parts where there are several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) whole: String,
    pub(super) parts: Vec<String>,
}

/// Makes words of texts.
pub(super) struct Analyzer {
    folding: TextAnalyzer,
    stemming: TextAnalyzer,
}

impl Default for Analyzer {
    fn default() -> Self {
        let plain = || {
            TextAnalyzer::builder(RawTokenizer::default())
                .filter(LowerCaser)
                .filter(AsciiFoldingFilter)
        };
        let stemmer = Stemmer::new(Language::English);
        Self { folding: plain().build(), stemming: plain().filter(stemmer).build() }
    }
}

fn first_token(analyzer: &mut TextAnalyzer, text: &str) -> String {
    let mut stream = analyzer.token_stream(text);
    if stream.advance() { stream.token().text.clone() } else { String::new() }
}

/// Whether a word ends between two characters of a piece.
fn ends_between(before: char, after: char) -> bool {
    (before.is_lowercase() && after.is_uppercase()) || before.is_numeric() != after.is_numeric()
}

/// The beginning of a text, no longer than so many bytes.
fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

impl Analyzer {
    /// A text in lower case without accents, otherwise as it is.
    pub(super) fn fold(&mut self, text: &str) -> String {
        first_token(&mut self.folding, text)
    }

    /// The key or the value of a label as it is compared; only their beginnings are.
    pub(super) fn label(&mut self, text: &str) -> String {
        self.fold(cut(text, LABEL_BYTES_MAX))
    }

    /// The stem of a word.
    pub(super) fn stem(&mut self, word: &str) -> String {
        first_token(&mut self.stemming, word)
    }

    /// The pieces of a text.
    pub(super) fn pieces(&mut self, text: &str) -> Vec<Piece> {
        let runs = text.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty());
        let runs: Vec<&str> = runs.take(WORDS_MAX).collect();
        runs.into_iter().map(|run| self.piece(run)).collect()
    }

    fn piece(&mut self, run: &str) -> Piece {
        let mut starts = vec![0];
        let characters: Vec<(usize, char)> = run.char_indices().collect();
        for pair in characters.windows(2) {
            if let [(_, before), (at, after)] = pair
                && ends_between(*before, *after)
            {
                starts.push(*at);
            }
        }
        starts.push(run.len());
        let whole = self.fold(cut(run, WORD_BYTES_MAX));
        let parts = match starts.len() {
            2 => Vec::new(),
            _ => starts
                .windows(2)
                .map(|ends| self.fold(cut(&run[ends[0]..ends[1]], WORD_BYTES_MAX)))
                .collect(),
        };
        Piece { whole, parts }
    }

    /// The words of a text from a position on; the position behind them.
    pub(super) fn words(
        &mut self,
        text: &str,
        mut position: usize,
        words: &mut Vec<Word>,
    ) -> usize {
        for Piece { whole, parts } in self.pieces(text) {
            if words.len() >= WORDS_MAX {
                break;
            }
            words.push(Word { text: whole, position });
            let count = parts.len().max(1);
            words.extend(
                parts
                    .into_iter()
                    .enumerate()
                    .map(|(n, text)| Word { text, position: position + n }),
            );
            position += count;
        }
        position
    }
}

/// Words as tantivy takes them.
pub(super) fn tokens(words: impl Iterator<Item = Word>) -> PreTokenizedString {
    let token = |Word { text, position }| Token { text, position, ..Token::default() };
    PreTokenizedString { text: String::new(), tokens: words.map(token).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_their_parts_and_as_a_whole() {
        let mut analyzer = Analyzer::default();
        let mut words = Vec::new();
        let end = analyzer.words("cycMps tyre_pressure, CAN2 Größe", 5, &mut words);
        let words: Vec<(&str, usize)> =
            words.iter().map(|word| (word.text.as_str(), word.position)).collect();
        let expected = [
            ("cycmps", 5),
            ("cyc", 5),
            ("mps", 6),
            ("tyre", 7),
            ("pressure", 8),
            ("can2", 9),
            ("can", 9),
            ("2", 10),
            ("grosse", 11),
        ];
        assert_eq!((words.as_slice(), end), (&expected[..], 12));
        assert_eq!(analyzer.stem("temperatures"), analyzer.stem("temperature"));
    }

    #[test]
    fn a_long_word_is_cut_between_characters() {
        let mut analyzer = Analyzer::default();
        let pieces = analyzer.pieces(&"ä".repeat(10_000));
        assert!(pieces.len() == 1 && pieces[0].whole.len() <= WORD_BYTES_MAX);
        assert!(analyzer.pieces("... --- \u{0}").is_empty());
    }
}
