//! A real Prometheus scrapes the server's own figures and sends them to it, unchanged.
//!
//! `CHRONOLITH_PROMETHEUS` names the program; without it `prometheus` is tried.

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::http::{PATIENCE, Server};
use crate::run::expect;

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_real_prometheus_writes_what_it_scrapes() {
    let program =
        std::env::var("CHRONOLITH_PROMETHEUS").unwrap_or_else(|_| "prometheus".to_owned());
    if Command::new(&program).arg("--version").output().is_err() {
        eprintln!("skipped: there is no {program}; set CHRONOLITH_PROMETHEUS");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let token = expect(path, 0, &["token", "new", "prometheus", "--db", "db", "--scope", "admin"]);
    let token = token.trim();
    let server = Server::start(path, &[]);
    let address = &server.address;
    let config = format!(
        "global: {{scrape_interval: 1s}}\n\
         scrape_configs:\n\
         - {{job_name: own, authorization: {{credentials: {token}}}, static_configs: [{{targets: ['{address}']}}]}}\n\
         remote_write:\n\
         - {{url: 'http://{address}/api/v1/write', authorization: {{credentials: {token}}}}}\n"
    );
    fs::write(path.join("prometheus.yml"), config).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _prometheus = Running(
        Command::new(&program)
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=tsdb"])
            .arg(format!("--web.listen-address={free}"))
            .current_dir(path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let header = format!("Authorization: Bearer {token}");
    let begin = Instant::now();
    let found = loop {
        let query = "/api/v1/query?query=chronolith_http_requests_total%7Bjob%3D%22own%22%7D";
        let told = server.ask("GET", query, &[&header], b"").expect(200).json();
        if let Some(series) = told["data"]["result"].as_array().filter(|found| !found.is_empty()) {
            break series[0]["metric"].clone();
        }
        assert!(begin.elapsed() < PATIENCE, "Prometheus sends nothing");
        // It scrapes once a second.
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(found["instance"], address.as_str(), "{found}");
    let told = server.ask("GET", "/api/v1/query?query=up", &[&header], b"").expect(200).json();
    assert_eq!(told["data"]["result"][0]["value"][1], "1", "{told}");
}
