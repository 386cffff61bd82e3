//! Which store the tables in a place belong to. A log and its tables are one whole: tables of
//! another log would be taken for damage.

use std::io;
use std::path::Path;

use streamtable_store::StoreError;

use super::probe::probe;
use super::{Folder, TablesPlace};
use crate::disk::{is_absent, read_regular};
use crate::embedded::TABLES;

/// The file in a store's folder that says where its tables are: an id, a space, and a URL.
pub(crate) const TABLES_AT: &str = "tables-at";

/// The id in a copy of a folder. The tables belong to the store that was copied, which may still run.
const COPY: &str = "copy";

/// The file in the place of tables that has the id of their store.
const OWNER: &str = "owner";

/// Checks that a place can be used and belongs to the store in a folder, or takes it if it is free.
/// Returns the root of its tables. `own` is the folder of the tables if no place is given. Blocks.
pub(crate) fn claim(
    folder: &Path,
    own: &Path,
    place: Option<&TablesPlace>,
) -> Result<Folder, StoreError> {
    let known = known(folder)?;
    let Some(place) = place else {
        return match known {
            Some((_, url)) => refused(format!(
                "the tables of {} are at {url}: start with --store {url}",
                folder.display()
            )),
            None => Ok(Folder::from(folder)),
        };
    };
    let failed =
        |error: io::Error| StoreError::Io { reason: format!("cannot use {}: {error}", place.url) };
    if let Folder::Bucket(bucket, prefix) = &place.root {
        probe(bucket, prefix).map_err(failed)?;
    }
    let elsewhere = |url: &str| {
        let (folder, place) = (folder.display(), &place.url);
        refused(format!("the tables of {folder} are at {url}, not at {place}"))
    };
    let marks = place.root.join("_streamtable");
    let is_copy = known.as_ref().is_some_and(|(id, _)| id == COPY);
    let id = match &known {
        Some((id, url)) if id == COPY => {
            if url != place.url.as_str() && !place.root.has(TABLES).map_err(failed)? {
                return elsewhere(url);
            }
            uuid::Uuid::new_v4().simple().to_string()
        }
        Some((id, url)) if url != place.url.as_str() => {
            // Tables may be moved, but an empty place is a mistake.
            match marks.read(OWNER) {
                Ok(owner) if owner == id.as_bytes() => id.clone(),
                Ok(_) => return refused(format!("{} has tables of another store", place.url)),
                Err(error) if is_absent(&error) => return elsewhere(url),
                Err(error) => return Err(failed(error)),
            }
        }
        Some((id, _)) => id.clone(),
        None if has_any(own) => {
            return refused(format!(
                "{} has tables, which are not moved to {}; use an empty data folder",
                own.display(),
                place.url
            ));
        }
        None => uuid::Uuid::new_v4().simple().to_string(),
    };
    let before = known.clone();
    if is_copy || known.is_none_or(|(_, url)| url != place.url.as_str()) {
        // First, so that a crash before the next step leaves a folder that knows its id.
        let content = format!("{id} {}\n", place.url);
        Folder::from(folder).replace(TABLES_AT, content.into_bytes())?;
    }
    if !marks.create_once(OWNER, id.into_bytes()).map_err(failed)? {
        match before {
            None => Folder::from(folder).remove_file(TABLES_AT)?,
            Some((_, url)) if is_copy => {
                Folder::from(folder).replace(TABLES_AT, copied_mark(&url))?;
            }
            Some(_) => {}
        }
        return refused(format!(
            "{} has tables of another store, whose log is elsewhere; use the data folder of that \
             store, or, if its log is lost for good, delete the object _streamtable/{OWNER} there",
            place.url
        ));
    }
    Ok(place.root.clone())
}

fn refused(reason: String) -> Result<Folder, StoreError> {
    Err(StoreError::Io { reason })
}

/// Returns the id of a store whose tables are elsewhere, and their URL.
fn known(folder: &Path) -> Result<Option<(String, String)>, StoreError> {
    let path = folder.join(TABLES_AT);
    let text = match read_regular(&path) {
        Err(error) if is_absent(&error) => return Ok(None),
        text => String::from_utf8_lossy(&text?).into_owned(),
    };
    match text.trim().split_once(' ') {
        Some((id, url)) => Ok(Some((id.to_owned(), url.to_owned()))),
        None => Err(StoreError::Damaged { reason: format!("{} cannot be read", path.display()) }),
    }
}

fn has_any(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

/// Returns the URL of a store's tables, if they are not in its folder.
pub(crate) fn tables_of(folder: &Path) -> Result<Option<String>, StoreError> {
    Ok(known(folder)?.map(|(_, url)| url))
}

/// Returns the content of the file [`TABLES_AT`] in a copy of a store's folder.
pub(crate) fn copied_mark(url: &str) -> Vec<u8> {
    format!("{COPY} {url}\n").into_bytes()
}
