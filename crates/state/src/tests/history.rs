use rusqlite::Connection;

use super::*;
use crate::history::{RunChange, RunSearch};
use crate::users::{NewUser, Role};

fn user(fixture: &Fixture, login: &str) -> i64 {
    let (login, password) = (login.to_owned(), "correct horse".to_owned());
    let new = NewUser { login, name: String::new(), role: Role::Viewer, password };
    fixture.store.create_user(&new).unwrap().id
}

fn run(fixture: &Fixture, user: i64, query: &str) -> i64 {
    fixture.later(1);
    fixture.store.add_run(user, "metrics", &[query.to_owned()], None).unwrap().id
}

fn asked(fixture: &Fixture, user: i64, search: &RunSearch) -> Vec<String> {
    let runs = fixture.store.runs(user, search).unwrap();
    runs.into_iter().map(|run| run.queries.join("; ")).collect()
}

fn starred(starred: bool) -> RunChange {
    RunChange { starred: Some(starred), comment: None }
}

#[test]
fn runs_are_kept_for_each_user_the_newest_first() {
    let fixture = Fixture::new();
    let (ann, bob) = (user(&fixture, "ann"), user(&fixture, "bob"));
    let first = run(&fixture, ann, "up{job=\"a\"}");
    run(&fixture, ann, "rate(B[5m])");
    run(&fixture, bob, "down");
    let change = RunChange { starred: Some(true), comment: Some("the Ämter".to_owned()) };
    fixture.store.change_run(ann, first, &change).unwrap();
    // Run again, it is there once, first, with what was said about it.
    assert_eq!(run(&fixture, ann, "up{job=\"a\"}"), first);
    let all = fixture.store.runs(ann, &RunSearch::default()).unwrap();
    assert_eq!(all.iter().map(|run| &*run.queries[0]).collect::<Vec<_>>(), ["up{job=\"a\"}", "rate(B[5m])"]);
    assert_eq!((all[0].starred, &*all[0].comment, all[0].at_ms), (true, "the Ämter", START_MS + 4_000));
    for (text, found) in [("RATE b", 1), ("job=\"a\"", 1), ("ämter up", 1), ("down", 0), ("", 2)] {
        let search = RunSearch { text: text.to_owned(), ..RunSearch::default() };
        assert_eq!(asked(&fixture, ann, &search).len(), found, "{text}");
    }
    assert_eq!(asked(&fixture, ann, &RunSearch { starred: true, ..RunSearch::default() }), ["up{job=\"a\"}"]);
    assert_eq!(asked(&fixture, ann, &RunSearch { limit: Some(1), ..RunSearch::default() }).len(), 1);
    // Nobody changes or forgets what is another's.
    for refused in [
        fixture.store.change_run(bob, first, &starred(false)).map(|_| ()),
        fixture.store.delete_run(bob, first),
    ] {
        assert_eq!(refused.unwrap_err().kind(), base::ErrorKind::NotFound);
    }
    fixture.store.delete_run(ann, first).unwrap();
    assert_eq!(asked(&fixture, ann, &RunSearch::default()), ["rate(B[5m])"]);
    assert_eq!(asked(&fixture, bob, &RunSearch::default()), ["down"]);
}

#[test]
fn what_is_kept_is_bounded_and_stars_keep() {
    let fixture = Fixture::new();
    let ann = user(&fixture, "ann");
    let kept = run(&fixture, ann, "keep");
    fixture.store.change_run(ann, kept, &starred(true)).unwrap();
    let count = |condition: &str| {
        let select = format!("SELECT count(*) FROM query_run WHERE {condition}");
        fixture.store.read(|db| Ok(db.query_row(&select, [], |row| row.get::<_, i64>(0))?)).unwrap()
    };
    // As if a thousand had been run before.
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
        INSERT INTO query_run (user_id, datasource, queries, comment, is_starred, at_ms)
        SELECT ?1, 'metrics', '[\"' || i || '\"]', '', 0, i FROM n";
    fixture.store.write(|db| Ok(db.execute(many, [ann])?)).unwrap();
    run(&fixture, ann, "one more");
    assert_eq!((count("true"), count("at_ms = 1"), count("is_starred")), (1001, 0, 1));
    // Even what was run long ago elsewhere is there when it is told.
    let old = fixture.store.add_run(ann, "metrics", &["old".to_owned()], Some(0)).unwrap();
    assert_eq!((old.at_ms, count("at_ms = 0")), (0, 1));
    let to_come = fixture.store.add_run(ann, "metrics", &["new".to_owned()], Some(i64::MAX)).unwrap();
    assert_eq!(to_come.at_ms, START_MS + 2_000);

    fixture.store.write(|db| Ok(db.execute("UPDATE query_run SET is_starred = 1", [])?)).unwrap();
    let last = run(&fixture, ann, "without");
    let refused = fixture.store.change_run(ann, last, &starred(true)).unwrap_err();
    assert!(refused.to_string().contains("take one away first"), "{refused}");
    let long = "x".repeat(70_000);
    for (datasource, queries) in [
        ("", vec!["up".to_owned()]),
        ("metrics", vec![]),
        ("metrics", vec![long]),
        ("m", vec![String::new(); 51]),
    ] {
        let refused = fixture.store.add_run(ann, datasource, &queries, None).unwrap_err();
        assert_eq!(refused.kind(), base::ErrorKind::InvalidInput);
    }
}

#[test]
fn runs_go_with_their_user() {
    let fixture = Fixture::new();
    let (ann, _) = (user(&fixture, "ann"), run(&fixture, user(&fixture, "bob"), "down"));
    run(&fixture, ann, "up");
    fixture.store.delete_user(ann).unwrap();
    let left: i64 = fixture
        .store
        .read(|db| Ok(db.query_row("SELECT count(*) FROM query_run", [], |row| row.get(0))?))
        .unwrap();
    assert_eq!(left, 1);
}

#[test]
fn a_file_of_the_first_version_gets_what_is_new() {
    let fixture = Fixture::new();
    fixture.store.save_dashboard(save(titled("a", "A"))).unwrap();
    let path = fixture.dir.path().join("state.db");
    let db = Connection::open(&path).unwrap();
    db.execute_batch("DROP TABLE query_run; PRAGMA user_version = 1").unwrap();
    drop(db);
    let again = fixture.again().unwrap();
    assert_eq!(again.dashboard("a").unwrap().about.title, "A");
    assert_eq!(again.runs(1, &RunSearch::default()).unwrap(), []);
}
