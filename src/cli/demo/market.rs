//! The stages of the demo in which a stranger buys: keys, an offer, a request, a grant by policy, and what was
//! bought in a database of his own.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Demo;
use super::peers::Network;

/// What is sold: this drive's speed, by its owner's words, and half an hour of it.
const DEVICE: &str = "4111928";
const METRIC: &str = "speed_mph";
/// Metrics that say where somebody was.
const PLACES: &str = "latitude|longitude";

impl Demo<'_> {
    /// Makes the database with keys, and says what is private before anything is written.
    pub(super) fn keys(&mut self, network: &Network) -> Result<()> {
        self.say("A database gets keys: chunks will be encrypted as they are sealed, and all else on disk.");
        let db = self.db.display().to_string();
        network.json(&["init", &db])?;
        for (metric, level) in [(METRIC, "3"), (PLACES, "1")] {
            network.json(&["privacy", "set", "--db", &db, "--metric", metric, "--level", level])?;
        }
        let public =
            ["privacy", "set", "--db", &db, "--metric", "cycMps", "--level", "4", "--public"];
        network.json(&public)?;
        let keys = ["keys", "init", "--db", &db, "--wallet", &network.wallet(), "--no-passphrase"];
        let made = network.json(&keys)?;
        let words = made["recovery_words"].as_str().unwrap_or_default().split(' ').count();
        ensure!(words == 24, "{words} recovery words");
        self.say("  24 recovery words open the keystore; positions are of level 1, speeds of level 3, the");
        self.say("  EPA's cycles are public");
        self.held("keys", json!({"recovery_words": words}));
        Ok(())
    }

    /// Offers a drive, finds the offer as a buyer, asks for a range of it, and has it granted by policy; the
    /// request.
    pub(super) fn sell(&mut self, network: &Network) -> Result<String> {
        self.say("The owner offers the speed of one drive; a stranger finds the offer and asks for 20 minutes.");
        let (db, config, wallet) = (
            self.db.display().to_string(),
            network.config(0).display().to_string(),
            network.wallet(),
        );
        let party = ["--config", config.as_str(), "--wallet", &wallet];
        let of_device = ["--device", DEVICE, "--metric", METRIC, "--per-hour", "3", "--fixed", "1"];
        let offer = ["market", "offer", "--db", &db];
        let offered = network.json(&[&offer[..], &of_device, &party].concat())?;
        let id = offered["offer"].as_str().context("the offer has no id")?.to_owned();
        let found = network.json(&["market", "offers", "--config", &config])?;
        let listed = found.as_array().into_iter().flatten();
        let found = listed.filter(|one| one["offer"] == id.as_str()).count();
        ensure!(found == 1, "the offer is not found");
        self.held("offer", json!({"level": offered["level"]}));
        let (from, until) = self.range()?;
        let buy = ["market", "buy", &id, "--account", "buyer", "--from", &from, "--until", &until];
        let bought = network.json(&[&buy[..], &party].concat())?;
        let request = bought["request"].as_str().context("the request has no id")?.to_owned();
        self.say(&format!(
            "  {} coin are set aside at height {}",
            text(&bought["price"]),
            bought["height"]
        ));
        self.held("request", json!({"price": bought["price"], "height": bought["height"]}));
        let policy = self.beside("policy.toml");
        fs::write(&policy, "levels = [3, 4]\n")?;
        let decide = ["market", "decide", "--db", &db, "--policy", &policy];
        let decided = network.json(&[&decide[..], &party].concat())?;
        ensure!(decided[0]["became"] == "granted", "the policy says {decided}");
        let (note, packs) = (self.beside("note"), self.beside("packs"));
        let deliver =
            ["market", "deliver", &request, "--db", &db, "--note", &note, "--packs", &packs];
        let told = network.json(&[&deliver[..], &party].concat())?;
        ensure!(told["chunks"] == told["chunks_in_packs"], "chunks are in no pack: {told}");
        self.say(&format!(
            "  granted by policy: the keys of {} windows, sealed to the buyer, stand on the ledger",
            told["chunks"]
        ));
        self.held("grant", json!({"chunks": told["chunks"]}));
        Ok(request)
    }

    /// A range of the drive's first half hour.
    fn range(&self) -> Result<(String, String)> {
        let chunks = self.json("chunks", &["--device", DEVICE, "--metric", METRIC, "--json"])?;
        let first = chunks[0]["first"].as_str().context("the drive has no chunk")?;
        let from = jiff::Timestamp::from_second(first.parse::<jiff::Timestamp>()?.as_second())?;
        let until = from.checked_add(jiff::SignedDuration::from_mins(20))?;
        Ok((from.to_string(), until.to_string()))
    }

    /// Fetches what was bought from the peers that are left, checks it against the chain, decrypts it, and
    /// asks the same of both databases.
    pub(super) fn receive(&mut self, network: &Network, request: &str) -> Result<()> {
        self.say("The buyer fetches what he bought from the peers that are left, and opens it.");
        let bought = self.beside("bought.db");
        let config = network.config(0).display().to_string();
        let (wallet, note) = (network.wallet(), self.beside("note"));
        let receive = ["market", "receive", request, "--account", "buyer", "--db", &bought];
        let more = ["--note", &note, "--config", &config, "--wallet", &wallet];
        let received = network.json(&[&receive[..], &more].concat())?;
        let (chunks, records) = (&received["chunks"], received["records"].as_u64());
        ensure!(received["refused"] == json!([]) && records > Some(0), "received {received}");
        self.say(&format!(
            "  {chunks} chunks: anchored, owned, under the granted keys; {} records decrypted",
            received["records"]
        ));
        self.held("decrypt", json!({"chunks": chunks, "records": received["records"]}));
        #[cfg(feature = "sql")]
        self.compare(network, &bought)?;
        Ok(())
    }

    #[cfg(feature = "sql")]
    fn compare(&mut self, network: &Network, bought: &str) -> Result<()> {
        let db = self.db.display().to_string();
        let ask = |db: &str, condition: &str| {
            let sql = format!(
                "SELECT time_bucket('5m', time) AS bucket, count(value) AS records, avg(value) AS mph \
                 FROM {METRIC} WHERE device = '{DEVICE}' {condition} GROUP BY bucket ORDER BY bucket"
            );
            network.json(&["query", "--db", db, &sql])
        };
        let his = ask(bought, "")?;
        let rows = his.as_array().cloned().unwrap_or_default();
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            anyhow::bail!("what was bought has no rows");
        };
        let condition = format!(
            "AND time >= '{}' AND time < CAST('{}' AS TIMESTAMP) + INTERVAL '5 minutes'",
            text(&first["bucket"]),
            text(&last["bucket"])
        );
        let owners = ask(&db, &condition)?;
        ensure!(his == owners, "the buyer's answer {his} is not the owner's {owners}");
        for row in &rows {
            let mph = row["mph"].as_f64().unwrap_or(f64::NAN);
            self.say(&format!(
                "  {} {mph:>8.2} {:>5} records",
                text(&row["bucket"]),
                row["records"]
            ));
        }
        self.held("sql", json!({"rows": rows.len()}));
        Ok(())
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
