//! Answers that are not acknowledgements, and what the client keeps because of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use streamtable::{
    Append, AppendError, Appended, Backend, FlushFailure, Media, OpenError, Settings, StreamTable,
    row,
};
use streamtable_mock_backend::{Fault, Loss, MockBackend, MockConfig, NoAck, RequestKind};
use streamtable_transport::{Transport, TransportError};

use crate::support::{NAME, RuntimeTimer, builder, mock, open};

const MINUTE: Duration = Duration::from_secs(60);

/// Returns a mock that answers as W&B's servers do.
fn mock_of_wandb() -> MockBackend {
    let timer = Some(Arc::new(RuntimeTimer) as _);
    MockBackend::new(MockConfig { timer, acks: false, ..MockConfig::default() }).unwrap()
}

#[tokio::test(start_paused = true)]
async fn rows_survive_every_false_answer() {
    for mock in [mock(), mock_of_wandb()] {
        let table = open(&mock).await;
        let mut logged = 0;
        for kind in NoAck::ALL {
            for _ in 0..3 {
                mock.push_fault(RequestKind::FileStream, Fault::NoAck(kind)).unwrap();
            }
            table.log((0..10).map(|n| row! { "n" => logged + n })).await.unwrap();
            logged += 10;
            let error = loop {
                if let Some(error) = table.last_error() {
                    break error;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            };
            assert!(error.starts_with("mock.invalid answered 20"), "{kind}: {error:?}");
            assert!(error.contains("which is not an acknowledgement"), "{kind}: {error:?}");
            assert_eq!(table.stats().acked, logged as u64 - 10, "{kind}");
            table.flush(MINUTE).await.unwrap();
            assert_eq!(table.last_error(), None);
        }
        assert_eq!(table.finish().await.unwrap().acked, logged as u64);
        assert_eq!(mock.rows(table.path()).len(), logged as usize);
        mock.assert_no_violations();
    }
}

#[tokio::test(start_paused = true)]
async fn a_partial_ack_forgets_the_rows_that_it_covers() {
    let mock = mock();
    let table = open(&mock).await;
    for _ in 0..3 {
        mock.push_fault(RequestKind::FileStream, Fault::PartialAck).unwrap();
    }
    table.log((0..64).map(|n| row! { "n" => n })).await.unwrap();
    assert_eq!(table.finish().await.unwrap().acked, 64);
    let posts = mock.journal().into_iter().filter(|post| post.lines > 0);
    let posts: Vec<_> = posts.map(|post| (post.offset.unwrap(), post.lines)).collect();
    assert_eq!(posts, [(0, 32), (32, 16), (48, 8), (56, 8)]);
    assert_eq!(mock.rows(table.path()).len(), 64);
    mock.assert_no_violations();
}

/// Every request of an opening may meet any of these faults, and the table opens in time.
#[tokio::test(start_paused = true)]
async fn opening_requests_are_repeated() {
    let faults = [
        Fault::LoseAnswer(Loss::Timeout),
        Fault::LoseRequest(Loss::Interrupted),
        Fault::status(503),
        Fault::HtmlErrorPage,
        Fault::Redirect,
    ];
    let no_acks = NoAck::ALL.map(Fault::NoAck);
    for acks in [true, false] {
        for fault in faults.iter().chain(&no_acks) {
            for nth in 0..9 {
                let timer = Some(Arc::new(RuntimeTimer) as _);
                let mut config = MockConfig { timer, acks, ..MockConfig::default() };
                config.faults =
                    config.faults.with(streamtable_mock_backend::Select::Any, nth, fault.clone());
                let mock = MockBackend::new(config).unwrap();
                let table = builder(&mock).open_timeout(Duration::from_secs(10)).open().await;
                let table = table.unwrap_or_else(|error| panic!("{fault} of {nth}: {error}"));
                table.log(row! { "n" => 1 }).await.unwrap();
                assert_eq!(table.finish().await.unwrap().acked, 1);
                mock.assert_no_violations();
            }
        }
    }
}

/// Behind a portal that answers everything, opening ends in time and says why.
#[tokio::test(start_paused = true)]
async fn a_portal_at_the_opening_is_named() {
    let mock = mock();
    for _ in 0..100 {
        mock.push_fault(RequestKind::Graphql, Fault::NoAck(NoAck::Page)).unwrap();
    }
    let error = builder(&mock).open_timeout(Duration::from_secs(10)).open().await.unwrap_err();
    let OpenError::Unavailable { waited, reason } = error else { panic!("{error}") };
    assert!(waited <= Duration::from_secs(10), "{waited:?}");
    assert!(reason.contains("a proxy or captive portal may be in the way"), "{reason}");
}

/// What answers some posts in the place of the server.
#[derive(Debug)]
struct Proxied {
    mock: MockBackend,
    is_on: AtomicBool,
    kind: fn(&str) -> bool,
    answer: fn() -> Response<Bytes>,
}

#[async_trait]
impl Transport for Proxied {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        if self.is_on.load(Ordering::SeqCst) && (self.kind)(request.uri().path()) {
            return Ok((self.answer)());
        }
        self.mock.send(request).await
    }
}

fn proxied(
    mock: &MockBackend,
    kind: fn(&str) -> bool,
    answer: fn() -> Response<Bytes>,
) -> Arc<Proxied> {
    Arc::new(Proxied { mock: mock.clone(), is_on: AtomicBool::new(false), kind, answer })
}

fn is_post(path: &str) -> bool {
    path.ends_with("/file_stream")
}

/// A client that knows its server wants more than what W&B's servers answer, from the first post on.
#[tokio::test(start_paused = true)]
async fn a_known_server_must_state_what_its_answers_cover() {
    let mock = mock();
    let answer = || Response::new(Bytes::from_static(br#"{"exitcode":null,"limits":{}}"#));
    let proxy = proxied(&mock, is_post, answer);
    let table = builder(&mock).transport(Arc::clone(&proxy)).open().await.unwrap();
    proxy.is_on.store(true, Ordering::SeqCst);
    table.log(row! { "n" => 1 }).await.unwrap();
    let error = table.flush(MINUTE).await.unwrap_err();
    assert!(error.to_string().contains("it does not name the request"), "{error}");
    assert_eq!(error.stats.pending, 1);
    proxy.is_on.store(false, Ordering::SeqCst);
    assert_eq!(table.finish().await.unwrap().acked, 1);

    // Of W&B's servers the same answer is all that there is.
    let mock = mock_of_wandb();
    let proxy = proxied(&mock, is_post, answer);
    let table = builder(&mock).transport(Arc::clone(&proxy)).open().await.unwrap();
    proxy.is_on.store(true, Ordering::SeqCst);
    table.log(row! { "n" => 1 }).await.unwrap();
    assert_eq!(table.flush(MINUTE).await.unwrap().acked, 1);
}

/// A page with a client error is a proxy's, and not the server's verdict on a row.
#[tokio::test(start_paused = true)]
async fn a_page_with_a_client_error_refuses_no_row() {
    let mock = mock();
    let proxy = proxied(&mock, is_post, || {
        let mut answer = Response::new(Bytes::from_static(b"<html>Bad Request</html>"));
        *answer.status_mut() = StatusCode::BAD_REQUEST;
        answer
    });
    let table = builder(&mock).transport(Arc::clone(&proxy)).open().await.unwrap();
    proxy.is_on.store(true, Ordering::SeqCst);
    table.log((0..30).map(|n| row! { "n" => n })).await.unwrap();
    let error = table.flush(MINUTE).await.unwrap_err();
    assert_eq!((error.stats.pending, error.stats.rejected), (30, 0), "{error}");
    assert!(matches!(error.reason, FlushFailure::Timeout { .. }), "{error}");
    proxy.is_on.store(false, Ordering::SeqCst);
    assert_eq!(table.finish().await.unwrap().acked, 30);
}

#[tokio::test(start_paused = true)]
async fn rows_wait_for_a_server_that_has_moved_and_is_named() {
    let mock = mock();
    let proxy = proxied(&mock, is_post, || {
        let mut answer = Response::new(Bytes::new());
        *answer.status_mut() = StatusCode::PERMANENT_REDIRECT;
        answer.headers_mut().insert("location", "https://new.invalid/".parse().unwrap());
        answer
    });
    let table = builder(&mock).transport(Arc::clone(&proxy)).open().await.unwrap();
    proxy.is_on.store(true, Ordering::SeqCst);
    table.log(row! { "n" => 1 }).await.unwrap();
    let error = table.flush(MINUTE).await.unwrap_err();
    let message = error.to_string();
    assert!(message.contains("mock.invalid has moved to https://new.invalid/"), "{message}");
    assert_eq!(error.stats.pending, 1);
    proxy.is_on.store(false, Ordering::SeqCst);
    assert_eq!(table.finish().await.unwrap().acked, 1);
}

/// A file is forgotten once its upload is acknowledged, and not before.
#[tokio::test(start_paused = true)]
async fn files_survive_every_false_answer() {
    for mock in [mock(), mock_of_wandb()] {
        let table = open(&mock).await;
        let mut files = 0;
        for kind in [RequestKind::Graphql, RequestKind::Upload] {
            for no_ack in NoAck::ALL {
                mock.push_fault(kind, Fault::NoAck(no_ack)).unwrap();
                table
                    .log(row! { "note" => Media::html(format!("{kind:?} {no_ack}")) })
                    .await
                    .unwrap();
                let stats = table.flush(MINUTE).await.unwrap();
                files += 1;
                assert_eq!((stats.media.uploaded, stats.media.failed), (files, 0), "{no_ack}");
                assert!(mock.missing_files(table.path()).is_empty(), "{kind:?} {no_ack}");
            }
        }
        table.finish().await.unwrap();
        mock.assert_no_violations();
    }
}

/// The answer to an announcement must name every file, or it gives no reason to give one up.
#[tokio::test(start_paused = true)]
async fn a_response_without_files_drops_no_file() {
    let mock = mock();
    let proxy = proxied(
        &mock,
        |path| path.ends_with("/graphql"),
        || {
            let body = br#"{"data":{"createRunFiles":{"uploadHeaders":[],"files":[]}}}"#;
            Response::new(Bytes::from_static(body))
        },
    );
    let table = builder(&mock).transport(Arc::clone(&proxy)).open().await.unwrap();
    proxy.is_on.store(true, Ordering::SeqCst);
    table.log(row! { "note" => Media::html("a") }).await.unwrap();
    let error = table.flush(MINUTE).await.unwrap_err();
    assert_eq!((error.stats.media.pending, error.stats.media.failed), (1, 0), "{error}");
    proxy.is_on.store(false, Ordering::SeqCst);
    assert_eq!(table.finish().await.unwrap().media.uploaded, 1);
}

/// A backend that says first that it has more lines than were sent, then none, then one of each.
#[derive(Debug, Default)]
struct Boastful {
    calls: AtomicUsize,
}

#[async_trait]
impl Backend for Boastful {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let end = append.first_line + append.lines.len() as u64;
        let end = match self.calls.fetch_add(1, Ordering::Relaxed) {
            0 => u64::MAX,
            1 => end + 1,
            2 => append.first_line,
            3 => 0,
            _ => append.first_line + 1,
        };
        Ok(Appended::default().with_end(end))
    }
}

#[tokio::test(start_paused = true)]
async fn an_ack_of_unsent_lines_is_ignored() {
    let backend = Arc::new(Boastful::default());
    let builder = StreamTable::builder(NAME).settings(Settings::default());
    let table = builder.backend(Arc::clone(&backend)).open().await.unwrap();
    table.log((0..5).map(|n| row! { "n" => n })).await.unwrap();
    assert_eq!(table.finish().await.unwrap().acked, 5);
    assert_eq!(backend.calls.load(Ordering::Relaxed), 4 + 5);
}
