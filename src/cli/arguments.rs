//! Command lines: `--name value`, `--name=value`, `--flag` and words, checked against what the verb takes.

use std::ffi::OsString;

/// An option of a verb.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flag {
    /// Without its dashes.
    pub(super) name: &'static str,
    /// What the value is called in the help; None for a flag without one.
    pub(super) value: Option<&'static str>,
    /// One line for people.
    pub(super) doc: &'static str,
}

/// The words after a verb, sorted into options and the rest.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Arguments {
    options: Vec<(&'static str, String)>,
    /// What is not an option, in order.
    pub(super) words: Vec<String>,
}

impl Arguments {
    /// Sorts the words; Err is a sentence that names the word and what would be right.
    pub(super) fn parse(args: impl IntoIterator<Item = OsString>, flags: &[Flag]) -> Result<Self, String> {
        let mut parsed = Self::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let arg = text(arg)?;
            match arg.strip_prefix("--") {
                None => parsed.words.push(arg),
                Some("") => {
                    for word in args.by_ref() {
                        parsed.words.push(text(word)?);
                    }
                }
                Some(option) => parsed.options.push(take(option, &mut args, flags)?),
            }
        }
        Ok(parsed)
    }

    /// The value of an option; the last one where it is given twice.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.options.iter().rev().find(|(given, _)| *given == name).map(|(_, value)| value.as_str())
    }

    /// The option is given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }
}

fn take(
    option: &str,
    rest: &mut impl Iterator<Item = OsString>,
    flags: &[Flag],
) -> Result<(&'static str, String), String> {
    let (name, inline) = match option.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (option, None),
    };
    let flag = flags.iter().find(|flag| flag.name == name).ok_or_else(|| format!("--{name} is not known here"))?;
    match (flag.value, inline) {
        (None, None) => Ok((flag.name, String::new())),
        (None, Some(_)) => Err(format!("--{name} takes no value")),
        (Some(_), Some(value)) => Ok((flag.name, value)),
        (Some(what), None) => match rest.next() {
            Some(value) => Ok((flag.name, text(value)?)),
            None => Err(format!("--{name} needs a value: --{name} {what}")),
        },
    }
}

fn text(arg: OsString) -> Result<String, String> {
    arg.into_string().map_err(|arg| format!("{} is not UTF-8", arg.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[Flag] =
        &[Flag { name: "dir", value: Some("DIR"), doc: "" }, Flag { name: "quiet", value: None, doc: "" }];

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(line.split_whitespace().map(OsString::from), FLAGS)
    }

    #[test]
    fn options_in_both_forms_and_words() {
        let got = parse("a --dir=/x --quiet b --dir /y -- --dir").unwrap();
        assert_eq!((got.value("dir"), got.has("quiet")), (Some("/y"), true));
        assert_eq!(got.words, ["a", "b", "--dir"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(parse("--what"), Err("--what is not known here".into()));
        assert_eq!(parse("--dir"), Err("--dir needs a value: --dir DIR".into()));
        assert_eq!(parse("--quiet=1"), Err("--quiet takes no value".into()));
    }
}
