//! Says why alerts are, or are not, told.

use httpclient::Method;
use serde_json::Value as Json;

use super::silences::show_silence;
use super::{Common, items, parse, print_json, show_labels, text};

/// Asks the server, and prints what it says.
pub(super) fn explain(labels: &[String], common: &Common) -> anyhow::Result<()> {
    let matchers = parse(labels)?.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let why = common.ask(Method::GET, &common.at("explain", &[("labels", matchers)]), None)?;
    if common.json {
        return print_json(&why);
    }
    if items(&why).is_empty() {
        println!("no alert has such labels");
    }
    items(&why).iter().for_each(explain_one);
    Ok(())
}

/// The name of an alert and its other labels.
fn named(labels: &Json) -> String {
    format!("{} {}", text(labels, "/alertname"), show_labels(labels)).trim().to_owned()
}

fn explain_one(alert: &Json) {
    let state = match (alert["isKnown"] == true, alert["isFiring"] == true) {
        (false, _) => "nobody has sent it; this is what would become of it",
        (true, true) => "fires",
        (true, false) => "is resolved",
    };
    println!("{}: {state}", named(&alert["labels"]));
    for id in items(&alert["silencedBy"]) {
        println!("  silenced by {}", id.as_str().unwrap_or_default());
        let silences = items(&alert["silences"]).iter().filter(|silence| silence["id"] == *id);
        silences.for_each(|silence| println!("    {}", show_silence(silence)));
    }
    if alert["inhibitedBy"].is_object() {
        let (rule, source) = (text(alert, "/inhibitedBy/rule"), named(&alert["inhibitedBy"]["labels"]));
        println!("  inhibited by alert {source}, by rule {rule}");
    }
    for route in items(&alert["routes"]) {
        println!("  route {} to receiver {}", text(route, "/route"), text(route, "/receiver"));
        for other in items(&route["notTaken"]) {
            println!("    not {}: {} does not hold", text(other, "/route"), text(other, "/matcher"));
        }
        for name in items(&route["mutedBy"]) {
            println!("    muted by time interval {}", name.as_str().unwrap_or_default());
        }
        match route["nextLook"].as_str() {
            Some(at) => println!("    group {}, looked at next at {at}", text(route, "/groupKey")),
            None => println!("    group {}, which does not exist", text(route, "/groupKey")),
        }
        items(&route["told"]).iter().for_each(explain_told);
        items(&route["underWay"]).iter().for_each(explain_under_way);
        for attempt in items(&route["attempts"]) {
            let outcome = attempt["error"].as_str().unwrap_or("accepted");
            println!(
                "    {} {} attempt {} ({}): {outcome}",
                text(attempt, "/at"),
                text(attempt, "/integration"),
                attempt["attempt"],
                text(attempt, "/reason")
            );
        }
    }
}

fn explain_told(told: &Json) {
    let integration = text(told, "/integration");
    if told["perhapsKnowsFiring"] == true {
        return println!("    {integration} got it and did not answer: it may know that it fires");
    }
    let Some(at) = told["toldAt"].as_str() else { return println!("    {integration} was not told yet") };
    let knows =
        if told["knowsFiring"] == true { "knows that it fires" } else { "does not know that it fires" };
    let again = told["repeatsAfter"].as_str().map_or(String::new(), |at| format!("; repeated after {at}"));
    println!("    {integration} was told at {at} and {knows}{again}");
}

fn explain_under_way(job: &Json) {
    let (integration, attempt) = (text(job, "/integration"), &job["attempt"]);
    let last =
        job["lastError"].as_str().map_or(String::new(), |error| format!("; the last error was: {error}"));
    match job["next"].as_str() {
        _ if job["isSending"] == true => {
            println!("    {integration} is being told now, attempt {attempt}{last}")
        }
        Some(at) => println!("    {integration} is tried again at {at}, after attempt {attempt}{last}"),
        None => println!("    {integration} waits for an older notification{last}"),
    }
}
