//! Formats and encodings as they come over HTTP.

use axum::http::header;

use super::support::{Bench, FAST, Page};
use crate::scrape::ScrapeOptions;

const PROTOBUF: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
const NATIVE: &str = "  scrape_native_histograms: true\n";

/// Writes protobuf messages: field by field, as the encoding's specification has it.
#[derive(Default)]
struct Proto(Vec<u8>);

impl Proto {
    fn varint(&mut self, mut value: u64) -> &mut Self {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    fn uint(&mut self, field: u64, value: u64) -> &mut Self {
        self.varint(field << 3).varint(value)
    }

    fn sint(&mut self, field: u64, value: i64) -> &mut Self {
        self.uint(field, ((value << 1) ^ (value >> 63)).cast_unsigned())
    }

    fn double(&mut self, field: u64, value: f64) -> &mut Self {
        self.varint(field << 3 | 1).0.extend(value.to_le_bytes());
        self
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) -> &mut Self {
        self.varint(field << 3 | 2).varint(bytes.len() as u64).0.extend(bytes);
        self
    }

    fn nested(&mut self, field: u64, fill: impl FnOnce(&mut Self) -> &mut Self) -> &mut Self {
        let mut inner = Self::default();
        fill(&mut inner);
        self.bytes(field, &inner.0)
    }

    fn delimited(&self) -> Vec<u8> {
        let mut out = Self::default();
        out.varint(self.0.len() as u64).0.extend(&self.0);
        out.0
    }
}

/// A histogram family `h` with `len` native buckets of one observation each, classic buckets 1 and 4, an
/// exemplar and a start.
fn histogram_page(schema: i64, len: u64) -> Page {
    let mut family = Proto::default();
    family.bytes(1, b"h").bytes(2, b"Help.").uint(3, 4).nested(4, |metric| {
        metric.nested(7, |h| {
            h.uint(1, len).double(2, 7.5).sint(5, schema).double(6, 0.001).uint(7, 0);
            h.nested(3, |bucket| bucket.uint(1, 2).double(2, 1.0));
            h.nested(3, |bucket| bucket.uint(1, len).double(2, 4.0));
            h.nested(12, |span| span.sint(1, 0).uint(2, len));
            for bucket in 0..len {
                h.sint(13, i64::from(bucket == 0));
            }
            h.nested(15, |start| start.uint(1, 1_600_000_000));
            h.nested(16, |exemplar| {
                exemplar.nested(1, |label| label.bytes(1, b"id").bytes(2, b"x"));
                exemplar.double(2, 0.5).nested(3, |time| time.uint(1, 1_690_000_000))
            })
        })
    });
    Page { content_type: PROTOBUF, body: family.delimited(), ..Page::text("") }
}

async fn scraped(page: Page, yaml: &str) -> Bench {
    let bench = Bench::start(page, &format!("{FAST}{yaml}"), ScrapeOptions::default()).await;
    bench.scrape().await;
    bench
}

#[tokio::test]
async fn native_histograms_come_over_protobuf_if_wanted() {
    let bench = scraped(histogram_page(3, 8), NATIVE).await;
    assert_eq!(bench.memory.values(&bench.series("h", &[]))[0], "histogram 8 schema 3 buckets 8");
    assert!(bench.memory.names().iter().all(|name| !name.contains("h_bucket")), "only the native part");
    assert!(bench.memory.lock().exemplars[0].ends_with("{id=\"x\"} 0.5 1690000000000"));
    let accept = bench.server.seen.lock()[header::ACCEPT].to_str().unwrap().to_owned();
    assert!(accept.starts_with("application/vnd.google.protobuf;"), "{accept}");
    bench.manager.stop().await;

    let yaml = format!("{NATIVE}  always_scrape_classic_histograms: true\n");
    let both = scraped(histogram_page(3, 8), &yaml).await;
    assert_eq!(both.memory.values(&both.series("h", &[]))[0], "histogram 8 schema 3 buckets 8");
    assert_eq!(both.memory.values(&both.series("h_bucket", &[("le", "1.0")]))[0], "2");
    both.manager.stop().await;

    let classic = scraped(histogram_page(3, 8), "").await;
    assert!(classic.memory.values(&classic.series("h", &[])).is_empty());
    assert_eq!(classic.memory.values(&classic.series("h_bucket", &[("le", "+Inf")]))[0], "8");
    classic.manager.stop().await;

    let converted = scraped(histogram_page(3, 8), "  convert_classic_histograms_to_nhcb: true\n").await;
    assert_eq!(converted.memory.values(&converted.series("h", &[]))[0], "histogram 8 schema -53 buckets 2");
    converted.manager.stop().await;
}

#[tokio::test]
async fn native_histograms_are_merged_to_the_limits_of_the_job() {
    let limited =
        scraped(histogram_page(3, 8), &format!("{NATIVE}  native_histogram_bucket_limit: 4\n")).await;
    assert_eq!(limited.memory.values(&limited.series("h", &[]))[0], "histogram 8 schema 1 buckets 3");
    limited.manager.stop().await;

    let factor = format!("{NATIVE}  native_histogram_min_bucket_factor: 2\n");
    let coarse = scraped(histogram_page(3, 8), &factor).await;
    assert_eq!(coarse.memory.values(&coarse.series("h", &[]))[0], "histogram 8 schema 0 buckets 2");
    coarse.manager.stop().await;

    let refused =
        scraped(histogram_page(-4, 20), &format!("{NATIVE}  native_histogram_bucket_limit: 2\n")).await;
    assert_eq!(refused.error(), "histogram bucket limit exceeded");
    assert_eq!(
        (refused.reported("up"), refused.reported("scrape_samples_scraped")),
        ("0".into(), "1".into())
    );
    assert_eq!(refused.reported("scrape_samples_post_metric_relabeling"), "1");
    assert!(refused.counter("prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total") >= 1.0);
    assert!(refused.memory.values(&refused.series("h", &[])).is_empty());
    refused.manager.stop().await;
}

#[tokio::test]
async fn start_timestamps_come_over_protobuf() {
    let options = ScrapeOptions {
        start_timestamps: true,
        start_timestamp_zero_ingestion: true,
        ..ScrapeOptions::default()
    };
    let bench = Bench::start(histogram_page(3, 8), &format!("{FAST}{NATIVE}"), options).await;
    bench.scrape().await;
    let name = bench.series("h", &[]);
    let stored = bench.memory.lock().samples[&name].clone();
    assert_eq!(stored[0], (1_600_000_000_000, "histogram 0 schema 3 buckets 0".to_owned()));
    assert_eq!(stored[1].1, "histogram 8 schema 3 buckets 8 since 1600000000000");
    bench.manager.stop().await;
}

fn gzip(body: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, body.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn bodies_are_decompressed_by_their_encoding() {
    let body = "a 1\n";
    let plain = Page::text(body);
    let bench = scraped(Page { encoding: "gzip", body: gzip(body), ..plain.clone() }, "").await;
    assert_eq!(bench.memory.values(&bench.series("a", &[]))[0], "1");
    assert_eq!(bench.server.seen.lock()[header::ACCEPT_ENCODING], "zstd, gzip");

    let zstd = zstd::bulk::compress(b"a 2\n", 3).unwrap();
    bench.scrape_page(Page { encoding: "zstd", body: zstd, ..plain.clone() }).await;
    assert_eq!(bench.memory.last(&bench.series("a", &[])).unwrap(), "2");

    let cut = gzip(body)[..12].to_vec();
    bench.scrape_page(Page { encoding: "gzip", body: cut, ..plain.clone() }).await;
    assert_eq!((bench.reported("up"), bench.error()), ("0".to_owned(), "unexpected EOF".to_owned()));

    bench.scrape_page(Page { encoding: "gzip", body: b"not_compressed 1\n".to_vec(), ..plain.clone() }).await;
    assert_eq!((bench.reported("up"), bench.error()), ("0".to_owned(), "gzip: invalid header".to_owned()));
    bench.manager.stop().await;

    let off = scraped(plain, "  enable_compression: false\n").await;
    assert_eq!(off.server.seen.lock()[header::ACCEPT_ENCODING], "identity");
    off.manager.stop().await;
}

#[tokio::test]
async fn the_body_size_limit_counts_what_was_decompressed() {
    let yaml = "  extra_scrape_metrics: true\n  body_size_limit: 100B\n";
    let body = format!("a 1\n# {}\n", "x".repeat(1000));
    let page = Page { encoding: "gzip", body: gzip(&body), ..Page::text("") };
    assert!(page.body.len() < 100, "the compressed body is within the limit");
    let bench = scraped(page, yaml).await;
    assert_eq!(
        (bench.error(), bench.reported("scrape_body_size_bytes")),
        ("body size limit exceeded".into(), "-1".into())
    );
    // A body of exactly the limit is too large, one byte less is not.
    let of_size = |size: usize| Page::text(&format!("a 1\n# {}\n", "x".repeat(size - 7)));
    bench.scrape_page(of_size(100)).await;
    assert_eq!((bench.reported("up"), bench.reported("scrape_body_size_bytes")), ("0".into(), "-1".into()));
    bench.scrape_page(of_size(99)).await;
    assert_eq!((bench.reported("up"), bench.reported("scrape_body_size_bytes")), ("1".into(), "99".into()));
    bench.server.page.lock().status = axum::http::StatusCode::NOT_FOUND;
    bench.scrape().await;
    bench.scrape().await;
    assert_eq!(
        (bench.error(), bench.reported("scrape_body_size_bytes")),
        ("server returned HTTP status 404 Not Found".into(), "0".into())
    );
    bench.manager.stop().await;
}

#[tokio::test]
async fn the_fallback_protocol_reads_what_declares_nothing_known() {
    let page = |content_type| Page { content_type, ..Page::text("a 1\n") };
    let bench = scraped(page("text/html"), "  fallback_scrape_protocol: PrometheusText0.0.4\n").await;
    assert_eq!(bench.memory.values(&bench.series("a", &[]))[0], "1");
    for content_type in ["", "nonsense;;", "application/json"] {
        bench.scrape_page(page(content_type)).await;
        assert_eq!(bench.reported("up"), "1", "{content_type}: {}", bench.error());
    }
    bench.manager.stop().await;

    // The fallback may be any format, and what is declared and known goes before it.
    let open = scraped(page("x/y"), "  fallback_scrape_protocol: OpenMetricsText1.0.0\n").await;
    assert_eq!(open.error(), "data does not end with # EOF");
    open.scrape_page(page("text/plain")).await;
    assert_eq!(open.reported("up"), "1", "{}", open.error());
    open.manager.stop().await;

    let none = scraped(page(""), "").await;
    assert_eq!(
        none.error(),
        "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target"
    );
    none.manager.stop().await;
}
