//! Log sources of this host: files and the systemd journal, delivered so that each line is stored exactly once.
//!
//! A source keeps nothing in memory that is not on disk: it reads from an offset, hands a batch to the sink, and moves
//! the offset when the sink has made the batch durable. Before a batch of lines of files leaves, the positions say
//! which bytes are on their way and with which timestamps; after a `kill -9` the same bytes become the same entries,
//! which the store knows already or gets now.
//!
//! In reading order: [`glob`] (which files), [`rotation`] (names of rotated files), [`entries`] (bytes to entries),
//! [`mark`] (what tells contents apart), [`positions`] (what survives), [`sink`] (where entries go), [`archive`]
//! (compressed files), [`files`] (the tailer), [`journal`] (the journal), [`run`] (threads), [`metrics`].

pub mod archive;
pub mod entries;
pub mod files;
pub mod glob;
pub mod journal;
pub mod mark;
pub mod metrics;
pub mod positions;
pub mod rotation;
pub mod run;
pub mod sink;
#[cfg(test)]
mod tests;

pub use entries::Multiline;
pub use files::FileOptions;
pub use glob::Glob;
pub use journal::JournalOptions;
pub use metrics::LogMetrics;
pub use run::{HostLogs, HostLogsOptions};
pub use sink::{LogSink, SinkProblem};
