//! A plugin of Ambiorix on the test bus: a data model whose objects, rows included, are ubus objects with `_get`,
//! `_set` and so on, as libamxd and its ubus backend answer them: three DATA, `amxd-error-code` the last.
#![allow(dead_code, unreachable_pub)]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use usp_agent::backend::ubus::{Signature, blobmsg::kind};
use usp_agent::backend::{Table, Value};
use usp_agent::demo::bus::{Bus, Outcome};

/// `PATH [table rw|ro]`, and in it parameters `NAME ro|rw TYPE [key] [unique] [volatile]`, commands
/// `NAME() sync|async IN OUT` and events `NAME! ARGUMENTS`, lists with commas, `-` for none.
pub const WIFI: &str = "
WiFi.
 RadioNumberOfEntries ro uint32
 SSIDNumberOfEntries ro uint32
 NeighboringWiFiDiagnostic() async - Status,Result
 X_PRPL_Hang() async - -
 X_PRPL_Echo() sync Text Text
 X_PRPL_Refuse() sync - -
WiFi.Radio.{i}. table ro
 Alias rw cstring key unique
 Name ro cstring
 Enable rw bool
 Status ro cstring
 Channel rw uint32
 LowerLayers rw csv
 LastChange ro uint32 volatile
 X_PRPL_Radar! Channel,Neighbor.Name
WiFi.Radio.{i}.Stats.
 BytesSent ro uint64 volatile
WiFi.SSID.{i}. table rw
 Alias rw cstring key unique
 Enable rw bool
 SSID rw cstring
 BSSID ro cstring
 LowerLayers rw csv
WiFi.AccessPoint.{i}. table rw
 Alias rw cstring key unique
 SSIDReference rw cstring
WiFi.AccessPoint.{i}.Security.
 ModeEnabled rw cstring
 KeyPassphrase rw cstring
WiFi.AccessPoint.{i}.AssociatedDevice.{i}. table ro
 MACAddress ro cstring key unique
 SignalStrength ro int32
";

/// How a plugin misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Well,
    /// The DATA with the error code is lost.
    NoThird,
    /// All of it is too large for a message.
    TooLarge,
    /// More members are announced than come.
    WrongSize,
    /// Fragments without end.
    NeverEnding,
    Silent,
}

const METHODS: [(&str, &[(&str, u8)]); 7] = [
    (
        "_get",
        &[("rel_path", kind::STRING), ("parameters", kind::ARRAY), ("depth", kind::INT32), ("access", kind::INT32)],
    ),
    (
        "_get_supported",
        &[
            ("rel_path", kind::STRING),
            ("first_level_only", kind::INT8),
            ("functions", kind::INT8),
            ("parameters", kind::INT8),
            ("events", kind::INT8),
            ("access", kind::INT32),
        ],
    ),
    ("_describe", &[("rel_path", kind::STRING), ("parameters", kind::INT8), ("access", kind::INT32)]),
    ("_set", &[("rel_path", kind::STRING), ("parameters", kind::TABLE), ("oparameters", kind::TABLE)]),
    ("_add", &[("rel_path", kind::STRING), ("parameters", kind::TABLE)]),
    ("_del", &[("rel_path", kind::STRING)]),
    ("_exec", &[("rel_path", kind::STRING), ("method", kind::STRING), ("args", kind::TABLE)]),
];

const NOT_FOUND: u32 = 2;
const NO_FUNCTION: u32 = 3;
const NO_PARAMETER: u32 = 4;
const INVALID_VALUE: u32 = 10;
const INVALID_ACTION: u32 = 11;
const DUPLICATE: u32 = 13;
const READ_ONLY: u32 = 15;
const INVALID_ARGUMENT: u32 = 18;
const INVALID_PATH: u32 = 21;

type Values = Vec<(Box<str>, Value)>;
/// The return value and the out-arguments, or `amxd_status` and the return value.
type Done = Result<(Table, Table), (u32, Table)>;

/// A plugin; a clone is another handle on it.
#[derive(Clone)]
pub struct Plugin {
    bus: Bus,
    root: &'static str,
    world: Rc<World>,
}

struct World {
    model: RefCell<Vec<Object>>,
    /// Objects and rows by path.
    objects: RefCell<BTreeMap<String, Values>>,
    last_index: RefCell<BTreeMap<String, u32>>,
    calls: RefCell<Vec<String>>,
    mood: Cell<Mood>,
    /// Members of a return value beyond which it is sent in fragments of so many.
    fragment: Cell<usize>,
}

#[derive(Debug, Clone)]
struct Object {
    path: String,
    creatable: bool,
    params: Vec<Param>,
    commands: Vec<(String, bool, Vec<String>, Vec<String>)>,
    events: Vec<(String, Vec<String>)>,
}

#[derive(Debug, Clone)]
struct Param {
    name: String,
    writable: bool,
    kind: String,
    flags: Vec<String>,
}

fn list(text: &str) -> Vec<String> {
    text.split(',').filter(|item| *item != "-").map(str::to_owned).collect()
}

fn parse(model: &str) -> Vec<Object> {
    let mut objects: Vec<Object> = Vec::new();
    for line in model.lines().filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if !line.starts_with(' ') {
            let (path, creatable) = (words[0].to_owned(), words.contains(&"rw"));
            objects.push(Object { path, creatable, params: vec![], commands: vec![], events: vec![] });
            continue;
        }
        let object = objects.last_mut().unwrap();
        match words[0] {
            name if name.ends_with("()") => {
                object.commands.push((name.into(), words[1] == "async", list(words[2]), list(words[3])));
            }
            name if name.ends_with('!') => object.events.push((name.into(), list(words[1]))),
            name => object.params.push(Param {
                name: name.into(),
                writable: words[1] == "rw",
                kind: words[2].into(),
                flags: words[3..].iter().map(|flag| (*flag).to_owned()).collect(),
            }),
        }
    }
    objects
}

impl Param {
    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|known| known == flag)
    }

    fn type_id(&self) -> i32 {
        match &*self.kind {
            "int32" => 4,
            "uint32" => 8,
            "uint64" => 9,
            "bool" => 12,
            "csv" => 17,
            _ => 1,
        }
    }

    fn nothing(&self) -> Value {
        match &*self.kind {
            "bool" => Value::Int8(0),
            "int32" | "uint32" => Value::Int32(0),
            "uint64" => Value::Int64(0),
            _ => Value::from(""),
        }
    }

    /// As libamxc converts variants; a channel has a range.
    fn converted(&self, value: &Value) -> Result<Value, u32> {
        let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
        let made = match &*self.kind {
            "bool" => match value.as_str() {
                Some("true") => Some(Value::Int8(1)),
                Some("false") => Some(Value::Int8(0)),
                _ => number.map(|n| Value::Int8(i8::from(n != 0))),
            },
            "uint32" => number.and_then(|n| u32::try_from(n).ok()).map(|n| match i32::try_from(n) {
                Ok(n) => Value::Int32(n),
                Err(_) => Value::Int64(n.into()),
            }),
            "int32" => number.and_then(|n| i32::try_from(n).ok()).map(Value::Int32),
            "uint64" => number.map(Value::Int64),
            _ => value.as_str().map(Value::from),
        };
        let allowed = |made: &Value| self.name != "Channel" || (1..=177).contains(&made.as_i64().unwrap_or(0));
        made.filter(allowed).ok_or(INVALID_VALUE)
    }
}

/// `WiFi.Radio.{i}.` of `WiFi.Radio.1.`
fn template(path: &str) -> String {
    let step = |step: &str| if step.parse::<u32>().is_ok() || step == "*" { "{i}".into() } else { step.to_owned() };
    path.split('.').map(step).collect::<Vec<_>>().join(".")
}

/// `WiFi.Radio.` of `WiFi.Radio.1.`
fn table_of(path: &str) -> &str {
    let bare = path.trim_end_matches('.');
    &bare[..=bare.rfind('.').unwrap()]
}

fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<_>, Vec<_>) = (pattern.split('.').collect(), path.split('.').collect());
    pattern.len() == path.len()
        && pattern.iter().zip(&path).all(|(p, s)| p == s || (*p == "*" && s.parse::<u32>().is_ok()))
}

impl Plugin {
    /// Starts on the bus with these objects: paths, each with values (`Name=value`).
    pub fn start(bus: &Bus, root: &'static str, model: &str, objects: &[(&str, &str)]) -> Self {
        let world = World {
            model: RefCell::new(parse(model)),
            objects: RefCell::default(),
            last_index: RefCell::default(),
            calls: RefCell::default(),
            mood: Cell::new(Mood::Well),
            fragment: Cell::new(3000),
        };
        let plugin = Self { bus: bus.clone(), root, world: Rc::new(world) };
        for (path, values) in objects {
            plugin.insert(path);
            for (name, value) in values.split(' ').filter_map(|pair| pair.split_once('=')) {
                plugin.put(path, name, value);
            }
        }
        plugin.appear();
        plugin
    }

    /// Objects come onto the bus, the root first.
    pub fn appear(&self) {
        let paths: Vec<String> = self.world.objects.borrow().keys().cloned().collect();
        paths.iter().for_each(|path| self.provide(path));
    }

    /// The process is gone.
    pub fn die(&self) {
        self.world.objects.borrow().keys().for_each(|path| self.bus.withdraw(path.trim_end_matches('.')));
    }

    pub fn be(&self, mood: Mood) {
        self.world.mood.set(mood);
    }

    pub fn send_fragments_of(&self, members: usize) {
        self.world.fragment.set(members);
    }

    /// Another version of the plugin, from its next start on.
    pub fn replace_model(&self, model: &str) {
        *self.world.model.borrow_mut() = parse(model);
    }

    /// Methods and `rel_path`s since the last time.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.world.calls.borrow_mut())
    }

    pub fn value(&self, path: &str, name: &str) -> Option<Value> {
        let objects = self.world.objects.borrow();
        objects.get(path)?.iter().find(|(known, _)| **known == *name).map(|(_, value)| value.clone())
    }

    pub fn paths(&self) -> Vec<String> {
        self.world.objects.borrow().keys().cloned().collect()
    }

    /// Changes a value as the router would.
    pub fn change(&self, path: &str, name: &str, value: &str) {
        let before = self.value(path, name).unwrap();
        self.put(path, name, value);
        let change = Table::default().with("from", before).with("to", self.value(path, name).unwrap());
        self.tell("dm:object-changed", path, Table::default().with("parameters", Table::default().with(name, change)));
    }

    /// A row comes without anybody adding it.
    pub fn add(&self, path: &str) {
        self.insert(path);
        self.provide(path);
        self.told_of_row("dm:instance-added", path);
    }

    pub fn remove(&self, path: &str) {
        let gone: Vec<String> =
            self.world.objects.borrow().keys().filter(|known| known.starts_with(path)).cloned().collect();
        self.told_of_row("dm:instance-removed", path);
        for path in gone {
            self.world.objects.borrow_mut().remove(&path);
            self.bus.withdraw(path.trim_end_matches('.'));
        }
    }

    /// Sends a signal of an object to whoever subscribed to one above it.
    pub fn tell(&self, signal: &str, path: &str, data: Table) {
        let data = Table(
            vec![("path".into(), path.into()), ("object".into(), path.into())].into_iter().chain(data.0).collect(),
        );
        for object in self.paths() {
            // As amxb_ubus does it: the path begins with the object's, and a dot follows.
            if path.starts_with(&object) {
                self.bus.notify(object.trim_end_matches('.'), signal, data.clone());
            }
        }
    }

    fn told_of_row(&self, signal: &str, path: &str) {
        let index: i32 = path.trim_end_matches('.').rsplit('.').next().unwrap().parse().unwrap();
        let params = Table(self.world.objects.borrow().get(path).cloned().unwrap_or_default());
        let data = Table::default().with("index", index).with("name", &*index.to_string()).with("parameters", params);
        self.tell(signal, table_of(path), data);
    }

    /// An object with what belongs to it, without values.
    fn insert(&self, path: &str) {
        let model = self.world.model.borrow();
        let own = template(path);
        for object in model.iter().filter(|object| {
            object.path == own
                || (object.path.starts_with(&own) && own != "WiFi." && !object.path[own.len()..].contains("{i}"))
        }) {
            let path = format!("{path}{}", &object.path[own.len()..]);
            let values = object.params.iter().map(|param| (param.name.as_str().into(), param.nothing())).collect();
            self.world.objects.borrow_mut().entry(path).or_insert(values);
        }
        if let Some(index) = path.trim_end_matches('.').rsplit('.').next().and_then(|step| step.parse::<u32>().ok()) {
            let mut last = self.world.last_index.borrow_mut();
            let last = last.entry(table_of(path).into()).or_default();
            *last = index.max(*last);
        }
    }

    fn put(&self, path: &str, name: &str, value: &str) {
        let own = template(path);
        let model = self.world.model.borrow();
        let param =
            model.iter().find(|object| object.path == own).unwrap().params.iter().find(|p| p.name == name).unwrap();
        self.store(path, name, param.converted(&value.into()).unwrap());
    }

    fn store(&self, path: &str, name: &str, value: Value) {
        let mut objects = self.world.objects.borrow_mut();
        let values = objects.get_mut(path).unwrap();
        values.iter_mut().find(|(known, _)| **known == *name).unwrap().1 = value;
    }

    fn provide(&self, path: &str) {
        let signature = METHODS.iter().fold(Signature::default(), |all, (name, args)| all.method(name, args));
        let (plugin, base) = (self.clone(), path.to_owned());
        self.bus.provide(path.trim_end_matches('.'), &signature, move |method: &str, args: &Table| {
            plugin.called(&base, method, args)
        });
    }

    fn called(&self, base: &str, method: &str, args: &Table) -> Outcome {
        let rel = args.get("rel_path").and_then(Value::as_str).unwrap_or_default();
        let path = format!("{base}{rel}");
        self.world.calls.borrow_mut().push(format!("{method} {path}"));
        if self.world.mood.get() == Mood::Silent {
            return Outcome::Never;
        }
        let depth = args.get("depth").and_then(Value::as_i64).unwrap_or(0);
        let whole = depth < 0 || (method == "_get_supported" && args.get("first_level_only") != Some(&Value::Int8(1)));
        if self.world.mood.get() == Mood::TooLarge && whole && rel.is_empty() {
            let code = Table::default().with("amxd-error-code", 0);
            return Outcome::DataAndStatus(vec![Table::default(), code], 0);
        }
        let done = match method {
            "_get" => self.get(&path, depth),
            "_get_supported" => Ok((self.supported(&path, args.get("first_level_only")), Table::default())),
            "_describe" => self.describe(&path),
            "_set" => self.set(&path, args),
            "_add" => self.add_row(&path, args),
            "_del" => self.delete(&path),
            _ => match self.execute(&path, args) {
                Some(done) => done,
                None => return Outcome::Never,
            },
        };
        self.answer(done)
    }

    /// Three DATA and a status of ubus, the first in fragments where it is large.
    fn answer(&self, done: Done) -> Outcome {
        let (value, out, code) = match done {
            Ok((value, out)) => (value, out, 0),
            Err((code, value)) => (value, Table::default(), code),
        };
        let mood = self.world.mood.get();
        let mut parts = Vec::new();
        if value.0.len() > self.world.fragment.get() || mood == Mood::WrongSize {
            let size = value.0.len() + usize::from(mood == Mood::WrongSize);
            parts.push(Table::default().with("amxb_result_size", i32::try_from(size).unwrap()));
            parts.extend(value.0.chunks(self.world.fragment.get()).map(|members| Table(members.to_vec())));
        } else {
            parts.push(value);
        }
        if mood == Mood::NeverEnding {
            let large = Table::default().with("x", &*"x".repeat(900_000));
            return Outcome::DataAndStatus(std::iter::repeat_n(large, 20).collect(), 0);
        }
        parts.push(out);
        if mood != Mood::NoThird {
            parts.push(Table::default().with("amxd-error-code", i32::try_from(code).unwrap()));
        }
        let status = match code {
            0 => 0,
            NOT_FOUND | NO_PARAMETER | INVALID_PATH => 4,
            NO_FUNCTION => 3,
            INVALID_VALUE | INVALID_ARGUMENT => 2,
            INVALID_ACTION | READ_ONLY => 8,
            _ => 9,
        };
        Outcome::DataAndStatus(parts, status)
    }

    fn is_supported(&self, template: &str) -> bool {
        self.world.model.borrow().iter().any(|object| object.path == template)
    }

    fn get(&self, path: &str, depth: i64) -> Done {
        let objects = self.world.objects.borrow();
        let is_table = self.is_supported(&format!("{}{{i}}.", template(path)));
        let mut found = Table::default();
        for (known, values) in objects.iter() {
            let direct = is_table && fits(&format!("{path}*."), known);
            let below = depth < 0 && known.starts_with(path);
            if fits(path, known) || direct || below {
                found = found.with(known, Table(values.clone()));
            }
        }
        match (found.0.is_empty(), path.contains('*'), self.is_supported(&template(path))) {
            (false, ..) => Ok((found, Table::default())),
            (true, true, true) => Ok((found, Table::default())),
            _ if is_table => Ok((found, Table::default())),
            (_, false, _) => Err((NOT_FOUND, Table::default())),
            _ => Err((INVALID_PATH, Table::default())),
        }
    }

    /// With `first_level_only` the object in full, and of those in it that they are there.
    fn supported(&self, path: &str, first_level_only: Option<&Value>) -> Table {
        let first = first_level_only == Some(&Value::Int8(1));
        let (own, own_row) = (path.to_owned(), format!("{path}{{i}}."));
        let strings = |list: &[String]| Value::Array(list.iter().map(|text| Value::from(text.as_str())).collect());
        let mut all = Table::default();
        // A hash table has no order.
        for object in self.world.model.borrow().iter().rev() {
            let Some(below) = object.path.strip_prefix(path) else { continue };
            let itself = object.path == own || object.path == own_row;
            if first && !itself && below.replace(".{i}.", ".").trim_end_matches('.').contains('.') {
                continue;
            }
            if first && !itself {
                all = all.with(&object.path, Table::default().with("is_multi_instance", below.ends_with("{i}.")));
                continue;
            }
            let params = object.params.iter().map(|param| {
                let about = Table::default().with("param_name", &*param.name).with("access", i32::from(param.writable));
                let change = if param.has("volatile") { 2 } else { 1 };
                Value::from(about.with("type", param.type_id()).with("value_change", change))
            });
            let commands = object.commands.iter().map(|(name, asynchronous, input, output)| {
                let about = Table::default().with("command_type", if *asynchronous { 2 } else { 1 });
                let about = about.with("command_name", &**name).with("output_arg_names", strings(output));
                Value::from(about.with("input_arg_names", strings(input)))
            });
            let signals = object
                .events
                .iter()
                .fold(Table::default().with("dm:object-changed", Value::Array(vec![])), |all, (name, args)| {
                    all.with(name, strings(args))
                });
            let is_table = object.path.ends_with("{i}.");
            let mut about = Table::default().with("is_multi_instance", is_table);
            if is_table {
                about = about.with("access", i32::from(object.creatable));
            }
            let about = about.with("supported_params", Value::Array(params.collect()));
            let about = about.with("supported_commands", Value::Array(commands.collect()));
            all = all.with(&object.path, about.with("supported_events", signals));
        }
        all
    }

    fn describe(&self, path: &str) -> Done {
        // Of a template the path has no `{i}`.
        let model = self.world.model.borrow();
        let object = model.iter().find(|object| object.path.replace("{i}.", "") == path);
        let object = object.ok_or((NOT_FOUND, Table::default()))?;
        let params = object.params.iter().fold(Table::default(), |all, param| {
            let attributes = ["key", "unique", "volatile"]
                .iter()
                .fold(Table::default(), |all, flag| all.with(flag, param.has(flag)));
            all.with(&param.name, Table::default().with("name", &*param.name).with("attributes", attributes))
        });
        Ok((Table::default().with("path", path).with("parameters", params), Table::default()))
    }

    /// Why a parameter cannot have this value, else the value.
    fn checked(&self, path: &str, name: &str, value: &Value, creating: bool) -> Result<Value, u32> {
        let model = self.world.model.borrow();
        let own = template(path);
        let object = model.iter().find(|object| object.path == own).ok_or(NOT_FOUND)?;
        let param = object.params.iter().find(|param| param.name == name).ok_or(NO_PARAMETER)?;
        if !param.writable && !creating {
            return Err(READ_ONLY);
        }
        let value = param.converted(value)?;
        let table = own.ends_with("{i}.").then(|| table_of(path).to_owned());
        let same = |table: &String| {
            let objects = self.world.objects.borrow();
            let mut others = objects.iter().filter(|(known, _)| *known != path && fits(&format!("{table}*."), known));
            others.any(|(_, values)| values.iter().any(|(known, other)| **known == *name && *other == value))
        };
        if param.has("unique") && table.as_ref().is_some_and(same) {
            return Err(DUPLICATE);
        }
        Ok(value)
    }

    fn set(&self, path: &str, args: &Table) -> Done {
        if !self.world.objects.borrow().contains_key(path) {
            return Err((NOT_FOUND, Table::default()));
        }
        let given = |name: &str| args.get(name).and_then(Value::as_table).cloned().unwrap_or_default();
        let (required, optional) = (given("parameters"), given("oparameters"));
        let (mut told, mut accepted, mut status) = (Table::default(), Vec::new(), 0);
        for (members, must) in [(required, true), (optional, false)] {
            for (name, value) in members.0 {
                match self.checked(path, &name, &value, false) {
                    Ok(value) => {
                        told = told.with(&name, value.clone());
                        accepted.push((name, value));
                    }
                    Err(code) => {
                        let error = Table::default().with("error_code", i32::try_from(code).unwrap());
                        told = told.with(&name, error.with("required", must));
                        status = if must { code } else { status };
                    }
                }
            }
            if status != 0 {
                told.0.retain(|(_, value)| value.as_table().is_some());
                return Err((status, Table::default().with(path, told)));
            }
        }
        for (name, value) in accepted {
            let before = self.value(path, &name).unwrap();
            if before != value {
                self.store(path, &name, value.clone());
                let change = Table::default().with(&name, Table::default().with("from", before).with("to", value));
                self.tell("dm:object-changed", path, Table::default().with("parameters", change));
            }
        }
        Ok((Table::default().with(path, told), Table::default()))
    }

    fn add_row(&self, table: &str, args: &Table) -> Done {
        let own = format!("{}{{i}}.", template(table));
        if !self.world.model.borrow().iter().any(|object| object.path == own && object.creatable) {
            return Err((INVALID_ACTION, Table::default()));
        }
        let index = self.world.last_index.borrow().get(table).copied().unwrap_or(0) + 1;
        let path = format!("{table}{index}.");
        let mut values = Vec::new();
        for (name, value) in &args.get("parameters").and_then(Value::as_table).cloned().unwrap_or_default().0 {
            let checked = self.checked(&path, name, value, true);
            values.push((name.clone(), checked.map_err(|code| (code, Table::default()))?));
        }
        if !values.iter().any(|(name, _)| &**name == "Alias") {
            values.push(("Alias".into(), format!("cpe-{index}").as_str().into()));
        }
        self.insert(&path);
        for (name, value) in values {
            self.store(&path, &name, value);
        }
        self.provide(&path);
        self.told_of_row("dm:instance-added", &path);
        let keys = Table::default().with("Alias", self.value(&path, "Alias").unwrap());
        let made = Table::default().with("index", i32::try_from(index).unwrap()).with("name", &*index.to_string());
        Ok((made.with("object", &*path).with("path", &*path).with("parameters", keys), Table::default()))
    }

    fn delete(&self, path: &str) -> Done {
        if !self.world.objects.borrow().contains_key(path) {
            return Err((NOT_FOUND, Table::default()));
        }
        if self.value(path, "Alias") == Some("locked".into()) {
            return Err((INVALID_ACTION, Table::default()));
        }
        self.remove(path);
        Ok((Table::default().with("retval", Value::Array(vec![path.into()])), Table::default()))
    }

    /// None: no answer.
    fn execute(&self, path: &str, args: &Table) -> Option<Done> {
        let input = args.get("args").and_then(Value::as_table).cloned().unwrap_or_default();
        let out = |args: Table| Some(Ok((Table::default(), Table::default().with("args", args))));
        match (path, args.get("method").and_then(Value::as_str).unwrap_or_default()) {
            ("WiFi.", "X_PRPL_Echo") => out(input),
            ("WiFi.", "X_PRPL_Hang") => None,
            ("WiFi.", "X_PRPL_Refuse") => Some(Err((INVALID_ARGUMENT, Table::default()))),
            ("WiFi.", "NeighboringWiFiDiagnostic") => {
                let one = |name: &str| Value::from(Table::default().with("SSID", name).with("Channel", 6));
                out(Table::default().with("Status", "Complete").with("Result", Value::Array(vec![one("a"), one("b")])))
            }
            _ => Some(Err((NO_FUNCTION, Table::default()))),
        }
    }
}
