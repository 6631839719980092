//! Other servers as sources of metrics, through remote read.
//!
//! In reading order: [`ReadSource`] (what is asked, and whether at all), `client` (request and answer),
//! `series` (series as they came), [`metrics`].

mod client;
pub mod metrics;
mod series;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use base::clock::SharedClock;
use config::RemoteReadConfig;
use httpclient::ClientError;
use model::{
    Exemplar, LabelRequest, Labels, MatchOp, Matcher, QueryContext, QueryStop, SelectRequest, SeriesSet,
    SeriesSource, SourceError, TimeRange,
};
use tokio::runtime::Handle;
use wire::protobuf::ProtobufError;
use wire::remote_read::FrameError;

use self::client::ReadClient;
pub use self::metrics::ReadMetrics;
use self::series::RemoteSet;

/// Why a server could not be read from.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The query may not go on.
    #[error(transparent)]
    Stopped(#[from] QueryStop),
    /// The request could not be made or sent.
    #[error("error sending request: {0}")]
    Send(ClientError),
    /// The answer could not be received.
    #[error("error reading response: {0}")]
    Receive(ClientError),
    /// The server refused.
    #[error("remote server {url} returned http status {status}: {message}")]
    Status {
        /// The server, without password.
        url: String,
        /// Its answer.
        status: String,
        /// What it said.
        message: String,
    },
    /// The answer is neither of those that were asked for.
    #[error("unsupported content type: {0}")]
    ContentType(String),
    /// The answer cannot be decompressed.
    #[error("error reading response: {0}")]
    Damaged(String),
    /// The answer is not the message it should be.
    #[error("unable to unmarshal response body: {0}")]
    Malformed(#[from] ProtobufError),
    /// The stream is damaged.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Another number of queries was answered than were asked.
    #[error("responses: want 1, got {0}")]
    Answers(usize),
}

impl From<base::budget::BudgetExceeded> for ReadError {
    fn from(error: base::budget::BudgetExceeded) -> Self {
        Self::Stopped(error.into())
    }
}

impl From<ReadError> for SourceError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Stopped(stop) => Self::Stopped(stop),
            other => Self::Storage(format!("remote_read: {other}")),
        }
    }
}

/// From when on the own storage has everything, in milliseconds; `None` while that is not known.
pub type LocalStart = Arc<dyn Fn() -> Option<i64> + Send + Sync>;

/// What all sources share.
#[derive(Clone)]
pub struct ReadEnv {
    /// Time.
    pub clock: SharedClock,
    /// Where requests run. Sources are read from threads outside of it.
    pub runtime: Handle,
    /// What requests cost.
    pub metrics: ReadMetrics,
    /// From when on the own storage has everything.
    pub local_start: LocalStart,
}

/// One `remote_read` section: a server as a source of series.
pub struct ReadSource {
    client: ReadClient,
    runtime: Handle,
    /// Labels that the server's series have and ours have not.
    external_labels: Labels,
    required_matchers: Labels,
    read_recent: bool,
    local_start: LocalStart,
}

impl std::fmt::Debug for ReadSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadSource").field("client", &self.client).finish_non_exhaustive()
    }
}

/// The sources of all `remote_read` sections. Fails when two sections are equal, or when a client cannot be
/// built.
pub fn sources(
    sections: &[RemoteReadConfig],
    external_labels: &Labels,
    env: &ReadEnv,
) -> Result<Vec<Arc<dyn SeriesSource>>, String> {
    let mut all: Vec<Arc<dyn SeriesSource>> = Vec::with_capacity(sections.len());
    for (i, section) in sections.iter().enumerate() {
        if sections[..i].contains(section) {
            return Err(format!(
                "duplicate remote read configs are not allowed, found duplicate for URL: {}",
                section.url.redacted()
            ));
        }
        let source = ReadSource::new(section, external_labels, env)
            .map_err(|error| format!("remote_read {}: {error}", section.url.redacted()))?;
        all.push(Arc::new(source));
    }
    Ok(all)
}

impl ReadSource {
    /// The source of one section.
    pub fn new(
        section: &RemoteReadConfig,
        external_labels: &Labels,
        env: &ReadEnv,
    ) -> Result<Self, ClientError> {
        let external_labels =
            if section.filter_external_labels { external_labels.clone() } else { Labels::empty() };
        Ok(Self {
            client: ReadClient::new(section, env)?,
            runtime: env.runtime.clone(),
            external_labels,
            required_matchers: section.required_matchers.to_labels(),
            read_recent: section.read_recent,
            local_start: env.local_start.clone(),
        })
    }

    /// The part of `range` that is to be read from the server: what the own storage has in full is left out,
    /// unless it is wanted all the same.
    fn remote_part(&self, range: TimeRange) -> Option<TimeRange> {
        if self.read_recent {
            return Some(range);
        }
        match (self.local_start)() {
            Some(start_ms) if range.start_ms > start_ms => None,
            Some(start_ms) => Some(TimeRange::new(range.start_ms, range.end_ms.min(start_ms))),
            None => Some(range),
        }
    }

    /// Whether a selector says what it must for the server to be asked.
    fn is_asked(&self, matchers: &[Matcher]) -> bool {
        self.required_matchers.iter().all(|(name, value)| {
            matchers.iter().any(|m| m.op == MatchOp::Equal && m.name == name && m.value == value)
        })
    }

    /// The matchers to send, and the labels that were added by them and must be taken off again. A label the
    /// selector says something about itself is left to it.
    fn matchers(&self, matchers: &[Matcher]) -> (Vec<Matcher>, Vec<String>) {
        let mut sent = matchers.to_vec();
        let mut added = Vec::new();
        for (name, value) in &self.external_labels {
            if !matchers.iter().any(|matcher| matcher.name == name) {
                sent.push(Matcher::equal(name, value));
                added.push(name.to_owned());
            }
        }
        (sent, added)
    }

    /// Lists of labels cannot be asked for; what concerns the server is then missing.
    fn no_labels(&self, request: &LabelRequest) -> Result<Vec<String>, SourceError> {
        let range = request.range.unwrap_or(TimeRange::ALL);
        if self.remote_part(range).is_none() || !self.is_asked(&request.matchers) {
            return Ok(Vec::new());
        }
        let problem =
            "remote_read: labels of other servers cannot be listed: remote read has no such request";
        Err(SourceError::Storage(problem.to_owned()))
    }
}

impl SeriesSource for ReadSource {
    /// Must not be called from within the runtime.
    fn select(&self, request: &SelectRequest, ctx: &QueryContext) -> Result<Box<dyn SeriesSet>, SourceError> {
        ctx.check(client::STAGE)?;
        let range = self.remote_part(request.range).filter(|_| self.is_asked(&request.matchers));
        let Some(range) = range else { return Ok(Box::new(RemoteSet::empty())) };
        let (matchers, added) = self.matchers(&request.matchers);
        let answer = self.runtime.block_on(self.client.read(range, &matchers, ctx))?;
        let mut set = RemoteSet::new(answer, range, &added, ctx)?;
        if request.sorted {
            set.sort();
        }
        if request.limit > 0 {
            set.truncate(request.limit);
        }
        Ok(Box::new(set))
    }

    fn label_names(&self, request: &LabelRequest, _: &QueryContext) -> Result<Vec<String>, SourceError> {
        self.no_labels(request)
    }

    fn label_values(
        &self,
        _: &str,
        request: &LabelRequest,
        _: &QueryContext,
    ) -> Result<Vec<String>, SourceError> {
        self.no_labels(request)
    }

    /// Remote read has none.
    fn exemplars(
        &self,
        _: TimeRange,
        _: &[Vec<Matcher>],
        _: &QueryContext,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, SourceError> {
        Ok(Vec::new())
    }
}
