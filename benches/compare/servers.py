"""Those that are servers: Chronolith over HTTP, VictoriaMetrics, Prometheus, InfluxDB."""

import re
import shutil
import time

import fleet_file
from measure import Server, Unavailable, directory_bytes, run_measured

REMOTE_WRITE = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
                "X-Prometheus-Remote-Write-Version": "0.1.0"}


def version(program):
    """The version of a program's Debian package; empty where it was installed otherwise."""
    if shutil.which(program) is None:
        raise Unavailable(f"{program} is not installed")
    package = {"influxd": "influxdb"}.get(program, program)
    try:
        found, _ = run_measured(["dpkg-query", "-W", "-f=${Version}", package], 20)
    except (FileNotFoundError, Unavailable):
        return ""
    return re.match(r"[0-9.]*", found).group()


def ingest(server, path, requests, settings, headers=None):
    """Sends requests one after the other: records, seconds of CPU until the last is acknowledged.

    Stops after the time limit; what was sent until then is what is measured.
    """
    start, end, records = server.cpu_seconds(), time.monotonic() + settings.limit_s, 0
    for body, count in requests:
        server.request("POST", path, body, headers)
        records += count
        if time.monotonic() > end:
            break
    return records, server.cpu_seconds() - start


def result(records, ingest_cpu_s, settled_cpu_s, size_bytes, queries, expected):
    out = {
        "records": records,
        "records_per_cpu_second": records / ingest_cpu_s,
        "records_per_cpu_second_settled": records / settled_cpu_s,
        "bytes_per_record": size_bytes / records,
        **queries,
    }
    if records < expected:
        out["note"] = f"time limit: {records / 1e6:.2f} M records"
    return out


def promql_queries(server, settings, name_pattern, speed="fleet_speed"):
    """The three queries in PromQL; the answers are checked for their number of series."""
    end_s = fleet_file.START_S + settings.seconds

    def avg():
        return server.get("/api/v1/query_range", query=f"avg_over_time({speed}[5m])",
                          start=fleet_file.START_S + 300, end=end_s, step=300, nocache=1)

    def greatest():
        return server.get("/api/v1/query", query=f"max_over_time({speed}[{settings.seconds}s])",
                          time=end_s, nocache=1)

    def latest():
        return server.get("/api/v1/query", query=name_pattern, time=end_s, nocache=1)

    for query, series in ((greatest, settings.vehicles), (latest, settings.vehicles * 10)):
        found = query().count(b'"metric":')
        if found != series:
            raise Unavailable(f"a query found {found} of {series} series")
    return {
        "avg_5m_cpu_ms": server.query_cpu_ms(avg),
        "max_all_cpu_ms": server.query_cpu_ms(greatest),
        "latest_1000_cpu_ms": server.query_cpu_ms(latest),
    }


def chronolith(settings, protocol):
    data = settings.directory / f"served-{protocol}"
    program, address = settings.chronolith, f"127.0.0.1:{settings.port}"
    command = [program, "serve", f"--db={data}", f"--listen={address}"]
    with Server(command, settings.port, settings.directory / f"served-{protocol}.log") as server:
        server.wait_until_up("/health")
        if protocol == "line":
            requests = fleet_file.line_requests(settings.lines)
            records, cpu_s = ingest(server, "/write?precision=ns", requests, settings)
            names = ('{class="fleet"}', "speed")
        else:
            requests = fleet_file.read_remote_file(settings.remote)
            path = "/api/v1/write"
            records, cpu_s = ingest(server, path, requests, settings, REMOTE_WRITE)
            names = ('{__name__=~"fleet_.+"}', "fleet_speed")
        server.stop()
    settled_s = cpu_s
    for step in (["seal", f"--db={data}", "--all"], ["compact", f"--db={data}"]):
        settled_s += run_measured([program, *step], settings.limit_s)[1]
    with Server(command, settings.port, settings.directory / f"served-{protocol}.log") as server:
        server.wait_until_up("/health")
        queries = promql_queries(server, settings, *names)
        server.stop()
    size = directory_bytes(data)
    out = result(records, cpu_s, settled_s, size, queries, settings.records)
    return {"system": "Chronolith", "by": f"{NAMES[protocol]}, synced", **out}


def victoria_metrics(settings, protocol):
    found = version("victoria-metrics")
    data = settings.directory / f"victoria-{protocol}"
    command = [
        "victoria-metrics", f"-storageDataPath={data}", "-retentionPeriod=100y",
        f"-httpListenAddr=127.0.0.1:{settings.port}", "-search.disableCache",
    ]
    with Server(command, settings.port, settings.directory / f"victoria-{protocol}.log") as server:
        server.wait_until_up("/health")
        before_s = server.cpu_seconds()
        if protocol == "line":
            requests = fleet_file.line_requests(settings.lines)
            records, cpu_s = ingest(server, "/write?precision=ns", requests, settings)
        else:
            requests = fleet_file.read_remote_file(settings.remote)
            path = "/api/v1/write"
            records, cpu_s = ingest(server, path, requests, settings, REMOTE_WRITE)
        server.get("/internal/force_flush")
        # A merge begins some time after it was asked for, and leaves out what is being merged.
        for _ in range(2):
            server.get("/internal/force_merge")
            time.sleep(3)
            server.settle(60)
        settled_s = server.cpu_seconds() - before_s
        queries = promql_queries(server, settings, '{__name__=~"fleet_.+"}')
        server.stop()
        # Beside these, a stopped server leaves its caches.
        size = directory_bytes(data / "data") + directory_bytes(data / "indexdb")
    out = result(records, cpu_s, settled_s, size, queries, settings.records)
    return {"system": f"VictoriaMetrics {found}", "by": NAMES[protocol], **out}


NAMES = {"line": "line protocol over HTTP", "remote": "remote write over HTTP"}


def prometheus(settings):
    found = version("prometheus")
    data, config = settings.directory / "prometheus", settings.directory / "prometheus.yml"
    config.write_text("global: {}\n")
    command = [
        "prometheus", f"--config.file={config}", f"--storage.tsdb.path={data}",
        f"--web.listen-address=127.0.0.1:{settings.port}", "--web.enable-remote-write-receiver",
        "--web.enable-admin-api", "--storage.tsdb.retention.time=100y",
    ]
    with Server(command, settings.port, settings.directory / "prometheus.log") as server:
        server.wait_until_up("/-/ready")
        requests = fleet_file.read_remote_file(settings.remote)
        records, cpu_s = ingest(server, "/api/v1/write", requests, settings, REMOTE_WRITE)
        server.settle(30)
        queries = promql_queries(server, settings, '{__name__=~"fleet_.+"}')
        # Writes the head as a block too: what the records take once they are compacted.
        query_s = server.cpu_seconds()
        server.request("POST", "/api/v1/admin/tsdb/snapshot")
        settled_s = cpu_s + server.cpu_seconds() - query_s
        size = directory_bytes(data / "snapshots")
    out = result(records, cpu_s, settled_s, size, queries, settings.records)
    return {"system": f"Prometheus {found}", "by": NAMES["remote"], **out}


INFLUX_CONFIG = """reporting-disabled = true
bind-address = "127.0.0.1:{rpc_port}"
[meta]
  dir = "{data}/meta"
[data]
  dir = "{data}/data"
  wal-dir = "{data}/wal"
  cache-snapshot-write-cold-duration = "2s"
  compact-full-write-cold-duration = "3s"
  query-log-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
[monitor]
  store-enabled = false
"""


def influxdb(settings):
    found = version("influxd")
    data, config = settings.directory / "influxdb", settings.directory / "influxdb.conf"
    ports = {"port": settings.port, "rpc_port": settings.port + 1}
    config.write_text(INFLUX_CONFIG.format(data=data, **ports))
    command = ["influxd", "-config", str(config)]
    with Server(command, settings.port, settings.directory / "influxdb.log") as server:
        server.wait_until_up("/ping")
        server.request("POST", "/query?q=CREATE+DATABASE+fleet")
        before_s = server.cpu_seconds()
        requests = fleet_file.line_requests(settings.lines)
        records, cpu_s = ingest(server, "/write?db=fleet&precision=ns", requests, settings)
        server.settle(20)
        # Cold shards are snapshotted and fully compacted by a timer.
        time.sleep(10)
        server.settle(60)
        settled_s = server.cpu_seconds() - before_s
        size = directory_bytes(data / "data") + directory_bytes(data / "wal")
        first_ns = fleet_file.START_S * 10**9
        span = f"time >= {first_ns} AND time < {first_ns + settings.seconds * 10**9}"

        def ask(query):
            return lambda: server.get("/query", db="fleet", epoch="ns", q=query)

        avg = ask(f"SELECT mean(speed) FROM fleet WHERE {span} GROUP BY time(5m), device")
        greatest = ask(f"SELECT max(speed) FROM fleet WHERE {span} GROUP BY device")
        latest = ask(f"SELECT last(*) FROM fleet WHERE {span} GROUP BY device")
        if avg().count(b'"device"') != settings.vehicles:
            raise Unavailable("a query did not find all vehicles")
        queries = {
            "avg_5m_cpu_ms": server.query_cpu_ms(avg),
            "max_all_cpu_ms": server.query_cpu_ms(greatest),
            "latest_1000_cpu_ms": server.query_cpu_ms(latest),
        }
    out = result(records, cpu_s, settled_s, size, queries, settings.records)
    return {"system": f"InfluxDB {found}", "by": NAMES["line"], **out}
