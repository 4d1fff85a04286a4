#!/usr/bin/env python3
"""Measures Chronolith and its peers on the same records, one after the other.

    cargo build --release
    cargo build --release --manifest-path benches/compare/embedded/Cargo.toml
    python3 benches/compare/run.py                            # everything, 10.8 million records
    python3 benches/compare/run.py --vehicles 10 --seconds 3600 --only chronolith,duckdb

Peers that are not installed are named and left out: VictoriaMetrics, Prometheus and InfluxDB are
Debian packages (victoria-metrics, prometheus, influxdb), DuckDB is two from PyPI (duckdb,
pyarrow), the embedded stores are crates that embedded/ builds. Servers listen on 127.0.0.1 only
and are stopped when they are measured.

What is counted is processor time of the whole process that stores the records, so that other
work on the machine and the speed of this script do not matter. README.md says it in detail.
"""

import argparse
import importlib.util
import json
import shutil
import sys
import tempfile
from pathlib import Path

import fleet_file
import servers
from measure import Unavailable, directory_bytes, run_measured

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def bench_fleet(settings, *extra):
    """`chronolith bench fleet` in a new directory: its figures."""
    name = "bench" + "".join(extra)
    command = [
        settings.chronolith, "bench", "fleet", "--json", f"--vehicles={settings.vehicles}",
        f"--seconds={settings.seconds}", f"--db={settings.directory / name}", *extra,
    ]
    out, _ = run_measured(command, settings.limit_s)
    shutil.rmtree(settings.directory / name, ignore_errors=True)
    return json.loads(out)


def in_process(settings, by, *extra):
    figures = bench_fleet(settings, *extra)
    records, queries = figures["records"], figures["queries"]
    steps = [figures[step]["cpu_seconds"] for step in ("ingest", "seal", "compact")]
    return {
        "system": "Chronolith",
        "by": by,
        "records": records,
        "records_per_cpu_second": records / steps[0],
        "records_per_cpu_second_settled": records / sum(steps),
        "bytes_per_record": figures["bytes_per_record"],
        "avg_5m_cpu_ms": queries["avg_5m_speed_cpu_ms"],
        "max_all_cpu_ms": queries["max_all_speed_cpu_ms"],
        "latest_1000_cpu_ms": queries["latest_1000_cpu_ms"],
    }


def line_protocol(settings, durability):
    """`ingest --format line`, `seal --all` and `compact`, each in a process of its own."""
    db = settings.directory / f"chronolith-{durability}"
    ingest = [
        settings.chronolith, "ingest", f"--db={db}", "--format=line",
        f"--durability={durability}", "--json", str(settings.lines),
    ]
    out, ingest_s = run_measured(ingest, settings.limit_s)
    records = json.loads(out.splitlines()[-1])["accepted"]
    settled_s = ingest_s
    for step in (["seal", f"--db={db}", "--all"], ["compact", f"--db={db}"]):
        settled_s += run_measured([settings.chronolith, *step], settings.limit_s)[1]
    size = directory_bytes(db)
    shutil.rmtree(db)
    return {
        "system": "Chronolith",
        "by": f"ingest --format line, {durability}",
        "records": records,
        "records_per_cpu_second": records / ingest_s,
        "records_per_cpu_second_settled": records / settled_s,
        "bytes_per_record": size / records,
    }


def duckdb(settings):
    for module in ("duckdb", "pyarrow"):
        if importlib.util.find_spec(module) is None:
            raise Unavailable(f"the Python package {module} is not installed")
    directory = settings.directory / "duckdb"
    directory.mkdir()
    script = HERE / "duckdb_peer.py"
    command = [sys.executable, str(script), str(settings.lines), str(directory)]
    return json.loads(run_measured(command, settings.limit_s)[0])


def embedded(settings, name):
    if not settings.embedded.exists():
        raise Unavailable(f"{settings.embedded} is not built")
    directory = settings.directory / name
    command = [str(settings.embedded), name, str(directory), str(settings.vehicles),
               str(settings.seconds)]
    figures = json.loads(run_measured(command, settings.limit_s)[0])
    shutil.rmtree(directory)
    records, ingest_s = figures["records"], figures["ingest_cpu_seconds"]
    return {
        "system": name,
        "by": "in process, batches of one second",
        "records": records,
        "records_per_cpu_second": records / ingest_s,
        "records_per_cpu_second_settled": records / (ingest_s + figures["finish_cpu_seconds"]),
        "bytes_per_record": figures["bytes_on_disk"] / records,
    }


PEERS = {
    "chronolith": [
        lambda s: in_process(s, "in process, buffered"),
        lambda s: in_process(s, "in process, synced batches of one second", "--synced"),
        lambda s: in_process(s, "in process, buffered, daily windows", "--window=1d"),
        lambda s: line_protocol(s, "buffered"),
        lambda s: line_protocol(s, "synced"),
    ],
    "served": [
        lambda s: servers.chronolith(s, "line"),
        lambda s: servers.chronolith(s, "remote"),
    ],
    "victoriametrics": [
        lambda s: servers.victoria_metrics(s, "remote"),
        lambda s: servers.victoria_metrics(s, "line"),
    ],
    "prometheus": [servers.prometheus],
    "influxdb": [servers.influxdb],
    "duckdb": [duckdb],
    "fjall": [lambda s: embedded(s, "fjall")],
    "redb": [lambda s: embedded(s, "redb")],
    "tsink": [lambda s: embedded(s, "tsink")],
}
NEED_REMOTE = {"served", "victoriametrics", "prometheus"}

COLUMNS = [
    ("system", "system", "{}"),
    ("by", "records come by", "{}"),
    ("records_per_cpu_second", "ingest, M records/CPU s", "{:.2f}"),
    ("records_per_cpu_second_settled", "with flush, seal, compaction", "{:.2f}"),
    ("bytes_per_record", "bytes/record", "{:.3f}"),
    ("avg_5m_cpu_ms", "avg per 5 min, CPU ms", "{:.2f}"),
    ("max_all_cpu_ms", "max of the span, CPU ms", "{:.2f}"),
    ("latest_1000_cpu_ms", "last of all metrics, CPU ms", "{:.2f}"),
]


def table(results):
    """The results as a Markdown table, notes below it."""
    titles = " | ".join(title for _, title, _ in COLUMNS)
    lines = [f"| {titles} |", "|---" * len(COLUMNS) + "|"]
    notes = []
    for result in results:
        if "missing" in result:
            notes.append(f"{result['system']}: not measured: {result['missing']}")
            continue
        cells = []
        for key, _, shape in COLUMNS:
            value = result.get(key)
            if value is not None and key.startswith("records_per"):
                value /= 1e6
            cells.append("–" if value is None else shape.format(value))
        lines.append("| " + " | ".join(cells) + " |")
        if "note" in result:
            notes.append(f"{result['system']}, {result['by']}: {result['note']}")
    return "\n".join(lines + [""] * bool(notes) + notes)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vehicles", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=10_800)
    parser.add_argument("--only", default=",".join(PEERS), help="peers, with commas between them")
    parser.add_argument("--limit", dest="limit_s", type=int, default=300,
                        help="most seconds for each step of each peer")
    parser.add_argument("--port", type=int, default=18_428,
                        help="of 127.0.0.1; the next is used too")
    parser.add_argument("--target", type=Path, default=ROOT / "target",
                        help="where cargo put the root package")
    parser.add_argument("--embedded", type=Path,
                        default=HERE / "embedded/target/release/compare-embedded")
    parser.add_argument("--json", type=Path, help="write the results to this file too")
    settings = parser.parse_args()
    settings.only = settings.only.split(",")
    unknown = set(settings.only) - set(PEERS)
    if unknown:
        parser.error(f"unknown peers: {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    settings.chronolith = str(settings.target / "release/chronolith")
    settings.records = settings.vehicles * settings.seconds * fleet_file.METRICS
    return settings


def measure(name, settings):
    """The results of one peer; what cannot be measured says why."""
    for part in PEERS[name]:
        print(f"{name} ...", file=sys.stderr, flush=True)
        try:
            yield part(settings)
        except Unavailable as why:
            yield {"system": name, "missing": str(why)}


def main():
    settings = arguments()
    if not Path(settings.chronolith).exists():
        sys.exit(f"{settings.chronolith} is missing; run: cargo build --release")
    with tempfile.TemporaryDirectory(prefix="chronolith-compare-") as directory:
        settings.directory = Path(directory)
        settings.lines = settings.directory / "fleet.lp"
        settings.remote = settings.directory / "fleet.remote-write"
        print("making the records ...", file=sys.stderr, flush=True)
        run_measured([settings.chronolith, "bench", "fleet", f"--out={settings.lines}",
                      f"--vehicles={settings.vehicles}", f"--seconds={settings.seconds}"], 600)
        if NEED_REMOTE & set(settings.only):
            fleet_file.write_remote_file(settings.lines, settings.remote)
        results = []
        for name in settings.only:
            results += measure(name, settings)
    print(table(results))
    if settings.json:
        settings.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
