//! `chronolith keys`: the keystore of a database.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use chronolith_engine::{KeyRandom, MetricId};
use chronolith_keys::{KeystoreFile, Secret};
use clap::{Args, Subcommand};
use serde_json::json;
use zeroize::Zeroizing;

use super::Outcome;
use super::chain::{WalletArgs, print_fields};
use super::database::{DatabaseArgs, RangeArgs, SelectorArgs};
use super::output::say;
use super::usage::Usage;
use crate::beside::beside;
use crate::keys::{self, KeysFile, new_passphrase};

/// The largest file of recovery words that is read: bytes.
const WORDS_BYTES_MAX: u64 = 4_096;

/// The keys that chunks are sealed under, and files are encrypted with. They are in a keystore beside the
/// database, under a passphrase; 24 recovery words open it when that is forgotten.
#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Make the keystore of a database, and show the recovery words once
    Init(InitCommand),
    /// Show what is in the keystore
    Status(StatusCommand),
    /// Set, change or take away the passphrase
    Passphrase(PassphraseCommand),
    /// Set a new passphrase by the recovery words
    Recover(RecoverCommand),
    /// Take another wrapping key: the old recovery words open nothing that is written from now on
    Renew(RenewCommand),
    /// Destroy the keys of some windows of metrics: what they hold is gone for ever
    Destroy(DestroyCommand),
}

impl KeysCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        match self {
            Self::Init(command) => command.run(),
            Self::Status(command) => command.run(),
            Self::Passphrase(command) => command.run(),
            Self::Recover(command) => command.run(),
            Self::Renew(command) => command.run(),
            Self::Destroy(command) => command.run(),
        }
    }
}

/// The passphrase that is set.
#[derive(Debug, Args)]
pub(super) struct NewPassphraseArgs {
    /// The file that holds the new passphrase; without one it is asked for
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,

    /// Keep the keys without a passphrase: for devices that start without anybody
    #[arg(long, conflicts_with = "passphrase_file")]
    no_passphrase: bool,
}

impl NewPassphraseArgs {
    fn get(&self, keystore: &Path) -> Result<Option<Zeroizing<Vec<u8>>>> {
        if self.no_passphrase {
            return Ok(None);
        }
        Ok(Some(new_passphrase(self.passphrase_file.as_deref(), keystore)?))
    }

    /// The file as `keys.toml` names it, from wherever it is read.
    fn file(&self) -> Result<Option<PathBuf>> {
        let file = self.passphrase_file.as_deref().map(std::path::absolute);
        file.transpose().context("cannot find the file of the passphrase")
    }
}

/// Make the keystore of a database, and show the recovery words once.
///
/// From then on chunks are sealed under its keys, and everything else on disk is encrypted. What is in the
/// clear already stays so until it is written anew.
#[derive(Debug, Args)]
pub(super) struct InitCommand {
    #[command(flatten)]
    database: DatabaseArgs,

    /// The file of the keystore [default: the name of the database with .keys behind it]
    #[arg(long, value_name = "FILE")]
    keystore: Option<PathBuf>,

    #[command(flatten)]
    wallet: WalletArgs,

    /// The key of the account that the devices are registered by
    #[arg(long, value_name = "NAME", default_value = "main")]
    account: String,

    #[command(flatten)]
    passphrase: NewPassphraseArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl InitCommand {
    fn run(&self) -> Result<Outcome> {
        let db = &self.database.db;
        drop(self.database.read()?);
        // Outside of the directory, so that copies of that hold none.
        let keystore = match &self.keystore {
            Some(keystore) => keystore.clone(),
            None => beside(db, "keys").context("cannot find the keystore's place")?,
        };
        let file = KeysFile {
            keystore: std::path::absolute(&keystore).context("cannot find the keystore")?,
            wallet: std::path::absolute(self.wallet.wallet()?.directory())?,
            account: self.account.clone(),
            passphrase_file: self.passphrase.file()?,
            devices: Default::default(),
        };
        let passphrase = self.passphrase.get(&keystore)?;
        let words = keys::create(db, &file, passphrase.as_ref().map(|words| words.as_slice()))?;
        // The first opening for writing encrypts what is written from now on.
        self.database.change()?.close()?;
        let shown = json!({"keystore": keystore, "recovery_words": words.as_str()});
        print_fields(self.json, &shown)?;
        if !self.json {
            say!(
                "write the words down: they are not shown again, and open the keystore to whoever has them"
            );
        }
        Ok(Outcome::Done)
    }
}

/// What names the keys of a database.
pub(super) fn keys_of(database: &DatabaseArgs) -> Result<KeysFile> {
    let db = database.db.display();
    KeysFile::read(&database.db)?.with_context(|| {
        format!("{db} has no keys; make some with: chronolith keys init --db {db}")
    })
}

/// Show what is in the keystore.
#[derive(Debug, Args)]
pub(super) struct StatusCommand {
    #[command(flatten)]
    database: DatabaseArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl StatusCommand {
    fn run(&self) -> Result<Outcome> {
        let file = keys_of(&self.database)?;
        let keystore = file.open(&self.database.db, true)?.keystore();
        let shown = json!({
            "keystore": file.keystore_place(&self.database.db),
            "account": file.account(&self.database.db)?.address,
            "has_passphrase": keystore.has_passphrase(),
            "trees": keystore.trees().count(),
            "bought_trees": keystore.bought().trees().count(),
        });
        print_fields(self.json, &shown)?;
        Ok(Outcome::Done)
    }
}

/// Set, change or take away the passphrase. The recovery words stay.
#[derive(Debug, Args)]
pub(super) struct PassphraseCommand {
    #[command(flatten)]
    database: DatabaseArgs,

    #[command(flatten)]
    passphrase: NewPassphraseArgs,
}

impl PassphraseCommand {
    fn run(&self) -> Result<Outcome> {
        let named = keys_of(&self.database)?;
        let mut opened = named.open_file(&self.database.db)?;
        rewrap(&self.database.db, named, &mut opened, &self.passphrase)?;
        say!("the passphrase is changed; the recovery words are the same");
        Ok(Outcome::Done)
    }
}

/// Sets a passphrase, and what says where it is.
fn rewrap(
    db: &Path,
    mut named: KeysFile,
    opened: &mut KeystoreFile,
    new: &NewPassphraseArgs,
) -> Result<()> {
    let passphrase = new.get(&named.keystore_place(db))?;
    let wrap = keys::wrap(passphrase.as_ref().map(|words| words.as_slice()));
    let (mut for_file, mut for_keys) = (KeyRandom::new()?, KeyRandom::new()?);
    opened.change(&mut for_file, |keystore| keystore.rewrap(wrap, &mut for_keys))?;
    named.passphrase_file = new.file()?;
    Ok(named.write(db)?)
}

/// Set a new passphrase by the recovery words.
#[derive(Debug, Args)]
pub(super) struct RecoverCommand {
    #[command(flatten)]
    database: DatabaseArgs,

    /// The file that holds the 24 words; - reads them from standard input
    #[arg(long, value_name = "FILE")]
    words_file: PathBuf,

    #[command(flatten)]
    passphrase: NewPassphraseArgs,
}

impl RecoverCommand {
    fn run(&self) -> Result<Outcome> {
        let named = keys_of(&self.database)?;
        let words = words(&self.words_file)?;
        let key = Secret::from_words(&words).context("these are no recovery words")?;
        let mut opened = named.recover(&self.database.db, key)?;
        rewrap(&self.database.db, named, &mut opened, &self.passphrase)?;
        say!("the keystore has a new passphrase; the recovery words are the same");
        Ok(Outcome::Done)
    }
}

fn words(file: &Path) -> Result<Zeroizing<String>> {
    use std::io::Read as _;
    let mut words = Zeroizing::new(String::with_capacity(WORDS_BYTES_MAX as usize));
    let read = if file.as_os_str() == "-" {
        std::io::stdin().lock().take(WORDS_BYTES_MAX).read_to_string(&mut words)
    } else {
        let file = std::fs::File::open(file);
        file.and_then(|file| file.take(WORDS_BYTES_MAX).read_to_string(&mut words))
    };
    read.with_context(|| format!("cannot read {}", file.display()))?;
    Ok(words)
}

/// Take another wrapping key, and show its recovery words once: the old ones open nothing that is written
/// from now on.
#[derive(Debug, Args)]
pub(super) struct RenewCommand {
    #[command(flatten)]
    database: DatabaseArgs,

    #[command(flatten)]
    passphrase: NewPassphraseArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl RenewCommand {
    fn run(&self) -> Result<Outcome> {
        let mut named = keys_of(&self.database)?;
        let db = &self.database.db;
        let mut opened = named.open_file(db)?;
        let passphrase = self.passphrase.get(&named.keystore_place(db))?;
        let wrap = keys::wrap(passphrase.as_ref().map(|words| words.as_slice()));
        let (mut for_file, mut for_keys) = (KeyRandom::new()?, KeyRandom::new()?);
        let words = opened.change(&mut for_file, |keystore| {
            keystore.renew(wrap, &mut for_keys)?;
            Ok(keystore.wrapping_key().to_words())
        })?;
        named.passphrase_file = self.passphrase.file()?;
        named.write(db)?;
        print_fields(self.json, &json!({"recovery_words": words.as_str()}))?;
        Ok(Outcome::Done)
    }
}

/// Destroy the keys of some windows of metrics: what they hold is gone for ever, here and with everybody who
/// keeps it. Older copies of the keystore, and keys that were granted, still open it.
#[derive(Debug, Args)]
pub(super) struct DestroyCommand {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    selector: SelectorArgs,
    #[command(flatten)]
    range: RangeArgs,

    /// Do it: there is no way back
    #[arg(long)]
    yes: bool,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl DestroyCommand {
    fn run(&self) -> Result<Outcome> {
        keys_of(&self.database)?;
        if self.selector.is_empty() {
            bail!(Usage("name the metrics: --metric, --device or --label".to_owned()));
        }
        let Some((from_ns, to_ns)) = self.range.first_and_last()? else {
            bail!(Usage("the range holds no time".to_owned()));
        };
        let db = match self.yes {
            true => self.database.change()?,
            false => self.database.read()?,
        };
        let metrics: Vec<MetricId> = self.selector.metrics(&db)?;
        if !self.yes {
            let metrics = metrics.len();
            bail!(
                "this destroys records of {metrics} metrics for ever; run it with --yes to do so"
            );
        }
        let report = db.destroy(&metrics, from_ns..=to_ns)?;
        db.close()?;
        let windows = report.windows.iter().map(|(_, windows)| {
            u64::try_from(windows.end().saturating_sub(*windows.start()))
                .unwrap_or(0)
                .saturating_add(1)
        });
        let windows = windows.fold(0, u64::saturating_add);
        let shown = json!({"metrics": report.windows.len(), "windows": windows});
        print_fields(self.json, &shown)?;
        Ok(Outcome::Done)
    }
}
