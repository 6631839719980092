//! Rules about logs: evaluated on the storage of logs, written to that of metrics; alerts go where others go.
//!
//! They come from files ([`LogRuleSettings::files`]), which belong to the default tenant, and from clients, which put
//! them into a store through the API. A manager of its own evaluates the rules of each tenant.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use api::handlers::log_rules::{LogRules as Api, LogRulesProblem, LogRulesState};
use api::state::RuleGroupView;
use base::clock::SharedClock;
use base::metrics::Registry;
use base::{ByteBudget, CancelFlag, ErrorKind};
use config::{Config, NameValidation};
use model::TenantId;
use model::logs::LogSource;
use parking_lot::Mutex;
use rules::expression::{LogQl, LogQlLanguage, QueryLimits};
use rules::file::{FileOptions, RuleFile, namespaces_yaml};
use rules::group::{Evaluator, GroupDefaults, Permits};
use rules::manager::{Manager, RuleSettings};
use rules::metrics::Metrics;
use rules::notify::LinkingTo;
use rules::store::{Namespaces, RuleStore, StoreError, StoreLimits};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::rules::{external_url, group_view, rule_files};
use super::settings::Settings;
use super::storage::Opened;
use super::system::Reloadable;

/// Groups of a tenant evaluated at once.
const SLOTS: usize = 4;
/// Rules of a group evaluated at once, beyond the first.
const AT_ONCE: usize = 4;
/// Series of the result of a rule.
const MAX_SERIES: usize = 500;
/// Between the name of a tenant and that of a namespace, where a metric is about both.
const OF_TENANT: char = '/';

/// Where rules about logs come from.
#[derive(Debug, Clone)]
pub struct LogRuleSettings {
    /// The folder of those that clients made.
    pub path: PathBuf,
    /// Patterns of files with others.
    pub files: Vec<PathBuf>,
}

/// What rules about logs are made from.
pub struct Sources {
    /// The logs.
    pub logs: Arc<dyn LogSource>,
    /// Where series are written.
    pub opened: Opened,
    /// Who is told.
    pub sink: LinkingTo,
    /// Memory of queries.
    pub budget: ByteBudget,
}

/// The rules about logs. Clones share them.
#[derive(Clone)]
pub struct LogRules(Arc<Inner>);

struct Inner {
    place: LogRuleSettings,
    sources: Sources,
    evaluation: Evaluation,
    state: Mutex<State>,
    /// Rings when rules were changed by a client.
    changed: Notify,
    runtime: Handle,
}

/// What all tenants' rules are evaluated with.
struct Evaluation {
    clock: SharedClock,
    metrics: Metrics,
    query_timeout: Duration,
    resend_delay: Duration,
    outage_tolerance: Duration,
    grace_period: Duration,
}

#[derive(Default)]
struct State {
    store: Option<Arc<RuleStore>>,
    /// What the configuration says, once it was applied.
    defaults: Option<(GroupDefaults, NameValidation)>,
    managers: BTreeMap<String, Arc<Manager>>,
    stopped: bool,
}

impl LogRules {
    /// Nothing is evaluated until a configuration is applied. Must be called within a tokio runtime.
    pub fn new(
        place: LogRuleSettings,
        settings: &Settings,
        registry: &Registry,
        clock: SharedClock,
        sources: Sources,
    ) -> Self {
        let alerting = &settings.args.alerting;
        let evaluation = Evaluation {
            clock,
            // The names of the reference's metrics.
            metrics: Metrics::with_prefix(registry, "loki_"),
            query_timeout: settings.args.query_timeout.value,
            resend_delay: alerting.resend_delay.value,
            outage_tolerance: alerting.for_outage_tolerance.value,
            grace_period: alerting.for_grace_period.value,
        };
        let (state, changed, runtime) = (Mutex::default(), Notify::new(), Handle::current());
        let rules = Self(Arc::new(Inner { place, sources, evaluation, state, changed, runtime }));
        tokio::spawn(follow(rules.clone()));
        rules
    }

    /// The paths of the API about them.
    pub fn routes(&self) -> axum::Router {
        api::handlers::log_rules::router(LogRulesState { rules: Arc::new(self.clone()), multi_tenant: false })
    }

    /// Ends evaluation.
    pub async fn stop(&self) {
        let managers = {
            let mut state = self.0.state.lock();
            state.stopped = true;
            std::mem::take(&mut state.managers)
        };
        self.0.changed.notify_one();
        for manager in managers.into_values() {
            manager.stop().await;
        }
    }
}

/// Makes what clients changed the rules that are evaluated. A change is acknowledged before that: it waits for
/// evaluations under way.
async fn follow(rules: LogRules) {
    loop {
        rules.0.changed.notified().await;
        if rules.0.state.lock().stopped {
            return;
        }
        let applying = rules.clone();
        match tokio::task::spawn_blocking(move || applying.0.apply()).await {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => tracing::error!(problem, "rules about logs were changed, but not taken"),
            Err(error) => tracing::error!(%error, "taking rules about logs ended by a defect"),
        }
    }
}

impl Inner {
    /// Evaluates what the store and the files say. Blocks.
    fn apply(&self) -> Result<(), String> {
        let _runtime = self.runtime.enter();
        let (store, (defaults, names), mut known) = {
            let state = self.state.lock();
            let (Some(store), Some(defaults)) = (&state.store, &state.defaults) else { return Ok(()) };
            (store.clone(), defaults.clone(), state.managers.clone())
        };
        let files = rule_files(&self.place.files)?;
        let default = TenantId::default();
        let mut tenants = store.tenants();
        if !tenants.contains(&default) {
            tenants.push(default.clone());
        }
        for tenant in tenants {
            let manager = known.entry(tenant.0.to_string());
            let manager = manager.or_insert_with(|| Arc::new(self.manager(&tenant))).clone();
            let embedded = store.namespaces(&tenant).into_iter().map(|(namespace, groups)| {
                let text = RuleFile { groups, warnings: Vec::new() }.to_yaml();
                (shown_file(&tenant, &namespace), text)
            });
            let files = if tenant == default { files.clone() } else { Vec::new() };
            let (embedded, defaults) = (embedded.collect(), defaults.clone());
            manager.update(&RuleSettings { files, embedded, defaults, names })?;
        }
        let mut state = self.state.lock();
        if !state.stopped {
            state.managers = known;
            return Ok(());
        }
        drop(state);
        known.into_values().for_each(|manager| self.runtime.block_on(manager.stop()));
        Ok(())
    }

    fn manager(&self, tenant: &TenantId) -> Manager {
        let (sources, evaluation) = (&self.sources, &self.evaluation);
        let limits = QueryLimits {
            tenant: tenant.clone(),
            timeout: evaluation.query_timeout,
            budget: sources.budget.clone(),
            clock: evaluation.clock.clone(),
        };
        let evaluator = Evaluator {
            queries: Arc::new(LogQl::new(sources.logs.clone(), limits.clone(), MAX_SERIES)),
            language: Arc::new(LogQlLanguage),
            appendable: Arc::new(sources.opened.clone()),
            source: Arc::new(sources.opened.clone()),
            limits,
            tenant: tenant.clone(),
            sink: Arc::new(sources.sink.clone()),
            clock: evaluation.clock.clone(),
            metrics: evaluation.metrics.clone(),
            resend_delay: evaluation.resend_delay,
            outage_tolerance: evaluation.outage_tolerance,
            grace_period: evaluation.grace_period,
            concurrency: Permits::new(AT_ONCE),
            cancel: CancelFlag::new(),
        };
        Manager::new(evaluator, SLOTS)
    }

    fn store(&self) -> Result<Arc<RuleStore>, LogRulesProblem> {
        let text = "rules are not read yet".to_owned();
        self.state.lock().store.clone().ok_or(LogRulesProblem { kind: ErrorKind::Unavailable, text })
    }

    /// How texts of rules are read.
    fn options(names: NameValidation) -> FileOptions<'static> {
        FileOptions { language: &LogQlLanguage, names, ignore_unknown_fields: false }
    }
}

impl Reloadable for LogRules {
    /// Runs on a blocking thread, as reloads do.
    fn reload(&self, settings: &Settings, config: &Config) -> Result<(), String> {
        let inner = &self.0;
        let global = &config.file.global;
        let names = global.metric_name_validation_scheme.unwrap_or(NameValidation::Utf8);
        {
            let mut state = inner.state.lock();
            if state.store.is_none() {
                let options = Inner::options(names);
                let store = RuleStore::open(&inner.place.path, StoreLimits::default(), &options);
                state.store = Some(Arc::new(store.map_err(|error| error.to_string())?));
            }
            let defaults = GroupDefaults {
                interval_ms: global.evaluation_interval.as_ms(),
                query_offset_ms: global.rule_query_offset.as_ms(),
                external_labels: config.external_labels.clone(),
                external_url: external_url(settings),
            };
            state.defaults = Some((defaults, names));
        }
        inner.apply()
    }
}

/// The name of a namespace among those of all tenants.
fn shown_file(tenant: &TenantId, namespace: &str) -> String {
    if *tenant == TenantId::default() {
        namespace.to_owned()
    } else {
        format!("{}{OF_TENANT}{namespace}", tenant.0)
    }
}

/// The path at which a query of logs can be looked at: that of Grafana's "explore", as the reference has it.
pub fn explore_link(expression: &str) -> String {
    let left = serde_json::json!({
        "queries": [{ "datasource": { "type": "loki" }, "expr": expression, "queryType": "instant", "refId": "A" }],
        "range": { "from": "now-1h", "to": "now" },
    });
    let left = left.to_string();
    format!("/explore?left={}", url::form_urlencoded::byte_serialize(left.as_bytes()).collect::<String>())
}

fn problem(error: StoreError) -> LogRulesProblem {
    let kind = match &error {
        StoreError::NoGroup | StoreError::NoNamespace => ErrorKind::NotFound,
        StoreError::Name(_) => ErrorKind::InvalidInput,
        StoreError::Groups { .. } | StoreError::Rules { .. } => ErrorKind::LimitExceeded,
        StoreError::Io { .. } => {
            tracing::error!(%error, "rules cannot be stored");
            ErrorKind::Storage
        }
    };
    LogRulesProblem { kind, text: error.to_string() }
}

impl Api for LogRules {
    fn namespaces_yaml(
        &self,
        tenant: &TenantId,
        namespace: Option<&str>,
    ) -> Result<Option<String>, LogRulesProblem> {
        let mut all: Namespaces = self.0.store()?.namespaces(tenant);
        all.retain(|name, _| namespace.is_none_or(|wanted| wanted == name));
        Ok((!all.is_empty()).then(|| namespaces_yaml(&all)))
    }

    fn group_yaml(
        &self,
        tenant: &TenantId,
        namespace: &str,
        group: &str,
    ) -> Result<Option<String>, LogRulesProblem> {
        let all = self.0.store()?.namespaces(tenant);
        let groups = all.get(namespace).map(Vec::as_slice).unwrap_or_default();
        Ok(groups.iter().find(|one| one.name == group).map(rules::file::RuleGroup::to_yaml))
    }

    fn put(&self, tenant: &TenantId, namespace: &str, yaml: &str) -> Result<(), LogRulesProblem> {
        let store = self.0.store()?;
        let names = self.0.state.lock().defaults.as_ref().map_or(NameValidation::Utf8, |(_, names)| *names);
        let group = RuleFile::parse_group(yaml, &Inner::options(names)).map_err(|faults| {
            let text = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            LogRulesProblem { kind: ErrorKind::InvalidInput, text }
        })?;
        store.put(tenant, namespace, group).map_err(problem)?;
        self.0.changed.notify_one();
        Ok(())
    }

    fn remove(&self, tenant: &TenantId, namespace: &str, group: Option<&str>) -> Result<(), LogRulesProblem> {
        let store = self.0.store()?;
        let removed = match group {
            Some(group) => store.remove_group(tenant, namespace, group),
            None => store.remove_namespace(tenant, namespace),
        };
        removed.map_err(problem)?;
        self.0.changed.notify_one();
        Ok(())
    }

    fn groups(&self, tenant: &TenantId, with_alerts: bool) -> Vec<RuleGroupView> {
        let Some(manager) = self.0.state.lock().managers.get(&*tenant.0).cloned() else { return Vec::new() };
        let prefix = shown_file(tenant, "");
        let shown = manager.groups().into_iter().map(|group| {
            let mut view = group_view(&group, with_alerts);
            if let Some(namespace) = view.file.strip_prefix(&prefix) {
                view.file = namespace.to_owned();
            }
            view
        });
        shown.collect()
    }
}
