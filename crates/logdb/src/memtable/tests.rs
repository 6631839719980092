use std::collections::BTreeSet;
use std::sync::Arc;

use model::labels::Labels;
use model::logs::LogEntry;
use model::source::TenantId;
use proptest::prelude::*;

use super::*;

fn entry(timestamp_ns: i64, line: &str, metadata: &[(&str, &str)]) -> LogEntry {
    let metadata = metadata.iter().map(|&(n, v)| (n.into(), v.into())).collect();
    LogEntry { timestamp_ns, line: line.to_owned().into(), metadata }
}

fn rows_of(table: &MemTable) -> Vec<(i64, String)> {
    let rows = |stream: &StreamRows| {
        let (merged, rows) = stream.merged(i64::MIN, i64::MAX);
        rows.map(|row| (merged.timestamps()[row], String::from_utf8(merged.line(row).to_vec()).unwrap()))
            .collect::<Vec<_>>()
    };
    table.streams(&TenantId::default()).flat_map(|(_, stream)| rows(stream)).collect()
}

#[test]
fn entries_in_order_are_one_run_and_what_is_held_stays_as_it_was() {
    let (mut table, labels) = (MemTable::default(), Labels::from_pairs([("a", "b")]));
    let tenant = TenantId::default();
    for i in 0..100 {
        assert_eq!(table.insert(&tenant, &labels, &[entry(i, "x", &[("k", "v")])]), 1);
    }
    assert_eq!(table.insert(&tenant, &labels, &[entry(50, "x", &[]), entry(99, "y", &[])]), 1);
    let held: Vec<Arc<Rows>> =
        table.streams(&tenant).flat_map(|(_, stream)| stream.runs().to_vec()).collect();
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].metadata_of(7).collect::<Vec<_>>(), [("k", &b"v"[..])]);
    table.insert(&tenant, &labels, &[entry(100, "z", &[])]);
    assert_eq!((held[0].len(), table.rows()), (101, 102));
    assert_eq!(table.streams(&tenant).next().unwrap().1.runs().len(), 2);
}

proptest! {
    #[test]
    fn rows_are_sorted_and_each_is_there_once(
        batches in prop::collection::vec(prop::collection::vec((0_i64..50, 0_u8..3), 0..20), 0..40),
        hold in any::<bool>(),
    ) {
        let (mut table, labels) = (MemTable::default(), Labels::from_pairs([("a", "b")]));
        let mut expected = BTreeSet::new();
        let mut held = Vec::new();
        for batch in batches {
            let entries: Vec<_> = batch.iter().map(|&(t, line)| entry(t, &line.to_string(), &[])).collect();
            let before = expected.len();
            expected.extend(batch.iter().map(|&(t, line)| (t, line.to_string())));
            let added = table.insert(&TenantId::default(), &labels, &entries);
            prop_assert_eq!(added as usize, expected.len() - before);
            if hold {
                held.extend(table.streams(&TenantId::default()).flat_map(|(_, stream)| stream.runs().to_vec()));
            }
        }
        for (_, stream) in table.streams(&TenantId::default()) {
            let (part, of_part) = stream.merged(10, 30);
            let times = of_part.map(|row| part.timestamps()[row]).collect::<Vec<_>>();
            let wanted = expected.iter().map(|(time, _)| *time).filter(|time| (10..=30).contains(time));
            prop_assert!(times.is_sorted());
            prop_assert_eq!(times, wanted.collect::<Vec<_>>());
        }
        let mut rows = rows_of(&table);
        prop_assert!(rows.windows(2).all(|pair| pair[0].0 <= pair[1].0));
        rows.sort();
        prop_assert_eq!(rows, expected.into_iter().collect::<Vec<_>>());
        let runs = table.streams(&TenantId::default()).map(|(_, stream)| stream.runs().len()).max();
        prop_assert!(runs.unwrap_or(0) < 40);
    }
}
