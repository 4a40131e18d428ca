//! What the agent knows of itself, as tables the mapping can name: `agent NAME`, `each agent NAME`.

/// Tables of rows of named texts, in the order they were made.
#[derive(Debug, Default)]
pub struct Facts {
    tables: Vec<(Box<str>, Vec<Row>)>,
    changed: bool,
}

#[derive(Debug)]
struct Row {
    key: Box<str>,
    values: Vec<(Box<str>, String)>,
}

impl Facts {
    /// Sets one value; true where it is another one than before.
    pub fn set(&mut self, table: &str, key: &str, name: &str, value: impl Into<String>) -> bool {
        let value = value.into();
        let row = self.row(table, key);
        let changed = match row.values.iter_mut().find(|(n, _)| &**n == name) {
            Some((_, old)) if *old == value => false,
            Some((_, old)) => {
                *old = value;
                true
            }
            None => {
                row.values.push((name.into(), value));
                true
            }
        };
        self.changed |= changed;
        changed
    }

    /// Sets a counter, whose changes nobody is told of.
    pub fn count(&mut self, table: &str, key: &str, name: &str, value: u32) {
        let before = self.changed;
        self.set(table, key, name, value.to_string());
        self.changed = before;
    }

    /// One value.
    pub fn get(&self, table: &str, key: &str, name: &str) -> Option<&str> {
        let (_, rows) = self.tables.iter().find(|(t, _)| &**t == table)?;
        let row = rows.iter().find(|r| &*r.key == key)?;
        row.values.iter().find(|(n, _)| &**n == name).map(|(_, v)| v.as_str())
    }

    /// Removes a row.
    pub fn remove(&mut self, table: &str, key: &str) {
        if let Some((_, rows)) = self.tables.iter_mut().find(|(t, _)| &**t == table) {
            let before = rows.len();
            rows.retain(|r| &*r.key != key);
            self.changed |= rows.len() != before;
        }
    }

    /// The keys of a table's rows, in the order they were made.
    pub fn keys<'a>(&'a self, table: &'a str) -> impl Iterator<Item = &'a str> {
        self.tables.iter().filter(move |(t, _)| &**t == table).flat_map(|(_, rows)| rows.iter().map(|r| &*r.key))
    }

    /// True once after any change.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    fn row(&mut self, table: &str, key: &str) -> &mut Row {
        let at = match self.tables.iter().position(|(t, _)| &**t == table) {
            Some(at) => at,
            None => {
                self.tables.push((table.into(), Vec::new()));
                self.tables.len() - 1
            }
        };
        let rows = &mut self.tables[at].1;
        let row = match rows.iter().position(|r| &*r.key == key) {
            Some(row) => row,
            None => {
                rows.push(Row { key: key.into(), values: Vec::new() });
                rows.len() - 1
            }
        };
        &mut rows[row]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_once_and_only_where_there_is_one() {
        let mut facts = Facts::default();
        assert!(facts.set("mtp", "acs", "Status", "Up"));
        assert!(!facts.set("mtp", "acs", "Status", "Up"));
        assert!(facts.take_changed());
        assert!(!facts.take_changed());
        assert_eq!(facts.get("mtp", "acs", "Status"), Some("Up"));
        facts.remove("mtp", "acs");
        assert!(facts.take_changed());
        assert_eq!(facts.get("mtp", "acs", "Status"), None);
    }

    #[test]
    fn rows_keep_their_order() {
        let mut facts = Facts::default();
        for key in ["3", "1", "2"] {
            facts.set("request", key, "Status", "Active");
        }
        assert_eq!(facts.keys("request").collect::<Vec<_>>(), ["3", "1", "2"]);
    }
}
