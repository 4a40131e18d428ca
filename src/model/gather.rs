//! The values of objects with all below them, over the rounds of one Get.
//!
//! A round evaluates everything again. What was evaluated without missing an answer is the same in every later round:
//! it is kept and not evaluated again.

use super::eval::{Eval, Scope};
use super::mount;
use super::read::{ObjectValues, below};
use super::resolve::{self, Node, readable};
use super::{Permit, Rights};
use std::collections::HashMap;

/// A path has at most so many steps: who asks deeper asks for all.
const MAX_DEPTH: u32 = 32;

/// What earlier rounds found for good, by the object's path.
#[derive(Debug, Default)]
pub(super) struct Found(HashMap<String, Kept>);

/// An object's own parameters, and what they were read from.
#[derive(Debug)]
struct Kept {
    values: ObjectValues,
    used: Vec<u16>,
    failed: bool,
}

/// One path of one round.
struct Round<'a, 'e> {
    eval: &'a Eval<'e>,
    permit: &'a dyn Permit,
    found: &'a mut Found,
    /// In the order of the model.
    all: Vec<Part>,
}

enum Part {
    Sure(Kept),
    Unsure(ObjectValues),
}

impl Found {
    /// The objects and what is below them to `depth`; a table and its instances count as one level.
    pub(super) fn gather(
        &mut self,
        eval: &Eval<'_>,
        permit: &dyn Permit,
        nodes: &[Node],
        depth: u32,
    ) -> Vec<ObjectValues> {
        let mut round = Round { eval, permit, found: self, all: Vec::new() };
        for node in nodes {
            // How the node was found is not known here.
            let sure = eval.docs.used().iter().all(|&question| eval.docs.answered(question));
            round.collect(node, depth, sure);
        }
        let all = round.all;
        if eval.docs.incomplete() {
            self.keep(all);
            return Vec::new();
        }
        let values = all.into_iter().map(|part| match part {
            Part::Sure(Kept { values, .. }) | Part::Unsure(values) => values,
        });
        values.filter(|values| !values.params.is_empty()).collect()
    }

    fn keep(&mut self, all: Vec<Part>) {
        for part in all {
            if let Part::Sure(kept) = part {
                self.0.insert(kept.values.path.clone(), kept);
            }
        }
    }
}

impl Round<'_, '_> {
    fn collect(&mut self, node: &Node, depth: u32, sure: bool) {
        let eval = self.eval;
        if depth > MAX_DEPTH {
            mount::ask_whole(eval, node);
        }
        if node.at_table {
            let (rows, answered) = self.answered(|| eval.rows(node.object, node.row.as_ref(), &node.path));
            for row in rows.iter() {
                self.collect(&resolve::instance(row), depth, sure && answered);
            }
            return;
        }
        self.own(node, sure);
        if depth > 1 {
            for &child in &eval.schema[node.object].children {
                if let Some(child) = below(eval, node, child) {
                    self.collect(&child, depth - 1, sure);
                }
            }
        }
    }

    /// What is evaluated, and whether it missed no answer.
    fn answered<T>(&self, evaluate: impl FnOnce() -> T) -> (T, bool) {
        let before = self.eval.docs.replace_missed(false);
        let outcome = evaluate();
        let missed = self.eval.docs.replace_missed(before);
        self.eval.docs.miss(missed);
        (outcome, !missed)
    }

    /// The object's own parameters.
    fn own(&mut self, node: &Node, sure: bool) {
        let docs = self.eval.docs;
        if let Some(kept) = self.found.0.remove(&node.path) {
            docs.use_again(&kept.used);
            docs.fail(kept.failed);
            return self.all.push(Part::Sure(kept));
        }
        let (before, failed_before) = (docs.forget_use(), docs.failed());
        docs.forget_failure();
        let (values, answered) = self.answered(|| own(self.eval, self.permit, node));
        let (used, failed) = (docs.use_also(before), docs.failed());
        docs.fail(failed_before);
        self.all.extend(values.map(|values| match sure && answered {
            true => Part::Sure(Kept { values, used, failed }),
            false => Part::Unsure(values),
        }));
    }
}

/// The object's own parameters, where it has any it may show.
fn own(eval: &Eval<'_>, permit: &dyn Permit, node: &Node) -> Option<ObjectValues> {
    let scope = Scope { eval, object: node.object, row: node.row.as_ref() };
    let object = scope.schema();
    let by_element = permit.by_element(&node.path);
    if object.params.is_empty() || (!by_element && !permit.object(&node.path).allow(Rights::PARAM_READ)) {
        return None;
    }
    let shown = object.params.iter().filter(|p| !by_element || readable(permit, &node.path, p.name));
    let params = shown.filter_map(|param| resolve::shown(&scope, permit, param).map(|v| (param.name, v))).collect();
    Some(ObjectValues { path: node.path.clone(), params })
}
