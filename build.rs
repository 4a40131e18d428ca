//! Reads `data-model/`: refuses a row the standard does not know, and packs what the agent carries:
//!
//! * `mapping.deflate`: all mapping files without comments, their line numbers kept; read at every start
//! * `mapped.digest.deflate`: the facts of what is mapped, those of the router profile marked; read at every start
//! * `rest.digest.deflate`: the facts of all else; inflated only when a drop-in or `coverage` needs them
//! * `no-source.deflate`: why what the router profile wants is not mapped; inflated for `coverage` alone
//!
//! and makes the released program smaller, see `build/link.rs`.

// The build script takes the reader of the notation as it is; what it does not use of it is not dead in the library.
#![allow(dead_code, unreachable_pub, missing_docs, unused_imports)]

use model::digest::Digest;
use model::notation::{self, Block};
use model::schema::Schema;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

#[path = "src/backend"]
mod backend {
    pub mod value;
    pub use value::{Table, Value};

    #[derive(Debug, Clone, PartialEq, Eq, Hash)]
    pub enum Watch {
        Event(Box<str>),
        Object(Box<str>),
        File(Box<str>),
    }
}

#[path = "src/order/mod.rs"]
mod order;

#[path = "src/usp"]
mod usp {
    pub mod fault;
}

#[path = "src/model"]
mod model {
    pub mod digest;
    pub mod facets;
    pub mod notation;
    pub mod schema;
    pub mod source;
}

#[path = "build/link.rs"]
mod link;

const FOLDER: &str = "data-model";
const PROFILE: &str = "data-model/router-profile.txt";
const NO_SOURCE: &str = "data-model/no-source.txt";
const DIGEST: &str = "data-model/tr181-2.19.digest";

fn main() {
    link::arguments();
    for path in ["build.rs", FOLDER, "src/model", "src/backend/value.rs", "src/usp/fault.rs"] {
        println!("cargo::rerun-if-changed={path}");
    }
    // Each of these fails the build, and cargo shows them without noise around.
    for error in generate().err().unwrap_or_default() {
        println!("cargo::error={error}");
    }
}

fn generate() -> Result<(), Vec<String>> {
    let digest_text = read(Path::new(DIGEST))?;
    let digest = Digest::parse(&digest_text);
    let mut mapping = String::new();
    let mut blocks = Vec::new();
    let mut errors = Vec::new();
    for file in mapping_files()? {
        let text = read(&file)?;
        match notation::parse(&file.to_string_lossy(), text.clone().leak()) {
            Ok(more) => blocks.extend(more),
            Err(error) => errors.push(error.to_string()),
        }
        append(&mut mapping, &file, &text);
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let schema = Schema::build(blocks, &digest, &|_| true).map_err(|errors| texts(&errors))?;
    write_packed("mapping.deflate", &mapping)?;
    let marked = with_profile(&digest_text, &read(Path::new(PROFILE))?)?;
    let (mapped, rest) = apart(&schema, &Digest::parse(&marked));
    write_packed("mapped.digest.deflate", &lean(&mapped)?)?;
    write_packed("rest.digest.deflate", &lean(&rest)?)?;
    write_packed("no-source.deflate", &read(Path::new(NO_SOURCE))?)
}

fn texts(errors: &[notation::NotationError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

fn mapping_files() -> Result<Vec<PathBuf>, Vec<String>> {
    let folder = fs::read_dir(FOLDER).map_err(|why| vec![format!("{FOLDER}: {why}")])?;
    let mut files: Vec<_> = folder.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "dm"));
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<String, Vec<String>> {
    fs::read_to_string(path).map_err(|why| vec![format!("{}: {why}", path.display())])
}

fn write_packed(name: &str, text: &str) -> Result<(), Vec<String>> {
    let folder = env::var_os("OUT_DIR").unwrap_or_default();
    let path = Path::new(&folder).join(name);
    fs::write(&path, miniz_oxide::deflate::compress_to_vec(text.as_bytes(), 10))
        .map_err(|why| vec![format!("{}: {why}", path.display())])
}

/// One file behind the other, each after a line `%NAME`; comment lines stay as empty lines.
fn append(mapping: &mut String, file: &Path, text: &str) {
    mapping.push('%');
    mapping.push_str(&file.file_name().unwrap_or_default().to_string_lossy());
    mapping.push('\n');
    for line in text.lines() {
        let line = line.trim();
        mapping.push_str(if line.starts_with('#') { "" } else { line });
        mapping.push('\n');
    }
}

/// The lines of the digest that the mapping needs, and the others: an object of which a part is mapped is in both.
fn apart(schema: &Schema, digest: &Digest<'_>) -> (String, String) {
    let (mut mapped, mut rest) = (String::new(), String::new());
    for path in digest.paths() {
        let object = schema.objects.iter().find(|object| object.path == path);
        let (mut ours, mut others) = (String::new(), String::new());
        for name in digest.elements(path) {
            let is_mapped = object.is_some_and(|object| {
                object.params.iter().any(|param| *param.name == *name)
                    || object.commands.iter().any(|command| *command.name == *name)
                    || object.events.iter().any(|event| *event.name == *name)
            });
            let into = if is_mapped { &mut ours } else { &mut others };
            into.push_str(digest.element_lines(path, name).unwrap_or_default());
        }
        let head = digest.object_line(path).unwrap_or_default();
        if object.is_some() {
            mapped += &format!("{head}\n{ours}");
        }
        if object.is_none() || !others.is_empty() {
            // The first piece has said all of the object itself.
            let head = if object.is_some() { path } else { head };
            rest += &format!("{head}\n{others}");
        }
    }
    (mapped, rest)
}

/// A digest without what the program has no use for: 5 KB, packed. Of a reference it wants to know how strong it
/// is, not where it leads.
fn lean(digest: &str) -> Result<String, Vec<String>> {
    let mut text = String::with_capacity(digest.len());
    for line in digest.lines() {
        text.push_str(&line[..line.len() - line.trim_start_matches(' ').len()]);
        let mut words = notation::Words::of(line).map_err(|why| vec![format!("{DIGEST}: {line}: {why}")])?;
        let mut before = "";
        while let Some(word) = words.next() {
            let (name, value) = word.cut(b'=').map_or((word.0, ""), |(name, value)| (name.0, value.0));
            if before.is_empty() || !model::digest::told_to_people_only(name) {
                let strength = value.split(':').next().unwrap_or_default();
                text.push_str(before);
                text.push_str(if name == "ref" { name } else { word.0 });
                text.push_str(&if name == "ref" { format!("={strength}") } else { String::new() });
                before = " ";
            }
        }
        text.push('\n');
    }
    Ok(text)
}

/// The digest without comments, with the word `router` behind every element of the router profile.
fn with_profile(digest: &str, profile: &str) -> Result<String, Vec<String>> {
    let mut wanted: HashSet<(&str, &str)> = elements(profile).filter(|(_, name)| !name.is_empty()).collect();
    let mut text = String::with_capacity(digest.len());
    for (line, element) in digest.lines().filter(|line| !line.starts_with('#')).zip(elements(digest)) {
        text.push_str(line);
        if !line.starts_with("  ") && wanted.remove(&element) {
            text.push_str(" router");
        }
        text.push('\n');
    }
    let unknown = wanted.into_iter().map(|(path, name)| format!("{PROFILE}: TR-181 2.19 has no {path}{name}"));
    let unknown: Vec<String> = unknown.collect();
    if unknown.is_empty() { Ok(text) } else { Err(unknown) }
}

/// Object and name of each line that is no comment; the name is empty on the line of an object.
fn elements(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut path = "";
    text.lines().filter(|line| !line.starts_with('#')).map(move |line| match line.strip_prefix(' ') {
        Some(rest) => (path, rest.split(' ').next().unwrap_or_default()),
        None => {
            path = line.split(' ').next().unwrap_or_default();
            (path, "")
        }
    })
}
