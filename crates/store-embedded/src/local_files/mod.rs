//! Content-addressed files, stored next to the tables.

mod check;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use md5::Md5;
use sha2::{Digest, Sha256};
use streamtable_store::{FileStore, Problem, StoreError, StoredObject};
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use uuid::Uuid;

use crate::disk::{create_dir_all_synced, named, open_regular, sync_folder};
use check::Checks;

/// How much of a file is read at a time.
const READ_BYTES: usize = 64 << 10;

/// The folder of incoming files. Files found in it at start are incomplete.
const INCOMING: &str = "incoming";

/// Files in a folder, each under its name in a subfolder named by the first two digits.
///
/// A file is written to a temporary place, synced, and then renamed, so that a file under its final
/// name is always complete. A file whose content does not match its name is moved to `damaged`.
#[derive(Clone, Debug)]
pub struct LocalFiles {
    root: PathBuf,
    checks: Arc<Checks>,
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
        let checks = Arc::new(Checks::new(root.clone()));
        Ok(Self { root, checks })
    }

    /// Returns the path of the file with a name, or `None` if the name is invalid.
    fn place(&self, sha256: &str) -> Option<PathBuf> {
        let is_name = sha256.len() == 64
            && sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        is_name.then(|| self.root.join(&sha256[..2]).join(sha256))
    }

    /// Runs a check of a file on a thread that may block. Returns `None` if the name is invalid.
    async fn check<T: Send + 'static>(
        &self,
        sha256: &str,
        check: impl FnOnce(&Checks, &str, &Path) -> io::Result<T> + Send + 'static,
    ) -> Result<Option<T>, StoreError> {
        let Some(place) = self.place(sha256) else { return Ok(None) };
        let (checks, name) = (Arc::clone(&self.checks), sha256.to_owned());
        let checked = tokio::task::spawn_blocking(move || check(&checks, &name, &place));
        Ok(Some(checked.await??))
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
            sha256: hex(&sha256.finalize()),
            md5: BASE64_STANDARD.encode(md5.finalize()),
            size,
        };
        let folder = self.root.join(&object.sha256[..2]);
        let place = folder.join(&object.sha256);
        // Replaces the file even if it exists, because it may be damaged.
        if fs::symlink_metadata(&place).await.is_ok_and(|it| it.is_dir()) {
            self.check(&object.sha256, Checks::set_aside).await?;
        }
        let root = self.root.clone();
        let moved = tokio::task::spawn_blocking(move || {
            create_dir_all_synced(&folder)?;
            std::fs::rename(&incoming.0, &place)?;
            sync_folder(&folder)?;
            sync_folder(&root)
        });
        moved.await.map_err(io::Error::other).flatten().map_err(unavailable)?;
        self.check(&object.sha256, Checks::stored).await?;
        Ok(object)
    }

    async fn len(&self, sha256: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.check(sha256, Checks::len).await?.flatten())
    }

    async fn verify(&self, sha256: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.check(sha256, Checks::verify).await?.flatten())
    }

    fn problems(&self) -> Vec<Problem> {
        self.checks.problems()
    }

    async fn read(
        &self,
        sha256: &str,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, io::Error>>, StoreError> {
        let no_file = || StoreError::Io { reason: format!("no file {sha256:?}") };
        let place = self.place(sha256).ok_or_else(no_file)?;
        let opened = place.clone();
        let file = tokio::task::spawn_blocking(move || open_regular(&opened)).await??;
        let mut file = File::from_std(file);
        let is_whole = range.start == 0 && range.end >= file.metadata().await?.len();
        file.seek(io::SeekFrom::Start(range.start)).await?;
        let rest = file.take(range.end.saturating_sub(range.start));
        let reading = Reading {
            files: self.clone(),
            name: sha256.to_owned(),
            place,
            rest,
            hash: is_whole.then(Sha256::new),
            held: None,
        };
        Ok(stream::try_unfold(reading, Reading::next).boxed())
    }
}

/// A file that is being read.
struct Reading {
    files: LocalFiles,
    name: String,
    place: PathBuf,
    rest: tokio::io::Take<File>,
    /// The hash of the chunks that were read; `None` if only a part of the file is read.
    hash: Option<Sha256>,
    /// A chunk that may be the last one. It is passed on once it is known that the hash is right.
    held: Option<Bytes>,
}

impl Reading {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, io::Error> {
        loop {
            let mut chunk = bytes::BytesMut::with_capacity(READ_BYTES);
            let length = self.rest.read_buf(&mut chunk).await.map_err(named(&self.place))?;
            let chunk = (length > 0).then(|| chunk.freeze());
            match (&mut self.hash, &chunk) {
                (None, _) => return Ok(chunk.map(|chunk| (chunk, self))),
                (Some(hash), Some(chunk)) => hash.update(chunk),
                (Some(hash), None) => {
                    let found = hex(&hash.finalize_reset());
                    if found != self.name {
                        // Moves the file aside, unless it was replaced in the meantime.
                        let _ = self.files.verify(&self.name).await;
                        return Err(io::Error::other(format!("{} is damaged", self.name)));
                    }
                    self.hash = None;
                }
            }
            if let Some(held) = std::mem::replace(&mut self.held, chunk) {
                return Ok(Some((held, self)));
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file that is being written. It is deleted on drop unless it was moved to its place.
struct Incoming(PathBuf);

impl Drop for Incoming {
    fn drop(&mut self) {
        // It was moved, or the next start removes it.
        let _ = std::fs::remove_file(&self.0);
    }
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

    /// Ways to damage a stored file.
    const DAMAGES: [fn(&Path); 6] = [
        |path| std::fs::write(path, "jello").unwrap(),
        |path| std::fs::write(path, "hel").unwrap(),
        |path| std::fs::write(path, "").unwrap(),
        |path| std::fs::remove_file(path).unwrap(),
        |path| {
            std::fs::remove_file(path).unwrap();
            std::fs::create_dir(path).unwrap();
        },
        |path| {
            std::fs::remove_file(path).unwrap();
            std::os::unix::fs::symlink(path, path).unwrap();
        },
    ];

    #[tokio::test]
    async fn damaged_files_are_absent_until_they_are_stored_again() {
        for damage in DAMAGES {
            let folder = tempfile::tempdir().unwrap();
            let files = LocalFiles::open(folder.path()).unwrap();
            let hello = files.put(content(&["hello"]), 5).await.unwrap();
            damage(&files.place(&hello.sha256).unwrap());
            assert!(!matches!(files.len(&hello.sha256).await, Ok(Some(_))));
            assert!(!matches!(files.verify(&hello.sha256).await, Ok(Some(_))));
            assert_eq!(files.problems().len(), 1);
            // Also after a restart.
            let files = LocalFiles::open(folder.path()).unwrap();
            assert!(!matches!(files.verify(&hello.sha256).await, Ok(Some(_))));
            assert_eq!(files.problems().len(), 1);
            assert_eq!(files.put(content(&["hello"]), 5).await.unwrap(), hello);
            assert_eq!(files.verify(&hello.sha256).await.unwrap(), Some(5));
            assert_eq!(read(&files, &hello.sha256, 0..5).await, "hello");
            assert_eq!(files.problems(), []);
        }
    }

    #[tokio::test]
    async fn a_read_of_a_damaged_file_fails_before_its_last_chunk() {
        let folder = tempfile::tempdir().unwrap();
        let files = LocalFiles::open(folder.path()).unwrap();
        let bytes = Bytes::from(vec![7; 3 * READ_BYTES]);
        let stored = files.put(stream::iter([Ok(bytes.clone())]).boxed(), 1 << 20).await.unwrap();
        let mut damaged = bytes.to_vec();
        damaged[5] ^= 1;
        let chunks = files.read(&stored.sha256, 0..stored.size).await.unwrap();
        // Overwrites the file that is already open.
        std::fs::write(files.place(&stored.sha256).unwrap(), damaged).unwrap();
        let chunks: Vec<_> = chunks.collect().await;
        let good: usize = chunks.iter().flatten().map(Bytes::len).sum();
        assert!(chunks.last().unwrap().is_err() && good < bytes.len());
        assert_eq!(files.len(&stored.sha256).await.unwrap(), None);
        assert_eq!(files.problems().len(), 1);
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
