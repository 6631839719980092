use super::*;

mod faults;

fn records(dir: &Path) -> Vec<Vec<u8>> {
    Journal::open(dir, "silences").unwrap().1.records
}

#[test]
fn what_was_appended_is_there_after_any_cut() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, found) = Journal::open(dir.path(), "silences").unwrap();
    assert!(found.records.is_empty() && found.damage.is_empty());
    journal.append([&b"one"[..], b"two"]).unwrap();
    let acknowledged = journal.journal_bytes();
    journal.append([&b"three"[..]]).unwrap();
    drop(journal);
    let path = dir.path().join("silences.journal");
    let whole = std::fs::read(&path).unwrap();
    for len in acknowledged as usize..whole.len() {
        std::fs::write(&path, &whole[..len]).unwrap();
        assert_eq!(records(dir.path()), [b"one".to_vec(), b"two".to_vec()], "cut at {len}");
    }
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(records(dir.path()).len(), 3);
}

#[test]
fn a_snapshot_takes_the_place_of_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(dir.path(), "silences").unwrap();
    journal.append([&b"one"[..]]).unwrap();
    journal.replace([b"one".to_vec()]).unwrap();
    assert_eq!(journal.journal_bytes(), 0);
    journal.append([&b"two"[..]]).unwrap();
    drop(journal);
    assert_eq!(records(dir.path()), [b"one".to_vec(), b"two".to_vec()]);
}

#[test]
fn damage_is_set_aside_and_costs_only_what_it_hit() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(dir.path(), "silences").unwrap();
    journal.replace([b"one".to_vec(), b"two".to_vec()]).unwrap();
    drop(journal);
    let path = dir.path().join("silences");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4] = 200;
    std::fs::write(&path, bytes).unwrap();
    let (_, found) = Journal::open(dir.path(), "silences").unwrap();
    assert_eq!(found.records, [b"one".to_vec()]);
    assert_eq!(found.damage.len(), 1);
    assert!(dir.path().join("silences.damaged-1").exists());
}

fn five(dir: &Path) -> Vec<Vec<u8>> {
    let (mut journal, _) = Journal::open(dir, "silences").unwrap();
    let records: Vec<Vec<u8>> = (1..=5_u8).map(|n| vec![n; 3 + usize::from(n)]).collect();
    records.iter().for_each(|record| journal.append([record.as_slice()]).unwrap());
    records
}

#[test]
fn a_flipped_byte_costs_at_most_the_record_it_is_in() {
    let dir = tempfile::tempdir().unwrap();
    let written = five(dir.path());
    let whole = std::fs::read(dir.path().join("silences.journal")).unwrap();
    for at in 0..whole.len() {
        for flip in [1, 0x80, 0xff] {
            let dir = tempfile::tempdir().unwrap();
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            std::fs::write(dir.path().join("silences.journal"), &bytes).unwrap();
            let (mut journal, found) = Journal::open(dir.path(), "silences").unwrap();
            let kept = written.iter().filter(|record| found.records.contains(record)).count();
            assert_eq!((kept, found.records.len()), (4, 4), "byte {at}");
            assert_eq!(found.damage.len(), 1, "byte {at}");
            let copies: Vec<PathBuf> = std::fs::read_dir(dir.path())
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|path| {
                    let name = path.to_string_lossy();
                    name.contains("damaged-1") || name.ends_with(".torn")
                })
                .collect();
            assert_eq!(copies.len(), 1, "byte {at}: {copies:?}");
            // And it goes on from there.
            journal.append([&b"after"[..]]).unwrap();
            drop(journal);
            let after = records(dir.path());
            assert_eq!((after.len(), after.last().unwrap().as_slice()), (5, &b"after"[..]));
        }
    }
}

#[test]
fn what_cannot_be_removed_hides_nothing_that_comes_later() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("silences.journal");
    let (mut journal, _) = Journal::open(dir.path(), "silences").unwrap();
    journal.append([&b"one"[..]]).unwrap();
    let broken = Files { log: File::open(&path).unwrap(), snapshot: dir.path().join("silences") };
    let good = std::mem::replace(&mut journal.disk, Box::new(broken));
    // Neither writing nor cutting works.
    assert!(journal.append([&b"two"[..]]).is_err());
    assert!(journal.append([&b"two"[..]]).is_err());
    // Half a frame is there when it works again.
    let mut half = OpenOptions::new().append(true).open(&path).unwrap();
    half.write_all(&[9, 0, 0, 0, 1, 2]).unwrap();
    journal.disk = good;
    journal.append([&b"three"[..]]).unwrap();
    drop(journal);
    assert_eq!(records(dir.path()), [b"one".to_vec(), b"three".to_vec()]);
}

#[test]
fn a_directory_is_used_by_one_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), "silences").unwrap();
    let error = Journal::open(dir.path(), "silences").unwrap_err();
    assert!(error.to_string().contains("holds a lock"), "{error}");
    drop(journal);
    assert!(Journal::open(dir.path(), "silences").is_ok());
}

#[test]
fn records_that_cannot_be_read_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), "silences").unwrap();
    journal.set_aside(&[b"what"]).unwrap();
    journal.set_aside(&[b"is", b"this"]).unwrap();
    let kept = std::fs::read(dir.path().join("silences.unreadable")).unwrap();
    let frames = read_frames(&kept);
    assert_eq!(frames.records.len(), 3);
}
