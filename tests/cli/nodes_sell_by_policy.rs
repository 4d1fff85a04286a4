//! A network in which nodes deal by themselves: the producer's seals under keys, anchors, places, grants by
//! its policy and gives the note to whoever asks; peers have the rest, and the buyer's node receives.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json as value};

use crate::node::ports;
use crate::run::{chronolith, expect, json, program, python, source};

const NODES: usize = 11;

/// Ends what a test that failed leaves behind.
struct Ended<'a>(&'a Path);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        let nodes = (0..NODES).map(|node| node.to_string());
        let kill = ["testnet", "kill", "net"];
        let mut command = Command::new(program());
        drop(command.args(kill).args(nodes).current_dir(self.0).output());
    }
}

/// Looks again and again until something is so.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(180);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what} never happens");
        std::thread::yield_now();
    }
}

/// A question that the seller's node answers by itself.
const QUESTION: &str = "format = 'chronolith question 1'\n\
    sql = '''SELECT count(*) AS records, round(avg(value)) AS mean FROM speed\n\
    WHERE time >= $from AND time < $until'''\n\
    least = { column = 'records', count = 2 }\n";

/// Hides a metric of the seller's node, and gives it a question; first one that is none, with which it does not start.
fn configure(directory: &Path) {
    let seller = directory.join("net/nodes/9");
    let hide = ["privacy", "set", "--db", "net/nodes/9/fleet.db", "--metric", "grade"];
    expect(directory, 0, &[&hide[..], &["--level", "1"]].concat());
    let settings = fs::read_to_string(seller.join("node.toml")).unwrap();
    let asked = settings.replace("questions = []", "questions = ['question.toml']");
    assert_ne!(settings, asked, "{settings}");
    fs::write(seller.join("node.toml"), &asked).unwrap();
    fs::write(seller.join("question.toml"), QUESTION.replace("$until", "now()")).unwrap();
    let output = chronolith(directory, &["serve", "--config", "net/nodes/9/node.toml"]);
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{problem}");
    let all = ["market.questions", "question.toml", "the SQL has no $until"];
    assert!(all.iter().all(|one| problem.contains(one)), "{problem}");
    fs::write(seller.join("question.toml"), QUESTION).unwrap();
    let new = ["contract", "new", "arbitrated-deal", "-o", "net/nodes/9/deal.toml"];
    let told = ["--set", "metric=speed", "--set", "least=6", "--set", "price=1"];
    expect(directory, 0, &[&new[..], &told].concat());
    let secret = seller.join("workshop.secret");
    fs::write(&secret, format!("whsec_{}\n", STANDARD.encode([7; 32]))).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&secret, private).unwrap();
    let mut settings: toml::Table = asked.parse().unwrap();
    let market = settings["market"].as_table_mut().unwrap();
    market.insert("contracts".to_owned(), vec!["deal.toml"].into());
    market.insert("incoming".to_owned(), toml::toml! { workshop = "workshop.secret" }.into());
    fs::write(seller.join("node.toml"), settings.to_string()).unwrap();
}

/// Tells a story by the Python client; what it printed.
fn told(python: &str, directory: &Path, story: &str, arguments: &[&str]) -> Value {
    let told = Command::new(python)
        .arg(source(&format!("tests/cli/{story}")))
        .args(arguments)
        .env("PYTHONPATH", source("clients/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(directory)
        .output()
        .unwrap();
    let problem = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.status.success(), "{story}: {problem}");
    serde_json::from_slice(&told.stdout).unwrap()
}

/// The whole story by two nodes, told by the Python client, with two peers away in the middle; then what else they
/// agree to.
#[test]
fn a_node_sells_to_another_that_receives_with_peers_away() {
    let Some(python) = python("import json") else { return };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let first = ports(13);
    let (port, http) = (first.to_string(), (first + 11).to_string());
    let init =
        ["testnet", "init", "net", "--validators", "1", "--storage", "8", "--producers", "2"];
    let pace = ["--interval", "200", "--heartbeat", "500", "--epoch-blocks", "25"];
    let places = ["--first-port", &port, "--http-port", &http, "--audit-blocks", "10"];
    expect(directory, 0, &[&init[..], &pace, &places].concat());
    let _ended = Ended(directory);
    configure(directory);
    expect(directory, 0, &["testnet", "start", "net"]);
    let buyer_http = (first + 12).to_string();
    let told_of = |story, more: &[&str]| {
        told(&python, directory, story, &[&[http.as_str(), &buyer_http], more].concat())
    };
    let told = told_of("market_story.py", &[program()]);
    assert_eq!(told["bought"], value!([10.0, 11.0, 12.0, 13.0, 14.0, 15.0]), "{told}");
    assert_eq!(told["price"], "3");
    let offer = told["offer"].as_str().unwrap();
    let files =
        ["question.toml", "deal.toml", "workshop.secret"].map(|file| format!("net/nodes/9/{file}"));
    let [question, deal, secret] = files.each_ref().map(String::as_str);
    let agreed = told_of("agreements_story.py", &[program(), offer, question, deal, secret]);
    let row = &agreed["answered"][0];
    assert_eq!((row[0].as_u64(), row[1].as_f64()), (Some(6), Some(13.0)), "{agreed}");
    assert_eq!(agreed["deal"], "closed with outcome 0");
    let hidden = told_of("hidden_story.py", &[program()]);
    assert_eq!(hidden["bought"], value!([-10.0, -11.0, -12.0, -13.0, -14.0, -15.0]), "{hidden}");
    let issued = told_of("issued_story.py", &[program()]);
    assert_eq!(issued["left"], "750", "{issued}");
    // The buyer by the command line, as a stranger with a wallet alone: the node has the database.
    let party = ["--config", "net/nodes/0/node.toml", "--wallet", "net/wallet", "--json"];
    let buy = ["market", "buy", told["offer"].as_str().unwrap(), "--account", "buyer"];
    let range = ["--from", "2026-01-01T20:00:00Z", "--until", "2026-01-01T22:00:00Z"];
    let bought = json(directory, 0, &[&buy[..], &range, &party].concat());
    let request = bought["request"].as_str().unwrap();
    let receive = ["market", "receive", request, "--account", "buyer", "--db", "bought.db"];
    let received = until("the note is ready", || {
        let output = chronolith(directory, &[&receive[..], &party].concat());
        let problem = String::from_utf8_lossy(&output.stderr).into_owned();
        let is_early = ["has the note", "names no chunk", "only a granted one has keys"]
            .iter()
            .any(|early| problem.contains(early));
        assert!(output.status.success() || is_early, "{problem}");
        let last = String::from_utf8(output.stdout).unwrap();
        last.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok())
    });
    assert_eq!((&received["chunks"], &received["records"]), (&value!(2), &value!(2)), "{received}");
    expect(directory, 0, &["testnet", "stop", "net"]);
}
