//! Disks that fail at any step, and power that is lost at any time: what was acknowledged is there.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use super::*;
use crate::cluster::random::Random;

/// What is on a disk, as the process sees it and as it is after a loss of power.
#[derive(Debug, Default)]
struct Platter {
    log: Vec<u8>,
    synced_log: Vec<u8>,
    snapshot: Vec<u8>,
    synced_snapshot: Vec<u8>,
    faults: usize,
}

/// A disk on which one step in so many fails.
#[derive(Debug)]
struct Faulty {
    platter: Arc<Mutex<Platter>>,
    random: Random,
    one_in: usize,
}

impl Faulty {
    fn fails(&mut self) -> bool {
        let fails = self.random.below(self.one_in) == 0;
        self.platter.lock().unwrap().faults += usize::from(fails);
        fails
    }

    fn full() -> io::Error {
        io::Error::from(io::ErrorKind::StorageFull)
    }
}

impl Disk for Faulty {
    fn write_log(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let written = if self.fails() { self.random.below(bytes.len() + 1) } else { bytes.len() };
        let mut platter = self.platter.lock().unwrap();
        let at = at as usize;
        let len = platter.log.len().max(at + written);
        platter.log.resize(len, 0);
        platter.log[at..at + written].copy_from_slice(&bytes[..written]);
        if written < bytes.len() { Err(Self::full()) } else { Ok(()) }
    }

    fn sync_log(&mut self) -> io::Result<()> {
        let fails = self.fails();
        // A sync that fails may have done its work nevertheless.
        let works = !fails || self.random.below(2) == 0;
        let mut platter = self.platter.lock().unwrap();
        if works {
            platter.synced_log = platter.log.clone();
        }
        if fails { Err(io::Error::other("sync failed")) } else { Ok(()) }
    }

    fn cut_log(&mut self, len: u64) -> io::Result<()> {
        if self.fails() {
            return Err(io::Error::other("cut failed"));
        }
        self.platter.lock().unwrap().log.truncate(len as usize);
        Ok(())
    }

    fn replace_snapshot(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (fails, step) = (self.fails(), self.random.below(3));
        let mut platter = self.platter.lock().unwrap();
        if fails && step == 0 {
            return Err(Self::full());
        }
        platter.snapshot = bytes.to_vec();
        if fails && step == 1 {
            return Err(io::Error::other("the directory was not synced"));
        }
        platter.synced_snapshot = bytes.to_vec();
        if fails { Err(io::Error::other("sync failed")) } else { Ok(()) }
    }
}

impl Platter {
    /// What is found after the power was lost, or after a kill: of what was not synced any part, in any mixture.
    fn after_crash(&self, random: &mut Random) -> (Vec<u8>, Vec<u8>) {
        let (now, synced) = (&self.log, &self.synced_log);
        let (short, long) = (now.len().min(synced.len()), now.len().max(synced.len()));
        let mut log = if random.below(2) == 0 { now.clone() } else { synced.clone() };
        if random.below(3) == 0 {
            log = (0..short + random.below(long - short + 1))
                .map(|at| match (now.get(at), synced.get(at)) {
                    (Some(a), Some(b)) => *if at % 7 < random.below(8) { a } else { b },
                    (a, b) => *a.or(b).unwrap_or(&0),
                })
                .collect();
        }
        let snapshot = if random.below(2) == 0 { &self.snapshot } else { &self.synced_snapshot };
        (log, snapshot.clone())
    }
}

/// The records that must be there, and those that may be.
#[derive(Default)]
struct Truth {
    acknowledged: BTreeSet<Vec<u8>>,
    tried: BTreeSet<Vec<u8>>,
}

/// One life of a process; how many faults there were, and what is found of it afterwards.
fn live(dir: &Path, random: &mut Random, truth: &mut Truth, next: &mut u32) -> usize {
    let (mut journal, found) = Journal::open(dir, "silences").unwrap();
    let records: BTreeSet<Vec<u8>> = found.records.into_iter().collect();
    let missing: Vec<_> = truth.acknowledged.difference(&records).collect();
    assert!(missing.is_empty(), "{missing:?} of {}, {:?}", truth.acknowledged.len(), found.damage);
    let made_up: Vec<_> = records.difference(&truth.tried).collect();
    assert!(made_up.is_empty(), "{made_up:?}");
    // What is there now is served, and so it stays.
    truth.acknowledged = records;
    let log = std::fs::read(dir.join("silences.journal")).unwrap();
    let snapshot = std::fs::read(dir.join("silences")).unwrap_or_default();
    let platter = Arc::new(Mutex::new(Platter {
        log: log.clone(),
        synced_log: log,
        snapshot: snapshot.clone(),
        synced_snapshot: snapshot,
        faults: 0,
    }));
    let one_in = [3, 10, 1000][random.below(3)];
    let seed = random.number();
    journal.disk = Box::new(Faulty { platter: platter.clone(), random: Random::new(seed), one_in });
    for _ in 0..random.below(30) {
        if random.below(6) == 0 {
            // Whether it succeeds or not, nothing may be lost.
            let _ = journal.replace(truth.acknowledged.iter().cloned());
            continue;
        }
        let batch: Vec<Vec<u8>> = (0..1 + random.below(3))
            .map(|_| {
                *next += 1;
                let mut record = next.to_le_bytes().to_vec();
                record.resize(4 + random.below(40), *next as u8);
                record
            })
            .collect();
        truth.tried.extend(batch.iter().cloned());
        if journal.append(batch.iter().map(Vec::as_slice)).is_ok() {
            truth.acknowledged.extend(batch);
        }
    }
    drop(journal);
    let platter = platter.lock().unwrap();
    let (log, snapshot) = platter.after_crash(random);
    std::fs::write(dir.join("silences.journal"), log).unwrap();
    std::fs::write(dir.join("silences"), snapshot).unwrap();
    platter.faults
}

#[test]
fn what_was_acknowledged_survives_disks_that_fail_and_losses_of_power() {
    let (mut faults, mut kept) = (0, 0);
    for seed in 0..300 {
        let dir = tempfile::tempdir().unwrap();
        let (mut random, mut truth, mut next) = (Random::new(seed), Truth::default(), 0);
        for _ in 0..8 {
            faults += live(dir.path(), &mut random, &mut truth, &mut next);
        }
        live(dir.path(), &mut random, &mut truth, &mut next);
        kept += truth.acknowledged.len();
    }
    assert!(faults > 1000 && kept > 5000, "{faults} faults, {kept} records");
}
