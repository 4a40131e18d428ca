//! GetSupportedDM: the supported model itself, which needs no router.

use super::resolve::{parse, rights, template, unsupported};
use super::schema::{Command, Event, Object, ObjectId, Param, UniqueKey};
use super::{Model, Permit, Rights};
use crate::backend::Backend;
use crate::path::{Leaf, Path, Step};
use crate::usp::fault::{Code, Fault};

/// What GetSupportedDM asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Want {
    pub first_level_only: bool,
    pub commands: bool,
    pub events: bool,
    pub params: bool,
    pub unique_keys: bool,
}

/// One supported object with the elements asked for that the caller may see.
#[derive(Debug)]
pub struct SupportedObject<'s> {
    /// The object.
    pub object: &'s Object,
    /// Its readable parameters.
    pub params: Vec<&'s Param>,
    /// Its visible commands.
    pub commands: Vec<&'s Command>,
    /// Its visible events.
    pub events: Vec<&'s Event>,
    /// Its unique keys, where they are asked for; none with a parameter the caller may not see.
    pub keys: Vec<&'s UniqueKey>,
}

impl<B: Backend> Model<B> {
    /// The supported elements behind a path: an object and what is below it, or one parameter, command or event.
    ///
    /// An object may be named without its final dot (TP-469 1.99).
    pub fn supported(&self, permit: &dyn Permit, text: &str, want: Want) -> Result<Vec<SupportedObject<'_>>, Fault> {
        match self.supported_at(permit, text, want) {
            Err(fault) if !text.ends_with(['.', ')', '!']) => {
                self.supported_at(permit, &format!("{text}."), want).map_err(|_| fault)
            }
            found => found,
        }
    }

    fn supported_at(&self, permit: &dyn Permit, text: &str, want: Want) -> Result<Vec<SupportedObject<'_>>, Fault> {
        let path = parse(text)?;
        let object = self.supported_object(&path, text)?;
        // What may not be read does not exist.
        if !visible(permit, &self.schema[object]) {
            return Err(unsupported(text));
        }
        match path.leaf {
            Leaf::Object => Ok(self.tree(permit, object, want)),
            Leaf::Parameter(name) => self.one(permit, object, text, |o| {
                o.params = o.object.params.iter().filter(|p| p.name == name).collect();
            }),
            Leaf::Command(name) => self.one(permit, object, text, |o| {
                o.commands = o.object.commands.iter().filter(|c| c.name.strip_suffix("()") == Some(name)).collect();
            }),
            Leaf::Event(name) => self.one(permit, object, text, |o| {
                o.events = o.object.events.iter().filter(|e| e.name.strip_suffix('!') == Some(name)).collect();
            }),
        }
    }

    fn supported_object(&self, path: &Path<'_>, text: &str) -> Result<ObjectId, Fault> {
        let searches = |step: &Step<'_>| matches!(step, Step::Search(_) | Step::Follow(_));
        if path.steps.iter().any(searches) {
            return Err(Fault::new(Code::InvalidPathSyntax, "a supported path has no search expressions"));
        }
        let template = template(path);
        let found = self.schema.find(&template).or_else(|| match path.leaf {
            // The final {i}. may be left out.
            Leaf::Object => self.schema.find(&format!("{template}{{i}}.")),
            Leaf::Parameter(_) | Leaf::Command(_) | Leaf::Event(_) => None,
        });
        found.ok_or_else(|| unsupported(text))
    }

    fn tree(&self, permit: &dyn Permit, object: ObjectId, want: Want) -> Vec<SupportedObject<'_>> {
        let mut all = vec![self.full(permit, object, want)];
        self.below(permit, object, want, &mut all);
        all
    }

    /// Children: in full, or bare objects where only the first level is wanted.
    fn below<'s>(&'s self, permit: &dyn Permit, object: ObjectId, want: Want, all: &mut Vec<SupportedObject<'s>>) {
        for &child in &self.schema[object].children {
            if !visible(permit, &self.schema[child]) {
                continue;
            }
            if want.first_level_only {
                all.push(bare(&self.schema[child]));
            } else {
                all.push(self.full(permit, child, want));
                self.below(permit, child, want, all);
            }
        }
    }

    fn full(&self, permit: &dyn Permit, id: ObjectId, want: Want) -> SupportedObject<'_> {
        let object = &self.schema[id];
        let may = |name: &str, need: Rights| rights(permit, object.path, name).allow(need);
        let mut full = bare(object);
        if want.unique_keys {
            let seen = |name| may(name, Rights::PARAM_READ);
            full.keys = object.keys.iter().filter(|key| key.params.iter().all(|name| seen(name))).collect();
        }
        if want.params {
            full.params = object.params.iter().filter(|p| may(p.name, Rights::PARAM_READ)).collect();
        }
        if want.commands {
            full.commands = object.commands.iter().filter(|c| may(c.name, Rights::COMMAND_READ)).collect();
        }
        if want.events {
            full.events = object.events.iter().filter(|e| may(e.name, Rights::COMMAND_READ)).collect();
        }
        full
    }

    /// One element: the flags do not count (TP-469 1.105 to 1.107).
    fn one<'s>(
        &'s self,
        permit: &dyn Permit,
        id: ObjectId,
        text: &str,
        choose: impl FnOnce(&mut SupportedObject<'s>),
    ) -> Result<Vec<SupportedObject<'s>>, Fault> {
        let object = &self.schema[id];
        let mut one = bare(object);
        choose(&mut one);
        let may = |name: &str, need: Rights| rights(permit, object.path, name).allow(need);
        one.params.retain(|p| may(p.name, Rights::PARAM_READ));
        one.commands.retain(|c| may(c.name, Rights::COMMAND_READ));
        one.events.retain(|e| may(e.name, Rights::COMMAND_READ));
        if one.params.is_empty() && one.commands.is_empty() && one.events.is_empty() {
            return Err(unsupported(text));
        }
        Ok(vec![one])
    }
}

fn bare(object: &Object) -> SupportedObject<'_> {
    SupportedObject { object, params: Vec::new(), commands: Vec::new(), events: Vec::new(), keys: Vec::new() }
}

fn visible(permit: &dyn Permit, object: &Object) -> bool {
    permit.object(object.path).allow(Rights::OBJECT_READ)
}
