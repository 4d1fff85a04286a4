#!/usr/bin/env python3
"""Asks VictoriaMetrics and Prometheus the queries of `cargo bench --bench promql`.

    cargo build --release
    python3 benches/compare/promql.py                 # 100 vehicles, 3 hours
    python3 benches/compare/promql.py --vehicles 10

The servers get the records of the fleet by remote write, and answer over HTTP as JSON; what is
counted is their processor time for one query, result caches off.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import fleet_file
import servers
from measure import Server, Unavailable

ROOT = Path(__file__).resolve().parent.parent.parent

# As in benches/promql.rs: a query and its step in seconds; 0 for one time, the last.
QUERIES = [
    ("rate(odometer[5m])", 60),
    ("sum(speed)", 60),
    ("avg_over_time(speed[5m])", 300),
    ("avg_over_time(speed[5m])", 60),
    ("quantile_over_time(0.95, speed[5m])", 60),
    ("quantile(0.95, speed)", 60),
    ("topk(5, speed)", 60),
    ("max_over_time(speed[3h])", 0),
]


def milliseconds(server, settings):
    """CPU milliseconds of each query."""
    end = fleet_file.START_S + settings.seconds - 1
    start = end - (settings.seconds - 300)
    for query, step in QUERIES:
        asked = query.replace("odometer", "fleet_odometer").replace("speed", "fleet_speed")

        def ask(asked=asked, step=step):
            if step == 0:
                return server.get("/api/v1/query", query=asked, time=end, nocache=1)
            return server.get("/api/v1/query_range", query=asked, start=start, end=end,
                              step=step, nocache=1)

        if b'"metric":' not in ask():
            raise Unavailable(f"{asked} found nothing")
        yield server.query_cpu_ms(ask)


def victoria_metrics(settings):
    data = settings.directory / "victoria"
    command = ["victoria-metrics", f"-storageDataPath={data}", "-retentionPeriod=100y",
               f"-httpListenAddr=127.0.0.1:{settings.port}", "-search.disableCache"]
    with Server(command, settings.port, settings.directory / "victoria.log") as server:
        server.wait_until_up("/health")
        servers.ingest(server, "/api/v1/write", fleet_file.read_remote_file(settings.remote),
                       settings, servers.REMOTE_WRITE)
        server.get("/internal/force_flush")
        server.get("/internal/force_merge")
        server.settle(60)
        return list(milliseconds(server, settings))


def prometheus(settings):
    config = settings.directory / "prometheus.yml"
    config.write_text("global: {}\n")
    command = ["prometheus", f"--config.file={config}",
               f"--storage.tsdb.path={settings.directory / 'prometheus'}",
               f"--web.listen-address=127.0.0.1:{settings.port}",
               "--web.enable-remote-write-receiver", "--storage.tsdb.retention.time=100y"]
    with Server(command, settings.port, settings.directory / "prometheus.log") as server:
        server.wait_until_up("/-/ready")
        servers.ingest(server, "/api/v1/write", fleet_file.read_remote_file(settings.remote),
                       settings, servers.REMOTE_WRITE)
        server.settle(30)
        return list(milliseconds(server, settings))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vehicles", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=10_800)
    parser.add_argument("--port", type=int, default=18_430)
    parser.add_argument("--limit", dest="limit_s", type=int, default=300,
                        help="most seconds of each ingest")
    parser.add_argument("--chronolith", default=str(ROOT / "target/release/chronolith"))
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        settings.directory = Path(directory)
        lines, settings.remote = settings.directory / "fleet.lp", settings.directory / "fleet.rw"
        command = [settings.chronolith, "bench", "fleet", f"--vehicles={settings.vehicles}",
                   f"--seconds={settings.seconds}", f"--out={lines}"]
        subprocess.run(command, check=True)
        fleet_file.write_remote_file(lines, settings.remote)
        columns = {}
        for name, measure in (("VictoriaMetrics", victoria_metrics), ("Prometheus", prometheus)):
            try:
                columns[name] = measure(settings)
            except Unavailable as problem:
                print(f"{name}: not measured: {problem}")
        print(f"| query | step | {' | '.join(f'{name}, CPU ms' for name in columns)} |")
        print("|---" * (len(columns) + 2) + "|")
        for row, (query, step) in enumerate(QUERIES):
            cells = " | ".join(f"{column[row]:.1f}" for column in columns.values())
            print(f"| `{query}` | {f'{step} s' if step else 'one time'} | {cells} |")


if __name__ == "__main__":
    main()
