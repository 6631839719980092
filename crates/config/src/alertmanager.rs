//! The configuration file of an Alertmanager: read, checked and completed.
//!
//! In reading order: [`values`] (notations), [`matchers`], [`intervals`], [`route`] (the routing tree and the
//! inhibition rules), [`global`], [`receivers`], `complete` (what receivers take from `global`).

mod complete;
pub mod global;
pub mod intervals;
pub mod matchers;
pub mod receivers;
pub mod route;
pub mod values;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use model::labels::Quoted;

use crate::decode::{At, Cx, Setting};
use crate::error::{ConfigError, Fault, Source};
use crate::section::{Check, section};
use crate::sections::foreign::Raw;
use crate::sections::tracing::TracingConfig;
use crate::yaml::{Limits, Node, parse_bytes, to_string};

pub use global::AlertGlobal;
pub use intervals::{NamedInterval, TimeInterval};
pub use matchers::{Matcher, MatcherMode, Matchers};
pub use receivers::Receiver;
pub use route::{InhibitRule, Route};

section! {
    /// The configuration file of an Alertmanager.
    pub struct AlertmanagerFile ("Alertmanager", "config.plain") {
        /// What all receivers start from.
        set global: Option<AlertGlobal>;
        /// The routing tree.
        set route: Option<Route>;
        /// Which alerts keep others from being sent.
        set inhibit_rules: Vec<InhibitRule>;
        /// The receivers.
        set receivers: Vec<Receiver>;
        /// Files with templates; the last path element may hold wildcards.
        always templates: Vec<PathBuf>;
        /// Deprecated: use `time_intervals`.
        set mute_time_intervals: Vec<NamedInterval>;
        /// Times under names, for routes.
        set time_intervals: Vec<NamedInterval>;
        /// Where the server's own traces are sent.
        set tracing: Option<TracingConfig>;
        /// Where a record of events is sent (not supported yet).
        set event_recorder: Option<Raw>;
    }
}

impl Check for AlertmanagerFile {}

/// A loaded configuration: checked, and completed with what receivers take from `global`.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertmanagerSettings {
    /// What all receivers start from.
    pub global: AlertGlobal,
    /// The root of the routing tree.
    pub route: Route,
    /// Which alerts keep others from being sent.
    pub inhibit_rules: Vec<InhibitRule>,
    /// The receivers.
    pub receivers: Vec<Receiver>,
    /// Files with templates, seen from the directory of the configuration; may hold wildcards.
    pub templates: Vec<PathBuf>,
    /// All time intervals.
    pub intervals: Vec<NamedInterval>,
    /// What an operator should know although the file loads.
    pub warnings: Vec<String>,
    /// The file as completed, secrets masked.
    yaml: String,
    /// A hash of the bytes of the file.
    bytes_hash: u64,
}

impl AlertmanagerSettings {
    /// Loads a file.
    pub fn load(path: &Path, mode: MatcherMode) -> Result<Self, ConfigError> {
        let bytes = std::fs::read(path).map_err(|error| ConfigError::unreadable(path, &error))?;
        Self::from_bytes(path, &bytes, mode)
    }

    /// Loads a configuration from memory; `path` names it in errors and is where paths start.
    pub fn from_bytes(path: &Path, bytes: &[u8], mode: MatcherMode) -> Result<Self, ConfigError> {
        let source = Source::new(path, String::from_utf8_lossy(bytes));
        let failed = |fault: Fault| ConfigError::new(&source, &[fault]);
        let root = parse_bytes(bytes, Limits::default()).map_err(failed)?;
        if root.is_null() {
            return Err(failed(
                Fault::new(root.pos, "no route provided in config").remedy("add route and receivers"),
            ));
        }
        let cx = Cx::new(path).with_matchers(mode);
        let decoded = AlertmanagerFile::decode(&root, &cx);
        let mut warnings = cx.take_warnings();
        let file = cx.finish(decoded).map_err(|faults| ConfigError::new(&source, &faults))?;
        if file.event_recorder.is_some() {
            warnings.push("event_recorder is not supported yet and has no effect".to_owned());
        }
        let hash = xxhash_rust::xxh3::xxh3_64(bytes);
        Self::complete(file, At { node: &root }, warnings, hash).map_err(failed)
    }

    fn complete(
        mut file: AlertmanagerFile,
        at: At<'_>,
        warnings: Vec<String>,
        bytes_hash: u64,
    ) -> Result<Self, Fault> {
        let global = file.global.clone().unwrap_or_default();
        global.check_pairs(at.child("global"))?;
        // Shown is what was written and its defaults: with what receivers take from `global` in each of them, it
        // could no longer be read where one setting excludes another.
        file.global = Some(global.clone());
        let yaml = to_string(&file.emit());
        complete::receivers(&mut file.receivers, &global, at)?;
        let Some(route) = file.route.clone() else {
            return Err(at.fault("route", "no routes provided").remedy("add route with a receiver"));
        };
        check_root(&route, at)?;
        let receivers: BTreeSet<&str> =
            file.receivers.iter().map(|receiver| receiver.name.as_str()).collect();
        check_receivers(at.value("route"), &receivers)?;
        let mut names = BTreeSet::new();
        unique_intervals(
            &file.mute_time_intervals,
            at,
            "mute_time_intervals",
            "mute time interval",
            &mut names,
        )?;
        unique_intervals(&file.time_intervals, at, "time_intervals", "time interval", &mut names)?;
        check_intervals(at.value("route"), &names)?;
        if route.r#continue {
            let message = "cannot have continue in root route";
            return Err(at.child("route").fault("continue", message).remedy("remove continue"));
        }
        let intervals = file.mute_time_intervals.into_iter().chain(file.time_intervals).collect();
        Ok(Self {
            global,
            route,
            inhibit_rules: file.inhibit_rules,
            receivers: file.receivers,
            templates: file.templates,
            intervals,
            warnings,
            yaml,
            bytes_hash,
        })
    }

    /// The configuration as YAML, completed, secrets masked: what `/api/v2/status` shows.
    pub fn to_yaml(&self) -> &str {
        &self.yaml
    }

    /// A hash of the bytes of the file, for the metric that tells one configuration from another.
    pub fn bytes_hash(&self) -> u64 {
        self.bytes_hash
    }

    /// The receiver of a name.
    pub fn receiver(&self, name: &str) -> Option<&Receiver> {
        self.receivers.iter().find(|receiver| receiver.name == name)
    }
}

fn check_root(route: &Route, at: At<'_>) -> Result<(), Fault> {
    let root = at.child("route");
    if route.receiver.is_empty() {
        let message = "root route must specify a default receiver";
        return Err(root.fault("receiver", message).remedy("add receiver"));
    }
    let has_matchers = [
        ("match", !route.r#match.is_empty()),
        ("match_re", !route.match_re.0.is_empty()),
        ("matchers", !route.matchers.0.is_empty()),
    ];
    if let Some((key, _)) = has_matchers.iter().find(|(_, has)| *has) {
        let message = "root route must not have any matchers";
        return Err(root.fault(key, message).remedy("move them to a route below"));
    }
    for (key, names, what) in [
        ("mute_time_intervals", &route.mute_time_intervals, "mute"),
        ("active_time_intervals", &route.active_time_intervals, "active"),
    ] {
        if !names.is_empty() {
            let message = format!("root route must not have any {what} time intervals");
            return Err(root.fault(key, message).remedy("move them to a route below"));
        }
    }
    Ok(())
}

/// Checks the receivers named below, children before their parents as the reference does.
fn check_receivers(route: Option<&Node>, names: &BTreeSet<&str>) -> Result<(), Fault> {
    let Some(node) = route else { return Ok(()) };
    let at = At { node };
    at.items("routes").iter().try_for_each(|child| check_receivers(Some(child), names))?;
    let name = at.text("receiver");
    if name.is_empty() || names.contains(name) {
        return Ok(());
    }
    let message = format!("undefined receiver {} used in route", Quoted(name));
    let nearest = crate::error::nearest(name, names.iter().copied());
    let remedy = nearest.map_or("add the receiver".to_owned(), |meant| format!("did you mean {meant:?}?"));
    Err(at.fault("receiver", message).remedy(remedy))
}

fn check_intervals(route: Option<&Node>, names: &BTreeSet<String>) -> Result<(), Fault> {
    let Some(node) = route else { return Ok(()) };
    let at = At { node };
    at.items("routes").iter().try_for_each(|child| check_intervals(Some(child), names))?;
    for key in ["active_time_intervals", "mute_time_intervals"] {
        for item in at.items(key) {
            let name = item.text().unwrap_or_default();
            if !names.contains(name) {
                let message = format!("undefined time interval {} used in route", Quoted(name));
                return Err(Fault::new(item.pos, message).remedy("add it to time_intervals"));
            }
        }
    }
    Ok(())
}

fn unique_intervals(
    intervals: &[NamedInterval],
    at: At<'_>,
    key: &str,
    what: &str,
    names: &mut BTreeSet<String>,
) -> Result<(), Fault> {
    for (i, interval) in intervals.iter().enumerate() {
        let at = at.item(key, i);
        if interval.name.is_empty() {
            return Err(at.fault("name", format!("missing name in {what}")).remedy("add name"));
        }
        if !names.insert(interval.name.clone()) {
            let message = format!("{what} {} is not unique", Quoted(&interval.name));
            return Err(at.fault("name", message).remedy("choose another name"));
        }
    }
    Ok(())
}
