//! Rules in Loki's seat: what rules about logs need where there is no storage of metrics beside them.
//!
//! What the rules of a tenant give goes into a small storage of its own, from which the state of alerts is taken up after a
//! restart, and on to other servers by remote write. Alerts go to the Alertmanagers of the configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use base::ByteBudget;
use base::clock::SharedClock;
use base::metrics::Registry;
use config::loki::LokiSettings;
use config::loki::storage::ObjectPlace;
use config::{Config, NameValidation};
use discovery::metrics::Metrics as DiscoveryMetrics;
use model::TenantId;
use parking_lot::Mutex;
use remote::write::{Environment, FamilyMetadata, FamilySource, RemoteWrite};
use rules::group::GroupDefaults;
use rules::notify::{Notifier, NotifyOptions};
use tokio::task::JoinHandle;
use tsdb::Db;
use tsdb::compact::retention::Retention;

use super::log_rules::elsewhere::{BucketRules, Elsewhere};
use super::log_rules::{Evaluation, LogRuleSettings, LogRules, Sources, explore_link};
use super::logs::Logs;
use super::logs::limits::RuleLimits;
use super::loki::place_of;
use super::storage::{Opened, Store};

/// What rules gave is kept for as long: it is sent on, and the state of alerts is read from it.
const KEPT_MS: i64 = 24 * 3_600_000;
/// Bytes of the log of a tenant's results that wait for servers that are away.
const HOLD_BYTES: u64 = 1 << 30;
/// How often storages are maintained.
const UPKEEP_EVERY: Duration = Duration::from_secs(60);
/// How long sending what is left may take at the end.
const FLUSH_DEADLINE: Duration = Duration::from_secs(30);
/// The most alerts of one request.
const MAX_BATCH: usize = 256;
/// Memory of the queries of all rules.
const QUERY_BYTES: usize = 256 << 20;
/// The folder of what is ours where a Loki may have had its own.
const OWN_FOLDER: &str = "bartizan";
const TENANT_HEADER: &str = "X-Scope-OrgID";

/// Rules about logs with all they need.
pub struct Ruler {
    rules: LogRules,
    notifier: Notifier,
    stores: Arc<Stores>,
    upkeep: JoinHandle<()>,
    defaults: GroupDefaults,
    config: Config,
    has_api: bool,
}

impl Ruler {
    /// Nothing is evaluated yet. Must be called within a tokio runtime.
    pub fn new(
        settings: &LokiSettings,
        limits: RuleLimits,
        only_tenant: &TenantId,
        logs: &Logs,
        clock: &SharedClock,
        registry: &Registry,
    ) -> anyhow::Result<Self> {
        let (file, section) = (&settings.file, &settings.file.ruler);
        let config = section.as_prometheus();
        let external_url = section.external_url.trim_end_matches('/').to_owned();
        let options = NotifyOptions {
            queue_capacity: usize::try_from(section.notification_queue_capacity).unwrap_or(usize::MAX),
            max_batch_size: MAX_BATCH,
            drain_on_shutdown: true,
            external_url: external_url.clone(),
        };
        let discovery = DiscoveryMetrics::new(registry).of_consumer("notify", registry);
        let notifier = Notifier::new(options, clock.clone(), discovery, registry);
        let stores = Arc::new(Stores {
            dir: settings.rules.wal.join(OWN_FOLDER),
            config: config.clone(),
            tells_tenant: section.remote_write.add_org_id_header,
            clock: clock.clone(),
            // Storages of several tenants cannot publish under the same names.
            registry: (!file.auth_enabled).then(|| registry.clone()),
            open: Mutex::default(),
        });
        let evaluation = Evaluation {
            resend_delay: section.resend_delay.get(),
            outage_tolerance: section.for_outage_tolerance.get(),
            grace_period: section.for_grace_period.get(),
            multi_tenant: file.auth_enabled,
            only_tenant: only_tenant.clone(),
            limits,
        };
        let (of, uid) = (stores.clone(), section.datasource_uid.clone());
        let sources = Sources {
            logs: logs.source(),
            storage: Box::new(move |tenant| of.of(tenant)),
            sink: notifier.linking_to(Arc::new(move |text| explore_link(&uid, text))),
            budget: ByteBudget::new("memory of rules", QUERY_BYTES),
            clock: clock.clone(),
        };
        let place = LogRuleSettings {
            path: settings.rules.own.join(OWN_FOLDER),
            files: Vec::new(),
            elsewhere: elsewhere(settings, clock)?.map(|place| (place, section.poll_interval.get())),
        };
        let rules = LogRules::new(place, evaluation, registry, sources);
        let interval_ms = i64::try_from(section.evaluation_interval.get().as_millis()).unwrap_or(60_000);
        let defaults = GroupDefaults {
            interval_ms,
            query_offset_ms: 0,
            external_labels: config.external_labels.clone(),
            external_url,
        };
        let upkeep = tokio::spawn(maintain(stores.clone()));
        Ok(Self { rules, notifier, stores, upkeep, defaults, config, has_api: section.enable_api })
    }

    /// The paths of the API about rules, if clients may use it.
    pub fn routes(&self) -> axum::Router {
        if self.has_api { self.rules.routes() } else { axum::Router::new() }
    }

    /// Begins to evaluate: the logs can be read now.
    pub async fn begin(&self) -> anyhow::Result<()> {
        self.notifier.apply(&self.config).map_err(|problem| anyhow::anyhow!("ruler: {problem}"))?;
        let (rules, defaults) = (self.rules.clone(), self.defaults.clone());
        let begun = tokio::task::spawn_blocking(move || rules.begin(defaults, NameValidation::Utf8));
        // The rules of one tenant keep logs of none from being taken.
        if let Err(problem) = begun.await? {
            tracing::error!(problem, "rules about logs cannot all be evaluated");
        }
        Ok(())
    }

    /// Goes on with other limits.
    pub fn set_limits(&self, limits: RuleLimits) {
        self.rules.set_limits(limits);
    }

    /// Ends evaluation, then tells and sends what is left.
    pub async fn stop(self) {
        self.rules.stop().await;
        self.notifier.stop().await;
        self.upkeep.abort();
        let stores = self.stores;
        // What failed was logged where it did.
        let _ = tokio::task::spawn_blocking(move || stores.close()).await;
    }
}

/// Where others bring rules, if they do.
fn elsewhere(settings: &LokiSettings, clock: &SharedClock) -> anyhow::Result<Option<Elsewhere>> {
    let Some(bucket) = &settings.rules.bucket else {
        return Ok(settings.rules.files.clone().map(Elsewhere::Folder));
    };
    let place = place_of(&ObjectPlace::Bucket(bucket.clone()));
    // Operations of the bucket of logs have the metrics of one.
    let opened = place.open(clock.clone(), &Registry::new()).context("ruler.storage")?;
    Ok(Some(Elsewhere::Bucket(BucketRules::new(opened, place.to_string()))))
}

async fn maintain(stores: Arc<Stores>) {
    let mut ticks = tokio::time::interval(UPKEEP_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let stores = stores.clone();
        let done = tokio::task::spawn_blocking(move || stores.maintain()).await;
        if let Err(error) = done {
            tracing::error!(%error, "maintenance of the results of rules ended early; it is tried again");
        }
    }
}

/// The results of rules, by tenant.
struct Stores {
    dir: PathBuf,
    /// Says where they are sent.
    config: Config,
    tells_tenant: bool,
    clock: SharedClock,
    /// Where a storage publishes, if there can be only one.
    registry: Option<Registry>,
    open: Mutex<BTreeMap<TenantId, Kept>>,
}

/// The results of the rules of one tenant.
struct Kept {
    opened: Opened,
    write: Arc<RemoteWrite>,
}

impl Stores {
    /// The storage of a tenant, opened when it is asked for first. Blocks.
    fn of(&self, tenant: &TenantId) -> Result<Opened, String> {
        let mut open = self.open.lock();
        if let Some(kept) = open.get(tenant) {
            return Ok(kept.opened.clone());
        }
        let dir = self.dir.join(blob::bucket::key_part(&tenant.0));
        let options = tsdb::Options {
            retention: Retention { duration_ms: KEPT_MS, ..Retention::default() },
            ..tsdb::Options::default()
        };
        let registry = self.registry.clone().unwrap_or_default();
        let db = Db::open(&dir, options, self.clock.clone(), &registry);
        let db = db.map_err(|error| format!("opening {}: {error}", dir.display()))?;
        let opened = Opened::default();
        opened.set(Store::Server(db));
        let write = self.write(tenant, dir, &opened, &registry)?;
        open.insert(tenant.clone(), Kept { opened: opened.clone(), write });
        Ok(opened)
    }

    fn write(
        &self,
        tenant: &TenantId,
        data_dir: PathBuf,
        opened: &Opened,
        registry: &Registry,
    ) -> Result<Arc<RemoteWrite>, String> {
        let options =
            remote::write::Options { data_dir, flush_deadline: FLUSH_DEADLINE, type_and_unit_labels: false };
        let environment = Environment {
            clock: self.clock.clone(),
            random: Arc::new(super::sending::random),
            runtime: tokio::runtime::Handle::current(),
            families: Arc::new(NoFamilies),
        };
        let write = RemoteWrite::new(options, environment, registry);
        let mut servers = self.config.file.remote_write.clone();
        if self.tells_tenant {
            for server in &mut servers {
                server.headers.entry(TENANT_HEADER.to_owned()).or_insert_with(|| tenant.0.to_string());
            }
        }
        if let Some(log) = opened.log() {
            log.set_hold_bytes(HOLD_BYTES);
            // Labels of alerts are added where alerts are told; what is recorded has them as Loki's has: not at all.
            write.apply(&servers, &model::Labels::empty(), &log)?;
        }
        Ok(Arc::new(write))
    }

    fn all(&self) -> Vec<Opened> {
        self.open.lock().values().map(|kept| kept.opened.clone()).collect()
    }

    fn maintain(&self) {
        for opened in self.all() {
            if let Err(error) = opened.maintain() {
                tracing::error!(%error, "maintenance of the results of rules failed; it is tried again");
            }
        }
    }

    fn close(&self) {
        for Kept { opened, write } in std::mem::take(&mut *self.open.lock()).into_values() {
            write.stop();
            if let Err(error) = opened.close() {
                tracing::error!(%error, "closing the results of rules failed");
            }
        }
    }
}

/// Nothing is known of the families of what rules record.
struct NoFamilies;

impl FamilySource for NoFamilies {
    fn families(&self) -> Vec<FamilyMetadata> {
        Vec::new()
    }
}
