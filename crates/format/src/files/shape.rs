//! The delimiter and the line of names of a CSV file.

use std::collections::HashMap;
use std::collections::HashSet;

use csv::{ByteRecord, ReaderBuilder};

use super::options::{Format, InputError, Options};
use crate::Note;

/// Delimiters, the most common first.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Number of records of the sample that are looked at.
const SAMPLE_RECORDS: usize = 200;

/// The shape of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) delimiter: u8,
    /// Number of lines before the names.
    pub(super) skip_lines: u64,
}

impl Shape {
    /// Detects the shape from the first lines.
    ///
    /// Fails if lines of a title seem to precede the names.
    pub(super) fn detect(
        sample: &[u8],
        format: Format,
        options: &Options,
        notes: &mut Vec<Note>,
    ) -> Result<Self, InputError> {
        let mut skip_lines = options.skip_lines;
        let mut sample = after_lines(sample, skip_lines);
        // A spreadsheet may name the delimiter in a line of its own.
        let named = match sample {
            [b's', b'e', b'p', b'=', delimiter, b'\r' | b'\n', ..] => Some(*delimiter),
            _ => None,
        };
        if named.is_some() {
            skip_lines += 1;
            sample = after_lines(sample, 1);
        }
        let usual = if format == Format::Tsv { b'\t' } else { b',' };
        let delimiter = match options.delimiter.or(named) {
            Some(delimiter) => delimiter,
            None => {
                let found = best_delimiter(sample, usual);
                if found != usual {
                    notes.push(Note::new(format!(
                        "cells are separated by {}; use --delimiter to name another character",
                        name(found)
                    )));
                }
                found
            }
        };
        let widths = widths(sample, delimiter);
        if let Some(title) = title_lines(&widths) {
            return Err(InputError::decision(
                format!(
                    "the first line has {}, but most others have {}",
                    cells(widths[0]),
                    most(&widths)
                ),
                format!("if it is a title, use --skip-lines {}", skip_lines + title),
            ));
        }
        Ok(Self { delimiter, skip_lines })
    }
}

fn cells(count: usize) -> String {
    format!("{count} cell{}", if count == 1 { "" } else { "s" })
}

fn name(delimiter: u8) -> String {
    match delimiter {
        b'\t' => "tabs".to_owned(),
        b';' => "semicolons".to_owned(),
        b',' => "commas".to_owned(),
        other => format!("the character {:?}", char::from(other)),
    }
}

fn after_lines(mut text: &[u8], lines: u64) -> &[u8] {
    for _ in 0..lines {
        let end = text.iter().position(|&byte| byte == b'\n').map_or(text.len(), |at| at + 1);
        text = &text[end..];
    }
    text
}

/// Returns the delimiter that splits most records into the same number of cells, more than one.
fn best_delimiter(sample: &[u8], usual: u8) -> u8 {
    let score = |delimiter: u8| {
        let widths = widths(sample, delimiter);
        let most = most(&widths);
        let share = widths.iter().filter(|&&width| width == most).count() * 100;
        let share = if most > 1 { share / widths.len().max(1) } else { 0 };
        (share, delimiter == usual, most)
    };
    DELIMITERS
        .into_iter()
        .max_by_key(|&it| score(it))
        .filter(|&it| score(it).0 > 0)
        .unwrap_or(usual)
}

/// Returns the number of cells of each record. The last record is left out if it may be cut.
fn widths(sample: &[u8], delimiter: u8) -> Vec<usize> {
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .has_headers(false)
        .from_reader(sample);
    let mut widths: Vec<usize> = reader
        .byte_records()
        .take(SAMPLE_RECORDS)
        .map_while(Result::ok)
        .map(|record: ByteRecord| record.len())
        .collect();
    if widths.len() > 1 && widths.len() < SAMPLE_RECORDS && sample.last() != Some(&b'\n') {
        widths.pop();
    }
    widths
}

/// Returns the most frequent number of cells, 0 without records.
fn most(widths: &[usize]) -> usize {
    let mut counts: HashMap<usize, usize> = HashMap::new();
    for &width in widths {
        *counts.entry(width).or_default() += 1;
    }
    counts.into_iter().max_by_key(|&(width, count)| (count, width)).map_or(0, |(width, _)| width)
}

/// Returns the number of first lines that have fewer cells than nearly all others.
fn title_lines(widths: &[usize]) -> Option<u64> {
    let most = most(widths);
    let title = widths.iter().take_while(|&&width| width < most).count();
    let rest = &widths[title..];
    let same = rest.iter().filter(|&&width| width == most).count();
    (title > 0 && rest.len() >= 2 && same * 10 >= rest.len() * 9).then_some(title as u64)
}

/// Gives every column a name of its own: a repeated name gets a number, and an empty one its position.
pub(super) fn unique_names(names: Vec<String>, notes: &mut Vec<Note>) -> Vec<String> {
    let mut taken: HashSet<String> = names.iter().filter(|it| !it.is_empty()).cloned().collect();
    let mut seen = HashSet::new();
    let mut unique = Vec::with_capacity(names.len());
    for (index, name) in names.into_iter().enumerate() {
        let is_empty = name.is_empty();
        if !is_empty && seen.insert(name.clone()) {
            unique.push(name);
            continue;
        }
        let base = if is_empty { "column".to_owned() } else { name.clone() };
        let first = if is_empty { index + 1 } else { 2 };
        let new = (first..).map(|n| format!("{base}_{n}")).find(|it| taken.insert(it.clone()));
        let new = new.unwrap_or(base);
        let position = index + 1;
        notes.push(Note::new(match is_empty {
            true => format!("column {position} has no name and is stored as {new:?}"),
            false => format!(
                "the name {name:?} occurs again in column {position}, which is stored as {new:?}"
            ),
        }));
        unique.push(new);
    }
    unique
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(text: &str, options: &Options) -> Result<(u8, u64), String> {
        let found = Shape::detect(text.as_bytes(), Format::Csv, options, &mut Vec::new());
        found.map(|it| (it.delimiter, it.skip_lines)).map_err(|error| error.to_string())
    }

    #[test]
    fn delimiters_are_detected() {
        for (text, delimiter) in [
            ("a,b\n1,2\n", b','),
            ("id;price;note\n1;1,5;x\n2;2,25;y\n", b';'),
            ("a\tb,c\n1\t2\n", b'\t'),
            ("a|b\n1|2\n", b'|'),
            ("a\n1\n", b','),
            ("a,b;c\n1,2;3\n4,5\n", b','),
            ("\"x;y\",b\n\"1;2\",3\n", b','),
            ("", b','),
        ] {
            assert_eq!(detect(text, &Options::default()), Ok((delimiter, 0)), "{text}");
        }
        assert_eq!(detect("sep=;\na;b\n1;2\n", &Options::default()), Ok((b';', 1)));
    }

    #[test]
    fn a_title_needs_a_decision() {
        let text = "Report of May\n\nid,name,price\n1,a,2\n2,b,3\n";
        let error = detect(text, &Options::default()).unwrap_err();
        assert!(error.contains("--skip-lines"), "{error}");
        let options = Options { skip_lines: 1, ..Options::default() };
        assert_eq!(detect(text, &options), Ok((b',', 1)));
    }

    #[test]
    fn names_are_unique() {
        let names = ["name", "", "name", "name_2", "name"].map(str::to_owned).to_vec();
        let mut notes = Vec::new();
        let unique = unique_names(names, &mut notes);
        assert_eq!(unique, ["name", "column_2", "name_3", "name_2", "name_4"]);
        assert_eq!(notes.len(), 3);
    }
}
