//! Agent mode: flags that only it has, and those it does not.

use clap::{ArgAction, ArgMatches, Args, parser::ValueSource};

use super::{BytesArg, DurationArg, WalCompression, bytes, duration};

/// Flags of agent mode.
#[derive(Args, Debug, Clone)]
pub struct AgentArgs {
    /// Run in 'Agent mode': scrape and forward, store only the log of what is not sent yet.
    #[arg(long = "agent", action = ArgAction::SetTrue, overrides_with = "no_agent")]
    pub agent: bool,
    #[arg(long = "no-agent", action = ArgAction::SetTrue, hide = true)]
    no_agent: bool,

    /// Base path of the log. Use with agent mode only.
    #[arg(long = "storage.agent.path", default_value = "data-agent/", value_name = "DIR")]
    pub path: std::path::PathBuf,

    /// Size of the segments of the log, with a unit, between 10MB and 256MB. Use with agent mode only.
    #[arg(id = "agent_wal_segment_size", long = "storage.agent.wal-segment-size", default_value = "0B", value_parser = bytes, value_name = "BYTES", hide = true)]
    pub wal_segment_size: BytesArg,

    /// Compress the log. Use with agent mode only.
    #[arg(long = "storage.agent.wal-compression", action = ArgAction::SetTrue, overrides_with = "no_agent_wal_compression")]
    agent_wal_compression: bool,
    #[arg(long = "no-storage.agent.wal-compression", action = ArgAction::SetTrue, hide = true)]
    pub no_agent_wal_compression: bool,

    /// How the log is compressed. Use with agent mode only.
    #[arg(long = "storage.agent.wal-compression-type", default_value = "snappy", hide = true)]
    pub agent_wal_compression_type: WalCompression,

    /// How often what is not needed any more is dropped from the log; 2h by default. Use with agent mode only.
    #[arg(long = "storage.agent.wal-truncate-frequency", default_value = "0s", value_parser = duration, hide = true)]
    pub wal_truncate_frequency: DurationArg,

    /// How long a series that gets no samples is remembered at least. Use with agent mode only.
    #[arg(long = "storage.agent.retention.min-time", default_value = "5m", value_parser = duration)]
    pub retention_min_time: DurationArg,

    /// How long a series that gets no samples is remembered while a destination has not got its last ones. Use
    /// with agent mode only.
    #[arg(long = "storage.agent.retention.max-time", default_value = "4h", value_parser = duration)]
    pub retention_max_time: DurationArg,

    /// Do not create a lock file in the directory of the log. Use with agent mode only.
    #[arg(long = "storage.agent.no-lockfile", action = ArgAction::SetTrue, overrides_with = "no_agent_no_lockfile")]
    pub agent_no_lockfile: bool,
    #[arg(long = "no-storage.agent.no-lockfile", action = ArgAction::SetTrue, hide = true)]
    no_agent_no_lockfile: bool,

    /// How many series the agent may know; more are refused, those there are still fed. 0 for no limit. Use
    /// with agent mode only. Not a flag of Prometheus.
    #[arg(long = "storage.agent.max-series", default_value_t = 0)]
    pub agent_max_series: usize,

    /// Checkpoints need no labels in memory here; accepted for compatibility.
    #[arg(long = "storage.agent.checkpoint-from-in-memory-series", action = ArgAction::SetTrue, hide = true)]
    checkpoint_from_memory: bool,
    #[arg(long = "no-storage.agent.checkpoint-from-in-memory-series", action = ArgAction::SetTrue, hide = true)]
    no_checkpoint_from_memory: bool,
    /// Accepted for compatibility.
    #[arg(long = "storage.agent.checkpoint-batch-size", default_value_t = 1000, hide = true)]
    checkpoint_batch_size: i64,
}

/// What only a server has, by the beginning of the flag.
const SERVER_ONLY: [&str; 6] =
    ["storage.tsdb.", "storage.remote.read-", "web.search.max-limit", "rules.", "alertmanager.", "query."];
const AGENT_ONLY: &str = "storage.agent.";

/// The status a process ends with that was given flags of the other mode.
pub const MISPLACED_STATUS: u8 = 3;

/// The refusal of flags that do not go with the mode, if there are any.
pub fn misplaced(matches: &ArgMatches, flags: &[(String, String)]) -> Option<String> {
    let is_agent = matches.get_flag("agent");
    let is_given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let is_other = |name: &str| match is_agent {
        true => SERVER_ONLY.iter().any(|prefix| name.starts_with(prefix)),
        false => name.starts_with(AGENT_ONLY),
    };
    let bare = |name: &str| name.strip_prefix("no-").unwrap_or(name).to_owned();
    let mut names: Vec<String> =
        flags.iter().filter(|(_, id)| is_given(id)).map(|(name, _)| bare(name)).collect();
    names.retain(|name| is_other(name));
    names.dedup();
    if names.is_empty() {
        return None;
    }
    let quoted: Vec<_> = names.iter().map(|name| format!("\"--{name}\"")).collect();
    let rule = if is_agent { "can not be used in agent mode" } else { "can only be used in agent mode" };
    Some(format!("The following flag(s) {rule}: [{}]", quoted.join(" ")))
}
