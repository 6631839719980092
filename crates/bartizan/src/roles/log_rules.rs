//! Rules about logs: evaluated on the storage of logs, written to that of metrics; alerts go where others go.
//!
//! They come from files, from others ([`elsewhere`]: a folder with one of files for each tenant, or a bucket), and from clients, which
//! put them into a store through the API ([`LogRuleSettings`]). A manager of its own evaluates the rules of each tenant.

pub mod elsewhere;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use api::handlers::log_rules::{LogRules as Api, LogRulesProblem, LogRulesState};
use api::state::RuleGroupView;
use arc_swap::ArcSwap;
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

use self::elsewhere::{Elsewhere, Found};
use super::logs::limits::{RuleLimits, TenantRuleLimits};
use super::rules::{external_url, group_view, rule_files};
use super::settings::Settings;
use super::storage::Opened;
use super::system::Reloadable;

/// Groups of a tenant evaluated at once.
const SLOTS: usize = 4;
/// Rules of a group evaluated at once, beyond the first.
const AT_ONCE: usize = 4;
/// Between the name of a tenant and that of a namespace, where a metric is about both.
const OF_TENANT: char = '/';

/// Where rules about logs come from.
#[derive(Debug, Clone)]
pub struct LogRuleSettings {
    /// The folder of those that clients made.
    pub path: PathBuf,
    /// Patterns of files with others, which belong to the tenant of all requests.
    pub files: Vec<PathBuf>,
    /// Where others bring rules, and how often to look whether these changed.
    pub elsewhere: Option<(Elsewhere, Duration)>,
}

/// How rules about logs are evaluated.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// How long to wait before an alert is sent again.
    pub resend_delay: Duration,
    /// How long an outage may be after which the state of alerts is taken up again.
    pub outage_tolerance: Duration,
    /// How long, at least, an alert is pending after its state was taken up.
    pub grace_period: Duration,
    /// Whether requests say whose rules they are about.
    pub multi_tenant: bool,
    /// The tenant of all requests where they do not.
    pub only_tenant: TenantId,
    /// What tenants may have.
    pub limits: RuleLimits,
}

impl Evaluation {
    /// As the flags say, for one tenant.
    pub fn of(settings: &Settings) -> Self {
        let alerting = &settings.args.alerting;
        let all = TenantRuleLimits {
            query_timeout: settings.args.query_timeout.value,
            ..TenantRuleLimits::default()
        };
        Self {
            resend_delay: alerting.resend_delay.value,
            outage_tolerance: alerting.for_outage_tolerance.value,
            grace_period: alerting.for_grace_period.value,
            multi_tenant: false,
            only_tenant: TenantId::default(),
            limits: RuleLimits { default: all, ..RuleLimits::default() },
        }
    }
}

/// Where the series of a tenant's rules are written, and the state of its alerts is read after a restart.
pub type StorageOf = Box<dyn Fn(&TenantId) -> Result<Opened, String> + Send + Sync>;

/// What rules about logs are made from.
pub struct Sources {
    /// The logs.
    pub logs: Arc<dyn LogSource>,
    /// Where series are written.
    pub storage: StorageOf,
    /// Who is told.
    pub sink: LinkingTo,
    /// Memory of queries.
    pub budget: ByteBudget,
    /// Time.
    pub clock: SharedClock,
}

/// The rules about logs. Clones share them.
#[derive(Clone)]
pub struct LogRules(Arc<Inner>);

struct Inner {
    place: LogRuleSettings,
    sources: Sources,
    evaluation: Evaluation,
    limits: ArcSwap<RuleLimits>,
    /// The names of the reference's metrics.
    metrics: Metrics,
    state: Mutex<State>,
    /// Rings when rules were changed by a client.
    changed: Notify,
    runtime: Handle,
}

#[derive(Default)]
struct State {
    store: Option<Arc<RuleStore>>,
    /// What the configuration says, once it was applied.
    defaults: Option<(GroupDefaults, NameValidation)>,
    /// What others had brought when rules were taken from there last.
    found: Arc<Found>,
    managers: BTreeMap<String, Arc<Manager>>,
    stopped: bool,
}

impl LogRules {
    /// Nothing is evaluated until a configuration is applied. Must be called within a tokio runtime.
    pub fn new(
        place: LogRuleSettings,
        evaluation: Evaluation,
        registry: &Registry,
        sources: Sources,
    ) -> Self {
        let limits = ArcSwap::from_pointee(evaluation.limits.clone());
        let (state, changed, runtime) = (Mutex::default(), Notify::new(), Handle::current());
        let metrics = Metrics::with_prefix(registry, "loki_");
        let inner = Inner { place, sources, evaluation, limits, metrics, state, changed, runtime };
        let rules = Self(Arc::new(inner));
        tokio::spawn(follow(rules.clone()));
        rules
    }

    /// The paths of the API about them.
    pub fn routes(&self) -> axum::Router {
        let Evaluation { multi_tenant, only_tenant, .. } = self.0.evaluation.clone();
        let rules = Arc::new(self.clone());
        api::handlers::log_rules::router(LogRulesState { rules, multi_tenant, only_tenant })
    }

    /// Goes on with other limits. Those of queries hold for tenants that get their first rules from now on.
    pub fn set_limits(&self, limits: RuleLimits) {
        self.0.limits.store(Arc::new(limits));
        self.0.changed.notify_one();
    }

    /// Makes these what groups take from the configuration, and evaluates what there is. Blocks.
    pub fn begin(&self, defaults: GroupDefaults, names: NameValidation) -> Result<(), String> {
        let inner = &self.0;
        {
            let mut state = inner.state.lock();
            if state.store.is_none() {
                let any = StoreLimits { max_groups: usize::MAX, max_rules: usize::MAX };
                let store = RuleStore::open(&inner.place.path, any, &Inner::options(names));
                state.store = Some(Arc::new(store.map_err(|error| error.to_string())?));
            }
            state.defaults = Some((defaults, names));
        }
        inner.apply()
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

/// Makes what clients changed, and files that did, the rules that are evaluated. A change is acknowledged before that: it waits
/// for evaluations under way.
async fn follow(rules: LogRules) {
    let never = Duration::from_secs(u32::MAX.into());
    let every =
        rules.0.place.elsewhere.as_ref().map_or(never, |(_, every)| (*every).max(Duration::from_secs(1)));
    let mut looks = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let is_look = tokio::select! {
            () = rules.0.changed.notified() => false,
            _ = looks.tick() => true,
        };
        if rules.0.state.lock().stopped {
            return;
        }
        let applying = rules.clone();
        let apply = move || if is_look { applying.0.apply_files() } else { applying.0.apply() };
        match tokio::task::spawn_blocking(apply).await {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => tracing::error!(problem, "rules about logs were changed, but not taken"),
            Err(error) => tracing::error!(%error, "taking rules about logs ended by a defect"),
        }
    }
}

impl Inner {
    /// Applies what others brought, if it changed. Blocks.
    fn apply_files(&self) -> Result<(), String> {
        let found = self.read_elsewhere()?;
        if found == *self.state.lock().found { Ok(()) } else { self.apply() }
    }

    fn read_elsewhere(&self) -> Result<Found, String> {
        self.place.elsewhere.as_ref().map_or_else(|| Ok(Found::new()), |(place, _)| place.read())
    }

    /// What others brought; what they brought before while a bucket is away.
    fn found(&self) -> Result<Arc<Found>, String> {
        let is_far = matches!(&self.place.elsewhere, Some((Elsewhere::Bucket(_), _)));
        match self.read_elsewhere() {
            Err(problem) if is_far => {
                tracing::error!(problem, "rules cannot be read; those that were read before are evaluated");
                Ok(self.state.lock().found.clone())
            }
            read => read.map(Arc::new),
        }
    }

    /// Evaluates what the store and the files say. Blocks.
    fn apply(&self) -> Result<(), String> {
        let _runtime = self.runtime.enter();
        let (store, (defaults, names), mut known) = {
            let state = self.state.lock();
            let (Some(store), Some(defaults)) = (&state.store, &state.defaults) else { return Ok(()) };
            (store.clone(), defaults.clone(), state.managers.clone())
        };
        let found = self.found()?;
        self.state.lock().found = found.clone();
        let files = rule_files(&self.place.files)?;
        let only = &self.evaluation.only_tenant;
        let mut tenants = store.tenants();
        tenants.extend(found.keys().cloned());
        tenants.extend(known.keys().map(|name| TenantId(name.as_str().into())));
        tenants.push(only.clone());
        tenants.sort();
        tenants.dedup();
        let mut failed = Vec::new();
        for tenant in tenants {
            let texts = found.get(&tenant);
            let has_rules = texts.is_some() || !store.namespaces(&tenant).is_empty() || !files.is_empty();
            if !known.contains_key(&*tenant.0) && !has_rules {
                continue;
            }
            let manager = match known.get(&*tenant.0) {
                Some(manager) => manager.clone(),
                None => {
                    let manager = Arc::new(self.manager(&tenant)?);
                    known.insert(tenant.0.to_string(), manager.clone());
                    manager
                }
            };
            let embedded = self.texts(&store, &tenant, texts);
            let files = if tenant == *only { files.clone() } else { Vec::new() };
            let offset_ms = self.limits.load().of(&tenant).query_offset_ms.max(defaults.query_offset_ms);
            let defaults = GroupDefaults { query_offset_ms: offset_ms, ..defaults.clone() };
            // The rules of one tenant keep those of no other from being taken.
            if let Err(problem) = manager.update(&RuleSettings { files, embedded, defaults, names }) {
                failed.push(format!("{}: {problem}", tenant.0));
            }
        }
        let mut state = self.state.lock();
        if !state.stopped {
            state.managers = known;
            return if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) };
        }
        drop(state);
        known.into_values().for_each(|manager| self.runtime.block_on(manager.stop()));
        Ok(())
    }

    /// The rules of a tenant as texts: those of files, and those that clients put elsewhere.
    fn texts(
        &self,
        store: &RuleStore,
        tenant: &TenantId,
        files: Option<&BTreeMap<String, String>>,
    ) -> Vec<(String, String)> {
        let shown = |namespace: &str| shown_file(&self.evaluation.only_tenant, tenant, namespace);
        let of_files = files.into_iter().flatten().map(|(name, text)| (shown(name), text.clone()));
        let of_clients = store.namespaces(tenant).into_iter();
        let of_clients = of_clients.filter(|(name, _)| files.is_none_or(|files| !files.contains_key(name)));
        let of_clients = of_clients.map(|(namespace, groups)| {
            let text = RuleFile { groups, warnings: Vec::new() }.to_yaml();
            (shown(&namespace), text)
        });
        of_files.chain(of_clients).collect()
    }

    fn manager(&self, tenant: &TenantId) -> Result<Manager, String> {
        let (sources, evaluation) = (&self.sources, &self.evaluation);
        let own = self.limits.load().of(tenant);
        let limits = QueryLimits {
            tenant: tenant.clone(),
            timeout: own.query_timeout,
            budget: sources.budget.clone(),
            clock: sources.clock.clone(),
        };
        let storage = (sources.storage)(tenant)?;
        let evaluator = Evaluator {
            queries: Arc::new(LogQl::new(sources.logs.clone(), limits.clone(), own.max_series)),
            language: Arc::new(LogQlLanguage),
            appendable: Arc::new(storage.clone()),
            source: Arc::new(storage),
            limits,
            tenant: tenant.clone(),
            sink: Arc::new(sources.sink.clone()),
            clock: sources.clock.clone(),
            metrics: self.metrics.clone(),
            resend_delay: evaluation.resend_delay,
            outage_tolerance: evaluation.outage_tolerance,
            grace_period: evaluation.grace_period,
            concurrency: Permits::new(AT_ONCE),
            cancel: CancelFlag::new(),
        };
        Ok(Manager::new(evaluator, SLOTS))
    }

    fn store(&self) -> Result<Arc<RuleStore>, LogRulesProblem> {
        let text = "rules are not read yet".to_owned();
        self.state.lock().store.clone().ok_or(LogRulesProblem { kind: ErrorKind::Unavailable, text })
    }

    /// All rules of a tenant by namespace, those of files included.
    fn namespaces(&self, tenant: &TenantId) -> Result<Namespaces, LogRulesProblem> {
        let mut all = self.store()?.namespaces(tenant);
        let found = self.state.lock().found.clone();
        for (name, text) in found.get(tenant).into_iter().flatten() {
            // What cannot be read was told where it was to be evaluated.
            if let Ok(file) = RuleFile::parse(text, &Self::options(self.names())) {
                all.insert(name.clone(), file.groups);
            }
        }
        Ok(all)
    }

    /// Refuses a change of what is in a file.
    fn check_own(&self, tenant: &TenantId, namespace: &str) -> Result<(), LogRulesProblem> {
        let is_file = self.state.lock().found.get(tenant).is_some_and(|files| files.contains_key(namespace));
        if !is_file {
            return Ok(());
        }
        let text = format!("namespace {namespace:?} is a file: it is changed where it is, not by requests");
        Err(LogRulesProblem { kind: ErrorKind::InvalidInput, text })
    }

    fn names(&self) -> NameValidation {
        self.state.lock().defaults.as_ref().map_or(NameValidation::Utf8, |(_, names)| *names)
    }

    /// How texts of rules are read.
    fn options(names: NameValidation) -> FileOptions<'static> {
        FileOptions { language: &LogQlLanguage, names, ignore_unknown_fields: false }
    }
}

impl Reloadable for LogRules {
    /// Runs on a blocking thread, as reloads do.
    fn reload(&self, settings: &Settings, config: &Config) -> Result<(), String> {
        let global = &config.file.global;
        let defaults = GroupDefaults {
            interval_ms: global.evaluation_interval.as_ms(),
            query_offset_ms: global.rule_query_offset.as_ms(),
            external_labels: config.external_labels.clone(),
            external_url: external_url(settings),
        };
        self.begin(defaults, global.metric_name_validation_scheme.unwrap_or(NameValidation::Utf8))
    }
}

/// The name of a namespace among those of all tenants.
fn shown_file(only_tenant: &TenantId, tenant: &TenantId, namespace: &str) -> String {
    if tenant == only_tenant { namespace.to_owned() } else { format!("{}{OF_TENANT}{namespace}", tenant.0) }
}

/// The path at which a query of logs can be looked at: that of Grafana's "explore", as the reference has it. `uid` is the data
/// source that is meant, empty for any.
pub fn explore_link(uid: &str, expression: &str) -> String {
    let source = match uid {
        "" => serde_json::json!({ "type": "loki" }),
        uid => serde_json::json!({ "type": "loki", "uid": uid }),
    };
    let left = serde_json::json!({
        "queries": [{ "datasource": source, "expr": expression, "queryType": "instant", "refId": "A" }],
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
        let mut all = self.0.namespaces(tenant)?;
        all.retain(|name, _| namespace.is_none_or(|wanted| wanted == name));
        Ok((!all.is_empty()).then(|| namespaces_yaml(&all)))
    }

    fn group_yaml(
        &self,
        tenant: &TenantId,
        namespace: &str,
        group: &str,
    ) -> Result<Option<String>, LogRulesProblem> {
        let all = self.0.namespaces(tenant)?;
        let groups = all.get(namespace).map(Vec::as_slice).unwrap_or_default();
        Ok(groups.iter().find(|one| one.name == group).map(rules::file::RuleGroup::to_yaml))
    }

    fn put(&self, tenant: &TenantId, namespace: &str, yaml: &str) -> Result<(), LogRulesProblem> {
        let store = self.0.store()?;
        self.0.check_own(tenant, namespace)?;
        let group = RuleFile::parse_group(yaml, &Inner::options(self.0.names())).map_err(|faults| {
            let text = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            LogRulesProblem { kind: ErrorKind::InvalidInput, text }
        })?;
        let limits = self.0.limits.load().of(tenant).store;
        store.put_within(tenant, namespace, group, limits).map_err(problem)?;
        self.0.changed.notify_one();
        Ok(())
    }

    fn remove(&self, tenant: &TenantId, namespace: &str, group: Option<&str>) -> Result<(), LogRulesProblem> {
        let store = self.0.store()?;
        self.0.check_own(tenant, namespace)?;
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
        let prefix = shown_file(&self.0.evaluation.only_tenant, tenant, "");
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
