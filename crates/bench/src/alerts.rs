//! Alerts: what many active alerts cost an Alertmanager, and how long the way of one to a mail server is.
//!
//! Each program gets the same configuration and the same alerts, as servers with rules send them: all of them again and
//! again. A webhook receiver in this process counts what it is told; mails go to aiosmtpd. In reading order: this file
//! (the phases of a run), `load` (configuration and alerts), `receivers` (who is told).

mod load;
mod receivers;

use std::time::{Duration, Instant};

use crate::alerts::load::Load;
use crate::alerts::receivers::{Hook, MailServer};
use crate::program::{Kind, Running};
use crate::report::{self, Figures, median};
use crate::scenario::{BenchError, READY_LIMIT, fresh_dir};
use crate::{Alerts, http};

/// How long the first notification of a group of mails waits: what lies beyond is measured.
const MAIL_WAIT_MS: u64 = 250;
/// How long anything may take to arrive before the run is given up.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(180);

/// Runs each program in turn.
pub fn run(options: &Alerts) -> Result<(), BenchError> {
    let mut all = Vec::new();
    for &kind in options.common.programs.iter().filter(|kind| kind.takes_alerts()) {
        eprintln!("bench: {} ...", kind.name());
        let figures = one(kind, options)?;
        eprintln!("{}", serde_json::to_string(&figures)?);
        all.push(figures);
    }
    let setting = format!(
        "{} active alerts in {} groups, looked at every {} s, {} silences; all alerts sent {} times more; {} s in which \
         groups are only looked at; {} mails, each its own group with a wait of {MAIL_WAIT_MS} ms, while all that is active",
        options.alerts,
        options.groups,
        options.group_interval_s,
        options.silences,
        options.rounds,
        options.duration_s,
        options.mails,
    );
    report::publish("alerts", &setting, &all, options.common.out.as_deref())
}

fn one(kind: Kind, options: &Alerts) -> Result<Figures, BenchError> {
    let dir = fresh_dir(&options.common, kind)?;
    let (hook, mut mail) = (Hook::serve()?, MailServer::start(&options.python)?);
    let load = Load::new(options);
    let config = dir.join("alertmanager.yml");
    std::fs::write(&config, load.configuration(hook.port, mail.port))?;
    let mut program =
        Running::start_alertmanager(kind, &options.common.bartizan, &config, &dir.join("data"))?;
    let mut figures = Figures::new(kind);
    figures.ready_s = program.wait_ready(READY_LIMIT)?.as_secs_f64();
    load.post_silences(program.port)?;

    let begin = program.cpu_seconds()?;
    load.post_all(program.port, 0)?;
    hook.wait_for(options.groups, ARRIVAL_LIMIT)?;
    hook.wait_quiet(Duration::from_secs(options.group_interval_s + 3));
    let told = program.cpu_seconds()?;
    figures.add("CPU until all groups were told, s", told - begin);
    figures.add("notifications until then", hook.requests() as f64);

    pause(options.duration_s);
    let looked = program.cpu_seconds()?;
    figures.add("CPU of looking at groups, ms per s", (looked - told) * 1e3 / options.duration_s as f64);

    for round in 1..=options.rounds {
        load.post_all(program.port, round)?;
    }
    let sent = program.cpu_seconds()?;
    let alerts = options.rounds * options.alerts as u64;
    figures.add("CPU per alert sent again, us", (sent - looked) * 1e6 / alerts as f64);

    let before = hook.requests();
    load.post_one_more_each(program.port)?;
    hook.wait_for(before + options.groups, ARRIVAL_LIMIT)?;
    hook.wait_quiet(Duration::from_secs(3));
    let changed = program.cpu_seconds()?;
    figures.add("CPU per group told of a change, ms", (changed - sent) * 1e3 / options.groups as f64);
    figures.add("CPU of all that, s", changed - begin);
    figures.memory = program.memory()?;

    let beyond = mails(&program, options, &load, &mut mail)?;
    figures.add("fired to mail accepted beyond the wait, median, ms", median(&beyond));
    figures.add("the same, longest, ms", beyond.iter().copied().fold(f64::NAN, f64::max));
    figures.add("listing all alerts, ms", listing_ms(&program, options.common.repeat)?);
    figures.memory_after_queries = program.memory()?;
    drop(program);
    std::fs::remove_dir_all(&dir)?;
    Ok(figures)
}

/// Milliseconds from when an alert was sent until its mail was accepted, beyond the wait of its group.
fn mails(
    program: &Running,
    options: &Alerts,
    load: &Load,
    mail: &mut MailServer,
) -> Result<Vec<f64>, BenchError> {
    let mut beyond = Vec::new();
    for i in 0..options.mails {
        let began_ms = receivers::now_ms();
        load.post_for_mail(program.port, i)?;
        let accepted_ms = mail.next_accepted_ms()?;
        beyond.push(accepted_ms - began_ms - MAIL_WAIT_MS as f64);
    }
    Ok(beyond)
}

fn listing_ms(program: &Running, repeat: usize) -> Result<f64, BenchError> {
    let mut times = Vec::new();
    for _ in 0..repeat {
        let began = Instant::now();
        http::get(program.port, "/api/v2/alerts")?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(&times))
}

fn pause(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}
