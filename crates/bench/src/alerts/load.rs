//! The configuration and the alerts a run works with.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{MAIL_WAIT_MS, receivers};
use crate::scenario::{BenchError, now_s};
use crate::{Alerts, http};

/// Teams with a route of their own.
const TEAMS: usize = 8;

/// What is sent.
pub struct Load {
    alerts: usize,
    groups: usize,
    silences: usize,
    batch: usize,
    group_interval_s: u64,
    began_s: u64,
}

impl Load {
    /// As the options say.
    pub fn new(options: &Alerts) -> Self {
        Self {
            alerts: options.alerts,
            groups: options.groups.max(1),
            silences: options.silences,
            batch: options.batch.max(1),
            group_interval_s: options.group_interval_s,
            began_s: now_s(),
        }
    }

    /// The configuration, for a webhook receiver and a mail server on these ports.
    pub fn configuration(&self, hook_port: u16, mail_port: u16) -> String {
        let mut text = format!(
            "global: {{smtp_smarthost: '127.0.0.1:{mail_port}', smtp_from: bench@example.org, smtp_require_tls: false}}\n\
             inhibit_rules:\n\
             - {{source_matchers: [severity=critical], target_matchers: [severity=info], equal: [service, alertname]}}\n\
             - {{source_matchers: [alertname=ClusterDown], target_matchers: [severity=~\"info|warning\"], equal: [cluster]}}\n\
             receivers:\n\
             - {{name: mail, email_configs: [{{to: you@example.org}}]}}\n\
             - {{name: hook, webhook_configs: [{{url: 'http://127.0.0.1:{hook_port}/'}}]}}\n\
             route:\n  receiver: hook\n  group_by: [alertname, service]\n  group_wait: 10s\n  group_interval: {}s\n  \
             repeat_interval: 4h\n  routes:\n  - {{matchers: [team=mail], receiver: mail, group_by: ['...'], \
             group_wait: {MAIL_WAIT_MS}ms}}\n",
            self.group_interval_s
        );
        for team in 0..TEAMS {
            let _ = writeln!(
                text,
                "  - {{matchers: [team=team{team}, severity=~\"warning|critical|info\"], receiver: hook}}"
            );
        }
        text
    }

    fn alert(&self, i: usize, round: u64) -> Value {
        let group = i % self.groups;
        let (service, member) = (format!("service-{group:04}"), i / self.groups);
        let name = format!("ServiceAlert{}", group % 50);
        let severity = ["warning", "critical", "warning"][member % 3];
        self.wrap(
            round,
            json!({
                "alertname": name, "service": service, "severity": severity, "cluster": "prod-eu-1",
                "namespace": format!("ns-{}", group % 40), "pod": format!("{service}-7d9c5b8f6-{member:05}"),
                "container": "app", "instance": format!("10.{}.{}.{}:8080", group >> 8, group & 255, member & 255),
                "job": "kubernetes-pods", "team": format!("team{}", group % TEAMS), "prometheus": "monitoring/main",
            }),
            &rfc3339(self.began_s),
        )
    }

    fn wrap(&self, round: u64, labels: Value, starts_at: &str) -> Value {
        let name = labels["alertname"].as_str().unwrap_or_default().to_owned();
        json!({
            "labels": labels,
            "annotations": {
                "summary": format!("{name} has been firing for longer than it should"),
                "description": "The share of requests that fail is above what was agreed, as measured at the ingress over five minutes.",
                "runbook_url": format!("https://runbooks.example.org/{name}"),
            },
            "generatorURL": format!("http://prometheus.example.org/graph?g0.expr={name}&g0.tab=1"),
            "startsAt": starts_at,
            // As a server with rules says it: valid for some evaluations, and then again.
            "endsAt": rfc3339(now_s() + 1_800 + round),
        })
    }

    /// Sends all alerts.
    pub fn post_all(&self, port: u16, round: u64) -> Result<(), BenchError> {
        let mut next = 0;
        while next < self.alerts {
            let end = (next + self.batch).min(self.alerts);
            self.post(port, &(next..end).map(|i| self.alert(i, round)).collect::<Vec<_>>())?;
            next = end;
        }
        Ok(())
    }

    /// Sends one new alert for each group.
    pub fn post_one_more_each(&self, port: u16) -> Result<(), BenchError> {
        let first = self.alerts.div_ceil(self.groups) * self.groups;
        let alerts: Vec<_> = (first..first + self.groups).map(|i| self.alert(i, 0)).collect();
        alerts.chunks(self.batch).try_for_each(|batch| self.post(port, batch))
    }

    /// Sends an alert somebody is told of by mail.
    pub fn post_for_mail(&self, port: u16, i: usize) -> Result<(), BenchError> {
        let labels = json!({ "alertname": "Mailed", "team": "mail", "number": i.to_string() });
        // One that began longer ago than its group waits would not wait.
        let now_ms = receivers::now_ms() as u64;
        let starts_at = rfc3339(now_ms / 1000).replace('Z', &format!(".{:03}Z", now_ms % 1000));
        self.post(port, &[self.wrap(0, labels, &starts_at)])
    }

    fn post(&self, port: u16, alerts: &[Value]) -> Result<(), BenchError> {
        http::post_json(port, "/api/v2/alerts", &serde_json::to_vec(alerts)?).map(drop)
    }

    /// Silences single alerts.
    pub fn post_silences(&self, port: u16) -> Result<(), BenchError> {
        for i in 0..self.silences {
            let alert = self.alert(i * 7 + self.groups, 0);
            let matcher = |name: &str, is_regex: bool| {
                let value = alert["labels"][name].clone();
                json!({ "name": name, "value": value, "isRegex": is_regex, "isEqual": true })
            };
            let silence = json!({
                "matchers": [matcher("alertname", false), matcher("pod", i % 4 == 0)],
                "startsAt": rfc3339(self.began_s), "endsAt": rfc3339(self.began_s + 86_400),
                "createdBy": "bench", "comment": "known",
            });
            http::post_json(port, "/api/v2/silences", &serde_json::to_vec(&silence)?)?;
        }
        Ok(())
    }
}

/// Seconds since the Unix epoch as a timestamp, by the arithmetic of the Gregorian calendar.
fn rfc3339(seconds: u64) -> String {
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Days since the first of March of the year 0, in eras of 400 years.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn timestamps_are_those_of_the_calendar() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_795_289_296), "2026-11-21T19:28:16Z");
    }
}
