//! What is put back, after what kind of death.

use super::*;
use crate::backend::scratch::Scratch;
use crate::backend::uci::{Edit, PackageEdits};
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;

const OLD: &str = "# kept\nconfig t n\n\toption a old\n\toption key hunter22\n";

fn store(dir: &Path) -> Store {
    fs::create_dir_all(dir.join("config")).unwrap();
    Store::new(dir.join("config"), None, &dir.join("state")).alone()
}

fn set(store: &Store, name: &str, option: &str, value: &str) -> PackageEdits {
    let value = Some(OptValue::One(value.into()));
    let edits = vec![Edit::Set { section: "n".into(), option: option.into(), value }];
    PackageEdits { base: store.read(name).unwrap(), edits }
}

fn make(store: &Store, name: &str) -> PackageEdits {
    let base = Rc::new(Package { name: name.into(), sections: vec![] });
    let _ = store;
    PackageEdits { base, edits: vec![Edit::Add { section: "n".into(), kind: "t".into() }] }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn commit(store: &Store, edits: &[PackageEdits]) {
    block_on(store.commit_as(edits, true)).unwrap();
}

/// `a` and `b` are there, `c` is made by the change.
fn scene() -> Scratch {
    let dir = Scratch::new("undo");
    dir.write("config/a", OLD);
    dir.write("config/b", OLD);
    dir
}

fn change(store: &Store) {
    commit(store, &[set(store, "a", "a", "new"), set(store, "b", "a", "new"), make(store, "c")]);
}

fn is_old(dir: &Scratch) -> bool {
    dir.read("config/a") == OLD && dir.read("config/b") == OLD && !dir.path().join("config/c").exists()
}

#[test]
fn what_nobody_confirms_is_put_back_to_the_letter() {
    let dir = scene();
    let store = store(dir.path());
    change(&store);
    commit(&store, &[set(&store, "a", "key", "hunter23")]);
    assert_eq!(store.unconfirmed().packages, ["a".into(), "b".into(), "c".into()]);
    assert!(!store.unconfirmed().begun);
    let reverted = block_on(store.revert()).unwrap();
    assert_eq!(reverted.packages, ["a".into(), "b".into(), "c".into()]);
    let told = ["a.n.a: new -> old", "a.n.key: (secret) -> (secret)", "b.n.a: new -> old", "c.n: t -> -"];
    assert_eq!(reverted.changes, told);
    assert!(is_old(&dir) && store.unconfirmed().packages.is_empty() && store.unconfirmed().begun);
    // Who dies before it is told does it again.
    assert_eq!(block_on(store.revert()).unwrap().packages, reverted.packages);
    store.confirm().unwrap();
    assert!(!dir.path().join("state/uci-undo").exists());
    assert_eq!(store.read("a").unwrap().section("n").unwrap().text("a"), Some("old"));
}

#[test]
fn a_package_that_somebody_removed_is_there_again() {
    let dir = scene();
    let store = store(dir.path());
    change(&store);
    fs::remove_file(dir.path().join("config/a")).unwrap();
    block_on(store.revert()).unwrap();
    assert!(is_old(&dir) && store.unconfirmed().packages.is_empty());
}

#[test]
fn what_is_confirmed_stays() {
    let dir = scene();
    let store = store(dir.path());
    change(&store);
    store.confirm().unwrap();
    assert_eq!(block_on(store.revert()).unwrap(), Reverted::default());
    assert!(!is_old(&dir) && store.unconfirmed().packages.is_empty());
}

#[test]
fn what_others_wrote_meanwhile_goes_with_it_and_other_packages_stay() {
    let dir = scene();
    let store = store(dir.path());
    commit(&store, &[set(&store, "a", "a", "new")]);
    block_on(store.commit(&[set(&store, "b", "a", "theirs")])).unwrap();
    block_on(store.commit(&[set(&store, "a", "x", "theirs")])).unwrap();
    assert_eq!(block_on(store.revert()).unwrap().packages, ["a".into()]);
    assert_eq!(dir.read("config/a"), OLD);
    assert!(dir.read("config/b").contains("theirs"));
}

#[test]
fn a_change_that_could_not_be_made_leaves_nothing_to_undo() {
    let dir = scene();
    let store = store(dir.path());
    commit(&store, &[set(&store, "a", "a", "first")]);
    let edits = [set(&store, "a", "a", "second"), set(&store, "b", "a", "new")];
    // The new file of b cannot take its place: a folder stands there by then.
    let blocked = dir.path().join("config/b");
    crate::backend::uci::store::tests::on_fault(move |point| {
        if point == "journal" {
            fs::remove_file(&blocked).unwrap();
            fs::create_dir_all(blocked.join("in-the-way")).unwrap();
        }
    });
    assert!(block_on(store.commit_as(&edits, true)).is_err());
    crate::backend::uci::store::tests::on_fault(|_| {});
    assert_eq!(store.unconfirmed().packages, ["a".into()]);
    assert_eq!(block_on(store.revert()).unwrap().packages, ["a".into()]);
    assert_eq!(dir.read("config/a"), OLD);
}

/// Makes the change in a process that dies at a point, and puts it back in one that may die too.
fn after_death(point: &str) {
    let dir = scene();
    let child = |test: &str, die: &str| {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", &format!("backend::uci::undo::tests::{test}"), "--ignored"]);
        child.envs([("USP_TEST_DIR", dir.path().to_str().unwrap()), ("USP_TEST_DIE", die)]);
        child.stdout(std::process::Stdio::null()).status().unwrap()
    };
    child("child_changes", point);
    child("child_reverts", "put-back:1");
    child("child_reverts", "put-back:2");
    child("child_reverts", "never");
    assert!(is_old(&dir), "{point}: {} {}", dir.read("config/a"), dir.read("config/b"));
    assert!(!dir.path().join("state/uci-undo").exists(), "{point}");
}

#[test]
fn a_router_that_dies_at_any_point_comes_back_as_it_was() {
    for point in ["kept:1", "journal:1", "renamed:1", "renamed:2", "renamed:3", "synced:1", "never"] {
        after_death(point);
    }
}

fn child_store() -> Option<Store> {
    Some(store(&PathBuf::from(std::env::var_os("USP_TEST_DIR")?)))
}

#[test]
#[ignore = "a child of the test above"]
fn child_changes() {
    if let Some(store) = child_store() {
        change(&store);
    }
}

#[test]
#[ignore = "a child of the test above"]
fn child_reverts() {
    if let Some(store) = child_store() {
        block_on(store.recover()).unwrap();
        block_on(store.revert()).unwrap();
        store.confirm().unwrap();
    }
}
