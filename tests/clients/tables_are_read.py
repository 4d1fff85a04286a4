"""DuckDB, pandas and polars, unchanged, on Arrow and Parquet answers. tables_are_read.py URL TOKEN"""

import io
import sys
import tempfile

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.ipc
import pyarrow.parquet
import requests

url, token = sys.argv[1:3]
SQL = "SELECT time, device, value FROM rpm WHERE device = 'truck 1' ORDER BY time"


def asked(media_type):
    """The answer of the query in a format."""
    answer = requests.post(
        f"{url}/api/v1/sql",
        data=SQL,
        headers={"authorization": f"Bearer {token}", "accept": media_type, "content-type": "text/plain"},
        timeout=30,
    )
    answer.raise_for_status()
    assert answer.headers["content-type"].startswith(media_type), answer.headers
    return answer.content


arrow = asked("application/vnd.apache.arrow.stream")
read = pyarrow.ipc.open_stream(io.BytesIO(arrow)).read_all()
assert read.num_rows == 60 and pyarrow.types.is_timestamp(read.schema.field("time").type), read.schema
assert read.schema.field("time").type.tz in ("UTC", "+00:00"), read.schema
frame = read.to_pandas()
assert frame["value"].max() == 959 and frame["time"].iloc[0] == pandas.Timestamp("2026-01-01", tz="UTC")
assert polars.from_arrow(read)["value"].sum() == sum(range(900, 960))
assert polars.read_ipc_stream(io.BytesIO(arrow)).height == 60
assert duckdb.sql("SELECT max(value) FROM read").fetchall() == [(959,)]

parquet = asked("application/vnd.apache.parquet")
assert pyarrow.parquet.read_table(io.BytesIO(parquet)).num_rows == 60
assert pandas.read_parquet(io.BytesIO(parquet))["value"].min() == 900
assert polars.read_parquet(io.BytesIO(parquet))["device"].unique().to_list() == ["truck 1"]
with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
    file.write(parquet)
    file.flush()
    counted = duckdb.sql(f"SELECT count(*), min(time)::VARCHAR FROM '{file.name}'").fetchall()
    assert counted[0][0] == 60, counted

csv = pandas.read_csv(io.BytesIO(asked("text/csv")))
assert len(csv) == 60 and csv["value"].iloc[-1] == 959
print("DuckDB, pandas and polars: held")
