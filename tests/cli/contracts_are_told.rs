//! A node tells the webhooks of a data contract what happens to sales under it: signed, over TLS, to a receiver
//! that fails; over kills, and also what happened while it was away.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver as Channel, channel};
use std::time::{Duration, SystemTime};

use chronolith_contract::webhook::{Headers, Receiver, Secret, WebhookError};
use serde_json::Value;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::http::Door;
use crate::node::{Node, ports};
use crate::nodes_sell_by_policy::until;
use crate::run::{chronolith, expect, json, program};

/// So long a message is waited for before the test fails.
const PATIENCE: Duration = Duration::from_secs(120);
/// What a webhook of the contract is called for in a sale that nobody objects to.
const SALE: [&str; 5] = ["paid", "requested", "granted", "checking", "settled"];
/// What one is called for in a deal with an arbiter that is disputed.
const DISPUTE: [&str; 10] = [
    "paid",
    "requested",
    "granted",
    "delivering",
    "delivered",
    "checking",
    "objected",
    "disputed",
    "evidence",
    "ruled",
];

/// What is shared with the receiver, as the node's file has it.
fn secret() -> Secret {
    Secret::from([7; 32])
}

/// A message as the receiver got it.
#[derive(Debug, Clone)]
struct Message {
    id: String,
    timestamp: String,
    signature: String,
    body: Vec<u8>,
}

impl Message {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Which sale, and what is told of it.
    fn about(&self) -> (String, String) {
        let data = &self.json()["data"];
        let on = ["event", "step", "end"].into_iter().find_map(|key| data[key].as_str());
        let of = ["request", "deal"].into_iter().find_map(|key| data[key].as_str());
        (of.unwrap().to_owned(), on.unwrap().to_owned())
    }
}

/// A receiver over TLS that answers the statuses in their order, and 204 for ever; 0 is no answer at all. Its
/// certificate lies in `ca.pem`.
fn receiver(directory: &Path, statuses: &'static [u16]) -> (String, Channel<Message>) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(directory.join("ca.pem"), made.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/hook", listener.local_addr().unwrap());
    let (sender, got) = channel();
    std::thread::spawn(move || {
        let mut statuses = statuses.iter().copied();
        for stream in listener.incoming().map_while(Result::ok) {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = BufReader::new(StreamOwned::new(connection, stream));
            // A node that was killed leaves connections without a message.
            let Some(message) = read(&mut stream) else { continue };
            // Who hears of it may kill the node before the answer is there.
            let status = statuses.next().unwrap_or(204);
            if status != 0 {
                answer(stream.get_mut(), status);
            }
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    (url, got)
}

fn read(reader: &mut impl std::io::BufRead) -> Option<Message> {
    let (mut headers, mut line) = (BTreeMap::new(), String::new());
    while reader.read_line(&mut line).ok()? > 2 {
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        line.clear();
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let mut header = |name: &str| headers.remove(name).unwrap();
    Some(Message {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
        body,
    })
}

/// Answers; the node may be gone.
fn answer(stream: &mut StreamOwned<ServerConnection, std::net::TcpStream>, status: u16) {
    let answer = format!("HTTP/1.1 {status} -\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(answer.as_bytes());
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

/// The contract, whose webhook has an address and is called for all that can happen.
fn contract(url: &str) -> String {
    let on = ["declined", "cancelled", "revoked", "objected", "refunded"];
    let on: Vec<String> = SALE.iter().chain(&on).map(|name| format!("{name:?}")).collect();
    format!(
        r#"
contract = 1
name = "watched"
lists = ["known"]

[[metric]]
name = "speed"
kind = "f64"
level = 3

[placement]
regions = ["nowhere"]
data = 4
parity = 2

[price]
fixed = "2.5"

[terms]
check_blocks = 100
revocable = true

[[grant]]
name = "known"
when = "request.buyer in lists.known"

[steps]
begins = "requested"

[[step]]
name = "requested"
due = "owner"
within = "100000 blocks"
then = "refunded"

[[step.on]]
event = "granted"
by = "owner"
to = "checking"

[[step.on]]
event = "declined"
by = "owner"
to = "refunded"

[[step]]
name = "checking"
due = "buyer"
within = "100 blocks"
then = "settled"

[[end]]
name = "settled"
rest = "owner"

[[end]]
name = "refunded"
rest = "buyer"

[[webhook]]
name = "office"
url = "{url}"
on = [{}]
"#,
        on.join(", ")
    )
}

/// Names the contract, the secret of its webhook and its list in the configuration of the node that sells.
fn configure(directory: &Path, contract: &str) {
    configure_all(directory, &[("watched.toml", contract)], &["office"]);
}

/// Names contracts, webhooks that all have the same secret, and the list.
fn configure_all(directory: &Path, contracts: &[(&str, &str)], hooks: &[&str]) {
    let folder = directory.join("net/nodes/1");
    for (name, text) in contracts {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let file = folder.join("office.secret");
    std::fs::write(&file, format!("{}\n", secret().reveal().as_str())).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, private).unwrap();
    let buyer = std::fs::read_to_string(directory.join("net/wallet/buyer.key")).unwrap();
    let buyer = serde_json::from_str::<Value>(&buyer).unwrap()["address"].clone();
    let place = folder.join("node.toml");
    let mut settings: toml::Table = std::fs::read_to_string(&place).unwrap().parse().unwrap();
    let market = settings.get_mut("market").and_then(toml::Value::as_table_mut).unwrap();
    let names: Vec<&str> = contracts.iter().map(|(name, _)| *name).collect();
    market.insert("contracts".to_owned(), toml::Value::try_from(names).unwrap());
    let webhooks: BTreeMap<_, _> = hooks.iter().map(|name| (*name, "office.secret")).collect();
    market.insert("webhooks".to_owned(), toml::Value::try_from(webhooks).unwrap());
    let lists = BTreeMap::from([("known", vec![buyer.as_str().unwrap()])]);
    market.insert("lists".to_owned(), toml::Value::try_from(lists).unwrap());
    std::fs::write(place, settings.to_string()).unwrap();
}

/// The node that sells; it trusts the receiver's certificate.
fn seller(directory: &Path) -> Node {
    let mut command = Command::new(program());
    command.env("SSL_CERT_FILE", directory.join("ca.pem"));
    Node::start_by(command, directory, 1)
}

/// A chain that runs, and the database of the node that sells; the port of that node.
fn network(directory: &Path) -> (Node, u16) {
    let (port, http) = (ports(3), ports(1));
    let init = ["testnet", "init", "net", "--validators", "1", "--producers", "1"];
    let pace = ["--interval", "100", "--heartbeat", "100", "--epoch-blocks", "20"];
    let places = ["--first-port", &port.to_string(), "--http-port", &http.to_string()];
    let audits = ["--audit-blocks", "10"];
    expect(directory, 0, &[&init[..], &pace, &places, &audits].concat());
    let line = "van,device=car speed=7 1767225600000000000\n";
    std::fs::write(directory.join("car.lp"), line).unwrap();
    expect(directory, 0, &["ingest", "--db", "net/nodes/1/fleet.db", "car.lp"]);
    let validator = Node::start(directory, 0);
    validator.reach(1);
    (validator, http)
}

/// Offers under the contract; it is taken once the device is on the ledger.
fn offer(directory: &Path) -> String {
    let offer = ["market", "offer", "--db", "net/nodes/1/fleet.db", "--device", "car"];
    let of = ["--metric", "speed", "--account", "producer-0"];
    let under = ["--contract", "net/nodes/1/watched.toml"];
    // Offers that are refused before take the account's numbers from the producer, which is to anchor.
    let settings = std::fs::read_to_string(directory.join("net/nodes/1/node.toml")).unwrap();
    let settings: toml::Table = settings.parse().unwrap();
    let address = settings["http"]["listen"].as_str().unwrap().to_owned();
    let door = Door { address };
    until("the device is on the ledger", || {
        // It may not listen yet, or have no producer yet.
        std::net::TcpStream::connect(&door.address).ok()?;
        let shown = door.get("/api/v1/producer").json();
        (shown["anchored"].as_u64()? > 0).then_some(())
    });
    until("the offer is taken", || {
        let output = chronolith(directory, &[&offer[..], &of, &under, &PARTY].concat());
        let line = String::from_utf8(output.stdout).unwrap();
        let shown: Value = serde_json::from_str(line.lines().last()?).ok()?;
        Some(shown["offer"].as_str()?.to_owned())
    })
}

/// Waits until the ledger shows a status of what was bought.
fn until_it_is(directory: &Path, request: &str, status: &str) {
    let list = ["rights", "list", "--side", "bought", "--account", "buyer"];
    until(&format!("the request is {status}"), || {
        let shown = json(directory, 0, &[&list[..], &PARTY].concat());
        let is_it = |row: &Value| row["request"] == request && row["status"] == status;
        shown.as_array().unwrap().iter().any(is_it).then_some(())
    });
}

const PARTY: [&str; 5] = ["--config", "net/nodes/0/node.toml", "--wallet", "net/wallet", "--json"];

fn buy(directory: &Path, offer: &str) -> String {
    let buy = ["market", "buy", offer, "--account", "buyer", "--deadline", "100000"];
    let range = ["--from", "2026-01-01T00:00:00Z", "--until", "2026-01-01T01:00:00Z"];
    let bought = json(directory, 0, &[&buy[..], &range, &PARTY].concat());
    bought["request"].as_str().unwrap().to_owned()
}

/// Waits for messages until all of some sales are there. Each holds, and one that comes again is the same.
struct Office {
    got: Channel<Message>,
    verified: Receiver,
    /// By their ids.
    messages: BTreeMap<String, Message>,
    /// In their order, each once.
    order: Vec<(String, String)>,
}

impl Office {
    fn new(got: Channel<Message>) -> Self {
        let verified = Receiver::new(vec![secret()], 1_000);
        Self { got, verified, messages: BTreeMap::new(), order: Vec::new() }
    }

    fn next(&mut self) -> Message {
        let message = self.got.recv_timeout(PATIENCE).expect("a message");
        let headers = Headers {
            id: &message.id,
            timestamp: &message.timestamp,
            signature: &message.signature,
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        match self.verified.take(headers, &message.body, now) {
            Ok(()) => self.order.push(message.about()),
            // The signature is of another time; what is said is the same.
            Err(WebhookError::Again) => {
                let before = &self.messages[&message.id];
                assert_eq!(before.body, message.body, "{}", message.id);
            }
            Err(error) => panic!("{error}: {message:?}"),
        }
        self.messages.insert(message.id.clone(), message.clone());
        message
    }

    fn until(&mut self, request: &str, on: &str) {
        let wanted = (request.to_owned(), on.to_owned());
        while !self.order.contains(&wanted) {
            self.next();
        }
    }

    fn of(&self, request: &str) -> Vec<&str> {
        let of = self.order.iter().filter(|(one, _)| one == request);
        of.map(|(_, on)| on.as_str()).collect()
    }
}

#[test]
fn a_contracts_webhook_hears_all_of_each_sale_over_kills_and_never_under_two_ids() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    // The second try is answered; the fourth message gets no answer, and meanwhile the node is killed.
    let (url, got) = receiver(directory, &[500, 204, 204, 0]);
    let (_validator, http) = network(directory);
    configure(directory, &contract(&url));
    let node = seller(directory);
    let offer = offer(directory);
    // A pack of the contract's metric waits, and why is shown; no round has failed for it.
    let door = Door { address: format!("127.0.0.1:{http}") };
    until("the producer says why the pack waits", || {
        let shown = door.get("/api/v1/producer").expect(200).json();
        let is_told = shown["refused"][0].as_str()?.contains("0 peers of the region nowhere");
        let is_whole = shown["failure"].is_null() && shown["seconds_since_whole"].is_u64();
        (is_told && is_whole).then_some(())
    });

    // The same over HTTP, where the contract is named by its content id: price and terms are what it says.
    let named = door.get("/api/v1/market").expect(200).json()["contracts"][0].clone();
    let asked = serde_json::json!({"device": "car", "metrics": ["speed"], "contract": named});
    // Another transaction of the account may be on its way.
    let made = until("the offer is taken over HTTP", || {
        let made = door.post("/api/v1/market/offers", asked.to_string().as_bytes());
        (made.status == 201).then(|| made.json())
    });
    let offers = door.get("/api/v1/market/offers").expect(200).json();
    let found = |id: &Value| offers.as_array().unwrap().iter().find(|one| one["offer"] == *id);
    let (over_http, by_command) =
        (found(&made["offer"]).unwrap(), found(&offer.as_str().into()).unwrap());
    for of in ["fixed", "check_blocks", "auto_grant", "revocable", "metrics"] {
        assert_eq!(over_http[of], by_command[of], "{of}: {offers}");
    }
    assert_eq!((&over_http["fixed"], over_http["auto_grant"].is_null()), (&"2.5".into(), false));

    let mut office = Office::new(got);
    let first = buy(directory, &offer);
    let refused = office.next();
    let again = office.next();
    assert_eq!(refused.id, again.id);
    let said = again.json();
    assert_eq!((&said["type"], &said["data"]["event"]), (&"contract.paid".into(), &"paid".into()));
    let data = &said["data"];
    assert_eq!((&data["contract"], &data["offer"]), (&"watched".into(), &offer.as_str().into()));
    assert_eq!((&data["price"], &data["by"]), (&"2.5".into(), &"buyer".into()));
    assert!(data["height"].as_u64().unwrap() > 0 && !data["contract_cid"].is_null(), "{said}");
    office.next();
    let unanswered = office.next();
    node.kill();
    // While it is away, somebody else asks, and somebody asks and changes his mind.
    let second = buy(directory, &offer);
    let third = buy(directory, &offer);
    let cancel = ["market", "cancel", &third, "--account", "buyer"];
    json(directory, 0, &[&cancel[..], &PARTY].concat());
    // The ledger shows no more of it than that the payment went back: only the blocks say why.
    until_it_is(directory, &third, "refunded");

    let node = seller(directory);
    let next = office.next();
    assert_eq!((&next.id, &next.body), (&unanswered.id, &unanswered.body));
    office.until(&second, "checking");
    node.kill();
    // While it is away again, its owner is paid for a right and takes it back: the second covers the first.
    until_it_is(directory, &second, "settled");
    let revoke = ["rights", "revoke", &second, "--account", "producer-0"];
    json(directory, 0, &[&revoke[..], &PARTY].concat());
    let _node = seller(directory);
    office.until(&first, "settled");
    office.until(&second, "revoked");
    office.until(&third, "cancelled");
    assert_eq!(office.of(&first), SALE);
    assert_eq!(office.of(&second), [&SALE[..], &["revoked"]].concat());
    assert_eq!(office.of(&third), ["paid", "requested", "cancelled"]);
    // No two ids tell the same.
    let told: BTreeSet<_> = office.messages.values().map(Message::about).collect();
    assert_eq!(told.len(), office.messages.len());
    let status = until("the node says that nothing waits", || {
        let shown = door.get("/api/v1/market").expect(200).json();
        let webhook = shown["webhooks"][0].clone();
        (webhook["waiting"] == 0 && webhook["told"].as_u64()? > 0).then_some(webhook)
    });
    assert_eq!((&status["webhook"], &status["failure"]), (&"watched/office".into(), &Value::Null));
    // The secret is in no record, and in nothing that is shown.
    let events = directory.join("net/wallet/market/events");
    let secret = secret().reveal();
    for entry in std::fs::read_dir(events).unwrap() {
        let record = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!record.contains(secret.as_str()), "{record}");
    }
}

/// A deal of several steps that goes by a contract: what is said of it, the steps and the end, also while the node was
/// away.
#[test]
fn a_contracts_webhook_hears_of_deals_what_was_said_and_how_they_ended() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let (url, got) = receiver(directory, &[500]);
    let (_validator, _http) = network(directory);
    let place = directory.join("net/nodes/1/delivery.toml");
    let new = ["contract", "new", "arbitrated-deal", "--set", "metric=speed", "-o", "deal.toml"];
    expect(directory, 0, &new);
    let on = DISPUTE.map(|name| format!("{name:?}")).join(", ");
    let hook = format!("\n[[webhook]]\nname = \"office\"\nurl = \"{url}\"\non = [{on}]\n");
    let text = std::fs::read_to_string(directory.join("deal.toml")).unwrap() + &hook;
    configure_all(directory, &[("delivery.toml", &text)], &["office"]);
    let node = seller(directory);
    let said = |account: &str, arguments: &[&str]| {
        let party = [arguments, &["--account", account], &PARTY].concat();
        json(directory, 0, &[&["market", "deal"][..], &party].concat())
    };
    let plan = ["contract", "plan", place.to_str().unwrap(), "-o", "plan.json"];
    let parties = ["--party", "owner=producer-0", "--party", "buyer=buyer"];
    let judged = ["--party", "arbiter=main", "--arbiter", "arbiter", "--block-time", "1m"];
    let more = ["--join-until", "5000", "--wallet", "net/wallet"];
    expect(directory, 0, &[&plan[..], &parties, &judged, &more].concat());
    let opened = said("buyer", &["open", "plan.json"]);
    let deal = opened["deal"].as_str().unwrap();
    said("producer-0", &["join", deal]);
    said("main", &["join", deal]);
    said("producer-0", &["done", deal, "--step", "0"]);
    let mut office = Office::new(got);
    office.until(deal, "delivering");
    // The node is away while the deal goes on.
    node.kill();
    said("producer-0", &["done", deal, "--step", "1"]);
    said("buyer", &["object", deal, "--step", "2"]);
    said("producer-0", &["done", deal, "--step", "3"]);
    let shares = r#"[{"of": 1, "to": 0, "share": 10000}]"#;
    std::fs::write(directory.join("shares.json"), shares).unwrap();
    said("main", &["arbitrate", deal, "--shares", "shares.json"]);
    let _node = seller(directory);
    office.until(deal, "ruled");
    assert_eq!(office.of(deal), DISPUTE);
    let told = |on: &str| {
        let mut all = office.messages.values().map(Message::json);
        all.find(|one| one["type"] == format!("contract.{on}")).unwrap()["data"].clone()
    };
    let objected = told("objected");
    assert_eq!((&objected["by"], &objected["price"]), (&"buyer".into(), &"5".into()), "{objected}");
    assert_eq!(
        (&told("ruled")["by"], &told("checking")["step"]),
        (&"arbiter".into(), &"checking".into())
    );
}

/// That a receiver wants no more was not told where it had failed before; and of two contracts of one name, the
/// webhooks of one alone were shown.
#[test]
fn a_receiver_that_is_gone_is_called_no_more_and_one_without_a_secret_hears_all_later() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let (url, got) = receiver(directory, &[500, 410]);
    let (_validator, http) = network(directory);
    let archive = format!(
        "{}\n[[webhook]]\nname = \"archive\"\nurl = \"{url}\"\non = [\"paid\", \"granted\"]\n",
        contract(&url)
    );
    let older = archive.replace("check_blocks = 100", "check_blocks = 90");
    assert_ne!(archive, older);
    let contracts = [("watched.toml", archive.as_str()), ("older.toml", &older)];
    configure_all(directory, &contracts, &["office"]);
    let node = seller(directory);
    let offer = offer(directory);
    let mut office = Office::new(got);
    let request = buy(directory, &offer);
    let (first, again) = (office.next(), office.next());
    assert_eq!((&first.id, &first.body), (&again.id, &again.body));
    let said = first.json()["data"].clone();
    assert_eq!(said["webhook"], "office");
    let untold = |code: &str| {
        node.until(|told| {
            let told = &told["untold"];
            let is_it = told["reason"].as_str()?.contains(code);
            is_it.then(|| told["webhook"].as_str().map(ToOwned::to_owned)).flatten()
        })
    };
    assert_eq!(untold("500"), "watched/office");
    assert_eq!(untold("410"), "watched/office");
    let door = Door { address: format!("127.0.0.1:{http}") };
    let office_of = |version: &Value| {
        let shown = door.get("/api/v1/market").expect(200).json();
        let all = shown["webhooks"].as_array().unwrap();
        assert_eq!(all.len(), 4, "two of each version: {shown}");
        let is_it = |one: &&Value| one["webhook"] == "watched/office";
        let mut offices = all.iter().filter(is_it);
        let of = |one: &&Value| &one["contract_cid"] == version;
        let found = offices.clone().find(of).unwrap().clone();
        let other = offices.find(|one| !of(one)).unwrap().clone();
        (found, other)
    };
    let (gone, other) = office_of(&said["contract_cid"]);
    assert_eq!((&gone["ended"], &other["ended"]), (&true.into(), &false.into()));
    node.kill();

    // The other one has a secret now, and hears all that it missed.
    configure_all(directory, &contracts, &["office", "archive"]);
    let _node = seller(directory);
    for on in ["paid", "granted"] {
        let data = office.next().json()["data"].clone();
        assert_eq!((&data["webhook"], &data["event"]), (&"archive".into(), &on.into()));
        assert_eq!(data["request"], request.as_str());
    }
    let (gone, _) = office_of(&said["contract_cid"]);
    assert!(gone["failure"].as_str().unwrap().contains("410") && gone["ended"] == true, "{gone}");
}

/// Whom the owner names in vain is told before the node runs.
#[test]
fn secrets_that_cannot_be_used_keep_the_node_from_starting_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let (port, http) = (ports(3).to_string(), ports(1).to_string());
    let init = ["testnet", "init", "net", "--validators", "1", "--producers", "1"];
    let places = ["--first-port", &port, "--http-port", &http, "--interval", "100"];
    expect(directory, 0, &[&init[..], &places].concat());
    let place = directory.join("net/nodes/1/node.toml");
    let secret = directory.join("net/nodes/1/office.secret");
    let private =
        |mode: u32| -> std::fs::Permissions { std::os::unix::fs::PermissionsExt::from_mode(mode) };
    let said = || {
        let output = chronolith(directory, &["serve", "--config", "net/nodes/1/node.toml"]);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    configure(directory, &contract("https://office.example/hook"));
    std::fs::set_permissions(&secret, private(0o644)).unwrap();
    let problem = said();
    assert!(problem.contains("office.secret") && !problem.contains("whsec_"), "{problem}");
    std::fs::write(&secret, "whsec_short\n").unwrap();
    std::fs::set_permissions(&secret, private(0o600)).unwrap();
    let problem = said();
    assert!(problem.contains("office.secret") && !problem.contains("whsec_short"), "{problem}");
    configure(directory, &contract("https://169.254.169.254/latest"));
    let problem = said();
    assert!(problem.contains("watched/office") && problem.contains("of the link"), "{problem}");
    configure(directory, &contract("https://office.example/hook"));
    let text = std::fs::read_to_string(&place).unwrap().replace("office =", "ofice =");
    std::fs::write(&place, text).unwrap();
    let problem = said();
    assert!(problem.contains("no contract has a webhook \"ofice\""), "{problem}");
}
