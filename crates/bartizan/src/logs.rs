//! `bartizan logs`: asks a server for logs in LogQL, prints lines as they were written or as they come, and series as
//! tables and graphs.
//!
//! In reading order: this file (the command line), [`request`] (asking), [`lines`] (how lines are shown), [`query`] (lines
//! and series of a range), [`tail`] on [`websocket`] (lines as they come), [`facts`] (what there is).

mod facts;
mod lines;
mod query;
mod request;
mod tail;
mod websocket;

use clap::{Args, Subcommand, ValueEnum};

/// Settings of `bartizan logs`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct LogsArgs {
    #[command(subcommand)]
    command: Option<LogsCommand>,
    #[command(flatten)]
    query: QueryArgs,
}

/// What there is to know about logs.
#[derive(Subcommand, Debug)]
enum LogsCommand {
    /// List names of labels, or the values of one.
    Labels {
        /// The label whose values to list.
        name: Option<String>,
        /// Only of streams that match, such as `{job="a"}`.
        #[arg(long = "match", value_name = "SELECTOR")]
        selector: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// List streams.
    Series {
        /// A selector such as `{job="a"}`.
        selector: String,
        /// Show for each label how many values it has.
        #[arg(long)]
        analyze_labels: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Count streams, entries and bytes.
    Stats {
        /// A selector such as `{job="a"}`.
        selector: String,
        #[command(flatten)]
        common: Common,
    },
    /// Show how many bytes there are of each stream, or of each value of some labels.
    Volume {
        /// A selector such as `{job="a"}`.
        selector: String,
        /// Labels to add up by.
        #[arg(long, value_delimiter = ',', value_name = "LABELS")]
        by: Vec<String>,
        #[command(flatten)]
        common: Common,
    },
    /// List fields of lines: of structured metadata, logfmt and JSON.
    #[command(visible_alias = "detected-fields")]
    Fields {
        /// A query of lines.
        query: String,
        /// The field whose values to list.
        name: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// List patterns of lines, the most frequent first.
    Patterns {
        /// A selector such as `{job="a"}`.
        selector: String,
        #[command(flatten)]
        common: Common,
    },
    /// Write a query in the usual form.
    Fmt {
        /// The query.
        query: String,
        #[command(flatten)]
        common: Common,
    },
}

/// A query, and how its answer is shown.
#[derive(Args, Debug)]
pub(crate) struct QueryArgs {
    /// The query, such as `{job="a"} |= "error"` or `sum by (level) (rate({job="a"}[5m]))`.
    #[arg(required = true)]
    expression: Option<String>,
    /// Which lines are taken if there are more than the limit: the newest (backward) or the oldest (forward), which then
    /// come first. By default the newest are taken and shown in order of time.
    #[arg(long, value_enum)]
    direction: Option<Direction>,
    /// Show lines as they come, until interrupted.
    #[arg(long, short = 'f', visible_alias = "follow")]
    tail: bool,
    /// Seconds a tailed line may wait for others that are older.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=5))]
    delay_for: u8,
    /// Evaluate series at one moment, the end of the range.
    #[arg(long)]
    instant: bool,
    /// Time between points of series; a 250th of the range by default.
    #[arg(long)]
    step: Option<String>,
    /// Do not show labels.
    #[arg(long)]
    no_labels: bool,
    #[command(flatten)]
    common: Common,
}

/// Settings of all questions.
#[derive(Args, Debug)]
pub(crate) struct Common {
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:9090", env = "BARTIZAN_URL", value_name = "URL")]
    server: url::Url,
    /// Begin so long before the end.
    #[arg(long, default_value = "1h", value_name = "DURATION", conflicts_with = "from")]
    since: String,
    /// The beginning: RFC 3339, seconds since the Unix epoch, or a duration before now (`2h`).
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// The end, likewise; now by default.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// At most this many lines or results; 0 for all.
    #[arg(long, short = 'n', default_value_t = 100)]
    limit: usize,
    /// How to print.
    #[arg(long, short, value_enum, default_value = "default")]
    output: Output,
    /// When to colour.
    #[arg(long, value_enum, default_value = "auto")]
    color: Color,
    /// The tenant, sent as `X-Scope-OrgID`.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// File with HTTP client options (authentication, TLS, proxy), as in a scrape configuration.
    #[arg(long, value_name = "FILE")]
    http_config: Option<std::path::PathBuf>,
}

/// Which lines come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Direction {
    /// The newest.
    Backward,
    /// The oldest.
    Forward,
}

/// Form of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Lines with time and labels; series as a graph in a terminal, else as a table.
    Default,
    /// Lines alone.
    Raw,
    /// A JSON object for each line or sample.
    Jsonl,
    /// Aligned columns.
    Table,
    /// Series over time, in the terminal.
    Graph,
    /// The server's answer as it is.
    Json,
}

/// Whether the terminal is asked for colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// If it is a terminal.
    Auto,
    /// Yes.
    Always,
    /// No.
    Never,
}

impl Color {
    fn is_on(self) -> bool {
        use std::io::IsTerminal;
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        }
    }
}

/// Asks and prints.
pub fn run(args: &LogsArgs) -> anyhow::Result<()> {
    let outcome = match &args.command {
        Some(command) => facts::run(command),
        None if args.query.tail => tail::run(&args.query),
        None => query::run(&args.query),
    };
    // A reader that went away has had what it wanted.
    outcome.or_else(|error| if is_broken_pipe(&error) { Ok(()) } else { Err(error) })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind)
    };
    error.chain().any(|cause| io(cause) == Some(std::io::ErrorKind::BrokenPipe))
}

/// Prints text as it is.
fn emit(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
