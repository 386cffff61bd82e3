//! How tables, numbers and times look to people.

use std::fmt;

use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Row, Table, presets};

use crate::style::printable;

/// The most characters of a cell; more could not be taken in at a glance.
const MAX_CELL_CHARS: usize = 300;

/// As narrow as a column may become before whole columns are left out, its frame included.
const MIN_COLUMN_WIDTH: usize = 11;

/// To which side a column's cells stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// As texts do.
    Left,
    /// As numbers do.
    Right,
}

/// Rows and columns, drawn with a frame.
///
/// On a terminal each row takes one line: cells are cut, and where there are too many columns those
/// in the middle are left out. Anywhere else all is there.
pub(crate) struct Grid {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
    width: Option<usize>,
}

impl Grid {
    /// Begins one of columns, as wide as the terminal is.
    pub(crate) fn new(columns: &[(&str, Align)]) -> Self {
        let columns = columns.iter().map(|(name, align)| (printable(name), *align)).collect();
        Self { columns, rows: Vec::new(), width: Table::new().width().map(usize::from) }
    }

    /// Adds a row: a cell for each column, made by [`printable_cell`].
    pub(crate) fn push(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Returns which columns are left out.
    pub(crate) fn hidden(&self) -> std::ops::Range<usize> {
        let count = self.columns.len();
        let fit = self.width.map_or(count, |width| (width / MIN_COLUMN_WIDTH).max(2));
        if count <= fit {
            return count..count;
        }
        // One place is for the dots.
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

/// Makes a cell of a text: nothing that steers the terminal, and not endless.
pub(crate) fn printable_cell(text: &str) -> String {
    match text.char_indices().nth(MAX_CELL_CHARS) {
        Some((end, _)) => printable(&text[..end]) + "…",
        None => printable(text),
    }
}

/// Writes a number with its thousands apart.
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

/// Writes a number of things: `1 row`, `1,234 rows`.
pub(crate) fn counted(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// Writes a number of bytes.
pub(crate) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// Writes a duration.
pub(crate) fn duration(taken: std::time::Duration) -> String {
    match taken.as_millis() {
        ms @ 0..10_000 => format!("{ms} ms"),
        ms => format!("{:.1} s", ms as f64 / 1e3),
    }
}

/// Writes an instant, given in RFC 3339, by the clock on the user's wall.
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
    fn numbers() {
        for (n, expected) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(n), expected);
        }
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(counted(0, "row"), "0 rows");
    }

    #[test]
    fn columns_in_the_middle_are_left_out() {
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
    fn a_row_is_a_line_on_a_terminal_and_whole_elsewhere() {
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
