//! Objects are Parquet that others read: DuckDB, from PyPI, and Arrow's own reader.

use std::path::{Path, PathBuf};
use std::process::Command;

use model::labels::Labels;
use model::logs::{LogAppender, LogBatch, LogEntry};
use model::source::TenantId;

const START_NS: i64 = 1_768_478_400_000_000_000;

/// A Python that has a module; `None`, and a word about it, when there is none.
fn python_with(module: &str, test: &str) -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin/python");
    let given = std::env::var_os("LOGDB_PYTHON").map(PathBuf::from);
    let has = |python: &PathBuf| {
        Command::new(python)
            .args(["-c", &format!("import {module}")])
            .output()
            .is_ok_and(|out| out.status.success())
    };
    let found = given.into_iter().chain([tools, PathBuf::from("python3")]).find(has);
    if found.is_none() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{test}: no Python with {module}");
        println!("{test} skipped: no Python with the module {module} (make setup)");
    }
    found
}

fn store(dir: &Path) {
    let options = logdb::Options { group_bytes: 20_000, ..super::keep_for_ever() };
    let db = super::open(dir, options);
    for part in 0..3 {
        let batch = |app: &str| LogBatch {
            stream: Labels::from_pairs([("app", app), ("quote", "\"ä\n")]),
            entries: (0..2000)
                .map(|i| {
                    let n = part * 2000 + i;
                    let mut metadata = vec![("level".into(), ["info", "warn"][n % 2].into())];
                    if n % 50 == 0 {
                        metadata.push(("trace".into(), format!("t{n}").into()));
                    }
                    let timestamp_ns = START_NS + n as i64 * 1_000_003;
                    LogEntry { timestamp_ns, line: format!("{app} line {n}").into(), metadata }
                })
                .collect(),
        };
        db.append(&TenantId::default(), vec![batch("a"), batch("b")]).unwrap();
        db.flush().unwrap();
    }
    // The day is long over: all of it becomes one object, with a column for what most entries have.
    assert!(db.compact_once().unwrap());
    let stream = Labels::from_pairs([("app", "c")]);
    let entries = vec![LogEntry { timestamp_ns: START_NS, line: vec![0xff, 0, 7].into(), metadata: vec![] }];
    db.append(&TenantId::default(), vec![LogBatch { stream, entries }]).unwrap();
    db.flush().unwrap();
}

fn run(python: &Path, program: &str, dir: &Path) -> String {
    let folder = dir.join("bucket/logs/v1/anonymous/2026-01-15");
    let out = Command::new(python).args(["-c", program]).arg(folder).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn duckdb_reads_objects() {
    let Some(python) = python_with("duckdb", "duckdb_reads_objects") else { return };
    let dir = tempfile::tempdir().unwrap();
    store(dir.path());
    let program = r#"
import duckdb, glob, sys
sizes = sorted(glob.glob(sys.argv[1] + "/*.parquet"), key=lambda f: duckdb.sql(f"select count(*) from '{f}'").fetchall()[0][0])
big, small = sizes[-1], sizes[0]
ns = "epoch_ns(timestamp) + timestamp_us * 1000 + timestamp_ns"
q = lambda sql: print(duckdb.sql(sql.replace("NS", ns).replace("BIG", f"'{big}'").replace("SMALL", f"'{small}'")).fetchall())
q("select count(*), count(distinct line), min(line), max(line) from BIG")
q("select stream->>'app', count(*), min(NS), max(NS) from BIG group by 1 order by 1")
q("select distinct stream->>'quote' from BIG")
q("select \"metadata.level\", count(*) from BIG where line like '%line 1%' group by 1 order by 1")
q("select metadata['trace'], line from BIG where metadata['trace'] is not null and line like 'b line 59%0' order by line")
q("select NS, line from SMALL")
q("select typeof(timestamp), max(timestamp)::varchar from BIG group by 1")
q("select typeof(timestamp) from SMALL")
"#;
    let expected = "\
[(12000, 12000, 'a line 0', 'b line 999')]
[('a', 6000, 1768478400000000000, 1768478405999017997), ('b', 6000, 1768478400000000000, 1768478405999017997)]
[('\"ä\\n',)]
[('info', 1110), ('warn', 1112)]
[('t5900', 'b line 5900'), ('t5950', 'b line 5950')]
[(1768478400000000000, b'\\xff\\x00\\x07')]
[('TIMESTAMPTZ_NS', '2026-01-15 12:00:05.999017997+00')]
[('TIMESTAMP WITH TIME ZONE',)]
";
    assert_eq!(run(&python, program, dir.path()), expected);
}

#[test]
fn arrow_reads_objects() {
    let Some(python) = python_with("pyarrow.parquet", "arrow_reads_objects") else { return };
    let dir = tempfile::tempdir().unwrap();
    store(dir.path());
    let program = r#"
import pyarrow.parquet as pq, glob, sys
for f in sorted(glob.glob(sys.argv[1] + "/*.parquet")):
    t = pq.read_table(f); m = pq.ParquetFile(f)
    print(t.num_rows, t.schema.field("timestamp").type, t.schema.field("line").type, t.schema.field("metadata").type)
    print(sorted(k.decode() for k in m.metadata.metadata))
    t.validate(full=True)
    if t.num_rows == 12000:
        print(t.slice(6050, 1).select(["stream", "line", "metadata", "metadata.level"]).to_pylist())
        print(m.metadata.row_group(0).column(1).statistics.has_min_max)
"#;
    let printed = run(&python, program, dir.path());
    assert!(printed.contains("12000 timestamp[ns, tz=UTC] string map<string, string"), "{printed}");
    assert!(printed.contains("1 timestamp[ms, tz=UTC] binary map<string, string"), "{printed}");
    assert!(printed.contains("bartizan.logs.index"), "{printed}");
    assert!(
        printed.contains("'line': 'b line 50', 'metadata': [('trace', 't50')], 'metadata.level': 'info'"),
        "{printed}"
    );
}
