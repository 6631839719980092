//! Where targets come from.

use std::path::PathBuf;

use model::labels::Quoted;

use super::foreign::{self, Foreign};
use super::http::HttpClientConfig;
use crate::decode::{At, Cx, Fields, Setting};
use crate::error::Fault;
use crate::scalar::{LabelMap, PromDuration, Url};
use crate::section::{Check, FieldDoc, Section, SectionDoc, Shape, section};
use crate::yaml::{Node, Out};

/// All discovery sections of one job. Their keys stand directly in the job.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ServiceDiscovery {
    /// Targets listed in the configuration.
    pub static_configs: Vec<StaticGroup>,
    /// Targets listed in files.
    pub file_sd_configs: Vec<FileSd>,
    /// Targets listed by an HTTP server.
    pub http_sd_configs: Vec<HttpSd>,
    /// Targets found by DNS queries.
    pub dns_sd_configs: Vec<DnsSd>,
    /// Mechanisms that are recognised and validated but cannot run yet.
    pub foreign: Vec<Foreign>,
}

section! {
    /// A group of targets with common labels.
    pub struct StaticGroup ("Target group", "targetgroup.Group") {
        /// Targets as `host:port`.
        always targets: Vec<String>;
        /// Labels of all targets of the group.
        set labels: LabelMap;
    }
}

section! {
    /// Target groups listed in JSON or YAML files, which are watched.
    pub struct FileSd ("file_sd_config", "file.plain") {
        /// Files; the last path element may hold one `*`.
        always files: Vec<PathBuf>;
        /// How often the files are read even if no change was noticed.
        set refresh_interval: PromDuration = PromDuration::from_secs(300);
    }
}

section! {
    /// Target groups fetched from an HTTP server as JSON.
    pub struct HttpSd ("http_sd_config", "http.plain") {
        /// How to connect.
        inline http: HttpClientConfig;
        /// How often the groups are fetched.
        set refresh_interval: PromDuration = PromDuration::from_secs(60);
        /// Where the groups are fetched.
        always url: Url;
    }
}

section! {
    /// Targets found by querying DNS.
    pub struct DnsSd ("dns_sd_config", "dns.plain") {
        /// Names to query.
        always names: Vec<String>;
        /// How often the names are queried.
        set refresh_interval: PromDuration = PromDuration::from_secs(30);
        /// The record type: `SRV`, `A`, `AAAA`, `MX` or `NS`.
        always r#type: String = "SRV".to_owned();
        /// The port of the targets; SRV records bring their own.
        always port: u16;
    }
}

impl Check for StaticGroup {}

impl Check for FileSd {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        if self.files.is_empty() {
            let message = "file service discovery config must contain at least one path name";
            return Err(at.fault("files", message).remedy("list files: [targets/*.yml]"));
        }
        for node in at.items("files") {
            let name = node.text().unwrap_or_default();
            if !is_discovery_file(name) {
                let message = format!("path name {} is not valid for file discovery", Quoted(name));
                return Err(Fault::new(node.pos, message)
                    .remedy("name a .json, .yml or .yaml file; * only in the last path element, once"));
            }
        }
        Ok(())
    }
}

/// Whether a name ends as a discovery file must, with at most one `*`, in its last element.
fn is_discovery_file(name: &str) -> bool {
    let stem = [".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"]
        .iter()
        .find_map(|ending| name.strip_suffix(ending));
    stem.is_some_and(is_one_star_path)
}

/// Whether a path holds at most one run of pattern, a single `*` in its last element.
pub(crate) fn is_one_star_path(path: &str) -> bool {
    path.split_once('*').is_none_or(|(_, behind)| !behind.contains('/'))
}

impl Check for HttpSd {
    fn check(&mut self, at: At<'_>, cx: &Cx<'_>) -> Result<(), Fault> {
        check_http_url(&self.url, at, "url")?;
        self.http.check(at, cx)
    }
}

/// Fails unless `url` is an absolute HTTP URL.
pub(crate) fn check_http_url(url: &Url, at: At<'_>, key: &str) -> Result<(), Fault> {
    let example = "write a URL like https://host:port/path";
    if url.as_str().is_empty() {
        return Err(at.fault(key, "URL is missing").remedy(example));
    }
    if !matches!(url.scheme().as_str(), "http" | "https") {
        return Err(at.fault(key, "URL scheme must be 'http' or 'https'").remedy(example));
    }
    if url.host().is_empty() {
        return Err(at.fault(key, "host is missing in URL").remedy(example));
    }
    Ok(())
}

impl Check for DnsSd {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        if self.names.is_empty() {
            return Err(at
                .fault("names", "DNS-SD config must contain at least one SRV record name")
                .remedy("list names: [_http._tcp.example.com]"));
        }
        match self.r#type.to_uppercase().as_str() {
            "SRV" => Ok(()),
            "A" | "AAAA" | "MX" | "NS" if self.port == 0 => {
                let message = "a port is required in DNS-SD configs for all record types except SRV";
                Err(at.fault("port", message).remedy("add port"))
            }
            "A" | "AAAA" | "MX" | "NS" => Ok(()),
            _ => Err(at
                .fault("type", format!("invalid DNS-SD records type {}", self.r#type))
                .remedy("write SRV, A, AAAA, MX or NS")),
        }
    }
}

impl ServiceDiscovery {
    /// Fails when a static target is a URL. Jobs that relabel targets may do that, so they are not
    /// checked.
    pub(crate) fn check_static_targets(&self, at: At<'_>) -> Result<(), Fault> {
        for (i, group) in self.static_configs.iter().enumerate() {
            for (j, target) in group.targets.iter().enumerate() {
                if target.contains('/') {
                    let pos = at.item("static_configs", i).item("targets", j).node.pos;
                    return Err(Fault::new(pos, format!("{} is not a valid hostname", Quoted(target)))
                        .remedy("write host:port; scheme and path belong into `scheme` and `metrics_path`"));
                }
            }
        }
        Ok(())
    }
}

fn take<T: Setting>(fields: &mut Fields<'_, '_>, key: &'static str) -> Result<Vec<T>, Fault> {
    if let Some(list) = fields.raw(key)
        && let Some(item) = list.items().iter().find(|item| item.is_null())
    {
        return Err(Fault::new(item.pos, format!("empty or null section in {key}"))
            .remedy("remove the lone dash, or fill in the section"));
    }
    fields.take(key, Vec::new)
}

impl Section for ServiceDiscovery {
    const TYPE_NAME: &'static str = "discovery.Configs";

    fn read(fields: &mut Fields<'_, '_>) -> Result<Self, Fault> {
        Ok(Self {
            foreign: foreign::read_all(fields)?,
            dns_sd_configs: take(fields, "dns_sd_configs")?,
            file_sd_configs: take(fields, "file_sd_configs")?,
            http_sd_configs: take(fields, "http_sd_configs")?,
            static_configs: take(fields, "static_configs")?,
        })
    }

    fn write(&self, out: &mut Vec<(String, Out)>) {
        let lists = [
            ("dns_sd_configs", self.dns_sd_configs.emit()),
            ("file_sd_configs", self.file_sd_configs.emit()),
            ("http_sd_configs", self.http_sd_configs.emit()),
            ("static_configs", self.static_configs.emit()),
        ];
        let mut all: Vec<(String, Out)> =
            lists.into_iter().map(|(key, list)| (key.to_owned(), list)).collect();
        for foreign in &self.foreign {
            match all.iter_mut().find(|(key, _)| key == foreign.key()) {
                Some((_, Out::List(items))) => items.push(foreign.emit()),
                _ => all.push((foreign.key().to_owned(), Out::List(vec![foreign.emit()]))),
            }
        }
        all.retain(|(_, list)| !matches!(list, Out::List(items) if items.is_empty()));
        all.sort_by(|a, b| a.0.cmp(&b.0));
        out.append(&mut all);
    }

    fn doc() -> SectionDoc {
        let list = |key, shape: Shape, doc: &str| FieldDoc {
            key,
            shape: Shape::List(Box::new(shape)),
            default: String::new(),
            doc: doc.to_owned(),
        };
        let mut fields = vec![
            list("static_configs", StaticGroup::shape(), "Targets listed here."),
            list("file_sd_configs", FileSd::shape(), "Targets listed in watched files."),
            list("http_sd_configs", HttpSd::shape(), "Targets listed by an HTTP server."),
            list("dns_sd_configs", DnsSd::shape(), "Targets found by DNS queries."),
        ];
        fields.extend(foreign::keys().map(|key| {
            list(key, Shape::Scalar("section"), "Recognised and validated; the server refuses to start with it until this mechanism is built in.")
        }));
        SectionDoc {
            title: "Service discovery",
            doc: "Where targets come from. These keys stand directly in a job.".to_owned(),
            fields,
        }
    }
}

impl Setting for ServiceDiscovery {
    fn zero() -> Self {
        Self::default()
    }

    fn decode(node: &Node, cx: &Cx<'_>) -> Result<Self, Fault> {
        Self::read(&mut Fields::new(node, Self::TYPE_NAME, cx)?)
    }

    fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    fn emit(&self) -> Out {
        crate::section::emit_section(self)
    }

    fn shape() -> Shape {
        Shape::Section(Self::doc)
    }
}
