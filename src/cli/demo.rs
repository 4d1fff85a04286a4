//! `chronolith demo`: the main job on real drives, every step checked.
//!
//! Everything is done by the commands that a person would type, run as processes of their own, so
//! that the demo shows what a person would see, and the killed writer is really killed.

mod market;
mod peers;

#[cfg(feature = "continuous")]
use std::collections::BTreeMap;
#[cfg(feature = "search")]
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::{Value, json};

use super::Outcome;
use super::output::print_json;

/// The drives: vehicle or cycle, and file below `testdata/drives`.
const CITY_DRIVES: [(&str, &str); 6] = [
    ("4033363", "4033363_3_2007-08-23.csv.gz"),
    ("4107032", "4107032_1_2007-05-27.csv.gz"),
    ("4108468", "4108468_1_2007-06-26.csv.gz"),
    ("4109114", "4109114_1_2007-05-23.csv.gz"),
    ("4111928", "4111928_1_2007-05-22.csv.gz"),
    ("4112082", "4112082_1_2007-07-03.csv.gz"),
];
const CYCLES: [&str; 4] = ["udds", "us06", "hwfet", "wltc_3b"];

/// Run the main job on real drives, and check every step.
#[derive(Debug, Args)]
pub(super) struct DemoCommand {
    /// Keep the database in this directory to look at it
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,

    /// Where the drives are [default: testdata/drives of the source tree]
    #[arg(long, value_name = "DIR")]
    drives: Option<PathBuf>,

    /// Print one JSON object with all checks
    #[arg(long)]
    json: bool,
}

struct Demo<'a> {
    command: &'a DemoCommand,
    program: PathBuf,
    db: PathBuf,
    drives: PathBuf,
    checks: Vec<(&'static str, Value)>,
}

impl DemoCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let started = Instant::now();
        let directory = match &self.keep {
            Some(directory) => directory.clone(),
            None => std::env::temp_dir().join(format!("chronolith-demo-{}", std::process::id())),
        };
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/drives");
        let drives = self.drives.clone().unwrap_or(source);
        ensure!(drives.is_dir(), "there are no drives in {}; give --drives DIR", drives.display());
        let program = std::env::current_exe().context("cannot find this program")?;
        let db = directory.join("fleet.db");
        let mut demo = Demo { command: self, program, db, drives, checks: Vec::new() };
        let outcome = demo.steps();
        let seconds = started.elapsed().as_secs_f64();
        if self.json {
            let checks: serde_json::Map<String, Value> = demo
                .checks
                .iter()
                .map(|(name, figures)| ((*name).into(), figures.clone()))
                .collect();
            print_json(&json!({"ok": outcome.is_ok(), "seconds": seconds, "checks": checks}))?;
        }
        if self.keep.is_none() {
            fs::remove_dir_all(&directory)
                .with_context(|| format!("cannot remove {}", directory.display()))?;
        }
        outcome?;
        if !self.json {
            println!("\nall {} checks held in {seconds:.1} s", demo.checks.len());
            match &self.keep {
                Some(_) => demo.tell_what_to_try(),
                None => println!("look at it by hand: chronolith demo --keep DIR"),
            }
        }
        Ok(Outcome::Done)
    }
}

impl Demo<'_> {
    fn say(&self, text: &str) {
        if !self.command.json {
            println!("{text}");
        }
    }

    fn held(&mut self, name: &'static str, mut figures: Value) {
        figures["ok"] = json!(true);
        self.checks.push((name, figures));
    }

    /// A command of this program on the demo's database.
    fn chronolith(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(name).arg("--db").arg(&self.db).args(arguments);
        command
    }

    /// Runs a command; its standard output. Any exit code but 0 fails the demo.
    fn output(&self, name: &str, arguments: &[&str]) -> Result<String> {
        let output = self.chronolith(name, arguments).output();
        let output = output.with_context(|| format!("cannot run chronolith {name}"))?;
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr);
            bail!("chronolith {name} ended with {}: {}", output.status, reason.trim());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The last line that a command printed, as JSON.
    fn json(&self, name: &str, arguments: &[&str]) -> Result<Value> {
        let output = self.output(name, arguments)?;
        let last = output.lines().last().context("the command printed nothing")?;
        Ok(serde_json::from_str(last)?)
    }

    fn drive(&self, file: &str) -> String {
        self.drives.join(file).display().to_string()
    }

    fn steps(&mut self) -> Result<()> {
        let network = peers::Network::make(&self.program, self.db.with_file_name("net"))?;
        self.keys(&network)?;
        self.ingest()?;
        self.kill()?;
        #[cfg(feature = "continuous")]
        self.follow()?;
        self.seal()?;
        self.verify()?;
        self.answers()?;
        #[cfg(feature = "search")]
        self.search()?;
        #[cfg(feature = "sql")]
        self.gaps()?;
        let chain = self.anchor()?;
        self.light_client(&chain)?;
        #[cfg(feature = "sql")]
        self.prove(&chain)?;
        self.peers(network)
    }

    fn ingest(&mut self) -> Result<()> {
        self.say("Drives of the Chicago travel survey and the EPA's cycles go into a database.");
        let mut accepted = 0;
        for (vehicle, file) in CITY_DRIVES {
            let arguments =
                ["--json", "--device", vehicle, "--time", "timestamp", "--zone", "America/Chicago"];
            accepted += self.accepted(&arguments, file)?;
        }
        for cycle in CYCLES {
            let start = ["--time-format", "s", "--start", "2026-01-05T08:00:00Z"];
            let arguments = [
                "--json", "--device", cycle, "--time", "cycSecs", start[0], start[1], start[2],
                start[3],
            ];
            accepted += self.accepted(&arguments, &format!("{cycle}.csv"))?;
        }
        let records = self.records()?;
        ensure!(records == accepted, "{accepted} records were accepted and {records} are there");
        self.say(&format!("  {accepted} records accepted, none rejected"));
        self.held("ingest", json!({"records": accepted}));
        Ok(())
    }

    fn accepted(&self, arguments: &[&str], file: &str) -> Result<u64> {
        let path = self.drive(file);
        let arguments: Vec<&str> = arguments.iter().copied().chain([path.as_str()]).collect();
        let result = self.json("ingest", &arguments)?;
        ensure!(result["rejected"] == 0, "rows of {file} were rejected: {result}");
        result["accepted"].as_u64().context("no count of accepted records")
    }

    fn records(&self) -> Result<u64> {
        let statistics = self.json("stats", &["--json"])?;
        statistics["records"].as_u64().context("no count of records")
    }

    /// Kills a writer in the middle and looks for everything that it acknowledged.
    fn kill(&mut self) -> Result<()> {
        self.say("A writer is killed with SIGKILL in the middle of its work.");
        let before = self.records()?;
        let input = self.db.with_file_name("kill.lp");
        let fleet = ["--vehicles", "10", "--seconds", "3000", "--out"];
        let made = Command::new(&self.program)
            .args(["bench", "fleet"])
            .args(fleet)
            .arg(&input)
            .stdout(Stdio::null())
            .status()?;
        ensure!(made.success(), "cannot make the input of the writer");
        let path = input.display().to_string();
        let mut writer = self
            .chronolith("ingest", &["--json", "--format", "line", &path])
            .stdout(Stdio::piped())
            .spawn()?;
        let output = writer.stdout.take().context("the writer has no output")?;
        let mut acknowledged = 0;
        for line in BufReader::new(output).lines() {
            let told: Value = serde_json::from_str(&line?)?;
            acknowledged = told["acknowledged"].as_u64().unwrap_or(acknowledged);
            if acknowledged >= 60_000 {
                break;
            }
        }
        writer.kill()?;
        writer.wait()?;
        let found = self.records()? - before;
        ensure!(
            acknowledged > 0 && found >= acknowledged,
            "{acknowledged} records were acknowledged and {found} are there"
        );
        self.say(&format!("  {acknowledged} records were acknowledged, {found} are there"));
        self.held("kill", json!({"acknowledged": acknowledged, "found": found}));
        Ok(())
    }

    /// Kills the follower of a continuous query, lets it go on from its cursor, and compares what it
    /// was told with the answer of the same question asked at the end.
    #[cfg(feature = "continuous")]
    fn follow(&mut self) -> Result<()> {
        self.say(
            "A continuous query is killed with SIGKILL, goes on from its cursor, and is right.",
        );
        // From the first change on, also of what the database holds already.
        fs::write(self.db.with_file_name("cursor"), "0")?;
        let (mut told, mut again) = (BTreeMap::<u64, Value>::new(), 0);
        for lines in [150, usize::MAX] {
            for change in self.changes(lines)? {
                let cursor = change["cursor"].as_u64().context("a change without a cursor")?;
                if let Some(before) = told.get(&cursor) {
                    ensure!(*before == change, "cursor {cursor} is of {before} and of {change}");
                    again += 1;
                }
                told.insert(cursor, change);
            }
        }
        let count = told.len() as u64;
        ensure!(told.keys().copied().eq(1..=count), "some of {count} changes were not told");
        let mut rows: BTreeMap<String, Value> = BTreeMap::new();
        for change in told.into_values() {
            let key = format!("{} {}", change["time_bucket"], change["device"]);
            let before = rows.insert(key.clone(), change.clone());
            let is_new = change["change"] == "insert";
            ensure!(before.is_none() == is_new, "{key} was told as new twice, or never");
        }
        let arguments = ["--metric", "speed", "--every", "1m", "--fn", "count,max"];
        let answer = self.json("aggregate", &[&arguments[..], &["--format", "json"]].concat())?;
        let answer = answer.as_array().cloned().unwrap_or_default();
        ensure!(answer.len() == rows.len() && !rows.is_empty(), "other rows than asked for anew");
        for wanted in &answer {
            let row = rows.get(&format!("{} {}", wanted["time"], wanted["device"]));
            let same = |name: &str| row.is_some_and(|row| row[name] == wanted[name]);
            ensure!(same("count") && same("max"), "{row:?} was told, {wanted} is the answer");
        }
        self.say(&format!(
            "  {count} changes of {} rows, {again} of them told again after the kill, none lost",
            rows.len()
        ));
        self.held("continuous", json!({"changes": count, "rows": rows.len(), "again": again}));
        Ok(())
    }

    /// Follows the demo's continuous query; kills the command after so many changes.
    #[cfg(feature = "continuous")]
    fn changes(&self, lines: usize) -> Result<Vec<Value>> {
        let input = self.db.with_file_name("kill.lp").display().to_string();
        let cursor = self.db.with_file_name("cursor").display().to_string();
        let query = "CREATE CONTINUOUS QUERY speed_1m AS SELECT device, time_bucket('1m', time), \
                     count(*), max(value) FROM speed GROUP BY 1, 2 \
                     WITH (lateness = '10s', keep_changes = 100000)";
        let arguments = ["--format", "json", "--cursor-file", &cursor, "--ingest", &input, query];
        let mut watch = self.chronolith("watch", &arguments).stdout(Stdio::piped()).spawn()?;
        let output = watch.stdout.take().context("the follower has no output")?;
        let mut changes = Vec::new();
        for line in BufReader::new(output).lines() {
            // What was handed over before the kill counts; the last line may be half of one.
            let Ok(change) = serde_json::from_str(&line?) else { break };
            changes.push(change);
            if changes.len() == lines {
                watch.kill()?;
            }
        }
        let status = watch.wait()?;
        ensure!(changes.len() >= lines || status.success(), "the follower ended with {status}");
        Ok(changes)
    }

    fn seal(&mut self) -> Result<()> {
        self.say("The windows are sealed into immutable chunks under one signed root each month.");
        let sealed = self.json("seal", &["--all", "--json"])?;
        self.json("compact", &["--json"])?;
        let statistics = self.json("stats", &["--json"])?;
        let (chunks, records) = (&sealed["chunks"], &sealed["records"]);
        ensure!(chunks.as_u64() > Some(0), "nothing was sealed: {sealed}");
        ensure!(
            statistics["sealed_chunks"] == *chunks && statistics["records"] == *records,
            "sealed {sealed}, found {statistics}"
        );
        let bytes = statistics["bytes_per_record"].as_f64().unwrap_or(f64::NAN);
        self.say(&format!("  {records} records in {chunks} chunks, {bytes:.3} bytes per record"));
        for (codec, figures) in statistics["by_codec"].as_object().into_iter().flatten() {
            let each = figures["bytes_per_record"].as_f64().unwrap_or(f64::NAN);
            self.say(&format!(
                "  {codec:<22}{:>9} records{each:>8.3} bytes each",
                figures["records"].as_u64().unwrap_or(0)
            ));
        }
        let figures = json!({"chunks": chunks, "records": records, "bytes_per_record": bytes});
        self.held("seal", figures);
        Ok(())
    }

    fn verify(&mut self) -> Result<()> {
        self.say("Every byte is checked: checksums, contents, content ids, signatures.");
        let report = self.json("verify", &["--json"])?;
        ensure!(report["faults"] == json!([]), "there are faults: {report}");
        self.say(&format!(
            "  {} chunks in {} signed batches, no fault",
            report["chunks"], report["batches"]
        ));
        self.held("verify", json!({"chunks": report["chunks"], "batches": report["batches"]}));
        Ok(())
    }

    fn answers(&mut self) -> Result<()> {
        self.say("Average and greatest speed per five minutes of one drive (mile/h):");
        let arguments =
            ["--metric", "speed_mph", "--device", "4111928", "--every", "5m", "--fn", "avg,max"];
        let rows = self.json("aggregate", &[&arguments[..], &["--format", "json"]].concat())?;
        let rows = rows.as_array().cloned().unwrap_or_default();
        ensure!(!rows.is_empty(), "the drive has no speeds");
        for row in &rows {
            let number = |name: &str| row[name].as_f64().unwrap_or(f64::NAN);
            let time = row["time"].as_str().unwrap_or_default();
            self.say(&format!("  {time} {:>8.2} {:>8.2}", number("avg"), number("max")));
        }
        self.held("aggregate", json!({"buckets": rows.len()}));
        self.say("Latest speed of each vehicle:");
        let latest = self.json("latest", &["--metric", "speed_mph", "--json"])?;
        let latest = latest.as_array().cloned().unwrap_or_default();
        ensure!(latest.len() == CITY_DRIVES.len(), "some vehicle has no latest speed");
        for row in &latest {
            let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            self.say(&format!("  {:<10}{} {:>8}", text("device"), text("time"), row["value"]));
        }
        self.held("latest", json!({"metrics": latest.len()}));
        Ok(())
    }

    /// Finds chunks by text and time, and compares them with the list of all.
    #[cfg(feature = "search")]
    fn search(&mut self) -> Result<()> {
        self.say("Chunks of speeds in May 2007, found by text and time:");
        let range = ["--from", "2007-05-01", "--to", "2007-06-01", "--json"];
        let found = self.json("search", &[&["speed", "--kind", "chunk"], &range[..]].concat())?;
        let listed = self.json("chunks", &[&["--metric", "speed_mph"], &range[..]].concat())?;
        let cids = |chunks: &Value| {
            let chunks = chunks.as_array().into_iter().flatten();
            chunks.map(|chunk| chunk["cid"].to_string()).collect::<BTreeSet<_>>()
        };
        let (hits, expected) = (cids(&found["hits"]), cids(&listed));
        ensure!(!hits.is_empty() && hits == expected, "found {found}, listed {listed}");
        for hit in found["hits"].as_array().into_iter().flatten() {
            let text = |name: &str| hit[name].as_str().unwrap_or_default().to_owned();
            self.say(&format!("  {:<10}{} to {}", text("device"), text("first"), text("last")));
        }
        self.held("search", json!({"chunks": hits.len()}));
        Ok(())
    }

    /// Fills the time that a vehicle was parked, in SQL.
    #[cfg(feature = "sql")]
    fn gaps(&mut self) -> Result<()> {
        self.say("Average speed per ten minutes in SQL, the last one where the car was parked:");
        let sql = "SELECT time_bucket_gapfill('10m', time) AS bucket, count(value) AS records, \
                   locf(avg(value)) AS mph FROM speed_mph WHERE device = '4033363' \
                   GROUP BY bucket ORDER BY bucket";
        let rows = self.json("query", &["--json", sql])?;
        let rows = rows.as_array().cloned().unwrap_or_default();
        let empty = rows.iter().filter(|row| row["records"] == 0).count();
        ensure!(empty > 0 && empty < rows.len(), "there is no gap to fill: {rows:?}");
        ensure!(rows.iter().all(|row| row["mph"].is_number()), "a bucket is not filled: {rows:?}");
        for row in &rows {
            let (time, mph) = (row["bucket"].as_str(), row["mph"].as_f64());
            let (time, mph) = (time.unwrap_or_default(), mph.unwrap_or(f64::NAN));
            self.say(&format!("  {time} {mph:>8.2} {:>5} records", row["records"]));
        }
        self.held("gaps", json!({"buckets": rows.len(), "filled": empty}));
        Ok(())
    }

    /// A file or directory beside the database, as an argument.
    fn beside(&self, name: &str) -> String {
        self.db.with_file_name(name).display().to_string()
    }

    /// Runs a command about a chain; the last line that it printed, as JSON.
    fn chain(&self, name: &str, arguments: &[&str]) -> Result<Value> {
        let mut command = Command::new(&self.program);
        let output = command.args(["chain", name, "--json"]).args(arguments).output();
        let output = output.with_context(|| format!("cannot run chronolith chain {name}"))?;
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr);
            bail!("chronolith chain {name} ended with {}: {}", output.status, reason.trim());
        }
        let output = String::from_utf8(output.stdout)?;
        let last = output.lines().last().context("the command printed nothing")?;
        Ok(serde_json::from_str(last)?)
    }

    /// Anchors the sealed batches on a chain of four validators, and shows its blocks.
    fn anchor(&mut self) -> Result<String> {
        self.say("A chain of four validators begins, and the sealed batches are anchored on it:");
        let (dir, wallet) = (self.beside("chain"), self.beside("wallet"));
        let place = ["--dir", &dir];
        let with_wallet = [&place[..], &["--wallet", &wallet]].concat();
        let made = self.chain("init", &[&with_wallet[..], &["--validators", "4"]].concat())?;
        let chain = made["chain"].as_str().context("the chain has no id")?.to_owned();
        let db = self.db.display().to_string();
        let anchor = [&with_wallet[..], &["--db", &db]].concat();
        let report = self.chain("anchor", &anchor)?;
        let batches = report["anchored"].as_array().cloned().unwrap_or_default();
        let counts = batches.iter().filter_map(|batch| batch["chunks"].as_u64());
        let (chunks, sealed) = (counts.sum::<u64>(), self.json("stats", &["--json"])?);
        ensure!(
            chunks > 0 && sealed["sealed_chunks"] == chunks,
            "{chunks} chunks were anchored of {}",
            sealed["sealed_chunks"]
        );
        let again = self.chain("anchor", &anchor)?;
        ensure!(again["anchored"] == json!([]), "batches were anchored twice: {again}");
        let height = report["height"].as_u64().unwrap_or_default();
        for height in 1..=height {
            let block = self.chain("block", &[&place[..], &[&height.to_string()]].concat())?;
            let mut actions: std::collections::BTreeMap<String, u64> = Default::default();
            for transaction in block["transactions"].as_array().into_iter().flatten() {
                let action = transaction["action"].as_str().unwrap_or_default();
                *actions.entry(action.to_owned()).or_default() += 1;
            }
            let actions = actions.iter().map(|(action, count)| format!("{count} {action}"));
            let id = block["block"].as_str().unwrap_or_default();
            self.say(&format!(
                "  block {height} {} {} signatures: {}",
                id.get(..16).unwrap_or(id),
                block["signatures"],
                actions.collect::<Vec<_>>().join(", ")
            ));
        }
        for batch in &batches {
            self.say(&format!(
                "  batch {} root {} with {} chunks of {} devices, for {} coin",
                batch["batch"],
                batch["root"].as_str().and_then(|root| root.get(..16)).unwrap_or_default(),
                batch["chunks"],
                batch["devices"],
                batch["fee"].as_str().unwrap_or_default()
            ));
        }
        let audit = self.chain("audit", &place)?;
        ensure!(audit["holds"] == true && audit["refused"] == 0, "the audit says {audit}");
        self.say(&format!(
            "  {} transactions executed once more: the same state, and every mote is there",
            audit["transactions"]
        ));
        let figures = json!({"blocks": height, "batches": batches.len(), "chunks": chunks});
        self.held("anchor", figures);
        Ok(chain)
    }

    /// Verifies a chunk with nothing but the hash of the genesis, and a changed proof.
    fn light_client(&mut self, chain: &str) -> Result<()> {
        self.say("A light client that knows the hash of the genesis alone checks one chunk:");
        let chunks = self.json("chunks", &["--metric", "speed_mph", "--json"])?;
        let cid = chunks[0]["cid"].as_str().context("there is no chunk")?;
        let (dir, wallet) = (self.beside("chain"), self.beside("wallet"));
        let (db, proof) = (self.db.display().to_string(), self.beside("chunk.proof"));
        let place = ["--dir", &dir, "--wallet", &wallet, "--db", &db];
        self.chain("anchor", &[&place[..], &["--chunk", cid, "--prove", &proof]].concat())?;
        let verify = [&proof, "--trust", chain, "--chunk", cid];
        let verified = self.chain("verify", &verify)?;
        ensure!(verified["holds"] == true && verified["chunk"] == cid, "it says {verified}");
        let mut bytes = fs::read(&proof)?;
        let length = bytes.len();
        if let Some(byte) = bytes.get_mut(length / 2) {
            *byte ^= 1;
        }
        fs::write(&proof, &bytes)?;
        ensure!(self.chain("verify", &verify).is_err(), "a changed proof is believed");
        self.say(&format!("  {cid}"));
        self.say(&format!(
            "  anchored at {} in block {}; a proof of {length} bytes, refused with one bit changed",
            verified["anchored_time"].as_str().unwrap_or_default(),
            verified["anchored_height"]
        ));
        self.held("light client", json!({"proof_bytes": length}));
        Ok(())
    }

    /// Proves the answer of a query to somebody who has the hash of the genesis alone; to another question, or
    /// with one bit changed, it is refused.
    #[cfg(feature = "sql")]
    fn prove(&mut self, chain: &str) -> Result<()> {
        self.say("An answer is proved to a stranger: nothing left out, nothing changed, of this question:");
        let (dir, file) = (self.beside("chain"), self.beside("proved.answer"));
        let question = "SELECT max(value) AS most FROM \"cycMps\" WHERE device = 'udds'";
        let rows = self.json("query", &["--json", "--chain", &dir, "--prove", &file, question])?;
        let verify = |question: &str| {
            let mut command = Command::new(&self.program);
            command.args(["verify", "answer", &file, "--trust", chain, "--question", question]);
            command.arg("--json").output().context("cannot run chronolith verify answer")
        };
        let verified = verify(question)?;
        ensure!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
        let shown: Value = serde_json::from_slice(&verified.stdout)?;
        let other = verify("SELECT min(value) AS most FROM \"cycMps\" WHERE device = 'udds'")?;
        ensure!(!other.status.success(), "another question's answer is believed");
        let mut bytes = fs::read(&file)?;
        let length = bytes.len();
        if let Some(byte) = bytes.get_mut(length / 2) {
            *byte ^= 1;
        }
        fs::write(&file, &bytes)?;
        ensure!(!verify(question)?.status.success(), "a changed answer is believed");
        self.say(&format!(
            "  {} m/s in {length} bytes; refused for another question, and with one bit changed",
            rows[0]["most"]
        ));
        self.held("prove", json!({"answer_bytes": length, "verified": shown["holds"]}));
        Ok(())
    }

    fn tell_what_to_try(&self) {
        let db = self.db.display();
        println!("the database is {db}; look at it with:");
        println!("  chronolith metrics --db {db}");
        println!("  chronolith aggregate --db {db} --metric speed_mph --every 10m --fn avg,max");
        println!("  chronolith chunks --db {db} --device 4111928");
        println!("  chronolith search --db {db} speed --counts device");
        println!("  chronolith plot --db {db} --metric speed_mph --device 4111928");
        println!("  chronolith export --db {db} --device udds");
        println!("  chronolith chain block --dir {}", self.beside("chain"));
    }
}
