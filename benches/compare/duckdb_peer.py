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


def arrow_tables(path):
    """The names of the series, and their records: by series and time, as suits DuckDB best."""
    numbers = {}
    series, times, values = array.array("i"), array.array("q"), array.array("d")
    for device, fields, time_ns in fleet_file.rows(path):
        for name, value in fields:
            series.append(numbers.setdefault((device, name), len(numbers)))
            times.append(int(time_ns))
            values.append(float(value))

    def plain(kind, data):
        return pyarrow.Array.from_buffers(kind, len(data), [None, pyarrow.py_buffer(data)])

    records = pyarrow.table({
        "series": plain(pyarrow.int32(), series),
        "time": plain(pyarrow.timestamp("ns"), times),
        "value": plain(pyarrow.float64(), values),
    })
    devices, metrics = zip(*numbers)
    names = pyarrow.table({
        "series": pyarrow.array(numbers.values(), pyarrow.int32()),
        "device": devices,
        "metric": metrics,
    })
    return names, records.sort_by([("series", "ascending"), ("time", "ascending")])


def main():
    path, directory = sys.argv[1:]
    names, records = arrow_tables(path)
    file = Path(directory) / "fleet.duckdb"
    start = time.process_time()
    connection = duckdb.connect(str(file))
    # DuckDB finds Arrow tables under the names of their variables.
    connection.execute("CREATE TABLE series AS SELECT * FROM names")
    connection.execute("CREATE TABLE fleet (series INTEGER, time TIMESTAMP_NS, value DOUBLE)")
    for offset in range(0, len(records), BATCH):
        batch = records.slice(offset, BATCH)
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

    speed = "FROM fleet JOIN series USING (series) WHERE metric = 'speed' GROUP BY ALL"
    avg = ask(f"SELECT series, epoch_ns(time) // 300000000000 AS bucket, avg(value) {speed}")
    greatest = ask(f"SELECT series, max(value) {speed}")
    latest = ask("SELECT series, max(time), arg_max(value, time) FROM fleet GROUP BY ALL")
    count = len(records)
    print(json.dumps({
        "system": f"DuckDB {duckdb.__version__}",
        "by": "bulk Arrow insert, sorted before",
        "records": count,
        "records_per_cpu_second": count / ingest_s,
        "records_per_cpu_second_settled": count / settled_s,
        "bytes_per_record": size / count,
        "avg_5m_cpu_ms": repeat_cpu_ms(avg),
        "max_all_cpu_ms": repeat_cpu_ms(greatest),
        "latest_1000_cpu_ms": repeat_cpu_ms(latest),
    }))


if __name__ == "__main__":
    main()
