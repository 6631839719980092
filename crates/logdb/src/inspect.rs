//! Looking into a bucket, without changing it: which days there are, and whether objects hold what is said of them.

use blob::bucket::text_of_key_part;
use blob::{BlobError, Bucket};
use model::logs::{LogColumns, Page};
use model::source::TenantId;

use crate::day::Day;
use crate::manifest::{
    ManifestError, ObjectMeta, ROOT, folder_of, load, manifest_key, object_id, object_key,
};
use crate::segment::grams::{Needle, value_hash, value_may_be_in};
use crate::segment::{GroupEntry, Segment};

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key of the object or manifest.
    pub key: String,
    /// What is wrong.
    pub what: String,
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Objects that were read.
    pub objects: u64,
    /// Entries that were read.
    pub rows: u64,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// Objects no manifest names. They go by themselves some time later.
    pub orphans: Vec<String>,
}

/// The tenants and days there are in a bucket.
pub fn days(bucket: &dyn Bucket) -> Result<Vec<(TenantId, Day)>, BlobError> {
    let mut days = Vec::new();
    for tenant in bucket.list_folders(ROOT)? {
        let Some(name) = text_of_key_part(&tenant) else { continue };
        let folders = bucket.list_folders(&format!("{ROOT}{tenant}/"))?;
        let parsed = folders.iter().filter_map(|folder| Day::parse(folder));
        days.extend(parsed.map(|day| (TenantId(name.as_str().into()), day)));
    }
    Ok(days)
}

/// Reads everything of a day, and compares it with its manifest, its index and its filters.
pub fn verify(bucket: &dyn Bucket, tenant: &TenantId, day: Day) -> Result<Verified, BlobError> {
    let mut verified = Verified::default();
    let mut problem = |key: String, what: String| verified.problems.push(Problem { key, what });
    let manifest = match load(bucket, tenant, day) {
        Ok(Some((manifest, _))) => manifest,
        Ok(None) => Default::default(),
        Err(ManifestError::Damaged(key, damaged)) => {
            problem(key, damaged.to_string());
            return Ok(verified);
        }
        Err(ManifestError::Blob(error)) => return Err(error),
    };
    for quarantined in &manifest.quarantined {
        let key = object_key(tenant, day, quarantined.object.id);
        problem(key, format!("set aside: {}", quarantined.reason));
    }
    for object in &manifest.objects {
        let key = object_key(tenant, day, object.id);
        match verify_object(bucket, &key, object) {
            Ok(rows) => verified.rows += rows,
            Err(what) => verified.problems.push(Problem { key, what }),
        }
        verified.objects += 1;
    }
    let folder = folder_of(tenant, day);
    for info in bucket.list(&folder)? {
        let is_named = object_id(&folder, &info.key).is_some_and(|id| {
            manifest.object(id).is_some()
                || manifest.removed.iter().any(|removed| removed.id == id)
                || manifest.quarantined.iter().any(|quarantined| quarantined.object.id == id)
        });
        if !is_named && info.key != manifest_key(tenant, day) {
            verified.orphans.push(info.key);
        }
    }
    Ok(verified)
}

/// Reads an object; the number of its rows, or what is wrong with it.
fn verify_object(bucket: &dyn Bucket, key: &str, meta: &ObjectMeta) -> Result<u64, String> {
    let object = bucket.open(key).map_err(|error| error.to_string())?;
    let segment = Segment::open(object).map_err(|error| error.to_string())?;
    let index = segment.index();
    let stated = (meta.size_bytes, meta.rows, Some((meta.first_ns, meta.last_ns)));
    let found = (segment.size_bytes(), index.rows(), index.bounds_ns());
    if stated != found {
        return Err(format!("size, rows and times are {found:?}, and the manifest says {stated:?}"));
    }
    let mut previous = None;
    for (number, group) in index.groups.iter().enumerate() {
        verify_group(&segment, group, &mut previous)
            .map_err(|what| format!("page group {number}: {what}"))?;
    }
    Ok(index.rows())
}

fn verify_group(
    segment: &Segment,
    group: &GroupEntry,
    previous: &mut Option<(u32, i64)>,
) -> Result<(), String> {
    let told = |error: crate::segment::reader::SegmentError| error.to_string();
    let page = segment.read(group, LogColumns { lines: true, metadata: true }).map_err(told)?;
    let (grams, values) = (segment.grams(group).map_err(told)?, segment.values(group).map_err(told)?);
    for run in &group.runs {
        let rows = run.first_row as usize..(run.first_row + run.rows) as usize;
        let (first, last) = (page.timestamps_ns[rows.start], page.timestamps_ns[rows.end - 1]);
        if (first, last) != (run.first_ns, run.last_ns) {
            return Err("the times of a run are not those of its rows".to_owned());
        }
        for row in rows {
            let at = (run.stream, page.timestamps_ns[row]);
            if previous.replace(at).is_some_and(|before| before > at) {
                return Err("rows are not in the order of streams and times".to_owned());
            }
            verify_filters(&page, row, &grams, &values)?;
        }
    }
    Ok(())
}

fn verify_filters(page: &Page, row: usize, grams: &[u8], values: &[u8]) -> Result<(), String> {
    if Needle::new(page.lines.get(row)).is_some_and(|needle| !needle.may_be_in(grams)) {
        return Err("a line is missing in the filter of substrings".to_owned());
    }
    for (name, value) in page.metadata.row(row) {
        if !value_may_be_in(value_hash(name, value), values) {
            return Err(format!("a value of {name:?} is missing in the filter of values"));
        }
    }
    Ok(())
}
