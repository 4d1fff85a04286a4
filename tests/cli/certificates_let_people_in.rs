//! An account certifies another, a server believes it as long as the ledger does, and the owner of the service
//! lets him in for a time.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json as value};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::http::PATIENCE;
use crate::node::{Node, ports};
use crate::run::{chronolith, expect, json};

/// Blocks come soon, also where nothing is to be done.
const PACE: [&str; 4] = ["--interval", "100", "--heartbeat", "200"];
const CHAIN: [&str; 4] = ["--config", "net/nodes/0/node.toml", "--wallet", "net/wallet"];

/// Runs a command of `chronolith identity` as an account; what it printed.
fn identity(place: &Path, account: &str, arguments: &[&str]) -> Value {
    let more = ["--account", account, "--json"];
    json(place, 0, &[&["identity"][..], arguments, &CHAIN, &more].concat())
}

/// Has the account `main` certify another for a purpose: files of a name.
fn certified(place: &Path, account: &str, name: &str, more: &[&str]) -> Value {
    let file = |ending: &str| format!("{name}.{ending}");
    let (key, request, out) = (file("key"), file("request"), file("pem"));
    identity(place, account, &["request", "--key", &key, "--out", &request]);
    let certify = ["certify", &request, "--name", name, "--out", &out];
    identity(place, "main", &[&certify[..], more].concat())
}

/// A server that is asked over TLS, by a certificate or without one.
struct Tls<'a> {
    place: &'a Path,
    port: u16,
}

impl Tls<'_> {
    /// A connection on which something was asked. With TLS 1.3 a refused certificate shows when it is read.
    fn ask(
        &self,
        certificate: Option<&str>,
        head: &str,
        body: &str,
    ) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.place.join("ca.pem")).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match certificate {
            None => config.with_no_client_auth(),
            Some(name) => {
                let file = |ending: &str| self.place.join(format!("{name}.{ending}"));
                let chain = CertificateDer::from_pem_file(file("pem")).unwrap();
                let key = PrivateKeyDer::from_pem_file(file("key")).unwrap();
                config.with_client_auth_cert(vec![chain], key).unwrap()
            }
        };
        let name = "localhost".try_into().unwrap();
        let client = ClientConnection::new(Arc::new(config), name).unwrap();
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut stream = StreamOwned::new(client, stream);
        let length = body.len();
        let head = format!("{head} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}");
        // One that is refused may find the connection closed.
        let _ = stream.write_all(format!("{head}\r\nConnection: close\r\n\r\n{body}").as_bytes());
        stream
    }

    /// The status of an answer and its JSON; 0 where there is none.
    fn answer(&self, certificate: Option<&str>, head: &str, body: &str) -> (u16, Value) {
        let mut answer = Vec::new();
        let _ = self.ask(certificate, head, body).read_to_end(&mut answer);
        let text = String::from_utf8(answer).unwrap();
        let status = text.split(' ').nth(1).map_or(0, |status| status.parse().unwrap());
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    /// Asks again and again until the answer has a status and a code.
    fn until(&self, certificate: &str, head: &str, body: &str, status: u16, code: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            let (found, answer) = self.answer(Some(certificate), head, body);
            if (found, answer["error"].as_str().unwrap_or_default()) == (status, code) {
                return;
            }
            assert!(Instant::now() < end, "{head} is never {status} {code}, but {found} {answer}");
        }
    }
}

/// Whoever follows no chain can look nothing up.
#[test]
fn a_server_without_a_chain_believes_no_certificates() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let text = "[[authorities]]\ncertificate = 'ca.pem'\npurpose = 'workshop'\n";
    fs::write(place.join("http.toml"), text).unwrap();
    let serve = ["serve", "--db", "db", "--listen", "127.0.0.1:0", "--settings", "http.toml"];
    let output = chronolith(place, &serve);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && told.contains("add [chain]"), "{told}");
}

const READ: &str = "GET /api/v1/identity";
const WRITE: &str = "POST /api/v2/write";

/// Of two transactions with one nonce the second was refused, and whoever had asked for it had to ask again.
#[test]
fn what_processes_do_for_one_account_at_the_same_time_is_all_done() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let port = ports(2).to_string();
    let init = ["testnet", "init", "net", "--validators", "1", "--first-port", &port];
    expect(place, 0, &[&init[..], &PACE].concat());
    let validator = Node::start(place, 0);
    validator.reach(1);
    let register = |name: &str| {
        let what = ["service", "register", "--name", name, "--kind", "sql"];
        let at = ["--endpoint", "https://localhost"];
        identity(place, "main", &[&what[..], &at].concat())["service"].clone()
    };
    let names = ["one", "two", "three", "four"];
    let services: BTreeSet<String> = std::thread::scope(|scope| {
        let all = names.map(|name| scope.spawn(move || register(name).to_string()));
        all.map(|one| one.join().unwrap()).into_iter().collect()
    });
    assert_eq!(services.len(), names.len(), "{services:?}");
}

/// A network of a validator and a producer's node, which is given certificates, and believes `main`.
fn network(place: &Path) -> (Node, Node, u16, String) {
    let first = ports(3);
    let (port, http) = (first.to_string(), first + 2);
    let init = ["testnet", "init", "net", "--validators", "1", "--producers", "1"];
    let places = ["--first-port", &port, "--http-port", &http.to_string()];
    expect(place, 0, &[&init[..], &PACE, &places].concat());
    let validator = Node::start(place, 0);
    validator.reach(1);
    let authority = ["identity", "authority", "--wallet", "net/wallet", "--out", "ca.pem"];
    expect(place, 0, &authority);
    certified(place, "main", "server", &["--purpose", "tls", "--host", "localhost"]);
    let register = ["service", "register", "--name", "fleet", "--kind", "sql"];
    let service = identity(
        place,
        "producer-0",
        &[&register[..], &["--endpoint", "https://localhost"]].concat(),
    );
    let service = service["service"].as_str().unwrap().to_owned();
    let file = place.join("net/nodes/1/node.toml");
    let mut settings: toml::Table = fs::read_to_string(&file).unwrap().parse().unwrap();
    let more = toml::toml! {
        certificate = "../../../server.pem"
        key = "../../../server.key"
        authorities = [
            { certificate = "../../../ca.pem", purpose = "workshop", scopes = ["read"] },
            { certificate = "../../../ca.pem", purpose = "guest" },
        ]
    };
    let http_section = settings["http"].as_table_mut().unwrap();
    http_section.extend(more);
    http_section.insert("service".to_owned(), service.clone().into());
    http_section.remove("tokens");
    fs::write(&file, settings.to_string()).unwrap();
    let node = Node::start(place, 1);
    node.reach(1);
    (validator, node, http, service)
}

#[test]
fn a_certificate_is_good_as_long_as_the_ledger_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let (_validator, node, port, service) = network(place);
    let server = Tls { place, port };
    let made = certified(place, "buyer", "workshop", &["--purpose", "workshop"]);
    server.until("workshop", READ, "", 200, "");
    let (_, who) = server.answer(Some("workshop"), READ, "");
    assert_eq!(who["account"], made["account"]);
    assert_eq!((&who["by"], &who["scopes"]), (&value!("certificate"), &value!(["read"])));
    assert_eq!((&who["certificate"], &who["name"]), (&made["certificate"], &value!("workshop")));
    let (status, services) = server.answer(Some("workshop"), "GET /api/v1/services", "");
    assert_eq!((status, &services[0]["service"]), (200, &value!(service)), "{services}");
    // Who comes without one, or with one of nobody's that is known, is let in nowhere.
    let (status, problem) = server.answer(None, READ, "");
    assert_eq!((status, &problem["error"]), (401, &value!("no_certificate")), "{problem}");
    let stranger = ["--name", "x", "--purpose", "workshop", "--out", "stranger.pem"];
    identity(place, "main", &["request", "--key", "stranger.key", "--out", "stranger.request"]);
    identity(place, "buyer", &[&["certify", "stranger.request"][..], &stranger].concat());
    assert_eq!(server.answer(Some("stranger"), READ, "").0, 0, "an authority that nobody named");
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::write(place.join("own.pem"), own.cert.pem()).unwrap();
    fs::write(place.join("own.key"), own.signing_key.serialize_pem()).unwrap();
    assert_eq!(server.answer(Some("own"), READ, "").0, 0, "a certificate of nobody's");

    // What is not open to a workshop the service's owner opens to it for a time.
    server.until("workshop", WRITE, "speed,device=car value=1 1", 403, "wrong_scope");
    let access = ["--service", &service, "--to", "buyer", "--scope", "write"];
    let refused = [&["identity", "allow", "--for", "1h"][..], &access, &CHAIN].concat();
    let told = chronolith(place, &refused);
    let told = String::from_utf8(told.stderr).unwrap();
    assert!(told.contains("only its owner"), "{told}");
    identity(place, "producer-0", &[&["allow", "--for", "1h"][..], &access].concat());
    server.until("workshop", WRITE, "speed,device=car value=1 1", 204, "");
    identity(place, "producer-0", &[&["disallow"][..], &access].concat());
    server.until("workshop", WRITE, "speed,device=car value=2 2", 403, "wrong_scope");
    // It ends by itself, too.
    identity(place, "producer-0", &[&["allow", "--for", "20s"][..], &access].concat());
    server.until("workshop", WRITE, "speed,device=car value=3 3", 204, "");
    server.until("workshop", WRITE, "speed,device=car value=4 4", 403, "wrong_scope");

    // A guest has nothing but what he is given.
    certified(place, "buyer", "guest", &["--purpose", "guest"]);
    server.until("guest", READ, "", 403, "wrong_scope");

    // What he follows ends with his certificate.
    let access = ["--service", &service, "--to", "buyer", "--scope", "admin"];
    identity(place, "producer-0", &[&["allow", "--for", "1h"][..], &access].concat());
    let sql = "CREATE CONTINUOUS QUERY hourly AS SELECT device, time_bucket('1h', time), max(value) \
               FROM speed GROUP BY 1, 2";
    server.until("workshop", "POST /api/v1/continuous", sql, 200, "");
    let mut followed = BufReader::new(server.ask(
        Some("workshop"),
        "GET /api/v1/continuous/hourly/changes?from=snapshot",
        "",
    ));
    let mut line = String::new();
    while !line.starts_with("event: snapshot") {
        line.clear();
        assert_ne!(followed.read_line(&mut line).unwrap(), 0, "the stream ended too early");
    }
    identity(place, "buyer", &["revoke", "workshop.pem"]);
    let mut rest = Vec::new();
    let _ = followed.read_to_end(&mut rest);
    server.until("workshop", READ, "", 403, "revoked_certificate");
    let show = [&["identity", "show", "workshop.pem", "--json"][..], &CHAIN[..2]].concat();
    assert_eq!(json(place, 1, &show)["standing"], "revoked");
    drop(node);
}
