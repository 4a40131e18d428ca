//! A case as it stands in its file.

use std::path::{Path, PathBuf};

/// A step and what it must lead to.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) line: usize,
    /// The step's own lines: the first says what to do, `and` and `with` lines join it.
    pub(crate) lines: Vec<String>,
    /// What must come out, without indentation.
    pub(crate) expected: Vec<String>,
    /// Comments and empty lines before the step.
    before: Vec<String>,
}

/// A file.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) file: PathBuf,
    pub(crate) steps: Vec<Step>,
    after: Vec<String>,
}

impl Case {
    pub(crate) fn read(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap();
        let mut case = Self { file: file.to_path_buf(), steps: Vec::new(), after: Vec::new() };
        for (at, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                case.after.push(line.to_string());
            } else if let Some(expected) = line.strip_prefix("    ") {
                case.steps.last_mut().expect("a step before its outcome").expected.push(expected.to_string());
            } else if line.starts_with("and ") || line.starts_with("with ") {
                case.steps.last_mut().expect("a step to join").lines.push(line.to_string());
            } else {
                let before = std::mem::take(&mut case.after);
                case.steps.push(Step { line: at + 1, lines: vec![line.to_string()], expected: Vec::new(), before });
            }
        }
        case
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let mut push = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        for step in &self.steps {
            step.before.iter().chain(&step.lines).for_each(|line| push(line));
            step.expected.iter().for_each(|line| push(&format!("    {line}")));
        }
        self.after.iter().for_each(|line| push(line));
        text
    }

    pub(crate) fn write(&self) {
        std::fs::write(&self.file, self.text()).unwrap();
    }
}
