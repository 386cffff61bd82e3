//! The folders of tables, on a local disk or in a bucket of an object store.

mod bucket;
mod claim;
mod connect;
mod local;
mod probe;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::{Buf as _, Bytes};
use object_store::ObjectStore;
use object_store::path::Path as Key;
use parquet::file::reader::{ChunkReader, Length};

use crate::copies::{CopyFolder, ReadCopy};

pub(crate) use bucket::Bucket;
pub(crate) use claim::{TABLES_AT, claim, copied_mark, tables_of};
pub use connect::TablesPlace;

/// A folder of files: a local one, or the objects of a bucket whose keys begin with a path.
///
/// All calls block. When a call that writes returns, the data survives a power cut.
#[derive(Clone)]
pub(crate) enum Folder {
    Local(PathBuf),
    Bucket(Arc<Bucket>, Key),
}

/// A name in a folder.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) folder: Folder,
    /// The error says that there is something that cannot be looked at, such as a broken link.
    pub(crate) found: io::Result<Meta>,
}

/// Metadata of a file or folder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meta {
    pub(crate) is_folder: bool,
    pub(crate) bytes: u64,
    pub(crate) modified: Option<SystemTime>,
}

/// An open file for readers of Parquet.
#[derive(Debug)]
pub(crate) enum Input {
    Local(File),
    /// The whole content of an object.
    Bucket(Bytes),
}

/// An object store could not be asked. This says nothing about the object.
#[derive(Debug, thiserror::Error)]
#[error("the bucket cannot be used now: {reason}")]
struct Unavailable {
    reason: String,
}

/// Returns whether an error says that a bucket could not be asked, in contrast to an answer of it.
pub(crate) fn is_unavailable(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Unavailable>())
}

impl Folder {
    /// Returns the file or folder of this name in this folder.
    pub(crate) fn join(&self, names: &str) -> Self {
        match self {
            Self::Local(path) => Self::Local(path.join(names)),
            Self::Bucket(bucket, key) => {
                let key = names.split('/').fold(key.clone(), |key, name| bucket::below(&key, name));
                Self::Bucket(Arc::clone(bucket), key)
            }
        }
    }

    /// Returns the path: for messages, and to compare it with others in the same place.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Local(path) => path,
            Self::Bucket(_, key) => Path::new(key.as_ref()),
        }
    }

    /// Returns the local path. `None` in a bucket.
    pub(crate) fn local(&self) -> Option<&Path> {
        match self {
            Self::Local(path) => Some(path),
            Self::Bucket(..) => None,
        }
    }

    /// Returns a display of the path, relative to another folder if it is below that.
    pub(crate) fn shown<'a>(&'a self, root: &Self) -> std::path::Display<'a> {
        self.path().strip_prefix(root.path()).unwrap_or(self.path()).display()
    }

    /// Returns whether this is the other folder or below it.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        self.path().starts_with(other.path())
    }

    /// Writes a new file, and creates the folder if it is missing. Leaves nothing behind on failure,
    /// or a file that nothing names.
    pub(crate) fn create_file(&self, name: &str, content: Vec<u8>) -> io::Result<()> {
        match self {
            Self::Local(path) => local::create_file(path, name, &content),
            Self::Bucket(bucket, key) => bucket.put(&bucket::below(key, name), content),
        }
    }

    /// Creates a file that must not exist. Returns whether it has this content now.
    pub(crate) fn create_once(&self, name: &str, content: Vec<u8>) -> io::Result<bool> {
        match self {
            Self::Local(path) => local::create_once(path, name, &content),
            Self::Bucket(bucket, key) => bucket.create(&bucket::below(key, name), content),
        }
    }

    /// Replaces a file, and creates the folder if it is missing: afterwards the file has the new
    /// content or the old.
    pub(crate) fn replace(&self, name: &str, content: Vec<u8>) -> io::Result<()> {
        match self {
            Self::Local(path) => local::replace(path, name, &content),
            Self::Bucket(bucket, key) => bucket.put(&bucket::below(key, name), content),
        }
    }

    /// Reads a file.
    pub(crate) fn read(&self, name: &str) -> io::Result<Bytes> {
        match self {
            Self::Local(path) => crate::disk::read_regular(&path.join(name)).map(Bytes::from),
            Self::Bucket(bucket, key) => bucket.get(&bucket::below(key, name)),
        }
    }

    /// Passes on the content of a file in pieces.
    pub(crate) fn read_pieces(
        &self,
        name: &str,
        pass_on: impl FnMut(&[u8]) + Send,
    ) -> io::Result<()> {
        match self {
            Self::Local(path) => local::read_pieces(&path.join(name), pass_on),
            Self::Bucket(bucket, key) => bucket.get_pieces(&bucket::below(key, name), pass_on),
        }
    }

    /// Opens a Parquet file.
    pub(crate) fn open(&self, name: &str) -> io::Result<Input> {
        match self {
            Self::Local(path) => crate::disk::open_regular(&path.join(name)).map(Input::Local),
            Self::Bucket(..) => self.read(name).map(Input::Bucket),
        }
    }

    /// Returns whether a file or folder of this name exists. Fails if a bucket could not be asked.
    pub(crate) fn has(&self, name: &str) -> io::Result<bool> {
        match self {
            Self::Local(path) => Ok(path.join(name).exists()),
            Self::Bucket(bucket, key) => bucket.has(&bucket::below(key, name)),
        }
    }

    /// Lists the folder, in the order of names. A folder that does not exist is an error on a disk,
    /// and empty in a bucket.
    pub(crate) fn list(&self) -> io::Result<Vec<Entry>> {
        match self {
            Self::Local(path) => local::list(path),
            Self::Bucket(bucket, key) => bucket.list(key),
        }
    }

    /// Deletes a file.
    pub(crate) fn remove_file(&self, name: &str) -> io::Result<()> {
        match self {
            Self::Local(path) => std::fs::remove_file(path.join(name)),
            Self::Bucket(bucket, key) => bucket.delete(&bucket::below(key, name)),
        }
    }

    /// Moves a file or a folder of this name to another place, whose folder is created. In a bucket
    /// this is not atomic: after a failure, parts may be in both places, but nothing is lost.
    pub(crate) fn rename(&self, name: &str, folder: &Self, new_name: &str) -> io::Result<()> {
        match (self, folder) {
            (Self::Local(from), Self::Local(to)) => local::rename(from, name, to, new_name),
            (Self::Bucket(bucket, from), Self::Bucket(_, to)) => {
                bucket.rename(&bucket::below(from, name), &bucket::below(to, new_name))
            }
            _ => Err(io::Error::other("a file cannot be moved between a disk and a bucket")),
        }
    }

    /// Makes a folder and its name durable. Buckets have no folders.
    pub(crate) fn create(&self) -> io::Result<()> {
        match self {
            Self::Local(path) => crate::disk::create_dir_all_synced(path),
            Self::Bucket(..) => Ok(()),
        }
    }

    /// Makes a file durable that was written by other means. An object is durable once it exists.
    pub(crate) fn sync_file(&self, name: &str) -> io::Result<()> {
        match self {
            Self::Local(path) => crate::disk::sync_file(&path.join(name)),
            Self::Bucket(..) => Ok(()),
        }
    }

    /// Returns the folder as an object store, for readers that are not blocking.
    pub(crate) fn objects(&self) -> io::Result<Arc<dyn ObjectStore>> {
        match self {
            Self::Local(path) => local::objects(path),
            Self::Bucket(bucket, key) => Ok(bucket.objects_below(key)),
        }
    }
}

impl CopyFolder for Folder {
    fn read_copy(&self, name: &str) -> io::Result<ReadCopy> {
        match self {
            Self::Local(path) => path.read_copy(name),
            Self::Bucket(..) => match self.read(name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                read => Ok(ReadCopy::of_disk(read.map(Vec::from))),
            },
        }
    }

    fn replace_copy(&self, name: &str, content: Vec<u8>) -> io::Result<()> {
        self.replace(name, content)
    }

    fn path_of_copy(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Folder").field(&self.path()).finish()
    }
}

impl PartialEq for Folder {
    /// Compares paths in the same place.
    fn eq(&self, other: &Self) -> bool {
        self.path() == other.path()
    }
}

impl From<PathBuf> for Folder {
    fn from(path: PathBuf) -> Self {
        Self::Local(path)
    }
}

impl From<&Path> for Folder {
    fn from(path: &Path) -> Self {
        Self::Local(path.to_owned())
    }
}

impl Length for Input {
    fn len(&self) -> u64 {
        match self {
            Self::Local(file) => Length::len(file),
            Self::Bucket(bytes) => bytes.len() as u64,
        }
    }
}

impl ChunkReader for Input {
    type T = Box<dyn Read + Send>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(match self {
            Self::Local(file) => Box::new(file.get_read(start)?),
            Self::Bucket(bytes) => {
                Box::new(bytes.slice(start.min(bytes.len() as u64) as usize..).reader())
            }
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        match self {
            Self::Local(file) => file.get_bytes(start, length),
            Self::Bucket(bytes) => bytes.get_bytes(start, length),
        }
    }
}
