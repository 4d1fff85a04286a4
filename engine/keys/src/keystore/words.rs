//! The wrapping key as words on paper.

use bip39::{Error, Language, Mnemonic};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// How many words there are: 256 bits and a checksum of 8, 11 in each.
const WORDS: usize = 24;
/// The longest word of the list: bytes.
const WORD_BYTES_MAX: usize = 8;

/// Words that are no recovery words. It does not say them: they may be nearly right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WordsError {
    /// There are too few or too many.
    #[error("{found} words where recovery words are {WORDS}")]
    Count {
        /// How many there are.
        found: usize,
    },
    /// One is not in the list.
    #[error("word {position} is none that recovery words are made of: look for a misspelling")]
    Unknown {
        /// Which, from 1.
        position: usize,
    },
    /// They do not fit each other.
    #[error("the words do not fit each other: one is another, or two are exchanged")]
    Checksum,
}

impl Secret {
    /// The secret as 24 words of BIP-39's English list. Of a keystore it is the
    /// [wrapping key](crate::Keystore::wrapping_key) that is written down: the words open the file and
    /// are no copy of what is in it.
    #[must_use]
    pub fn to_words(&self) -> Zeroizing<String> {
        // With all the room at once, so that growing leaves no copies behind.
        let mut words = Zeroizing::new(String::with_capacity(WORDS * (WORD_BYTES_MAX + 1)));
        // Only lengths that are not 16 to 32 bytes are refused.
        let Ok(mnemonic) = Mnemonic::from_entropy_in(Language::English, self.bytes()) else {
            return words;
        };
        for word in mnemonic.words() {
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(word);
        }
        words
    }

    /// The secret of 24 words, in capital letters or not, with any space between them.
    ///
    /// # Errors
    /// [`WordsError`] where they are too few or too many, one is unknown, or the checksum does not hold:
    /// one wrong word of 256 passes it, and then the keystore does not open.
    pub fn from_words(words: &str) -> Result<Self, WordsError> {
        let found = words.split_whitespace().count();
        if found != WORDS {
            return Err(WordsError::Count { found });
        }
        let mut plain = Zeroizing::new(String::with_capacity(words.len()));
        for (word, position) in words.split_whitespace().zip(1..) {
            // So nothing grows, and only ASCII is left.
            if word.len() > WORD_BYTES_MAX || !word.is_ascii() {
                return Err(WordsError::Unknown { position });
            }
            if !plain.is_empty() {
                plain.push(' ');
            }
            plain.extend(word.bytes().map(|byte| char::from(byte.to_ascii_lowercase())));
        }
        let mnemonic = Mnemonic::parse_in_normalized(Language::English, &plain);
        let mnemonic = mnemonic.map_err(|error| match error {
            Error::UnknownWord(at) => WordsError::Unknown { position: at + 1 },
            Error::BadWordCount(found) => WordsError::Count { found },
            _ => WordsError::Checksum,
        })?;
        let entropy = Zeroizing::new(mnemonic.to_entropy_array().0);
        let secret = entropy.first_chunk().ok_or(WordsError::Checksum)?;
        Ok(Self::new(*secret))
    }
}
