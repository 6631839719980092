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
    /// Join lines of log files: a line that matches begins an entry, those behind it that do not match belong to it. With a
    /// pattern of paths before it, of these files only: '/var/log/app/*.log=^\d{4}-'. Can be repeated; the first that
    /// fits counts.
    #[arg(long, value_name = "[GLOB=]REGEX")]
    logs_multiline: Vec<String>,
    /// How long lines wait for others that belong to them.
    #[arg(long, default_value = "3s", value_name = "DURATION")]
    logs_multiline_max_wait: String,
    /// Lines that are joined to one entry; 0 for any number.
    #[arg(long, default_value_t = 128, value_name = "LINES")]
    logs_multiline_max_lines: usize,
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

    /// What first lines of entries match, with the files that is meant for, if not for all.
    pub fn multiline(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        self.logs_multiline.iter().map(|text| match text.split_once('=') {
            // Paths are absolute, and what begins with a slash is rarely meant to be searched for.
            Some((glob, regex)) if glob.starts_with('/') => (Some(glob), regex),
            _ => (None, text.as_str()),
        })
    }

    /// How long lines wait for others, as it was written, and how many are joined.
    pub fn multiline_limits(&self) -> (&str, usize) {
        (&self.logs_multiline_max_wait, self.logs_multiline_max_lines)
    }

    /// Directories of the journal, if it is read; none are the usual ones.
    pub fn journal(&self) -> Option<&[PathBuf]> {
        (!self.no_logs_journal).then_some(&self.logs_journal[..])
    }
}
