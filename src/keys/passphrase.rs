//! Passphrases: from a file, or from whoever sits at the terminal. Never from an argument, which every
//! process of the machine can read.

use std::fs;
use std::io::IsTerminal as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{KeysError, disk};

/// The variable that names a file with the passphrase.
pub(crate) const VARIABLE: &str = "CHRONOLITH_PASSPHRASE_FILE";
/// The longest passphrase: bytes.
const BYTES_MAX: u64 = 4_096;

/// The passphrase of a keystore: from the file that is named, the one that the variable names, or the
/// terminal.
///
/// # Errors
/// Where there is none, or the file is not one's own.
pub(crate) fn passphrase_of(
    file: Option<&Path>,
    keystore: &Path,
) -> Result<Zeroizing<Vec<u8>>, KeysError> {
    match file.map(Path::to_owned).or_else(by_variable) {
        Some(file) => read(&file),
        None => ask(&format!("passphrase of {}: ", keystore.display()))?
            .ok_or_else(|| KeysError::NeedsPassphrase { place: keystore.to_owned() }),
    }
}

/// A new passphrase for a keystore; asked for twice at the terminal.
///
/// # Errors
/// Where there is none, or the two differ.
pub(crate) fn new_passphrase(
    file: Option<&Path>,
    keystore: &Path,
) -> Result<Zeroizing<Vec<u8>>, KeysError> {
    if let Some(file) = file {
        return read(file);
    }
    let place = || keystore.to_owned();
    let needed = || KeysError::NeedsPassphrase { place: place() };
    let first = ask(&format!("new passphrase of {}: ", keystore.display()))?.ok_or_else(needed)?;
    let second = ask("the same again: ")?.ok_or_else(needed)?;
    let wrong = |reason| Err(KeysError::Passphrase { place: place(), reason });
    match () {
        () if first.is_empty() => wrong("an empty passphrase protects nothing"),
        () if *first != *second => wrong("the two passphrases differ; nothing was changed"),
        () => Ok(first),
    }
}

fn by_variable() -> Option<PathBuf> {
    std::env::var_os(VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from)
}

/// A passphrase from a file, without the end of its line.
fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, KeysError> {
    let metadata = fs::metadata(file).map_err(disk("read", file))?;
    let wrong = |reason| Err(KeysError::Passphrase { place: file.to_owned(), reason });
    if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
        return wrong("others may read this passphrase: chmod 600");
    }
    if metadata.len() > BYTES_MAX {
        return wrong("this is longer than 4,096 bytes, and no passphrase");
    }
    let mut bytes = Zeroizing::new(fs::read(file).map_err(disk("read", file))?);
    while matches!(bytes.last(), Some(b'\n' | b'\r')) {
        bytes.pop();
    }
    if bytes.is_empty() { wrong("there is no passphrase in it") } else { Ok(bytes) }
}

/// Asks at the terminal; none where nobody sits there.
fn ask(prompt: &str) -> Result<Option<Zeroizing<Vec<u8>>>, KeysError> {
    if !std::io::stdin().is_terminal() {
        return Ok(None);
    }
    let told =
        rpassword::prompt_password(prompt).map_err(disk("read", Path::new("the terminal")))?;
    Ok(Some(Zeroizing::new(told.into_bytes())))
}
