//! Memory while lines come in at a steady rate and queries run.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::asking::{ask, range};
use super::lines::Kind;
use super::load::{self, Sender};
use super::table::Table;
use super::{DAY_S, Set, UNPRUNED};
use crate::Logs;
use crate::program::{Memory, Running};
use crate::scenario::{BenchError, now_s};

/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The highest values seen.
#[derive(Default)]
struct Peak {
    anonymous_bytes: u64,
    rss_bytes: u64,
    sum_bytes: f64,
    looks: u32,
}

impl Peak {
    fn see(&mut self, memory: Memory) {
        self.anonymous_bytes = self.anonymous_bytes.max(memory.anonymous_bytes);
        self.rss_bytes = self.rss_bytes.max(memory.rss_bytes);
        self.sum_bytes += memory.rss_bytes as f64;
        self.looks += 1;
    }
}

/// Pushes at a steady rate for a while, with queries one after the other, and reports memory.
pub fn run(options: &Logs, program: &Running, sets: &[Set], table: &mut Table) -> Result<(), BenchError> {
    let today_s = now_s() / DAY_S * DAY_S;
    let senders = Kind::ALL.map(|kind| Sender::new(kind, today_s - 7 * DAY_S, u64::MAX));
    program.forget_peak_memory();
    let (stop, cpu, started) = (AtomicBool::new(false), program.cpu_seconds()?, Instant::now());
    let (sent, peak, asked) = std::thread::scope(|scope| -> Result<_, BenchError> {
        let pushing =
            scope.spawn(|| load::push_paced(program.port, senders.into(), options.paced_mbps, &stop));
        let looking = scope.spawn(|| -> Result<Peak, BenchError> {
            let mut peak = Peak::default();
            while !stop.load(Ordering::Acquire) {
                peak.see(program.memory()?);
                std::thread::sleep(LOOK_EVERY);
            }
            Ok(peak)
        });
        let asked = ask_until(program, sets, started + Duration::from_secs(options.paced_s));
        stop.store(true, Ordering::Release);
        let panicked = |_| BenchError::Answer("a thread panicked".to_owned());
        let (sent, peak) = (pushing.join().map_err(panicked)??, looking.join().map_err(panicked)??);
        Ok((sent, peak, asked?))
    })?;
    let took_s = started.elapsed().as_secs_f64();
    let told =
        format!("{asked} queries meanwhile, one after the other; at least {}", options.paced_mbps * 0.97);
    table.add("steady rate, MB/s pushed", sent as f64 / 1e6 / took_s, &told);
    let cpu_s = program.cpu_seconds()? - cpu;
    table.add("steady rate, cores in use", cpu_s / took_s, "pushes, queries and compaction");
    let highest = program.memory()?.peak_rss_bytes.max(peak.rss_bytes);
    table.add(
        "steady rate, peak resident memory, MB",
        highest as f64 / 1e6,
        "anonymous and of files (VmHWM); at most 300",
    );
    let anonymous = peak.anonymous_bytes as f64 / 1e6;
    table.add("steady rate, peak anonymous memory, MB", anonymous, "highest RssAnon of a look every 20 ms");
    let mean = peak.sum_bytes / f64::from(peak.looks.max(1)) / 1e6;
    table.add("steady rate, mean resident memory, MB", mean, "");
    Ok(())
}

/// Counts of what matches, lines, and lines taken apart, of each kind in turn; how many were asked.
fn ask_until(program: &Running, sets: &[Set], until: Instant) -> Result<u32, BenchError> {
    let mut asked = 0;
    while Instant::now() < until {
        for set in sets {
            let name = set.kind.name();
            let part_s = DAY_S / 4;
            let queries = [
                (format!("sum by (pod) (count_over_time({{app=\"{name}\"}} |= \"{UNPRUNED}\" [5m]))"), 300),
                (format!("{{app=\"{name}\"}} |= \"e\""), 60),
                (format!("sum by (level) (rate({{app=\"{name}\"}} | json level | level!=\"\" [5m]))"), 300),
            ];
            for (query, step_s) in queries {
                ask(program, &range(&query, set.start_s, set.start_s + part_s, step_s), 1)?;
                asked += 1;
            }
            if Instant::now() >= until {
                break;
            }
        }
    }
    Ok(asked)
}
