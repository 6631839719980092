use serde_json::json;

use super::{Fixture, save, titled};
use crate::provisioned::{FromFile, Outcome};

fn file(path: &str, uid: &str, title: &str) -> FromFile {
    FromFile {
        path: path.to_owned(),
        hash: title.as_bytes().to_vec(),
        folders: vec!["Shipped".to_owned()],
        dashboard: titled(uid, title),
    }
}

fn outcome(added: usize, changed: usize, removed: usize) -> Outcome {
    Outcome { added, changed, removed, refused: Vec::new() }
}

#[test]
fn dashboards_follow_their_files() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let bring = |files| store.provision_dashboards("p", files, false).unwrap();
    assert_eq!(bring(vec![file("a.json", "a", "A"), file("b.json", "b", "B")]), outcome(2, 0, 0));
    assert_eq!(bring(vec![file("a.json", "a", "A"), file("b.json", "b", "B2")]), outcome(0, 1, 0));
    let changed = store.dashboard("b").unwrap().about;
    assert_eq!((changed.version, changed.folder_title.as_deref()), (2, Some("Shipped")));
    assert_eq!(bring(vec![file("b.json", "b", "B2")]), outcome(0, 0, 1));
    assert!(store.dashboard("a").is_err());
}

#[test]
fn dashboards_of_files_are_not_changed_by_hand() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    store.provision_dashboards("p", vec![file("a.json", "a", "A")], false).unwrap();
    let error = store.save_dashboard(save(json!({"uid": "a", "title": "mine", "version": 1}))).unwrap_err();
    assert!(error.to_string().starts_with("cannot save provisioned dashboard"), "{error}");
    assert!(store.delete_dashboard("a").is_err());
    assert!(store.restore_version("a", 1, "ann").is_err());
    let folder = store.folders().unwrap()[0].uid.clone();
    assert!(store.delete_folder(&folder).is_err());
}

#[test]
fn a_file_that_is_wrong_keeps_what_it_had() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    store.provision_dashboards("p", vec![file("a.json", "a", "A")], false).unwrap();
    let wrong = FromFile { dashboard: json!({"uid": "a"}), hash: vec![1], ..file("a.json", "a", "") };
    let outcome = store.provision_dashboards("p", vec![wrong], false).unwrap();
    assert_eq!(outcome.refused, ["a.json: dashboard title cannot be empty"]);
    assert_eq!(store.dashboard("a").unwrap().about.title, "A");
}

#[test]
fn without_a_uid_the_file_is_what_names_a_dashboard() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let bring = |title: &str| {
        let unnamed = FromFile { dashboard: json!({"title": title}), ..file("a.json", "", title) };
        store.provision_dashboards("p", vec![unnamed], false).unwrap()
    };
    assert_eq!(bring("A"), outcome(1, 0, 0));
    assert_eq!(bring("A2"), outcome(0, 1, 0));
    assert_eq!(store.search(&crate::search::Search::default()).unwrap().len(), 1);
}

#[test]
fn two_providers_do_not_share_a_dashboard() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    store.provision_dashboards("p", vec![file("a.json", "a", "A")], false).unwrap();
    let second = store.provision_dashboards("q", vec![file("x.json", "a", "X")], false).unwrap();
    assert_eq!(second.refused, ["x.json: another provider has a dashboard with the uid \"a\""]);
    assert_eq!(store.dashboard("a").unwrap().about.title, "A");
    assert_eq!(store.forget_providers_but(&["q".to_owned()]).unwrap(), 1);
    assert!(store.dashboard("a").is_err());
}

#[test]
fn dashboards_may_outlive_their_files() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    store.provision_dashboards("p", vec![file("a.json", "a", "A")], true).unwrap();
    store.provision_dashboards("p", Vec::new(), true).unwrap();
    store.save_dashboard(save(json!({"uid": "a", "title": "mine", "version": 1}))).unwrap();
}
