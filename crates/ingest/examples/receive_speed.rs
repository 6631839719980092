//! What a sample of a remote write costs, from the compressed body to the log and the head: the time of one thread
//! for each of a few rounds. Arguments: series, rounds, samples a request.

use std::sync::Arc;

use base::metrics::Registry;
use base::{ByteBudget, Clock, SystemClock};
use ingest::cache::SECRET_BYTES;
use ingest::{Options, Receiver};
use model::TenantId;
use wire::decompress::compress_snappy;
use wire::protobuf::{put_bytes, put_double, put_message, put_uint};
use wire::remote_write::MessageType;

fn main() {
    let arguments: Vec<usize> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let argument = |i: usize, default| arguments.get(i).copied().unwrap_or(default);
    let (series, rounds, per_request) = (argument(0, 200_000), argument(1, 10), argument(2, 2000));
    let dir = tempfile::tempdir().expect("the temporary directory can be written");
    let clock = SystemClock::shared();
    let registry = Registry::new();
    let db = tsdb::Db::open(dir.path(), tsdb::Options::default(), clock.clone(), &registry)
        .expect("an empty directory can be opened");
    let budget = ByteBudget::new("ingest.max-memory", 512 << 20);
    let receiver =
        Receiver::new(Arc::new(db), clock, Options::default(), budget, [9; SECRET_BYTES], &registry);
    let start_ms = SystemClock::new().now_ms() - rounds as i64 * 15_000;
    for round in 0..rounds {
        let t_ms = start_ms + round as i64 * 15_000;
        let bodies: Vec<Vec<u8>> = (0..series.div_ceil(per_request))
            .map(|request| {
                let mut body = Vec::new();
                for i in request * per_request..((request + 1) * per_request).min(series) {
                    put_series(&mut body, i, t_ms, (i * 7 + round) as f64);
                }
                compress_snappy(&body).expect("the body is small")
            })
            .collect();
        let clock = SystemClock::new();
        for body in &bodies {
            let outcome = receiver.remote_write(&TenantId::default(), MessageType::V1, body);
            assert_eq!(outcome.error, None);
        }
        println!("round {round}: {:.0} ns a sample", clock.monotonic().as_nanos() as f64 / series as f64);
    }
}

fn put_series(body: &mut Vec<u8>, i: usize, t_ms: i64, value: f64) {
    let (target, own) = (i / 1000, i % 1000);
    let labels = [
        ("__name__", format!("http_request_duration_seconds_bucket_{}", own / 100)),
        ("cluster", "production-eu-1".to_owned()),
        ("handler", format!("/api/v1/orders/{}", own % 8)),
        ("instance", format!("10.4.{}.{}:9090", target / 250, target % 250)),
        ("job", "load".to_owned()),
        ("le", format!("{}", own % 12)),
        ("method", "GET".to_owned()),
        ("pod", format!("checkout-{:08x}-{:05x}", target.wrapping_mul(2_654_435_761), own)),
        ("prometheus", "monitoring/k8s".to_owned()),
        ("prometheus_replica", "prometheus-k8s-0".to_owned()),
    ];
    put_message(body, 1, |out| {
        for (name, value) in &labels {
            put_message(out, 1, |out| {
                put_bytes(out, 1, name.as_bytes());
                put_bytes(out, 2, value.as_bytes());
            });
        }
        put_message(out, 2, |out| {
            put_double(out, 1, value);
            put_uint(out, 2, t_ms as u64);
        });
    });
}
