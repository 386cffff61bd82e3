//! Network and server faults, and the errors that the caller gets.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use streamtable::spool::SpoolConfig;
use streamtable::{
    Append, AppendError, Appended, Backend, BatchLimits, Builder, FlushFailure, Open, OpenError,
    Opened, Refusal, Rejected, RetryPolicy, Settings, Stats, StopReason, StreamTable, TablePath,
    WhenUnreachable, row,
};
use streamtable_mock_backend::{Fault, FaultPlan, Loss, MockBackend, RequestKind, Select};
use streamtable_schema::Value;
use streamtable_transport::{Transport, TransportError};
use tokio::time::Instant;

use crate::support::{NAME, builder, delivered, mock, open};

#[tokio::test(start_paused = true)]
async fn a_revoked_key_stops_the_stream_until_resume() {
    let mock = mock();
    let table = open(&mock).await;
    table.log(row! { "n" => 0 }).await.unwrap();
    table.flush(Duration::from_secs(1)).await.unwrap();

    mock.set_keys(Some(Vec::new()));
    table.log(row! { "n" => 1 }).await.unwrap();
    let error = table.flush(Duration::from_secs(60)).await.unwrap_err();
    let FlushFailure::Stopped(StopReason::Unauthorized { .. }) = error.reason else {
        panic!("{error}");
    };
    assert_eq!(error.stats.pending, 1);
    // Later calls fail at once and return the rows.
    let error = table.log(row! { "n" => 2 }).await.unwrap_err();
    assert!(matches!(error.refused[0].reason, Refusal::Stopped(StopReason::Unauthorized { .. })));
    assert_eq!(error.refused[0].row, Some(row! { "n" => 2 }));
    assert!(table.stop_reason().is_some());

    mock.set_keys(None);
    table.resume();
    table.log(row! { "n" => 2 }).await.unwrap();
    assert_eq!(table.finish().await.unwrap().acked, 3);
    let rows = mock.rows(table.path());
    let numbers: Vec<_> = rows.iter().map(|line| line.row.get("n").cloned().unwrap()).collect();
    assert_eq!(numbers, [0, 1, 2].map(Value::from));
}

#[tokio::test(start_paused = true)]
async fn a_lost_response_duplicates_no_rows() {
    let mock = mock();
    let table = open(&mock).await;
    for loss in [Loss::Interrupted, Loss::Timeout] {
        mock.push_fault(RequestKind::FileStream, Fault::LoseAnswer(loss)).unwrap();
        table.log((0..10).map(|n| row! { "n" => n })).await.unwrap();
        table.flush(Duration::from_secs(200)).await.unwrap();
    }
    assert_eq!(table.finish().await.unwrap().acked, 20);
    assert_eq!(mock.rows(table.path()).len(), 20);
    mock.assert_no_violations();
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_obeyed() {
    let mock = mock();
    let table = open(&mock).await;
    let busy = Fault::retry_after(429, Duration::from_secs(120));
    mock.push_fault(RequestKind::FileStream, busy).unwrap();
    table.log(row! { "n" => 1 }).await.unwrap();
    tokio::time::sleep(Duration::from_secs(119)).await;
    assert_eq!((mock.count(RequestKind::FileStream), table.stats().pending), (1, 1));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(table.stats().acked, 1);
}

/// A network that is down until a given time.
#[derive(Debug)]
struct Outage {
    inner: MockBackend,
    until: Mutex<Option<Instant>>,
}

#[async_trait]
impl Transport for Outage {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        if self.until.lock().unwrap().is_some_and(|until| Instant::now() < until) {
            let (host, reason) = ("mock.invalid".to_owned(), "no route to host".to_owned());
            return Err(TransportError::Unreachable { host, reason });
        }
        self.inner.send(request).await
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_a_week() {
    const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
    let mock = mock();
    let network = Arc::new(Outage { inner: mock.clone(), until: Mutex::default() });
    let table = builder(&mock).transport(Arc::clone(&network)).open().await.unwrap();
    let back = Instant::now() + WEEK;
    *network.until.lock().unwrap() = Some(back);
    table.log((0..100).map(|n| row! { "n" => n })).await.unwrap();
    tokio::time::sleep_until(back).await;
    assert_eq!(table.stats().pending, 100);
    // The longest backoff is one minute.
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(table.stats().acked, 100);
    assert_eq!(mock.rows(table.path()).len(), 100);
}

/// Several processes start and end during the outage; the first one after it delivers all rows.
#[tokio::test(start_paused = true)]
async fn rows_survive_process_restarts_during_an_outage() {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let dir = tempfile::tempdir().unwrap();
    let mock = mock();
    let back = Instant::now() + 7 * DAY;
    let network = Arc::new(Outage { inner: mock.clone(), until: Mutex::new(Some(back)) });
    let config = SpoolConfig { dir: Some(dir.path().into()), ..SpoolConfig::default() };
    let open = || {
        let builder = builder(&mock).transport(Arc::clone(&network)).spool(config.clone());
        builder.when_unreachable(WhenUnreachable::LogAnyway)
    };
    for day in 0..7 {
        let table = open().open().await.unwrap();
        table.log((0..100).map(|n| row! { "n" => day * 100 + n })).await.unwrap();
        tokio::time::sleep(DAY - Duration::from_secs(3600)).await;
        assert_eq!((table.stats().pending, table.stats().recovered.acked), (100, 0));
    }
    tokio::time::sleep_until(back).await;
    let stats = open().open().await.unwrap().finish().await.unwrap();
    assert_eq!(stats.recovered, delivered(700));
    let path = NAME.parse().unwrap();
    let mut rows: Vec<_> =
        mock.rows(&path).iter().map(|line| line.row.get("n").cloned().unwrap()).collect();
    // Each writer's rows are in order; the order of the writers is not defined.
    rows.sort_by_key(|n| if let Value::Int(n) = n { *n / 100 } else { -1 });
    assert!(rows.into_iter().eq((0..700).map(Value::from)));
    mock.assert_no_violations();
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_too_large_is_halved() {
    let mock = mock();
    let table = open(&mock).await;
    for _ in 0..4 {
        mock.push_fault(RequestKind::FileStream, Fault::status(413)).unwrap();
    }
    table.log((0..64).map(|n| row! { "n" => n })).await.unwrap();
    assert_eq!(table.finish().await.unwrap().acked, 64);
    let posts = mock.journal().into_iter().filter(|a| a.kind == RequestKind::FileStream);
    let sizes: Vec<usize> = posts.map(|post| post.lines).filter(|&lines| lines > 0).collect();
    assert_eq!(sizes[..5], [64, 32, 16, 8, 4]);
    assert!(sizes.len() < 12, "the batch size grows again: {sizes:?}");
    mock.assert_no_violations();
}

/// Rejects every request that contains a row whose text is `bad`, as a server might by status 400.
/// (A writer's id may contain these letters, too.)
#[derive(Clone, Debug, Default)]
struct Picky {
    stored: Arc<Mutex<Vec<(u64, String)>>>,
}

#[async_trait]
impl Backend for Picky {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let lines = append.lines.iter().map(|line| String::from_utf8(line.to_vec()).unwrap());
        let lines: Vec<_> = (append.first_line..).zip(lines).collect();
        if lines.iter().any(|(_, line)| line.contains(r#":"bad""#)) {
            return Err(AppendError::Refused { message: "a bad row".to_owned() });
        }
        self.stored.lock().unwrap().extend(lines);
        Ok(Appended::default())
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejected_row_is_isolated_and_the_others_are_stored() {
    let backend = Picky::default();
    let rejected = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&rejected);
    let table = StreamTable::builder(NAME)
        .settings(Settings::default())
        .backend(backend.clone())
        .on_reject(move |rejected: Rejected| sink.lock().unwrap().push(rejected))
        .open()
        .await
        .unwrap();
    let text = |n| if n % 37 == 5 { "bad" } else { "good" };
    table.log((0..100).map(|n| row! { "n" => n, "text" => text(n) })).await.unwrap();
    let stats = table.finish().await.unwrap();
    assert_eq!((stats.logged, stats.acked, stats.rejected), (100, 97, 3));
    let rejected = rejected.lock().unwrap();
    let numbers: Vec<_> = rejected.iter().map(|r| r.row.get("n").cloned().unwrap()).collect();
    assert_eq!(numbers, [5, 42, 79].map(Value::from));
    assert!(rejected.iter().all(|r| r.reason == "a bad row" && r.line.contains("bad")));
    let stored = backend.stored.lock().unwrap();
    assert!(stored.is_sorted_by_key(|(line, _)| *line));
    assert_eq!(stored.len(), 97);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_refuses_everything_stops_the_stream() {
    let backend = Picky::default();
    let builder = StreamTable::builder(NAME).settings(Settings::default()).backend(backend);
    let table = builder.open().await.unwrap();
    table.log((0..100).map(|n| row! { "n" => n, "text" => "bad" })).await.unwrap();
    let error = table.finish().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "84 rows are not stored yet: delivery has stopped: the server refused the request (a bad row)"
    );
    let Stats { logged, acked, pending, rejected, .. } = *error.stats;
    assert_eq!((logged, acked, pending, rejected), (100, 0, 84, 16));
}

#[tokio::test(start_paused = true)]
async fn a_backend_to_which_everything_is_too_large_stops_the_stream() {
    let table = answering(Duration::ZERO, |_| Err(AppendError::TooLarge)).open().await.unwrap();
    table.log((0..100).map(|n| row! { "n" => n })).await.unwrap();
    let error = table.finish().await.unwrap_err();
    let Stats { logged, acked, pending, rejected, .. } = *error.stats;
    assert_eq!((logged, acked, pending, rejected), (100, 0, 84, 16));
    assert!(matches!(error.reason, FlushFailure::Stopped(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_server_rejects_a_single_row() {
    let mock = mock();
    let rejected = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&rejected);
    // Two programs open an empty table and log different columns.
    let first = open(&mock).await;
    let second = builder(&mock).on_reject(move |r: Rejected| sink.lock().unwrap().push(r));
    let second = second.open().await.unwrap();
    first.log(row! { "n" => 1 }).await.unwrap();
    first.flush(Duration::from_secs(1)).await.unwrap();
    second.log((0..3).map(|m| row! { "m" => m })).await.unwrap();
    let stats = second.finish().await.unwrap();
    assert_eq!((stats.acked, stats.rejected), (0, 3));
    assert_eq!(rejected.lock().unwrap().len(), 3);
    assert_eq!(first.finish().await.unwrap().acked, 1);
    assert_eq!(mock.rows(first.path()).len(), 1);
}

/// A backend that returns the results of a function for appends, and requests a pause.
struct Answers<F> {
    answer: F,
    pace: Duration,
}

impl<F> fmt::Debug for Answers<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers")
    }
}

#[async_trait]
impl<F: Fn(Append) -> Result<Appended, AppendError> + Send + Sync> Backend for Answers<F> {
    async fn open(&self, open: Open) -> Result<Opened, OpenError> {
        Ok(Opened::new(open.name.to_path()?).with_pace(self.pace))
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        (self.answer)(append)
    }
}

fn answering<F>(pace: Duration, answer: F) -> Builder
where
    F: Fn(Append) -> Result<Appended, AppendError> + Send + Sync + 'static,
{
    let backend = Answers { answer, pace };
    StreamTable::builder(NAME).settings(Settings::default()).backend(backend)
}

fn busy(retry_after: Option<Duration>) -> AppendError {
    AppendError::Transient { message: "busy".to_owned(), retry_after }
}

#[tokio::test(start_paused = true)]
async fn infinite_timeouts_never_expire() {
    const EVER: Duration = Duration::MAX;
    let limits = BatchLimits { linger: EVER, append_timeout: EVER, ..BatchLimits::default() };
    let answers = Mutex::new(vec![
        Err(busy(Some(EVER))),
        Ok(Appended::default().with_pause(EVER)),
        Err(busy(None)),
    ]);
    let table = answering(Duration::ZERO, move |_| answers.lock().unwrap().pop().unwrap())
        .limits(limits)
        .retry(RetryPolicy { first_delay: Duration::ZERO, max_delay: EVER })
        .open_timeout(EVER)
        .finish_idle_timeout(EVER)
        .drop_timeout(EVER)
        .open()
        .await
        .unwrap();
    table.log(row! { "n" => 1 }).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(table.stats().pending, 1);
    assert_eq!(table.flush(EVER).await.unwrap().acked, 1);
    // The backend requested an infinite pause.
    table.log(row! { "n" => 2 }).await.unwrap();
    let error = table.flush(Duration::from_secs(3600)).await.unwrap_err();
    assert!(matches!(error.reason, FlushFailure::Timeout { .. }), "{error}");
    let finish = tokio::time::timeout(Duration::from_secs(3600), table.finish()).await;
    assert!(finish.is_err());
    drop(table);
}

#[tokio::test(start_paused = true)]
async fn a_table_opens_with_an_infinite_timeout() {
    let mock = mock();
    let table = builder(&mock).open_timeout(Duration::MAX).open().await.unwrap();
    table.log(row! { "n" => 1 }).await.unwrap();
    assert_eq!(table.finish().await.unwrap().acked, 1);
}

#[tokio::test(start_paused = true)]
async fn zero_timeouts_cause_no_busy_loop() {
    const NONE: Duration = Duration::ZERO;
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let limits = BatchLimits { max_rows: 0, max_bytes: 0, linger: NONE, ..BatchLimits::default() };
    let table = answering(NONE, move |append| {
        assert_eq!(append.lines.len(), 1);
        match count.fetch_add(1, Ordering::Relaxed) {
            0..100 => Err(busy(Some(NONE))),
            _ => Ok(Appended::default()),
        }
    });
    let retry = RetryPolicy { first_delay: NONE, max_delay: NONE };
    let table = table.limits(limits).retry(retry).open().await.unwrap();
    table.log([row! { "n" => 1 }, row! { "n" => 2 }]).await.unwrap();
    let start = Instant::now();
    assert_eq!(table.finish().await.unwrap().acked, 2);
    assert_eq!(calls.load(Ordering::Relaxed), 102);
    assert!(start.elapsed() >= Duration::from_millis(100), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn retries_obey_the_rate_limit() {
    const PACE: Duration = Duration::from_secs(100);
    let posts = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&posts);
    let table = answering(PACE, move |_| {
        sink.lock().unwrap().push(Instant::now());
        if sink.lock().unwrap().len() < 4 { Err(busy(None)) } else { Ok(Appended::default()) }
    });
    let table = table.finish_idle_timeout(Duration::from_secs(3600)).open().await.unwrap();
    table.log(row! { "n" => 1 }).await.unwrap();
    table.finish().await.unwrap();
    let posts = posts.lock().unwrap();
    assert!(posts.windows(2).all(|pair| pair[1] - pair[0] >= PACE), "{posts:?}");
}

#[tokio::test(start_paused = true)]
async fn resume_does_nothing_if_the_stream_has_not_stopped() {
    let mock = mock();
    let table = open(&mock).await;
    let busy = Fault::retry_after(429, Duration::from_secs(120));
    mock.push_fault(RequestKind::FileStream, busy).unwrap();
    table.log(row! { "n" => 1 }).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    table.resume();
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(mock.count(RequestKind::FileStream), 1);
    assert_eq!(table.finish().await.unwrap().acked, 1);
}

/// Stores rows, but never confirms that a writer has finished.
#[derive(Debug, Default)]
struct Deaf {
    calls: AtomicUsize,
}

#[async_trait]
impl Backend for Deaf {
    async fn append(&self, _: Append) -> Result<Appended, AppendError> {
        Ok(Appended::default())
    }

    async fn finish(&self, _: &TablePath) -> Result<(), AppendError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Err(busy(Some(Duration::ZERO)))
    }
}

#[tokio::test(start_paused = true)]
async fn an_unconfirmed_finish_is_retried_and_loses_no_rows() {
    let backend = Arc::new(Deaf::default());
    let builder = StreamTable::builder(NAME).settings(Settings::default());
    let table = builder.backend(Arc::clone(&backend)).open().await.unwrap();
    table.log(row! { "n" => 1 }).await.unwrap();
    assert_eq!(table.finish().await.unwrap().acked, 1);
    let calls = backend.calls.load(Ordering::Relaxed);
    assert!((2..20).contains(&calls), "{calls} calls");

    // All rows are stored, so a short timeout is not an error.
    let builder = StreamTable::builder(NAME).settings(Settings::default());
    let builder = builder.finish_idle_timeout(Duration::from_secs(1));
    let table = builder.backend(Arc::clone(&backend)).open().await.unwrap();
    table.log(row! { "n" => 1 }).await.unwrap();
    assert_eq!(table.finish().await.unwrap().acked, 1);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_callback_does_not_stop_delivery() {
    let refused = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refused);
    let builder = StreamTable::builder(NAME).settings(Settings::default());
    let builder = builder.backend(Picky::default()).on_reject(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        panic!("on purpose");
    });
    let table = builder.open().await.unwrap();
    for text in ["bad", "good", "bad", "good"] {
        table.log(row! { "text" => text }).await.unwrap();
    }
    let stats = table.finish().await.unwrap();
    assert_eq!((stats.acked, stats.rejected), (2, 2));
    assert_eq!(refused.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn after_a_panic_of_the_backend_every_call_fails() {
    let table = answering(Duration::ZERO, |_| panic!("on purpose")).open().await.unwrap();
    table.log(row! { "n" => 1 }).await.unwrap();
    let error = table.flush(Duration::from_secs(60)).await.unwrap_err();
    assert_eq!((error.reason, error.stats.pending), (FlushFailure::DriverGone, 1));
    let error = table.log(row! { "n" => 2 }).await.unwrap_err();
    assert_eq!(error.refused[0].reason, Refusal::DriverGone);
    assert_eq!(error.refused[0].row, Some(row! { "n" => 2 }));
    assert!(!error.refused[0].reason.is_retryable());
    let error = table.finish().await.unwrap_err();
    assert_eq!((error.reason, error.stats.logged), (FlushFailure::DriverGone, 1));
}

#[test]
fn a_runtime_that_ends_before_the_driver_starts() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let first = runtime();
    let table = first.block_on(async {
        let table = answering(Duration::ZERO, |_| Ok(Appended::default())).open().await.unwrap();
        table.log(row! { "n" => 1 }).await.unwrap();
        table
    });
    drop(first);
    let error = runtime().block_on(table.finish()).unwrap_err();
    assert_eq!((error.reason, error.stats.pending), (FlushFailure::DriverGone, 1));
}

#[tokio::test(start_paused = true)]
async fn finish_waits_as_long_as_the_server_asks() {
    let asked = Duration::from_secs(90);
    let answers = Mutex::new(vec![Ok(Appended::default()), Err(busy(Some(asked)))]);
    let table = answering(Duration::ZERO, move |_| answers.lock().unwrap().pop().unwrap());
    let table = table.open().await.unwrap();
    table.log(row! { "n" => 1 }).await.unwrap();
    assert_eq!(table.finish().await.unwrap().acked, 1);
}

/// A server that never stops asking for time does not make `finish` wait for ever.
#[tokio::test(start_paused = true)]
async fn finish_gives_up_although_the_server_asks_again() {
    let asked = Duration::from_secs(5);
    let table = answering(Duration::ZERO, move |_| Err(busy(Some(asked)))).open().await.unwrap();
    table.log(row! { "n" => 1 }).await.unwrap();
    let start = Instant::now();
    let error = table.finish().await.unwrap_err();
    assert!(matches!(error.reason, FlushFailure::Timeout { .. }), "{error}");
    assert_eq!(start.elapsed().as_secs(), 65);
}

#[tokio::test(start_paused = true)]
async fn open_tries_until_its_timeout() {
    for limit in [1, 10, 30].map(Duration::from_secs) {
        let (mock, start) = (mock(), Instant::now());
        let until = Mutex::new(Some(start + 100 * limit));
        let network = Arc::new(Outage { inner: mock.clone(), until });
        let open = || builder(&mock).transport(Arc::clone(&network)).open_timeout(limit).open();
        let error = open().await.unwrap_err();
        assert!((limit..limit + Duration::from_millis(10)).contains(&start.elapsed()));
        let said = format!("cannot open the table within {} s: ", limit.as_secs());
        assert!(error.to_string().starts_with(&said), "{error}");
        // A server that comes back shortly before the end is found.
        *network.until.lock().unwrap() = Some(Instant::now() + limit.mul_f64(0.9));
        open().await.unwrap();
    }
}

/// Each request is repeated alone: opening does not start again at the first one.
#[tokio::test(start_paused = true)]
async fn a_table_opens_although_every_third_answer_is_lost() {
    let lost = || Fault::LoseAnswer(Loss::Timeout);
    let faults = (2..100).step_by(3);
    let faults = faults.fold(FaultPlan::new(), |plan, nth| plan.with(Select::Any, nth, lost()));
    let mock = MockBackend::with_faults(faults).unwrap();
    let table = builder(&mock).open_timeout(Duration::from_secs(60)).open().await.unwrap();
    table.log((0..10).map(|n| row! { "n" => n })).await.unwrap();
    assert_eq!(table.finish().await.unwrap().acked, 10);
    assert_eq!(mock.rows(table.path()).len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_rejects_other_rows_is_not_an_ack() {
    let answers = Arc::new(Mutex::new(vec![
        Ok(Appended::default()),
        Ok(Appended::default().with_rejected(vec![(7, "odd".to_owned())])),
    ]));
    let left = Arc::clone(&answers);
    let table = answering(Duration::ZERO, move |_| answers.lock().unwrap().pop().unwrap());
    let table = table.open().await.unwrap();
    table.log(row! { "n" => 1 }).await.unwrap();
    let stats = table.finish().await.unwrap();
    assert_eq!((stats.acked, stats.rejected), (1, 0));
    assert!(left.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn refused_rows_are_counted() {
    let mock = mock();
    let table = builder(&mock).no_spool().buffer_bytes(1000).open().await.unwrap();
    let error = table.log((0..100).map(|n| row! { "n" => n }).collect::<Vec<_>>()).await;
    let refused = error.unwrap_err().refused.len() as u64;
    assert!(table.log(row! { "other" => 1 }).await.is_err());
    let stats = table.finish().await.unwrap();
    assert_eq!((stats.refused, stats.logged), (refused + 1, 100 - refused));
    assert!(stats.to_string().ends_with(&format!("0 dropped; {} refused", refused + 1)));
}
