//! Log messages in Prometheus's forms: `key=value` pairs or JSON, on standard error.

use std::fmt::{self, Write as _};

use base::Clock;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::cli::prometheus::{LogFormat, LogLevel};

/// Installs the log writer of the process.
pub fn start(level: LogLevel, format: LogFormat) {
    let level = match level {
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Info => Level::INFO,
        LogLevel::Warn => Level::WARN,
        LogLevel::Error => Level::ERROR,
    };
    let formatter = Lines { clock: base::SystemClock::new(), format };
    // Libraries speak up only when something is wrong; our own crates follow the level.
    let filter = tracing_subscriber::filter::filter_fn(move |metadata| {
        let target = metadata.target().split("::").next().unwrap_or_default();
        let limit = if OURS.contains(&target) { level } else { level.min(Level::WARN) };
        *metadata.level() <= limit
    });
    use tracing_subscriber::layer::{Layer, SubscriberExt};
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).event_format(formatter);
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(filter));
    // A second call (there is none outside of tests) keeps the first writer.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Our own crates, whose messages follow the level that was asked for.
const OURS: [&str; 12] = [
    "alerting",
    "api",
    "bartizan",
    "collect",
    "config",
    "discovery",
    "exporters",
    "federation",
    "httpclient",
    "ingest",
    "remote",
    "tsdb",
];

struct Lines {
    clock: base::SystemClock,
    format: LogFormat,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let time = jiff::Timestamp::from_millisecond(self.clock.now_ms()).map_err(|_| fmt::Error)?;
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = if *metadata.level() == Level::TRACE { "DEBUG" } else { metadata.level().as_str() };
        match self.format {
            LogFormat::Logfmt => {
                write!(writer, "time={time:.3} level={level} component={}", metadata.target())?;
                write!(writer, " msg={}", Logfmt(&fields.message))?;
                for (name, value) in &fields.others {
                    write!(writer, " {name}={}", Logfmt(value))?;
                }
                writeln!(writer)
            }
            LogFormat::Json => {
                let mut object = serde_json::Map::new();
                object.insert("time".to_owned(), format!("{time:.3}").into());
                object.insert("level".to_owned(), level.into());
                object.insert("component".to_owned(), metadata.target().into());
                object.insert("msg".to_owned(), fields.message.into());
                for (name, value) in fields.others {
                    object.insert(name.to_owned(), value.into());
                }
                writeln!(writer, "{}", serde_json::Value::Object(object))
            }
        }
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, String)>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: String) {
        if field.name() == "message" {
            self.message = value;
        } else {
            self.others.push((field.name(), value));
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

/// A value of a `key=value` pair, quoted where it must be.
struct Logfmt<'a>(&'a str);

impl fmt::Display for Logfmt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| !(c.is_whitespace() || c.is_control() || c == '"' || c == '=' || c == '\\');
        if !self.0.is_empty() && self.0.chars().all(plain) {
            return f.write_str(self.0);
        }
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\n' => f.write_str("\\n")?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::Logfmt;

    #[test]
    fn values_are_quoted_where_they_must_be() {
        for (value, expected) in
            [("plain", "plain"), ("a b", "\"a b\""), ("a\"b\n", "\"a\\\"b\\n\""), ("", "\"\"")]
        {
            assert_eq!(Logfmt(value).to_string(), expected);
        }
    }
}
