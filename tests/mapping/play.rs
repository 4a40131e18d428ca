//! Plays a case on a recorded router.

use crate::case::{Case, Step};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use usp_agent::backend::fixture::Fixture;
use usp_agent::backend::uci::{Edit, OptValue, PackageEdits};
use usp_agent::backend::{Backend, CallError};
use usp_agent::model::source::CommandSource;
use usp_agent::model::{Everything, Instances, Model, Permit, Rights, View};
use usp_agent::usp::fault::{Code, Fault};

/// When the recorded routers were recorded.
const NOW: i64 = 1_795_384_705;

/// May do everything, passwords included.
struct Owner;

impl Permit for Owner {
    fn object(&self, path: &str) -> Rights {
        Everything.object(path)
    }

    fn secured(&self) -> bool {
        true
    }
}

/// The fixture answers at once: one look finishes a future.
fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the fixture let somebody wait"),
    }
}

pub(crate) struct Player {
    fixture: Fixture,
    model: Model<Fixture>,
}

impl Player {
    pub(crate) fn new(fixture: &str) -> Self {
        let folder = format!("tests/fixtures/{fixture}");
        assert!(std::path::Path::new(&folder).is_dir(), "no folder {folder}");
        let fixture = Fixture::open(folder);
        let expand = usp_agent::config::expand;
        let view = View {
            package: "usp-agent",
            expand,
            expand_section: usp_agent::config::expand_section,
            refused: usp_agent::config::refused,
        };
        let model = Model::new(crate::schema(), fixture.clone(), Instances::default(), vec![view]);
        model.set_clock(NOW);
        Self { fixture, model }
    }

    /// Plays a case, leaves in it what came out, and tells what differs.
    pub(crate) fn play(case: &mut Case) -> Vec<String> {
        let mut player = Self::new("ax-home");
        let mut differences = Vec::new();
        for step in &mut case.steps {
            let outcome = player.step(step);
            if outcome != step.expected {
                let told = |lines: &[String]| lines.iter().map(|l| format!("\n      {l}")).collect::<String>();
                let missing = player.fixture.missing().join("\n      ");
                let (was, is) = difference(&step.expected, &outcome);
                differences.push(format!(
                    "  line {}: {}\n    expected:{}\n    but it is:{}\n    {missing}",
                    step.line,
                    step.lines[0],
                    told(&was),
                    told(&is),
                ));
            }
            step.expected = outcome;
        }
        differences
    }

    pub(crate) fn journal_of_get(&mut self, path: &str) -> Vec<String> {
        self.fixture.clear_journal();
        let reading = at_once(self.model.get(&Owner, &[path], 0));
        assert!(reading.results[0].is_ok(), "{:?}", reading.results[0]);
        self.fixture.journal()
    }

    /// Every object there is, with the path the schema knows it by.
    pub(crate) fn objects(&self) -> Vec<(String, String)> {
        let reading = at_once(self.model.get(&Owner, &["Device."], 0));
        let objects = reading.results.into_iter().next().unwrap().unwrap();
        objects.into_iter().map(|object| (object.path.clone(), template(&object.path))).collect()
    }

    /// The outcome of a Set of one parameter: see [`Self::writing`].
    pub(crate) fn try_to_set(&mut self, path: &str, value: &str) -> Vec<String> {
        self.writing(|player| player.set(&[(path, value)]))
    }

    fn step(&mut self, step: &Step) -> Vec<String> {
        let (verb, rest) = step.lines[0].split_once(' ').unwrap_or((&step.lines[0], ""));
        let pairs = || {
            let more = step.lines[1..].iter().map(|l| l.split_once(' ').unwrap().1);
            more.map(|l| l.split_once(" = ").unwrap_or((l.trim_end_matches(" ="), "")))
        };
        match verb {
            "fixture" => *self = Self::new(rest),
            "uci" => self.set_option(rest),
            "file" => match rest.split_once(" = ") {
                Some((path, text)) => self.fixture.set_file(path, &text.replace("\\n", "\n")),
                None => self.fixture.remove_file(rest),
            },
            "answer" => self.set_answer(rest),
            "fact" => {
                let mut words = rest.splitn(4, ' ');
                let [table, key, name] = std::array::from_fn(|_| words.next().unwrap());
                self.model.facts().set(table, key.trim_matches('-'), name, words.next().unwrap_or_default());
            }
            "get" => return told(self.get(&Owner, rest)),
            "peek" => return told(self.get(&Everything, rest)),
            "calls" => {
                let journal = self.journal_of_get(rest);
                return journal.into_iter().filter(|l| l.starts_with("call ")).map(|l| l[5..].to_string()).collect();
            }
            "set" => {
                let first = rest.split_once(" = ").unwrap_or((rest.trim_end_matches(" ="), ""));
                let all: Vec<_> = std::iter::once(first).chain(pairs()).collect();
                return self.writing(|player| player.set(&all));
            }
            "add" => return self.writing(|player| player.add(rest, &pairs().collect::<Vec<_>>())),
            "delete" => return self.writing(|player| player.delete(rest)),
            "command" => return told(self.command(rest)),
            other => panic!("line {}: no such step: {other}", step.line),
        }
        Vec::new()
    }

    fn set_option(&self, text: &str) {
        let (name, value) = text.split_once(" = ").map_or((text, None), |(n, v)| (n, Some(OptValue::One(v.into()))));
        let [package, section, option] = name.split('.').collect::<Vec<_>>()[..] else { panic!("{name}") };
        let base = at_once(self.fixture.package(package)).unwrap();
        let section = match section.strip_prefix('@').and_then(|s| s.strip_suffix("[0]")) {
            Some(kind) => base.of_kind(kind).next().unwrap().name.clone(),
            None => section.into(),
        };
        let edit = Edit::Set { section, option: option.into(), value };
        at_once(self.fixture.commit(&[PackageEdits { base, edits: vec![edit] }], false)).unwrap();
    }

    fn set_answer(&self, text: &str) {
        let [object, method, json] = text.splitn(3, ' ').collect::<Vec<_>>()[..] else {
            let (object, method) = text.split_once(' ').unwrap();
            return self.fixture.set_failure(object, method, CallError::NotFound);
        };
        self.fixture.set_answer(object, method, &serde_json::from_str(json).unwrap());
    }

    fn get(&self, permit: &dyn Permit, path: &str) -> Result<Vec<String>, Fault> {
        let reading = at_once(self.model.get(permit, &[path], 0));
        let objects = reading.results.into_iter().next().unwrap()?;
        let lines = objects.into_iter().flat_map(|o| {
            let path = o.path;
            o.params.into_iter().map(move |(name, value)| format!("{path}{name} = {value}").trim_end().to_string())
        });
        Ok(lines.collect())
    }

    /// What a change leads to: what it answers, what is committed and told to procd; nothing where it is refused.
    fn writing(&mut self, change: impl FnOnce(&mut Self) -> Result<Vec<String>, Fault>) -> Vec<String> {
        self.fixture.clear_journal();
        let mut lines = told(change(self));
        let journal = self.fixture.journal();
        lines.extend(journal.into_iter().filter(|l| l.starts_with("commit ") || l.starts_with("event ")));
        lines
    }

    fn set(&self, values: &[(&str, &str)]) -> Result<Vec<String>, Fault> {
        let mut transaction = self.model.begin();
        for (path, value) in values {
            let (object, name) = path.rsplit_once('.').unwrap();
            let nodes = at_once(transaction.objects(&Everything, &format!("{object}.")))?;
            if nodes.is_empty() {
                return Err(Fault::new(Code::ObjectDoesNotExist, "nothing there"));
            }
            for node in &nodes {
                at_once(transaction.set(&Everything, node, name, value))?;
            }
        }
        at_once(transaction.commit()).map(|_| Vec::new())
    }

    fn add(&self, table: &str, values: &[(&str, &str)]) -> Result<Vec<String>, Fault> {
        let mut transaction = self.model.begin();
        let tables = at_once(transaction.tables(&Everything, table))?;
        let mut lines = Vec::new();
        for table in &tables {
            let node = at_once(transaction.create(&Everything, table))?;
            for (name, value) in values {
                at_once(transaction.set(&Everything, &node, name, value))?;
            }
            let keys = at_once(transaction.finish(&Everything, &node))?;
            lines.push(format!("-> {}", node.path));
            lines.extend(keys.into_iter().map(|(name, value)| format!("key {name} = {value}")));
        }
        at_once(transaction.commit()).map(|_| lines)
    }

    fn delete(&self, path: &str) -> Result<Vec<String>, Fault> {
        let mut transaction = self.model.begin();
        for node in at_once(transaction.objects(&Everything, path))? {
            at_once(transaction.delete(&Everything, &node))?;
        }
        at_once(transaction.commit()).map(|done| done.deleted)
    }

    fn command(&self, path: &str) -> Result<Vec<String>, Fault> {
        let commands = at_once(self.model.commands(&Everything, path, &[]))?;
        let mut lines = Vec::new();
        for invocation in commands {
            match &invocation.source {
                CommandSource::Agent(name) => lines.push(format!("{} agent {name}", invocation.path)),
                CommandSource::Operation(name) => lines.push(format!("{} operation {name}", invocation.path)),
                CommandSource::Ubus { .. } | CommandSource::Mounted => {
                    self.fixture.clear_journal();
                    at_once(self.model.call(&invocation))?;
                    lines.push(format!("{} {}", invocation.path, self.fixture.journal().last().unwrap()));
                }
            }
        }
        Ok(lines)
    }
}

/// A path with `{i}` for each instance number.
fn template(path: &str) -> String {
    let steps = path.split('.').map(|step| if step.parse::<u32>().is_ok() { "{i}" } else { step });
    steps.collect::<Vec<_>>().join(".")
}

fn told(outcome: Result<Vec<String>, Fault>) -> Vec<String> {
    outcome.unwrap_or_else(|fault| vec![format!("fault {} {}", fault.code as u32, fault.text)])
}

/// What stands only in one of both.
fn difference(expected: &[String], outcome: &[String]) -> (Vec<String>, Vec<String>) {
    let only = |a: &[String], b: &[String]| a.iter().filter(|line| !b.contains(line)).cloned().collect::<Vec<_>>();
    (only(expected, outcome), only(outcome, expected))
}
