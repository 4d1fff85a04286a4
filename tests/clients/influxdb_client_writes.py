"""influxdb-client, unchanged: writes, what is refused, health. influxdb_client_writes.py URL TOKEN"""

import sys
from datetime import datetime, timezone

import requests
from influxdb_client import InfluxDBClient, Point, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS, WriteOptions
from influxdb_client.rest import ApiException

url, token = sys.argv[1:3]
START = datetime(2026, 1, 1, tzinfo=timezone.utc)
start_s = int(START.timestamp())


def rows(sql):
    """The rows of a SQL query."""
    answer = requests.post(
        f"{url}/api/v1/sql",
        json={"sql": sql},
        headers={"authorization": f"Bearer {token}", "accept": "application/x-ndjson"},
        timeout=30,
    )
    answer.raise_for_status()
    return [__import__("json").loads(line) for line in answer.text.splitlines()]


with InfluxDBClient(url=url, token=token, org="any", enable_gzip=True) as client:
    assert client.ping(), "the node does not answer a ping"
    assert client.version(), "the node tells no version"

    with client.write_api(write_options=SYNCHRONOUS) as api:
        points = [
            Point("engine")
            .tag("vehicle", "truck 1")
            .tag("site", "Köln")
            .field("rpm", 900 + second)
            .field("oil", 1.5)
            .field("on", True)
            .field("note", 'a "quoted", text')
            .time(start_s + second, WritePrecision.S)
            for second in range(60)
        ]
        api.write(bucket="fleet", record=points, write_precision=WritePrecision.S)
        api.write(bucket="fleet", record="engine,vehicle=truck\\ 2 rpm=1i 1767225600000", write_precision=WritePrecision.MS)
        try:
            api.write(bucket="fleet", record="engine,vehicle=t rpm=2i 1767225600000000000\nengine rpm=oops 1")
            raise AssertionError("a line that is none was taken")
        except ApiException as error:
            assert error.status in (400, 422), error
            assert "2" in error.body, f"the line is not named: {error.body}"

    # Batches that the client makes by itself, in the background.
    failures = []
    options = WriteOptions(batch_size=500, flush_interval=200, max_retries=2)
    with client.write_api(write_options=options, error_callback=lambda *args: failures.append(args)) as api:
        for number in range(5_000):
            api.write("fleet", record=f"batch,vehicle=b v={number}i {start_s * 10**9 + number}")
    assert not failures, failures

count = "SELECT count(*) AS n, min(value) AS low, max(value) AS high FROM rpm WHERE device = 'truck 1'"
assert rows(count) == [{"n": 60, "low": 900, "high": 959}], rows(count)
assert rows("SELECT count(*) AS n FROM rpm WHERE device = 't'") == [{"n": 1}], "the good line of a bad body is missing"
assert rows("SELECT DISTINCT value FROM note")[0]["value"] == 'a "quoted", text'
assert rows("SELECT count(*) AS n FROM v")[0]["n"] == 5_000

with InfluxDBClient(url=url, token="false", org="any") as client, client.write_api(write_options=SYNCHRONOUS) as api:
    try:
        api.write(bucket="fleet", record="engine rpm=1i")
        raise AssertionError("a false token was taken")
    except ApiException as error:
        assert error.status == 401, error
print("influxdb-client: held")
