//! Answers to audits, kept for as long as they can be disputed: a file for each, in a folder.

use std::io;
use std::sync::Arc;

use chronolith_chain::address::Address;
use chronolith_disk::{Disk, read_all};

/// Answers on disk.
pub struct KeptAnswers {
    disk: Arc<dyn Disk>,
}

fn name(epoch: u64, peer: &Address) -> String {
    format!("{epoch:020}-{peer}")
}

impl KeptAnswers {
    /// Those in a folder.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk }
    }

    /// Keeps an answer. A cut may take it: it costs an attestation at most, since the others have it.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep(&self, epoch: u64, peer: &Address, answer: &[u8]) -> io::Result<()> {
        let (name, unfinished) = (name(epoch, peer), format!("new-{}", name(epoch, peer)));
        let file = self.disk.open(&unfinished)?;
        file.set_len(0)?;
        file.append(answer)?;
        self.disk.rename(&unfinished, &name)
    }

    /// The answer of a peer in an epoch.
    ///
    /// # Errors
    /// What the disk says.
    pub fn answer(&self, epoch: u64, peer: &Address) -> io::Result<Option<Vec<u8>>> {
        match read_all(&*self.disk, &name(epoch, peer)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All answers in an epoch, one after the other; those that cannot be read are left out.
    ///
    /// # Errors
    /// What the disk says of the folder.
    pub fn of_epoch(&self, epoch: u64) -> io::Result<impl Iterator<Item = Vec<u8>> + '_> {
        let names = self.disk.list("")?;
        let of_epoch = move |name: &String| epoch_of(name) == Some(epoch);
        let read = |name: String| read_all(&*self.disk, &name).ok();
        Ok(names.into_iter().filter(of_epoch).filter_map(read))
    }

    /// Forgets all of earlier epochs, and what was never finished.
    ///
    /// # Errors
    /// What the disk says.
    pub fn prune(&self, below: u64) -> io::Result<()> {
        for name in self.disk.list("")? {
            let is_unfinished = name.starts_with("new-");
            if is_unfinished || epoch_of(&name).is_some_and(|epoch| epoch < below) {
                self.disk.remove(&name)?;
            }
        }
        Ok(())
    }
}

fn epoch_of(name: &str) -> Option<u64> {
    name.split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use chronolith_chain::keys::SecretKey;
    use chronolith_disk::RealDisk;

    use super::*;

    #[test]
    fn answers_are_kept_until_their_epoch_is_pruned() {
        let folder = tempfile::tempdir().unwrap();
        let kept = KeptAnswers::new(Arc::new(RealDisk::create(folder.path()).unwrap()));
        let [a, b] = [1, 2].map(|seed| SecretKey::from_seed(&[seed; 32]).public().into());
        kept.keep(7, &a, b"first").unwrap();
        kept.keep(7, &b, b"other").unwrap();
        kept.keep(8, &a, b"second").unwrap();
        std::fs::write(folder.path().join("foreign"), b"?").unwrap();
        assert_eq!(kept.answer(7, &a).unwrap().unwrap(), b"first");
        assert_eq!(kept.of_epoch(7).unwrap().count(), 2);
        kept.prune(8).unwrap();
        assert_eq!(kept.answer(7, &a).unwrap(), None);
        assert_eq!(kept.of_epoch(8).unwrap().collect::<Vec<_>>(), [b"second"]);
    }
}
