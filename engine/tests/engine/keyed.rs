//! Options with keys, for the tests that ask the same of a store with keys as of one without.

use std::cell::RefCell;
use std::convert::Infallible;
use std::sync::Arc;

use chronolith_disk::{Disk, SimDisk};
use chronolith_engine::{ChunkKeys, DeviceAccount, Options};
use chronolith_keys::{Keystore, KeystoreFile, KeystoreFileError, Unlock, Wrap};
use rand_core::{TryCryptoRng, TryRng};

use crate::crash_script::Random;

/// Bytes that look random and are the same each time; no generator for secrets.
pub(crate) struct Fixed(pub(crate) Random);

impl TryRng for Fixed {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.next() as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill_with(|| self.0.next() as u8);
        Ok(())
    }
}

impl TryCryptoRng for Fixed {}

pub(crate) const ACCOUNT: [u8; 32] = [3; 32];

/// The keystore in a file of a disk, made where there is none.
pub(crate) fn keys_in(disk: &SimDisk, path: &str) -> ChunkKeys {
    let (shared, random): (Arc<dyn Disk>, _) = (Arc::new(disk.clone()), &mut Fixed(Random(1)));
    let file = match KeystoreFile::open(Arc::clone(&shared), path, Unlock::Plain) {
        Err(KeystoreFileError::Missing { .. }) => {
            if let Some((folder, _)) = path.rsplit_once('/') {
                shared.create_dir_all(folder).unwrap();
                shared.sync_dir("").unwrap();
            }
            let keystore = Keystore::generate(Wrap::Plain, random).unwrap();
            KeystoreFile::create(shared, path, keystore, random).unwrap()
        }
        file => file.unwrap(),
    };
    ChunkKeys::new(file, |_| DeviceAccount { key: ACCOUNT, era: 0 })
}

/// Options with the keystore that is on the same disk as the store.
pub(crate) fn beside(disk: &SimDisk, options: Options) -> Options {
    options.with_keys(keys_in(disk, "keys/trees")).unwrap()
}

/// Options with a keystore on a disk of its own.
pub(crate) fn apart(options: Options) -> Options {
    options.with_keys(keys_in(&SimDisk::new(), "trees")).unwrap()
}

thread_local! {
    static KEYS: RefCell<Option<ChunkKeys>> = const { RefCell::new(None) };
}

/// Runs a test whose options have keys.
pub(crate) fn with_keys(test: impl FnOnce()) {
    struct Forget;
    impl Drop for Forget {
        fn drop(&mut self) {
            KEYS.take();
        }
    }
    KEYS.set(Some(keys_in(&SimDisk::new(), "trees")));
    let _forget = Forget;
    test();
}

/// Options with the keys of the test that runs in this thread, where it has some.
pub(crate) fn of_this_test(options: Options) -> Options {
    match KEYS.with_borrow(Clone::clone) {
        Some(keys) => options.with_keys(keys).unwrap(),
        None => options,
    }
}
