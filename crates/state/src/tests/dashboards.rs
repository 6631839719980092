use std::collections::BTreeMap;

use serde_json::json;

use super::{Fixture, save, titled};
use crate::dashboards::Save;
use crate::search::Search;
use crate::sources::{Source, SourceKind};
use crate::users::{NewUser, Role};
use crate::versions::KEPT;

#[test]
fn a_dashboard_comes_back_as_it_was() {
    let fixture = Fixture::new();
    let dashboard = json!({"id": 7, "uid": "cpu", "title": " CPU ", "version": 3, "panels": [{"z": 1, "a": [null, 1.5]}]});
    let about = fixture.store.save_dashboard(save(dashboard)).unwrap();
    assert_eq!((about.uid.as_str(), about.title.as_str(), about.version), ("cpu", "CPU", 1));
    let stored = fixture.store.dashboard("cpu").unwrap();
    assert_eq!(
        stored.dashboard,
        json!({"uid": "cpu", "title": " CPU ", "version": 1, "panels": [{"z": 1, "a": [null, 1.5]}]})
    );
    assert_eq!(stored.about.created_by, "ann");
}

#[test]
fn a_dashboard_may_be_a_resource() {
    let fixture = Fixture::new();
    let resource = |version: i64| {
        json!({"apiVersion": "dashboard.grafana.app/v2", "kind": "Dashboard",
               "metadata": {"name": "new", "generation": version, "labels": {"a": "b"}},
               "spec": {"title": "Newer", "tags": ["t"], "elements": {}}})
    };
    let about = fixture.store.save_dashboard(save(resource(7))).unwrap();
    assert_eq!((about.uid.as_str(), about.title.as_str(), about.version), ("new", "Newer", 1));
    assert_eq!(fixture.store.dashboard("new").unwrap().dashboard, resource(1));
    assert!(fixture.store.save_dashboard(save(resource(7))).is_err());
    assert_eq!(fixture.store.save_dashboard(save(resource(1))).unwrap().version, 2);
    assert_eq!(fixture.store.tags().unwrap(), [("t".to_owned(), 1)]);
}

#[test]
fn who_changed_it_meanwhile_is_not_overwritten() {
    let fixture = Fixture::new();
    fixture.store.save_dashboard(save(titled("a", "A"))).unwrap();
    let next = |version: i64, title: &str| json!({"uid": "a", "title": title, "version": version});
    assert_eq!(fixture.store.save_dashboard(save(next(1, "by Ann"))).unwrap().version, 2);
    let late = fixture.store.save_dashboard(save(next(1, "by Bob"))).unwrap_err();
    assert_eq!(late.to_string(), "the dashboard has been changed by someone else");
    let forced = Save { overwrite: true, ..save(next(1, "by Bob")) };
    assert_eq!(fixture.store.save_dashboard(forced).unwrap().version, 3);
    assert_eq!(fixture.store.dashboard("a").unwrap().about.title, "by Bob");
}

#[test]
fn what_is_no_dashboard_is_refused() {
    let fixture = Fixture::new();
    let refused = |dashboard| fixture.store.save_dashboard(save(dashboard)).unwrap_err().to_string();
    assert_eq!(refused(json!([])), "a dashboard is a JSON object");
    assert_eq!(refused(json!({"title": " "})), "dashboard title cannot be empty");
    assert_eq!(refused(titled(&"u".repeat(41), "A")), "uid too long, max 40 characters");
    assert!(refused(titled("a/b", "A")).starts_with("uid contains illegal characters"));
    assert!(refused(json!({"title": "A", "text": "x".repeat(9 << 20)})).contains("8388608 are allowed"));
    let into_nowhere = Save { folder_uid: Some("none"), ..save(titled("a", "A")) };
    assert_eq!(fixture.store.save_dashboard(into_nowhere).unwrap_err().to_string(), "folder not found");
}

#[test]
fn versions_are_kept_and_restored() {
    let fixture = Fixture::new();
    for n in 1..=KEPT + 5 {
        let message = format!("change {n}");
        let dashboard = json!({"uid": "a", "title": format!("T{n}"), "tags": [format!("t{n}")]});
        fixture.store.save_dashboard(Save { overwrite: true, message: &message, ..save(dashboard) }).unwrap();
    }
    let versions = fixture.store.versions("a").unwrap();
    assert_eq!(versions.len(), usize::try_from(KEPT).unwrap());
    assert_eq!((versions[0].version, versions[0].message.as_str()), (KEPT + 5, "change 25"));
    assert_eq!(fixture.store.version("a", 10).unwrap()["title"], "T10");
    assert_eq!(fixture.store.version("a", 5).unwrap_err().to_string(), "version not found");
    let restored = fixture.store.restore_version("a", 10, "bob").unwrap();
    assert_eq!(
        (restored.version, restored.title.as_str(), restored.updated_by.as_str()),
        (KEPT + 6, "T10", "bob")
    );
    assert_eq!(fixture.store.versions("a").unwrap()[0].restored_from, Some(10));
    assert_eq!(fixture.store.tags().unwrap(), [("t10".to_owned(), 1)]);
}

fn found(fixture: &Fixture, search: &Search) -> Vec<String> {
    fixture.store.search(search).unwrap().into_iter().map(|found| found.title).collect()
}

#[test]
fn dashboards_are_found_by_words_tags_folders_and_stars() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    store.create_folder(Some("k8s"), "Kubernetes", None).unwrap();
    let new = NewUser {
        login: "ann".into(),
        name: String::new(),
        role: Role::Viewer,
        password: "a password".into(),
    };
    let ann = store.create_user(&new).unwrap().id;
    for (uid, title, folder, tags) in [
        ("a", "Node Übersicht", None, vec!["host", "node"]),
        ("b", "Pods 100%", Some("k8s"), vec!["node"]),
        ("c", "alerts", None, vec![]),
    ] {
        let dashboard = json!({"uid": uid, "title": title, "tags": tags});
        store.save_dashboard(Save { folder_uid: folder, ..save(dashboard) }).unwrap();
    }
    store.set_star(ann, "b", true).unwrap();
    let by = |text: &str| found(&fixture, &Search { text: text.to_owned(), ..Search::default() });
    assert_eq!(by(""), ["alerts", "Node Übersicht", "Pods 100%"]);
    assert_eq!(by("üBER node"), ["Node Übersicht"]);
    assert_eq!(by("%"), ["Pods 100%"]);
    assert_eq!(by("kubernetes"), ["Pods 100%"]);
    let tagged = |tags: &[&str]| {
        found(
            &fixture,
            &Search { tags: tags.iter().map(|&tag| tag.to_owned()).collect(), ..Search::default() },
        )
    };
    assert_eq!(tagged(&["node"]), ["Node Übersicht", "Pods 100%"]);
    assert_eq!(tagged(&["node", "host"]), ["Node Übersicht"]);
    let inside =
        |uid: &str| found(&fixture, &Search { folder_uid: Some(uid.to_owned()), ..Search::default() });
    assert_eq!(inside("k8s"), ["Pods 100%"]);
    assert_eq!(inside(""), ["alerts", "Node Übersicht"]);
    assert_eq!(found(&fixture, &Search { user: ann, starred: true, ..Search::default() }), ["Pods 100%"]);
    let first = store.search(&Search { user: ann, text: "node".into(), ..Search::default() }).unwrap();
    assert_eq!((first[0].tags.join(","), first[0].is_starred), ("host,node".to_owned(), false));
    store.set_star(ann, "b", false).unwrap();
    assert_eq!(
        found(&fixture, &Search { user: ann, starred: true, ..Search::default() }),
        Vec::<String>::new()
    );
}

#[test]
fn folders_lie_in_each_other() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    store.create_folder(Some("a"), "A", None).unwrap();
    let inner = store.create_folder(Some("b"), "B", Some("a")).unwrap();
    assert_eq!(inner.parent_uid.as_deref(), Some("a"));
    assert!(store.create_folder(None, "B", Some("a")).is_err());
    assert!(store.rename_folder("b", "").is_err());
    assert_eq!(store.rename_folder("b", "C").unwrap().title, "C");
    store.create_folder(Some("c"), "C", Some("b")).unwrap();
    store.create_folder(Some("d"), "D", Some("c")).unwrap();
    let too_deep = store.create_folder(None, "E", Some("d")).unwrap_err().to_string();
    assert_eq!(too_deep, "folders lie at most 4 deep in each other");
    store.save_dashboard(Save { folder_uid: Some("c"), ..save(titled("x", "X")) }).unwrap();
    store.delete_folder("b").unwrap();
    assert_eq!(store.folders().unwrap().len(), 1);
    assert_eq!(store.dashboard("x").unwrap_err().to_string(), "dashboard not found");
}

#[test]
fn folders_and_dashboards_are_moved() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    for (uid, parent) in [("a", None), ("b", Some("a")), ("c", Some("b")), ("x", None), ("y", Some("x"))] {
        store.create_folder(Some(uid), &uid.to_uppercase(), parent).unwrap();
    }
    let refused = |uid, parent| store.move_folder(uid, parent).unwrap_err().to_string();
    assert_eq!(refused("a", Some("c")), "a folder cannot lie in itself: choose another folder");
    assert_eq!(refused("a", Some("a")), "a folder cannot lie in itself: choose another folder");
    assert_eq!(refused("a", Some("y")), "folders lie at most 4 deep in each other");
    assert_eq!(refused("a", Some("none")), "folder not found");
    assert_eq!(store.move_folder("a", Some("x")).unwrap().parent_uid.as_deref(), Some("x"));
    assert_eq!(store.move_folder("c", None).unwrap().parent_uid, None);
    store.create_folder(Some("other"), "C", Some("b")).unwrap();
    assert!(refused("c", Some("b")).contains("at this place already"));

    let version = store.save_dashboard(save(titled("d", "D"))).unwrap().version;
    let moved = store.move_dashboard("d", Some("b")).unwrap();
    assert_eq!((moved.folder_uid.as_deref(), moved.version), (Some("b"), version));
    assert_eq!(store.move_dashboard("d", Some("none")).unwrap_err().to_string(), "folder not found");
    assert_eq!(store.move_dashboard("d", None).unwrap().folder_uid, None);
    assert_eq!(store.move_dashboard("e", None).unwrap_err().to_string(), "dashboard not found");
}

fn source(uid: &str, name: &str) -> Source {
    Source {
        uid: uid.to_owned(),
        name: name.to_owned(),
        kind: SourceKind::Prometheus,
        url: "http://127.0.0.1:9091".to_owned(),
        is_default: true,
        is_provisioned: false,
        settings: BTreeMap::new(),
        secret_names: Vec::new(),
    }
}

#[test]
fn data_sources_keep_their_secrets() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let secrets = |pairs: &[(&str, &str)]| pairs.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
    store.put_source(&source("a", "A"), &secrets(&[("password", "1"), ("token", "2")])).unwrap();
    store.put_source(&source("a", "A"), &secrets(&[("token", "")])).unwrap();
    assert_eq!(store.source("a").unwrap().1, secrets(&[("password", "1")]));
    assert_eq!(store.sources().unwrap()[0].secret_names, ["password"]);
    store.put_source(&source("b", "B"), &BTreeMap::new()).unwrap();
    let defaults: Vec<_> = store.sources().unwrap().into_iter().filter(|source| source.is_default).collect();
    assert_eq!(defaults.iter().map(|source| source.uid.as_str()).collect::<Vec<_>>(), ["b"]);
    assert!(store.put_source(&source("c", "A"), &BTreeMap::new()).is_err());
    let odd = Source { url: "file:///etc/passwd".to_owned(), ..source("d", "D") };
    assert!(store.put_source(&odd, &BTreeMap::new()).is_err());
}

#[test]
fn data_sources_of_files_are_theirs() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    store.put_source(&source("hand", "Main"), &BTreeMap::new()).unwrap();
    store.provision_sources(&[(source("file", "Main"), BTreeMap::new())], &[]).unwrap();
    assert_eq!(store.sources().unwrap().iter().map(|s| s.uid.as_str()).collect::<Vec<_>>(), ["file"]);
    assert!(store.put_source(&source("file", "Main"), &BTreeMap::new()).is_err());
    assert!(store.delete_source("file").is_err());
    store.provision_sources(&[], &[]).unwrap();
    assert_eq!(store.sources().unwrap(), []);
}
