//! Carries edits over to a package that somebody else may have changed meanwhile.
//!
//! Named sections are found by name and type. Anonymous ones have names that move, so they are found
//! by content: the same options, else the one section that shares more than half of them, and more than any other.

use crate::order;
use std::cmp::Reverse;
use std::ops::Range;

use super::{Edit, Error, Package, PackageEdits, Section};

/// The package on disk with the edits made against `edits.base`.
///
/// # Errors
/// [`Error::Conflict`] where a section to set is gone, has another type or cannot be told from its like;
/// [`Error::Invalid`] as [`Package::apply`].
pub(in crate::backend) fn merge(disk: &Package, edits: &PackageEdits) -> Result<Package, Error> {
    let places = Places::find(&edits.base, disk);
    let mut merged = disk.clone();
    for edit in &edits.edits {
        match edit {
            Edit::Add { .. } | Edit::Replace(_) => merged.apply(edit)?,
            Edit::Delete { section } => {
                if let Some(section) = places.of(section)? {
                    merged.apply(&Edit::Delete { section: section.into() })?;
                }
            }
            Edit::Set { section, option, value } => {
                let place = places.of(section)?.ok_or_else(|| Error::Conflict(section.clone()))?;
                merged.apply(&Edit::Set { section: place.into(), option: option.clone(), value: value.clone() })?;
            }
            Edit::Place { section, before } => {
                let place = places.of(section)?.ok_or_else(|| Error::Conflict(section.clone()))?;
                let before = before.as_deref().map(|before| places.of(before)).transpose()?.flatten();
                merged.apply(&Edit::Place { section: place.into(), before: before.map(Into::into) })?;
            }
        }
    }
    Ok(merged)
}

/// Where the sections of `base` are on disk.
struct Places<'a> {
    base: &'a Package,
    disk: &'a Package,
    /// By index in `base`: the index on disk of an anonymous section with the same content.
    same: order::Map<usize, usize>,
    /// By index on disk: true where no section of `base` is found yet.
    free: Vec<bool>,
}

impl<'a> Places<'a> {
    fn find(base: &'a Package, disk: &'a Package) -> Self {
        let free = disk.sections.iter().map(|s| s.anonymous || base.section(&s.name).is_none()).collect();
        let mut places = Self { base, disk, same: order::Map::new(), free };
        // First those that have not moved, so that of two alike each finds itself.
        (0..base.sections.len()).for_each(|index| places.pair(index, index..index + 1));
        (0..base.sections.len()).for_each(|index| places.pair(index, 0..disk.sections.len()));
        places
    }

    /// Pairs an anonymous section of `base` with the first free one of the same content among these on disk.
    fn pair(&mut self, index: usize, among: Range<usize>) {
        let Some(section) = self.base.sections.get(index) else { return };
        if !section.anonymous || self.same.contains_key(&index) {
            return;
        }
        let Some(at) = among.into_iter().find(|at| self.is_free_and_same(section, *at)) else { return };
        self.same.insert(index, at);
        if let Some(free) = self.free.get_mut(at) {
            *free = false;
        }
    }

    fn is_free(&self, at: usize) -> bool {
        self.free.get(at).copied().unwrap_or(false)
    }

    fn is_free_and_same(&self, section: &Section, at: usize) -> bool {
        let other = self.disk.sections.get(at);
        self.is_free(at) && other.is_some_and(|o| o.kind == section.kind && o.same_options(section))
    }

    /// The name on disk of a section of the edits; None where it is gone.
    fn of(&self, name: &'a str) -> Result<Option<&'a str>, Error> {
        let Some(index) = self.base.sections.iter().position(|s| &*s.name == name) else {
            return Ok(Some(name)); // added by an edit before
        };
        let Some(section) = self.base.sections.get(index) else { return Ok(None) };
        if !section.anonymous {
            return self.named(section);
        }
        match self.same.get(&index) {
            Some(at) => Ok(self.disk.sections.get(*at).map(|s| &*s.name)),
            None => self.most_alike(section),
        }
    }

    fn named(&self, section: &'a Section) -> Result<Option<&'a str>, Error> {
        match self.disk.section(&section.name) {
            Some(now) if now.kind != section.kind => Err(Error::Conflict(section.name.clone())),
            found => Ok(found.map(|s| &*s.name)),
        }
    }

    /// The free section of this type that shares the most options, if it is the only one and shares more than half.
    fn most_alike(&self, section: &Section) -> Result<Option<&'a str>, Error> {
        let candidates =
            self.disk.sections.iter().enumerate().filter(|(at, s)| self.is_free(*at) && s.kind == section.kind);
        let mut scores: Vec<_> = candidates.map(|(_, s)| (section.shared_options(s), &*s.name)).collect();
        scores.retain(|(score, _)| score * 2 > section.options.len());
        order::sort_by_key(&mut scores, |(score, _)| Reverse(*score));
        match *scores {
            [] => Ok(None),
            [(_, name)] => Ok(Some(name)),
            [(best, name), (second, _), ..] if best > second => Ok(Some(name)),
            _ => Err(Error::Conflict(section.name.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::uci::parse::parse;
    use crate::backend::uci::{OptValue, write::write};
    use std::rc::Rc;

    fn package(text: &str) -> Package {
        parse("test", text.as_bytes()).unwrap()
    }

    /// Sets option `x` of the base's section at `index`, merged onto `disk`.
    fn set_x(base: &str, index: usize, disk: &str) -> Result<String, Error> {
        let base = Rc::new(package(base));
        let section = base.sections[index].name.clone();
        let edit = Edit::Set { section, option: "x".into(), value: Some(OptValue::One("new".into())) };
        merged(PackageEdits { base, edits: vec![edit] }, disk)
    }

    fn delete(base: &str, index: usize, disk: &str) -> Result<String, Error> {
        let base = Rc::new(package(base));
        let section = base.sections[index].name.clone();
        merged(PackageEdits { base, edits: vec![Edit::Delete { section }] }, disk)
    }

    fn merged(edits: PackageEdits, disk: &str) -> Result<String, Error> {
        let written = write(&merge(&package(disk), &edits)?);
        Ok(String::from_utf8(written).unwrap().replace("\n\t", " ").trim().replace("\n\n", " / "))
    }

    const A: &str = "config r\n\toption a 1\n\toption b 1\n\toption c 1\n";
    const B: &str = "config r\n\toption a 1\n\toption b 1\n\toption c 2\n";

    #[test]
    fn what_others_changed_elsewhere_stays() {
        let disk = "config t n\noption a 2\noption y 3\nconfig t m\n";
        let both = set_x("config t n\noption a 1\n", 0, disk).unwrap();
        assert_eq!(both, "config t 'n' option a '2' option y '3' option x 'new' / config t 'm'");
    }

    #[test]
    fn an_anonymous_section_that_moved_is_found_by_content() {
        let disk = format!("config r first\n{B}{A}");
        let out = set_x(&format!("{A}{B}"), 0, &disk).unwrap();
        assert!(out.ends_with("option c '1' option x 'new'"), "{out}");
    }

    #[test]
    fn a_section_is_placed_before_the_one_that_is_meant_wherever_that_is_now() {
        let base = Rc::new(package(&format!("{A}{B}config r c\n")));
        let place = |section: &str, before: Option<&str>| Edit::Place {
            section: section.into(),
            before: before.map(Into::into),
        };
        let first = base.sections[0].name.clone();
        let disk = format!("config t new\n{B}{A}config r c\n");
        let edits = vec![place("c", Some(&first))];
        let out = merged(PackageEdits { base: base.clone(), edits }, &disk).unwrap();
        assert_eq!(out.split(" / ").nth(2).unwrap(), "config r 'c'", "{out}");
        let last = merged(PackageEdits { base: base.clone(), edits: vec![place(&first, None)] }, &disk).unwrap();
        assert!(last.ends_with("option c '1'"), "{last}");
        let gone = PackageEdits { base, edits: vec![place("c", None)] };
        assert!(matches!(merged(gone, B), Err(Error::Conflict(_))));
    }

    #[test]
    fn of_two_alike_each_finds_itself() {
        let out = set_x(&format!("{A}{A}"), 1, &format!("{A}{A}")).unwrap();
        assert!(out.ends_with("option x 'new'") && out.matches("new").count() == 1, "{out}");
    }

    #[test]
    fn an_anonymous_section_that_somebody_edited_is_the_most_alike() {
        let disk = format!("{A}{}", B.replace("option b 1", "option b 9"));
        let out = set_x(&format!("{A}{B}"), 1, &disk).unwrap();
        assert!(out.ends_with("option b '9' option c '2' option x 'new'"), "{out}");
    }

    #[test]
    fn a_section_found_for_another_is_not_taken_as_most_alike() {
        assert!(matches!(set_x(&format!("{A}{B}"), 0, B), Err(Error::Conflict(_))));
        assert_eq!(delete(&format!("{A}{B}"), 0, B).unwrap(), "config r option a '1' option b '1' option c '2'");
    }

    #[test]
    fn two_equally_alike_are_a_conflict() {
        let disk = format!("{}{}", A.replace("c 1", "c 8"), A.replace("c 1", "c 9"));
        assert!(matches!(set_x(A, 0, &disk), Err(Error::Conflict(_))));
        assert!(matches!(delete(A, 0, &disk), Err(Error::Conflict(_))));
    }

    #[test]
    fn a_section_that_was_named_meanwhile_is_still_found() {
        let out = set_x(A, 0, &A.replace("config r", "config r mine")).unwrap();
        assert!(out.starts_with("config r 'mine'") && out.ends_with("option x 'new'"), "{out}");
    }

    #[test]
    fn a_named_section_that_is_gone_or_another_is_a_conflict() {
        assert!(matches!(set_x("config t n\n", 0, "config t m\n"), Err(Error::Conflict(_))));
        assert!(matches!(set_x("config t n\n", 0, "config u n\n"), Err(Error::Conflict(_))));
        assert_eq!(delete("config t n\n", 0, "config t m\n").unwrap(), "config t 'm'");
    }
}
