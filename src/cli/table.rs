//! Aligned columns for people.

use std::fmt::Write as _;

/// The widest column that others wait for, in characters.
const WIDEST: usize = 72;

/// Rows in columns, two blanks apart; the last column is as wide as it is. What a terminal would obey is not printed.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..count).map(|at| width(at).unwrap_or_default().min(WIDEST)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, &width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:width$}  ", cell = plain(cell));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// One row of texts.
pub(super) fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

/// On one line, whatever is in it.
pub(super) fn plain(text: &str) -> String {
    text.replace('\n', "\\n").replace(char::is_control, " ")
}

/// `3 d 4 h`, `12 s`.
pub(super) fn time(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_obey_nobody() {
        let rows = [row(&["A", "LONG NAME", "C"]), row(&["aaa", "b", "c\x1b[2J\nd"]), row(&["", "x"])];
        assert_eq!(columns(&rows), "A    LONG NAME  C\naaa  b          c [2J\\nd\n     x\n");
    }

    #[test]
    fn times_in_two_units() {
        assert_eq!([59, 61, 3700, 90_000].map(time), ["59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
    }
}
