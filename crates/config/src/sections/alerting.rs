//! Where alerts go.

use super::foreign::Raw;
use super::http::HttpClientConfig;
use super::relabel::{NameValidation, RelabelConfig, validate_all};
use super::sd::ServiceDiscovery;
use crate::decode::{At, Cx};
use crate::error::Fault;
use crate::scalar::PromDuration;
use crate::section::{Check, choice, section};

section! {
    /// Where alerts are sent.
    pub struct AlertingConfig ("alerting", "config.plain") {
        /// Rules applied to alerts before they are sent.
        set alert_relabel_configs: Vec<RelabelConfig>;
        /// The Alertmanagers.
        set alertmanagers: Vec<AlertmanagerConfig>;
    }
}

section! {
    /// A set of Alertmanagers, each of which gets every alert.
    pub struct AlertmanagerConfig ("alertmanager", "config.AlertmanagerConfig") {
        /// How to connect.
        inline http: HttpClientConfig;
        /// AWS signature 4 (not supported yet).
        set sigv4: Option<Raw>;
        /// `http` or `https`.
        set scheme: String = "http".to_owned();
        /// What stands before the path alerts are posted to.
        set path_prefix: String;
        /// How long a request may take.
        set timeout: PromDuration = PromDuration::from_secs(10);
        /// The version of the API.
        always api_version: AlertmanagerApi = AlertmanagerApi::V2;
        /// Rules that turn discovered targets into Alertmanagers.
        set relabel_configs: Vec<RelabelConfig>;
        /// Rules applied to alerts sent to these Alertmanagers.
        set alert_relabel_configs: Vec<RelabelConfig>;
        /// Where the Alertmanagers come from.
        inline discovery: ServiceDiscovery;
    }
}

choice! {
    /// A version of the Alertmanager's API.
    pub enum AlertmanagerApi {
        /// Version 2.
        V2 = "v2",
    }
    wrong |word| format!("expected Alertmanager api version to be one of [v2] but got {word}")
}

impl Check for AlertingConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        at.no_null_items("alert_relabel_configs", "empty or null alert relabeling rule")?;
        at.no_null_items("alertmanagers", "empty or null Alertmanager section")
    }
}

impl AlertingConfig {
    /// Checks the rules with the validation scheme in force.
    pub(crate) fn complete(&mut self, scheme: NameValidation, at: At<'_>) -> Result<(), Fault> {
        validate_all(&mut self.alert_relabel_configs, scheme, at, "alert_relabel_configs")?;
        for (i, manager) in self.alertmanagers.iter_mut().enumerate() {
            let at = at.item("alertmanagers", i);
            validate_all(&mut manager.alert_relabel_configs, scheme, at, "alert_relabel_configs")?;
            validate_all(&mut manager.relabel_configs, scheme, at, "relabel_configs")?;
        }
        Ok(())
    }
}

impl Check for AlertmanagerConfig {
    fn check(&mut self, at: At<'_>, cx: &Cx<'_>) -> Result<(), Fault> {
        self.http.check(at, cx)?;
        let authenticated =
            self.http.basic_auth.is_some() || self.http.authorization.is_some() || self.http.oauth2.is_some();
        if authenticated && self.sigv4.is_some() {
            let message = "at most one of basic_auth, authorization, oauth2, & sigv4 must be configured";
            return Err(at.fault("sigv4", message).remedy("keep one of them"));
        }
        if self.relabel_configs.is_empty() {
            self.discovery.check_static_targets(at)?;
        }
        at.no_null_items("relabel_configs", "empty or null Alertmanager target relabeling rule")?;
        at.no_null_items("alert_relabel_configs", "empty or null Alertmanager alert relabeling rule")
    }
}
