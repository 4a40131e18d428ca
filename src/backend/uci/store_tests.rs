//! The store on real folders: what it writes, whom it waits for, and what a crash leaves.

use super::super::parse::MAX_SECTIONS;
use super::super::{Edit, OptValue, PackageEdits};
use super::*;
use crate::backend::scratch::Scratch;
use rustix::fs::{FlockOperation, flock};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

fn store(dir: &Scratch) -> Store {
    fs::create_dir_all(dir.path().join("config")).unwrap();
    Store::new(dir.path().join("config"), Some(dir.path().join("run")), &dir.path().join("state")).alone()
}

fn set(section: &str, option: &str, value: &str) -> Edit {
    Edit::Set { section: section.into(), option: option.into(), value: Some(OptValue::One(value.into())) }
}

fn add(section: &str) -> Edit {
    Edit::Add { section: section.into(), kind: "t".into() }
}

fn edits(store: &Store, name: &str, edits: Vec<Edit>) -> PackageEdits {
    let base = store.read(name).unwrap_or_else(|_| Rc::new(Package { name: name.into(), sections: vec![] }));
    PackageEdits { base, edits }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn commit(store: &Store, all: &[PackageEdits]) -> Result<Vec<Box<str>>, Error> {
    block_on(store.commit(all))
}

/// Everything below the folder, to see that nothing is left over.
fn files(dir: &Path) -> Vec<String> {
    let mut found: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    found
}

#[test]
fn reading_is_cached_until_the_file_changes() {
    let dir = Scratch::new("store");
    let store = store(&dir);
    assert_eq!(store.read("network"), Err(Error::NotFound));
    dir.write("config/network", "config t n\n");
    let first = store.read("network").unwrap();
    assert!(Rc::ptr_eq(&first, &store.read("network").unwrap()));
    dir.write("config/network", "config t n\noption a 1\n");
    assert_eq!(store.read("network").unwrap().section("n").unwrap().text("a"), Some("1"));
    let second = store.read("network").unwrap();
    store.forget("network");
    assert!(!Rc::ptr_eq(&second, &store.read("network").unwrap()));
}

#[test]
fn names_that_lead_elsewhere_are_not_packages() {
    let dir = Scratch::new("store");
    dir.write("secret", "config t\n");
    for name in ["../secret", "/etc/passwd", "", ".", "a.b"] {
        assert_eq!(store(&dir).read(name), Err(Error::NotFound));
    }
    fs::create_dir_all(dir.path().join("config/folder")).unwrap();
    assert_eq!(store(&dir).read("folder"), Err(Error::NotFound));
}

#[test]
fn an_override_is_read_and_written_instead() {
    let dir = Scratch::new("store");
    dir.write("config/network", "config t flash\n");
    dir.write("run/network", "config t run\n");
    let store = store(&dir);
    let edits = edits(&store, "network", vec![set("run", "a", "1")]);
    assert_eq!(commit(&store, &[edits]).unwrap(), ["network".into()]);
    assert_eq!(dir.read("config/network"), "config t flash\n");
    assert_eq!(dir.read("run/network"), "\nconfig t 'run'\n\toption a '1'\n\n");
    assert_eq!(store.names(), ["network".into()]);
}

#[test]
fn a_commit_keeps_mode_and_symbolic_link_and_leaves_nothing_behind() {
    let dir = Scratch::new("store");
    dir.write("elsewhere/network", "config t n\n");
    let store = store(&dir);
    let target = dir.path().join("elsewhere/network");
    fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink(&target, dir.path().join("config/network")).unwrap();
    commit(&store, &[edits(&store, "network", vec![set("n", "a", "1")])]).unwrap();
    assert!(fs::symlink_metadata(dir.path().join("config/network")).unwrap().is_symlink());
    assert_eq!(fs::metadata(&target).unwrap().mode() & 0o777, 0o600);
    assert_eq!(files(target.parent().unwrap()), ["network"]);
    assert_eq!(store.read("network").unwrap().section("n").unwrap().line, 2);
}

#[test]
fn edits_that_change_nothing_leave_the_file_alone() {
    let dir = Scratch::new("store");
    let text = "# kept\nconfig t n\n  option a 1\n";
    dir.write("config/network", text);
    let store = store(&dir);
    let same = edits(&store, "network", vec![set("n", "a", "1"), Edit::Delete { section: "gone".into() }]);
    assert_eq!(commit(&store, &[same]).unwrap(), []);
    assert_eq!(dir.read("config/network"), text);
}

#[test]
fn a_package_without_a_file_is_made_by_an_add_only() {
    let dir = Scratch::new("store");
    let store = store(&dir);
    for (name, mode) in [("network", 0o644), ("usp-agent", 0o600)] {
        assert_eq!(commit(&store, &[edits(&store, name, vec![set("n", "a", "1")])]), Err(Error::NotFound));
        commit(&store, &[edits(&store, name, vec![add("n"), set("n", "a", "1")])]).unwrap();
        let path = dir.path().join("config").join(name);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, mode);
        assert_eq!(fs::read_to_string(path).unwrap(), "\nconfig t 'n'\n\toption a '1'\n\n");
    }
}

#[test]
fn one_refused_edit_leaves_all_packages_as_they_were() {
    let dir = Scratch::new("store");
    dir.write("config/a", "config t n\n");
    dir.write("config/c", "broken\n");
    let store = store(&dir);
    let good = edits(&store, "a", vec![set("n", "x", "1")]);
    let new = edits(&store, "b", vec![add("m")]);
    for bad in [set("absent", "x", "1"), set("n", "x y", "1"), set("n", "x", "\u{1}")] {
        let all = [good.clone(), new.clone(), edits(&store, "a", vec![bad])];
        assert!(commit(&store, &all).is_err());
    }
    let all = [
        good,
        new,
        PackageEdits { base: Rc::new(Package { name: "c".into(), sections: vec![] }), edits: vec![add("x")] },
    ];
    assert!(matches!(commit(&store, &all), Err(Error::Parse { .. })));
    assert_eq!(dir.read("config/a"), "config t n\n");
    assert_eq!(files(&dir.path().join("config")), ["a", "c"]);
}

#[test]
fn edits_of_one_package_given_apart_are_written_together() {
    let dir = Scratch::new("store");
    dir.write("config/a", "config t n\n");
    let store = store(&dir);
    let all = [edits(&store, "a", vec![set("n", "x", "1")]), edits(&store, "a", vec![set("n", "y", "2")])];
    assert_eq!(commit(&store, &all).unwrap(), ["a".into()]);
    assert_eq!(dir.read("config/a"), "\nconfig t 'n'\n\toption x '1'\n\toption y '2'\n\n");
}

#[test]
fn a_failing_rename_takes_back_the_ones_before() {
    let dir = Scratch::new("store");
    dir.write("config/a", OLD);
    dir.write("config/b", OLD);
    let store = store(&dir);
    let all = [edits(&store, "a", vec![set("n", "x", "1")]), edits(&store, "b", vec![set("n", "x", "1")])];
    let config = dir.path().join("config");
    // The second new file vanishes once the first is in place.
    ON_FAULT.set(Some(Box::new(move |point| {
        if point == "renamed" {
            assert_eq!(fs::read_to_string(config.join("a")).unwrap(), NEW);
            let beside = fs::read_dir(&config).unwrap().flatten().map(|entry| entry.path());
            let new = beside.filter(|path| path.to_string_lossy().contains("/.b.uci-usp"));
            new.for_each(|path| fs::remove_file(path).unwrap());
        }
    })));
    assert!(matches!(commit(&store, &all), Err(Error::Io(_))));
    ON_FAULT.set(None);
    assert_eq!((dir.read("config/a"), dir.read("config/b")), (OLD.into(), OLD.into()));
    assert!(!dir.path().join("state/uci-journal").exists());
    assert_eq!(store.read("a").unwrap().section("n").unwrap().options.len(), 0);
}

#[test]
fn without_a_journal_several_packages_are_not_begun() {
    let dir = Scratch::new("store");
    dir.write("config/a", "config t n\n");
    dir.write("config/b", "config t n\n");
    let store = store(&dir);
    // A folder cannot be made where the journal's folder is a file: nothing may change then.
    dir.write("state", "");
    let all = [edits(&store, "a", vec![set("n", "x", "1")]), edits(&store, "b", vec![set("n", "x", "1")])];
    assert!(matches!(commit(&store, &all), Err(Error::Io(_))));
    assert_eq!((dir.read("config/a"), dir.read("config/b")), ("config t n\n".into(), "config t n\n".into()));
    assert_eq!(files(&dir.path().join("config")), ["a", "b"]);
}

#[tokio::test]
async fn a_lock_somebody_holds_is_waited_for_but_not_for_ever() {
    let dir = Scratch::new("store");
    dir.write("config/a", "config t n\n");
    let store = store(&dir);
    let holder = File::open(dir.path().join("config/a")).unwrap();
    flock(&holder, FlockOperation::LockExclusive).unwrap();
    let all = [edits(&store, "a", vec![set("n", "x", "1")])];
    let release = async {
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        flock(&holder, FlockOperation::Unlock).unwrap();
    };
    let (done, ()) = tokio::join!(store.commit(&all), release);
    assert_eq!(done.unwrap(), ["a".into()]);
}

#[test]
fn a_lock_held_too_long_ends_the_commit() {
    let dir = Scratch::new("store");
    dir.write("config/a", "config t n\n");
    let store = Store { lock_wait: Duration::from_millis(20), ..store(&dir) };
    let holder = File::open(dir.path().join("config/a")).unwrap();
    flock(&holder, FlockOperation::LockShared).unwrap();
    assert!(matches!(commit(&store, &[edits(&store, "a", vec![set("n", "x", "1")])]), Err(Error::Io(_))));
    assert_eq!(dir.read("config/a"), "config t n\n");
}

#[test]
fn between_two_commits_a_waiting_libuci_has_its_turn() {
    let dir = Scratch::new("store");
    dir.write("config/a", "config t n\n");
    let store = Store { settle: SETTLE, ..store(&dir) };
    commit(&store, &[edits(&store, "a", vec![add("x")])]).unwrap();
    let began = Instant::now();
    commit(&store, &[edits(&store, "a", vec![add("y")])]).unwrap();
    assert!(began.elapsed() >= SETTLE / 2);
}

/// libuci unlocks before it renames; its new file shows that it is not done.
#[test]
fn a_libuci_between_unlock_and_rename_is_waited_for() {
    let dir = Scratch::new("store");
    dir.write("config/a", "config t n\n");
    let store = Store { lock_wait: Duration::from_millis(20), ..store(&dir) };
    let new = dir.path().join("config/.a.uci-Ab12Zz");
    fs::write(&new, "config t libuci\n").unwrap();
    let all = [edits(&store, "a", vec![add("x")])];
    assert!(matches!(commit(&store, &all), Err(Error::Io(_))));
    fs::rename(&new, dir.path().join("config/a")).unwrap();
    commit(&store, &all).unwrap();
    assert_eq!(dir.read("config/a"), "\nconfig t 'libuci'\n\nconfig t 'x'\n\n");
    // What a crash left long ago is nobody's.
    File::create(&new).unwrap().set_modified(std::time::SystemTime::now() - Duration::from_secs(60)).unwrap();
    commit(&store, &[edits(&store, "a", vec![add("y")])]).unwrap();
}

/// A libuci that waits for the lock reads the file it opened, not the one renamed over it.
#[test]
fn the_replaced_file_has_the_new_contents_too() {
    let dir = Scratch::new("store");
    dir.write("config/a", "config t n\n# a long comment that is gone after the commit\n");
    let store = store(&dir);
    let waiting = File::open(dir.path().join("config/a")).unwrap();
    commit(&store, &[edits(&store, "a", vec![set("n", "x", "1")])]).unwrap();
    assert_eq!(contents(&waiting, "a").unwrap(), fs::read(dir.path().join("config/a")).unwrap());
}

#[test]
fn a_package_over_the_limits_is_refused_and_not_written() {
    let dir = Scratch::new("store");
    let text = "config t\n".repeat(MAX_SECTIONS);
    dir.write("config/a", &text);
    let store = store(&dir);
    assert!(commit(&store, &[edits(&store, "a", vec![add("one_more")])]).is_err());
    let long = "x".repeat(MAX_PACKAGE);
    dir.write("config/b", "config t n\n");
    assert!(commit(&store, &[edits(&store, "b", vec![set("n", "x", &long)])]).is_err());
    assert_eq!((dir.read("config/a"), dir.read("config/b")), (text, "config t n\n".into()));
}

// Crashes: the test program runs itself and dies by SIGKILL at a named point of the commit.

/// What a test does at a fault point.
type OnFault = Option<Box<dyn Fn(&str)>>;
thread_local!(static ON_FAULT: RefCell<OnFault> = RefCell::default());

/// What the commits of this thread do at each fault point from now on.
pub(in super::super) fn on_fault(act: impl Fn(&str) + 'static) {
    ON_FAULT.set(Some(Box::new(act)));
}

/// Called by the commit at each of its fault points: `USP_TEST_DIE` is `point:nth`.
pub(in super::super) fn at_fault_point(point: &str) {
    ON_FAULT.with_borrow(|act| act.iter().for_each(|act| act(point)));
    thread_local!(static PASSED: RefCell<crate::order::Map<String, u32>> = RefCell::default());
    let Ok(wanted) = std::env::var("USP_TEST_DIE") else { return };
    let nth = PASSED.with_borrow_mut(|passed| {
        let count = passed.or_insert_with(point.into(), |_| 0);
        *count += 1;
        *count
    });
    if wanted == format!("{point}:{nth}") {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Runs one of the ignored tests below in a process of its own.
fn child(test: &str, dir: &Scratch, die: &str, who: &str) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("backend::uci::store::tests::{test}"), "--ignored", "--nocapture"])
        .envs([("USP_TEST_DIR", dir.path().to_str().unwrap()), ("USP_TEST_DIE", die), ("USP_TEST_WHO", who)])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

/// The store of a child; None where somebody runs the ignored tests by hand.
fn child_store() -> Option<Store> {
    let dir = PathBuf::from(std::env::var_os("USP_TEST_DIR")?);
    Some(Store::new(dir.join("config"), None, &dir.join("state")).alone())
}

const OLD: &str = "# old\nconfig t n\n";
const NEW: &str = "\nconfig t 'n'\n\toption x '1'\n\n";

#[test]
#[ignore = "runs as a child of a_killed_commit_is_undone_or_complete"]
fn child_commits_three() {
    let Some(store) = child_store() else { return };
    let all = [
        edits(&store, "a", vec![set("n", "x", "1")]),
        edits(&store, "b", vec![set("n", "x", "1")]),
        edits(&store, "c", vec![add("n"), set("n", "x", "1")]),
    ];
    commit(&store, &all).unwrap();
}

/// What recovery finds and leaves after a death at `point`: (packages touched, all new).
fn after_death(point: &str) -> (usize, bool) {
    let dir = Scratch::new("crash");
    let store = store(&dir);
    dir.write("config/a", OLD);
    dir.write("config/b", OLD);
    let died = !child("child_commits_three", &dir, point, "").wait().unwrap().success();
    assert_eq!(died, point != "never:1", "{point}");
    let touched = block_on(store.recover()).unwrap();
    let new = dir.read("config/a") == NEW;
    let expected = if new { NEW } else { OLD };
    assert_eq!((dir.read("config/a").as_str(), dir.read("config/b").as_str()), (expected, expected), "{point}");
    let c = fs::read_to_string(dir.path().join("config/c")).unwrap_or_default();
    assert_eq!(c, if new { NEW } else { "" }, "{point}");
    let left = files(&dir.path().join("config"));
    assert!(left.iter().all(|name| !name.starts_with('.')), "{point}: {left:?}");
    assert!(!dir.path().join("state/uci-journal").exists(), "{point}");
    (touched.len(), new)
}

#[test]
fn a_killed_commit_is_undone_or_complete() {
    assert_eq!(after_death("prepared:1"), (0, false));
    assert_eq!(after_death("journal:1"), (0, false));
    assert_eq!(after_death("renamed:1"), (1, false));
    assert_eq!(after_death("renamed:2"), (2, false));
    assert_eq!(after_death("renamed:3"), (3, true));
    assert_eq!(after_death("synced:1"), (3, true));
    assert_eq!(after_death("never:1"), (0, true));
}

#[test]
fn recovery_leaves_what_somebody_wrote_after_the_crash() {
    let dir = Scratch::new("crash");
    let store = store(&dir);
    dir.write("config/a", OLD);
    dir.write("config/b", OLD);
    child("child_commits_three", &dir, "renamed:1", "").wait().unwrap();
    dir.write("config/a", "config t admin\n");
    block_on(store.recover()).unwrap();
    assert_eq!((dir.read("config/a"), dir.read("config/b")), ("config t admin\n".into(), OLD.into()));
}

const ROUNDS: usize = 200;

#[test]
#[ignore = "runs as a child of two_processes_lose_nothing"]
fn child_adds_sections() {
    let (Some(store), Ok(who)) = (child_store(), std::env::var("USP_TEST_WHO")) else { return };
    for round in 0..ROUNDS {
        let name = format!("{who}{round}");
        commit(&store, &[edits(&store, "a", vec![add(&name), set(&name, "x", &who), set("n", &who, &name)])]).unwrap();
    }
}

#[test]
fn two_processes_lose_nothing() {
    let dir = Scratch::new("race");
    let store = store(&dir);
    dir.write("config/a", OLD);
    let children = ["p", "q"].map(|who| child("child_adds_sections", &dir, "never", who));
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let package = store.read("a").unwrap();
    assert_eq!(package.sections.len(), 1 + 2 * ROUNDS);
    let last = format!("p{}", ROUNDS - 1);
    assert_eq!(package.section("n").unwrap().text("p"), Some(&*last));
    assert_eq!(files(&dir.path().join("config")), ["a"]);
}
