//! All that samples carry goes on, in both versions of the protocol.

use wire::protobuf::{put_bytes, put_double, put_message, put_uint};
use wire::remote_write::MessageType;

use crate::faults::server::{Home, Server};
use crate::faults::wait_for;
use crate::remote_write::sender::{Request, now_ms, put_histogram};

const SYMBOLS: [&str; 9] =
    ["", "__name__", "requests_total", "job", "api", "trace_id", "abc123", "latency", "Requests."];

/// A counter with an exemplar, a start and metadata, and a histogram.
fn request(t_ms: i64) -> Vec<u8> {
    let mut body = Vec::new();
    SYMBOLS.iter().for_each(|symbol| put_bytes(&mut body, 4, symbol.as_bytes()));
    put_message(&mut body, 5, |out| {
        put_bytes(out, 1, &[1, 2, 3, 4]);
        put_message(out, 2, |out| {
            put_double(out, 1, 7.0);
            put_uint(out, 2, t_ms as u64);
            put_uint(out, 3, t_ms as u64 - 30_000);
        });
        put_message(out, 4, |out| {
            put_bytes(out, 1, &[5, 6]);
            put_double(out, 2, 0.25);
            put_uint(out, 3, t_ms as u64);
        });
        put_message(out, 5, |out| {
            put_uint(out, 1, 1);
            put_uint(out, 3, 8);
        });
    });
    put_histogram(&mut body, &[1, 7], t_ms);
    body
}

const FEATURES: &str = "--enable-feature=exemplar-storage,metadata-wal-records,st-storage";

/// Pushes to a server that sends on to another one, and returns both.
fn chained(dir: &std::path::Path, message: &str) -> (Server, Server) {
    let (first, second) = (dir.join("first"), dir.join("second"));
    std::fs::create_dir_all(&first).unwrap();
    std::fs::create_dir_all(&second).unwrap();
    let receiving = |dir: &std::path::Path, config: &str| {
        Home::new(dir, config).flag("--web.enable-remote-write-receiver").flag(FEATURES).start()
    };
    let second = receiving(&second, "global:\n  scrape_interval: 1h\n");
    let config = format!(
        "global:\n  external_labels: {{replica: a, job: never}}\nremote_write:\n- url: http://{}/api/v1/write\n  \
         protobuf_message: {message}\n  send_exemplars: true\n  send_native_histograms: true\n  \
         queue_config: {{batch_send_deadline: 20ms}}\n  \
         write_relabel_configs: [{{source_labels: [__name__], target_label: was}}]\n",
        second.address()
    );
    (receiving(&first, &config), second)
}

fn goes_on(message: MessageType) {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = chained(dir.path(), message.as_str());
    let t_ms = now_ms() - 1000;
    let answer = Request::of(MessageType::V2, &request(t_ms)).send(first.address()).unwrap();
    assert_eq!(answer.status, 204, "{answer:?}");
    let counter = "requests_total{job=\"api\",replica=\"a\",was=\"requests_total\"}";
    wait_for("the counter to arrive", || second.number(counter).filter(|value| *value == 7.0));
    wait_for("the histogram to arrive", || second.number("histogram_count(latency)"));
    assert_eq!(second.number("histogram_sum(latency{job=\"never\"})"), Some(4.5));
    let range = [("query", "requests_total"), ("start", "0"), ("end", "9999999999")];
    let exemplar = || {
        let (_, json) = second.api("query_exemplars", &range);
        let label = json["data"][0]["exemplars"][0]["labels"]["trace_id"].clone();
        (label == "abc123").then_some(())
    };
    wait_for("the exemplar to arrive", exemplar);
    assert_eq!(first.own_metric("prometheus_remote_storage_samples_failed_total"), 0.0);
    assert_eq!(first.own_metric("prometheus_remote_storage_histograms_total"), 1.0);
}

#[test]
fn histograms_exemplars_and_labels_go_on_in_version_one() {
    goes_on(MessageType::V1);
}

#[test]
fn histograms_exemplars_and_labels_go_on_in_version_two() {
    goes_on(MessageType::V2);
}
