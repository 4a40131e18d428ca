//! The built-in mapping, drop-ins and the page that describes the notation, against TR-181 2.19.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use usp_agent::cli::coverage::{self, NoSource};
use usp_agent::cli::mapping;
use usp_agent::model::digest::{Digest, Element};
use usp_agent::model::schema::{Access, Argument, Kind, ParamSource, Schema};
use usp_agent::model::{built_in, dropin, native, notation};

const DIGEST: &str = include_str!("../data-model/tr181-2.19.digest");
const FOLDER: &str = "/etc/usp-agent/data-model.d";

fn built_in() -> Schema {
    Schema::built_in(&native::writes).unwrap()
}

// --- the digest -------------------------------------------------------------------------------------------------

#[test]
fn the_digest_holds_the_whole_standard() {
    let digest = Digest::parse(DIGEST);
    let [mut objects, mut params, mut commands, mut events, mut keys] = [0; 5];
    for path in digest.paths() {
        objects += 1;
        keys += digest.object(path).unwrap().unwrap().keys.len();
        for name in digest.elements(path) {
            match digest.element(path, name).unwrap_or_else(|why| panic!("{path}{name}: {why}")).unwrap() {
                Element::Parameter { .. } => params += 1,
                Element::Command { .. } => commands += 1,
                Element::Event(_) => events += 1,
            }
        }
    }
    assert_eq!((objects, params, commands, events, keys), (809, 6581, 178, 52, 584));
}

#[test]
fn the_whole_digest_inside_is_the_one_in_the_folder() {
    let whole = built_in::whole_digest();
    let inside = Digest::parse(&whole);
    let outside = Digest::parse(DIGEST);
    assert!(inside.paths().eq(outside.paths()));
    let sorted = |digest: &Digest<'_>, path: &str| {
        let mut names: Vec<String> = digest.elements(path).map(str::to_owned).collect();
        names.sort();
        names
    };
    for path in outside.paths() {
        assert_eq!(sorted(&inside, path), sorted(&outside, path), "{path}");
        assert_eq!(inside.object(path), outside.object(path), "{path}");
        for name in outside.elements(path) {
            assert!(inside.element(path, name).is_ok_and(|facts| facts.is_some()), "{path}{name}");
        }
    }
    assert!(inside.in_profile("Device.LocalAgent.", "EndpointID"));
    assert!(!inside.in_profile("Device.DSL.", "LineNumberOfEntries"));
}

#[test]
fn every_default_is_a_value() {
    let digest = Digest::parse(DIGEST);
    let mut wrong = Vec::new();
    for path in digest.paths() {
        for name in digest.elements(path) {
            let Some(Element::Parameter { value, .. }) = digest.element(path, name).unwrap() else { continue };
            let argument = Argument {
                name: name.into(),
                mandatory: false,
                kind: value.kind,
                facets: value.facets.into(),
                default: None,
            };
            if let Some(fault) = value.default.and_then(|default| argument.check(&default).err()) {
                wrong.push(format!("{path}{name}: {fault}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

// --- the built-in mapping ---------------------------------------------------------------------------------------

#[test]
fn every_built_in_row_is_known_to_the_standard() {
    let schema = built_in();
    let digest = Digest::parse(DIGEST);
    assert_eq!(schema.objects[0].path, "Device.");
    for object in &schema.objects {
        let names = object.params.iter().map(|param| &param.name);
        let names = names.chain(object.commands.iter().map(|c| &c.name)).chain(object.events.iter().map(|e| &e.name));
        for name in names {
            let vendor = name.starts_with("X_") || object.path.contains(".X_");
            assert!(vendor || digest.element_lines(object.path, name).is_some(), "{}{name}", object.path);
        }
        assert!(!object.table || !object.each.is_empty(), "{} has no rows", object.path);
    }
}

#[test]
fn what_is_built_in_is_the_same_with_the_whole_digest() {
    let whole = built_in::whole_digest();
    let with_all = Schema::build(built_in::blocks().unwrap(), &Digest::parse(&whole), &|_| true).unwrap();
    let with_little = Schema::built_in(&|_| true).unwrap();
    assert_eq!(format!("{:?}", with_all.objects), format!("{:?}", with_little.objects));
}

#[test]
fn parents_come_before_children() {
    let schema = built_in();
    for (index, object) in schema.objects.iter().enumerate() {
        assert!(object.parent.is_none_or(|parent| usize::from(parent.0) < index), "{}", object.path);
        for child in &object.children {
            assert_eq!(schema[*child].parent.map(|parent| usize::from(parent.0)), Some(index));
        }
    }
}

#[test]
fn every_native_function_the_mapping_names_exists() {
    let blocks = built_in::blocks().unwrap();
    let missing: Vec<_> = notation::natives(&blocks)
        .into_iter()
        .filter(|(_, name)| !native::known(name))
        .map(|(at, name)| format!("{at}: native {name}"))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The real limit is 2 ms in a release build on a router; this only catches a change for the much worse.
#[test]
fn the_model_is_built_quickly() {
    let fastest = (0..5)
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(built_in());
            start.elapsed()
        })
        .min();
    assert!(fastest < Some(Duration::from_millis(500)), "{fastest:?}");
}

#[test]
fn coverage_counts_every_mapped_object() {
    let schema = built_in();
    let whole = built_in::whole_digest();
    let lines = coverage::coverage(&schema, &Digest::parse(&whole), &NoSource::default());
    assert_eq!(lines.iter().map(|line| line.in_standard).sum::<usize>(), 6581 + 178 + 52);
    assert_eq!(lines.iter().map(|line| line.in_profile).sum::<usize>(), 2231 + 69 + 14);
    let mapped: usize = schema.objects.iter().map(|o| o.params.len() + o.commands.len() + o.events.len()).sum();
    assert_eq!(lines.iter().map(|line| line.mapped).sum::<usize>(), mapped);
}

#[test]
fn a_reason_stands_for_what_is_wanted_and_not_mapped() {
    let (text, whole) = (built_in::no_source(), built_in::whole_digest());
    let no_source = NoSource::parse(&text);
    let missing = coverage::missing(&built_in(), &Digest::parse(&whole), &no_source);
    let idle = |pattern: &&str| !missing.iter().any(|(path, _)| coverage::fits(pattern, path));
    assert_eq!(no_source.patterns().filter(idle).collect::<Vec<_>>(), Vec::<&str>::new(), "mapped, or not wanted");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(lines.is_sorted(), "data-model/no-source.txt is not sorted");
    assert_eq!(no_source.patterns().count(), lines.len(), "a line without two blanks before its reason");
    let unexplained: Vec<_> = missing.iter().filter(|(_, reason)| reason.is_none()).map(|(path, _)| path).collect();
    assert!(unexplained.is_empty(), "neither mapped nor in data-model/no-source.txt: {unexplained:#?}");
}

#[test]
fn the_page_of_what_is_mapped_is_as_it_is() {
    let (text, whole) = (built_in::no_source(), built_in::whole_digest());
    let lines = coverage::coverage(&built_in(), &Digest::parse(&whole), &NoSource::parse(&text));
    let page = coverage::page(&lines);
    if std::env::var_os("UPDATE").is_some() {
        return fs::write("docs/coverage.md", page).unwrap();
    }
    let told = fs::read_to_string("docs/coverage.md").unwrap_or_default();
    assert!(told == page, "run UPDATE=1 cargo test --test model_against_standard, and look at docs/coverage.md");
}

// --- the page ---------------------------------------------------------------------------------------------------

#[test]
fn the_examples_of_the_notation_page_are_right() {
    let page = fs::read_to_string("data-model/README.md").unwrap();
    let examples: Vec<&str> = page.split("```").skip(1).step_by(2).collect();
    assert!(!examples.is_empty());
    for example in examples {
        let blocks = notation::parse("README.md", example.to_owned().leak())
            .unwrap_or_else(|error| panic!("{error}\n{example}"));
        let schema = Schema::build(blocks, &Digest::parse(DIGEST), &|_| true);
        schema.unwrap_or_else(|errors| panic!("{}\n{example}", errors[0]));
    }
}

// --- drop-ins ---------------------------------------------------------------------------------------------------

/// A router's file system with drop-ins.
struct Router(PathBuf);

impl Router {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("usp-agent-dropins-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join(&FOLDER[1..])).unwrap();
        fs::set_permissions(root.join(&FOLDER[1..]), fs::Permissions::from_mode(0o755)).unwrap();
        Self(root)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(&FOLDER[1..]).join(name)
    }

    fn with(self, name: &str, text: &str) -> Self {
        fs::write(self.file(name), text).unwrap();
        fs::set_permissions(self.file(name), fs::Permissions::from_mode(0o644)).unwrap();
        self
    }

    fn load(&self) -> (Schema, Vec<String>) {
        dropin::load(&[FOLDER], &self.0, &|_| false)
    }

    /// The model, where no file may be refused.
    fn model(&self) -> Schema {
        let (schema, refusals) = self.load();
        assert!(refusals.is_empty(), "{refusals:#?}");
        schema
    }

    /// Why the only file was refused; the model is the built-in one.
    fn refusal(&self) -> String {
        let (schema, refusals) = self.load();
        assert_eq!(schema.objects.len(), built_in().objects.len());
        assert_eq!(refusals.len(), 1, "{refusals:#?}");
        refusals[0].clone()
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const VENDOR: &str = "\
object Device.X_EXAMPLE_Lamp.
  Mode string rw = uci lamp.main.mode | map 0:Off 1:On
table Device.X_EXAMPLE_Lamp.Bulb.{i}. rw keys Name
  each uci lamp.bulb
  Name string rw = option name
  Blink() = ubus lamp blink {\"bulb\":\"{key}\"}
  Broken! = agent
";

#[test]
fn a_drop_in_adds_objects_commands_and_events() {
    let schema = Router::new("adds").with("lamp.dm", VENDOR).model();
    let bulb = &schema[schema.find("Device.X_EXAMPLE_Lamp.Bulb.{i}.").unwrap()];
    assert!(bulb.table && bulb.creatable);
    assert_eq!((bulb.commands[0].name, bulb.events[0].name), ("Blink()", "Broken!"));
    let lamp = &schema[bulb.parent.unwrap()];
    assert_eq!(lamp.param("Mode").unwrap().access, Access::ReadWrite);
    assert!(matches!(lamp.param("BulbNumberOfEntries").unwrap().source, ParamSource::Count(_)));
}

#[test]
fn a_drop_in_maps_what_only_the_whole_standard_knows() {
    let text = "object Device.DSL.Diagnostics.\nobject Device.PeriodicStatistics.\nMinSampleInterval = text 5\n";
    let schema = Router::new("whole").with("more.dm", text).model();
    let object = &schema[schema.find("Device.PeriodicStatistics.").unwrap()];
    assert_eq!(object.param("MinSampleInterval").unwrap().kind, Kind::UnsignedInt);
}

#[test]
fn a_drop_in_replaces_and_hides() {
    let text = "object Device.DeviceInfo.\nreplace UpTime = text 7\nhide HostName\nhide object Device.DeviceInfo.MemoryStatus.\n";
    let schema = Router::new("replaces").with("a.dm", text).model();
    let info = &schema[schema.find("Device.DeviceInfo.").unwrap()];
    assert!(info.param("UpTime").is_some() && info.param("HostName").is_none());
    assert!(schema.find("Device.DeviceInfo.MemoryStatus.").is_none());
}

#[test]
fn a_broken_file_is_refused_whole_and_the_others_stay() {
    let broken = "object Device.X_EXAMPLE_B.\nA string = text fine\nB string = nonsense x\n";
    let router = Router::new("broken").with("a.dm", broken).with("b.dm", VENDOR).with("c.txt", "not read");
    let (schema, refusals) = router.load();
    assert!(schema.find("Device.X_EXAMPLE_B.").is_none());
    assert!(schema.find("Device.X_EXAMPLE_Lamp.").is_some());
    assert_eq!(refusals.len(), 1);
    assert!(refusals[0].starts_with("/etc/usp-agent/data-model.d/a.dm:3: the source `nonsense`"), "{}", refusals[0]);
}

#[test]
fn drop_ins_are_read_in_the_order_of_their_names() {
    let again = "object Device.X_EXAMPLE_Lamp.\nMode string = text x\n";
    let router = Router::new("order").with("20-again.dm", again).with("10-lamp.dm", VENDOR);
    let (_, refusals) = router.load();
    assert_eq!(refusals.len(), 1);
    assert!(refusals[0].contains("20-again.dm:2: `Mode` stands at"), "{}", refusals[0]);
}

#[test]
fn what_a_drop_in_may_not_say_is_named() {
    for (text, why) in [
        ("object Device.DeviceInfo.\nUpTime = text 7\n", "`UpTime` stands at device-info.dm:"),
        ("object Device.DeviceInfo.\nUptime = text 7\n", "has no `Uptime`"),
        ("object Device.EXAMPLE.\n", "has no object"),
        ("object Device.X_A.\nB string = native no.such\n", "no native function `no.such`"),
        ("hide object Device.X_A.\n", "no object"),
        ("object Device.X_A.\nB string = $nothing\n", "no `let nothing`"),
        ("object Device.\nreplace Boot! = event a.b Speed /speed\n", "gives `Boot!` no argument `Speed`"),
        ("table Device.X_A.{i}.\neach uci a.b\nC! = event a.c\n", "of a row cannot be raised"),
        ("object Device.X_A.\nC! = event a.c D\n", "the pointer into the event's data"),
    ] {
        let refusal = Router::new("names").with("a.dm", text).refusal();
        assert!(refusal.contains(why), "{refusal}");
    }
}

#[test]
fn only_files_that_nobody_else_can_write_are_read() {
    let router = Router::new("mode").with("a.dm", VENDOR);
    for mode in [0o664, 0o646] {
        fs::set_permissions(router.file("a.dm"), fs::Permissions::from_mode(mode)).unwrap();
        assert!(router.refusal().contains("written by others"));
    }
    fs::set_permissions(router.file("a.dm"), fs::Permissions::from_mode(0o644)).unwrap();
    router.model();
    fs::set_permissions(router.0.join(&FOLDER[1..]), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(router.refusal().contains("its folder"));
}

#[test]
fn only_files_of_root_are_read() {
    let router = Router::new("owner").with("a.dm", VENDOR);
    if chown(router.file("a.dm"), Some(1234), None).is_err() {
        return; // Only root can give a file away.
    }
    assert!(router.refusal().contains("does not belong to root"));
}

#[test]
fn what_is_no_small_text_file_is_refused() {
    let router = Router::new("large").with("a.dm", &"#\n".repeat(notation::MAX_FILE));
    assert!(router.refusal().contains("larger"));
    let router = Router::new("folder");
    fs::create_dir(router.file("a.dm")).unwrap();
    assert!(router.refusal().contains("no file"));
    let router = Router::new("device");
    symlink("/dev/zero", router.file("a.dm")).unwrap();
    assert!(router.refusal().contains("no file"));
    let router = Router::new("bytes");
    fs::write(router.file("a.dm"), b"\xff\xfe").unwrap();
    router.refusal();
}

#[test]
fn files_can_be_checked_before_they_are_installed() {
    let router = Router::new("check").with("a.dm", VENDOR).with("b.dm", "object Device.Wrong.\n");
    let messages = mapping::files(&[router.file("a.dm"), router.file("b.dm"), router.file("c.dm")]);
    assert_eq!(messages.len(), 2, "{messages:#?}");
    assert!(messages.iter().any(|message| message.contains("b.dm:1: TR-181 2.19 has no object `Device.Wrong.`")));
    assert!(mapping::files(&[router.file("a.dm")]).is_empty());
    assert!(mapping::installed(Path::new("/nowhere")).1.is_empty());
}
