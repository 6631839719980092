//! What a valid configuration asks for that this program cannot do yet.

use std::path::PathBuf;

use crate::root::Config;
use crate::sections::foreign::{Foreign, Raw};
use crate::sections::http::HttpClientConfig;

/// What the server does about a section it cannot honour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// It does not start: without the section, targets or credentials would silently be missing.
    Refuse,
    /// It starts and says that the section has no effect yet.
    Ignore,
}

/// A section that is valid but not supported yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// The section's key, for example `kubernetes_sd_configs`.
    pub section: String,
    /// The file it stands in.
    pub file: PathBuf,
    /// Its line, counted from one.
    pub line: usize,
    /// What the operator can do.
    pub remedy: String,
    /// What the server does about it.
    pub consequence: Consequence,
}

impl std::fmt::Display for Unsupported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { section, file, line, remedy, .. } = self;
        write!(f, "{}:{line}: {section} is not supported yet; {remedy}", file.display())
    }
}

impl Config {
    /// Everything in the configuration that is valid but cannot be honoured yet, in file order.
    pub fn unsupported(&self) -> Vec<Unsupported> {
        let mut found = Vec::new();
        for job in &self.jobs {
            found.extend(job.discovery.foreign.iter().map(discovery));
            self.http_client(&job.http, "scrape_configs", &mut found);
        }
        for manager in &self.file.alerting.alertmanagers {
            found.extend(manager.discovery.foreign.iter().map(discovery));
            found.extend(manager.sigv4.iter().map(|raw| authentication("sigv4", raw)));
        }
        for write in &self.file.remote_write {
            let ways = [("azuread", &write.azuread), ("google_iam", &write.google_iam)];
            found.extend(ways.into_iter().filter_map(|(key, raw)| Some(authentication(key, raw.as_ref()?))));
        }
        for read in &self.file.remote_read {
            self.http_client(&read.http, "remote_read", &mut found);
        }
        for (i, write) in self.file.remote_write.iter().enumerate() {
            if write.sigv4.as_ref().is_some_and(|sigv4| !sigv4.role_arn.is_empty()) {
                found.push(Unsupported {
                    section: format!("remote_write[{i}].sigv4.role_arn"),
                    file: self.path().to_owned(),
                    line: self.line_of("remote_write"),
                    remedy: "give credentials that need no other role".to_owned(),
                    consequence: Consequence::Refuse,
                });
            }
            self.http_client(&write.http, "remote_write", &mut found);
        }
        if self.file.tracing.is_some() {
            found.push(Unsupported {
                section: "tracing".to_owned(),
                file: self.path().to_owned(),
                line: self.line_of("tracing"),
                remedy: "it has no effect: traces are not sent".to_owned(),
                consequence: Consequence::Ignore,
            });
        }
        found.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        found
    }

    fn http_client(&self, http: &HttpClientConfig, section: &str, found: &mut Vec<Unsupported>) {
        if http.oauth2.as_ref().is_some_and(|oauth2| oauth2.is_jwt_grant()) {
            found.push(Unsupported {
                section: "oauth2.grant_type".to_owned(),
                file: self.path().to_owned(),
                line: self.line_of(section),
                remedy: "use the client credentials grant".to_owned(),
                consequence: Consequence::Refuse,
            });
        }
    }
}

fn discovery(foreign: &Foreign) -> Unsupported {
    let remedy =
        "list the targets with file_sd_configs or http_sd_configs until it is, or remove the section";
    refused(foreign.key(), &foreign.raw, remedy)
}

fn authentication(key: &str, raw: &Raw) -> Unsupported {
    refused(key, raw, "use basic_auth, authorization or oauth2")
}

fn refused(section: &str, raw: &Raw, remedy: &str) -> Unsupported {
    Unsupported {
        section: section.to_owned(),
        file: raw.file.clone(),
        line: raw.line,
        remedy: remedy.to_owned(),
        consequence: Consequence::Refuse,
    }
}
