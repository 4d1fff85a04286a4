//! The clients that people have, as they are installed, write and ask without being told where they
//! are: influxdb-client, opentelemetry-exporter-otlp, prometheus-api-client, pandas, polars and DuckDB.
//!
//! `CHRONOLITH_PYTHON` names a Python that has them; without it `python3` is tried.

use std::process::Command;

use crate::http::Server;
use crate::run::{expect, python, source};

/// Scripts in their order, and what each needs.
const CLIENTS: [(&str, &str); 4] = [
    ("influxdb_client_writes.py", "influxdb_client"),
    ("opentelemetry_exports.py", "opentelemetry.exporter.otlp.proto.http"),
    ("prometheus_api_client_asks.py", "prometheus_api_client"),
    ("tables_are_read.py", "duckdb, pandas, polars, pyarrow, requests"),
];

#[test]
fn real_clients_write_and_ask() {
    let modules: Vec<&str> = CLIENTS.iter().map(|(_, modules)| *modules).collect();
    let Some(python) = python(&format!("import {}", modules.join(", "))) else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let token = expect(path, 0, &["token", "new", "all", "--db", "db", "--scope", "admin"]);
    let server = Server::start(path, &[]);
    let url = format!("http://{}", server.address);
    for (script, _) in CLIENTS {
        let script = source("tests/clients").join(script);
        let done = Command::new(&python).arg(&script).args([&url, token.trim()]).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{}: {said}", script.display());
    }
}
