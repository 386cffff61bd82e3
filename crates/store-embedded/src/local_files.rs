//! Content-addressed files, stored next to the tables.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use md5::Md5;
use sha2::{Digest, Sha256};
use streamtable_store::{FileStore, StoreError, StoredObject};
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use uuid::Uuid;

use crate::disk::create_dir_all_synced;

/// How much of a file is read at a time.
const READ_BYTES: usize = 64 << 10;

/// The folder of incoming files. Files found in it at start are incomplete.
const INCOMING: &str = "incoming";

/// Files in a folder, each under its name in a subfolder named by the first two digits.
///
/// A file is written to a temporary place, synced, and then renamed, so that a file under its final
/// name is always complete.
#[derive(Clone, Debug)]
pub struct LocalFiles {
    root: PathBuf,
}

impl LocalFiles {
    /// Opens a folder, which is created if it does not exist, and removes incomplete files of a
    /// killed process.
    ///
    /// Blocks. Only one process may open the folder at a time.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let root = root.into();
        let incoming = root.join(INCOMING);
        match std::fs::remove_dir_all(&incoming) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        create_dir_all_synced(&incoming)?;
        Ok(Self { root })
    }

    /// Returns the path of the file with a name, or `None` if the name is invalid.
    fn place(&self, sha256: &str) -> Option<PathBuf> {
        let is_name = sha256.len() == 64
            && sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        is_name.then(|| self.root.join(&sha256[..2]).join(sha256))
    }
}

#[async_trait]
impl FileStore for LocalFiles {
    async fn put(
        &self,
        mut content: BoxStream<'_, Result<Bytes, io::Error>>,
        limit: u64,
    ) -> Result<StoredObject, StoreError> {
        let incoming = Incoming(self.root.join(INCOMING).join(Uuid::new_v4().to_string()));
        let mut file = File::create_new(&incoming.0).await.map_err(unavailable)?;
        let (mut sha256, mut md5, mut size) = (Sha256::new(), Md5::new(), 0_u64);
        while let Some(chunk) = content.next().await {
            let chunk = chunk?;
            size += chunk.len() as u64;
            if size > limit {
                let message = format!("a file has at most {limit} bytes");
                return Err(StoreError::Limit { message });
            }
            sha256.update(&chunk);
            md5.update(&chunk);
            file.write_all(&chunk).await.map_err(unavailable)?;
        }
        file.flush().await.map_err(unavailable)?;
        file.sync_all().await.map_err(unavailable)?;
        drop(file);

        let object = StoredObject {
            sha256: sha256.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
            md5: BASE64_STANDARD.encode(md5.finalize()),
            size,
        };
        let place = self.root.join(&object.sha256[..2]).join(&object.sha256);
        if self.len(&object.sha256).await? == Some(size) {
            return Ok(object);
        }
        let folder = self.root.join(&object.sha256[..2]);
        let made = folder.clone();
        let made = tokio::task::spawn_blocking(move || create_dir_all_synced(&made)).await;
        made.map_err(io::Error::other).flatten().map_err(unavailable)?;
        fs::rename(&incoming.0, &place).await.map_err(unavailable)?;
        sync_folder(&folder).await?;
        sync_folder(&self.root).await?;
        Ok(object)
    }

    async fn len(&self, sha256: &str) -> Result<Option<u64>, StoreError> {
        let Some(place) = self.place(sha256) else { return Ok(None) };
        match fs::metadata(place).await {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn read(
        &self,
        sha256: &str,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, io::Error>>, StoreError> {
        let no_file = || StoreError::Io { reason: format!("no file {sha256:?}") };
        let mut file = File::open(self.place(sha256).ok_or_else(no_file)?).await?;
        file.seek(io::SeekFrom::Start(range.start)).await?;
        let rest = file.take(range.end.saturating_sub(range.start));
        let chunks = stream::try_unfold(rest, |mut rest| async move {
            let mut chunk = bytes::BytesMut::with_capacity(READ_BYTES);
            let length = rest.read_buf(&mut chunk).await?;
            Ok((length > 0).then(|| (chunk.freeze(), rest)))
        });
        Ok(chunks.boxed())
    }
}

/// A file that is being written. It is deleted on drop unless it was moved to its place.
struct Incoming(PathBuf);

impl Drop for Incoming {
    fn drop(&mut self) {
        // It was moved, or the next start removes it.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Syncs the names in a folder.
async fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).await.map_err(unavailable)?.sync_all().await.map_err(unavailable)
}

fn unavailable(error: io::Error) -> StoreError {
    StoreError::Unavailable { reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(chunks: &[&'static str]) -> BoxStream<'static, Result<Bytes, io::Error>> {
        let chunks: Vec<_> = chunks.iter().map(|chunk| Ok(Bytes::from(*chunk))).collect();
        stream::iter(chunks).boxed()
    }

    async fn read(files: &LocalFiles, name: &str, range: Range<u64>) -> String {
        let chunks = files.read(name, range).await.unwrap();
        let chunks: Vec<Bytes> = chunks.map(Result::unwrap).collect().await;
        String::from_utf8(chunks.concat()).unwrap()
    }

    fn incoming(files: &LocalFiles) -> usize {
        std::fs::read_dir(files.root.join(INCOMING)).unwrap().count()
    }

    #[tokio::test]
    async fn files_are_named_by_their_content() {
        let folder = tempfile::tempdir().unwrap();
        let files = LocalFiles::open(folder.path()).unwrap();
        let hello = files.put(content(&["hel", "", "lo"]), 5).await.unwrap();
        assert_eq!(
            hello.sha256,
            "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
        );
        assert_eq!((hello.md5.as_str(), hello.size), ("XUFAKrxLKna5cZ2REBfFkg==", 5));
        assert_eq!(files.put(content(&["hello"]), 5).await.unwrap(), hello);
        assert_eq!(files.len(&hello.sha256).await.unwrap(), Some(5));
        assert_eq!(read(&files, &hello.sha256, 0..5).await, "hello");
        assert_eq!(read(&files, &hello.sha256, 1..3).await, "el");
        assert_eq!(read(&files, &hello.sha256, 4..9).await, "o");
        let empty = files.put(content(&[]), 0).await.unwrap();
        assert_eq!(read(&files, &empty.sha256, 0..0).await, "");
        assert_eq!(incoming(&files), 0);
    }

    #[tokio::test]
    async fn what_is_too_long_or_breaks_off_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let files = LocalFiles::open(folder.path()).unwrap();
        let long = files.put(content(&["hel", "lo"]), 4).await;
        assert!(matches!(long, Err(StoreError::Limit { .. })));
        let broken = stream::iter([Ok(Bytes::from("hel")), Err(io::Error::other("gone"))]);
        assert!(files.put(broken.boxed(), 9).await.is_err());
        assert_eq!(incoming(&files), 0);

        // Incomplete files of a killed process are removed at the next start.
        std::fs::write(folder.path().join(INCOMING).join("half"), "hel").unwrap();
        let files = LocalFiles::open(folder.path()).unwrap();
        assert_eq!(incoming(&files), 0);
    }

    #[tokio::test]
    async fn odd_names_are_no_files() {
        let folder = tempfile::tempdir().unwrap();
        let files = LocalFiles::open(folder.path()).unwrap();
        let digits = "a".repeat(64);
        for name in ["", "../../etc/passwd", &"A".repeat(64), &"/".repeat(64), &digits] {
            assert_eq!(files.len(name).await.unwrap(), None);
            assert!(files.read(name, 0..1).await.is_err());
        }
    }
}
