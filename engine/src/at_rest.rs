//! Files of the database under a key of the keystore.

use std::borrow::Cow;
use std::sync::Arc;

use chronolith_keys::AtRestKey;

use crate::key_trees::{ChunkKeys, KeyError};
use crate::protect::{Protect, ProtectError, Protection, Purpose};

/// Records under XChaCha20-Poly1305 with a key at rest.
const SCHEME: u8 = 1;
/// The number of the key. There is one; the place for others is in every record.
const KEY: u32 = 0;

/// Encrypts everything on disk with a keystore's key at rest: the log, runs, blobs, state, definitions,
/// footers and the manifest, and bodies of chunks that are not encrypted by themselves. Records that are in
/// the clear already are read as they are.
#[derive(Debug, Clone)]
pub struct AtRest {
    key: Arc<AtRestKey>,
}

impl AtRest {
    /// The key at rest of a keystore, which gets one where it has none.
    ///
    /// # Errors
    /// Where the keystore has to be changed and cannot be, or its key at rest was destroyed.
    pub fn new(keys: &ChunkKeys) -> Result<Self, KeyError> {
        keys.begin_at_rest()?;
        let key = keys.keystore().at_rest_key(KEY).ok_or(KeyError::AtRest)?;
        Ok(Self { key: Arc::new(key) })
    }
}

/// What a record is bound to, so that it does not open as one of another kind.
const fn number(purpose: Purpose) -> u8 {
    match purpose {
        Purpose::Wal => 1,
        Purpose::Run => 2,
        Purpose::Chunk => 3,
        Purpose::Footer => 4,
        Purpose::Definitions => 5,
        Purpose::Manifest => 6,
        Purpose::State => 7,
        Purpose::Blob => 8,
    }
}

impl Protect for AtRest {
    fn protect<'a>(&self, purpose: Purpose, bytes: &'a [u8]) -> (Protection, Cow<'a, [u8]>) {
        match self.key.seal(number(purpose), bytes) {
            Some(sealed) => {
                (Protection { scheme: SCHEME, key_id: self.key.number() }, Cow::Owned(sealed))
            }
            // Above 256 GiB, which no record in memory has: nothing is written rather than in the clear.
            None => (Protection { scheme: SCHEME, key_id: self.key.number() }, Cow::Borrowed(&[])),
        }
    }

    fn open<'a>(
        &self,
        purpose: Purpose,
        protection: Protection,
        bytes: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, ProtectError> {
        let refuse = |problem: &str| ProtectError { protection, problem: problem.to_owned() };
        if protection == Protection::CLEAR {
            return Ok(Cow::Borrowed(bytes));
        }
        if protection != (Protection { scheme: SCHEME, key_id: self.key.number() }) {
            return Err(refuse("the keystore has no such key"));
        }
        let opened = self.key.open(number(purpose), bytes);
        let opened =
            opened.ok_or_else(|| refuse("it does not open: the keystore is another one"))?;
        Ok(Cow::Owned(opened))
    }
}
