//! Looking into a bucket, without changing it: which days there are, and whether objects hold what is said of them.

use blob::bucket::text_of_key_part;
use blob::{BlobError, Bucket};
use model::logs::{LogColumns, Page};
use model::source::TenantId;

use crate::day::Day;
use crate::manifest::{
    ManifestError, ObjectMeta, ROOT, folder_of, folder_of_tenant, load, object_id, object_key,
};
use crate::segment::grams::{Needle, value_hash, value_hashes};
use crate::segment::sliced::{Band, BandBits};
use crate::segment::{GroupEntry, Probe, Segment};

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

/// The tenants there are in a bucket, such as only asked for entries to be gone among them.
pub fn tenants(bucket: &dyn Bucket) -> Result<Vec<TenantId>, BlobError> {
    let folders = bucket.list_folders(ROOT)?;
    let names = folders.iter().filter_map(|folder| text_of_key_part(folder));
    Ok(names.map(|name| TenantId(name.as_str().into())).collect())
}

/// The days of a tenant there are in a bucket.
pub fn days_of(bucket: &dyn Bucket, tenant: &TenantId) -> Result<Vec<Day>, BlobError> {
    let folders = bucket.list_folders(&folder_of_tenant(tenant))?;
    Ok(folders.iter().filter_map(|folder| Day::parse(folder)).collect())
}

/// The tenants and days there are in a bucket.
pub fn days(bucket: &dyn Bucket) -> Result<Vec<(TenantId, Day)>, BlobError> {
    let mut days = Vec::new();
    for tenant in tenants(bucket)? {
        days.extend(days_of(bucket, &tenant)?.into_iter().map(|day| (tenant.clone(), day)));
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
        // Documents, copies of them and such as were set aside are no objects.
        if object_id(&folder, &info.key).is_some_and(|id| !manifest.mentions(id)) {
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
    let (mut previous, mut filters) = (None, Filters::default());
    for (number, group) in index.groups.iter().enumerate() {
        verify_group(&segment, group, &mut previous)
            .and_then(|page| filters.verify(&segment, number, &page))
            .map_err(|what| format!("page group {number}: {what}"))?;
    }
    Ok(index.rows())
}

fn verify_group(
    segment: &Segment,
    group: &GroupEntry,
    previous: &mut Option<(u32, i64)>,
) -> Result<Page, String> {
    let told = |error: crate::segment::reader::SegmentError| error.to_string();
    let page = segment.read(group, LogColumns::ALL).map_err(told)?;
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
        }
    }
    Ok(page)
}

/// The filters of an object, as far as they were read.
#[derive(Default)]
struct Filters {
    lines: Option<BandBits>,
    values: Option<BandBits>,
}

impl Filters {
    /// Whether all that is in a page group is in its filters.
    fn verify(&mut self, segment: &Segment, group: usize, page: &Page) -> Result<(), String> {
        let index = segment.index();
        if index.line_bands.is_empty() {
            return verify_first_version(segment, group, page);
        }
        let lines = band_of(segment, &index.line_bands, &mut self.lines, group)?;
        let values = band_of(segment, &index.value_bands, &mut self.values, group)?;
        let scheme = lines.band().scheme;
        for row in 0..page.lines.len() {
            let needle = Needle::new(page.lines.get(row));
            if needle.is_some_and(|needle| !needle.hashes(scheme).iter().all(|&hash| lines.has(group, hash)))
            {
                return Err("a line is missing in the filter of substrings".to_owned());
            }
            for (name, value) in page.metadata.row(row) {
                let hashes = value_hashes(value_hash(name, value));
                if !hashes.iter().all(|&hash| values.has(group, hash)) {
                    return Err(format!("a value of {name:?} is missing in the filter of values"));
                }
            }
        }
        Ok(())
    }
}

/// The band of a page group, read unless it was the last that was.
fn band_of<'a>(
    segment: &Segment,
    bands: &[Band],
    last: &'a mut Option<BandBits>,
    group: usize,
) -> Result<&'a BandBits, String> {
    let holds = |band: &Band| (band.first_group..band.first_group + band.groups).contains(&(group as u32));
    if !last.as_ref().is_some_and(|bits| holds(bits.band())) {
        let band = bands.iter().find(|band| holds(band)).ok_or("a page group has no filter")?;
        *last = Some(segment.read_band(band).map_err(|error| error.to_string())?);
    }
    last.as_ref().ok_or_else(|| "a page group has no filter".to_owned())
}

fn verify_first_version(segment: &Segment, group: usize, page: &Page) -> Result<(), String> {
    let may_hold = |probe: Probe| {
        let found = segment.may_hold(&probe, &[group]).map_err(|error| error.to_string())?;
        if found == [true] { Ok(()) } else { Err("an entry is missing in the filters".to_owned()) }
    };
    for row in 0..page.lines.len() {
        if let Some(needle) = Needle::new(page.lines.get(row)) {
            may_hold(Probe::Lines(vec![needle]))?;
        }
        for (name, value) in page.metadata.row(row) {
            may_hold(Probe::Value(value_hash(name, value)))?;
        }
    }
    Ok(())
}
