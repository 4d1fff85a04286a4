//! What is kept as bytes: answers on their way onto the ledger, and what shows it that a key is wrong.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;

use chronolith_chain::hash::RequestId;

use super::{Purse, PurseError, put, wrong};
use crate::wallet::WalletError;

/// A kind of such files, one for each request or what stands for it.
struct Kind {
    folder: &'static str,
    /// How the names of the files end.
    ending: &'static str,
    /// What one is.
    what: &'static str,
    /// The longest that is read: bytes.
    most: u64,
}

/// What is sealed has at most 16 KiB, its batches some more.
const ANSWERS: Kind =
    Kind { folder: "answers", ending: ".answer", what: "an answer", most: 64 << 10 };
/// What is sealed and the header have at most 16 KiB each, the way to the anchor and what is hidden less than 4.
const DISPUTES: Kind =
    Kind { folder: "disputes", ending: ".dispute", what: "a dispute", most: 64 << 10 };

impl Purse {
    /// Keeps an answer that was made and paid for, until it is on the ledger.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn keep_answer(&self, request: RequestId, made: &[u8]) -> Result<PathBuf, PurseError> {
        self.keep_bytes(&ANSWERS, request, made)
    }

    /// An answer that was made and is not known to be on the ledger; none where there is none.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn answer(&self, request: RequestId) -> Result<Option<Vec<u8>>, PurseError> {
        self.bytes(&ANSWERS, request)
    }

    /// The requests of which there are such answers, in order.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn answers(&self) -> Result<Vec<RequestId>, PurseError> {
        self.listed((ANSWERS.folder, ANSWERS.ending))
    }

    /// Forgets an answer, where there is one.
    ///
    /// # Errors
    /// Where it cannot be removed.
    pub fn forget_answer(&self, request: RequestId) -> Result<(), PurseError> {
        self.forget(&ANSWERS, request)
    }

    /// What is wrong with a kept answer.
    pub(in crate::market) fn no_answer(
        &self,
        request: RequestId,
        reason: &dyn std::fmt::Display,
    ) -> PurseError {
        self.fault(&ANSWERS, request, reason)
    }

    /// Keeps what shows the ledger that a key of what was bought is wrong, whatever its owner does then.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn keep_dispute(&self, request: RequestId, shown: &[u8]) -> Result<PathBuf, PurseError> {
        self.keep_bytes(&DISPUTES, request, shown)
    }

    /// What shows the ledger that a key of what was bought is wrong; none where none was seen.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn dispute(&self, request: RequestId) -> Result<Option<Vec<u8>>, PurseError> {
        self.bytes(&DISPUTES, request)
    }

    /// Whether there is such a thing.
    #[must_use]
    pub fn has_dispute(&self, request: RequestId) -> bool {
        self.place(&DISPUTES, request).exists()
    }

    /// The requests of which there is such a thing, and what stands for periods of subscriptions, in order.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn disputes(&self) -> Result<Vec<RequestId>, PurseError> {
        self.listed((DISPUTES.folder, DISPUTES.ending))
    }

    /// Forgets it, where there is one.
    ///
    /// # Errors
    /// Where it cannot be removed.
    pub fn forget_dispute(&self, request: RequestId) -> Result<(), PurseError> {
        self.forget(&DISPUTES, request)
    }

    /// What is wrong with it.
    pub(crate) fn no_dispute(
        &self,
        request: RequestId,
        reason: &dyn std::fmt::Display,
    ) -> PurseError {
        self.fault(&DISPUTES, request, reason)
    }

    fn place(&self, kind: &Kind, request: RequestId) -> PathBuf {
        self.folder.join(kind.folder).join(format!("{request}{}", kind.ending))
    }

    fn keep_bytes(
        &self,
        kind: &Kind,
        request: RequestId,
        bytes: &[u8],
    ) -> Result<PathBuf, PurseError> {
        put(&self.folder.join(kind.folder), &format!("{request}{}", kind.ending), bytes)
    }

    fn bytes(&self, kind: &Kind, request: RequestId) -> Result<Option<Vec<u8>>, PurseError> {
        let place = self.place(kind, request);
        let mut bytes = Vec::new();
        let read = fs::File::open(&place)
            .and_then(|file| file.take(kind.most + 1).read_to_end(&mut bytes));
        match read {
            Ok(length) if length as u64 > kind.most => {
                Err(wrong(&place, format!("it is longer than {} is", kind.what)))
            }
            Ok(_) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(WalletError::Disk { what: "read", place, source }.into()),
        }
    }

    fn forget(&self, kind: &Kind, request: RequestId) -> Result<(), PurseError> {
        let place = self.place(kind, request);
        match fs::remove_file(&place) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => {
                removed.map_err(|source| WalletError::Disk { what: "remove", place, source }.into())
            }
        }
    }

    fn fault(&self, kind: &Kind, request: RequestId, reason: &dyn std::fmt::Display) -> PurseError {
        wrong(&self.place(kind, request), format!("it is not {}: {reason}", kind.what))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;
    use crate::wallet::Wallet;

    /// Answers were kept in memory alone: a node that was killed before its answer was in a block made another one,
    /// which cost of the budget again and told more by its other noise.
    #[test]
    fn an_answer_is_kept_until_it_is_forgotten_and_none_is_too_long() {
        let directory = tempfile::tempdir().unwrap();
        let purse = || Purse::of(&Wallet::at(directory.path().to_owned()));
        let (first, second) = (RequestId([1; 32]), RequestId([2; 32]));
        assert_eq!((purse().answer(first).unwrap(), purse().answers().unwrap()), (None, vec![]));
        purse().forget_answer(first).unwrap();
        purse().keep_answer(second, b"two").unwrap();
        purse().keep_answer(first, b"one").unwrap();
        // A file that a crash left behind is no answer.
        fs::write(directory.path().join("market/answers/.x.answer.new"), "x").unwrap();
        assert_eq!(purse().answers().unwrap(), [first, second]);
        assert_eq!(purse().answer(first).unwrap().unwrap(), b"one");
        purse().forget_answer(first).unwrap();
        assert_eq!(
            (purse().answer(first).unwrap(), purse().answers().unwrap()),
            (None, vec![second])
        );
        let long = vec![0; usize::try_from(ANSWERS.most).unwrap() + 1];
        purse().keep_answer(second, &long).unwrap();
        assert!(purse().answer(second).unwrap_err().to_string().contains("longer than an answer"));
    }

    /// What shows a wrong key was in memory alone: an owner who took his note away after it was seen was paid.
    #[test]
    fn what_shows_a_wrong_key_is_kept_for_its_user_alone_until_it_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let purse = || Purse::of(&Wallet::at(directory.path().to_owned()));
        let request = RequestId([1; 32]);
        assert!(!purse().has_dispute(request) && purse().dispute(request).unwrap().is_none());
        let place = purse().keep_dispute(request, b"shown").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o077, 0);
        }
        assert!(place.starts_with(directory.path().join("market/disputes")));
        assert!(purse().has_dispute(request));
        assert_eq!(purse().disputes().unwrap(), [request]);
        assert_eq!(purse().dispute(request).unwrap().unwrap(), b"shown");
        let reason = purse().no_dispute(request, &"it ends").to_string();
        assert!(reason.contains(".dispute: it is not a dispute: it ends"), "{reason}");
        purse().forget_dispute(request).unwrap();
        assert!(!purse().has_dispute(request) && purse().disputes().unwrap().is_empty());
    }
}
