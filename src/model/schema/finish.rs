//! What a model gets when all blocks are read: Alias, numbers of entries, keys; and what it loses: what is hidden.

use super::build::{Builder, Draft, is_vendor, param};
use super::{Access, Kind, Object, ObjectId, ParamSource, Schema};
use crate::model::digest::{Element, ValueFacts};
use crate::model::notation::NotationError;
use crate::model::source::RowSource;

impl Builder<'_, '_> {
    pub(super) fn finish(mut self) -> Result<Schema, Vec<NotationError>> {
        for index in 0..self.schema.objects.len() {
            let Ok(index) = u16::try_from(index) else { break };
            if let Err(text) = self.finish_object(ObjectId(index)) {
                let at = self.draft(ObjectId(index)).at.clone();
                self.errors.push(at.error(text));
            }
        }
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        self.schema.objects.iter_mut().for_each(Object::shrink);
        self.schema.objects.shrink_to_fit();
        if self.drafts.iter().any(|draft| draft.hidden) {
            return Ok(without_hidden(self.schema, &self.drafts));
        }
        Ok(self.schema)
    }

    /// What comes by itself: Alias, numbers of entries, keys, whether rows can be created.
    fn finish_object(&mut self, id: ObjectId) -> Result<(), String> {
        if self.draft(id).hidden {
            return Ok(());
        }
        self.add_alias(id)?;
        self.add_count(id)?;
        let facts = std::mem::take(&mut self.draft(id).facts);
        let object = self.object(id);
        if object.table && object.each.is_empty() {
            return Err(format!("the table `{}` has no `each`", object.path));
        }
        let sections = matches!(object.each.first().map(|each| &each.rows), Some(RowSource::Uci { .. }));
        object.creatable = facts.creatable && (sections || object.new.native.is_some());
        object.keys = facts.keys;
        let params = &object.params;
        object.keys.retain(|key| key.params.iter().all(|name| params.iter().any(|param| *param.name == **name)));
        Ok(())
    }

    fn wants(&mut self, id: ObjectId, name: &str) -> bool {
        self.object(id).param(name).is_none() && !self.draft(id).hidden_rows.iter().any(|hidden| &**hidden == name)
    }

    fn add_alias(&mut self, id: ObjectId) -> Result<(), String> {
        if !self.object(id).table || !self.wants(id, "Alias") {
            return Ok(());
        }
        let path = self.object(id).path;
        if let Some(Element::Parameter { access, value }) = self.digest.element(path, "Alias")? {
            self.object(id).params.push(param("Alias", access, value, ParamSource::Alias));
        }
        Ok(())
    }

    fn add_count(&mut self, id: ObjectId) -> Result<(), String> {
        let Some(parent) = self.object(id).parent else { return Ok(()) };
        let Some(name) = self.draft(id).facts.count.clone() else { return Ok(()) };
        if !self.wants(parent, &name) {
            return Ok(());
        }
        let path = self.object(parent).path;
        let value = match self.digest.element(path, &name)? {
            Some(Element::Parameter { value, .. }) => value,
            Some(_) => return Ok(()),
            None if is_vendor(self.object(id).path, "") => ValueFacts::plain(Kind::UnsignedInt),
            None => return Ok(()),
        };
        self.object(parent).params.push(param(Box::leak(name), Access::ReadOnly, value, ParamSource::Count(id)));
        Ok(())
    }
}

impl Object {
    /// Gives back what growing lists reserved: the model is kept as long as the agent runs.
    fn shrink(&mut self) {
        self.children.shrink_to_fit();
        self.each.shrink_to_fit();
        self.lets.shrink_to_fit();
        self.when.shrink_to_fit();
        self.params.shrink_to_fit();
        self.commands.shrink_to_fit();
        self.events.shrink_to_fit();
    }
}

fn without_hidden(schema: Schema, drafts: &[Draft]) -> Schema {
    let mut next = 0_u16;
    let renumbered: Vec<Option<ObjectId>> = drafts
        .iter()
        .map(|draft| {
            let id = (!draft.hidden).then_some(ObjectId(next));
            next += u16::from(!draft.hidden);
            id
        })
        .collect();
    let new_id = |id: ObjectId| renumbered.get(usize::from(id.0)).copied().flatten();
    let mut kept = Schema { live: schema.live, ..Schema::default() };
    for (index, mut object) in schema.objects.into_iter().enumerate() {
        let Some(id) = renumbered.get(index).copied().flatten() else { continue };
        object.parent = object.parent.and_then(new_id);
        object.children = object.children.into_iter().filter_map(new_id).collect();
        for param in &mut object.params {
            if let ParamSource::Count(of) = &mut param.source {
                *of = new_id(*of).unwrap_or(*of);
            }
        }
        kept.by_path.insert(object.path, id);
        kept.objects.push(object);
    }
    kept
}
