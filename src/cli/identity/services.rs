//! `chronolith identity service`, `allow` and `disallow`.

use std::time::Duration;

use anyhow::{Result, bail};
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::Text;
use chronolith_chain::hash::ServiceId;
use chronolith_chain::ledger::{
    RegisterService, RevokeCertificate, Service, ServiceInfo, ServiceKey, UpdateService,
};
use chronolith_chain::state::Overlay;
use clap::{Args, Subcommand};
use serde_json::json;

use super::after;
use crate::chain::shown::milliseconds;
use crate::cli::Outcome;
use crate::cli::listing::ListingArgs;
use crate::cli::market::{ActingArgs, VenueArgs, id, print_done};
use crate::cli::usage::{Usage, duration};
use crate::http::Scope;
use crate::identity::pass::Pass;
use crate::identity::standing::standing;
use crate::market::{Venue, VenueError};
use crate::moment::now_ms;

/// Services that accounts announce: what they are, and where they are reached.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ServiceCommand {
    /// Announce a service
    Register(RegisterCommand),
    /// Say something else of a service
    Update(UpdateCommand),
    /// End a service
    End(EndCommand),
    /// List the services of the chain
    List(ListCommand),
}

impl ServiceCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        match self {
            Self::Register(command) => command.run(),
            Self::Update(command) => command.run(),
            Self::End(command) => command.run(),
            Self::List(command) => command.run(),
        }
    }
}

/// What a service is.
#[derive(Debug, Args)]
struct InfoArgs {
    /// What it is called
    #[arg(long, value_name = "TEXT")]
    name: String,

    /// What it does: sql, bridge, workshop
    #[arg(long, value_name = "WORD")]
    kind: String,

    /// Where it is reached
    #[arg(long, value_name = "URL")]
    endpoint: String,

    /// The content id of a description
    #[arg(long, value_name = "CID")]
    description: Option<String>,
}

fn text<const MOST: usize>(what: &str, text: &str) -> Result<Text<MOST>> {
    Ok(Text::new(text).map_err(|error| Usage(format!("--{what}: {error}")))?)
}

impl InfoArgs {
    fn info(&self) -> Result<ServiceInfo> {
        let description = self.description.as_deref().map(|cid| {
            cid.parse::<ContentId>().map_err(|error| Usage(format!("--description: {error}")))
        });
        Ok(ServiceInfo {
            name: text("name", &self.name)?,
            kind: text("kind", &self.kind)?,
            endpoint: text("endpoint", &self.endpoint)?,
            description: description.transpose()?,
        })
    }
}

fn service_id(text: &str) -> Result<ServiceId> {
    Ok(ServiceId(id(text, "service")?))
}

/// Announce a service that the account runs.
#[derive(Debug, Args)]
pub(in crate::cli) struct RegisterCommand {
    #[command(flatten)]
    acting: ActingArgs,
    #[command(flatten)]
    info: InfoArgs,
}

impl RegisterCommand {
    fn run(&self) -> Result<Outcome> {
        let (register, key) =
            (RegisterService { info: self.info.info()? }, self.acting.party.key()?);
        let mut venue = self.acting.venue.open()?;
        let (service, done) =
            venue.commit_kept("announce a service", &key.signer(), register, |id| {
                Ok::<_, VenueError>(ServiceId::made_by(id))
            })?;
        print_done(self.acting.json, json!({"service": service}), &done)
    }
}

/// Say something else of a service.
#[derive(Debug, Args)]
pub(in crate::cli) struct UpdateCommand {
    /// The service
    #[arg(value_name = "SERVICE")]
    service: String,

    #[command(flatten)]
    acting: ActingArgs,
    #[command(flatten)]
    info: InfoArgs,
}

impl UpdateCommand {
    fn run(&self) -> Result<Outcome> {
        let service = service_id(&self.service)?;
        let update = UpdateService { service, info: Some(self.info.info()?) };
        self.acting.commit("change a service", update, json!({"service": service}))
    }
}

/// End a service: what its owner allowed is open to nobody any more.
#[derive(Debug, Args)]
pub(in crate::cli) struct EndCommand {
    /// The service
    #[arg(value_name = "SERVICE")]
    service: String,

    #[command(flatten)]
    acting: ActingArgs,
}

impl EndCommand {
    fn run(&self) -> Result<Outcome> {
        let service = service_id(&self.service)?;
        let end = UpdateService { service, info: None };
        self.acting.commit("end a service", end, json!({"service": service}))
    }
}

/// List the services of the chain.
#[derive(Debug, Args)]
pub(in crate::cli) struct ListCommand {
    #[command(flatten)]
    venue: VenueArgs,

    /// Only those of this kind
    #[arg(long, value_name = "WORD")]
    kind: Option<String>,

    #[command(flatten)]
    listing: ListingArgs,
}

impl ListCommand {
    fn run(&self) -> Result<Outcome> {
        let mut rows = self.listing.rows(&["service", "owner", "name", "kind", "endpoint"])?;
        for (key, Service { owner, info }) in self.venue.open()?.all::<ServiceKey>(&[])? {
            let Some(info) = info else { continue };
            if self.kind.as_deref().is_some_and(|kind| kind != &*info.kind) {
                continue;
            }
            rows.push(&[
                key.service.to_string().into(),
                owner.to_string().into(),
                (&*info.name).into(),
                (&*info.kind).into(),
                (&*info.endpoint).into(),
            ])?;
        }
        rows.finish()?;
        Ok(Outcome::Done)
    }
}

/// Who may do what with which service.
#[derive(Debug, Args)]
struct PassArgs {
    /// The service
    #[arg(long, value_name = "SERVICE")]
    service: String,

    /// Who: an address, or the name of a key in the wallet
    #[arg(long, value_name = "ACCOUNT")]
    to: String,

    /// What: read, write or admin
    #[arg(long, value_name = "SCOPE", default_value = "read")]
    scope: Scope,
}

impl PassArgs {
    fn pass(&self, acting: &ActingArgs) -> Result<Pass> {
        let (service, account) = (service_id(&self.service)?, acting.address(&self.to)?);
        Ok(Pass { service, account, scope: self.scope })
    }
}

/// The word of anybody else lets nobody in.
fn check_owner(venue: &Venue, pass: Pass, owner: chronolith_chain::address::Address) -> Result<()> {
    let key = ServiceKey { service: pass.service };
    let known = venue.look(|state, _| Overlay::new(state).get(&key).map_err(VenueError::from))?;
    match known {
        None => bail!("there is no service {}; chronolith identity service list", pass.service),
        Some(Service { info: None, .. }) => bail!("the service {} has ended", pass.service),
        Some(known) if known.owner != owner => {
            bail!(
                "the service {} is {}'s, and only its owner lets others in",
                pass.service,
                known.owner
            )
        }
        Some(_) => Ok(()),
    }
}

/// Let somebody use a service for a time. He shows who he is by a certificate that the service's server
/// believes; the ledger shows the owner's word, so that nothing has to be sent.
#[derive(Debug, Args)]
pub(in crate::cli) struct AllowCommand {
    #[command(flatten)]
    acting: ActingArgs,
    #[command(flatten)]
    pass: PassArgs,

    /// For how long: 30m, 2h, 7d
    #[arg(long = "for", value_name = "LENGTH", value_parser = duration)]
    length: Duration,
}

impl AllowCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let (pass, owner) = (self.pass.pass(&self.acting)?, self.acting.party.key()?);
        let mut venue = self.acting.venue.open()?;
        check_owner(&venue, pass, owner.address)?;
        let until_ms = after(self.length)?;
        let done = venue.commit("let somebody in", &owner.signer(), pass.certify(until_ms)?)?;
        let shown = json!({
            "service": pass.service,
            "to": pass.account,
            "scope": pass.scope.to_string(),
            "until": milliseconds(until_ms),
        });
        print_done(self.acting.json, shown, &done)
    }
}

/// Take back what was allowed. Servers let nobody in by it within seconds, and end what he follows.
#[derive(Debug, Args)]
pub(in crate::cli) struct DisallowCommand {
    #[command(flatten)]
    acting: ActingArgs,
    #[command(flatten)]
    pass: PassArgs,
}

impl DisallowCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let (pass, owner) = (self.pass.pass(&self.acting)?, self.acting.party.key()?);
        let mut venue = self.acting.venue.open()?;
        let now_ms = now_ms();
        let found = venue.look(|state, _| {
            standing(state, owner.address, pass.account, pass.hash(), now_ms)
                .map_err(VenueError::from)
        })?;
        let Some(certificate) = found.certificate() else {
            bail!(
                "{} was never let in with the scope {} by {}",
                pass.account,
                pass.scope,
                owner.address
            )
        };
        let revoke = RevokeCertificate { certificate };
        let done = venue.commit("take access back", &owner.signer(), revoke)?;
        let shown = json!({"service": pass.service, "to": pass.account});
        print_done(self.acting.json, shown, &done)
    }
}
