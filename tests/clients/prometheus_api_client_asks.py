"""prometheus-api-client, unchanged, on what influxdb_client_writes.py wrote. prometheus_api_client_asks.py URL TOKEN"""

import sys
from datetime import datetime, timezone

from prometheus_api_client import MetricRangeDataFrame, MetricSnapshotDataFrame, PrometheusConnect

url, token = sys.argv[1:3]
prometheus = PrometheusConnect(url=url, headers={"Authorization": f"Bearer {token}"})
assert prometheus.check_prometheus_connection()
names = prometheus.all_metrics()
assert "rpm" in names and "oil" in names, names
assert "Köln" in prometheus.get_label_values("site"), prometheus.get_label_values("site")

begin = datetime(2026, 1, 1, tzinfo=timezone.utc)
end = datetime(2026, 1, 1, 0, 0, 59, tzinfo=timezone.utc)
at = {"time": end.timestamp()}
now = prometheus.custom_query('rpm{site="Köln"}', params=at)
assert len(now) == 1 and now[0]["value"][1] == "959", now
assert prometheus.custom_query("count_over_time(rpm[1m])", params=at)
frame = MetricSnapshotDataFrame(now)
assert float(frame["value"].iloc[0]) == 959.0

steps = prometheus.custom_query_range('rpm{site="Köln"}', begin, end, step="1")
assert len(steps[0]["values"]) == 60, steps
frame = MetricRangeDataFrame(steps)
assert list(frame["value"].astype(float))[:3] == [900.0, 901.0, 902.0]
data = prometheus.get_metric_range_data("oil", start_time=begin, end_time=end)
assert data and data[0]["metric"]["__name__"] == "oil", data
aggregated = prometheus.get_metric_aggregation("rpm", ["max", "average"], start_time=begin, end_time=end, step="15")
assert aggregated["max"] == 959.0 or aggregated["max"] == 945.0, aggregated
print("prometheus-api-client: held")
