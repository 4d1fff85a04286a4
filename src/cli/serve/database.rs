//! The database of a process, and who writes into it: an HTTP server, a bridge from MQTT.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use chronolith_engine::{Db, Options};
use clap::Args;
use serde_json::json;

use super::Lines;
use crate::cli::token::beside;
use crate::cli::usage::Usage;
use crate::database::with_files;
use crate::http::{HttpServer, HttpSettings, ProducingLook, ServedNode};
#[cfg(feature = "mqtt")]
use crate::mqtt::{Bridge, BridgeEvent, MqttSettings};
use crate::node::{AloneSettings, NodeLink, NodeSettings, Producing, Selling};

/// How a database is served alone.
#[derive(Debug, Args)]
pub(super) struct HttpArgs {
    /// The directory of a database to serve alone, without a chain; made where there is none
    #[arg(long, value_name = "DIR")]
    db: Option<PathBuf>,

    /// The address to listen on; with port 0 one that is free [default: 127.0.0.1:8428]
    #[arg(long, value_name = "ADDRESS", conflicts_with = "config")]
    listen: Option<String>,

    /// A TOML file with what else [http] of a node has: limits of time, size and number
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    settings: Option<PathBuf>,

    /// The file of tokens; by default that of the database, where there is one
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    tokens: Option<PathBuf>,

    /// The certificates of the server as PEM, its own first
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with = "config")]
    certificate: Option<PathBuf>,

    /// The key of the certificate as PEM
    #[arg(long, value_name = "FILE", requires = "certificate", conflicts_with = "config")]
    key: Option<PathBuf>,

    /// Listen beyond loopback without TLS: something else in front has it
    #[arg(long, conflicts_with = "config")]
    allow_plain: bool,

    /// Listen beyond loopback without tokens: everybody may read and write
    #[arg(long, conflicts_with = "config")]
    allow_all: bool,
}

/// A database that is open, and who writes into it.
pub(super) struct Served {
    server: Option<HttpServer>,
    #[cfg(feature = "mqtt")]
    bridge: Option<Bridge>,
    db: Db,
}

impl HttpArgs {
    pub(super) fn serve(&self, lines: &Lines) -> Result<Served> {
        let Some(place) = &self.db else { bail!(Usage("give --db or --config".to_owned())) };
        let told = match &self.settings {
            Some(file) => HttpSettings::read(file)?,
            None => HttpSettings::default(),
        };
        let tokens = match self.tokens.clone().or(told.tokens.clone()) {
            Some(tokens) => Some(tokens),
            None => Some(beside(place)?).filter(|tokens| tokens.exists()),
        };
        let settings = HttpSettings {
            listen: self.listen.clone().unwrap_or(told.listen),
            tokens,
            certificate: self.certificate.clone().or(told.certificate),
            key: self.key.clone().or(told.key),
            allow_plain: self.allow_plain || told.allow_plain,
            allow_all: self.allow_all || told.allow_all,
            ..told
        };
        needs_no_chain(&settings)?;
        Served::start(place, Options::default(), Some(&settings), lines)
    }
}

/// Refuses settings that only a node can follow.
fn needs_no_chain(settings: &HttpSettings) -> Result<()> {
    if settings.authorities.is_empty() {
        return Ok(());
    }
    let what = "certificates stand on a chain, and this process follows none: add [chain], or leave \
                http.authorities out";
    bail!(Usage(what.to_owned()))
}

impl Served {
    /// What the configuration of a node names.
    pub(super) fn of_node(settings: &NodeSettings, lines: &Lines) -> Result<Option<Self>> {
        let Some(database) = &settings.database else { return Ok(None) };
        let http = settings.http.clone().map(|http| http.beside(&settings.place));
        let (place, options) = (settings.path(&database.path), database.options());
        let served = Self::start(&place, options, http.as_ref(), lines)?;
        served.server.iter().for_each(HttpServer::expect_node);
        #[cfg(feature = "mqtt")]
        let served = served.bridged(settings.mqtt.as_ref(), &settings.place, lines)?;
        Ok(Some(served))
    }

    /// What a configuration without a chain names.
    pub(super) fn alone(settings: &AloneSettings, lines: &Lines) -> Result<Self> {
        let folder = settings.place.parent().unwrap_or(Path::new(""));
        let http = settings.http.clone().map(|http| http.beside(&settings.place));
        let (place, options) = (folder.join(&settings.database.path), settings.database.options());
        http.as_ref().map_or(Ok(()), needs_no_chain)?;
        let served = Self::start(&place, options, http.as_ref(), lines)?;
        #[cfg(feature = "mqtt")]
        let served = served.bridged(settings.mqtt.as_ref(), &settings.place, lines)?;
        Ok(served)
    }

    /// The same with a bridge from a broker, where there is one.
    #[cfg(feature = "mqtt")]
    fn bridged(
        mut self,
        settings: Option<&MqttSettings>,
        place: &Path,
        lines: &Lines,
    ) -> Result<Self> {
        let Some(settings) = settings else { return Ok(self) };
        let told = lines.clone();
        let tell = move |event| told.tell(of_bridge(&event));
        let folder = place.parent().unwrap_or(Path::new(""));
        self.bridge = Some(Bridge::start(settings, folder, self.db.clone(), tell)?);
        Ok(self)
    }

    /// The database.
    pub(super) fn db(&self) -> Db {
        self.db.clone()
    }

    /// Tells the server of which node it is.
    pub(super) fn connect(
        &self,
        link: NodeLink,
        producing: Option<&Producing>,
        selling: Option<&Selling>,
    ) {
        let Some(server) = &self.server else { return };
        let look = producing.map(|producing| Box::new(producing.look()) as ProducingLook);
        let market = selling.map(Selling::desk);
        server.connect(ServedNode { link, producing: look, market });
    }

    fn start(
        place: &Path,
        options: Options,
        http: Option<&HttpSettings>,
        lines: &Lines,
    ) -> Result<Self> {
        // A thread of the database seals, flushes and compacts.
        let db = Db::open(place, with_files(place, options)?)?;
        let told = lines.clone();
        let tell = move |what: &str| told.tell((json!({"http": what}), format!("HTTP: {what}")));
        let server =
            http.map(|http| HttpServer::start(db.clone(), place, http, tell)).transpose()?;
        if let Some(server) = &server {
            let (url, place) = (server.url(), place.display());
            let value = json!({"listening": url, "database": place.to_string()});
            lines.tell((value, format!("serves {place} on {url}")));
        }
        Ok(Self {
            server,
            #[cfg(feature = "mqtt")]
            bridge: None,
            db,
        })
    }

    /// Answers what is asked and closes the database.
    pub(super) fn stop(self, lines: &Lines) -> Result<()> {
        #[cfg(feature = "mqtt")]
        drop(self.bridge);
        if let Some(server) = self.server
            && !server.stop()
        {
            let text = "some requests were not answered before the end".to_owned();
            lines.tell((json!({"http": text}), text));
        }
        Ok(self.db.close()?)
    }
}

/// What is told of a bridge: as JSON, and for people.
#[cfg(feature = "mqtt")]
fn of_bridge(event: &BridgeEvent) -> (serde_json::Value, String) {
    match event {
        BridgeEvent::Connected => (
            json!({"mqtt": "connected"}),
            "MQTT: connected to the broker, and subscribed".to_owned(),
        ),
        BridgeEvent::Disconnected { reason } => (
            json!({"mqtt": "disconnected", "reason": reason}),
            format!("MQTT: not connected, and tried again: {reason}"),
        ),
        BridgeEvent::NotSubscribed { filter } => (
            json!({"mqtt": "not_subscribed", "filter": filter}),
            format!("MQTT: the broker refuses the subscription to {filter}"),
        ),
        BridgeEvent::Rejected { records, reason } => (
            json!({"mqtt": "rejected", "records": records, "reason": reason}),
            format!("MQTT: {records} records rejected; the first: {reason}"),
        ),
        BridgeEvent::NotWritten { reason } => (
            json!({"mqtt": "not_written", "reason": reason}),
            format!("MQTT: records wait, since they cannot be written: {reason}"),
        ),
    }
}
