//! `chronolith identity authority`, `request`, `certify`, `revoke`, `show` and `list`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use chronolith_chain::encoding::Text;
use chronolith_chain::hash::CertificateId;
use chronolith_chain::ledger::{CertificateKey, Certify, RevokeCertificate};
use clap::Args;
use serde_json::json;

use super::after;
use crate::chain::shown::milliseconds;
use crate::cli::Outcome;
use crate::cli::chain::{print_fields, read_json};
use crate::cli::listing::ListingArgs;
use crate::cli::market::{ActingArgs, PartyArgs, VenueArgs, id, print_done};
use crate::cli::output::say;
use crate::cli::usage::{Usage, duration};
use crate::cli::whole;
use crate::identity::authority::{Authority, Issued, Terms};
use crate::identity::certificate::PeerCertificate;
use crate::identity::request::CertificateRequest;
use crate::identity::standing::{Standing, standing};
use crate::market::VenueError;
use crate::moment::now_ms;
use crate::rows::Cell;
use crate::wallet::write_private_file;

/// Write the certificate of an account that issues certificates. It is the same whenever it is written: the
/// servers that believe the account are given it.
#[derive(Debug, Args)]
pub(in crate::cli) struct AuthorityCommand {
    #[command(flatten)]
    party: PartyArgs,

    /// The file that is written, as PEM
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl AuthorityCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let account = self.party.key()?;
        whole::replace(&self.out, Authority::of(&account)?.pem().as_bytes())?;
        say!("{}: the authority {}", self.out.display(), account.address);
        Ok(Outcome::Done)
    }
}

/// Make a TLS key, and the request for its certificate. The key stays here; the request goes to the authority.
#[derive(Debug, Args)]
pub(in crate::cli) struct RequestCommand {
    #[command(flatten)]
    acting: ActingArgs,

    /// The device of the account that the certificate is of; without one it is of the account
    #[arg(long, value_name = "NAME")]
    device: Option<String>,

    /// The file of the key that is made, as PEM; only its user may read it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// The file of the request
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl RequestCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let account = self.acting.party.key()?;
        let signer = match &self.device {
            Some(name) => account.device(name),
            None => account.signer(),
        };
        let chain = self.acting.venue.open()?.id()?;
        let (key, request) = CertificateRequest::new(chain, &signer)?;
        write_private_file(&self.key, key.as_bytes())?;
        let mut text = serde_json::to_string_pretty(&request)?;
        text.push('\n');
        whole::replace(&self.out, text.as_bytes())?;
        let of = chronolith_chain::address::Address::from(signer.public());
        let shown = json!({"account": of, "key": self.key, "request": self.out});
        print_fields(self.acting.json, &shown)?;
        Ok(Outcome::Done)
    }
}

/// Issue the certificate that a request asks for, and put its hash on the ledger. The request shows that
/// whoever sends it has the account and the key; who he is beyond that is for the authority to find out.
#[derive(Debug, Args)]
pub(in crate::cli) struct CertifyCommand {
    /// The request
    #[arg(value_name = "FILE")]
    request: String,

    #[command(flatten)]
    acting: ActingArgs,

    /// Whom or what it is of, for people
    #[arg(long, value_name = "TEXT")]
    name: String,

    /// What he is certified for: fleet, workshop, odometer
    #[arg(long, value_name = "WORD")]
    purpose: String,

    /// A name or address of a server that has it; may be given several times
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,

    /// How long it is good: 12h, 90d
    #[arg(long, value_name = "LENGTH", value_parser = duration, default_value = "90d")]
    valid: Duration,

    /// The file of the certificate, as PEM
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl CertifyCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let purpose = Text::new(self.purpose.clone());
        let purpose = purpose.map_err(|error| Usage(format!("--purpose: {error}")))?;
        let account = self.acting.party.key()?;
        let mut venue = self.acting.venue.open()?;
        let request: CertificateRequest = read_json(&self.request, "a request for a certificate")?;
        let request = request.check(venue.id()?)?;
        let (name, hosts) = (self.name.clone(), self.hosts.clone());
        let terms = Terms { name, hosts, valid_until_ms: after(self.valid)? };
        let Issued { pem, certificate } = Authority::of(&account)?.issue(&request, &terms)?;
        let certify = Certify {
            subject: certificate.account,
            purpose,
            certificate: certificate.hash,
            valid_until_ms: certificate.valid_until_ms,
        };
        // Written first, and named when the ledger has it: an old one stays where the ledger refuses.
        let mut unfinished = self.out.clone().into_os_string();
        unfinished.push(".new");
        let (made, done) = venue.commit_kept("certify", &account.signer(), certify, |id| {
            whole::replace(Path::new(&unfinished), pem.as_bytes())?;
            Ok::<_, anyhow::Error>(CertificateId::made_by(id))
        })?;
        let named = || format!("cannot give {} its name", unfinished.to_string_lossy());
        fs::rename(&unfinished, &self.out).with_context(named)?;
        let shown = json!({
            "certificate": made,
            "account": certificate.account,
            "fingerprint": certificate.hash,
            "until": milliseconds(certificate.valid_until_ms),
            "file": self.out,
        });
        print_done(self.acting.json, shown, &done)
    }
}

/// Take a certificate back: who issued it may, and whom it is of. Servers refuse it within seconds.
#[derive(Debug, Args)]
pub(in crate::cli) struct RevokeCommand {
    /// The certificate: its file, or its id on the ledger
    #[arg(value_name = "FILE|ID")]
    certificate: String,

    #[command(flatten)]
    acting: ActingArgs,
}

impl RevokeCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let file = Path::new(&self.certificate);
        let certificate = if file.exists() {
            let certificate = read(file)?;
            let found = look(&self.acting.venue, &certificate)?;
            found.certificate().with_context(|| found.to_string())?
        } else {
            CertificateId(id(&self.certificate, "certificate, and there is no such file")?)
        };
        let shown = json!({"certificate": certificate});
        self.acting.commit("revoke a certificate", RevokeCertificate { certificate }, shown)
    }
}

fn read(file: &Path) -> Result<PeerCertificate> {
    let pem = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    PeerCertificate::parse_pem(&pem).with_context(|| file.display().to_string())
}

fn look(venue: &VenueArgs, certificate: &PeerCertificate) -> Result<Standing> {
    let (PeerCertificate { account, issuer, hash, .. }, now_ms) = (certificate, now_ms());
    Ok(venue.open()?.look(|state, _| {
        standing(state, *issuer, *account, *hash, now_ms).map_err(VenueError::from)
    })?)
}

/// Show what a certificate says, and how it stands; exit code 1 where it is not good.
#[derive(Debug, Args)]
pub(in crate::cli) struct ShowCommand {
    /// The certificate, as PEM
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    venue: VenueArgs,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl ShowCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let certificate = read(&self.file)?;
        let found = look(&self.venue, &certificate)?;
        let mut shown = json!({
            "account": certificate.account,
            "issuer": certificate.issuer,
            "name": certificate.name,
            "fingerprint": certificate.hash,
            "until": milliseconds(certificate.valid_until_ms),
            "standing": found.name(),
            "certificate": found.certificate(),
        });
        if let Standing::Good { certified, .. } = &found {
            shown["purpose"] = json!(certified.purpose);
        }
        print_fields(self.json, &shown)?;
        if let Standing::Good { .. } = found {
            return Ok(Outcome::Done);
        }
        eprintln!("chronolith: {}: {found}", self.file.display());
        Ok(Outcome::Faults)
    }
}

/// List what an account certified, and what was certified of it.
#[derive(Debug, Args)]
pub(in crate::cli) struct ListCommand {
    #[command(flatten)]
    venue: VenueArgs,
    #[command(flatten)]
    party: PartyArgs,

    #[command(flatten)]
    listing: ListingArgs,
}

impl ListCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let (account, now_ms) = (self.party.key()?.address, now_ms());
        let columns = ["certificate", "issuer", "subject", "purpose", "until", "standing"];
        let mut rows = self.listing.rows(&columns)?;
        for (key, known) in self.venue.open()?.all::<CertificateKey>(&[])? {
            let certified = &known.certified;
            if ![known.issuer, certified.subject].contains(&account) {
                continue;
            }
            let cells = [
                key.certificate.to_string(),
                known.issuer.to_string(),
                certified.subject.to_string(),
                certified.purpose.to_string(),
                milliseconds(certified.valid_until_ms),
            ];
            let standing = Standing::of(key.certificate, known, now_ms).name();
            let cells: Vec<Cell> =
                cells.into_iter().map(Cell::from).chain([standing.into()]).collect();
            rows.push(&cells)?;
        }
        rows.finish()?;
        Ok(Outcome::Done)
    }
}
