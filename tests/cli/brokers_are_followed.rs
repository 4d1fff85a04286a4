//! The MQTT bridge and a real mosquitto: nothing that the broker took is lost, whoever is killed.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::http::{PATIENCE, Server};
use crate::node::ports;
use crate::run::{python, source};

/// The broker, as a process.
struct Broker(Child);

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn mosquitto() -> Option<&'static str> {
    let all = ["mosquitto", "/usr/sbin/mosquitto"];
    let found = all.into_iter().find(|program| Command::new(program).arg("-h").output().is_ok());
    if found.is_none() || Command::new("mosquitto_pub").arg("--help").output().is_err() {
        eprintln!("skipped: there is no mosquitto, or no mosquitto_pub");
        return None;
    }
    found
}

fn broker(directory: &Path, port: u16) -> Option<Broker> {
    let program = mosquitto()?;
    let store = directory.join("broker");
    fs::create_dir_all(&store).unwrap();
    let config = format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\npersistence true\n\
         persistence_location {}/\nautosave_on_changes true\nautosave_interval 1\nuser root\n",
        store.display()
    );
    let place = directory.join("mosquitto.conf");
    fs::write(&place, config).unwrap();
    let child = Command::new(program)
        .arg("-c")
        .arg(place)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let broker = Broker(child);
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "the broker does not listen");
    }
    Some(broker)
}

/// Publishes each line as a message of quality 1, and returns when the broker has all.
fn publish(port: u16, topic: &str, lines: &str) {
    let mut child = Command::new("mosquitto_pub")
        .args(["-p", &port.to_string(), "-t", topic, "-q", "1", "-l"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

fn readings(from: u64, count: u64) -> String {
    let line = |number: u64| {
        format!("{{\"time\": {}, \"speed\": {number}.5}}\n", 1_767_225_600_000 + number)
    };
    (from..from + count).map(line).collect()
}

fn serve(directory: &Path, port: u16) -> Server {
    let config = format!(
        "[database]\npath = 'db'\n[http]\nlisten = '127.0.0.1:0'\n\
         [mqtt]\nbroker = 'mqtt://127.0.0.1:{port}'\nclient_id = 'chronolith-test'\n\
         [[mqtt.topics]]\nfilter = 'fleet/+/telemetry'\npayload = 'json'\ndevice = '{{2}}'\n\
         time_format = 'ms'\n\
         [[mqtt.topics]]\nfilter = 'gateways/#'\npayload = 'line'\n\
         [[mqtt.topics]]\nfilter = 'site/+/+/temperature'\npayload = 'value'\ndevice = '{{3}}'\n\
         unit = 'Cel'\ntags = {{ site = '{{2}}' }}\n"
    );
    fs::write(directory.join("node.toml"), config).unwrap();
    Server::start_by(directory, &["serve", "--config", "node.toml", "--json"])
}

fn connected(server: &Server) {
    server.until(|told| (told["mqtt"] == "connected").then_some(()));
}

/// Waits until a query answers a number.
fn reaches(server: &Server, sql: &str, wanted: u64) {
    let until = Instant::now() + PATIENCE;
    loop {
        let rows = server.rows(sql);
        let found = rows.first().and_then(|row| row["n"].as_u64());
        if found == Some(wanted) {
            return;
        }
        assert!(Instant::now() < until, "{found:?} instead of {wanted}: {sql}");
        std::thread::yield_now();
    }
}

#[test]
fn what_the_broker_took_is_there_after_kills_of_the_node() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let port = ports(1);
    let Some(_broker) = broker(directory, port) else { return };
    let server = serve(directory, port);
    connected(&server);
    publish(port, "fleet/car-1/telemetry", &readings(0, 2_000));
    // Killed wherever it is, and again; meanwhile more is published.
    server.kill();
    publish(port, "fleet/car-1/telemetry", &readings(2_000, 2_000));
    let server = serve(directory, port);
    server.kill();
    let server = serve(directory, port);
    publish(port, "fleet/car-1/telemetry", &readings(4_000, 1_000));
    reaches(&server, "SELECT count(*) AS n FROM speed WHERE device = 'car-1'", 5_000);
    let rows = server.rows("SELECT min(value) AS low, max(value) AS high FROM speed");
    assert_eq!((rows[0]["low"].as_f64(), rows[0]["high"].as_f64()), (Some(0.5), Some(4_999.5)));
    assert!(server.stop().success());
}

#[test]
fn paho_publishes_to_a_broker_that_is_followed() {
    let Some(python) = python("import paho.mqtt.client") else { return };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let port = ports(1);
    let Some(_broker) = broker(directory, port) else { return };
    let server = serve(directory, port);
    connected(&server);
    let script = source("tests/clients/paho_publishes.py");
    let port = port.to_string();
    let arguments = [&port, "fleet/car-4/telemetry", "1000"];
    let published = Command::new(python).arg(script).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&published.stderr);
    assert!(published.status.success(), "{said}");
    reaches(&server, "SELECT count(*) AS n FROM speed WHERE device = 'car-4'", 1_000);
}

#[test]
fn messages_of_all_kinds_are_records_and_others_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let port = ports(1);
    let Some(broker) = broker(directory, port) else { return };
    let server = serve(directory, port);
    connected(&server);
    publish(port, "gateways/g1", "engine,device=car-2 rpm=900i 1767225600000000000\n");
    publish(port, "site/berlin/room-4/temperature", "21.5\n");
    publish(port, "fleet/car-3/telemetry", "{\"speed\": 7}\n{\"speed\n");
    let reason = server.until(|told| {
        (told["mqtt"] == "rejected").then(|| told["reason"].as_str().unwrap().to_owned())
    });
    assert!(reason.contains("fleet/car-3/telemetry"), "{reason}");
    reaches(&server, "SELECT count(*) AS n FROM rpm WHERE device = 'car-2'", 1);
    let room = "SELECT count(*) AS n FROM temperature WHERE device = 'room-4' AND site = 'berlin' \
                AND value = 21.5";
    reaches(&server, room, 1);
    // An object without a time has that of its arrival.
    let now = "SELECT count(*) AS n FROM speed WHERE device = 'car-3' AND time > now() - INTERVAL \
               '1 hour'";
    reaches(&server, now, 1);

    // The broker goes and comes back: the bridge tells of both, and goes on.
    drop(broker);
    server.until(|told| (told["mqtt"] == "disconnected").then_some(()));
    let begin = Instant::now();
    let Some(_broker) = self::broker(directory, port) else { return };
    connected(&server);
    assert!(begin.elapsed() < Duration::from_secs(60));
    publish(port, "gateways/g1", "engine,device=car-2 rpm=901i 1767225601000000000\n");
    reaches(&server, "SELECT count(*) AS n FROM rpm WHERE device = 'car-2'", 2);
    assert!(server.stop().success());
}
