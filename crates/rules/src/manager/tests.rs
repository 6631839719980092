use base::metrics::Registry;
use base::{ByteBudget, CancelFlag, SimClock};
use model::TenantId;
use testkit::memory::MemoryStorage;
use tokio::sync::mpsc;

use super::*;
use crate::expression::{PromQlLanguage, Queries, QueryFailure, QueryLimits, Sample};
use crate::group::{NoSink, Permits};
use crate::metrics::Metrics;

#[test]
fn what_is_late_by_more_than_an_interval_is_missed() {
    let ticks = Ticks { due_ms: 1000, interval_ms: 100 };
    let next = |now_ms| {
        let (next, missed) = ticks.next(now_ms);
        (next.due_ms, missed)
    };
    assert_eq!(next(1010), (1100, 0));
    assert_eq!(next(1100), (1100, 0));
    assert_eq!(next(1250), (1200, 1));
    assert_eq!(next(1999), (1900, 8));
}

/// Answers only when it is told to stop.
struct Stuck(mpsc::UnboundedSender<()>);

impl Queries for Stuck {
    fn instant(&self, _: &str, _: i64, cancel: &CancelFlag) -> Result<Vec<Sample>, QueryFailure> {
        let _ = self.0.send(());
        while !cancel.is_canceled() {
            std::thread::yield_now();
        }
        Err(QueryFailure { message: "stopped".to_owned(), canceled: true })
    }
}

fn evaluator(queries: Arc<dyn Queries>) -> Evaluator {
    let (storage, clock) = (Arc::new(MemoryStorage::new()), SimClock::at(0));
    let limits = QueryLimits {
        tenant: TenantId::default(),
        timeout: Duration::from_secs(60),
        budget: ByteBudget::unlimited(),
        clock: clock.clone(),
    };
    Evaluator {
        queries,
        language: Arc::new(PromQlLanguage::default()),
        appendable: storage.clone(),
        source: storage,
        limits,
        tenant: TenantId::default(),
        sink: Arc::new(NoSink),
        clock,
        metrics: Metrics::new(&Registry::new()),
        resend_delay: Duration::from_secs(60),
        outage_tolerance: Duration::from_secs(3600),
        grace_period: Duration::from_secs(600),
        concurrency: Permits::new(4),
        cancel: CancelFlag::new(),
    }
}

fn settings(expression: &str) -> RuleSettings {
    let text =
        format!("groups:\n- name: g\n  interval: 5ms\n  rules:\n  - {{record: a, expr: '{expression}'}}\n");
    RuleSettings {
        files: Vec::new(),
        embedded: vec![("r.yml".to_owned(), text)],
        defaults: GroupDefaults {
            interval_ms: 60_000,
            query_offset_ms: 0,
            external_labels: model::Labels::empty(),
            external_url: String::new(),
        },
        names: NameValidation::Utf8,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_end_while_a_reload_waits_for_a_query_ends_the_query() {
    let (sender, mut asked) = mpsc::unbounded_channel();
    let manager = Arc::new(Manager::new(evaluator(Arc::new(Stuck(sender))), 4));
    let update = |expression: &'static str| {
        let manager = manager.clone();
        tokio::task::spawn_blocking(move || manager.update(&settings(expression)))
    };
    update("x").await.unwrap().unwrap();
    asked.recv().await.unwrap();
    // The group changes, so this waits for its evaluation.
    let reload = update("y");
    manager.stop().await;
    reload.await.unwrap().unwrap();
    // Nothing that the reload may have started goes on.
    manager.stop().await;
    assert!(manager.running.lock().is_empty());
}
