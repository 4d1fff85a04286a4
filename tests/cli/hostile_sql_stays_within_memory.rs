//! Hostile SQL ends with an error or an answer, within the limit on memory and what is beside it.
//!
//! The peak is that of the whole process (`VmHWM`); `-- --nocapture` prints it for each query.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::run::{expect, program, source};

/// The limit that queries are given: MiB.
const LIMIT_MIB: u64 = 64;
/// Half of the limit and 128 MiB more is what the process may hold beside it; what is made between
/// two looks at it may come on top, and is bounded by the operating system.
const PEAK_MIB: u64 = LIMIT_MIB + LIMIT_MIB / 2 + 128 + 192;

fn database(directory: &Path) {
    let drive = source("testdata/drives/4109114_1_2007-05-23.csv.gz");
    expect(directory, 0, &["init", "db"]);
    let drive = drive.to_str().unwrap();
    let ingest = ["ingest", "--db", "db", "--device", "4109114", "--zone", "America/Chicago"];
    expect(directory, 0, &[&ingest[..], &["--tag", "class=house", drive]].concat());
    expect(directory, 0, &["seal", "--db", "db", "--all"]);
}

fn start(directory: &Path, sql: &str, more: &[&str]) -> Child {
    let limit = format!("{LIMIT_MIB}MiB");
    let mut command = Command::new(program());
    command.args(["query", "--db", "db", "--memory", &limit]).args(more).arg(sql);
    command.current_dir(directory).stdin(Stdio::null()).stderr(Stdio::piped());
    command.stdout(Stdio::piped()).spawn().unwrap()
}

/// How a query ended: exit code, standard error, and the peak of its memory in MiB.
fn outcome(directory: &Path, sql: &str) -> (Option<i32>, String, u64) {
    let mut child = start(directory, sql, &["--timeout", "4s", "--format", "csv"]);
    let (mut output, mut problems) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let drain = std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    let problems = std::thread::spawn(move || {
        let mut text = String::new();
        problems.read_to_string(&mut text).map(|_| text)
    });
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let code = loop {
        let status = fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
        peak = peak.max(kibibytes.unwrap_or(0));
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        std::thread::yield_now();
    };
    drop(drain.join().unwrap());
    (code, problems.join().unwrap().unwrap(), peak / 1024)
}

#[test]
fn peaks_stay_below_the_limit_and_its_margin() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    database(directory);
    let doubled = {
        let inner = "SELECT repeat('x', 1000) AS a FROM speed_mph".to_owned();
        (0..17).fold(inner, |inner, _| format!("SELECT a || a AS a FROM ({inner})"))
    };
    let list =
        format!("SELECT count(*) FROM speed_mph WHERE value IN (0{})", ", 1.5".repeat(20_000));
    let literal = format!("SELECT '{}' FROM records a, records b", "x".repeat(120_000));
    let deep = format!("SELECT {}1{}", "(".repeat(900), ")".repeat(900));
    let many = "generate_series(1, 1000000000000)";
    let refused = [
        "SELECT repeat('x', 1000000000)".to_owned(),
        "SELECT length(repeat(device, 1000000)) FROM speed_mph".to_owned(),
        "SELECT lpad(device, 1000000, 'x') FROM speed_mph".to_owned(),
        "SELECT rpad('x', 2000000000)".to_owned(),
        "SELECT replace(repeat('x', 1000000), 'x', repeat('y', 100000))".to_owned(),
        "SELECT concat(repeat('x', 5000000), repeat('y', 5000000), repeat(device, 5000000)) FROM \
         speed_mph"
            .to_owned(),
        "SELECT to_char(time, repeat('%c', 100000)) FROM speed_mph".to_owned(),
        "SELECT array_agg(a.time) FROM records a, records b".to_owned(),
        "SELECT string_agg(a.device, ',') FROM records a, records b".to_owned(),
        format!("SELECT value, count(*) OVER () FROM {many} AS s(value)"),
        format!("SELECT value, sum(value) OVER (ORDER BY value DESC) FROM {many} AS s(value)"),
        format!("SELECT array_agg(value) FROM {many} AS s(value)"),
        format!("SELECT count(DISTINCT value) FROM {many} AS s(value)"),
        format!("SELECT median(value) FROM {many} AS s(value)"),
        "SELECT count(*) FROM records a, records b, records c, records d".to_owned(),
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r"
            .to_owned(),
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r CROSS JOIN \
         (VALUES (1), (2)) v) SELECT count(*) FROM r"
            .to_owned(),
        format!("SELECT count(*) FROM {many}"),
        "SELECT * FROM speed_mph WHERE device ~ '((((a{1000}){1000}){1000}){1000})'".to_owned(),
    ];
    // These may end either way, but not beyond the limit.
    let any = [
        "SELECT value, count(*) FROM generate_series(1, 20000000) AS s(value) GROUP BY value"
            .to_owned(),
        format!("SELECT value FROM {many} AS s(value) ORDER BY value % 1000 LIMIT 10"),
        "SELECT a.*, b.* FROM records a, records b ORDER BY a.value + b.value".to_owned(),
        "SELECT unnest(l) FROM (SELECT array_agg(time) AS l FROM records) s, records".to_owned(),
        "SELECT length(s.t) FROM records a, (SELECT string_agg(device, ',') AS t FROM records) s"
            .to_owned(),
        doubled,
        list,
        literal,
        deep,
        "SELECT repeat('x', 5000000) FROM records".to_owned(),
    ];
    let cases = refused.iter().map(|sql| (sql, true)).chain(any.iter().map(|sql| (sql, false)));
    for (sql, is_refused) in cases {
        let (code, problem, peak) = outcome(directory, sql);
        let sql: String = sql.chars().take(120).collect();
        println!("{peak:>5} MiB, exit {code:?}: {sql}\n      {}", problem.trim());
        assert!(peak <= PEAK_MIB, "{sql}: {peak} MiB");
        assert!(code == Some(1) || (code == Some(0) && !is_refused), "{sql}: {code:?} {problem}");
        // The second is what the last line of defence says: docs/adr/0018.
        let is_told =
            ["chronolith: ", "memory allocation of "].iter().any(|w| problem.starts_with(w));
        assert!(code == Some(0) || is_told, "{sql}: {problem}");
    }
}

#[test]
fn ctrl_c_ends_a_query_that_runs() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    database(directory);
    let sql = "SELECT value FROM generate_series(1, 1000000000000)";
    let mut child = start(directory, sql, &["--format", "csv"]);
    let mut output = BufReader::new(child.stdout.take().unwrap());
    // The header and a row: the query runs.
    for _ in 0..2 {
        let mut line = String::new();
        assert!(output.read_line(&mut line).unwrap() > 0);
    }
    let interrupt = ["-INT", &child.id().to_string()];
    assert!(Command::new("kill").args(interrupt).status().unwrap().success());
    std::io::copy(&mut output, &mut std::io::sink()).unwrap();
    let output = child.wait_with_output().unwrap();
    let problem = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{problem}");
    assert!(problem.contains("the query was cancelled"), "{problem}");
}
