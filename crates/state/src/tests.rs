#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod dashboards;
mod history;
mod provisioning;
mod users;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base::SimClock;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::dashboards::Save;
use crate::store::{Random, StateError, Store};

const START_MS: i64 = 1_700_000_000_000;

/// A store in a folder of its own, with a clock that tests move.
struct Fixture {
    dir: TempDir,
    clock: Arc<SimClock>,
    store: Store,
}

/// Bytes that differ from call to call, and are the same in each run.
fn counted() -> Random {
    let count = AtomicU64::new(1);
    Arc::new(move |buffer| {
        let seed = count.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for (i, byte) in buffer.iter_mut().enumerate() {
            *byte = (seed >> (i % 8 * 8)) as u8 ^ i as u8;
        }
    })
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = SimClock::at(START_MS);
        let store = Store::open(&dir.path().join("state.db"), clock.clone(), counted()).unwrap();
        Self { dir, clock, store }
    }

    /// The same file, opened again.
    fn again(&self) -> Result<Store, StateError> {
        Store::open(&self.dir.path().join("state.db"), self.clock.clone(), counted())
    }

    fn later(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

fn save(dashboard: Json) -> Save<'static> {
    Save { dashboard, folder_uid: None, message: "", overwrite: false, by: "ann" }
}

fn titled(uid: &str, title: &str) -> Json {
    json!({"uid": uid, "title": title, "panels": []})
}

#[test]
fn what_is_stored_is_there_after_opening_again() {
    let fixture = Fixture::new();
    fixture.store.save_dashboard(save(titled("a", "A"))).unwrap();
    let again = fixture.again().unwrap();
    assert_eq!(again.dashboard("a").unwrap().about.title, "A");
}

#[test]
fn a_damaged_file_is_named() {
    let fixture = Fixture::new();
    let path = fixture.dir.path().join("other.db");
    std::fs::write(&path, vec![7; 8192]).unwrap();
    let error = Store::open(&path, fixture.clock.clone(), counted()).unwrap_err();
    assert!(error.to_string().contains("other.db is damaged"), "{error}");
}

#[test]
fn a_file_of_a_newer_version_is_left_alone() {
    let fixture = Fixture::new();
    fixture.store.write(|db| Ok(db.pragma_update(None, "user_version", 99)?)).unwrap();
    let error = fixture.again().unwrap_err().to_string();
    assert!(error.contains("newer version of this program (schema 99, known up to 2)"), "{error}");
}

#[test]
fn a_call_that_fails_changes_nothing() {
    let fixture = Fixture::new();
    let failed: Result<(), _> = fixture.store.write(|db| {
        db.execute("INSERT INTO folder (uid, title, created_ms) VALUES ('f', 'F', 0)", [])?;
        Err(StateError::NotFound("user"))
    });
    assert!(failed.is_err());
    assert_eq!(fixture.store.folders().unwrap(), []);
}
