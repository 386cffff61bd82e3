//! Formatting of tables, numbers and times.

use std::fmt;

use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Row, Table, presets};

use crate::style::printable;

/// Maximum length of a cell in characters.
const MAX_CELL_CHARS: usize = 300;

/// Minimum width of a column, including its frame. If the terminal is too narrow, columns are
/// hidden.
const MIN_COLUMN_WIDTH: usize = 11;

/// Horizontal alignment of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Left, for text.
    Left,
    /// Right, for numbers.
    Right,
}

/// A table with a frame.
///
/// On a terminal each row takes one line: cells are truncated, and columns in the middle are hidden
/// if there are too many. Elsewhere everything is printed.
pub(crate) struct Grid {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
    width: Option<usize>,
}

impl Grid {
    /// Creates an empty grid as wide as the terminal.
    pub(crate) fn new(columns: &[(&str, Align)]) -> Self {
        let columns = columns.iter().map(|(name, align)| (printable(name), *align)).collect();
        Self { columns, rows: Vec::new(), width: Table::new().width().map(usize::from) }
    }

    /// Adds a row: one cell per column, formatted by [`printable_cell`].
    pub(crate) fn push(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Returns the range of hidden columns.
    pub(crate) fn hidden(&self) -> std::ops::Range<usize> {
        let count = self.columns.len();
        let fit = self.width.map_or(count, |width| (width / MIN_COLUMN_WIDTH).max(2));
        if count <= fit {
            return count..count;
        }
        // One column is used for the ellipsis.
        let shown = fit - 1;
        shown.div_ceil(2)..count - shown / 2
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_FULL_CONDENSED);
        if let Some(width) = self.width {
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
        }
        table.set_truncation_indicator("…");
        let hidden = self.hidden();
        let pick = |cells: &[String], make: &dyn Fn(&String, Align) -> Cell| {
            let mut picked = Vec::with_capacity(cells.len());
            for (i, (cell, (_, align))) in cells.iter().zip(&self.columns).enumerate() {
                if !hidden.contains(&i) {
                    picked.push(make(cell, *align));
                } else if i == hidden.start {
                    picked.push(Cell::new("…"));
                }
            }
            let mut row = Row::from(picked);
            row.max_height(1);
            row
        };
        let aligned = |cell: &String, align| {
            Cell::new(cell).set_alignment(match align {
                Align::Left => CellAlignment::Left,
                Align::Right => CellAlignment::Right,
            })
        };
        let names: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let bold = |cell: &String, align| match self.width {
            Some(_) => aligned(cell, align).add_attribute(Attribute::Bold),
            None => aligned(cell, align),
        };
        table.set_header(pick(&names, &bold));
        for row in &self.rows {
            table.add_row(pick(row, &aligned));
        }
        write!(f, "{table}")
    }
}

/// Formats a text as a cell: control characters are escaped and long texts are truncated.
pub(crate) fn printable_cell(text: &str) -> String {
    match text.char_indices().nth(MAX_CELL_CHARS) {
        Some((end, _)) => printable(&text[..end]) + "…",
        None => printable(text),
    }
}

/// Formats a number with thousands separators.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Formats a number with a noun: `1 row`, `1,234 rows`.
pub(crate) fn counted(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// Formats a number of bytes.
pub(crate) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// Formats a duration.
pub(crate) fn duration(taken: std::time::Duration) -> String {
    match taken.as_millis() {
        ms @ 0..10_000 => format!("{ms} ms"),
        ms => format!("{:.1} s", ms as f64 / 1e3),
    }
}

/// Formats an instant, given in RFC 3339, in UTC.
pub(crate) fn when(text: &str) -> String {
    match text.parse::<jiff::Timestamp>() {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => printable(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_formatted() {
        for (n, expected) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(n), expected);
        }
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(counted(0, "row"), "0 rows");
    }

    #[test]
    fn columns_in_the_middle_are_hidden() {
        let grid = |columns: usize, width: Option<usize>| {
            let columns = (0..columns).map(|i| (format!("c{i}"), Align::Left)).collect();
            Grid { columns, rows: Vec::new(), width }
        };
        assert_eq!(grid(100, None).hidden(), 100..100);
        assert_eq!(grid(5, Some(80)).hidden(), 5..5);
        assert_eq!(grid(20, Some(80)).hidden(), 3..17);
        assert_eq!(grid(20, Some(5)).hidden(), 1..20);
    }

    #[test]
    fn rows_take_one_line_on_a_terminal_and_are_complete_elsewhere() {
        let mut grid = Grid::new(&[("n", Align::Right), ("text", Align::Left)]);
        grid.push(vec!["7".into(), "x".repeat(100)]);
        grid.push(vec!["1,000".into(), printable_cell("a\nb")]);
        grid.width = None;
        let whole = grid.to_string();
        assert!(whole.contains(&"x".repeat(100)) && whole.contains("a\\nb"), "{whole}");
        assert!(whole.contains("│ 1,000 ┆") && whole.contains("│     7 ┆"), "{whole}");
        grid.width = Some(40);
        let cut = grid.to_string();
        assert!(cut.lines().all(|line| line.chars().count() <= 40 + 20), "{cut}");
        assert_eq!(cut.lines().count(), 6, "{cut}");
    }
}
