"""Dashboards of this program itself."""

from panels import *

FOLDER = "Bartizan"

R = "$__rate_interval"
SELF = 'job=~"$job"'
JOB = choice("job", "Job", "bartizan_build_info", "job")


def rate(metric, by="", selector=SELF):
    inner = f"rate({metric}{{{selector}}}[{R}])"
    return f"sum by ({by}) ({inner})" if by else f"sum({inner})"


def quantile(q, histogram, by=""):
    groups = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, sum by ({groups}) (rate({histogram}_bucket{{{SELF}}}[{R}])))"


def mean(summary, by=""):
    groups = f" by ({by})" if by else ""
    of = lambda end: f"sum{groups} (rate({summary}_{end}{{{SELF}}}[{R}]))"
    return f"{of('sum')} / {of('count')}"


def overview():
    return dashboard(
        "overview", "Overview", "What this server does at the moment, and whether it does it well.",
        stat("Targets up", "sum(up)", about="Targets whose last scrape succeeded.", colours=thresholds(GREEN)),
        stat("Targets down", "count(up == 0) or vector(0)", colours=rising(1, 5), about="Targets whose last scrape failed."),
        stat("Alerts firing", 'count(ALERTS{alertstate="firing"}) or vector(0)', colours=rising(1, 10)),
        stat("Series", f"sum(prometheus_tsdb_head_series{{{SELF}}})", about="Series that got samples lately."),
        stat("Samples", rate("prometheus_tsdb_head_samples_appended_total"), unit="cps", about="Samples stored a second."),
        stat("Log lines", rate("loki_ingester_entries_total"), unit="cps", about="Log lines stored a second."),
        row(
            "Load",
            graph("Processor", (f"rate(process_cpu_seconds_total{{{SELF}}}[{R}])", "{{instance}}"), unit="none", w=8, about="Cores in use."),
            graph("Memory", (f"process_resident_memory_bytes{{{SELF}}}", "{{instance}}"), unit="bytes", w=8),
            graph("Requests", (rate("prometheus_http_requests_total", "code"), "{{code}}"), unit="reqps", w=8, stack=True),
        ),
        row(
            "Data",
            graph("Samples stored", (rate("prometheus_tsdb_head_samples_appended_total", "type"), "{{type}}"), unit="cps", w=8, stack=True),
            graph("Log bytes stored", (rate("loki_ingester_wal_logged_bytes_total"), "to the log"), unit="Bps", w=8),
            graph("On disk", (f"prometheus_tsdb_storage_blocks_bytes{{{SELF}}}", "blocks of metrics"), (f"prometheus_tsdb_wal_storage_size_bytes{{{SELF}}}", "log of metrics"), (f"loki_ingester_wal_disk_bytes{{{SELF}}}", "log of log lines"), unit="bytes", w=8, stack=True),
        ),
        row(
            "Trouble",
            graph(
                "Failures",
                (rate("prometheus_rule_evaluation_failures_total"), "rules"),
                (rate("alertmanager_notifications_failed_total"), "notifications"),
                (rate("prometheus_tsdb_compactions_failed_total"), "compactions of metrics"),
                (rate("loki_compactor_compaction_failures_total"), "compactions of logs"),
                (rate("loki_ingester_flush_failures_total"), "flushes of logs"),
                unit="cps",
            ),
            states("Targets", ("min by (job) (up)", "{{job}}"), w=12),
        ),
        tags=["self"], variables=[JOB],
    )


def scrape():
    return dashboard(
        "scrape", "Scraping", "Targets, how long they take, and what they bring.",
        table("Jobs", ("Targets", "count by (job) (up)", "short"), ("Up", "sum by (job) (up)", "short"), ("Samples a scrape", "sum by (job) (scrape_samples_scraped)", "short"), ("Slowest scrape", "max by (job) (scrape_duration_seconds)", "s"), by=["job"]),
        row(
            "Time",
            graph("Slowest targets", ("topk(10, scrape_duration_seconds)", "{{job}} {{instance}}"), unit="s"),
            graph("Interval between scrapes", (f"prometheus_target_interval_length_seconds{{{SELF},quantile=\"0.99\"}}", "99 % within, {{interval}}"), (f"prometheus_target_interval_length_seconds{{{SELF},quantile=\"0.5\"}}", "half within, {{interval}}"), unit="s", about="Steady is good: a scrape that comes late makes rates jump."),
        ),
        row(
            "Samples",
            graph("Largest targets", ("topk(10, scrape_samples_post_metric_relabeling)", "{{job}} {{instance}}")),
            graph("New series of targets", ("topk(10, sum by (job) (scrape_series_added))", "{{job}}"), about="Many at each scrape are series that do not last."),
        ),
        row(
            "What was not taken",
            graph(
                "Samples refused",
                (rate("prometheus_target_scrapes_sample_out_of_order_total"), "out of order"),
                (rate("prometheus_target_scrapes_sample_out_of_bounds_total"), "too old or too new"),
                (rate("prometheus_target_scrapes_sample_duplicate_timestamp_total"), "another value for the same time"),
                (rate("bartizan_scrape_series_refused_total"), "over the limit of series"),
                unit="cps",
            ),
            graph(
                "Scrapes refused",
                (rate("prometheus_target_scrapes_exceeded_sample_limit_total"), "too many samples"),
                (rate("prometheus_target_scrapes_exceeded_body_size_limit_total"), "too large"),
                (rate("prometheus_target_scrape_pool_exceeded_label_limits_total"), "too many labels"),
                (rate("prometheus_target_scrape_pool_exceeded_target_limit_total"), "too many targets"),
                unit="cps",
            ),
        ),
        tags=["self", "metrics"], variables=[JOB],
    )


def targets():
    instance = choice("instance", "Target", 'up{job=~"$scraped"}', "instance")
    of = 'job=~"$scraped",instance=~"$instance"'
    return dashboard(
        "targets", "Targets", "Each target: whether it answers, how fast, with how much.",
        states("Up", (f"up{{{of}}}", "{{job}} {{instance}}"), h=10),
        graph("Duration", (f"scrape_duration_seconds{{{of}}}", "{{instance}}"), unit="s"),
        graph("Samples", (f"scrape_samples_scraped{{{of}}}", "{{instance}}")),
        graph("New series", (f"scrape_series_added{{{of}}}", "{{instance}}")),
        graph("Samples dropped by rules", (f"scrape_samples_scraped{{{of}}} - scrape_samples_post_metric_relabeling{{{of}}}", "{{instance}}")),
        tags=["self", "metrics"], variables=[choice("scraped", "Job", "up", "job"), instance],
    )


def discovery():
    return dashboard(
        "discovery", "Service discovery", "What is found, and what keeps it from being found.",
        graph("Targets found", (f"sum by (name, config) (prometheus_sd_discovered_targets{{{SELF}}})", "{{name}} {{config}}"), w=24),
        graph("Updates", (rate("prometheus_sd_received_updates_total", "name"), "received, {{name}}"), (rate("prometheus_sd_updates_total", "name"), "passed on, {{name}}"), unit="cps"),
        graph("Failures", (rate("prometheus_sd_refresh_failures_total", "mechanism"), "{{mechanism}}"), (rate("prometheus_sd_dns_lookup_failures_total"), "DNS"), (rate("prometheus_sd_http_failures_total"), "HTTP"), (rate("prometheus_sd_file_read_errors_total"), "files"), unit="cps"),
        graph("Time of a refresh", (mean("prometheus_sd_refresh_duration_seconds", "mechanism"), "{{mechanism}}"), unit="s"),
        graph("Configurations that fail", (f"prometheus_sd_failed_configs{{{SELF}}}", "{{name}}")),
        graph("Time to apply targets", (mean("prometheus_target_sync_length_seconds", "scrape_job"), "{{scrape_job}}"), unit="s"),
        graph("Targets of a job", (f"prometheus_target_scrape_pool_targets{{{SELF}}}", "{{scrape_job}}")),
        tags=["self", "metrics"], variables=[JOB],
    )


def tsdb():
    return dashboard(
        "tsdb", "Metrics storage", "The head in memory, blocks on disk, and what keeps them in order.",
        stat("Series", f"sum(prometheus_tsdb_head_series{{{SELF}}})"),
        stat("Chunks in memory", f"sum(prometheus_tsdb_head_chunks{{{SELF}}})"),
        stat("Memory a series", f"sum(process_resident_memory_bytes{{{SELF}}}) / sum(prometheus_tsdb_head_series{{{SELF}}})", unit="bytes"),
        stat("Blocks", f"sum(prometheus_tsdb_blocks_loaded{{{SELF}}})"),
        stat("Blocks on disk", f"sum(prometheus_tsdb_storage_blocks_bytes{{{SELF}}})", unit="bytes"),
        stat("Blocks set aside", f"sum(bartizan_tsdb_blocks_quarantined_total{{{SELF}}})", colours=rising(1, 2), about="Damaged blocks, named in the log; the rest is served."),
        row(
            "Head",
            graph("Series", (f"prometheus_tsdb_head_series{{{SELF}}}", "all"), (f"prometheus_tsdb_head_stale_series{{{SELF}}}", "ended"), w=8),
            graph("Series that come and go", (rate("prometheus_tsdb_head_series_created_total"), "new"), (rate("prometheus_tsdb_head_series_removed_total"), "gone"), unit="cps", w=8),
            graph("Samples", (rate("prometheus_tsdb_head_samples_appended_total", "type"), "{{type}}"), (rate("prometheus_tsdb_head_out_of_order_samples_appended_total"), "out of order"), unit="cps", w=8),
        ),
        row(
            "Refused",
            graph("Samples", (rate("prometheus_tsdb_out_of_bound_samples_total"), "too old for the head"), (rate("prometheus_tsdb_out_of_order_samples_total"), "out of order"), (rate("prometheus_tsdb_too_old_samples_total"), "too old"), unit="cps"),
            graph("Series over the limit", (rate("prometheus_tsdb_head_series_refused_total"), "refused"), unit="cps"),
        ),
        row(
            "Compaction",
            graph("Compactions", (rate("prometheus_tsdb_compactions_total"), "done"), (rate("prometheus_tsdb_compactions_failed_total"), "failed"), (rate("prometheus_tsdb_vertical_compactions_total"), "of blocks that overlap"), unit="cps", w=8),
            graph("Time", (quantile(0.9, "prometheus_tsdb_compaction_duration_seconds"), "90 % within"), unit="s", w=8),
            graph("Blocks removed", (rate("prometheus_tsdb_time_retentions_total"), "too old"), (rate("prometheus_tsdb_size_retentions_total"), "too large together"), unit="cps", w=8),
        ),
        tags=["self", "metrics"], variables=[JOB],
    )


def wal():
    return dashboard(
        "wal", "Write-ahead log", "What is acknowledged is in here first.",
        graph("Size", (f"prometheus_tsdb_wal_storage_size_bytes{{{SELF}}}", "log"), (f"prometheus_tsdb_out_of_order_wbl_storage_size_bytes{{{SELF}}}", "of samples out of order"), unit="bytes"),
        graph("Pages written", (rate("prometheus_tsdb_wal_page_flushes_total"), "flushes"), (rate("prometheus_tsdb_wal_completed_pages_total"), "full pages"), unit="cps"),
        graph("Time of a sync", (mean("prometheus_tsdb_wal_fsync_duration_seconds"), "mean"), unit="s"),
        graph("Bytes", (rate("prometheus_tsdb_wal_record_parts_bytes_written_total"), "written"), (rate("prometheus_tsdb_wal_record_bytes_saved_total"), "saved by compression"), unit="Bps"),
        graph("Failures", (rate("prometheus_tsdb_wal_writes_failed_total"), "writes"), (rate("prometheus_tsdb_wal_truncations_failed_total"), "truncations"), (rate("prometheus_tsdb_checkpoint_creations_failed_total"), "checkpoints"), unit="cps"),
        graph("Damage found", (f"prometheus_tsdb_wal_corruptions_total{{{SELF}}}", "in the log"), (f"prometheus_tsdb_mmap_chunk_corruptions_total{{{SELF}}}", "in chunks"), (f"bartizan_tsdb_damaged_reads_total{{{SELF}}}", "while reading")),
        stat("Last replay", f"max(prometheus_tsdb_data_replay_duration_seconds{{{SELF}}})", unit="s", w=6, about="What the last start took to read the log."),
        tags=["self", "metrics"], variables=[JOB],
    )


def ingest():
    return dashboard(
        "ingest", "Pushed metrics", "What comes by remote write and OpenTelemetry.",
        graph("Samples", (rate("bartizan_ingest_samples_total", "tenant"), "{{tenant}}"), unit="cps"),
        graph("Refused", (rate("bartizan_ingest_discarded_samples_total", "reason"), "{{reason}}"), unit="cps"),
        graph("Active series", (f"sum by (tenant) (bartizan_ingest_active_series{{{SELF}}})", "{{tenant}}")),
        graph("Memory of requests", (f"bartizan_ingest_memory_bytes{{{SELF}}}", "{{instance}}"), unit="bytes"),
        graph("Labels read", (rate("bartizan_ingest_series_resolved_total"), "series"), unit="cps", about="Series whose labels had to be read, as they were not known yet."),
        graph("OpenTelemetry points", (rate("bartizan_otlp_data_points_accepted_total"), "stored"), (rate("bartizan_otlp_data_points_rejected_total"), "refused"), unit="cps"),
        tags=["self", "metrics"], variables=[JOB],
    )


def remote_write():
    of = f'{SELF},url=~"$url"'
    behind = f"time() - max by (url) (prometheus_remote_storage_queue_highest_sent_timestamp_seconds{{{of}}})"
    return dashboard(
        "remote-write", "Remote write", "What is sent on to other stores, and how far behind that is.",
        graph("Behind", (behind, "{{url}}"), unit="s", about="Age of the newest sample the other side has."),
        graph("Pending", (f"sum by (url) (prometheus_remote_storage_samples_pending{{{of}}})", "{{url}}")),
        graph("Sent", (rate("prometheus_remote_storage_samples_total", "url", of), "{{url}}"), unit="cps"),
        graph("Not sent", (rate("prometheus_remote_storage_samples_failed_total", "url", of), "refused, {{url}}"), (rate("prometheus_remote_storage_samples_dropped_total", "url", of), "dropped, {{url}}"), (rate("prometheus_remote_storage_samples_retried_total", "url", of), "tried again, {{url}}"), unit="cps"),
        graph("Shards", (f"prometheus_remote_storage_shards{{{of}}}", "{{url}}"), (f"prometheus_remote_storage_shards_desired{{{of}}}", "wanted, {{url}}")),
        graph("Bytes", (rate("prometheus_remote_storage_bytes_total", "url", of), "{{url}}"), unit="Bps"),
        tags=["self", "metrics"], variables=[JOB, choice("url", "Destination", "prometheus_remote_storage_shards", "url")],
    )


def query_cost():
    return dashboard(
        "query-cost", "Query cost", "Who asks what, how long it takes, and what it reads.",
        stat("At a time", f"max(prometheus_engine_queries_concurrent_max{{{SELF}}})", about="Queries that may run at once; others wait."),
        stat("Samples read", rate("prometheus_engine_query_samples_total"), unit="cps", w=5),
        stat("Requests", rate("prometheus_http_requests_total", selector=f'{SELF},handler=~".*query.*"'), unit="reqps", w=5),
        stat("Slowest tenth", quantile(0.9, "prometheus_http_request_duration_seconds"), unit="s", w=5),
        stat("Pages skipped", f"sum(rate(loki_store_page_groups_skipped_total{{{SELF}}}[{R}])) / sum(rate(loki_store_page_groups_considered_total{{{SELF}}}[{R}]))", unit="percentunit", w=5, about="Share of the pages of logs that filters kept from being read."),
        row(
            "Metrics",
            graph("Time of the parts of a query", (mean("prometheus_engine_query_duration_seconds", "slice"), "{{slice}}"), unit="s"),
            graph("Samples read", (rate("prometheus_engine_query_samples_total"), "samples"), unit="cps"),
        ),
        row(
            "Requests",
            heat("Time", f'sum by (le) (increase(prometheus_http_request_duration_seconds_bucket{{{SELF},handler=~".*query.*"}}[{R}]))'),
            bars("Time spent, by path", (f"topk(10, sum by (handler) (rate(prometheus_http_request_duration_seconds_sum{{{SELF}}}[5m])))", "{{handler}}"), unit="s"),
        ),
        tags=["self"], variables=[JOB],
    )


def http():
    return dashboard(
        "http", "HTTP", "Requests to this server.",
        graph("Requests", (rate("prometheus_http_requests_total", "handler"), "{{handler}}"), unit="reqps", stack=True),
        graph("Errors", (rate("prometheus_http_requests_total", "handler, code", f'{SELF},code=~"4..|5.."'), "{{code}} {{handler}}"), unit="reqps"),
        graph("Slowest tenth", (quantile(0.9, "prometheus_http_request_duration_seconds", "handler"), "{{handler}}"), unit="s"),
        graph("Bytes sent", (f"sum by (handler) (rate(prometheus_http_response_size_bytes_sum{{{SELF}}}[{R}]))", "{{handler}}"), unit="Bps", stack=True),
        tags=["self"], variables=[JOB],
    )


def rules():
    return dashboard(
        "rules", "Rules", "Recording and alerting rules: how long they take, and whether they work.",
        table("Groups", ("Rules", f"sum by (rule_group) (prometheus_rule_group_rules{{{SELF}}})", "short"), ("Last took", f"max by (rule_group) (prometheus_rule_group_last_duration_seconds{{{SELF}}})", "s"), ("Interval", f"max by (rule_group) (prometheus_rule_group_interval_seconds{{{SELF}}})", "s"), ("Samples", f"sum by (rule_group) (prometheus_rule_group_last_evaluation_samples{{{SELF}}})", "short"), by=["rule_group"]),
        graph("Evaluations", (rate("prometheus_rule_evaluations_total"), "rules"), unit="cps"),
        graph("Failures", (rate("prometheus_rule_evaluation_failures_total", "rule_group"), "failed, {{rule_group}}"), (rate("prometheus_rule_group_iterations_missed_total", "rule_group"), "missed, {{rule_group}}"), unit="cps"),
        graph("Share of the interval used", (f"topk(10, prometheus_rule_group_last_duration_seconds{{{SELF}}} / prometheus_rule_group_interval_seconds{{{SELF}}})", "{{rule_group}}"), unit="percentunit", about="A group that needs more than its interval misses evaluations."),
        graph("Alerts told to Alertmanagers", (rate("prometheus_notifications_sent_total", "alertmanager"), "{{alertmanager}}"), (rate("prometheus_notifications_errors_total", "alertmanager"), "failed, {{alertmanager}}"), (rate("prometheus_notifications_dropped_total"), "dropped"), unit="cps"),
        tags=["self", "alerts"], variables=[JOB],
    )


def alerts():
    return dashboard(
        "alerts", "Alerts", "What fires, and who was told.",
        stat("Firing", 'count(ALERTS{alertstate="firing"}) or vector(0)', colours=rising(1, 10), w=6),
        stat("Pending", 'count(ALERTS{alertstate="pending"}) or vector(0)', w=6),
        stat("Silences", f'sum(alertmanager_silences{{{SELF},state="active"}})', w=6),
        stat("Notifications failing", rate("alertmanager_notifications_failed_total"), unit="cps", colours=rising(0.0001, 0.01), w=6),
        table("Firing now", ("Alerts", 'count by (alertname, severity) (ALERTS{alertstate="firing"})', "short"), by=["alertname", "severity"], w=12),
        graph("Firing", ('count by (alertname) (ALERTS{alertstate="firing"})', "{{alertname}}"), stack=True, h=9),
        row(
            "Notifications",
            graph("Sent", (rate("alertmanager_notifications_total", "integration"), "{{integration}}"), unit="cps", w=8),
            graph("Failed", (rate("alertmanager_notifications_failed_total", "integration, reason"), "{{integration}} {{reason}}"), unit="cps", w=8),
            graph("Held back", (rate("alertmanager_notifications_suppressed_total", "reason"), "{{reason}}"), unit="cps", w=8, about="Silenced, inhibited, or out of hours."),
            graph("Slowest tenth", (quantile(0.9, "alertmanager_notification_latency_seconds", "integration"), "{{integration}}"), unit="s"),
            graph("Alerts known", (f"sum by (state) (alertmanager_alerts{{{SELF}}})", "{{state}}"), (f"alertmanager_dispatcher_aggregation_groups{{{SELF}}}", "groups")),
        ),
        tags=["self", "alerts"], variables=[JOB],
    )


def logs_ingest():
    return dashboard(
        "logs-ingest", "Log ingestion", "Log lines on their way to the disk.",
        stat("Lines", rate("loki_ingester_entries_total"), unit="cps"),
        stat("Bytes", rate("loki_ingester_wal_logged_bytes_total"), unit="Bps"),
        stat("Streams in memory", f"sum(loki_ingester_memory_streams{{{SELF}}})"),
        stat("In memory", f"sum(loki_ingester_memory_bytes{{{SELF}}})", unit="bytes", about="Lines that are in the log, and in no object yet."),
        stat("Log on disk", f"sum(loki_ingester_wal_disk_bytes{{{SELF}}})", unit="bytes"),
        stat("Waiting to be flushed", f"sum(loki_ingester_flush_queue_length{{{SELF}}})"),
        graph("Lines", (rate("loki_ingester_entries_total"), "stored"), (rate("loki_ingester_duplicate_entries_total"), "twice the same"), unit="cps"),
        graph("Pushes refused", (rate("loki_ingester_refused_pushes_total", "reason"), "{{reason}}"), (rate("loki_ingester_wal_disk_full_failures_total"), "disk full"), unit="cps"),
        graph("Syncs of the log", (rate("loki_ingester_wal_commits_total"), "syncs"), (rate("loki_ingester_wal_records_logged_total"), "pushes"), unit="cps", about="Pushes that come at the same time share a sync."),
        graph("Time of a flush", (quantile(0.9, "loki_ingester_flush_duration_seconds"), "90 % within"), unit="s"),
        tags=["self", "logs"], variables=[JOB],
    )


def logs_storage():
    return dashboard(
        "logs-storage", "Log storage", "Objects of log lines: written, joined, read, removed.",
        graph("Bytes written", (rate("loki_ingester_chunk_stored_bytes_total"), "flushed"), (rate("loki_compactor_written_bytes_total"), "compacted"), unit="Bps"),
        graph("Compactions", (rate("loki_compactor_compactions_total"), "done"), (rate("loki_compactor_compactions_lost_total"), "another was faster"), (rate("loki_compactor_compaction_failures_total"), "failed"), unit="cps"),
        graph("Removed", (rate("loki_compactor_objects_deleted_total"), "objects"), (rate("loki_compactor_orphans_deleted_total"), "objects nobody names"), unit="cps"),
        graph("Lines too old", (rate("loki_compactor_expired_entries_total"), "lines"), unit="cps"),
        graph("Pages of queries", (rate("loki_store_page_groups_considered_total"), "looked at"), (rate("loki_store_page_groups_skipped_total"), "not read, thanks to filters"), unit="cps"),
        graph("Damage", (f"loki_store_damaged_objects_total{{{SELF}}}", "objects set aside"), (f"loki_ingester_wal_corruptions_total{{{SELF}}}", "records of the log"), about="Named in the log of this server; the rest is served."),
        tags=["self", "logs"], variables=[JOB],
    )


def logs_volume():
    of = '{service_name=~"$service"}'
    return dashboard(
        "logs-volume", "Log volume", "Which services log how much, and what of it is trouble.",
        log_graph("Lines", (f"sum by (service_name) (count_over_time({of}[$__auto]))", "{{service_name}}"), w=24),
        log_graph("By level", (f"sum by (detected_level) (count_over_time({of}[$__auto]))", "{{detected_level}}")),
        log_graph("Bytes", (f"sum by (service_name) (bytes_over_time({of}[$__auto]))", "{{service_name}}"), unit="bytes"),
        log_lines("Errors", of + ' | detected_level=~"error|critical|fatal"'),
        tags=["logs"], variables=[choice("service", "Service", '{service_name=~".+"}', "service_name", source=LOGS)], logs=True, metrics=False,
    )


def bucket():
    return dashboard(
        "bucket", "Bucket", "What goes to and comes from object storage.",
        graph("Written", (rate("loki_ingester_chunk_stored_bytes_total"), "flushed"), (rate("loki_compactor_written_bytes_total"), "compacted"), unit="Bps"),
        graph("Objects", (rate("loki_ingester_chunks_flushed_total"), "put"), (rate("loki_compactor_objects_deleted_total"), "deleted"), unit="cps"),
        graph("Failures", (rate("loki_ingester_flush_failures_total"), "flushes"), (rate("loki_compactor_compaction_failures_total"), "compactions"), unit="cps"),
        graph("Waiting for the bucket", (f"loki_ingester_wal_disk_bytes{{{SELF}}}", "log on disk"), (f"loki_ingester_memory_bytes{{{SELF}}}", "in memory"), unit="bytes", about="Grows while the bucket is away; nothing acknowledged is lost."),
        tags=["self", "logs"], variables=[JOB],
    )


def process():
    return dashboard(
        "process", "Process", "What the system gives this server.",
        graph("Processor", (f"rate(process_cpu_seconds_total{{{SELF}}}[{R}])", "{{instance}}"), unit="none", about="Cores in use."),
        graph("Memory", (f"process_resident_memory_bytes{{{SELF}}}", "resident"), (f"process_virtual_memory_bytes{{{SELF}}}", "reserved addresses"), unit="bytes"),
        graph("Open files", (f"process_open_fds{{{SELF}}}", "open"), (f"process_max_fds{{{SELF}}}", "allowed")),
        graph("Threads", (f"process_threads{{{SELF}}}", "{{instance}}")),
        stat("Running since", f"max(process_start_time_seconds{{{SELF}}}) * 1000", unit="dateTimeFromNow", w=6, graph="none"),
        table("Versions", ("Servers", f"count by (version, revision) (bartizan_build_info{{{SELF}}})", "short"), by=["version", "revision"], w=18, h=6),
        tags=["self"], variables=[JOB],
    )


def churn():
    return dashboard(
        "cardinality", "Series and churn", "Where series come from, and which do not last.",
        graph("Series", (f"prometheus_tsdb_head_series{{{SELF}}}", "{{instance}}")),
        graph("New series", (rate("prometheus_tsdb_head_series_created_total"), "a second"), unit="cps"),
        bars("Largest jobs", ("topk(15, sum by (job) (scrape_samples_post_metric_relabeling))", "{{job}}")),
        bars("Most new series in an hour", ("topk(15, sum by (job) (sum_over_time(scrape_series_added[1h])))", "{{job}}")),
        table("Largest metrics", ("Series", 'topk(30, count by (__name__) ({__name__=~".+"}))', "short"), by=["__name__"]),
        tags=["self", "metrics"], variables=[JOB],
    )


def dashboards():
    return [
        overview(), scrape(), targets(), discovery(), tsdb(), wal(), ingest(), remote_write(), query_cost(), http(),
        rules(), alerts(), logs_ingest(), logs_storage(), logs_volume(), bucket(), process(), churn(),
    ]
