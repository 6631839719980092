//! What templates of alerts may call.

use std::net::IpAddr;
use std::sync::Arc;

use gotmpl::humanize::{humanize, humanize_1024, humanize_percentage, number};
use gotmpl::library::{humanize_duration, query_escape, text, text_function, text_functions};
use gotmpl::time::{Span, Time};
use gotmpl::{Arguments, Function, List, Value};

use super::Environment;
use super::samples::{list_of, with_sample};

/// All functions, by name.
pub(super) fn all(environment: &Arc<Environment>) -> Vec<(&'static str, Function)> {
    let mut all = text_functions();
    all.extend(of_results(environment));
    all.extend(of_numbers());
    all.extend(of_addresses());
    all.extend(of_server(environment));
    all
}

fn of_results(environment: &Arc<Environment>) -> Vec<(&'static str, Function)> {
    let asking = environment.clone();
    vec![
        (
            "query",
            Function::of(1, move |arguments| {
                let samples = asking.queries.instant(&text(arguments, 0)?, asking.now_ms(), &asking.cancel);
                samples.map(|samples| list_of(&samples)).map_err(|failure| failure.message)
            }),
        ),
        (
            "first",
            Function::of(1, |arguments| {
                let list = list(arguments, 0)?;
                list.items
                    .first()
                    .cloned()
                    .ok_or_else(|| "first() called on vector with no elements".to_owned())
            }),
        ),
        (
            "label",
            Function::of(2, |arguments| {
                let name = text(arguments, 0)?;
                with_sample(arguments.get(1), |sample| sample.labels.get_or_empty(&name).into())
            }),
        ),
        ("value", Function::of(1, |arguments| with_sample(arguments.get(0), |sample| sample.value.clone()))),
        (
            "strvalue",
            Function::of(1, |arguments| {
                with_sample(arguments.get(0), |sample| sample.labels.get_or_empty("__value__").into())
            }),
        ),
        ("sortByLabel", Function::of(2, sort_by_label)),
        (
            "args",
            Function::variadic(0, |arguments| {
                let named =
                    arguments.all().iter().enumerate().map(|(i, value)| (format!("arg{i}"), value.clone()));
                Ok(Value::map(named))
            }),
        ),
    ]
}

fn list(arguments: &Arguments, i: usize) -> Result<Arc<List>, String> {
    match arguments.get(i) {
        Value::List(list) => Ok(list.clone()),
        other => {
            Err(format!("wrong type for value; expected template.queryResult; got {}", other.type_name()))
        }
    }
}

fn sort_by_label(arguments: &Arguments) -> Result<Value, String> {
    let name = text(arguments, 0)?;
    let list = list(arguments, 1)?;
    let mut keyed = Vec::with_capacity(list.items.len());
    for item in &list.items {
        let key = with_sample(item, |sample| sample.labels.get_or_empty(&name).to_owned())?;
        keyed.push((key, item.clone()));
    }
    keyed.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Value::list(keyed.into_iter().map(|(_, item)| item).collect(), list.element))
}

fn of_numbers() -> Vec<(&'static str, Function)> {
    fn printed(print: fn(f64) -> String) -> Function {
        Function::of(1, move |arguments| number(arguments.get(0)).map(|number| print(number).into()))
    }
    vec![
        ("humanize", printed(humanize)),
        ("humanize1024", printed(humanize_1024)),
        ("humanizePercentage", printed(humanize_percentage)),
        ("humanizeDuration", humanize_duration()),
        (
            "humanizeTimestamp",
            Function::of(1, |arguments| {
                let seconds = number(arguments.get(0))?;
                if !seconds.is_finite() {
                    return Ok(humanize(seconds).into());
                }
                let time = Time::from_seconds(seconds)?;
                Ok(gotmpl::print(&[time.value()]).into())
            }),
        ),
        (
            "toTime",
            Function::of(1, |arguments| Time::from_seconds(number(arguments.get(0))?).map(Time::value)),
        ),
        (
            "toDuration",
            Function::of(1, |arguments| Ok(Span::from_seconds(number(arguments.get(0))?).value())),
        ),
        (
            "parseDuration",
            Function::of(1, |arguments| {
                let ms = model::duration::parse_signed_duration_ms(&text(arguments, 0)?);
                ms.map(|ms| Value::Float(ms as f64 / 1e3)).map_err(|error| error.to_string())
            }),
        ),
    ]
}

fn of_addresses() -> Vec<(&'static str, Function)> {
    vec![
        (
            "stripPort",
            text_function(|address| split_port(address).map_or(address, |(host, _)| host).to_owned()),
        ),
        ("stripDomain", text_function(strip_domain)),
        ("urlQueryEscape", text_function(query_escape)),
        ("graphLink", text_function(|expression| link(expression, 0))),
        ("tableLink", text_function(table_link)),
    ]
}

/// The path of the expression browser with `expression` as a table.
pub(crate) fn table_link(expression: &str) -> String {
    link(expression, 1)
}

fn link(expression: &str, tab: u8) -> String {
    format!("/graph?g0.expr={}&g0.tab={tab}", query_escape(expression))
}

/// Host and port of `host:port`, `[v6]:port` or `host%zone:port`; `None` where there is no port.
fn split_port(address: &str) -> Option<(&str, &str)> {
    let (before, port) = address.rsplit_once(':')?;
    if let Some(inside) = before.strip_prefix('[') {
        let host = inside.strip_suffix(']')?;
        return (!host.contains(['[', ']'])).then_some((host, port));
    }
    (!before.contains([':', '[', ']']) && !port.contains(['[', ']'])).then_some((before, port))
}

/// A host name up to its first dot, with the port where there is one; addresses stay.
fn strip_domain(address: &str) -> String {
    let (host, port) = split_port(address).unwrap_or((address, ""));
    if host.parse::<IpAddr>().is_ok() {
        return address.to_owned();
    }
    let name = host.split('.').next().unwrap_or_default();
    if port.is_empty() { name.to_owned() } else { format!("{name}:{port}") }
}

fn of_server(environment: &Arc<Environment>) -> Vec<(&'static str, Function)> {
    let (now, prefix, url) = (environment.clone(), environment.clone(), environment.clone());
    vec![
        ("now", Function::of(0, move |_| Ok(Value::Float(now.now_ms() as f64 / 1e3)))),
        ("pathPrefix", Function::of(0, move |_| Ok(prefix.path_prefix.as_str().into()))),
        ("externalURL", Function::of(0, move |_| Ok(url.external_url.as_str().into()))),
    ]
}
