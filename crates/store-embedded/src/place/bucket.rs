//! Objects of a bucket. Calls block; the requests run on a runtime of their own.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::{Arc, mpsc};
use std::time::SystemTime;

use bytes::Bytes;
use deltalake_core::logstore::{LogStoreRef, StorageConfig, default_logstore};
use futures_util::TryStreamExt as _;
use object_store::path::Path as Key;
use object_store::prefix::PrefixStore;
use object_store::{
    Error, MultipartUpload as _, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions,
    PutPayload,
};
use tokio::runtime::{Handle, Runtime};
use url::Url;

use super::{Entry, Folder, Meta, Unavailable};

/// Larger objects are written and read in parts of this size, so that a request's time limit does not
/// depend on the size of the object.
const PART: u64 = 8 << 20;

/// A bucket of an object store, or the part of it below a prefix.
pub(crate) struct Bucket {
    /// The objects of the whole bucket.
    objects: Arc<dyn ObjectStore>,
    url: Url,
    /// Runs all requests, so that a caller that blocks its own runtime does not stop them.
    runtime: Option<Runtime>,
}

impl fmt::Debug for Bucket {
    /// Shows no credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Returns the key of a name below another key. Both are as they are in the bucket: parsing them
/// from text would encode their `~`.
pub(super) fn below(key: &Key, name: &str) -> Key {
    let text = if key.as_ref().is_empty() { name.to_owned() } else { format!("{key}/{name}") };
    Key::parse(&text).unwrap_or_else(|_| Key::from(text))
}

impl Bucket {
    /// Creates a bucket. `connect` gets the runtime on which requests must run.
    pub(super) fn new(
        url: Url,
        connect: impl FnOnce(&Handle) -> Result<Arc<dyn ObjectStore>, Error>,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("streamtable-bucket")
            .enable_all()
            .build()?;
        match connect(runtime.handle()) {
            Ok(objects) => Ok(Self { objects, url, runtime: Some(runtime) }),
            Err(error) => {
                runtime.shutdown_background();
                Err(failed(error))
            }
        }
    }

    /// The key of the folder that the URL names.
    pub(super) fn prefix(&self) -> io::Result<Key> {
        Key::from_url_path(self.url.path()).map_err(io::Error::other)
    }

    /// Runs a request, and waits for its answer.
    pub(super) fn wait<T, F>(
        &self,
        request: impl FnOnce(Arc<dyn ObjectStore>) -> F,
    ) -> io::Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let Some(runtime) = &self.runtime else { return Err(io::Error::other("it is closed")) };
        let (send, answer) = mpsc::sync_channel(1);
        let request = request(Arc::clone(&self.objects));
        runtime.spawn(async move { drop(send.send(request.await)) });
        answer.recv().map_err(io::Error::other)?.map_err(failed)
    }

    pub(super) fn put(&self, key: &Key, content: Vec<u8>) -> io::Result<()> {
        let (key, content) = (key.clone(), Bytes::from(content));
        self.wait(|objects| async move {
            if content.len() as u64 > PART {
                return put_parts(&objects, &key, &content).await;
            }
            objects.put(&key, content.into()).await.map(drop)
        })
    }

    /// Creates an object that must not exist. Returns whether it has this content now, because of
    /// this call or an earlier one whose answer was lost.
    pub(super) fn create(&self, key: &Key, content: Vec<u8>) -> io::Result<bool> {
        /// How often a store may answer that an object exists that it does not have: some answer
        /// so if two requests for one key meet.
        const ATTEMPTS: usize = 5;
        for _ in 0..ATTEMPTS {
            let (at, payload) = (key.clone(), PutPayload::from(content.clone()));
            let options = PutOptions::from(PutMode::Create);
            let created = self.wait(|objects| async move {
                match objects.put_opts(&at, payload, options).await {
                    Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(false),
                    created => created.map(|_| true),
                }
            })?;
            if created {
                return Ok(true);
            }
            match self.get(key) {
                Ok(found) => return Ok(found == content),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other(format!("{key} is said to exist and cannot be read")))
    }

    pub(super) fn get(&self, key: &Key) -> io::Result<Bytes> {
        let key = key.clone();
        self.wait(|objects| async move {
            let found = objects.get(&key).await?;
            let size = found.meta.size;
            if size <= PART {
                return found.bytes().await;
            }
            drop(found);
            let mut content = Vec::with_capacity(size as usize);
            for start in (0..size).step_by(PART as usize) {
                let range = start..(start + PART).min(size);
                content.extend_from_slice(&objects.get_range(&key, range).await?);
            }
            Ok(content.into())
        })
    }

    pub(super) fn get_pieces(&self, key: &Key, mut pass_on: impl FnMut(&[u8])) -> io::Result<()> {
        let at = key.clone();
        let size = self.wait(|objects| async move { Ok(objects.head(&at).await?.size) })?;
        for start in (0..size).step_by(PART as usize) {
            let (at, range) = (key.clone(), start..(start + PART).min(size));
            pass_on(&self.wait(|objects| async move { objects.get_range(&at, range).await })?);
        }
        Ok(())
    }

    /// Returns whether an object has this key, or keys begin with it.
    pub(super) fn has(&self, key: &Key) -> io::Result<bool> {
        let key = key.clone();
        self.wait(|objects| async move {
            match objects.head(&key).await {
                Err(Error::NotFound { .. }) => {
                    Ok(objects.list(Some(&key)).try_next().await?.is_some())
                }
                found => found.map(|_| true),
            }
        })
    }

    pub(super) fn list(self: &Arc<Self>, key: &Key) -> io::Result<Vec<Entry>> {
        let at = key.clone();
        let listed =
            self.wait(|objects| async move { objects.list_with_delimiter(Some(&at)).await })?;
        let entry = |key: Key, meta| Entry {
            folder: Folder::Bucket(Arc::clone(self), key),
            found: Ok(meta),
        };
        let folder = Meta { is_folder: true, bytes: 0, modified: None };
        let folders = listed.common_prefixes.into_iter().map(|key| entry(key, folder));
        let files = listed.objects.into_iter().map(|found| {
            let modified = Some(SystemTime::from(found.last_modified));
            entry(found.location, Meta { is_folder: false, bytes: found.size, modified })
        });
        let mut entries: Vec<Entry> = folders.chain(files).collect();
        entries.sort_by(|a, b| a.folder.path().cmp(b.folder.path()));
        Ok(entries)
    }

    pub(super) fn delete(&self, key: &Key) -> io::Result<()> {
        let key = key.clone();
        self.wait(|objects| async move { objects.delete(&key).await })
    }

    /// Copies an object, or all objects below a key, then deletes the originals, the last name
    /// first: what is left of a log of commits is one of its former states.
    pub(super) fn rename(&self, from: &Key, to: &Key) -> io::Result<()> {
        let (from, to) = (from.clone(), to.clone());
        self.wait(|objects| async move {
            let listed = objects.list(Some(&from)).try_collect::<Vec<ObjectMeta>>().await?;
            let mut keys: Vec<Key> = listed.into_iter().map(|it| it.location).collect();
            if keys.is_empty() {
                keys.push(from.clone());
            }
            keys.sort();
            for key in &keys {
                let rest = key.as_ref().strip_prefix(from.as_ref()).unwrap_or_default();
                objects.copy(key, &Key::parse(format!("{to}{rest}"))?).await?;
            }
            for key in keys.iter().rev() {
                objects.delete(key).await?;
            }
            Ok(())
        })
    }

    pub(super) fn objects_below(&self, key: &Key) -> Arc<dyn ObjectStore> {
        Arc::new(PrefixStore::new(Arc::clone(&self.objects), key.clone()))
    }

    /// Returns the log of a Delta table in the bucket.
    pub(crate) fn delta_log(&self, key: &Key) -> LogStoreRef {
        let mut url = self.url.clone();
        url.set_path(&format!("/{key}/"));
        let below = self.objects_below(key);
        default_logstore(below, Arc::clone(&self.objects), &url, &StorageConfig::default())
    }
}

/// Writes an object in parts. It exists once all parts are written.
async fn put_parts(
    objects: &Arc<dyn ObjectStore>,
    key: &Key,
    content: &Bytes,
) -> Result<(), Error> {
    let mut upload = objects.put_multipart(key).await?;
    let written = async {
        for start in (0..content.len()).step_by(PART as usize) {
            let end = (start + PART as usize).min(content.len());
            upload.put_part(content.slice(start..end).into()).await?;
        }
        upload.complete().await.map(drop)
    };
    let written = written.await;
    if written.is_err() {
        // What remains is no object, and only takes space.
        let _ = upload.abort().await;
    }
    written
}

/// Converts an error of the object store. Everything but the absence of the object says nothing
/// about the object.
pub(super) fn failed(error: Error) -> io::Error {
    match error {
        Error::NotFound { path, .. } => {
            io::Error::new(io::ErrorKind::NotFound, format!("{path} does not exist"))
        }
        error => io::Error::other(Unavailable { reason: reason(&error) }),
    }
}

/// Returns an error's text without the body of the response: stores repeat there what they got,
/// such as the id of a key.
pub(super) fn reason(error: &Error) -> String {
    /// The addresses at which machines in a cloud get credentials.
    const CREDENTIALS: [&str; 2] = ["//169.254.", "metadata.google.internal"];
    match error {
        Error::PermissionDenied { .. } => {
            return "access denied (403): the key may not do this".to_owned();
        }
        Error::Unauthenticated { .. } => {
            return "access denied (401): there is no valid key".to_owned();
        }
        _ => {}
    }
    let mut cause: &dyn std::error::Error = error;
    let (mut text, mut whole) = (cause.to_string(), cause.to_string());
    let mut is_unanswered = false;
    while let Some(source) = cause.source() {
        text = source.to_string();
        whole.push_str(&text);
        is_unanswered |= source.is::<object_store::client::HttpError>();
        cause = source;
    }
    if CREDENTIALS.iter().any(|place| whole.contains(place)) {
        return "there are no credentials; set them as environment variables, such as \
                AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            .to_owned();
    }
    let end = text.find(['<', '\n']).unwrap_or(text.len());
    let text = text[..end].trim_end_matches([' ', ':']);
    match text {
        "" => "the store refused the request".to_owned(),
        text if is_unanswered => format!("no answer{}: {text}", from(&whole)),
        text => text.to_owned(),
    }
}

/// Returns which server did not answer, if an error names its URL. What follows may be a secret.
fn from(error: &str) -> String {
    let request = error.split_once("Error performing ").map(|(_, request)| request);
    let url = request.and_then(|request| Url::parse(request.split(' ').nth(1)?).ok());
    url.map_or_else(String::new, |url| format!(" from {}", url.origin().ascii_serialization()))
}
