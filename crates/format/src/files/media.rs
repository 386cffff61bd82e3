//! The files of media cells, which an export writes next to its rows.

use std::path::{Component, Path, PathBuf};

use streamtable_schema::{Media, MediaSource, Row, Value};

use super::Source;
use crate::Note;

/// Finds the files of media cells next to the file with the rows.
pub(super) struct MediaFiles {
    /// The folder of the rows.
    folder: Option<PathBuf>,
    missing: bool,
}

impl MediaFiles {
    pub(super) fn next_to(source: &Source) -> Self {
        let folder = match source {
            Source::Stdin => None,
            Source::File(path) => Some(path.parent().unwrap_or(Path::new("")).to_owned()),
        };
        Self { folder, missing: false }
    }

    /// Replaces references to stored files by the files.
    pub(super) fn attach(&mut self, row: Row) -> Row {
        let is_nested =
            |value: &Value| matches!(value, Value::Media(_) | Value::List(_) | Value::Struct(_));
        if !row.cells().any(|(_, value)| is_nested(value)) {
            return row;
        }
        row.into_iter().map(|(name, value)| (name, self.value(value))).collect()
    }

    fn value(&mut self, value: Value) -> Value {
        match value {
            Value::Media(media) => self.media(*media).into(),
            Value::List(items) => items.into_iter().map(|item| self.value(item)).collect(),
            Value::Struct(row) => self.attach(row).into(),
            other => other,
        }
    }

    fn media(&mut self, media: Media) -> Media {
        let MediaSource::Stored(file) = media.source() else { return media };
        let place = self.folder.as_ref().filter(|_| is_inside(Path::new(&file.path)));
        let place = place.map(|folder| folder.join(&file.path)).filter(|place| place.is_file());
        match place.and_then(|place| Media::from_path(media.kind(), place).ok()) {
            Some(found) => match media.caption() {
                Some(caption) => found.with_caption(caption),
                None => found,
            },
            None => {
                self.missing = true;
                media
            }
        }
    }

    /// Returns a note if a file was missing.
    pub(super) fn missing(&self) -> Option<Note> {
        let text = "media files are not next to the file; their cells refer to files that only the \
                    table that they come from has";
        self.missing.then(|| Note::new(text))
    }
}

/// Returns whether a relative path stays inside its folder.
fn is_inside(path: &Path) -> bool {
    let mut parts = path.components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}
