//! Wallets: the secret keys of accounts, each in a file that only its user may read.
//!
//! A wallet is a directory; `NAME.key` in it is a JSON object with the address and the secret, so
//! that it can be read, copied and kept without this program. Files get their name when they are
//! complete, and no file is ever replaced.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use chronolith_chain::address::Address;
use chronolith_chain::hash::Hash;
use chronolith_chain::keys::SecretKey;
use chronolith_disk::{Disk, RealDisk};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// What the files say they are.
const FORMAT: &str = "chronolith key 1";
/// What the names of files end in.
const EXTENSION: &str = ".key";
/// The longest name of a key.
const NAME_MOST: usize = 64;
/// The largest file that is read: bytes.
const FILE_MOST: u64 = 4_096;

/// Why a wallet cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalletError {
    /// The disk failed.
    #[error("cannot {what} {}: {source}", place.display())]
    Disk {
        /// What was to be done.
        what: &'static str,
        /// With which file.
        place: PathBuf,
        /// What the disk said.
        source: std::io::Error,
    },
    /// A name that no file should have.
    #[error("{name:?} is no name for a key: use 1 to 64 of a-z, A-Z, 0-9, - and _")]
    Name {
        /// The name.
        name: String,
    },
    /// A key of this name is there.
    #[error("{} is there already; keys are never replaced", place.display())]
    Exists {
        /// Its file.
        place: PathBuf,
    },
    /// There is no key of this name.
    #[error(
        "there is no key {name:?} in {}; make one with: chronolith wallet new {name} --wallet {}",
        place.display(),
        place.display()
    )]
    Missing {
        /// The name.
        name: String,
        /// The wallet.
        place: PathBuf,
    },
    /// Others could read the file.
    #[error("{} can be read by others than its user; run: chmod 600 {}", place.display(), place.display())]
    NotPrivate {
        /// Which file.
        place: PathBuf,
    },
    /// The file is no key.
    #[error("{} is no key: {reason}", place.display())]
    Damaged {
        /// Which file.
        place: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A secret is no secret.
    #[error("a secret is 64 hexadecimal digits")]
    Secret,
    /// The operating system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

/// Random bytes for a secret.
pub fn random() -> Result<[u8; 32], WalletError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(WalletError::Random)?;
    Ok(bytes)
}

/// 32 bytes from hexadecimal digits.
pub fn secret_of(text: &str) -> Result<[u8; 32], WalletError> {
    let digits = text.trim().as_bytes();
    let mut bytes = [0; 32];
    if digits.len() != 64 {
        return Err(WalletError::Secret);
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| WalletError::Secret)?;
        let is_hexadecimal = pair.bytes().all(|digit| digit.is_ascii_hexdigit());
        let value = u8::from_str_radix(pair, 16).ok().filter(|_| is_hexadecimal);
        *byte = value.ok_or(WalletError::Secret)?;
    }
    Ok(bytes)
}

/// The key of an account.
pub struct AccountKey {
    /// What it is called in its wallet.
    pub name: String,
    /// The account.
    pub address: Address,
    secret: [u8; 32],
}

impl AccountKey {
    fn new(name: &str, secret: [u8; 32]) -> Self {
        let address = Address::from(SecretKey::from_seed(&secret).public());
        Self { name: name.to_owned(), address, secret }
    }

    /// A key that nobody else knows, and which is in no wallet yet.
    pub fn random(name: &str) -> Result<Self, WalletError> {
        check_name(name)?;
        Ok(Self::new(name, random()?))
    }

    /// The key that signs.
    #[must_use]
    pub fn signer(&self) -> SecretKey {
        SecretKey::from_seed(&self.secret)
    }

    /// The secret as hexadecimal digits, for whoever asked for it.
    #[must_use]
    pub fn secret(&self) -> String {
        Hash(self.secret).to_string()
    }

    /// The key as PKCS #8 (RFC 8410), for programs that sign certificates with it.
    #[must_use]
    pub(crate) fn pkcs8(&self) -> Zeroizing<Vec<u8>> {
        // Version 0, the algorithm 1.3.101.112, and the seed as an octet string in an octet string.
        let head = [
            0x30, 0x2E, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x04, 0x22,
            0x04, 0x20,
        ];
        Zeroizing::new([&head[..], &self.secret].concat())
    }

    /// The key of a device that this account's holder runs: it follows from the account's secret
    /// and the device's name, so that it need not be kept.
    #[must_use]
    pub fn device(&self, name: &str) -> SecretKey {
        let mut material = self.secret.to_vec();
        material.extend_from_slice(name.as_bytes());
        SecretKey::from_seed(&blake3::derive_key("chronolith 2026 device key v1", &material))
    }
}

impl std::fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AccountKey({:?}, {})", self.name, self.address)
    }
}

/// What a file of a wallet holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    format: String,
    address: String,
    secret: String,
}

/// A directory of keys.
#[derive(Debug, Clone)]
pub struct Wallet {
    directory: PathBuf,
}

fn check_name(name: &str) -> Result<(), WalletError> {
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let length = 1..=NAME_MOST;
    if length.contains(&name.len()) && name.bytes().all(is_usual) && !name.starts_with('-') {
        return Ok(());
    }
    Err(WalletError::Name { name: name.to_owned() })
}

impl Wallet {
    /// The wallet in a directory, which need not exist yet.
    #[must_use]
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Where a user's wallet is by default: `chronolith/wallet` in the directory for his data.
    #[must_use]
    pub fn default_directory() -> Option<PathBuf> {
        let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
        let data = data.filter(|data| data.is_absolute());
        let data = data.or_else(|| std::env::home_dir().map(|home| home.join(".local/share")));
        data.map(|data| data.join("chronolith/wallet"))
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes a key that nobody else knows.
    pub fn create(&self, name: &str) -> Result<AccountKey, WalletError> {
        let key = AccountKey::random(name)?;
        self.keep(&key)?;
        Ok(key)
    }

    /// Takes in the key of a secret.
    pub fn import(&self, name: &str, secret: [u8; 32]) -> Result<AccountKey, WalletError> {
        check_name(name)?;
        let key = AccountKey::new(name, secret);
        self.keep(&key)?;
        Ok(key)
    }

    /// The key of a name.
    pub fn load(&self, name: &str) -> Result<AccountKey, WalletError> {
        check_name(name)?;
        let place = self.directory.join(format!("{name}{EXTENSION}"));
        let text = match read_private(&place) {
            Err(WalletError::Disk { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                let place = self.directory.clone();
                return Err(WalletError::Missing { name: name.to_owned(), place });
            }
            other => other?,
        };
        let damaged = |reason: String| WalletError::Damaged { place: place.clone(), reason };
        // What serde says would show a part of the secret where the secret is what is wrong.
        let file: KeyFile = serde_json::from_str(&text)
            .map_err(|error| damaged(format!("line {} is not as it should be", error.line())))?;
        if file.format != FORMAT {
            return Err(damaged(format!("it has the format {:?}, not {FORMAT:?}", file.format)));
        }
        let secret = secret_of(&file.secret).map_err(|error| damaged(error.to_string()))?;
        let key = AccountKey::new(name, secret);
        if file.address != key.address.to_string() {
            return Err(damaged("its secret is that of another address".to_owned()));
        }
        Ok(key)
    }

    /// The names of all keys, in order.
    pub fn names(&self) -> Result<Vec<String>, WalletError> {
        let failed = |source| {
            let place = self.directory.clone();
            WalletError::Disk { what: "list", place, source }
        };
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(failed(source)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(EXTENSION));
            names.extend(name.filter(|name| check_name(name).is_ok()).map(ToOwned::to_owned));
        }
        names.sort();
        Ok(names)
    }

    /// Takes in a key.
    ///
    /// # Errors
    /// [`WalletError::Exists`] where there is one of its name; whatever the disk says.
    pub fn keep(&self, key: &AccountKey) -> Result<(), WalletError> {
        let failed = |what| {
            let place = self.directory.clone();
            move |source| WalletError::Disk { what, place, source }
        };
        make_private_directory(&self.directory).map_err(failed("create"))?;
        let disk = RealDisk::existing(&self.directory).map_err(failed("open"))?;
        let lock = || -> std::io::Result<fs::File> {
            let mut options = fs::File::options();
            options.write(true).create(true).truncate(false);
            let file = options.open(self.directory.join(".lock"))?;
            // Another process is done in a moment, and is waited for.
            file.lock()?;
            Ok(file)
        };
        let _lock = lock().map_err(failed("lock"))?;
        let (path, unfinished) = (format!("{}{EXTENSION}", key.name), format!(".{}.new", key.name));
        if disk.exists(&path).map_err(failed("look into"))? {
            return Err(WalletError::Exists { place: self.directory.join(path) });
        }
        let file = KeyFile {
            format: FORMAT.to_owned(),
            address: key.address.to_string(),
            secret: key.secret(),
        };
        let mut text = serde_json::to_string_pretty(&file).unwrap_or_default();
        text.push('\n');
        write_private(&disk, &unfinished, &path, text.as_bytes()).map_err(failed("write to"))
    }
}

/// Writes a file that only its user may read, as a whole or not at all.
pub(crate) fn write_private(
    disk: &dyn Disk,
    unfinished: &str,
    path: &str,
    bytes: &[u8],
) -> std::io::Result<()> {
    let file = disk.open_private(unfinished)?;
    file.set_len(0)?;
    file.append(bytes)?;
    file.sync()?;
    drop(file);
    disk.rename(unfinished, path)?;
    disk.sync_dir("")?;
    Ok(())
}

/// Writes a file at a place that only its user may read, as a whole or not at all; none is replaced.
pub(crate) fn write_private_file(place: &Path, bytes: &[u8]) -> Result<(), WalletError> {
    let failed = |source| WalletError::Disk { what: "write to", place: place.to_owned(), source };
    if fs::symlink_metadata(place).is_ok() {
        return Err(WalletError::Exists { place: place.to_owned() });
    }
    let named = || std::io::Error::other("it names no file");
    let name = place.file_name().and_then(|name| name.to_str()).ok_or_else(|| failed(named()))?;
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty());
    let disk = RealDisk::existing(folder.unwrap_or(Path::new("."))).map_err(failed)?;
    write_private(&disk, &format!(".{name}.new"), name, bytes).map_err(failed)
}

#[cfg(unix)]
pub(crate) fn make_private_directory(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

#[cfg(not(unix))]
pub(crate) fn make_private_directory(directory: &Path) -> std::io::Result<()> {
    fs::create_dir_all(directory)
}

/// Reads a file of secrets: one that only its user may read, and no larger than such a file is.
pub(crate) fn read_private(place: &Path) -> Result<String, WalletError> {
    read_private_up_to(place, FILE_MOST)
}

/// The same of a file that may have so many bytes.
pub(crate) fn read_private_up_to(place: &Path, most: u64) -> Result<String, WalletError> {
    let failed = |what| {
        let place = place.to_owned();
        move |source| WalletError::Disk { what, place, source }
    };
    let damaged =
        |reason: &str| WalletError::Damaged { place: place.to_owned(), reason: reason.to_owned() };
    let metadata = fs::metadata(place).map_err(failed("look at"))?;
    // What is no file may have no end, or keep who opens it waiting.
    if !metadata.is_file() {
        return Err(damaged("it is no file"));
    }
    ensure_private(&metadata, place)?;
    let file = fs::File::open(place).map_err(failed("read"))?;
    let mut bytes = Vec::new();
    // One byte more than allowed, so that what is too long does not look like what is not.
    file.take(most + 1).read_to_end(&mut bytes).map_err(failed("read"))?;
    if bytes.len() as u64 > most {
        return Err(damaged("it is too large"));
    }
    String::from_utf8(bytes).map_err(|_| damaged("it is no text"))
}

#[cfg(unix)]
pub(crate) fn ensure_private(metadata: &fs::Metadata, place: &Path) -> Result<(), WalletError> {
    use std::os::unix::fs::PermissionsExt as _;
    if metadata.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(WalletError::NotPrivate { place: place.to_owned() })
}

#[cfg(not(unix))]
pub(crate) fn ensure_private(_: &fs::Metadata, _: &Path) -> Result<(), WalletError> {
    Ok(())
}
