"""Dashboards of service level objectives: how much failure is left, and how fast it is spent."""

from panels import *

FOLDER = "Objectives"

TARGET = {
    "name": "objective", "label": "Objective", "type": "custom", "query": "0.9,0.95,0.99,0.995,0.999,0.9999",
    "current": {"text": "0.99", "value": "0.99"}, "multi": False, "includeAll": False,
    "options": [{"text": o, "value": o, "selected": o == "0.99"} for o in ("0.9", "0.95", "0.99", "0.995", "0.999", "0.9999")],
}


def burn(failures, window):
    return f"({failures.replace('$window', window)}) / (1 - $objective)"


def objective(uid, title, about, failures, variables):
    """`failures` is the share of what failed over `$window`."""
    left = f"1 - {burn(failures, '30d')}"
    return dashboard(
        uid, title, about,
        gauge("Left of 30 days", f"clamp_min({left}, 0)", w=6, colours=falling(0.1, 0.3)),
        stat("Failed, 30 days", failures.replace("$window", "30d"), unit="percentunit", w=6, h=6, decimals=3),
        stat("Spent an hour ago until now", burn(failures, "1h"), unit="none", w=6, h=6, colours=rising(1, 14.4), about="1 spends what is allowed in exactly 30 days; 14.4 spends a fiftieth of it in an hour."),
        stat("Spent in 6 hours", burn(failures, "6h"), unit="none", w=6, h=6, colours=rising(1, 6)),
        graph("How fast it is spent", (burn(failures, "5m"), "5 min"), (burn(failures, "1h"), "1 h"), (burn(failures, "6h"), "6 h"), (burn(failures, "1d"), "1 day"), unit="none", w=24, h=10),
        graph("Failed", (failures.replace("$window", "5m"), "5 min"), unit="percentunit", w=24),
        tags=["slo"], variables=[TARGET, *variables], time="now-24h", refresh="1m",
    )


def dashboards():
    job = choice("job", "Job", "up", "job")
    http = 'sum(rate(prometheus_http_requests_total{job=~"$job",code=~"5.."}[$window])) / sum(rate(prometheus_http_requests_total{job=~"$job"}[$window]))'
    slow = '1 - sum(rate(prometheus_http_request_duration_seconds_bucket{job=~"$job",le="0.4"}[$window])) / sum(rate(prometheus_http_request_duration_seconds_count{job=~"$job"}[$window]))'
    return [
        objective("slo-targets", "Targets answer", "The share of scrapes that succeed.", '1 - avg(avg_over_time(up{job=~"$job"}[$window]))', [job]),
        objective("slo-requests", "Requests succeed", "The share of requests to this server that it answers without failing.", http, [job]),
        objective("slo-latency", "Requests are fast", "The share of requests to this server that take less than 0.4 s.", slow, [job]),
    ]
