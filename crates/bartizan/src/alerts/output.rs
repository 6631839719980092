//! What amtool prints, as scripts take it apart: `--output simple`, `extended` and `json`.

use clap::ValueEnum;
use jiff::Timestamp;
use serde_json::Value as Json;

use super::{items, text};

/// A form of amtool's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A table of what matters most.
    Simple,
    /// A table of everything.
    Extended,
    /// The server's answer on one line.
    Json,
}

/// Lines whose cells stand under each other. A cell is as wide as the widest of its column, and two spaces.
fn table(lines: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for line in lines {
        widths.resize(widths.len().max(line.len()), 0);
        line.iter().zip(&mut widths).for_each(|(cell, width)| *width = (*width).max(cell.chars().count()));
    }
    let mut out = String::new();
    for line in lines {
        for (cell, width) in line.iter().zip(&widths) {
            out.push_str(cell);
            out.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count()));
        }
        out.push('\n');
    }
    out
}

fn line<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).into()
}

/// A moment of an answer for people.
fn date(json: &Json, path: &str) -> String {
    let shown = text(json, path);
    shown.parse::<Timestamp>().map_or_else(|_| shown.to_owned(), |at| at.strftime("%F %T UTC").to_string())
}

/// Items of a list by the moment in a field.
fn sorted<'j>(list: &'j Json, path: &str) -> Vec<&'j Json> {
    let mut all: Vec<&Json> = items(list).iter().collect();
    all.sort_by_key(|item| text(item, path).parse::<Timestamp>().unwrap_or(Timestamp::UNIX_EPOCH));
    all
}

fn matchers(silence: &Json, separator: &str) -> String {
    let all: Vec<String> = items(&silence["matchers"]).iter().map(super::silences::show_matcher).collect();
    all.join(separator)
}

fn labels(json: &Json) -> String {
    let entries = json.as_object().into_iter().flatten();
    let mut shown: Vec<String> =
        entries.map(|(name, value)| format!("{name}=\"{}\"", value.as_str().unwrap_or_default())).collect();
    shown.sort();
    shown.join(" ")
}

impl Output {
    /// Alerts.
    pub fn alerts(self, alerts: &Json) -> String {
        let mut lines = vec![match self {
            Self::Json => return format!("{alerts}\n"),
            Self::Simple => line(["Alertname", "Starts At", "Summary", "State"]),
            Self::Extended => {
                line(["Labels", "Annotations", "Starts At", "Ends At", "Generator URL", "State"])
            }
        }];
        for alert in sorted(alerts, "/startsAt") {
            let (starts, state) = (date(alert, "/startsAt"), text(alert, "/status/state"));
            lines.push(match self {
                Self::Simple => {
                    let summary = text(alert, "/annotations/summary");
                    line([text(alert, "/labels/alertname"), &starts, summary, state])
                }
                _ => {
                    let (own, annotations) = (labels(&alert["labels"]), labels(&alert["annotations"]));
                    let (ends, url) = (date(alert, "/endsAt"), text(alert, "/generatorURL"));
                    line([&own, &annotations, &starts, &ends, url, state])
                }
            });
        }
        table(&lines)
    }

    /// Silences.
    pub fn silences(self, silences: &Json) -> String {
        let mut lines = vec![match self {
            Self::Json => return format!("{silences}\n"),
            Self::Simple => line(["ID", "Matchers", "Ends At", "Created By", "Comment"]),
            Self::Extended => {
                line(["ID", "Matchers", "Starts At", "Ends At", "Updated At", "Created By", "Comment"])
            }
        }];
        for silence in sorted(silences, "/endsAt") {
            let (id, ends) = (text(silence, "/id"), date(silence, "/endsAt"));
            let (author, comment) = (text(silence, "/createdBy"), text(silence, "/comment"));
            lines.push(match self {
                Self::Simple => line([id, &matchers(silence, " "), &ends, author, comment]),
                _ => {
                    let all = format!("{{{}}}", matchers(silence, ","));
                    let (starts, updated) = (date(silence, "/startsAt"), date(silence, "/updatedAt"));
                    line([id, &all, &starts, &ends, &updated, author, comment])
                }
            });
        }
        table(&lines)
    }

    /// The configuration in a server's status.
    pub fn config(self, status: &Json) -> String {
        let mut out = format!("{}\n", text(status, "/config/original"));
        match self {
            Self::Json => return format!("{status}\n"),
            Self::Simple => return out,
            Self::Extended => {}
        }
        for name in ["buildUser", "goVersion", "revision", "version", "branch", "buildDate"] {
            out.push_str(&format!("{name} {}\n", text(&status["versionInfo"], &format!("/{name}"))));
        }
        out.push_str(&format!("uptime {}\n", text(status, "/uptime")));
        out
    }

    /// A cluster.
    pub fn cluster(self, cluster: &Json) -> String {
        let field = |name: &str, value: &str| {
            let width = "Cluster Status:".len() + 2;
            format!("{name:<width$}{value}\n")
        };
        let mut out = field("Cluster Status:", text(cluster, "/status"));
        out.push_str(&field("Node Name:", text(cluster, "/name")));
        match self {
            Self::Json => return format!("{cluster}\n"),
            Self::Simple => return out,
            Self::Extended => {}
        }
        let mut peers: Vec<Vec<String>> = items(&cluster["peers"])
            .iter()
            .map(|peer| line([text(peer, "/address"), text(peer, "/name")]))
            .collect();
        peers.sort();
        // The heading of the last column is no cell of it.
        let width = peers.iter().map(|peer| peer[0].chars().count()).max().unwrap_or(0).max("Address".len());
        out.push_str(&format!("\n{:<width$}  Name\n{}", "Address", table(&peers)));
        out
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_stand_under_each_other() {
        let silences = json!([
            {"id": "b", "matchers": [{"name": "ä", "value": "1", "isRegex": false, "isEqual": true}],
             "endsAt": "2026-01-02T03:04:05.678Z", "createdBy": "me", "comment": "c"},
            {"id": "a", "matchers": [], "endsAt": "2025-01-02T03:04:05.678Z", "createdBy": "you", "comment": ""},
        ]);
        assert_eq!(
            Output::Simple.silences(&silences),
            "ID  Matchers  Ends At                  Created By  Comment  \n\
             a             2025-01-02 03:04:05 UTC  you                  \n\
             b   ä=\"1\"     2026-01-02 03:04:05 UTC  me          c        \n"
        );
    }
}
