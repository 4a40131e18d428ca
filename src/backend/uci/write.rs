//! Writes a package as `uci commit` does, and edits one in memory.

use super::name::{is_name, is_text, is_type};
use super::parse::{MAX_OPTIONS, MAX_SECTIONS};
use super::{Edit, Error, Opt, OptValue, Package, Section, text};

/// The bytes libuci would write: comments and layout of the former file are gone.
///
/// One difference: a type with one of `# ; ' " \` in it is quoted, because libuci could not read back its own.
pub fn write(package: &Package) -> Vec<u8> {
    let mut out = Vec::new();
    for section in &package.sections {
        write_section(section, &mut out);
    }
    out.push(b'\n');
    out
}

/// What `uci export` prints of it.
pub fn export(package: &Package) -> Vec<u8> {
    [b"package ", package.name.as_bytes(), b"\n", &write(package)].concat()
}

fn write_section(section: &Section, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\nconfig ");
    if section.kind.contains(['#', ';', '\'', '"', '\\']) {
        quote(&section.kind, out);
    } else {
        text::encode(&section.kind, out);
    }
    if !section.anonymous {
        out.push(b' ');
        quote(&section.name, out);
    }
    out.push(b'\n');
    for option in &section.options {
        match &option.value {
            OptValue::One(value) => write_value("option", option, value, out),
            OptValue::List(items) => items.iter().for_each(|item| write_value("list", option, item, out)),
        }
    }
}

fn write_value(command: &str, option: &Opt, value: &str, out: &mut Vec<u8>) {
    out.push(b'\t');
    out.extend_from_slice(command.as_bytes());
    out.push(b' ');
    out.extend_from_slice(option.name.as_bytes());
    out.push(b' ');
    quote(value, out);
    out.push(b'\n');
}

fn quote(value: &str, out: &mut Vec<u8>) {
    out.push(b'\'');
    for (i, part) in value.split('\'').enumerate() {
        if i > 0 {
            out.extend_from_slice(br"'\''");
        }
        text::encode(part, out);
    }
    out.push(b'\'');
}

impl Package {
    /// Carries out one edit. Anonymous sections keep their names, whatever is added or removed before them.
    ///
    /// # Errors
    /// [`Error::Conflict`] where an added section exists already or a section to set is not there;
    /// [`Error::Invalid`] for a name, type or value libuci would refuse. The package is then unchanged.
    pub fn apply(&mut self, edit: &Edit) -> Result<(), Error> {
        match edit {
            Edit::Add { section, kind } => self.add(section, kind),
            Edit::Delete { section } => {
                self.sections.retain(|s| s.name != *section);
                Ok(())
            }
            Edit::Set { section, option, value } => self.set(section, option, value.as_ref()),
            Edit::Place { section, before } => self.place(section, before.as_deref()),
            Edit::Replace(package) => {
                self.clone_from(package);
                Ok(())
            }
        }
    }

    fn place(&mut self, name: &str, before: Option<&str>) -> Result<(), Error> {
        let place = |package: &Self, name: &str| package.sections.iter().position(|s| &*s.name == name);
        let at = place(self, name).ok_or_else(|| Error::Conflict(name.into()))?;
        let section = self.sections.remove(at);
        let at = before.and_then(|before| place(self, before)).unwrap_or(self.sections.len());
        self.sections.insert(at, section);
        Ok(())
    }

    fn add(&mut self, name: &str, kind: &str) -> Result<(), Error> {
        if !is_name(name) {
            return Err(Error::Invalid("section name has other than letters, digits and _"));
        }
        if !is_type(kind) {
            return Err(Error::Invalid("section type is empty or has spaces or control characters"));
        }
        if self.section(name).is_some() {
            return Err(Error::Conflict(name.into()));
        }
        if self.sections.len() >= MAX_SECTIONS {
            return Err(Error::Invalid("more than 8192 sections"));
        }
        let (name, kind) = (name.into(), kind.into());
        self.sections.push(Section { name, kind, anonymous: false, options: Vec::new(), line: 0 });
        Ok(())
    }

    fn set(&mut self, section: &str, option: &str, value: Option<&OptValue>) -> Result<(), Error> {
        if !is_name(option) {
            return Err(Error::Invalid("option name has other than letters, digits and _"));
        }
        let value = value.filter(|v| !v.is_empty());
        if !value.is_none_or(OptValue::is_text) {
            return Err(Error::Invalid("value has control characters"));
        }
        let Some(section) = self.sections.iter_mut().find(|s| &*s.name == section) else {
            return Err(Error::Conflict(section.into()));
        };
        section.set(option, value)
    }
}

impl Section {
    fn set(&mut self, name: &str, value: Option<&OptValue>) -> Result<(), Error> {
        let Some(value) = value else {
            self.options.retain(|o| &*o.name != name);
            return Ok(());
        };
        if let Some(option) = self.options.iter_mut().find(|o| &*o.name == name) {
            option.value = value.clone();
            return Ok(());
        }
        if self.options.len() >= MAX_OPTIONS {
            return Err(Error::Invalid("more than 1024 options in a section"));
        }
        self.options.push(Opt { name: name.into(), value: value.clone(), line: 0 });
        Ok(())
    }

    /// Same options with the same values, wherever they stand and whatever the section is called.
    pub fn same_options(&self, other: &Section) -> bool {
        self.options.len() == other.options.len() && self.shared_options(other) == self.options.len()
    }

    /// How many options of this section the other has with the same value.
    pub fn shared_options(&self, other: &Section) -> usize {
        self.options.iter().filter(|o| other.get(&o.name) == Some(&o.value)).count()
    }
}

impl OptValue {
    /// An empty text or list, which UCI cannot hold.
    fn is_empty(&self) -> bool {
        match self {
            Self::One(text) => text.is_empty(),
            Self::List(items) => items.is_empty(),
        }
    }

    fn is_text(&self) -> bool {
        match self {
            Self::One(text) => is_text(text),
            Self::List(items) => items.iter().all(|item| is_text(item)),
        }
    }
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
