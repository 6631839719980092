//! What evaluates queries, for all who ask: the API, and rules.

use std::sync::Arc;

use base::ByteBudget;
use promql::engine::{Engine, EngineOptions};

use super::settings::Settings;

/// The engine, and the memory all queries share. Clones share both.
#[derive(Clone)]
pub struct Querying {
    /// Evaluates queries.
    pub engine: Arc<Engine>,
    /// The memory all queries share.
    pub budget: ByteBudget,
}

impl Querying {
    /// As the flags ask for.
    pub fn new(settings: &Settings) -> Self {
        let (args, features) = (&settings.args, &settings.features);
        let engine = Engine::new(EngineOptions {
            lookback: args.lookback_delta.value,
            max_samples: args.query_max_samples,
            timeout: args.query_timeout.value,
            parse: features.parse_options(),
            delayed_name_removal: features.delayed_name_removal,
            type_and_unit_labels: features.type_and_unit_labels,
            start_timestamps: features.use_start_timestamps,
            per_step_stats: features.per_step_stats,
            ..EngineOptions::default()
        });
        let max_bytes = usize::try_from(args.query_max_memory.value).unwrap_or(usize::MAX);
        Self { engine: Arc::new(engine), budget: ByteBudget::new("query.max-memory", max_bytes) }
    }
}
