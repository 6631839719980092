//! Sections of mechanisms that cannot run yet: recognised by name, validated as far as their fields
//! and conflicts go, kept as written, and named when the server refuses to start with them.

use std::path::PathBuf;

use model::labels::Quoted;

use super::http::{HttpClientConfig, TlsConfig};
use super::sd::check_http_url;
use crate::decode::{At, Cx, Fields, Setting};
use crate::error::Fault;
use crate::scalar::{PromDuration, Url};
use crate::section::{Check, Section, Shape};
use crate::yaml::{Node, Out, Value};

/// A section kept as written.
#[derive(Debug, Clone, PartialEq)]
pub struct Foreign {
    kind: &'static Kind,
    /// What was written.
    pub raw: Raw,
}

/// Settings kept as written, with the place they came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Raw {
    /// The settings.
    pub node: Node,
    /// The file they stand in.
    pub file: PathBuf,
    /// The line they begin at.
    pub line: usize,
}

impl Foreign {
    /// The key of the section's list in a job, for example `consul_sd_configs`.
    pub fn key(&self) -> &'static str {
        self.kind.key
    }

    /// The section as written back, secrets masked.
    pub(crate) fn emit(&self) -> Out {
        self.raw.emit()
    }
}

impl Setting for Raw {
    fn zero() -> Self {
        Self { node: Node::null(), file: PathBuf::new(), line: 0 }
    }

    fn decode(node: &Node, cx: &Cx<'_>) -> Result<Self, Fault> {
        Ok(Self { node: node.clone(), file: cx.file.to_owned(), line: At { node }.place().line })
    }

    fn is_zero(&self) -> bool {
        self.node.is_null()
    }

    fn emit(&self) -> Out {
        emit_masked("", &self.node)
    }

    fn shape() -> Shape {
        Shape::Scalar("section")
    }
}

/// Keys whose values are secrets in any section of these mechanisms.
const SECRETS: [&str; 14] = [
    "application_credential_secret",
    "application_secret",
    "auth_token",
    "bearer_token",
    "client_secret",
    "consumer_key",
    "credentials",
    "key",
    "key_passphrase",
    "password",
    "private_key",
    "secret_key",
    "service_account_key",
    "token",
];

fn emit_masked(key: &str, node: &Node) -> Out {
    match &node.value {
        Value::Null => Out::Null,
        Value::Scalar(_) if SECRETS.contains(&key) => Out::Text("<secret>".to_owned()),
        Value::Scalar(scalar) if scalar.plain => Out::Bare(scalar.text.clone()),
        Value::Scalar(scalar) => Out::Text(scalar.text.clone()),
        Value::Sequence(items) => Out::List(items.iter().map(|item| emit_masked(key, item)).collect()),
        Value::Mapping(entries) => {
            let entry = |(k, v): &(Node, Node)| {
                let name = k.text().unwrap_or_default();
                (name.to_owned(), emit_masked(if key == "secrets" { key } else { name }, v))
            };
            Out::Map(entries.iter().map(entry).collect())
        }
    }
}

type Checker = fn(At<'_>, &Cx<'_>) -> Result<(), Fault>;

/// What is known about a mechanism.
#[derive(Debug)]
struct Kind {
    key: &'static str,
    /// The type in messages, which is the reference's.
    type_name: &'static str,
    /// Fields besides those of the HTTP client.
    fields: &'static [&'static str],
    /// Whether the fields of an HTTP client belong to it.
    http: bool,
    check: Checker,
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

fn nothing(_: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
    Ok(())
}

const AWS: &[&str] = &[
    "endpoint",
    "region",
    "access_key",
    "secret_key",
    "profile",
    "role_arn",
    "external_id",
    "refresh_interval",
    "port",
    "filters",
    "clusters",
    "request_concurrency",
    "role",
];

const fn kind(
    key: &'static str,
    type_name: &'static str,
    http: bool,
    fields: &'static [&'static str],
    check: Checker,
) -> Kind {
    Kind { key, type_name, fields, http, check }
}

#[rustfmt::skip]
static KINDS: [Kind; 33] = [
    kind("aws_sd_configs", "aws.plain", true, AWS, nothing),
    kind("azure_sd_configs", "azure.plain", true, &["environment", "port", "subscription_id", "tenant_id", "client_id", "client_secret", "refresh_interval", "authentication_method", "resource_group"], azure),
    kind("consul_sd_configs", "consul.plain", true, &["server", "path_prefix", "token", "datacenter", "namespace", "partition", "tag_separator", "scheme", "username", "password", "allow_stale", "refresh_interval", "services", "tags", "node_meta", "filter", "health_filter"], nothing),
    kind("digitalocean_sd_configs", "digitalocean.plain", true, &["refresh_interval", "port", "role"], nothing),
    kind("docker_sd_configs", "moby.plain", true, &["host", "port", "filters", "host_networking_host", "refresh_interval", "match_first_network"], needs_host),
    kind("dockerswarm_sd_configs", "moby.plain", true, &["host", "role", "port", "filters", "refresh_interval"], needs_host),
    kind("ec2_sd_configs", "aws.plain", true, AWS, ec2),
    kind("ecs_sd_configs", "aws.plain", true, AWS, nothing),
    kind("elasticache_sd_configs", "aws.plain", true, AWS, nothing),
    kind("eureka_sd_configs", "eureka.plain", true, &["server", "refresh_interval"], eureka),
    kind("gce_sd_configs", "gce.plain", false, &["project", "zone", "filter", "refresh_interval", "port", "tag_separator"], nothing),
    kind("hetzner_sd_configs", "hetzner.plain", true, &["refresh_interval", "port", "role", "label_selector"], hetzner),
    kind("ionos_sd_configs", "ionos.plain", true, &["datacenter_id", "refresh_interval", "port"], ionos),
    kind("kubernetes_sd_configs", "kubernetes.plain", true, &["api_server", "role", "kubeconfig_file", "namespaces", "selectors", "attach_metadata"], kubernetes),
    kind("kuma_sd_configs", "xds.plainKumaConf", true, &["refresh_interval", "fetch_timeout", "server", "client_id"], nothing),
    kind("lightsail_sd_configs", "aws.plain", true, AWS, nothing),
    kind("linode_sd_configs", "linode.plain", true, &["refresh_interval", "port", "tag_separator", "region"], nothing),
    kind("marathon_sd_configs", "marathon.plain", true, &["servers", "refresh_interval", "auth_token", "auth_token_file"], marathon),
    kind("msk_sd_configs", "aws.plain", true, AWS, nothing),
    kind("nerve_sd_configs", "zookeeper.plain", false, &["servers", "paths", "timeout"], zookeeper),
    kind("nomad_sd_configs", "nomad.plain", true, &["allow_stale", "namespace", "refresh_interval", "region", "server", "tag_separator"], nothing),
    kind("oci_sd_configs", "oci.plain", true, &["auth", "tenancy", "user", "fingerprint", "key_file", "key_passphrase", "key_passphrase_file", "region", "compartments", "port", "refresh_interval"], oci),
    kind("openstack_sd_configs", "openstack.plain", false, &["identity_endpoint", "username", "userid", "password", "project_name", "project_id", "domain_name", "domain_id", "application_credential_name", "application_credential_id", "application_credential_secret", "role", "region", "refresh_interval", "port", "all_tenants", "tls_config", "availability"], openstack),
    kind("outscale_sd_configs", "outscale.plain", true, &["endpoint", "region", "access_key", "secret_key", "secret_key_file", "refresh_interval", "port"], outscale),
    kind("ovhcloud_sd_configs", "ovhcloud.plain", false, &["endpoint", "application_key", "application_secret", "consumer_key", "refresh_interval", "service"], ovhcloud),
    kind("puppetdb_sd_configs", "puppetdb.plain", true, &["refresh_interval", "url", "query", "include_parameters", "port"], puppetdb),
    kind("rds_sd_configs", "aws.plain", true, AWS, nothing),
    kind("scaleway_sd_configs", "scaleway.plain", true, &["project_id", "api_url", "zone", "access_key", "secret_key", "secret_key_file", "name_filter", "tags_filter", "refresh_interval", "port", "role"], scaleway),
    kind("serverset_sd_configs", "zookeeper.plain", false, &["servers", "paths", "timeout"], zookeeper),
    kind("stackit_sd_configs", "stackit.plain", true, &["project", "refresh_interval", "port", "region", "endpoint", "service_account_key", "private_key", "service_account_key_path", "private_key_path", "credentials_file_path"], stackit),
    kind("triton_sd_configs", "triton.plain", false, &["account", "role", "dns_suffix", "endpoint", "groups", "port", "refresh_interval", "tls_config", "version"], triton),
    kind("uyuni_sd_configs", "uyuni.plain", true, &["server", "username", "password", "entitlement", "separator", "refresh_interval"], uyuni),
    kind("vultr_sd_configs", "vultr.plain", true, &["refresh_interval", "port"], nothing),
];

/// The keys of all mechanisms.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.key)
}

/// Reads and validates all these sections of one job.
pub(super) fn read_all(fields: &mut Fields<'_, '_>) -> Result<Vec<Foreign>, Fault> {
    let mut found = Vec::new();
    for kind in &KINDS {
        let Some(list) = fields.raw(kind.key) else { continue };
        for item in list.items() {
            if item.is_null() {
                let message = format!("empty or null section in {}", kind.key);
                return Err(
                    Fault::new(item.pos, message).remedy("remove the lone dash, or fill in the section")
                );
            }
            kind.validate(item, fields.cx())?;
            found.push(Foreign { kind, raw: Raw::decode(item, fields.cx())? });
        }
    }
    Ok(found)
}

impl Kind {
    fn validate(&self, node: &Node, cx: &Cx<'_>) -> Result<(), Fault> {
        let at = At { node };
        let mut fields = Fields::new(node, self.type_name, cx)?;
        for key in self.fields {
            match *key {
                "refresh_interval" | "timeout" | "fetch_timeout" => {
                    fields.take(key, PromDuration::default)?;
                }
                "tls_config" => {
                    fields.take(key, TlsConfig::default)?;
                }
                key => {
                    fields.raw(key);
                }
            }
        }
        let mut http = if self.http { Some(HttpClientConfig::read(&mut fields)?) } else { None };
        fields.finish();
        (self.check)(at, cx)?;
        http.as_mut().map_or(Ok(()), |http| http.check(at, cx))
    }
}

/// Fails unless `key` holds text.
fn need(at: At<'_>, key: &str, message: &str) -> Result<(), Fault> {
    if at.text(key).is_empty() { Err(at.fault(key, message).remedy(format!("add {key}"))) } else { Ok(()) }
}

/// Fails unless `key` is absent or holds one of `words`.
fn one_of(at: At<'_>, key: &str, words: &[&str], message: impl Fn(&str) -> String) -> Result<(), Fault> {
    let text = at.text(key);
    if !at.has(key) || words.contains(&text) {
        return Ok(());
    }
    Err(at.fault(key, message(text)).remedy(format!("write one of: {}", words.join(", "))))
}

fn azure(at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
    let required = |key: &str| need(at, key, &format!("azure SD configuration requires a {key}"));
    required("subscription_id")?;
    if matches!(at.text("authentication_method"), "" | "OAuth") {
        ["tenant_id", "client_id", "client_secret"].into_iter().try_for_each(required)?;
    }
    one_of(at, "authentication_method", &["OAuth", "ManagedIdentity", "SDK", "WorkloadIdentity"], |method| {
        let kinds = "Supported types are \"OAuth\", \"ManagedIdentity\", \"SDK\" or \"WorkloadIdentity\"";
        format!("unknown authentication_type {}. {kinds}", Quoted(method))
    })
}

fn needs_host(at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
    need(at, "host", "host missing")?;
    Url::parse(at.text("host"))
        .map(drop)
        .map_err(|message| at.fault("host", message).remedy("write a URL like unix:///var/run/docker.sock"))
}

fn ec2(at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
    for filter in at.items("filters") {
        let filter = At { node: filter };
        if filter.items("values").is_empty() {
            return Err(filter
                .fault("values", "EC2 SD configuration filter values cannot be empty")
                .remedy("list values, or remove the filter"));
        }
    }
    Ok(())
}

fn eureka(at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
    need(at, "server", "eureka_sd: empty or null eureka server")?;
    let whole =
        Url::parse(at.text("server")).is_ok_and(|url| !url.scheme().is_empty() && !url.host().is_empty());
    if whole {
        Ok(())
    } else {
        Err(at
            .fault("server", "eureka_sd: invalid eureka server URL")
            .remedy("write a URL like http://host:8761/eureka"))
    }
}

fn hetzner(at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
    one_of(at, "role", &["robot", "hcloud"], |role| format!("unknown role {}", Quoted(role)))?;
    need(at, "role", "role missing (one of: robot, hcloud)")
}

fn ionos(at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
    need(at, "datacenter_id", "datacenter id can't be empty")
}

fn marathon(at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
    if at.items("servers").is_empty() {
        return Err(at
            .fault("servers", "marathon_sd: must contain at least one Marathon server")
            .remedy("list servers"));
    }
    let (token, file) = (at.value("auth_token").is_some(), at.value("auth_token_file").is_some());
    let conflicts = [
        (token && file, "auth_token_file", "auth_token & auth_token_file"),
        (at.value("basic_auth").is_some(), "basic_auth", "basic_auth, auth_token & auth_token_file"),
        (
            at.value("bearer_token").is_some() || at.value("bearer_token_file").is_some(),
            "bearer_token",
            "bearer_token, bearer_token_file, auth_token & auth_token_file",
        ),
        (at.value("authorization").is_some(), "authorization", "auth_token, auth_token_file & authorization"),
    ];
    match conflicts.iter().find(|(conflict, ..)| (token || file) && *conflict) {
        Some((_, key, ways)) => Err(at
            .fault(key, format!("marathon_sd: at most one of {ways} must be configured"))
            .remedy("keep one of them")),
        None => Ok(()),
    }
}

fn oci(at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
    one_of(at, "auth", &["api_key", "instance_principal"], |auth| {
        format!(
            "oci_sd: unknown auth method {}, expected \"api_key\" or \"instance_principal\"",
            Quoted(auth)
        )
    })
}

fn openstack(at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
    one_of(at, "role", &["instance", "hypervisor", "loadbalancer"], |role| {
        format!("unknown OpenStack SD role {}", Quoted(role))
    })?;
    one_of(at, "availability", &["admin", "internal", "public"], |word| {
        format!("unknown availability {word}, must be one of admin, internal or public")
    })?;
    need(at, "role", "role missing (one of: instance, hypervisor, loadbalancer)")?;
    need(at, "region", "openstack SD configuration requires a region")
}

fn secret_key(at: At<'_>) -> Result<(), Fault> {
    match (at.text("secret_key").is_empty(), at.text("secret_key_file").is_empty()) {
        (true, true) => Err(at
            .fault("secret_key", "one of secret_key & secret_key_file must be configured")
            .remedy("add secret_key_file")),
        (false, false) => Err(at
            .fault("secret_key_file", "at most one of secret_key & secret_key_file must be configured")
            .remedy("keep one of them")),
        _ => Ok(()),
    }
}

fn outscale(at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
    need(at, "region", "outscale SD configuration requires a region")?;
    need(at, "access_key", "outscale SD configuration requires access_key")?;
    secret_key(at)
}

fn ovhcloud(at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
    if at.has("endpoint") {
        need(at, "endpoint", "endpoint can not be empty")?;
    }
    need(at, "application_key", "application key can not be empty")?;
    need(at, "application_secret", "application secret can not be empty")?;
    need(at, "consumer_key", "consumer key can not be empty")?;
    one_of(at, "service", &["dedicated_server", "vps"], |service| format!("unknown service: {service}"))?;
    need(at, "service", "unknown service: ")
}

fn puppetdb(at: At<'_>, cx: &Cx<'_>) -> Result<(), Fault> {
    let url = at.value("url").map_or(Ok(Url::default()), |node| Url::decode(node, cx))?;
    check_http_url(&url, at, "url")?;
    need(at, "query", "query missing")
}

fn scaleway(at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
    one_of(at, "role", &["instance", "baremetal"], |role| format!("unknown role {}", Quoted(role)))?;
    need(at, "role", "role missing (one of: instance, baremetal)")?;
    need(at, "project_id", "project_id is mandatory")?;
    secret_key(at)?;
    need(at, "access_key", "access_key is mandatory")
}

fn stackit(at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
    let endpoint = at.text("endpoint");
    Url::parse(endpoint).map(drop).map_err(|message| {
        let message = format!("stackit_sd: invalid endpoint {}: {message}", Quoted(endpoint));
        at.fault("endpoint", message).remedy("write a URL like https://host")
    })
}

fn triton(at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
    one_of(at, "role", &["container", "cn"], |role| {
        format!("triton SD configuration requires role to be 'container' or 'cn', not {}", Quoted(role))
    })?;
    need(at, "account", "triton SD configuration requires an account")?;
    need(at, "dns_suffix", "triton SD configuration requires a dns_suffix")?;
    need(at, "endpoint", "triton SD configuration requires an endpoint")
}

fn uyuni(at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
    need(at, "server", "Uyuni SD configuration requires server host")?;
    need(at, "username", "Uyuni SD configuration requires a username")?;
    need(at, "password", "Uyuni SD configuration requires a password")
}

fn zookeeper(at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
    if at.items("servers").is_empty() {
        return Err(at
            .fault("servers", "nerve SD config must contain at least one Zookeeper server")
            .remedy("list servers"));
    }
    match at.items("paths") {
        [] => Err(at.fault("paths", "nerve SD config must contain at least one path").remedy("list paths")),
        paths => match paths.iter().find(|path| !path.text().unwrap_or_default().starts_with('/')) {
            Some(path) => {
                let message =
                    format!("nerve SD config paths must begin with '/': {}", path.text().unwrap_or_default());
                Err(Fault::new(path.pos, message).remedy("begin the path with /"))
            }
            None => Ok(()),
        },
    }
}

const KUBERNETES_ROLES: [&str; 6] = ["node", "pod", "service", "endpoints", "endpointslice", "ingress"];

fn kubernetes(at: At<'_>, cx: &Cx<'_>) -> Result<(), Fault> {
    one_of(at, "role", &KUBERNETES_ROLES, |role| format!("unknown Kubernetes SD role {}", Quoted(role)))?;
    need(at, "role", "role missing (one of: pod, service, endpoints, endpointslice, node, ingress)")?;
    // The HTTP client's own conflicts come before those with the API server.
    HttpClientConfig::read(&mut Fields::new(at.node, "kubernetes.plain", cx)?)?.check(at, cx)?;
    let own_namespace = match at.value("namespaces") {
        Some(namespaces) => {
            let mut fields = Fields::new(namespaces, "kubernetes.plain", cx)?;
            fields.take::<Vec<String>>("names", Vec::new)?;
            let own = fields.take("own_namespace", || false)?;
            fields.finish();
            own
        }
        None => false,
    };
    if let Some(attach) = at.value("attach_metadata") {
        let mut fields = Fields::new(attach, "kubernetes.AttachMetadataConfig", cx)?;
        fields.take("node", || false)?;
        fields.take("namespace", || false)?;
        fields.finish();
    }
    kubernetes_server(at, own_namespace)?;
    kubernetes_selectors(at)
}

fn kubernetes_server(at: At<'_>, own_namespace: bool) -> Result<(), Fault> {
    let http_keys = [
        "basic_auth",
        "authorization",
        "oauth2",
        "bearer_token",
        "bearer_token_file",
        "tls_config",
        "follow_redirects",
        "enable_http2",
        "proxy_url",
        "no_proxy",
        "proxy_from_environment",
        "proxy_connect_header",
        "http_headers",
    ];
    let http = http_keys.into_iter().find(|key| at.value(key).is_some());
    let (server, kubeconfig) = (!at.text("api_server").is_empty(), !at.text("kubeconfig_file").is_empty());
    let conflicts = [
        (server && kubeconfig, "api_server", "cannot use 'kubeconfig_file' and 'api_server' simultaneously"),
        (
            kubeconfig && http.is_some(),
            http.unwrap_or_default(),
            "cannot use a custom HTTP client configuration together with 'kubeconfig_file'",
        ),
        (
            !server && http.is_some(),
            http.unwrap_or_default(),
            "to use custom HTTP client configuration please provide the 'api_server' URL explicitly",
        ),
        (
            server && own_namespace,
            "namespaces",
            "cannot use 'api_server' and 'namespaces.own_namespace' simultaneously",
        ),
        (
            kubeconfig && own_namespace,
            "namespaces",
            "cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously",
        ),
    ];
    match conflicts.into_iter().find(|(conflict, ..)| *conflict) {
        Some((_, key, message)) => {
            Err(at.fault(key, message).remedy(format!("remove {key}, or what it conflicts with")))
        }
        None => Ok(()),
    }
}

fn kubernetes_selectors(at: At<'_>) -> Result<(), Fault> {
    let role = at.text("role");
    let allowed: &[&str] = match role {
        "pod" => &["pod", "node"],
        "endpointslice" => &["pod", "service", "endpointslice"],
        "endpoints" => &["pod", "service", "endpoints"],
        "service" => &["service"],
        "node" => &["node"],
        _ => &["ingress"],
    };
    let mut seen = Vec::new();
    for selector in at.items("selectors") {
        let selector = At { node: selector };
        let of = selector.text("role");
        if seen.contains(&of) {
            return Err(selector
                .fault("role", format!("duplicated selector role: {of}"))
                .remedy("join the selectors of one role"));
        }
        seen.push(of);
        if !allowed.contains(&of) {
            let message = format!("{role} role supports only {} selectors", allowed.join(", "));
            return Err(selector
                .fault("role", message)
                .remedy(format!("write one of: {}", allowed.join(", "))));
        }
        let field = selector.text("field");
        let unclear = field.split(',').map(str::trim).find(|term| !term.is_empty() && !term.contains('='));
        if let Some(term) = unclear {
            let message = format!("invalid selector: '{field}'; can't understand '{term}'");
            return Err(selector
                .fault("field", message)
                .remedy("write name=value or name!=value, joined by commas"));
        }
    }
    Ok(())
}
