//! Flags about this host's logs.

use std::path::PathBuf;

use clap::Args;

/// Files that are followed unless others are named.
const DEFAULT_FILES: [&str; 2] = [
    "/var/log/**/*.log",
    "/var/log/{syslog,messages,secure,maillog,mail.err,mail.warn,cron,boot,debug,user,daemon,kern,auth}",
];

/// Which of this host's logs are collected, and how.
#[derive(Args, Debug, Clone, Default)]
pub struct HostLogArgs {
    /// Do not collect this host's logs.
    #[arg(long)]
    pub no_host_logs: bool,
    /// Log files to follow, in place of the usual ones below /var/log; a pattern, `**` for any directories. Can be
    /// repeated.
    #[arg(long, value_name = "GLOB")]
    logs_files: Vec<String>,
    /// Log files not to follow; a pattern. Can be repeated.
    #[arg(long, value_name = "GLOB")]
    logs_exclude: Vec<String>,
    /// Begin at the end of log files that are met for the first time.
    #[arg(long)]
    logs_from_end: bool,
    /// Join lines of log files: a line that matches begins an entry, those behind it that do not match belong to it.
    #[arg(long, value_name = "REGEX")]
    logs_multiline: Option<String>,
    /// Directory of the systemd journal, in place of /var/log/journal and /run/log/journal. Can be repeated.
    #[arg(long, value_name = "DIR")]
    logs_journal: Vec<PathBuf>,
    /// Do not read the systemd journal.
    #[arg(long, conflicts_with = "logs_journal")]
    no_logs_journal: bool,
}

impl HostLogArgs {
    /// Patterns of files to follow, and of those not to.
    pub fn files(&self) -> (Vec<String>, &[String]) {
        let files = match &self.logs_files[..] {
            [] => DEFAULT_FILES.map(str::to_owned).to_vec(),
            given => given.to_vec(),
        };
        (files, &self.logs_exclude)
    }

    /// Whether new files are read from their end.
    pub fn begins_at_end(&self) -> bool {
        self.logs_from_end
    }

    /// What the first line of an entry matches.
    pub fn multiline(&self) -> Option<&str> {
        self.logs_multiline.as_deref()
    }

    /// Directories of the journal, if it is read; none are the usual ones.
    pub fn journal(&self) -> Option<&[PathBuf]> {
        (!self.no_logs_journal).then_some(&self.logs_journal[..])
    }
}
