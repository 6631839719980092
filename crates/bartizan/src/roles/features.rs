//! What `--enable-feature` switches on, and what the features endpoint tells.

use std::collections::BTreeMap;

use crate::cli::PrometheusArgs;

/// What is switched on.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs, reason = "fields are named as the features are")]
pub struct Features {
    pub auto_reload: bool,
    pub created_timestamp_zero_ingestion: bool,
    pub delayed_compaction: bool,
    pub delayed_name_removal: bool,
    pub exemplar_storage: bool,
    pub experimental_functions: bool,
    pub extended_range_selectors: bool,
    pub extra_scrape_metrics: bool,
    pub fill_modifiers: bool,
    pub memory_snapshot_on_shutdown: bool,
    pub metadata_wal_records: bool,
    pub otlp_delta_to_cumulative: bool,
    pub otlp_native_delta_ingestion: bool,
    pub per_step_stats: bool,
    pub search_api: bool,
    pub st_storage: bool,
    pub st_synthesis: bool,
    pub type_and_unit_labels: bool,
    pub use_start_timestamps: bool,
    /// Names that mean nothing.
    pub unknown: Vec<String>,
}

/// Features that are accepted and change nothing: they are always on, or belong to the runtime of the
/// program they come from.
const NO_OPS: [&str; 10] = [
    "concurrent-rule-eval",
    "histograms-st-encoding",
    "native-histograms",
    "no-default-scrape-port",
    "old-ui",
    "promql-at-modifier",
    "promql-duration-expr",
    "promql-negative-offset",
    "use-uncached-io",
    "xor2-encoding",
];

impl Features {
    /// What these names switch on.
    pub fn from_names(names: &[String]) -> Self {
        let mut features = Self::default();
        for name in names {
            match features.slot(name) {
                Some(slot) => *slot = true,
                None if name.is_empty() || NO_OPS.contains(&name.as_str()) => {}
                None => features.unknown.push(name.clone()),
            }
        }
        features
    }

    fn slot(&mut self, name: &str) -> Option<&mut bool> {
        Some(match name {
            "auto-reload-config" => &mut self.auto_reload,
            "created-timestamp-zero-ingestion" => &mut self.created_timestamp_zero_ingestion,
            "delayed-compaction" => &mut self.delayed_compaction,
            "promql-delayed-name-removal" => &mut self.delayed_name_removal,
            "exemplar-storage" => &mut self.exemplar_storage,
            "promql-experimental-functions" => &mut self.experimental_functions,
            "promql-extended-range-selectors" => &mut self.extended_range_selectors,
            "extra-scrape-metrics" => &mut self.extra_scrape_metrics,
            "promql-binop-fill-modifiers" => &mut self.fill_modifiers,
            "memory-snapshot-on-shutdown" => &mut self.memory_snapshot_on_shutdown,
            "metadata-wal-records" => &mut self.metadata_wal_records,
            "otlp-deltatocumulative" => &mut self.otlp_delta_to_cumulative,
            "otlp-native-delta-ingestion" => &mut self.otlp_native_delta_ingestion,
            "promql-per-step-stats" => &mut self.per_step_stats,
            "search-api" => &mut self.search_api,
            "st-storage" => &mut self.st_storage,
            "st-synthesis" => &mut self.st_synthesis,
            "type-and-unit-labels" => &mut self.type_and_unit_labels,
            "use-start-timestamps" => &mut self.use_start_timestamps,
            _ => return None,
        })
    }

    /// The defaults of a configuration.
    pub fn config_defaults(&self) -> config::Defaults {
        // Start timestamps come best with protobuf: OpenMetrics has them as series of their own.
        let wants_protobuf = self.created_timestamp_zero_ingestion || self.st_storage;
        config::Defaults {
            extra_scrape_metrics: self.extra_scrape_metrics,
            scrape_protocols: match wants_protobuf {
                true => config::PROTO_FIRST_SCRAPE_PROTOCOLS.to_vec(),
                false => Vec::new(),
            },
            ..config::Defaults::default()
        }
    }

    /// The options of the language.
    pub fn parse_options(&self) -> promql::parser::ParseOptions {
        promql::parser::ParseOptions {
            experimental_functions: self.experimental_functions,
            duration_expressions: true,
            extended_range_selectors: self.extended_range_selectors,
            fill_modifiers: self.fill_modifiers,
        }
    }

    /// What the features endpoint tells, by subject.
    pub fn report(
        &self,
        args: &PrometheusArgs,
        auto_reload: bool,
    ) -> BTreeMap<String, BTreeMap<String, bool>> {
        let mut report = BTreeMap::new();
        let mut add = |subject: &str, entries: &[(&str, bool)]| {
            let entries = entries.iter().map(|&(name, on)| (name.to_owned(), on)).collect::<BTreeMap<_, _>>();
            report.entry(subject.to_owned()).or_insert_with(BTreeMap::new).extend(entries);
        };
        add(
            "api",
            &[
                ("admin", args.enable_admin_api),
                ("exclude_alerts", true),
                ("label_values_match", true),
                ("lifecycle", args.enable_lifecycle),
                ("openapi_3.1", true),
                ("openapi_3.2", true),
                ("otlp_write_receiver", args.otlp.enable_otlp_receiver),
                ("query_stats", true),
                ("query_warnings", true),
                ("remote_write_receiver", args.receiving.enable_remote_write_receiver),
                ("search", self.search_api),
                ("search_fuzz_alg_jarowinkler", true),
                ("search_fuzz_alg_subsequence", true),
                ("time_range_labels", true),
                ("time_range_series", true),
            ],
        );
        add(
            "otlp_receiver",
            &[
                ("delta_conversion", self.otlp_delta_to_cumulative),
                ("native_delta_ingestion", self.otlp_native_delta_ingestion),
            ],
        );
        add(
            "prometheus",
            &[
                ("agent_mode", args.agent.agent),
                ("auto_reload_config", auto_reload),
                ("server_mode", !args.agent.agent),
            ],
        );
        let language = [
            "at_modifier",
            "bool",
            "by",
            "duration_expr",
            "group_left",
            "group_right",
            "ignoring",
            "negative_offset",
            "offset",
            "on",
            "per_query_lookback_delta",
            "subqueries",
            "without",
        ];
        add("promql", &language.map(|name| (name, true)));
        add(
            "promql",
            &[
                ("anchored", self.extended_range_selectors),
                ("smoothed", self.extended_range_selectors),
                ("delayed_name_removal", self.delayed_name_removal),
                ("fill", self.fill_modifiers),
                ("fill_left", self.fill_modifiers),
                ("fill_right", self.fill_modifiers),
                ("per_step_stats", self.per_step_stats),
                ("type_and_unit_labels", self.type_and_unit_labels),
            ],
        );
        let functions: Vec<(&str, bool)> = promql::function_table::all()
            .iter()
            .map(|function| (function.name, self.experimental_functions || !function.experimental))
            .collect();
        add("promql_functions", &functions);
        let binary = promql::ast::BinaryOp::ALL.map(|op| (op.as_str(), true));
        add("promql_operators", &binary);
        let aggregations = promql::ast::AggregateOp::ALL
            .map(|op| (op.as_str(), self.experimental_functions || !op.is_experimental()));
        add("promql_operators", &aggregations);
        add("promql_operators", &["=", "=~", "!~", "@"].map(|matcher| (matcher, true)));
        add("rules", &["concurrent_rule_eval", "keep_firing_for", "query_offset"].map(|name| (name, true)));
        add(
            "templating_functions",
            &rules::template::function_names().iter().map(|&name| (name, true)).collect::<Vec<_>>(),
        );
        add(
            "scrape",
            &[
                ("extra_scrape_metrics", true),
                ("start_timestamp_zero_ingestion", self.created_timestamp_zero_ingestion),
                ("type_and_unit_labels", self.type_and_unit_labels),
            ],
        );
        if self.st_synthesis {
            add("scrape", &[("st-synthesis", true)]);
        }
        if self.metadata_wal_records {
            add("tsdb", &[("metadata_wal_records", true)]);
        }
        add(
            "service_discovery_providers",
            &["dns", "file", "http", "static"].map(|provider| (provider, true)),
        );
        add(
            "tsdb",
            &[
                ("delayed_compaction", self.delayed_compaction),
                ("exemplar_storage", self.exemplar_storage),
                ("isolation", true),
                ("native_histograms", true),
                ("st_storage", self.st_storage),
            ],
        );
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_switch_on_and_unknown_ones_are_told() {
        let names =
            ["promql-experimental-functions", "native-histograms", "no-such-thing"].map(str::to_owned);
        let features = Features::from_names(&names);
        assert!(features.experimental_functions && !features.search_api);
        assert_eq!(features.unknown, ["no-such-thing"]);
        assert!(features.config_defaults().scrape_protocols.is_empty());
        for name in ["st-storage", "created-timestamp-zero-ingestion"] {
            let features = Features::from_names(&[name.to_owned()]);
            let protocols = features.config_defaults().scrape_protocols;
            assert_eq!(protocols[0], config::ScrapeProtocol::PrometheusProto, "{name}");
        }
        let (args, _) = crate::cli::prometheus::parse_from(["--web.enable-admin-api"]).unwrap();
        let report = features.report(&args, false);
        assert!(report["promql_operators"]["limitk"]);
        assert!(report["api"]["admin"] && !report["api"]["lifecycle"]);
    }
}
