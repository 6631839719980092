//! What evaluates queries, for all who ask: the API, and rules.

use std::sync::Arc;

use api::queries::QueryList;
use base::ByteBudget;
use base::clock::SharedClock;
use promql::engine::{Engine, EngineOptions};

use super::settings::Settings;

/// Rules have memory of their own, as much as this part of that for queries.
const RULES_PART: usize = 4;

/// The engine, and the memory queries share. Clones share both.
#[derive(Clone)]
pub struct Querying {
    /// Evaluates queries.
    pub engine: Arc<Engine>,
    /// Evaluates those of rules.
    pub rules_engine: Arc<Engine>,
    /// The memory queries of users share.
    pub budget: ByteBudget,
    /// The queries of users that run, of metrics and of logs.
    pub queries: Arc<QueryList>,
    /// The memory queries of rules share: whatever users ask, alerts are still evaluated.
    pub rules_budget: ByteBudget,
}

impl Querying {
    /// As the flags ask for.
    pub fn new(settings: &Settings, clock: SharedClock) -> Self {
        let (args, features) = (&settings.args, &settings.features);
        let options = EngineOptions {
            lookback: args.lookback_delta.value,
            max_samples: args.query_max_samples,
            timeout: args.query_timeout.value,
            parse: features.parse_options(),
            delayed_name_removal: features.delayed_name_removal,
            type_and_unit_labels: features.type_and_unit_labels,
            start_timestamps: features.use_start_timestamps,
            per_step_stats: features.per_step_stats,
            ..EngineOptions::default()
        };
        let rules_engine = Arc::new(Engine::new(EngineOptions { background: true, ..options.clone() }));
        let engine = Arc::new(Engine::new(options));
        let max_bytes = usize::try_from(args.query_max_memory.value).unwrap_or(usize::MAX);
        let budget = ByteBudget::new("query.max-memory", max_bytes);
        let rules_budget =
            ByteBudget::new("a quarter of query.max-memory, for rules", max_bytes / RULES_PART);
        let queries = Arc::new(QueryList::new(clock));
        Self { engine, rules_engine, budget, queries, rules_budget }
    }
}
