"""Sends one export of OpenTelemetry's own SDK: send.py PROTOCOL ENDPOINT TEMPORALITY COMPRESSION [CA-FILE].

Prints the trace and span id that exemplars carry. Ends with an error when the export fails.
"""

import sys

from opentelemetry.sdk.metrics import (
    AlwaysOnExemplarFilter,
    Counter,
    Histogram,
    MeterProvider,
    ObservableCounter,
)
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricExportResult, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import format_span_id, format_trace_id

protocol, endpoint, temporality, compression, *ca_file = sys.argv[1:]
kinds = (Counter, Histogram, ObservableCounter)
preferred = {kind: AggregationTemporality[temporality] for kind in kinds}

if protocol == "grpc":
    import grpc
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

    security = {"insecure": True}
    if ca_file:
        with open(ca_file[0], "rb") as file:
            security = {"insecure": False, "credentials": grpc.ssl_channel_credentials(file.read())}
    exporter = OTLPMetricExporter(
        endpoint=endpoint,
        compression=grpc.Compression.Gzip if compression == "gzip" else grpc.Compression.NoCompression,
        preferred_temporality=preferred,
        timeout=30,
        **security,
    )
else:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    exporter = OTLPMetricExporter(
        endpoint=endpoint,
        compression=Compression.Gzip if compression == "gzip" else Compression.NoCompression,
        preferred_temporality=preferred,
        timeout=30,
    )

failed = []
export = exporter.export


def watched(*args, **kwargs):
    result = export(*args, **kwargs)
    if result is not MetricExportResult.SUCCESS:
        failed.append(result)
    return result


exporter.export = watched
reader = PeriodicExportingMetricReader(exporter, export_interval_millis=float("inf"))
provider = MeterProvider(
    metric_readers=[reader],
    resource=Resource(
        {
            "service.name": "checkout",
            "service.namespace": "shop",
            "service.instance.id": "one",
            "host.name": "machine-1",
            "weights": [1, 2],
        }
    ),
    views=[View(instrument_name="payload.size", aggregation=ExponentialBucketHistogramAggregation(max_scale=3))],
    exemplar_filter=AlwaysOnExemplarFilter(),
    shutdown_on_exit=False,
)
meter = provider.get_meter("checkout.lib", "1.2.3")
tracer = TracerProvider().get_tracer("checkout")

requests = meter.create_counter("http.requests", unit="{request}", description="Requests.")
queue = meter.create_up_down_counter("queue.length", description="Waiting.")
temperature = meter.create_gauge("temperature", unit="Cel", description="How hot.")
duration = meter.create_histogram(
    "request.duration", unit="s", description="How long.", explicit_bucket_boundaries_advisory=[0.1, 0.5, 1]
)
size = meter.create_histogram("payload.size", unit="By", description="How large.")
meter.create_observable_counter(
    "cpu.time", callbacks=[lambda _: [__import__("opentelemetry.metrics").metrics.Observation(1.5)]], unit="s"
)

with tracer.start_as_current_span("checkout") as span:
    context = span.get_span_context()
    print(format_trace_id(context.trace_id), format_span_id(context.span_id))
    for code, count in ((200, 7), (500, 2)):
        requests.add(count, {"http.status_code": code, "method": "GET"})
    queue.add(5)
    queue.add(-2)
    temperature.set(36.6, {"room": "é"})
    for seconds in (0.05, 0.3, 0.3, 0.7, 3):
        duration.record(seconds, {"method": "GET"})
    for octets in (1, 2, 4, 1000):
        size.record(octets)

provider.force_flush(60_000)
if failed:
    sys.exit(f"the export failed: {failed}")
