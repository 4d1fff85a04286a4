"""opentelemetry-exporter-otlp, unchanged: counters, gauges and histograms. opentelemetry_exports.py URL TOKEN"""

import sys
import time

import requests
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

url, token = sys.argv[1:3]


class Watched(OTLPMetricExporter):
    """Keeps what came of each export."""

    results = []

    def export(self, *args, **kwargs):
        result = super().export(*args, **kwargs)
        self.results.append(result)
        return result


exporter = Watched(
    endpoint=f"{url}/v1/metrics",
    headers={"authorization": f"Bearer {token}"},
    compression=Compression.Gzip,
)
reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
resource = Resource.create({"service.name": "gateway", "service.instance.id": "gw-7", "host.name": "h"})
provider = MeterProvider(metric_readers=[reader], resource=resource)
meter = provider.get_meter("cars", "1.0")
meter.create_counter("frames", unit="1").add(41, {"bus": "can0"})
meter.create_up_down_counter("queue.depth").add(-3)
gauge = meter.create_gauge("cabin.temperature", unit="Cel")
gauge.set(21.5, {"seat": "left"})
histogram = meter.create_histogram("latency", unit="s", explicit_bucket_boundaries_advisory=[0.1, 1.0])
for value in (0.05, 0.5, 5.0):
    histogram.record(value)
assert provider.force_flush()
provider.shutdown()
assert exporter.results and all(result is MetricExportResult.SUCCESS for result in exporter.results), exporter.results


def value(query):
    """The only value of a PromQL query."""
    answer = requests.get(
        f"{url}/api/v1/query",
        params={"query": query, "time": time.time()},
        headers={"authorization": f"Bearer {token}"},
        timeout=30,
    )
    answer.raise_for_status()
    result = answer.json()["data"]["result"]
    assert len(result) == 1, (query, result)
    return result[0]["metric"], float(result[0]["value"][1])


labels, frames = value("frames_total")
assert frames == 41.0 and labels["bus"] == "can0", (labels, frames)
assert labels["job"] == "gateway" and labels["instance"] == "gw-7", labels
assert value("queue_depth")[1] == -3.0
labels, temperature = value("cabin_temperature_celsius")
assert temperature == 21.5 and labels["seat"] == "left", (labels, temperature)
assert value("latency_seconds_count")[1] == 3.0
assert abs(value("latency_seconds_sum")[1] - 5.55) < 1e-9
assert value('latency_seconds_bucket{le="0.1"}')[1] == 1.0
assert value('latency_seconds_bucket{le="+Inf"}')[1] == 3.0
print("opentelemetry-exporter-otlp: held")
