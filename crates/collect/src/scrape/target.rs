//! A target: what is scraped, and how the last scrape went.

use std::path::Path;
use std::time::Duration;

use config::{PromDuration, ScrapeConfig};
use discovery::TargetGroup;
use discovery::relabel;
use model::labels::Quoted;
use model::{Labels, LabelsBuilder};
use parking_lot::Mutex;

/// The label of `host:port`.
pub const ADDRESS: &str = "__address__";
const SCHEME: &str = "__scheme__";
const METRICS_PATH: &str = "__metrics_path__";
const SCRAPE_INTERVAL: &str = "__scrape_interval__";
const SCRAPE_TIMEOUT: &str = "__scrape_timeout__";
const PARAM_PREFIX: &str = "__param_";
/// The label of the Unix domain socket that is connected to in place of the address.
const UNIX_SOCKET: &str = "__unix_socket__";
const META_PREFIX: &str = "__meta_";
const RESERVED_PREFIX: &str = "__";
const CONVERT_CLASSIC: &str = "__convert_classic_histograms_to_nhcb__";
const ALWAYS_CLASSIC: &str = "__always_scrape_classic_histograms__";
const NATIVE: &str = "__scrape_native_histograms__";

/// Why a discovered target cannot be scraped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Relabelling left no address.
    #[error("no address")]
    NoAddress,
    /// The address has a path.
    #[error("{} is not a valid hostname", Quoted(.0))]
    BadAddress(String),
    /// Interval, timeout or a switch is not what it should be.
    #[error("error parsing {what}: {reason}")]
    Parse {
        /// What was parsed.
        what: &'static str,
        /// Why it failed.
        reason: String,
    },
    /// Interval or timeout is zero.
    #[error("scrape {0} cannot be 0")]
    Zero(&'static str),
    /// A scrape could outlast the interval.
    #[error(
        "scrape timeout cannot be greater than scrape interval ({} > {})",
        Quoted(timeout),
        Quoted(interval)
    )]
    TimeoutTooLong {
        /// The timeout, as given.
        timeout: String,
        /// The interval, as given.
        interval: String,
    },
}

/// Whether the last scrape succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    /// There was none yet.
    #[default]
    Unknown,
    /// It did.
    Up,
    /// It failed.
    Down,
}

impl Health {
    /// The word in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// What a scrape brought and took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScrapeCost {
    /// Samples the target exposed.
    pub samples: u64,
    /// Samples that `metric_relabel_configs` kept.
    pub samples_kept: u64,
    /// Series that were not there the scrape before.
    pub series_added: u64,
    /// Bytes of the body, unpacked.
    pub body_bytes: u64,
}

/// How the last scrape went.
#[derive(Debug, Clone, Default)]
pub struct LastScrape {
    /// Whether it succeeded.
    pub health: Health,
    /// When it began, in milliseconds since the Unix epoch; `None` before the first.
    pub began_ms: Option<i64>,
    /// How long it took.
    pub duration: Duration,
    /// Why it failed, or empty.
    pub error: String,
    /// What it brought and took.
    pub cost: ScrapeCost,
}

/// A target after relabelling. Two are the same if labels and URL are.
#[derive(Debug)]
pub struct Target {
    /// All labels, those that begin with `__` included.
    all_labels: Labels,
    /// The labels its series get.
    labels: Labels,
    url: String,
    hash: u64,
    /// How often it is scraped.
    pub interval: Duration,
    /// How long a scrape may take.
    pub timeout: Duration,
    discovered: Mutex<Labels>,
    last: Mutex<LastScrape>,
}

/// What became of a discovered target.
#[derive(Debug)]
pub enum Populated {
    /// It is scraped.
    Target(Box<Target>),
    /// Relabelling dropped it; these were its labels.
    Dropped(Labels),
}

impl Target {
    /// Builds the target with these labels of a target group.
    pub fn populate(config: &ScrapeConfig, group_and_target: &Labels) -> Result<Populated, TargetError> {
        let discovered = discovered_labels(config, group_and_target);
        let mut labels = LabelsBuilder::from_labels(&discovered);
        if !relabel::process(&mut labels, &config.relabel_configs) {
            return Ok(Populated::Dropped(discovered));
        }
        let (interval, timeout) = check(&labels)?;
        labels.retain(|name, _| !name.starts_with(META_PREFIX));
        if labels.get("instance").is_none() {
            let address = labels.get(ADDRESS).unwrap_or_default().to_owned();
            labels.set("instance", &address);
        }
        let labels = labels.build();
        let public = labels.iter().filter(|(name, _)| !name.starts_with(RESERVED_PREFIX));
        let public_labels = Labels::from_pairs(public);
        if public_labels.is_empty() {
            return Ok(Populated::Dropped(discovered));
        }
        let url = url_of(config, &labels);
        let mut key = labels.as_bytes().to_vec();
        key.extend_from_slice(url.as_bytes());
        let hash = xxhash_rust::xxh3::xxh3_64(&key);
        Ok(Populated::Target(Box::new(Self {
            all_labels: labels,
            labels: public_labels,
            url,
            hash,
            interval,
            timeout,
            discovered: Mutex::new(discovered),
            last: Mutex::default(),
        })))
    }

    /// Builds all targets of a group; for those that cannot be scraped, says why.
    pub fn of_group(config: &ScrapeConfig, group: &TargetGroup) -> Vec<Result<Populated, String>> {
        let populate = |(i, labels): (usize, Labels)| {
            Self::populate(config, &labels)
                .map_err(|e| format!("instance {i} in group {}: {e}", group.source))
        };
        group.target_labels().enumerate().map(populate).collect()
    }

    /// The labels its series get.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Its labels before relabelling.
    pub fn discovered_labels(&self) -> Labels {
        self.discovered.lock().clone()
    }

    /// Takes over what discovery says now; it may differ where relabelling does not look.
    pub(super) fn set_discovered_labels(&self, labels: Labels) {
        *self.discovered.lock() = labels;
    }

    /// What is fetched.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The Unix domain socket to connect to in place of the URL's host.
    pub(super) fn unix_socket(&self) -> Option<&Path> {
        self.all_labels.get(UNIX_SOCKET).map(Path::new)
    }

    /// Tells targets apart.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The interval as its label has it.
    pub fn interval_text(&self) -> &str {
        self.all_labels.get_or_empty(SCRAPE_INTERVAL)
    }

    /// The timeout as its label has it.
    pub fn timeout_text(&self) -> &str {
        self.all_labels.get_or_empty(SCRAPE_TIMEOUT)
    }

    /// How the last scrape went.
    pub fn last_scrape(&self) -> LastScrape {
        self.last.lock().clone()
    }

    pub(super) fn report(&self, last: LastScrape) {
        *self.last.lock() = last;
    }

    /// Whether native histograms are scraped.
    pub(super) fn native_histograms(&self) -> bool {
        self.all_labels.get(NATIVE).and_then(parse_bool).unwrap_or(false)
    }

    /// Whether classic histograms are kept beside native ones.
    pub(super) fn always_classic(&self) -> bool {
        self.all_labels.get(ALWAYS_CLASSIC).and_then(parse_bool).unwrap_or(false)
    }

    /// Whether classic histograms become native ones.
    pub(super) fn convert_classic(&self) -> bool {
        self.all_labels.get(CONVERT_CLASSIC).and_then(parse_bool).unwrap_or(false)
    }

    /// The time until its next scrape. Scrapes of all targets are spread over the interval by hash, and stay
    /// at their place in it over restarts; `seed` differs between servers that scrape the same targets.
    pub fn offset(&self, now_ms: i64, seed: u64) -> Duration {
        let interval = self.interval.as_nanos().max(1) as u64;
        let now = (now_ms.max(0) as u64).wrapping_mul(1_000_000) % interval;
        let place = (self.hash ^ seed) % interval;
        Duration::from_nanos((interval - now + place) % interval)
    }
}

fn discovered_labels(config: &ScrapeConfig, given: &Labels) -> Labels {
    let mut labels = LabelsBuilder::from_labels(given);
    let mut default = |name: &str, value: &str| {
        if labels.get(name).is_none() {
            labels.set(name, value);
        }
    };
    default("job", &config.job_name);
    default(SCRAPE_INTERVAL, &config.scrape_interval.to_string());
    default(SCRAPE_TIMEOUT, &config.scrape_timeout.to_string());
    default(METRICS_PATH, &config.metrics_path);
    default(SCHEME, &config.scheme);
    default(CONVERT_CLASSIC, bool_text(config.classic_to_custom_buckets()));
    default(ALWAYS_CLASSIC, bool_text(config.classic_histograms_always()));
    default(NATIVE, bool_text(config.native_histograms()));
    for (name, values) in &config.params {
        if let Some(value) = values.first() {
            default(&format!("{PARAM_PREFIX}{name}"), value);
        }
    }
    labels.build()
}

fn bool_text(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// Go's spellings of a truth value.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Checks the labels relabelling left and returns interval and timeout.
fn check(labels: &LabelsBuilder) -> Result<(Duration, Duration), TargetError> {
    let get = |name| labels.get(name).unwrap_or_default();
    let address = get(ADDRESS);
    if address.is_empty() {
        return Err(TargetError::NoAddress);
    }
    if address.contains('/') {
        return Err(TargetError::BadAddress(address.to_owned()));
    }
    let duration = |name, what: &'static str, zero| {
        let parsed = PromDuration::parse(get(name));
        let parsed = parsed.map_err(|reason| TargetError::Parse { what, reason })?.get();
        if parsed.is_zero() { Err(TargetError::Zero(zero)) } else { Ok(parsed) }
    };
    let interval = duration(SCRAPE_INTERVAL, "scrape interval", "interval")?;
    let timeout = duration(SCRAPE_TIMEOUT, "scrape timeout", "timeout")?;
    if timeout > interval {
        let (timeout, interval) = (get(SCRAPE_TIMEOUT).to_owned(), get(SCRAPE_INTERVAL).to_owned());
        return Err(TargetError::TimeoutTooLong { timeout, interval });
    }
    for (name, what) in [
        (CONVERT_CLASSIC, "convert classic histograms to nhcb"),
        (ALWAYS_CLASSIC, "always scrape classic histograms"),
        (NATIVE, "scrape native histograms"),
    ] {
        let text = get(name);
        if !text.is_empty() && parse_bool(text).is_none() {
            let reason = format!("strconv.ParseBool: parsing {}: invalid syntax", Quoted(text));
            return Err(TargetError::Parse { what, reason });
        }
    }
    Ok((interval, timeout))
}

fn url_of(config: &ScrapeConfig, labels: &Labels) -> String {
    let mut params = config.params.clone();
    for (name, value) in labels {
        if let Some(name) = name.strip_prefix(PARAM_PREFIX) {
            let values = params.entry(name.to_owned()).or_default();
            match values.first_mut() {
                Some(first) => value.clone_into(first),
                None => values.push(value.to_owned()),
            }
        }
    }
    let mut url = format!("{}://{}", labels.get_or_empty(SCHEME), labels.get_or_empty(ADDRESS));
    let path = labels.get_or_empty(METRICS_PATH);
    if !path.starts_with('/') && !path.is_empty() {
        url.push('/');
    }
    escape_into(&mut url, path, Part::Path);
    let pairs = params.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
    for (at, (name, value)) in pairs.enumerate() {
        url.push(if at == 0 { '?' } else { '&' });
        escape_into(&mut url, name, Part::Query);
        url.push('=');
        escape_into(&mut url, value, Part::Query);
    }
    url
}

/// A part of a URL, by what may stand in it as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    /// A name or value of the query.
    Query,
}

/// Adds text to a URL. What is escaped is what Go escapes: the URL is part of a target's identity and shown.
fn escape_into(url: &mut String, text: &str, part: Part) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => url.push(char::from(byte)),
            b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'@' if part == Part::Path => {
                url.push(char::from(byte));
            }
            b' ' if part == Part::Query => url.push('+'),
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn job(yaml: &str) -> std::sync::Arc<ScrapeConfig> {
        let yaml = format!("scrape_configs:\n- job_name: j\n{yaml}");
        let options = config::LoadOptions::default();
        config::Config::from_bytes("test.yml".as_ref(), yaml.as_bytes(), &options).unwrap().jobs[0].clone()
    }

    fn target(yaml: &str, labels: &[(&str, &str)]) -> Result<Populated, TargetError> {
        Target::populate(&job(yaml), &Labels::from_pairs(labels.iter().copied()))
    }

    fn kept(yaml: &str, labels: &[(&str, &str)]) -> Target {
        match target(yaml, labels) {
            Ok(Populated::Target(target)) => *target,
            other => panic!("not kept: {other:?}"),
        }
    }

    #[test]
    fn labels_are_completed_and_the_url_follows_them() {
        let yaml = "  params: {module: [a, b], x: ['1 2']}\n  metrics_path: /m\n  scheme: https\n";
        let target =
            kept(yaml, &[("__address__", "h:1"), ("__param_module", "c"), ("__meta_x", "y"), ("env", "p")]);
        assert_eq!(target.url(), "https://h:1/m?module=c&module=b&x=1+2");
        assert_eq!(target.labels().to_string(), r#"{env="p", instance="h:1", job="j"}"#);
        assert_eq!(target.discovered_labels().get("__meta_x"), Some("y"));
        assert_eq!((target.interval_text(), target.timeout_text()), ("1m", "10s"));
    }

    #[test]
    fn urls_are_escaped_as_go_does() {
        let target = kept(
            "  metrics_path: /a b/%20/(x)*!?ü#\n  params: {'q[]': ['a*~ &=+/']}\n",
            &[("__address__", "h:1"), ("__param_empty", ""), ("__param_n", "v")],
        );
        assert_eq!(
            target.url(),
            "http://h:1/a%20b/%2520/%28x%29%2A%21%3F%C3%BC%23?n=v&q%5B%5D=a%2A~+%26%3D%2B%2F"
        );
        let target = kept("  metrics_path: m\n", &[("__address__", "[::1]:9")]);
        assert_eq!(target.url(), "http://[::1]:9/m");
    }

    #[test]
    fn relabelling_drops_targets_and_changes_interval_and_address() {
        let rules = "  relabel_configs:\n  - {source_labels: [drop], regex: 'yes', action: drop}\n\
                     \x20 - {source_labels: [to], regex: (.+), target_label: __address__}\n";
        let dropped = target(rules, &[("__address__", "a:1"), ("drop", "yes")]).unwrap();
        assert!(matches!(dropped, Populated::Dropped(labels) if labels.get("drop") == Some("yes")));
        let target = kept(rules, &[("__address__", "a:1"), ("to", "b:2"), ("__scrape_interval__", "30s")]);
        assert_eq!(target.url(), "http://b:2/metrics");
        assert_eq!(target.interval, Duration::from_secs(30));
    }

    #[test]
    fn what_cannot_be_scraped_says_why() {
        for (labels, expected) in [
            (&[("x", "y")][..], "no address"),
            (&[("__address__", "h:1/path")], "\"h:1/path\" is not a valid hostname"),
            (&[("__address__", "h"), ("__scrape_interval__", "x")], "error parsing scrape interval: "),
            (&[("__address__", "h"), ("__scrape_timeout__", "0s")], "scrape timeout cannot be 0"),
            (
                &[("__address__", "h"), ("__scrape_timeout__", "2m")],
                "scrape timeout cannot be greater than scrape interval (\"2m\" > \"1m\")",
            ),
            (
                &[("__address__", "h"), ("__scrape_native_histograms__", "maybe")],
                "error parsing scrape native histograms: strconv.ParseBool: parsing \"maybe\": invalid syntax",
            ),
        ] {
            let error = target("", labels).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn the_place_in_the_interval_does_not_depend_on_when_one_asks() {
        let target = kept("", &[("__address__", "h:1")]);
        let next = |now_ms: i64| now_ms as u128 * 1_000_000 + target.offset(now_ms, 7).as_nanos();
        let interval = target.interval.as_nanos();
        let place = next(1_700_000_000_000) % interval;
        for now in [1_700_000_000_001, 1_700_000_033_000, 1_700_000_059_999] {
            assert_eq!(next(now) % interval, place);
            assert!(target.offset(now, 7) < target.interval);
        }
        assert_ne!(next(0) % interval, target.offset(0, 8).as_nanos());
    }
}
