//! Loki's flags, under their names. Loki takes them with one dash or with two.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args};

/// Flags of Loki's seat.
#[derive(Args, Debug, Clone)]
#[command(next_line_help = true)]
pub struct LokiArgs {
    /// Configuration file; of several, separated by commas, the first that exists.
    #[arg(long = "config.file", default_value = "config.yaml,config/config.yaml", value_name = "FILES")]
    pub config_file: String,

    /// Replace ${VAR} in the configuration by variables of the environment.
    #[arg(long = "config.expand-env", num_args = 0..=1, default_missing_value = "true", default_value = "false", require_equals = true, action = ArgAction::Set, hide_default_value = true)]
    pub expand_env: bool,

    /// Which components to run: all of them are one process.
    #[arg(long = "target", value_name = "NAMES")]
    pub target: Option<String>,

    /// Check the configuration and end.
    #[arg(long = "verify-config", num_args = 0..=1, default_missing_value = "true", default_value = "false", require_equals = true, action = ArgAction::Set, hide_default_value = true)]
    pub verify_config: bool,

    /// Print the configuration with all defaults to stderr at start.
    #[arg(long = "print-config-stderr", num_args = 0..=1, default_missing_value = "true", default_value = "false", require_equals = true, action = ArgAction::Set, hide_default_value = true)]
    pub print_config: bool,

    /// Print the version and end.
    #[arg(long = "version", num_args = 0..=1, default_missing_value = "true", default_value = "false", require_equals = true, action = ArgAction::Set, hide_default_value = true)]
    pub version: bool,

    /// The port to listen on, in place of server.http_listen_port.
    #[arg(long = "server.http-listen-port", value_name = "PORT")]
    pub http_listen_port: Option<u16>,

    /// The address to listen on, in place of server.http_listen_address.
    #[arg(long = "server.http-listen-address", value_name = "ADDRESS")]
    pub http_listen_address: Option<String>,

    /// Whether requests say whose data they are about, in place of auth_enabled.
    #[arg(long = "auth.enabled", num_args = 0..=1, default_missing_value = "true", require_equals = true, action = ArgAction::Set)]
    pub auth_enabled: Option<bool>,

    /// What LogQL can do beyond Loki's: distinct (the stage `| distinct`), subqueries, at (`@`), count-values, or all.
    #[arg(long = "logql-features", value_name = "NAMES", value_delimiter = ',')]
    pub logql_features: Vec<String>,

    /// A day of logs that is over is compacted into as few objects as there can be, as well as they can be compressed,
    /// when nothing came for it for this long.
    #[arg(long = "logs-quiet-time", default_value = "1h", value_name = "DURATION")]
    pub logs_quiet_time: String,

    /// What is logged, in place of server.log_level: debug, info, warn or error.
    #[arg(long = "log.level", value_name = "LEVEL")]
    pub log_level: Option<String>,

    /// How it is logged, in place of server.log_format: logfmt or json.
    #[arg(long = "log.format", value_name = "FORMAT")]
    pub log_format: Option<String>,
}

impl LokiArgs {
    /// The files the configuration may be in, the first that exists first.
    pub fn config_files(&self) -> Vec<PathBuf> {
        self.config_file
            .split(',')
            .map(str::trim)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
            .collect()
    }
}

/// The command line with a second dash before the flags of `bartizan loki`, as this program's command line wants it.
pub fn with_two_dashes(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let args: Vec<OsString> = args.into_iter().collect();
    if args.get(1).is_none_or(|command| command != "loki") {
        return args;
    }
    let dashed = |arg: OsString| match arg.to_str() {
        Some(text) if text.len() > 2 && text.starts_with('-') && !text.starts_with("--") => {
            OsString::from(format!("-{text}"))
        }
        _ => arg,
    };
    args.into_iter().map(dashed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_have_one_dash_or_two() {
        let of = |args: &[&str]| with_two_dashes(args.iter().map(OsString::from));
        assert_eq!(
            of(&["bartizan", "loki", "-config.file=x", "--target=all", "-h"]),
            ["bartizan", "loki", "--config.file=x", "--target=all", "-h"]
        );
        assert_eq!(of(&["bartizan", "query", "-abc"]), ["bartizan", "query", "-abc"]);
    }
}
