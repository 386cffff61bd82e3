//! Tables in a bucket: an object store in memory that fails as real ones do.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result,
};
use streamtable_store::{
    Append as _, Batch, OnDuplicate, Read as _, Store as _, StoreError, conformance,
};
use streamtable_store_embedded::{EmbeddedStore, StoreConfig, TablesPlace};

use crate::support::{Folder, NOTHING, batch, lines, log, number, table};

/// What goes wrong in a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Fault {
    Nothing,
    /// Each request fails.
    Away,
    /// Each object is stored, and the answer is lost: the client's retry gets the error that it exists.
    LostAnswers,
    /// Two requests meet: the client gets the error that the object exists, although it does not.
    Conflict,
    /// Two writers may both create an object.
    Racy,
    /// The key may do nothing.
    Forbidden,
    /// A request for more than 8 MiB takes too long.
    Narrow,
}

/// A bucket in memory with faults.
#[derive(Debug)]
struct Faulty {
    objects: InMemory,
    fault: AtomicU8,
    /// Every so often a request meets the fault; 1 for each.
    every: AtomicU64,
    requests: AtomicU64,
}

impl Faulty {
    fn new() -> Arc<Self> {
        let (fault, every) = (AtomicU8::new(0), AtomicU64::new(1));
        Arc::new(Self { objects: InMemory::new(), fault, every, requests: AtomicU64::new(0) })
    }

    fn set(&self, fault: Fault, every: u64) {
        self.every.store(every, Ordering::SeqCst);
        self.fault.store(fault as u8, Ordering::SeqCst);
    }

    fn meets(&self, fault: Fault) -> bool {
        self.fault.load(Ordering::SeqCst) == fault as u8
            && self
                .requests
                .fetch_add(1, Ordering::SeqCst)
                .is_multiple_of(self.every.load(Ordering::SeqCst))
    }

    fn check(&self) -> Result<()> {
        if self.meets(Fault::Away) {
            return Err(Error::Generic { store: "bucket", source: "503 Slow Down".into() });
        }
        if self.meets(Fault::Forbidden) {
            return Err(Error::PermissionDenied {
                path: String::new(),
                source: "AKIASECRET".into(),
            });
        }
        Ok(())
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty")
    }
}

fn exists(path: &Path) -> Error {
    Error::AlreadyExists { path: path.to_string(), source: "412".into() }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        path: &Path,
        content: PutPayload,
        mut options: PutOptions,
    ) -> Result<PutResult> {
        self.check()?;
        if content.content_length() > 8 << 20 && self.meets(Fault::Narrow) {
            return Err(Error::Generic { store: "bucket", source: "timed out".into() });
        }
        let creates = options.mode == PutMode::Create;
        if creates && self.meets(Fault::Conflict) {
            return Err(exists(path));
        }
        if creates && self.meets(Fault::Racy) {
            options.mode = PutMode::Overwrite;
        }
        let put = self.objects.put_opts(path, content, options).await?;
        if self.meets(Fault::LostAnswers) {
            return Err(if creates {
                exists(path)
            } else {
                Error::Generic { store: "bucket", source: "connection reset".into() }
            });
        }
        Ok(put)
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.check()?;
        self.objects.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.check()?;
        let is_part = options.range.is_some();
        let mut found = self.objects.get_opts(path, options).await?;
        if !is_part && found.meta.size > 8 << 20 && self.meets(Fault::Narrow) {
            let failed = Error::Generic { store: "bucket", source: "timed out".into() };
            found.payload = GetResultPayload::Stream(stream::iter([Err(failed)]).boxed());
        }
        Ok(found)
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.check()?;
        self.objects.get_ranges(path, ranges).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        match self.check() {
            Err(error) => stream::once(async { Err(error) }).boxed(),
            Ok(()) => self.objects.delete_stream(paths),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.check() {
            Err(error) => stream::once(async { Err(error) }).boxed(),
            Ok(()) => self.objects.list(prefix),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.check()?;
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.check()?;
        self.objects.copy_opts(from, to, options).await
    }
}

fn config(folder: &Folder, bucket: &Arc<Faulty>) -> StoreConfig {
    let objects: Arc<dyn ObjectStore> = Arc::<Faulty>::clone(bucket);
    let url = "memory://bucket/some/prefix".parse().unwrap();
    let place = TablesPlace::with_objects(url, objects).unwrap();
    StoreConfig { tables: Some(place), ..folder.config() }
}

async fn open(folder: &Folder, bucket: &Arc<Faulty>) -> EmbeddedStore {
    folder.open_with(config(folder, bucket)).await
}

async fn refusal(folder: &Folder, bucket: &Arc<Faulty>) -> String {
    folder.try_open(config(folder, bucket)).await.unwrap_err().to_string()
}

async fn problems(store: &EmbeddedStore) -> String {
    format!("{:?}", store.health().await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_with_tables_in_a_bucket_conforms() {
    let (folder, bucket) = (Folder::new(), Faulty::new());
    let store = Arc::new(open(&folder, &bucket).await);
    assert_eq!(conformance::run_all(&*store, "fresh").await, NOTHING);
    store.flush().await.unwrap();
    assert_eq!(conformance::run_all(&store, "flushed").await, NOTHING);
    assert!(folder.files("tables", "").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_conforms_while_answers_are_lost() {
    let (folder, bucket) = (Folder::new(), Faulty::new());
    let store = open(&folder, &bucket).await;
    bucket.set(Fault::LostAnswers, 3);
    assert_eq!(conformance::run_all(&store, "lost").await, NOTHING);
}

/// Also in a runtime with one thread, which callers block.
#[tokio::test]
async fn tables_are_found_again_with_the_log_alone() {
    let (folder, bucket) = (Folder::new(), Faulty::new());
    let store = open(&folder, &bucket).await;
    log(&store, "a", 0..10).await;
    store.flush().await.unwrap();
    log(&store, "b", 0..5).await;
    drop(store);
    let store = open(&folder, &bucket).await;
    assert_eq!(lines(&store, "a").await, (0..10).collect::<Vec<_>>());
    assert_eq!(number(&store, "select count(*) from requests").await, 15);
    // Lines of the bucket's state are known, and are not stored again.
    assert_eq!(log(&store, "a", 0..10).await.repeated, 10);
    assert_eq!(store.verify().await.unwrap(), NOTHING);
    assert_eq!(store.health().await, Default::default());
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_wait_in_the_log_while_the_bucket_is_away() {
    let (folder, bucket) = (Folder::new(), Faulty::new());
    let store = open(&folder, &bucket).await;
    log(&store, "a", 0..10).await;
    store.flush().await.unwrap();
    bucket.set(Fault::Away, 1);
    log(&store, "a", 10..20).await;
    let error = store.flush().await.unwrap_err().to_string();
    assert!(error.contains("503"), "{error}");
    assert!(problems(&store).await.contains("the rows stay in the log"));
    // Nothing is taken for damaged or missing.
    let _ = store.verify().await;
    let unread = store.read(&table(), 0, 100).await.unwrap_err();
    assert!(matches!(unread, StoreError::Unreachable { .. }), "{unread:?}");
    assert!(unread.to_string().contains("503"), "{unread}");
    assert!(!problems(&store).await.contains("amage"), "{}", problems(&store).await);
    drop(store);
    assert!(refusal(&folder, &bucket).await.contains("503"));
    bucket.set(Fault::Nothing, 1);
    let store = open(&folder, &bucket).await;
    assert_eq!(lines(&store, "a").await, (0..20).collect::<Vec<_>>());
    store.flush().await.unwrap();
    assert_eq!(store.verify().await.unwrap(), NOTHING);
    assert_eq!(store.health().await, Default::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_lose_and_repeat_no_row() {
    for fault in [Fault::Away, Fault::LostAnswers, Fault::Conflict] {
        for every in [2, 3, 5, 7, 13] {
            let (folder, bucket) = (Folder::new(), Faulty::new());
            let mut store = open(&folder, &bucket).await;
            for round in 0..12 {
                bucket.set(fault, every);
                log(&store, "a", 10 * round..10 * round + 10).await;
                let _ = store.flush().await;
                bucket.set(Fault::Nothing, 1);
                if round % 5 == 4 {
                    drop(store);
                    store = open(&folder, &bucket).await;
                }
            }
            store.flush().await.unwrap();
            let all: Vec<u64> = (0..120).collect();
            assert_eq!(lines(&store, "a").await, all, "{fault:?} {every}");
            assert_eq!(store.verify().await.unwrap(), NOTHING, "{fault:?} {every}");
            drop(store);
            let store = open(&folder, &bucket).await;
            assert_eq!(lines(&store, "a").await, all, "{fault:?} {every}");
            let found = problems(&store).await;
            assert!(!found.contains("FileLost") && !found.contains("StateDamaged"), "{found}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_files_are_written_in_parts() {
    const ROWS: u64 = 12_000;
    let (folder, bucket) = (Folder::new(), Faulty::new());
    let store = open(&folder, &bucket).await;
    bucket.set(Fault::Narrow, 1);
    let mut random = 1_u64;
    let mut hex = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        format!("{random:016x}")
    };
    for first in (0..ROWS).step_by(1_000) {
        let row = |n| {
            let text: String = (0..128).map(|_| hex()).collect();
            format!(r#"{{"n":{n},"text":"{text}"}}"#)
        };
        let lines = (first..first + 1_000).map(row).collect();
        let on_duplicate = OnDuplicate::Replace;
        store.append(Batch { on_duplicate, ..batch("a", first, lines) }).await.unwrap();
    }
    store.flush().await.unwrap();
    let listed = bucket.objects.list(None).try_collect::<Vec<_>>().await.unwrap();
    let sizes = listed.iter().map(|object| object.size);
    assert!(sizes.max().unwrap() > 8 << 20, "no file is large");
    assert_eq!(store.verify().await.unwrap(), NOTHING);
    drop(store);
    let store = open(&folder, &bucket).await;
    let sql = "select count(distinct text) from requests";
    assert_eq!(number(&store, sql).await, ROWS as i64);
    // The whole file is read and written again without the row that is replaced.
    let replaced = vec![r#"{"n":0,"text":"another"}"#.to_owned()];
    let on_duplicate = OnDuplicate::Replace;
    store.append(Batch { on_duplicate, ..batch("a", 0, replaced) }).await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(number(&store, sql).await, ROWS as i64);
    assert_eq!(store.verify().await.unwrap(), NOTHING);
    store.close().await.unwrap();
}

#[tokio::test]
async fn buckets_that_cannot_be_used_are_refused() {
    let (folder, bucket) = (Folder::new(), Faulty::new());
    bucket.set(Fault::Racy, 1);
    let racy = refusal(&folder, &bucket).await;
    assert!(racy.contains("If-None-Match") && racy.contains("8 of 8 writers"), "{racy}");
    bucket.set(Fault::Racy, 4);
    assert!(refusal(&folder, &bucket).await.contains("writers created the same object"));
    bucket.set(Fault::Forbidden, 1);
    let forbidden = refusal(&folder, &bucket).await;
    assert!(forbidden.contains("access denied") && !forbidden.contains("AKIA"), "{forbidden}");
    bucket.set(Fault::Nothing, 1);
    open(&folder, &bucket).await.close().await.unwrap();
}

#[tokio::test]
async fn tables_belong_to_one_log() {
    let (folder, bucket) = (Folder::new(), Faulty::new());
    let store = open(&folder, &bucket).await;
    log(&store, "a", 0..10).await;
    store.close().await.unwrap();
    drop(store);
    // Another log may not write these tables.
    let other = Folder::new();
    assert!(refusal(&other, &bucket).await.contains("tables of another store"));
    // Its own folder remains free.
    other.open().await.close().await.unwrap();
    // The log may not be used without them, or with an empty bucket.
    let without = folder.try_open(folder.config()).await.unwrap_err().to_string();
    assert!(without.contains("--store memory://bucket/some/prefix"), "{without}");
    let place = TablesPlace::with_objects("memory://empty".parse().unwrap(), Faulty::new());
    let config = StoreConfig { tables: Some(place.unwrap()), ..folder.config() };
    let elsewhere = folder.try_open(config).await.unwrap_err().to_string();
    assert!(elsewhere.contains("not at memory://empty"), "{elsewhere}");
    // A folder with tables of its own does not hide them.
    let own = Folder::new();
    let store = own.open().await;
    log(&store, "a", 0..10).await;
    store.flush().await.unwrap();
    drop(store);
    assert!(refusal(&own, &Faulty::new()).await.contains("has tables"));
    // If a log is lost for good, its tables can be given to a new one.
    bucket.objects.delete(&"some/prefix/_streamtable/owner".into()).await.unwrap();
    let store = open(&other, &bucket).await;
    assert_eq!(lines(&store, "a").await.len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_may_be_in_another_folder() {
    let (folder, elsewhere) = (Folder::new(), tempfile::tempdir().unwrap());
    let url = url::Url::from_directory_path(elsewhere.path()).unwrap();
    let place = TablesPlace::open(url.as_str()).unwrap();
    let store = folder.open_with(StoreConfig { tables: Some(place), ..folder.config() }).await;
    log(&store, "a", 0..10).await;
    store.flush().await.unwrap();
    assert_eq!(lines(&store, "a").await.len(), 10);
    assert!(elsewhere.path().join("tables/me/shop/requests/_delta_log").exists());
    assert_eq!(conformance::run_all(&store, "fresh").await, NOTHING);
    store.flush().await.unwrap();
    assert_eq!(conformance::run_all(&store, "flushed").await, NOTHING);
    assert!(folder.files("tables", "").is_empty());
}

#[test]
fn urls_of_places() {
    #[track_caller]
    fn refused(url: &str, expected: &str) {
        let error = TablesPlace::open(url).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("secret"), "{error}");
    }
    refused("bucket/prefix", "cannot be read");
    refused("s3:///prefix", "names no bucket");
    refused("https://bucket/prefix", "expected a URL s3://");
    refused("s3://key:secret@bucket/prefix", "must not contain credentials");
}
