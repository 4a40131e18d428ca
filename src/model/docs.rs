//! The router's answers of one message: what was asked, what came back, what is still missing.
//!
//! An evaluation reads from here and never waits. A look-up without an answer yet notes the question and counts as
//! "no value"; `Docs::fetch` then asks everything noted at once, and the evaluation runs again. An answer that
//! failed is remembered as none, so a provider that never answers is asked once and costs its own values only.

use super::mount::{self, Extent, Objects, Place};
use crate::backend::uci::{Edit, OptValue, Package};
use crate::backend::{Backend, CallError, Table, Value};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// A question to the router. Its index in [`Docs`] identifies it within one message.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// A ubus call.
    Call {
        /// The object.
        object: Box<str>,
        /// The method.
        method: Box<str>,
        /// The arguments.
        args: Table,
    },
    /// A UCI package.
    Package(Box<str>),
    /// A file's text.
    File(Box<str>),
    /// The names in a folder.
    List(Box<str>),
    /// The target of a link.
    Link(Box<str>),
    /// What a plugin answers of a mounted object.
    Mounted(Place),
    /// A table of the agent's own facts; always answered.
    Facts(Box<str>),
    /// The clock; always answered, and never the same.
    Clock,
}

/// An answer; None inside means that there is none to be had.
#[derive(Debug, Clone)]
enum Answer {
    Table(Option<Value>),
    Package {
        /// As the file has it: what edits are made against.
        read: Option<Rc<Package>>,
        /// As the model shows it, with what is staged.
        shown: Option<Rc<Package>>,
    },
    Text(Option<Rc<str>>),
    Names(Option<Rc<[String]>>),
    Objects(Objects),
    Known,
    /// The router did not answer: not the same as having no value.
    Failed,
}

/// What the model shows of a package instead of the file itself: short forms written out.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// The package.
    pub package: &'static str,
    /// Writes out every short form.
    pub expand: fn(&Package) -> Package,
    /// Writes out only what stands behind one section of the expanded package.
    pub expand_section: fn(&Package, &str) -> Package,
    /// What is wrong with a value for an option of a section of this type; None where nothing is.
    pub refused: fn(&str, &str, &str) -> Option<String>,
}

/// A view with what it last made of its package, which the backend keeps until the file changes.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) view: View,
    last: RefCell<Option<(Rc<Package>, Rc<Package>)>>,
}

impl Shown {
    pub(super) fn new(view: View) -> Self {
        Self { view, last: RefCell::default() }
    }

    /// What the package would not understand of an edit.
    pub(super) fn refused(&self, package: &Package, edit: &Edit) -> Option<String> {
        // An empty one goes, and what counts then is the default.
        let Edit::Set { section, option, value: Some(OptValue::One(value)) } = edit else { return None };
        let kind = &package.section(section).filter(|_| !value.is_empty())?.kind;
        (self.view.refused)(kind, option, value)
    }

    fn of(&self, read: &Rc<Package>) -> Rc<Package> {
        let mut last = self.last.borrow_mut();
        match &*last {
            Some((from, shown)) if Rc::ptr_eq(from, read) => shown.clone(),
            _ => {
                let shown = Rc::new((self.view.expand)(read));
                *last = Some((read.clone(), shown.clone()));
                shown
            }
        }
    }
}

/// At most so many different questions in one message; those beyond count as not answered.
pub const MAX_QUESTIONS: usize = 4096;

/// The answers of one message.
#[derive(Debug, Default)]
pub struct Docs {
    questions: RefCell<Vec<Question>>,
    answers: Vec<Answer>,
    index: RefCell<HashMap<Box<str>, Vec<u16>>>,
    /// Mounted objects of which all is asked, with all below them.
    whole: RefCell<Vec<(Box<str>, u16)>>,
    touched: RefCell<Touched>,
    failed: Cell<bool>,
    doubt: Cell<bool>,
    missed: Cell<bool>,
    closed: bool,
}

/// Questions in the order of their first use, and by number whether they are among them.
#[derive(Debug, Default)]
pub(super) struct Touched {
    order: Vec<u16>,
    marks: Vec<bool>,
}

impl Docs {
    /// The answer to a ubus call: a table.
    pub fn call(&self, object: &str, method: &str, args: &Table) -> Option<&Value> {
        let same = |q: &Question| matches!(q, Question::Call { object: o, method: m, args: a } if &**o == object && &**m == method && a == args);
        let make = || Question::Call { object: object.into(), method: method.into(), args: args.clone() };
        match self.answer(self.ask(object, same, make))? {
            Answer::Table(table) => table.as_ref(),
            _ => None,
        }
    }

    /// A UCI package, as staged so far.
    pub fn package(&self, name: &str) -> Option<&Rc<Package>> {
        let same = |q: &Question| matches!(q, Question::Package(n) if &**n == name);
        match self.answer(self.ask(name, same, || Question::Package(name.into())))? {
            Answer::Package { shown, .. } => shown.as_ref(),
            _ => None,
        }
    }

    /// A file's text.
    pub fn file(&self, path: &str) -> Option<&str> {
        let same = |q: &Question| matches!(q, Question::File(p) if &**p == path);
        self.text(self.ask(path, same, || Question::File(path.into())))
    }

    /// Where a link points.
    pub fn link(&self, path: &str) -> Option<&str> {
        let same = |q: &Question| matches!(q, Question::Link(p) if &**p == path);
        self.text(self.ask(path, same, || Question::Link(path.into())))
    }

    /// The names in a folder.
    pub fn list(&self, path: &str) -> Option<&[String]> {
        let same = |q: &Question| matches!(q, Question::List(p) if &**p == path);
        match self.answer(self.ask(path, same, || Question::List(path.into())))? {
            Answer::Names(names) => names.as_deref(),
            _ => None,
        }
    }

    /// What a plugin says of mounted objects.
    pub(super) fn mounted(&self, path: &str, extent: Extent) -> Option<&Objects> {
        let at = self.part_of_whole(path).or_else(|| self.ask_plugin(path, extent));
        match self.answer(at)? {
            Answer::Objects(objects) => Some(objects),
            _ => None,
        }
    }

    /// Asks for all of a mounted object at once: what is asked of it from here on is read from that. Where that is too
    /// much for one message of the bus, it is asked part by part.
    pub fn mounted_whole(&self, path: &str) {
        if !self.whole.borrow().iter().any(|(whole, _)| path.starts_with(&**whole)) {
            let at = self.ask_plugin(path, Extent::Whole).and_then(|at| u16::try_from(at).ok());
            self.whole.borrow_mut().extend(at.map(|at| (path.into(), at)));
        }
    }

    fn part_of_whole(&self, path: &str) -> Option<usize> {
        let at = self.whole.borrow().iter().find(|(whole, _)| path.starts_with(&**whole)).map(|(_, at)| *at)?;
        self.touch(at);
        let at = usize::from(at);
        (!matches!(self.answers.get(at), Some(Answer::Failed))).then_some(at)
    }

    fn ask_plugin(&self, path: &str, extent: Extent) -> Option<usize> {
        let same = |q: &Question| matches!(q, Question::Mounted(p) if &*p.path == path && p.extent == extent);
        self.ask(path, same, || Question::Mounted(Place { path: path.into(), extent }))
    }

    /// A plugin was told to change something: what it said before counts no more.
    pub fn forget_mounted(&mut self) {
        let questions = self.questions.borrow();
        let other = |at: &u16| !matches!(questions.get(usize::from(*at)), Some(Question::Mounted(_)));
        self.index.borrow_mut().values_mut().for_each(|found| found.retain(other));
        self.whole.borrow_mut().clear();
    }

    /// Notes that a table of facts was used.
    pub fn note_facts(&self, table: &str) {
        let same = |q: &Question| matches!(q, Question::Facts(t) if &**t == table);
        self.ask(table, same, || Question::Facts(table.into()));
    }

    /// Notes that the clock was used.
    pub fn note_clock(&self) {
        self.ask("", |q| *q == Question::Clock, || Question::Clock);
    }

    /// Replaces a package by a staged one.
    pub fn stage(&mut self, name: &str, package: Rc<Package>) {
        let at = self.place_of_package(name);
        if let Some(Answer::Package { shown, .. }) = at.and_then(|at| self.answers.get_mut(at)) {
            *shown = Some(package);
        }
    }

    /// The package as it stands, without noting its use.
    pub fn staged(&self, name: &str) -> Option<&Rc<Package>> {
        match self.answers.get(self.place_of_package(name)?)? {
            Answer::Package { shown, .. } => shown.as_ref(),
            _ => None,
        }
    }

    /// The package as its file had it when this message read it.
    pub fn read(&self, name: &str) -> Option<&Rc<Package>> {
        match self.answers.get(self.place_of_package(name)?)? {
            Answer::Package { read, .. } => read.as_ref(),
            _ => None,
        }
    }

    fn place_of_package(&self, name: &str) -> Option<usize> {
        let (questions, index) = (self.questions.borrow(), self.index.borrow());
        let is_package = |at: &&u16| matches!(questions.get(usize::from(**at)), Some(Question::Package(_)));
        index.get(name)?.iter().find(is_package).map(|&at| usize::from(at))
    }

    /// True while a question may still get an answer.
    pub fn incomplete(&self) -> bool {
        !self.closed && self.questions.borrow().len() > self.answers.len()
    }

    /// The questions used since the last `Docs::forget_use`, each once.
    pub fn used(&self) -> Vec<u16> {
        self.touched.borrow().order.clone()
    }

    /// Begins a new account of what is used, returning the old one.
    pub(super) fn forget_use(&self) -> Touched {
        self.touched.take()
    }

    /// Goes on with the account before; what was used meanwhile is added to it, and returned.
    pub(super) fn use_also(&self, before: Touched) -> Vec<u16> {
        let Touched { order, .. } = self.touched.replace(before);
        self.use_again(&order);
        order
    }

    /// Counts these questions as used.
    pub fn use_again(&self, questions: &[u16]) {
        questions.iter().for_each(|&q| self.touch(q));
    }

    /// This question has its answer.
    pub(super) fn answered(&self, question: u16) -> bool {
        usize::from(question) < self.answers.len()
    }

    /// Whether a question without an answer was used since this was false; `missed` is what it is from now on.
    pub(super) fn replace_missed(&self, missed: bool) -> bool {
        self.missed.replace(missed)
    }

    /// Something is not known yet.
    pub(super) fn miss(&self, missed: bool) {
        self.missed.set(self.missed.get() || missed);
    }

    /// A question by its number.
    pub fn question(&self, number: u16) -> Option<Question> {
        self.questions.borrow().get(usize::from(number)).cloned()
    }

    /// From here on [`Docs::failed`] tells of new failures only.
    pub fn forget_failure(&self) {
        self.failed.set(false);
    }

    /// A source that was used has not answered.
    pub fn failed(&self) -> bool {
        self.failed.get()
    }

    /// Counts a source as failed, as it was when its rows were made.
    pub fn fail(&self, failed: bool) {
        if failed {
            self.failed.set(true);
            self.doubt.set(true);
        }
    }

    /// From here on [`Docs::doubt`] tells of new failures only.
    pub fn forget_doubt(&self) {
        self.doubt.set(false);
    }

    /// A source that was used has not answered, however often [`Docs::forget_failure`] was called since.
    pub fn doubt(&self) -> bool {
        self.doubt.get()
    }

    /// No more answers come: what has none has failed.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Asks everything noted, all at once.
    pub(super) async fn fetch<B: Backend>(&mut self, backend: &B, views: &[Shown]) {
        let missing: Vec<Question> = self.questions.borrow().get(self.answers.len()..).unwrap_or(&[]).to_vec();
        let answers = match <[Question; 1]>::try_from(missing) {
            Ok([one]) => vec![answer(backend, views, &one).await],
            Err(many) => together(many.iter().map(|q| answer(backend, views, q)).collect()).await,
        };
        self.answers.extend(answers);
    }

    fn text(&self, at: Option<usize>) -> Option<&str> {
        match self.answer(at)? {
            Answer::Text(text) => text.as_deref(),
            _ => None,
        }
    }

    /// The answer at a place; one that failed, and a question too many, count as failures.
    fn answer(&self, at: Option<usize>) -> Option<&Answer> {
        match at.map(|at| self.answers.get(at)) {
            Some(Some(Answer::Failed)) | None => self.fail(true),
            Some(Some(answer)) => return Some(answer),
            Some(None) if self.closed => self.fail(true),
            Some(None) => {}
        }
        None
    }

    /// The place of a question, noting it where it is new; None where there are too many.
    fn ask(&self, subject: &str, same: impl Fn(&Question) -> bool, make: impl FnOnce() -> Question) -> Option<usize> {
        let mut questions = self.questions.borrow_mut();
        let mut index = self.index.borrow_mut();
        if let Some(found) = index.get(subject) {
            let known = found.iter().find(|&&at| questions.get(usize::from(at)).is_some_and(&same));
            if let Some(&at) = known {
                self.touch(at);
                return Some(usize::from(at));
            }
        }
        if questions.len() >= MAX_QUESTIONS {
            return None;
        }
        let at = u16::try_from(questions.len()).ok()?;
        questions.push(make());
        index.entry(subject.into()).or_default().push(at);
        self.touch(at);
        Some(usize::from(at))
    }

    fn touch(&self, question: u16) {
        self.miss(!self.answered(question));
        let Touched { order, marks } = &mut *self.touched.borrow_mut();
        let at = usize::from(question);
        if marks.len() <= at {
            marks.resize(at + 1, false);
        }
        if let Some(mark) = marks.get_mut(at).filter(|mark| !**mark) {
            *mark = true;
            order.push(question);
        }
    }
}

/// ubus: the provider did not answer ubusd in time, or could not be reached.
const NO_ANSWER: [u32; 2] = [7, 10];

async fn answer<B: Backend>(backend: &B, views: &[Shown], question: &Question) -> Answer {
    match question {
        Question::Call { object, method, args } => match backend.call(object, method, args).await {
            Ok(table) => Answer::Table(Some(Value::Table(table))),
            // No such object, no such thing: the router has no value, which is an answer.
            Err(CallError::NotFound) => Answer::Table(None),
            Err(CallError::Status(status)) if !NO_ANSWER.contains(&status) => Answer::Table(None),
            Err(why) => {
                log::warn!("event=call_failed object={object} method={method} why=\"{why}\"");
                Answer::Failed
            }
        },
        Question::Mounted(place) => match mount::ask(backend, place).await {
            Ok(objects) => Answer::Objects(objects),
            Err(why) => {
                log::warn!("event=call_failed object={} method=_get path={} why=\"{why}\"", place.object(), place.path);
                Answer::Failed
            }
        },
        Question::Package(name) => package(backend, views, name).await,
        Question::File(path) => Answer::Text(backend.read(path).await.ok()),
        Question::List(path) => Answer::Names(backend.list(path).await.ok()),
        Question::Link(path) => Answer::Text(backend.link(path).await.ok()),
        Question::Facts(_) | Question::Clock => Answer::Known,
    }
}

/// The package as read and as the model shows it; a file that is not UCI is reported and counts as not answered.
async fn package<B: Backend>(backend: &B, views: &[Shown], name: &str) -> Answer {
    let read = match backend.package(name).await {
        Ok(read) => read,
        Err(crate::backend::uci::Error::NotFound) => return Answer::Package { read: None, shown: None },
        Err(why) => {
            log::warn!("event=package_unreadable package={name} why=\"{why}\"");
            return Answer::Failed;
        }
    };
    let shown = match views.iter().find(|s| s.view.package == name) {
        Some(view) => view.of(&read),
        None => read.clone(),
    };
    Answer::Package { read: Some(read), shown: Some(shown) }
}

/// A future, and its result once it has one.
type Running<F> = (Pin<Box<F>>, Option<<F as Future>::Output>);

/// Runs all futures together and returns their results in order.
pub(super) async fn together<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut running: Vec<Running<F>> = futures.into_iter().map(|f| (Box::pin(f), None)).collect();
    std::future::poll_fn(move |context: &mut Context<'_>| {
        let mut pending = false;
        for (future, output) in &mut running {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(value) => *output = Some(value),
                    Poll::Pending => pending = true,
                }
            }
        }
        match pending {
            true => Poll::Pending,
            false => Poll::Ready(running.drain(..).filter_map(|(_, output)| output).collect()),
        }
    })
    .await
}
