//! The text of a parameter: from its sources, its table's rows, or what is kept with the instance numbers.

use super::eval::Scope;
use super::pipeline::Val;
use super::schema::{ObjectId, Param, ParamSource};
use super::source::Pipeline;
use super::stage::table_of;
use super::value;

impl Scope<'_> {
    /// The text of a parameter, by its type; None where its sources have none.
    pub fn param(&self, name: &str) -> Option<String> {
        self.param_value(self.schema().param(name)?)
    }

    /// The text of a parameter of this object.
    pub fn param_value(&self, param: &Param) -> Option<String> {
        match &param.source {
            ParamSource::Mapped(alternatives) => self.mapped(param, alternatives),
            ParamSource::Count(table) => self.count(*table),
            ParamSource::Alias => self.alias(),
            ParamSource::Mounted => self.mounted(param),
        }
    }

    fn mapped(&self, param: &Param, alternatives: &[Pipeline]) -> Option<String> {
        let mut values = alternatives.iter().filter_map(|p| self.pipeline(p));
        let list = param.facets.list.is_some();
        values.find_map(|value| match value {
            Val::Text(text) if !list => value::of_text(param.kind, &text),
            Val::Text(text) => Some(text.into_owned()),
            Val::Json(value) => value::to_text(param.kind, list, &value),
        })
    }

    fn count(&self, table: ObjectId) -> Option<String> {
        let path = self.eval.table_path(table, self.row.map(|r| &**r));
        Some(self.eval.rows(table, self.row, &path).len().to_string())
    }

    fn alias(&self) -> Option<String> {
        let row = self.row?;
        if let Some((_, staged)) = self.eval.aliases.get(&row.path) {
            return Some(staged.to_string());
        }
        let kept = self.eval.instances.borrow().alias(table_of(&row.path), &row.key).map(str::to_string);
        Some(kept.unwrap_or_else(|| format!("cpe-{}", row.number)))
    }
}
