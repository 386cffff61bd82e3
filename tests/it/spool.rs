//! The spool on a real disk: intact, damaged and copied spools of earlier processes.
//!
//! A table that is offline, or whose server is down, simulates a process that ends without
//! delivering its rows. Tests with killed processes are in `crash`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use streamtable::spool::{self, EntryState, Problem, SpoolConfig, SyncOptions, SyncPolicy, Tally};
use streamtable::{
    Append, AppendError, Appended, Backend, Builder, FlushFailure, Media, OpenError, Recovered,
    Refusal, Rejected, Settings, StreamTable, TablePath, WandbBackend, WhenFull, row,
};
use streamtable_mock_backend::{Fault, MockBackend, RequestKind};
use streamtable_schema::Value;
use streamtable_transport::ApiKey;

use crate::support::{NAME, builder, delivered, mock};

fn config(dir: &Path) -> SpoolConfig {
    SpoolConfig { dir: Some(dir.to_owned()), ..SpoolConfig::default() }
}

fn path() -> TablePath {
    NAME.parse().unwrap()
}

/// Returns the row numbers in a mock, in stored order.
fn numbers(mock: &MockBackend) -> Vec<i64> {
    mock.rows(&path()).iter().filter_map(|line| number(line.row.get("n"))).collect()
}

fn number(value: Option<&Value>) -> Option<i64> {
    match value {
        Some(Value::Int(n)) => i64::try_from(*n).ok(),
        _ => None,
    }
}

/// Simulates a process that logs rows and ends before any is sent. Returns its writer id.
async fn leave(dir: &Path, rows: std::ops::Range<i64>) -> String {
    let table = builder(&mock()).offline(config(dir)).open().await.unwrap();
    table.log(rows.map(|n| row! { "n" => n })).await.unwrap();
    table.finish().await.unwrap();
    table.writer().to_owned()
}

/// Opens the table, delivers all rows, and returns the recovered ones.
async fn open_and_finish(builder: Builder, dir: &Path) -> Recovered {
    let table = builder.spool(config(dir)).open().await.unwrap();
    table.finish().await.unwrap().recovered
}

async fn sync(dir: &Path, mock: &MockBackend) -> Tally {
    let connect = |server: &str| -> Result<Arc<dyn Backend>, OpenError> {
        let api_key = Some(ApiKey::new("local-key").unwrap());
        let settings = Settings { base_url: server.to_owned(), api_key, ..Settings::default() };
        Ok(Arc::new(WandbBackend::new(mock.clone(), &settings)?))
    };
    spool::sync(dir, &SyncOptions::default(), connect, |_| {}).await.unwrap()
}

/// Returns all files below a folder with this ending.
fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_str().is_some_and(|path| path.ends_with(ending)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Returns the offset of a text in a file.
fn find(path: &Path, text: &str) -> usize {
    let bytes = fs::read(path).unwrap();
    bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_open_delivers_orphaned_rows_as_their_writer() {
    let dir = tempfile::tempdir().unwrap();
    let dead = [leave(dir.path(), 0..100).await, leave(dir.path(), 100..150).await];
    let mock = mock();
    let table = builder(&mock).spool(config(dir.path())).open().await.unwrap();
    table.log((150..200).map(|n| row! { "n" => n })).await.unwrap();
    // It also waits for the rows of the earlier processes.
    let stats = table.finish().await.unwrap();
    assert_eq!((stats.logged, stats.acked), (50, 50));
    let recovered = delivered(150);
    assert_eq!(stats.recovered, recovered);
    for (writer, expected) in
        [(&*dead[0], 0..100), (&*dead[1], 100..150), (table.writer(), 150..200)]
    {
        let rows = mock.rows(table.path());
        let own = rows.iter().filter(|line| line.writer.as_deref() == Some(writer));
        assert!(own.filter_map(|line| number(line.row.get("n"))).eq(expected));
    }
    mock.assert_no_violations();
    // Only the folders are left.
    assert_eq!(files(dir.path(), ""), [""; 0].map(PathBuf::from));
    assert_eq!(spool::list(dir.path()).unwrap(), []);
}

/// Two tables in one or two processes are two writers; each delivers its own rows.
#[tokio::test(start_paused = true)]
async fn a_table_that_is_open_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mock = mock();
    let open = async || builder(&mock).spool(config(dir.path())).open().await.unwrap();
    let (a, b) = (open().await, open().await);
    a.log((0..50).map(|n| row! { "n" => n })).await.unwrap();
    b.log((50..100).map(|n| row! { "n" => n })).await.unwrap();
    let states: Vec<_> = spool::list(dir.path()).unwrap().iter().map(|e| e.state).collect();
    assert_eq!(states, [EntryState::Live; 2]);
    assert_eq!(sync(dir.path(), &mock).await, Tally { busy: 2, ..Tally::default() });
    // `finish` does not wait for the rows of other live writers.
    let stats = [a.finish().await.unwrap(), b.finish().await.unwrap()];
    assert_eq!(stats.map(|stats| (stats.acked, stats.recovered.found)), [(50, 0); 2]);
    let mut stored = numbers(&mock);
    stored.sort_unstable();
    assert!(stored.into_iter().eq(0..100));
}

/// If one process dies, another that is running delivers its rows without a restart.
#[tokio::test(start_paused = true)]
async fn a_running_process_delivers_orphaned_rows() {
    let dir = tempfile::tempdir().unwrap();
    let mock = mock();
    let offline = builder(&mock).offline(config(dir.path())).open().await.unwrap();
    offline.log((0..10).map(|n| row! { "n" => n })).await.unwrap();
    let table = builder(&mock).spool(config(dir.path())).open().await.unwrap();
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(table.stats().recovered.found, 0);
    offline.finish().await.unwrap();
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert_eq!(table.stats().recovered.acked, 10);
    table.finish().await.unwrap();
    assert!(numbers(&mock).into_iter().eq(0..10));
}

/// Two copies of a spool contain the same writer's rows, which the server deduplicates by line.
#[tokio::test(start_paused = true)]
async fn a_copied_spool_duplicates_no_rows() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mock = mock();
    let table = builder(&mock).offline(config(dir.path())).open().await.unwrap();
    table.log((0..30).map(|n| row! { "n" => n })).await.unwrap();
    // Copied while the writer is running.
    copy(dir.path(), other.path());
    table.log((30..60).map(|n| row! { "n" => n })).await.unwrap();
    table.finish().await.unwrap();
    assert_eq!(sync(other.path(), &mock).await.acked, 30);
    assert_eq!(sync(dir.path(), &mock).await.acked, 60);
    assert!(numbers(&mock).into_iter().eq(0..60));
    mock.assert_no_violations();
}

#[tokio::test(start_paused = true)]
async fn a_damaged_frame_is_set_aside_and_the_others_are_delivered() {
    let dir = tempfile::tempdir().unwrap();
    leave(dir.path(), 0..100).await;
    let segment = files(dir.path(), ".seg").remove(0);
    flip(&segment, find(&segment, r#""n":40,"#));
    let entry = spool::list(dir.path()).unwrap().remove(0);
    assert_eq!((entry.rows, entry.state), (99, EntryState::Waiting));
    assert!(matches!(
        entry.problems[..],
        [Problem::Damaged { .. }, Problem::Missing { line: 41, rows: 1 }]
    ));

    let mock = mock();
    let recovered = open_and_finish(builder(&mock), dir.path()).await;
    assert_eq!((recovered.found, recovered.acked, recovered.rejected), (99, 99, 0));
    assert_eq!((recovered.damaged, recovered.lost), (1, 1));
    assert!(numbers(&mock).into_iter().eq((0..40).chain(41..100)));
    // The damaged bytes are kept for inspection.
    let aside = files(dir.path(), ".bin");
    assert!(find(&aside[0], r#"n":40,"#) > 0 && aside.len() == 1, "{aside:?}");
    // They are not reported again.
    assert_eq!(open_and_finish(builder(&mock), dir.path()).await, Recovered::default());
}

#[tokio::test(start_paused = true)]
async fn a_torn_tail_is_truncated() {
    for was_on_disk in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        leave(dir.path(), 0..100).await;
        let segment = files(dir.path(), ".seg").remove(0);
        // Remove the end of the last frame, as if it had never been written.
        let mut bytes = fs::read(&segment).unwrap();
        bytes.truncate(find(&segment, r#""n":99,"#) + 3);
        bytes.resize(bytes.len() + 1000, 0);
        fs::write(&segment, bytes).unwrap();
        if !was_on_disk {
            // A program that is killed in the middle of a write has not recorded the row.
            fs::remove_file(files(dir.path(), "acked").remove(0)).unwrap();
        }
        let mock = mock();
        let recovered = open_and_finish(builder(&mock), dir.path()).await;
        let mut expected = delivered(99);
        expected.lost = was_on_disk.into();
        assert_eq!(recovered, expected);
        assert!(numbers(&mock).into_iter().eq(0..99));
        assert_eq!(files(dir.path(), ".bin"), [""; 0].map(PathBuf::from));
    }
}

#[tokio::test(start_paused = true)]
async fn a_spool_of_a_newer_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    leave(dir.path(), 0..10).await;
    let segment = files(dir.path(), ".seg").remove(0);
    let mut bytes = fs::read(&segment).unwrap();
    bytes[8] = 2;
    fs::write(&segment, &bytes).unwrap();
    let mock = mock();
    assert_eq!(open_and_finish(builder(&mock), dir.path()).await, Recovered::default());
    let tally = sync(dir.path(), &mock).await;
    assert_eq!(tally.left[0].reason, "format 2 is newer than this program");
    assert_eq!(spool::list(dir.path()).unwrap()[0].state, EntryState::Newer { version: 2 });
    assert!(numbers(&mock).is_empty());
    assert_eq!(fs::read(&segment).unwrap(), bytes);
}

/// Without a header the writer is unknown: the spool is not touched, and other spools are
/// delivered.
#[tokio::test(start_paused = true)]
async fn a_spool_without_a_header_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    leave(dir.path(), 0..10).await;
    let segment = files(dir.path(), ".seg").remove(0);
    flip(&segment, 25);
    let bytes = fs::read(&segment).unwrap();
    leave(dir.path(), 10..20).await;
    let mock = mock();
    assert_eq!(open_and_finish(builder(&mock), dir.path()).await.acked, 10);
    assert!(numbers(&mock).into_iter().eq(10..20));
    assert_eq!(fs::read(&segment).unwrap(), bytes);
    assert_eq!(spool::list(dir.path()).unwrap()[0].state, EntryState::Unreadable);
}

/// Files are recovered with their rows; a missing or damaged file does not block its row.
#[tokio::test(start_paused = true)]
async fn media_files_are_recovered_with_their_rows() {
    let dir = tempfile::tempdir().unwrap();
    let table = builder(&mock()).offline(config(dir.path())).open().await.unwrap();
    for n in 0..3 {
        let note = Media::markdown(format!("note {n}"));
        table.log(row! { "n" => n, "note" => note }).await.unwrap();
    }
    table.finish().await.unwrap();
    drop(table);
    let notes = files(dir.path(), ".md");
    assert_eq!((notes.len(), spool::list(dir.path()).unwrap()[0].media_files), (3, 3));
    fs::remove_file(&notes[0]).unwrap();
    flip(&notes[1], 0);
    let mock = mock();
    let recovered = open_and_finish(builder(&mock), dir.path()).await;
    assert_eq!((recovered.acked, recovered.damaged, recovered.lost), (3, 1, 0));
    assert_eq!((numbers(&mock), mock.files(&path()).len()), (vec![0, 1, 2], 1));
    assert_eq!(mock.missing_files(&path()).len(), 2);
    assert_eq!(files(&dir.path().join("http%3A%2F%2Fmock.invalid"), ".md").len(), 1, "set aside");
}

/// Rejects rows with odd numbers.
#[derive(Clone, Debug, Default)]
struct Odd(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl Backend for Odd {
    fn identity(&self) -> Option<String> {
        Some("odd".to_owned())
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let (mut rejected, mut stored) = (Vec::new(), self.0.lock().unwrap());
        for (line, text) in (append.first_line..).zip(append.lines.iter()) {
            let text = String::from_utf8(text.to_vec()).unwrap();
            match text.contains(r#""is_odd":true"#) {
                true => rejected.push((line, "it is odd".to_owned())),
                false => stored.push(text),
            }
        }
        Ok(Appended::default().with_rejected(rejected))
    }
}

#[tokio::test(start_paused = true)]
async fn rejected_rows_are_recorded_and_do_not_block_others() {
    let dir = tempfile::tempdir().unwrap();
    let backend = Odd::default();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let open = || {
        let sink = Arc::clone(&heard);
        let on_reject = move |r: Rejected| sink.lock().unwrap().push(number(r.row.get("n")));
        let builder = StreamTable::builder(NAME).settings(Settings::default()).print_url(false);
        builder.spool(config(dir.path())).backend(backend.clone()).on_reject(on_reject)
    };
    let rows = |of: std::ops::Range<i64>| of.map(|n| row! { "n" => n, "is_odd" => n % 2 == 1 });
    let offline = open().offline(config(dir.path())).open().await.unwrap();
    offline.log(rows(0..10)).await.unwrap();
    offline.finish().await.unwrap();
    drop(offline);
    let table = open().open().await.unwrap();
    table.log(rows(10..20)).await.unwrap();
    let stats = table.finish().await.unwrap();
    assert_eq!((stats.acked, stats.rejected), (5, 5));
    assert_eq!((stats.recovered.acked, stats.recovered.rejected), (5, 5));
    assert_eq!(backend.0.lock().unwrap().len(), 10);
    let mut heard = heard.lock().unwrap().clone();
    heard.sort_unstable();
    assert!(heard.into_iter().flatten().eq((0..10).map(|n| 2 * n + 1)));
    let rejected = fs::read_to_string(files(dir.path(), "rejected.jsonl").remove(0)).unwrap();
    assert_eq!(rejected.lines().count(), 10);
    assert!(rejected.lines().all(|line| line.contains(r#""reason":"it is odd","row":{"#)));
}

/// An unusable folder is an error if the caller chose it; otherwise the table opens without a
/// spool.
#[tokio::test(start_paused = true)]
async fn a_folder_that_cannot_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let mock = mock();
    let error = builder(&mock).spool(config(&file)).open().await.unwrap_err();
    assert!(matches!(error, OpenError::Spool { .. }), "{error}");
    let settings = Settings { spool_dir: Some(file), ..Settings::default() };
    let table = builder(&mock).settings(settings).open().await.unwrap();
    table.log(row! { "n" => 0 }).await.unwrap();
    assert_eq!(table.finish().await.unwrap().acked, 1);
}

/// If the settings name a folder, the spool is on by default.
#[tokio::test(start_paused = true)]
async fn rows_are_on_disk_by_default() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { spool_dir: Some(dir.path().into()), ..Settings::default() };
    let mock = mock();
    let table = builder(&mock).settings(settings.clone()).open().await.unwrap();
    table.log(row! { "n" => 0 }).await.unwrap();
    assert_eq!(spool::list(dir.path()).unwrap()[0].rows, 1);
    table.finish().await.unwrap();
    assert_eq!(spool::list(dir.path()).unwrap(), []);
    let table = builder(&mock).settings(settings).no_spool().open().await.unwrap();
    assert_eq!(spool::list(dir.path()).unwrap(), []);
    table.finish().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn rows_of_any_length() {
    let dir = tempfile::tempdir().unwrap();
    let small_segments = SpoolConfig { segment_bytes: 4 << 10, ..config(dir.path()) };
    let table = builder(&mock()).offline(small_segments).open().await.unwrap();
    // The longest line of the protocol is accepted; a longer one is refused by `log`.
    let lengths = [1, 10_000_000, 0, 300_000, 5];
    for (n, length) in (0..).zip(lengths) {
        table.log(row! { "n" => n, "text" => "x".repeat(length) }).await.unwrap();
    }
    let error = table.log(row! { "n" => 9, "text" => "x".repeat(11 << 20) }).await.unwrap_err();
    assert!(matches!(error.refused[0].reason, Refusal::TooLong { .. }));
    table.finish().await.unwrap();
    drop(table);
    let mock = mock();
    assert_eq!(open_and_finish(builder(&mock), dir.path()).await.acked, 5);
    let texts = mock.rows(&path()).into_iter().map(|line| match line.row.get("text") {
        Some(Value::String(text)) => text.len(),
        other => panic!("{other:?}"),
    });
    assert!(texts.eq(lengths));
}

#[tokio::test(start_paused = true)]
async fn a_full_spool_refuses_or_waits() {
    let dir = tempfile::tempdir().unwrap();
    let mock = mock();
    let config = SpoolConfig { max_bytes: 16 << 10, ..config(dir.path()) };
    let rows = || (0..1000).map(|n| row! { "n" => n });
    // An offline table never frees space.
    let table = builder(&mock).offline(config.clone()).when_full(WhenFull::Wait);
    let table = table.open().await.unwrap();
    let error = table.log(rows()).await.unwrap_err();
    assert!(matches!(error.refused[0].reason, Refusal::Full { .. }), "{error}");
    let taken = error.accepted as u64;
    assert_eq!(table.finish().await.unwrap().pending, taken);
    drop(table);
    let table = builder(&mock).spool(config).when_full(WhenFull::Wait).open().await.unwrap();
    table.log(rows()).await.unwrap();
    let stats = table.finish().await.unwrap();
    assert_eq!((stats.acked, stats.recovered.acked), (1000, taken));
    let used: u64 = files(dir.path(), ".seg").iter().map(|f| f.metadata().unwrap().len()).sum();
    assert_eq!(used, 0);
}

/// A process that ends with a wrong key or without a server leaves its rows for the next one.
#[tokio::test(start_paused = true)]
async fn a_wrong_key_loses_no_rows() {
    let dir = tempfile::tempdir().unwrap();
    let mock = mock();
    let open = async || builder(&mock).spool(config(dir.path())).open().await.unwrap();
    let table = open().await;
    table.log((0..10).map(|n| row! { "n" => n })).await.unwrap();
    table.flush(Duration::from_secs(10)).await.unwrap();
    mock.set_keys(Some(Vec::new()));
    table.log((10..20).map(|n| row! { "n" => n })).await.unwrap();
    let error = table.finish().await.unwrap_err();
    assert!(matches!(error.reason, FlushFailure::Stopped(_)), "{error}");
    drop(table);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(spool::list(dir.path()).unwrap()[0].rows, 10);

    // The next process starts with a valid key, which is revoked during delivery.
    mock.set_keys(None);
    let table = open().await;
    mock.set_keys(Some(Vec::new()));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!((table.stats().recovered.found, table.stats().recovered.acked), (10, 0));
    mock.set_keys(None);
    table.resume();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(table.stats().recovered.acked, 10);
    table.finish().await.unwrap();
    assert!(numbers(&mock).into_iter().eq(0..20));
}

#[tokio::test(start_paused = true)]
async fn many_503_responses_delay_but_lose_no_rows() {
    let dir = tempfile::tempdir().unwrap();
    leave(dir.path(), 0..500).await;
    let mock = mock();
    let second = Duration::from_secs(1);
    let storm = || {
        for n in 0..40 {
            let fault = match n % 4 {
                0 => Fault::status(429),
                1 => Fault::status(503),
                2 => Fault::retry_after(429, 7 * second),
                _ => Fault::retry_after(503, 30 * second),
            };
            mock.push_fault(RequestKind::FileStream, fault).unwrap();
        }
    };
    storm();
    let patient = builder(&mock).finish_idle_timeout(3600 * second).spool(config(dir.path()));
    let table = patient.open().await.unwrap();
    table.log((500..1000).map(|n| row! { "n" => n })).await.unwrap();
    tokio::time::sleep(5 * second).await;
    storm();
    let stats = table.finish().await.unwrap();
    assert_eq!((stats.acked, stats.recovered.acked), (500, 500));
    let stored = numbers(&mock);
    let (old, new): (Vec<_>, Vec<_>) = stored.into_iter().partition(|&n| n < 500);
    assert!(old.into_iter().eq(0..500) && new.into_iter().eq(500..1000));
    mock.assert_no_violations();
}

/// A clock that jumps neither loses rows nor delays the sync of the spool.
#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_changes_no_order() {
    #[derive(Debug, Default)]
    struct Jumping(std::sync::atomic::AtomicI64);

    impl streamtable::Clock for Jumping {
        fn now(&self) -> streamtable::Timestamp {
            let n = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let day = 86_400_000;
            streamtable::Timestamp::from_millis(
                1_700_000_000_000 + [0, -400, 3, 99][n as usize % 4] * day,
            )
        }
    }

    let dir = tempfile::tempdir().unwrap();
    let mock = mock();
    let open = || builder(&mock).spool(config(dir.path())).clock(Jumping::default());
    let offline = open().offline(config(dir.path())).open().await.unwrap();
    offline.log((0..40).map(|n| row! { "n" => n })).await.unwrap();
    offline.finish().await.unwrap();
    let table = open().open().await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    table.log((40..80).map(|n| row! { "n" => n })).await.unwrap();
    assert_eq!(table.finish().await.unwrap().recovered.acked, 40);
    assert!(numbers(&mock).into_iter().eq(0..80));
}

#[tokio::test(start_paused = true)]
async fn every_sync_policy_keeps_rows() {
    for policy in [SyncPolicy::Never, SyncPolicy::Interval(Duration::ZERO), SyncPolicy::Always] {
        let dir = tempfile::tempdir().unwrap();
        let config = SpoolConfig { sync: policy, ..config(dir.path()) };
        let offline = builder(&mock()).offline(config.clone()).open().await.unwrap();
        for n in 0..20 {
            offline.log(row! { "n" => n }).await.unwrap();
        }
        // An offline flush syncs the spool, whichever policy is set.
        assert_eq!(offline.flush(Duration::from_secs(1)).await.unwrap().pending, 20);
        offline.finish().await.unwrap();
        let mock = mock();
        let table = builder(&mock).spool(config).open().await.unwrap();
        assert_eq!(table.finish().await.unwrap().recovered.acked, 20, "{policy:?}");
        assert!(numbers(&mock).into_iter().eq(0..20));
    }
}

/// A database of the caller, which may be down.
#[derive(Clone, Debug)]
struct Database {
    name: Option<&'static str>,
    is_down: bool,
    stored: Arc<Mutex<Vec<String>>>,
}

impl Database {
    fn new(name: Option<&'static str>, is_down: bool) -> Self {
        Self { name, is_down, stored: Arc::default() }
    }
}

#[async_trait]
impl Backend for Database {
    fn identity(&self) -> Option<String> {
        self.name.map(str::to_owned)
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if self.is_down {
            return Err(AppendError::transient("down"));
        }
        let texts = append.lines.iter().map(|line| String::from_utf8_lossy(line).into_owned());
        self.stored.lock().unwrap().extend(texts);
        Ok(Appended::default())
    }
}

#[tokio::test(start_paused = true)]
async fn rows_for_one_backend_are_not_delivered_to_another() {
    let dir = tempfile::tempdir().unwrap();
    let open = async |backend: &Database| {
        let builder = StreamTable::builder(NAME).settings(Settings::default());
        builder.spool(config(dir.path())).backend(backend.clone()).open().await
    };
    let first = open(&Database::new(Some("first"), true)).await.unwrap();
    first.log((0..5).map(|n| row! { "n" => n })).await.unwrap();
    assert_eq!(first.finish().await.unwrap_err().stats.pending, 5);
    drop(first);
    // Its delivery ends after the drop timeout.
    tokio::time::sleep(Duration::from_secs(10)).await;

    let second = Database::new(Some("second"), false);
    assert_eq!(open(&second).await.unwrap().finish().await.unwrap().recovered.found, 0);
    assert_eq!(second.stored.lock().unwrap().len(), 0);
    let first = Database::new(Some("first"), false);
    assert_eq!(open(&first).await.unwrap().finish().await.unwrap().recovered.acked, 5);
    assert_eq!(first.stored.lock().unwrap().len(), 5);

    for nameless in [None, Some("")] {
        let error = open(&Database::new(nameless, false)).await.unwrap_err();
        assert!(error.to_string().contains("the backend has no identity"), "{error}");
    }
}
