use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    PutMultipartOptions, PutResult,
};

use super::*;
use crate::conformance;

/// A bucket whose requests fail in turn in different ways.
#[derive(Debug)]
struct Faulty {
    store: InMemory,
    count: AtomicU64,
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bucket with faults")
    }
}

impl Faulty {
    /// Returns a number that is different for consecutive requests, from 0 to 6.
    fn turn(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed) % 7
    }
}

fn lost() -> Error {
    Error::Generic { store: "faulty", source: "503 Slow Down".into() }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        match self.turn() {
            // A 409 after which nothing is stored.
            1 => Err(Error::AlreadyExists {
                path: location.to_string(),
                source: "409 ConditionalRequestConflict".into(),
            }),
            2 => Err(lost()),
            // Stored, but the response is lost.
            4 => {
                let _ = self.store.put_opts(location, payload, options).await;
                Err(lost())
            }
            _ => self.store.put_opts(location, payload, options).await,
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(location, options).await
    }

    async fn get_opts(
        &self,
        location: &Path,
        options: GetOptions,
    ) -> object_store::Result<GetResult> {
        if self.turn() == 3 {
            return Err(lost());
        }
        self.store.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

async fn check_conformance(store: Arc<dyn ObjectStore>) {
    let open = |name: String| {
        let store = Arc::clone(&store);
        async move {
            let config = BucketLogConfig { pause: Duration::ZERO, ..BucketLogConfig::default() };
            let log = BucketLog::open(store, name.into(), config).await;
            log.map_err(|error| error.to_string())
        }
    };
    assert_eq!(conformance::run_all(open).await, Vec::<String>::new());
}

#[tokio::test]
async fn conformance_in_memory() {
    check_conformance(Arc::new(InMemory::new())).await;
}

#[tokio::test]
async fn conformance_with_faults() {
    for count in 0..7 {
        let count = AtomicU64::new(count);
        check_conformance(Arc::new(Faulty { store: InMemory::new(), count })).await;
    }
}

/// Opens a log whose clock shows a number of minutes that the test sets.
async fn timed(store: &Arc<dyn ObjectStore>) -> (BucketLog, Arc<AtomicU64>) {
    let config = BucketLogConfig::default();
    let mut log = BucketLog::open(Arc::clone(store), "log".into(), config).await.unwrap();
    let minutes = Arc::new(AtomicU64::new(0));
    let shown = Arc::clone(&minutes);
    log.clock = Clock::new(move || Duration::from_secs(60 * shown.load(Ordering::Relaxed)));
    (log, minutes)
}

async fn names(store: &dyn ObjectStore) -> Vec<String> {
    let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
    let mut names: Vec<_> = objects.iter().map(|it| it.location.to_string()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_node_that_slept_acks_nothing() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let ((awake, minutes), (sleeper, wakes)) = (timed(&store).await, timed(&store).await);
    assert_eq!(sleeper.read(1).await, Ok(vec![]));
    for at in 1..4 {
        let appended = awake.append(at, FrameId::random(), "frame".into()).await;
        assert_eq!(appended, Ok(Appended::Durable));
    }
    awake.trim(4).await.unwrap();
    minutes.store(9, Ordering::Relaxed);
    awake.trim(4).await.unwrap();
    assert_eq!(names(&*store).await.len(), 4, "frames are deleted after 10 minutes");
    minutes.store(10, Ordering::Relaxed);
    awake.trim(4).await.unwrap();
    assert_eq!(names(&*store).await, ["log/base"]);

    wakes.store(60, Ordering::Relaxed);
    let trimmed = Err(LogError::Trimmed { number: 1, base: 4 });
    assert_eq!(sleeper.append(1, FrameId::random(), "late".into()).await, trimmed);
    assert_eq!(names(&*store).await.len(), 2, "the bucket has accepted the frame");
    wakes.store(120, Ordering::Relaxed);
    let trimmed = LogError::Trimmed { number: 1, base: 4 };
    assert_eq!(sleeper.read(1).await, Err(trimmed));
    awake.trim(4).await.unwrap();
    assert_eq!(names(&*store).await, ["log/base"]);
}

#[tokio::test]
async fn a_log_that_lost_its_base_is_not_created_again() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (log, _) = timed(&store).await;
    log.append(1, FrameId::random(), "frame".into()).await.unwrap();
    store.delete(&"log/base".into()).await.unwrap();
    let opened = BucketLog::open(store, "log".into(), BucketLogConfig::default()).await;
    assert!(matches!(opened, Err(LogError::Damaged { .. })));
}
