//! Signatures of validators that were verified already, so that none is verified twice.

use std::collections::HashMap;

use crate::hash::Hash;
use crate::keys::{Batch, PublicKey, Signature, verify};

/// Above this, everything is forgotten; a height of 128 validators needs 256 for each round.
const MOST: usize = 16_384;

/// What was verified.
#[derive(Default)]
pub(super) struct VerifiedSignatures {
    known: HashMap<Signature, (PublicKey, Hash)>,
}

impl VerifiedSignatures {
    /// Whether a key signed a message.
    pub(super) fn verify(
        &mut self,
        key: &PublicKey,
        message: &Hash,
        signature: &Signature,
    ) -> bool {
        if self.is_known(key, message, signature) {
            return true;
        }
        let is_valid = verify(key, message, signature);
        if is_valid {
            self.remember(*key, *message, *signature);
        }
        is_valid
    }

    /// Whether all keys signed their messages; the first that did not, if not.
    pub(super) fn verify_all(
        &mut self,
        all: &[(PublicKey, Hash, Signature)],
    ) -> Result<(), PublicKey> {
        let unknown: Vec<_> =
            all.iter().filter(|(key, message, sig)| !self.is_known(key, message, sig)).collect();
        let mut batch = Batch::new();
        for (key, message, signature) in &unknown {
            batch.push(key, &message.0, signature);
        }
        if let Err(failed) = batch.verify() {
            let first = failed.first().and_then(|at| unknown.get(*at));
            return Err(first.map(|(key, ..)| *key).unwrap_or_default());
        }
        for (key, message, signature) in unknown {
            self.remember(*key, *message, *signature);
        }
        Ok(())
    }

    fn is_known(&self, key: &PublicKey, message: &Hash, signature: &Signature) -> bool {
        self.known.get(signature) == Some(&(*key, *message))
    }

    /// Takes a signature for verified: it is this node's own, or was verified with others.
    pub(super) fn remember(&mut self, key: PublicKey, message: Hash, signature: Signature) {
        if self.known.len() >= MOST {
            self.known.clear();
        }
        self.known.insert(signature, (key, message));
    }
}
