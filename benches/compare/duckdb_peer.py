"""DuckDB in a process of its own: python3 duckdb_peer.py LINES_FILE DIRECTORY."""

import array
import json
import sys
import time
from pathlib import Path

import duckdb
import pyarrow

import fleet_file
from measure import directory_bytes, repeat_cpu_ms

BATCH = 1_000_000


def columns(path):
    """The records as four columns; devices and metrics as indexes into their names."""
    devices, metrics = {}, {}
    device_of, metric_of = array.array("i"), array.array("i")
    times, values = array.array("q"), array.array("d")
    for device, fields, time_ns in fleet_file.rows(path):
        for name, value in fields:
            device_of.append(devices.setdefault(device, len(devices)))
            metric_of.append(metrics.setdefault(name, len(metrics)))
            times.append(int(time_ns))
            values.append(float(value))
    return list(devices), list(metrics), device_of, metric_of, times, values


def arrow_table(path):
    devices, metrics, device_of, metric_of, times, values = columns(path)

    def plain(kind, data):
        return pyarrow.Array.from_buffers(kind, len(data), [None, pyarrow.py_buffer(data)])

    def named(data, names):
        return pyarrow.DictionaryArray.from_arrays(plain(pyarrow.int32(), data), names)

    return pyarrow.table({
        "device": named(device_of, devices),
        "metric": named(metric_of, metrics),
        "time": plain(pyarrow.timestamp("ns"), times),
        "value": plain(pyarrow.float64(), values),
    })


def main():
    path, directory = sys.argv[1:]
    table = arrow_table(path)
    file = Path(directory) / "fleet.duckdb"
    start = time.process_time()
    connection = duckdb.connect(str(file))
    connection.execute(
        "CREATE TABLE fleet (device VARCHAR, metric VARCHAR, time TIMESTAMP_NS, value DOUBLE)")
    for offset in range(0, len(table), BATCH):
        batch = table.slice(offset, BATCH)  # found by DuckDB under its name
        connection.execute("INSERT INTO fleet SELECT * FROM batch")
        del batch
    ingest_s = time.process_time() - start
    connection.execute("CHECKPOINT")
    connection.close()
    settled_s = time.process_time() - start
    size = directory_bytes(directory)
    connection = duckdb.connect(str(file), read_only=True)

    def ask(query):
        return lambda: connection.execute(query).to_arrow_table()

    avg = ask("SELECT device, epoch_ns(time) // 300000000000 AS bucket, avg(value) FROM fleet"
              " WHERE metric = 'speed' GROUP BY ALL")
    greatest = ask("SELECT device, max(value) FROM fleet WHERE metric = 'speed' GROUP BY ALL")
    latest = ask("SELECT device, metric, max(time), arg_max(value, time) FROM fleet GROUP BY ALL")
    records = len(table)
    print(json.dumps({
        "system": f"DuckDB {duckdb.__version__}",
        "by": "bulk Arrow insert, nothing to parse",
        "records": records,
        "records_per_cpu_second": records / ingest_s,
        "records_per_cpu_second_settled": records / settled_s,
        "bytes_per_record": size / records,
        "avg_5m_cpu_ms": repeat_cpu_ms(avg),
        "max_all_cpu_ms": repeat_cpu_ms(greatest),
        "latest_1000_cpu_ms": repeat_cpu_ms(latest),
    }))


if __name__ == "__main__":
    main()
