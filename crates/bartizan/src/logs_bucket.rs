//! `bartizan logs-bucket`: looks into a bucket of logs.
//!
//! Nothing here changes the bucket, so that all of it may run beside a server.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use blob::{Bucket, LocalBucket};
use clap::{Args, Subcommand};
use logdb::inspect;
use logdb::manifest::{self, Manifest, ObjectMeta};
use logdb::segment::{Segment, SegmentIndex};
use model::TenantId;

use crate::report::{binary_bytes, columns};

/// What to look at.
#[derive(Subcommand, Debug)]
pub enum LogsBucketCommand {
    /// List the objects of all tenants and days, as the manifests name them.
    Ls {
        #[command(flatten)]
        place: Place,
    },
    /// Tell what an object holds: its streams, its page groups, and what its columns and filters take.
    Inspect {
        #[command(flatten)]
        place: Place,
        /// The object, by its name or a beginning of it.
        object: String,
    },
    /// Read everything and name what is damaged.
    ///
    /// Prints a line for each problem, with the key of the object or manifest. The exit code is 1 when there is
    /// damage.
    Verify {
        #[command(flatten)]
        place: Place,
    },
}

/// The bucket.
#[derive(Args, Debug)]
pub struct Place {
    /// The directory that is the bucket.
    #[arg(long, default_value = "data/logs/bucket", value_name = "DIR")]
    bucket: PathBuf,
}

impl Place {
    fn open(&self) -> anyhow::Result<LocalBucket> {
        let dir = self.bucket.display();
        // Opening would create it.
        anyhow::ensure!(self.bucket.is_dir(), "{dir}: no such directory");
        LocalBucket::open(&self.bucket).with_context(|| format!("opening {dir}"))
    }
}

/// Looks and prints. The exit code is 1 when something is damaged.
pub fn run(command: &LogsBucketCommand) -> anyhow::Result<ExitCode> {
    let done = match command {
        LogsBucketCommand::Ls { place } => list(&place.open()?),
        LogsBucketCommand::Inspect { place, object } => look_into(&place.open()?, object),
        LogsBucketCommand::Verify { place } => verify(&place.open()?),
    };
    crate::report::unless_closed(done)
}

/// A tenant, a day and what its manifest lists.
type TenantDay = (TenantId, logdb::Day, Manifest);

/// Every object with its tenant and day, and the manifests that could not be read.
fn objects(bucket: &dyn Bucket) -> anyhow::Result<(Vec<TenantDay>, Vec<String>)> {
    let (mut days, mut damaged) = (Vec::new(), Vec::new());
    for (tenant, day) in inspect::days(bucket)? {
        match manifest::load(bucket, &tenant, day) {
            Ok(Some((manifest, _))) => days.push((tenant, day, manifest)),
            Ok(None) => {}
            Err(error) => damaged.push(error.to_string()),
        }
    }
    Ok((days, damaged))
}

const HEADER: [&str; 9] = ["TENANT", "DAY", "OBJECT", "LEVEL", "FIRST", "LAST", "ENTRIES", "LINES", "SIZE"];

fn list(bucket: &dyn Bucket) -> anyhow::Result<ExitCode> {
    let (days, damaged) = objects(bucket)?;
    let mut rows = vec![HEADER.map(str::to_owned).to_vec()];
    for (tenant, day, manifest) in &days {
        rows.extend(manifest.objects.iter().map(|object| row(tenant, *day, object)));
    }
    let mut out = std::io::stdout().lock();
    columns(&mut out, &rows, 6, 2)?;
    out.flush()?;
    damaged.iter().for_each(|problem| eprintln!("bartizan: {problem}"));
    Ok(if damaged.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn row(tenant: &TenantId, day: logdb::Day, object: &ObjectMeta) -> Vec<String> {
    vec![
        tenant.0.to_string(),
        day.to_string(),
        object.id.to_string(),
        object.level.to_string(),
        utc(object.first_ns),
        utc(object.last_ns),
        object.rows.to_string(),
        binary_bytes(object.line_bytes),
        binary_bytes(object.size_bytes),
    ]
}

fn utc(timestamp_ns: i64) -> String {
    match jiff::Timestamp::from_nanosecond(i128::from(timestamp_ns)) {
        Ok(time) => time.strftime("%H:%M:%S%.3f").to_string(),
        Err(_) => timestamp_ns.to_string(),
    }
}

fn look_into(bucket: &dyn Bucket, name: &str) -> anyhow::Result<ExitCode> {
    let (days, _) = objects(bucket)?;
    let all = days.iter().flat_map(|(tenant, day, manifest)| {
        manifest.objects.iter().map(move |object| (tenant, *day, object))
    });
    let named: Vec<_> = all.filter(|(_, _, object)| object.id.to_string().starts_with(name)).collect();
    let [(tenant, day, object)] = named[..] else {
        anyhow::bail!("{} objects have a name that begins with {name}", named.len());
    };
    let key = manifest::object_key(tenant, day, object.id);
    let segment = Segment::open(bucket.open(&key)?).with_context(|| key.clone())?;
    let index = segment.index();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{key}")?;
    let groups = &index.groups;
    let total = |part: fn(&logdb::segment::GroupEntry) -> u64| groups.iter().map(part).sum::<u64>();
    writeln!(out, "entries      {}", index.rows())?;
    writeln!(out, "streams      {}", index.streams.len())?;
    writeln!(out, "page groups  {}", groups.len())?;
    writeln!(out, "lines        {}", binary_bytes(total(logdb::segment::GroupEntry::line_bytes)))?;
    writeln!(out, "size         {}", binary_bytes(segment.size_bytes()))?;
    let fixed = ["timestamp", "timestamp.us", "timestamp.ns", "line", "metadata names", "metadata values"];
    let fixed = fixed.map(str::to_owned);
    let hot = index.hot.iter().map(|name| format!("metadata.{name}"));
    for (i, column) in fixed.into_iter().chain(hot).enumerate() {
        let pages = groups.iter().filter_map(|group| group.pages.get(i));
        let bytes: u64 = pages.map(|page| u64::from(page.place.bytes)).sum();
        writeln!(out, "  {:<18} {}", column, binary_bytes(bytes))?;
    }
    writeln!(out, "  {:<18} {}", "substring filters", binary_bytes(filter_bytes(index, 0)))?;
    writeln!(out, "  {:<18} {}", "value filters", binary_bytes(filter_bytes(index, 1)))?;
    let mut rows = vec![["STREAM", "ENTRIES", "LINES"].map(str::to_owned).to_vec()];
    for (number, stream) in index.streams.iter().enumerate() {
        let runs = groups.iter().flat_map(|group| &group.runs).filter(|run| run.stream as usize == number);
        let (entries, bytes) = runs.fold((0, 0), |(n, b), run| (n + u64::from(run.rows), b + run.line_bytes));
        rows.push(vec![stream.to_string(), entries.to_string(), binary_bytes(bytes)]);
    }
    columns(&mut out, &rows, 6, 2)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn verify(bucket: &dyn Bucket) -> anyhow::Result<ExitCode> {
    let (mut objects, mut rows, mut is_damaged) = (0, 0, false);
    let mut out = std::io::stdout().lock();
    for (tenant, day) in inspect::days(bucket)? {
        let verified = inspect::verify(bucket, &tenant, day)?;
        objects += verified.objects;
        rows += verified.rows;
        is_damaged |= !verified.problems.is_empty();
        for problem in &verified.problems {
            writeln!(out, "{}: {}", problem.key, problem.what)?;
        }
        for orphan in &verified.orphans {
            writeln!(out, "{orphan}: not named by the manifest; it goes by itself")?;
        }
    }
    writeln!(out, "{objects} objects with {rows} entries were read")?;
    out.flush()?;
    Ok(if is_damaged { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Bytes of the filters of substrings (0) or of values of metadata (1): those of each page group in objects of the first
/// version, those of many in others.
fn filter_bytes(index: &SegmentIndex, which: usize) -> u64 {
    let bands = [&index.line_bands, &index.value_bands][which];
    let of_groups = index.groups.iter().filter_map(|group| Some(u64::from(group.filters?[which].bytes)));
    of_groups.chain(bands.iter().map(|band| band.bytes())).sum()
}
