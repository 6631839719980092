//! Log lines of four kinds, the same in every run: what web servers, applications and clusters write, and lines that are
//! as hard to compress and to skip as lines can be.

use std::fmt::Write as _;

/// A small generator of random numbers (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    /// Any number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// A number below `end`, small ones far more often than large ones.
    fn skewed(&mut self, end: u64) -> u64 {
        let share = self.below(1 << 20) as f64 / f64::from(1 << 20);
        (share * share * share * end as f64) as u64
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len() as u64) as usize]
    }
}

/// What writes the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Web servers, in the combined format.
    Access,
    /// Applications, JSON.
    Json,
    /// Components and pods of a cluster.
    Kubernetes,
    /// Random words: nothing repeats.
    Diverse,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Access, Self::Json, Self::Kubernetes, Self::Diverse];

    /// The name in labels and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Json => "json",
            Self::Kubernetes => "kubernetes",
            Self::Diverse => "diverse",
        }
    }

    /// Number of streams.
    pub fn streams(self) -> u64 {
        match self {
            Self::Access | Self::Diverse => 10,
            Self::Json => 40,
            Self::Kubernetes => 200,
        }
    }

    /// Bytes of a line and the newline behind it, in the mean and rounded down.
    pub fn line_bytes(self) -> u64 {
        match self {
            Self::Access => 192,
            Self::Json => 217,
            Self::Kubernetes => 142,
            Self::Diverse => 148,
        }
    }

    /// Nanoseconds a timestamp is a multiple of: servers and applications stamp milliseconds, container runtimes nanoseconds.
    pub fn resolution_ns(self) -> i64 {
        match self {
            Self::Access | Self::Json => 1_000_000,
            Self::Diverse => 1_000,
            Self::Kubernetes => 1,
        }
    }

    /// The labels of a stream.
    pub fn labels(self, stream: u64) -> String {
        let name = self.name();
        let namespace = ["prod", "staging", "infra"][(stream % 3) as usize];
        format!("{{app=\"{name}\", namespace=\"{namespace}\", pod=\"{name}-{stream}\"}}")
    }

    /// Appends a line of a stream at a time.
    pub fn line(self, stream: u64, at_ns: i64, random: &mut Random, out: &mut String) {
        let clock = Clock(at_ns);
        let written = match self {
            Self::Access => access(&clock, random, out),
            Self::Json => json(&clock, stream, random, out),
            Self::Kubernetes => kubernetes(&clock, stream, random, out),
            Self::Diverse => diverse(random, out),
        };
        debug_assert!(written.is_ok(), "writing to a string");
    }
}

/// A time of day.
struct Clock(i64);

impl Clock {
    fn hms(&self) -> (i64, i64, i64) {
        let second = self.0.div_euclid(1_000_000_000).rem_euclid(86_400);
        (second / 3600, second / 60 % 60, second % 60)
    }

    fn micros(&self) -> i64 {
        self.0.rem_euclid(1_000_000_000) / 1000
    }
}

const AGENTS: [&str; 8] = [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15",
    "curl/8.7.1",
    "kube-probe/1.30",
    "Go-http-client/2.0",
    "python-requests/2.32.3",
];

fn access(clock: &Clock, random: &mut Random, out: &mut String) -> std::fmt::Result {
    let (hour, minute, second) = clock.hms();
    // Clients come again: the same address is the same number of the same list.
    let client = random.skewed(200_000).wrapping_mul(0x9e37_79b9);
    let octet = |shift: u32| client >> shift & 0xff;
    write!(
        out,
        "{}.{}.{}.{} - - [15/Jan/2026:{hour:02}:{minute:02}:{second:02} +0000] \"",
        octet(24),
        octet(16),
        octet(8),
        octet(0)
    )?;
    let method = random.of(&["GET", "GET", "GET", "POST", "PUT"]);
    match random.below(4) {
        0 => write!(out, "{method} /api/v1/users/{}/orders", random.skewed(100_000))?,
        1 => write!(out, "{method} /static/js/app.{:08x}.js", random.below(40) * 0x9e37_79b1)?,
        2 => write!(
            out,
            "{method} /search?q={}&page={}",
            WORDS[random.skewed(64) as usize],
            random.skewed(20)
        )?,
        _ => out.push_str("GET /healthz"),
    }
    let status = [200, 200, 200, 200, 200, 304, 302, 404, 500, 201][random.skewed(10) as usize];
    let agent = AGENTS[random.skewed(8) as usize];
    write!(
        out,
        " HTTP/1.1\" {status} {} \"-\" \"{agent}\" 0.{:03}",
        random.skewed(50_000),
        random.skewed(1000)
    )
}

const MESSAGES: [&str; 10] = [
    "request handled",
    "cache miss, loading from the database",
    "connection reset by peer",
    "retrying upstream call",
    "user session refreshed",
    "payment authorised",
    "slow query",
    "feature flag evaluated",
    "message published",
    "rate limit exceeded",
];

fn json(clock: &Clock, stream: u64, random: &mut Random, out: &mut String) -> std::fmt::Result {
    let (hour, minute, second) = clock.hms();
    let level = ["info", "info", "info", "debug", "warn", "error"][random.skewed(6) as usize];
    write!(
        out,
        "{{\"ts\":\"2026-01-15T{hour:02}:{minute:02}:{second:02}.{:03}Z\",\"level\":\"{level}\",\"logger\":\"shop.{}\",\"msg\":\"{}\",",
        clock.micros() / 1000,
        WORDS[(stream % 8) as usize],
        MESSAGES[random.skewed(10) as usize],
    )?;
    write!(
        out,
        "\"trace_id\":\"{:016x}{:016x}\",\"user_id\":{},\"status\":{},\"duration_ms\":{}.{},\"path\":\"/v1/{}/{}\"}}",
        random.next(),
        random.next(),
        random.skewed(500_000),
        [200, 201, 404, 500][random.skewed(4) as usize],
        random.skewed(3000),
        random.below(10),
        WORDS[random.skewed(16) as usize],
        random.skewed(10_000),
    )
}

fn kubernetes(clock: &Clock, stream: u64, random: &mut Random, out: &mut String) -> std::fmt::Result {
    let (hour, minute, second) = clock.hms();
    let micros = clock.micros();
    let pod = |random: &mut Random| {
        let n = random.skewed(3000);
        format!(
            "{}-{:08x}-{:05x}",
            WORDS[(n % 32) as usize],
            n.wrapping_mul(0x9e37_79b1) & 0xffff_ffff,
            n * 77
        )
    };
    match stream % 4 {
        0 => write!(
            out,
            "I0115 {hour:02}:{minute:02}:{second:02}.{micros:06}       1 {}.go:{}] \"{}\" pod=\"{}/{}\" podUID=\"{:08x}-{:04x}-4{:03x}-9{:03x}-{:012x}\"",
            random.of(&["kubelet", "reconciler_common", "pod_startup_latency_tracker", "scope"]),
            100 + random.skewed(20) * 17,
            random.of(&[
                "SyncLoop UPDATE",
                "Observed pod startup duration",
                "RemoveContainer",
                "Volume detached"
            ]),
            random.of(&["prod", "staging", "kube-system"]),
            pod(random),
            random.below(1 << 32),
            random.below(1 << 16),
            random.below(1 << 12),
            random.below(1 << 12),
            random.below(1 << 48),
        ),
        1 => write!(
            out,
            "time=\"2026-01-15T{hour:02}:{minute:02}:{second:02}Z\" level={} msg=\"{}\" controller={} object={}/{} attempt={} duration={}ms",
            random.of(&["info", "info", "info", "warning", "error"]),
            MESSAGES[random.skewed(10) as usize],
            random.of(&["deployment", "replicaset", "endpoints", "node"]),
            random.of(&["prod", "staging"]),
            pod(random),
            random.skewed(9),
            random.skewed(4000),
        ),
        2 => write!(
            out,
            "{{\"level\":\"{}\",\"ts\":{}.{micros:06},\"caller\":\"mvcc/index.go:{}\",\"msg\":\"compact tree index\",\"revision\":{}}}",
            random.of(&["info", "warn"]),
            clock.0.div_euclid(1_000_000_000),
            random.skewed(400),
            clock.0.div_euclid(1_000_000) % 100_000_000,
        ),
        _ => write!(
            out,
            "[INFO] 10.{}.{}.{}:{} - {} \"AAAA IN {}.prod.svc.cluster.local. udp {} false 1232\" NOERROR qr,aa,rd {} 0.000{:06}s",
            random.skewed(16),
            random.skewed(256),
            random.below(256),
            32768 + random.below(28_000),
            random.below(65_536),
            WORDS[random.skewed(64) as usize],
            40 + random.skewed(60),
            100 + random.skewed(200),
            random.skewed(900_000),
        ),
    }
}

/// Words whose letters and length say nothing about the next: hexadecimal ones of any length.
fn diverse(random: &mut Random, out: &mut String) -> std::fmt::Result {
    for word in 0..8 + random.below(12) {
        let separator = if word == 0 { "" } else { " " };
        let shift = random.below(50);
        write!(out, "{separator}{:x}", random.next() >> shift)?;
    }
    Ok(())
}

const WORDS: [&str; 64] = [
    "cart", "orders", "users", "billing", "search", "catalog", "auth", "media", "stock", "prices", "reviews",
    "email", "events", "ledger", "gateway", "profile", "ingress", "metrics", "backup", "config", "session",
    "payment", "invoice", "refund", "basket", "coupon", "address", "country", "currency", "delivery",
    "tracking", "returns", "support", "ticket", "message", "notify", "webhook", "export", "import", "report",
    "audit", "policy", "token", "secret", "cluster", "node", "volume", "network", "router", "switch",
    "bridge", "tunnel", "queue", "topic", "stream", "worker", "broker", "cache", "index", "shard", "replica",
    "primary", "standby", "leader",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_in_every_run_and_of_a_usual_length() {
        for kind in Kind::ALL {
            let lines = |seed| {
                let mut random = Random(seed);
                let mut out = String::new();
                for i in 0..1000 {
                    kind.line(i % kind.streams(), i as i64 * 1_234_567_891, &mut random, &mut out);
                }
                out
            };
            assert_eq!(lines(1), lines(1));
            assert_ne!(lines(1), lines(2));
            assert!((60_000..300_000).contains(&lines(1).len()), "{}", kind.name());
        }
    }
}
