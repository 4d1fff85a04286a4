//! Tokens: who may come in, what for and until when.
//!
//! A token is 256 random bits. The file has the hash of each and nothing that it could be made of: a
//! hash without a salt is enough, as nobody guesses 256 bits.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::SystemTime;

use jiff::Timestamp;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

/// What the file says it is.
const FORMAT: &str = "chronolith tokens 1";
/// What every token begins with, so that scanners for leaked secrets can find them.
const PREFIX: &str = "chronolith_";
/// The largest file that is read: bytes.
const FILE_MOST: u64 = 4 << 20;
/// The most tokens: each request is compared with all.
const TOKENS_MOST: usize = 10_000;
/// The longest name of a token: characters.
const NAME_MOST: usize = 64;

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Asking.
    Read,
    /// Writing.
    Write,
    /// Everything.
    Admin,
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "read" => Ok(Self::Read),
            "write" => Ok(Self::Write),
            "admin" => Ok(Self::Admin),
            _ => Err(format!("{text:?} is not a scope; scopes are read, write and admin")),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        })
    }
}

/// Why tokens cannot be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The disk failed.
    #[error("cannot {what} {}: {source}", place.display())]
    Disk {
        /// What was to be done.
        what: &'static str,
        /// With which file.
        place: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// The file is none of tokens.
    #[error("{} is no file of tokens: {reason}", place.display())]
    Damaged {
        /// Which file.
        place: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Others could read the file.
    #[error("{} can be read by others than its user; run: chmod 600 {}", place.display(), place.display())]
    NotPrivate {
        /// Which file.
        place: PathBuf,
    },
    /// A name that no token has.
    #[error("{0:?} is no name for a token: use 1 to 64 of a-z, A-Z, 0-9, -, _ and .")]
    Name(String),
    /// A token of this name is there.
    #[error("there is a token {0:?} already; revoke it first, or choose another name")]
    Exists(String),
    /// There is no token of this name.
    #[error("there is no token {name:?}; there are: {known}")]
    Unknown {
        /// The name.
        name: String,
        /// Which there are.
        known: String,
    },
    /// There are too many.
    #[error("there are {TOKENS_MOST} tokens already; revoke those that nobody uses")]
    TooMany,
    /// The operating system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

/// What is kept of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// What people call it.
    pub name: String,
    /// The BLAKE3 hash of its text: hexadecimal digits.
    pub hash: String,
    /// What it is good for.
    pub scopes: Vec<Scope>,
    /// When it was made.
    #[serde(with = "text")]
    pub created: Timestamp,
    /// When it ends; never where `None`.
    #[serde(with = "text_or_none")]
    pub expires: Option<Timestamp>,
}

/// Times as RFC 3339.
mod text {
    use jiff::Timestamp;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(time)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// The same where there may be none.
mod text_or_none {
    use jiff::Timestamp;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(|time| time.to_string()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    tokens: Vec<Token>,
}

/// A file of tokens, for those who make and revoke them.
#[derive(Debug)]
pub struct TokenFile {
    place: PathBuf,
    tokens: Vec<Token>,
}

impl TokenFile {
    /// Reads a file; where there is none there are no tokens.
    ///
    /// # Errors
    /// What the disk says, or what is wrong with the file.
    pub fn open(place: &Path) -> Result<Self, TokenError> {
        let tokens = match fs::metadata(place) {
            Ok(_) => read(place)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => {
                return Err(TokenError::Disk { what: "read", place: place.to_owned(), source });
            }
        };
        Ok(Self { place: place.to_owned(), tokens })
    }

    /// What there is, as it was made.
    #[must_use]
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// Makes a token. Its text is given back and kept nowhere.
    ///
    /// # Errors
    /// A name that is none or is there already, or what the disk says.
    pub fn add(
        &mut self,
        name: &str,
        scopes: &[Scope],
        expires: Option<Timestamp>,
    ) -> Result<String, TokenError> {
        let is_usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > NAME_MOST || !name.chars().all(is_usual) {
            return Err(TokenError::Name(name.to_owned()));
        }
        if self.tokens.iter().any(|token| token.name == name) {
            return Err(TokenError::Exists(name.to_owned()));
        }
        if self.tokens.len() >= TOKENS_MOST {
            return Err(TokenError::TooMany);
        }
        let mut bits = [0; 32];
        getrandom::fill(&mut bits).map_err(TokenError::Random)?;
        let text = format!("{PREFIX}{}", blake3::Hash::from_bytes(bits).to_hex());
        let mut scopes = scopes.to_vec();
        scopes.sort_unstable();
        scopes.dedup();
        self.tokens.push(Token {
            name: name.to_owned(),
            hash: blake3::hash(text.as_bytes()).to_hex().to_string(),
            scopes,
            created: Timestamp::now(),
            expires,
        });
        self.store()?;
        Ok(text)
    }

    /// Revokes a token: whoever has it is refused from then on.
    ///
    /// # Errors
    /// A name that is not there, or what the disk says.
    pub fn revoke(&mut self, name: &str) -> Result<(), TokenError> {
        let Some(at) = self.tokens.iter().position(|token| token.name == name) else {
            let known: Vec<&str> = self.tokens.iter().map(|token| token.name.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(TokenError::Unknown { name: name.to_owned(), known });
        };
        self.tokens.remove(at);
        self.store()
    }

    /// Writes the file anew and gives it its name when it is whole.
    fn store(&self) -> Result<(), TokenError> {
        let file = File { format: FORMAT.to_owned(), tokens: self.tokens.clone() };
        // There is nothing in it that JSON cannot say.
        let text = serde_json::to_string_pretty(&file).unwrap_or_default();
        let part = self.place.with_extension("part");
        let failed = |what| {
            let place = self.place.clone();
            move |source| TokenError::Disk { what, place, source }
        };
        let write = || -> io::Result<()> {
            let _ = fs::remove_file(&part);
            let mut file =
                fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()
        };
        write().map_err(failed("write"))?;
        fs::rename(&part, &self.place).map_err(failed("rename"))?;
        let folder = self.place.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = fs::File::open(folder.unwrap_or(Path::new(".")));
        folder.and_then(|folder| folder.sync_all()).map_err(failed("sync the folder of"))
    }
}

fn read(place: &Path) -> Result<Vec<Token>, TokenError> {
    let failed = |source| TokenError::Disk { what: "read", place: place.to_owned(), source };
    let damaged = |reason: String| TokenError::Damaged { place: place.to_owned(), reason };
    let metadata = fs::metadata(place).map_err(failed)?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(TokenError::NotPrivate { place: place.to_owned() });
    }
    if metadata.len() > FILE_MOST {
        return Err(damaged(format!("it has {} bytes", metadata.len())));
    }
    let text = fs::read_to_string(place).map_err(failed)?;
    let file: File = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
    if file.format != FORMAT {
        return Err(damaged(format!("it says that it is {:?}, not {FORMAT:?}", file.format)));
    }
    if file.tokens.len() > TOKENS_MOST {
        return Err(damaged(format!("it has more than {TOKENS_MOST} tokens")));
    }
    match file.tokens.iter().find(|token| blake3::Hash::from_hex(&token.hash).is_err()) {
        Some(token) => Err(damaged(format!("the hash of {:?} is none", token.name))),
        None => Ok(file.tokens),
    }
}

/// What is known of somebody's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing: it never was one, or was revoked.
    Unknown,
    /// It has ended.
    Expired,
    /// Whether it is one cannot be said: the file of tokens cannot be read.
    Unreadable(String),
    /// What it is good for.
    Good(Vec<Scope>),
}

/// The tokens of a running server. The file is read again when it was changed, so that a token that
/// is revoked is refused at once.
pub(super) struct Tokens {
    place: PathBuf,
    now: RwLock<Now>,
}

struct Now {
    seen: Seen,
    /// None where they cannot be read, and why.
    tokens: Result<Vec<(blake3::Hash, Token)>, String>,
}

/// By what one file is told from another.
type Seen = Option<(u64, u64, SystemTime)>;

fn seen(place: &Path) -> Seen {
    let metadata = fs::metadata(place).ok()?;
    Some((metadata.ino(), metadata.len(), metadata.modified().ok()?))
}

impl Tokens {
    pub(super) fn open(place: &Path) -> Result<Self, TokenError> {
        let seen = seen(place);
        let now = Now { seen, tokens: Ok(hashed(read(place)?)) };
        Ok(Self { place: place.to_owned(), now: RwLock::new(now) })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.now.read().tokens.as_ref().map_or(0, Vec::len)
    }

    /// What is known of a token. A file that cannot be read any more lets nobody in.
    pub(super) fn look_up(&self, text: &str) -> Known {
        let present = seen(&self.place);
        // What could not be read is tried again: the reason may be over, and the file as it was.
        let is_new = |now: &Now| now.seen != present || now.tokens.is_err();
        if is_new(&self.now.read()) {
            let tokens = read(&self.place).map(hashed).map_err(|error| error.to_string());
            *self.now.write() = Now { seen: present, tokens };
        }
        let hash = blake3::hash(text.as_bytes());
        // Hashes are compared in constant time, and all of them.
        let mut found = None;
        let now = self.now.read();
        let tokens = match &now.tokens {
            Ok(tokens) => tokens,
            Err(reason) => return Known::Unreadable(reason.clone()),
        };
        for (other, token) in tokens {
            if *other == hash {
                found = Some(token);
            }
        }
        match found {
            None => Known::Unknown,
            Some(token) if token.expires.is_some_and(|end| end <= Timestamp::now()) => {
                Known::Expired
            }
            Some(token) => Known::Good(token.scopes.clone()),
        }
    }
}

fn hashed(tokens: Vec<Token>) -> Vec<(blake3::Hash, Token)> {
    let hash = |token: Token| Some((blake3::Hash::from_hex(&token.hash).ok()?, token));
    tokens.into_iter().filter_map(hash).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    #[test]
    fn tokens_are_good_until_they_end_or_are_revoked_and_are_kept_as_hashes() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("tokens");
        let mut file = TokenFile::open(&place).unwrap();
        let text = file.add("gateway", &[Scope::Write, Scope::Write], None).unwrap();
        let old = file.add("old", &[Scope::Read], Some(Timestamp::UNIX_EPOCH)).unwrap();
        let kept = fs::read_to_string(&place).unwrap();
        assert!(!kept.contains(text.trim_start_matches(PREFIX)), "{kept}");
        assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600);
        let tokens = Tokens::open(&place).unwrap();
        assert_eq!(tokens.look_up(&text), Known::Good(vec![Scope::Write]));
        assert_eq!(tokens.look_up(&old), Known::Expired);
        assert_eq!(tokens.look_up(""), Known::Unknown);
        assert_eq!(tokens.look_up(&text[..text.len() - 1]), Known::Unknown);
        assert!(matches!(file.add("gateway", &[], None), Err(TokenError::Exists(_))));
        file.revoke("gateway").unwrap();
        assert_eq!(tokens.look_up(&text), Known::Unknown);
        assert!(matches!(file.revoke("gateway"), Err(TokenError::Unknown { .. })));
        fs::set_permissions(&place, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(TokenFile::open(&place), Err(TokenError::NotPrivate { .. })));
        // Whatever becomes of the file, nobody comes in by it.
        fs::write(&place, "{}").unwrap();
        assert!(matches!(tokens.look_up(&old), Known::Unreadable(_)));
        // And once it can be read again, those of it do.
        fs::set_permissions(&place, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(tokens.look_up(&old), Known::Unreadable(_)));
        file.store().unwrap();
        assert_eq!(tokens.look_up(&old), Known::Expired);
    }
}
