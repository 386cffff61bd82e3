//! Media files.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use streamtable_schema::TablePath;

use super::{Case, Check, Suite, case, ensure};
use crate::{MediaFile, Upload};

pub(super) const CASES: &[Case] = &[case!(files_are_stored), case!(a_file_that_is_sent_again)];

fn file(path: &str, bytes: &'static [u8]) -> MediaFile {
    MediaFile { path: Arc::from(path), bytes: Bytes::from_static(bytes) }
}

fn files() -> Vec<MediaFile> {
    vec![
        file("media/images/a_1.png", b"\x89PNG\0\xff"),
        file("media/html/b_2.html", b"<p>text</p>"),
        file("media/html/c 3.html", b""),
    ]
}

/// Uploads the files once and checks them, if the backend stores media.
async fn upload(suite: &Suite, table: &TablePath, times: usize) -> Check {
    let Some(read) = &suite.read_file else { return Ok(()) };
    let backend = suite.make();
    suite.open(&*backend, table).await?;
    for _ in 0..times {
        let timeout = Duration::from_secs(60);
        let upload = Upload { table: table.clone(), files: files(), timeout };
        let answer = backend.upload(upload).await.map_err(|e| format!("`upload` failed: {e}"))?;
        if let Some((index, reason)) = answer.rejected.first() {
            return Err(format!("file {index} was rejected: {reason}"));
        }
    }
    for MediaFile { path, bytes } in files() {
        let stored = read(table.clone(), path.to_string()).await;
        let stored = stored.map_err(|error| format!("the reader of {path} failed: {error}"))?;
        ensure!(
            stored == bytes,
            "{path} is read back as {} bytes, not {}",
            stored.len(),
            bytes.len()
        );
    }
    Ok(())
}

async fn files_are_stored(suite: &Suite, table: &TablePath) -> Check {
    upload(suite, table, 1).await
}

async fn a_file_that_is_sent_again(suite: &Suite, table: &TablePath) -> Check {
    upload(suite, table, 2).await
}
