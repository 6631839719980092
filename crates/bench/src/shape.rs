//! What the generated data looks like: a cluster of pods that expose counters, gauges and classic
//! histograms with the labels such metrics carry in practice.

use std::fmt::Write;

/// How the value of a series moves.
#[derive(Debug, Clone, Copy)]
pub enum Motion {
    /// Grows by `per_second`, whole numbers.
    Counter { per_second: f64 },
    /// Grows by `per_second`, with a fraction.
    Seconds { per_second: f64 },
    /// Moves around `mean`, whole numbers.
    Bytes { mean: f64 },
    /// Moves around `mean`, with a fraction.
    Ratio { mean: f64 },
    /// Stays.
    Constant { value: f64 },
}

/// One series of a target: its text up to the value, and how the value moves.
#[derive(Debug, Clone)]
pub struct Series {
    /// `name{labels} ` as exposed.
    pub head: String,
    /// How the value moves.
    pub motion: Motion,
    /// Differs from series to series, so that no two move alike.
    pub seed: u64,
}

impl Series {
    /// The value `elapsed_s` after the start of the load.
    pub fn value(&self, elapsed_s: f64) -> f64 {
        let own = (mix(self.seed) % 1_000) as f64 / 1_000.0;
        let tick = mix(self.seed ^ (elapsed_s as u64).wrapping_mul(0x9e37_79b9));
        let noise = (tick % 2_000) as f64 / 1_000.0 - 1.0;
        match self.motion {
            Motion::Counter { per_second } => (own * 1e5 + elapsed_s * per_second * (0.5 + own)).floor(),
            Motion::Seconds { per_second } => {
                let total = own * 1e4 + elapsed_s * per_second * (0.5 + own);
                (total * 1e6).round() / 1e6
            }
            Motion::Bytes { mean } => ((mean * (1.0 + own + noise * 0.02)) / 4096.0).floor() * 4096.0,
            Motion::Ratio { mean } => ((mean * (1.0 + own + noise * 0.1)) * 1e4).round() / 1e4,
            Motion::Constant { value } => value,
        }
    }
}

/// Lines of `# HELP` and `# TYPE`, and the series below them.
#[derive(Debug, Clone)]
pub struct Block {
    /// The metadata lines.
    pub meta: String,
    /// The series in exposition order.
    pub series: Vec<Series>,
}

const HANDLERS: [&str; 8] = [
    "/api/v1/orders",
    "/api/v1/orders/{id}",
    "/api/v1/customers",
    "/api/v1/basket",
    "/healthz",
    "/login",
    "/static/{file}",
    "/metrics",
];
const NAMESPACES: [&str; 12] = [
    "checkout", "catalog", "payments", "search", "identity", "shipping", "ops", "ingress", "mail", "reports",
    "billing", "platform",
];
const BOUNDS: [&str; 12] =
    ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"];

/// The series of target number `target` in pod generation `generation`, about `wanted` of them.
pub fn target(target: usize, generation: u64, wanted: usize) -> Vec<Block> {
    let mut maker = Maker { target, generation, blocks: Vec::new(), made: 0 };
    maker.histogram(wanted * 40 / 100);
    maker.requests(wanted * 15 / 100);
    let pods = (wanted.saturating_sub(maker.made)) / 9;
    maker.containers(pods.max(1));
    while maker.made < wanted {
        maker.filler(wanted - maker.made);
    }
    maker.blocks
}

struct Maker {
    target: usize,
    generation: u64,
    blocks: Vec<Block>,
    made: usize,
}

impl Maker {
    fn open(&mut self, name: &str, kind: &str, help: &str) {
        let meta = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
        self.blocks.push(Block { meta, series: Vec::new() });
    }

    fn add(&mut self, head: String, motion: Motion) {
        let seed = (self.target as u64) << 32 ^ self.generation << 24 ^ self.made as u64;
        if let Some(block) = self.blocks.last_mut() {
            block.series.push(Series { head, motion, seed });
            self.made += 1;
        }
    }

    fn namespace(&self) -> &'static str {
        NAMESPACES[self.target % NAMESPACES.len()]
    }

    fn pod(&self, i: usize) -> String {
        let id = mix((self.target as u64) << 20 ^ self.generation << 40 ^ i as u64);
        format!("{}-{:08x}-{:05x}", self.namespace(), id as u32, (id >> 32) & 0xf_ffff)
    }

    fn histogram(&mut self, wanted: usize) {
        self.open("http_request_duration_seconds", "histogram", "Time from request to response.");
        let pod = self.pod(0);
        'all: for version in 0.. {
            for handler in HANDLERS {
                for method in ["GET", "POST"] {
                    if version * HANDLERS.len() * 28 > wanted || self.made >= wanted {
                        break 'all;
                    }
                    let labels = format!(
                        "handler=\"{handler}\",method=\"{method}\",pod=\"{pod}\",version=\"v{version}\""
                    );
                    for (i, le) in BOUNDS.iter().enumerate() {
                        let head = format!("http_request_duration_seconds_bucket{{{labels},le=\"{le}\"}} ");
                        self.add(head, Motion::Constant { value: 0.0 });
                        let seed = (self.target * 131 + version) as u64;
                        self.make_bucket(seed, i);
                    }
                    self.add(
                        format!("http_request_duration_seconds_sum{{{labels}}} "),
                        Motion::Seconds { per_second: 0.9 },
                    );
                    self.add(
                        format!("http_request_duration_seconds_count{{{labels}}} "),
                        Motion::Counter { per_second: 13.0 },
                    );
                }
            }
        }
    }

    /// Gives the bucket added last a growth that rises with its bound, and the seed its siblings share,
    /// so that the buckets of one histogram are cumulative.
    fn make_bucket(&mut self, seed: u64, bound: usize) {
        let last = self.blocks.last_mut().and_then(|block| block.series.last_mut());
        if let Some(series) = last {
            series.motion = Motion::Counter { per_second: 1.0 + bound as f64 };
            series.seed = seed;
        }
    }

    fn requests(&mut self, wanted: usize) {
        self.open("http_requests_total", "counter", "Requests served.");
        let (pod, end) = (self.pod(0), self.made + wanted);
        'all: for instance in 0.. {
            for handler in HANDLERS {
                for code in ["200", "404", "500", "503"] {
                    if self.made >= end {
                        break 'all;
                    }
                    let mut head = String::from("http_requests_total{");
                    let _ = write!(
                        head,
                        "handler=\"{handler}\",code=\"{code}\",pod=\"{pod}\",shard=\"{instance}\"}} "
                    );
                    self.add(head, Motion::Counter { per_second: 7.0 });
                }
            }
        }
    }

    fn containers(&mut self, pods: usize) {
        const METRICS: [(&str, &str, Motion); 9] = [
            ("container_cpu_usage_seconds_total", "counter", Motion::Seconds { per_second: 0.3 }),
            ("container_memory_working_set_bytes", "gauge", Motion::Bytes { mean: 2.0e8 }),
            ("container_network_receive_bytes_total", "counter", Motion::Counter { per_second: 3.0e4 }),
            ("container_network_transmit_bytes_total", "counter", Motion::Counter { per_second: 2.0e4 }),
            ("container_fs_reads_total", "counter", Motion::Counter { per_second: 2.0 }),
            ("container_threads", "gauge", Motion::Constant { value: 17.0 }),
            ("container_spec_memory_limit_bytes", "gauge", Motion::Constant { value: 536_870_912.0 }),
            ("container_cpu_load_average_10s", "gauge", Motion::Ratio { mean: 0.7 }),
            ("container_restarts_total", "counter", Motion::Constant { value: 1.0 }),
        ];
        let namespace = self.namespace();
        for (name, kind, motion) in METRICS {
            self.open(name, kind, "As the container runtime reports it.");
            for i in 0..pods {
                let (pod, container) = (self.pod(i + 1), ["app", "proxy", "agent"][i % 3]);
                let head = format!(
                    "{name}{{namespace=\"{namespace}\",pod=\"{pod}\",container=\"{container}\",image=\"registry.example/{namespace}/{container}:1.{}\",node=\"node-{:03}\"}} ",
                    i % 7,
                    self.target % 200
                );
                self.add(head, motion);
            }
        }
    }

    fn filler(&mut self, wanted: usize) {
        self.open("process_resident_memory_bytes", "gauge", "Resident memory.");
        for i in 0..wanted {
            let head = format!("process_resident_memory_bytes{{pod=\"{}\"}} ", self.pod(10_000 + i));
            self.add(head, Motion::Bytes { mean: 8.0e7 });
        }
    }
}

/// Spreads the bits of `x` evenly (the finaliser of SplitMix64).
fn mix(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads(target_number: usize, generation: u64) -> Vec<String> {
        target(target_number, generation, 1_000).into_iter().flat_map(|b| b.series).map(|s| s.head).collect()
    }

    #[test]
    fn a_target_has_the_series_asked_for_and_each_once() {
        let mut all = heads(3, 0);
        let made = all.len();
        assert!((1_000..1_030).contains(&made), "{made}");
        all.sort();
        all.dedup();
        assert_eq!(all.len(), made);
    }

    #[test]
    fn another_generation_of_pods_is_other_series() {
        let (old, new) = (heads(3, 0), heads(3, 1));
        assert!(old.iter().all(|head| !new.contains(head)));
    }

    #[test]
    fn counters_never_fall() {
        for series in target(1, 0, 500).into_iter().flat_map(|b| b.series) {
            if matches!(series.motion, Motion::Counter { .. } | Motion::Seconds { .. }) {
                let values: Vec<f64> = (0..20).map(|i| series.value(f64::from(i) * 10.0)).collect();
                assert!(values.windows(2).all(|w| w[0] <= w[1]), "{}", series.head);
            }
        }
    }
}
