//! The conformance suite passes with the mock, and finds out a backend that is broken.

use ::http::{HeaderName, Response};
use async_trait::async_trait;
use streamtable_transport::{ApiKey, TransportExt};
use streamtable_wire::COLUMNS_HEADER;

use super::*;
use crate::conformance::{self, Target};

pub(super) fn strict_config() -> MockConfig {
    let keys = Some(vec![(key(), "me".to_owned())]);
    MockConfig { keys, gzip: true, ..MockConfig::default() }
}

pub(super) fn key() -> ApiKey {
    ApiKey::new("key").unwrap()
}

fn target(transport: impl Transport + 'static, base_url: &str) -> Target {
    let (base_url, prefix) = (base_url.to_owned(), "suite".to_owned());
    Target { transport: transport.erased(), base_url, key: key(), prefix }
}

/// Runs the suite, and checks which cases fail.
#[track_caller]
fn check(transport: impl Transport + 'static, base_url: &str, expected: &[&str]) {
    let failures = ready(conformance::run_all(&target(transport, base_url)));
    let found: Vec<&str> = failures.iter().map(|failure| failure.case).collect();
    assert_eq!(found, expected, "{failures:#?}");
}

/// A mock behind somebody who changes requests and answers.
#[derive(Clone, Debug)]
struct Broken {
    mock: MockBackend,
    request: fn(&mut Request<Bytes>),
    answer: fn(&mut Response<Bytes>),
}

#[async_trait]
impl Transport for Broken {
    async fn send(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        (self.request)(&mut request);
        let mut answer = self.mock.send(request).await?;
        (self.answer)(&mut answer);
        Ok(answer)
    }
}

#[track_caller]
fn check_broken(
    request: fn(&mut Request<Bytes>),
    answer: fn(&mut Response<Bytes>),
    expected: &[&str],
) {
    let mock = MockBackend::new(strict_config()).unwrap();
    let base_url = mock.base_url().to_owned();
    check(Broken { mock, request, answer }, &base_url, expected);
}

fn replace(answer: &mut Response<Bytes>, from: &str, to: &str) {
    if let Ok(text) = std::str::from_utf8(answer.body()) {
        *answer.body_mut() = text.replace(from, to).into();
    }
}

#[test]
fn the_mock_passes() {
    let mock = MockBackend::new(strict_config()).unwrap();
    let base_url = mock.base_url().to_owned();
    check(mock, &base_url, &[]);
    // A server that lives on is tried under another prefix each time.
    let mock = MockBackend::new(strict_config()).unwrap();
    for prefix in ["one", "two"] {
        let target = Target { prefix: prefix.to_owned(), ..target(mock.clone(), &base_url) };
        assert_eq!(ready(conformance::run_all(&target)), []);
    }
}

#[test]
fn a_mock_of_wandb_and_one_without_binary_rows_pass() {
    for (acks, binary_rows) in [(false, true), (true, false)] {
        let config = MockConfig { acks, binary_rows, ..strict_config() };
        let mock = MockBackend::new(config).unwrap();
        let base_url = mock.base_url().to_owned();
        check(mock, &base_url, &[]);
    }
}

/// Every case that posts rows fails with a backend whose answers are not what it announces, or not
/// its own.
#[test]
fn false_acks_fail() {
    let breaks: [fn(&mut Response<Bytes>); 5] = [
        |answer| replace(answer, "\"acked\"", "\"stored\""),
        |answer| replace(answer, "\"request\"", "\"id\""),
        |answer| replace(answer, "\"request\":\"post", "\"request\":\"get"),
        |answer| replace(answer, "{\"acked\":", "{\"acked\":9"),
        |answer| {
            if answer.body().starts_with(b"{\"acked\"") {
                *answer.body_mut() = Bytes::from_static(b"<html>Please log in</html>");
            }
        },
    ];
    for answer in breaks {
        let mock = MockBackend::new(strict_config()).unwrap();
        let base_url = mock.base_url().to_owned();
        let broken = Broken { mock, request: |_| {}, answer };
        let failures = ready(conformance::run_all(&target(broken, &base_url)));
        let is_found = |name: &str| failures.iter().any(|failure| failure.case == name);
        assert!(is_found("rows_come_back_in_order"), "{failures:#?}");
        assert!(is_found("a_repeated_post_is_acked_whole"), "{failures:#?}");
        assert!(!is_found("a_new_table_is_empty"), "{failures:#?}");
    }
}

#[test]
fn below_a_path() {
    let base_url = "http://mock.invalid/base".to_owned();
    let mock = MockBackend::new(MockConfig { base_url, ..strict_config() }).unwrap();
    check(mock.clone(), mock.base_url(), &[]);
}

#[test]
fn a_duplicating_backend_fails() {
    let mock = MockBackend::new(MockConfig { dedupe: false, ..strict_config() }).unwrap();
    let base_url = mock.base_url().to_owned();
    check(
        mock,
        &base_url,
        &[
            "a_repeated_post_stores_nothing_twice",
            "an_overlapping_post_stores_what_is_new",
            "two_writers_do_not_overwrite_each_other",
            "the_same_line_of_another_writer_is_another_row",
            "a_writer_named_by_the_header",
            "a_repeated_post_is_acked_whole",
            "binary_rows_are_stored_once_in_order",
            "binary_rows_and_lines_have_the_same_numbers",
            "strict_columns_refuse_a_binary_row_alone",
            "strict_columns_refuse_again_what_they_refused",
        ],
    );
}

/// Checks that the suite finds a broken server, and that one of the failures says so in these words.
#[track_caller]
fn check_said(config: MockConfig, request: fn(&mut Request<Bytes>), said: &str) {
    let mock = MockBackend::new(config).unwrap();
    let base_url = mock.base_url().to_owned();
    let broken = Broken { mock, request, answer: |_| {} };
    let failures = ready(conformance::run_all(&target(broken, &base_url)));
    let texts: Vec<String> = failures.iter().map(ToString::to_string).collect();
    assert!(texts.iter().any(|text| text.contains(said)), "{texts:#?}");
}

/// Changes the lines of a post of rows.
fn change_lines(request: &mut Request<Bytes>, change: fn(&mut Vec<String>)) {
    let Ok(mut body) = serde_json::from_slice::<serde_json::Value>(request.body()) else { return };
    let Some(content) = body.pointer_mut("/files/wandb-history.jsonl/content") else { return };
    let Ok(mut lines) = serde_json::from_value(content.take()) else { return };
    change(&mut lines);
    *content = lines.into();
    *request.body_mut() = body.to_string().into();
}

/// The failures say what happened to which row.
#[test]
fn failures_name_the_row() {
    let unchanged = |_: &mut Request<Bytes>| {};
    let double = MockConfig { dedupe: false, ..strict_config() };
    let said = r#"stores_nothing_twice: row 0 was stored 3 times, not 1: {"i": 0, "by": "w""#;
    check_said(double, unchanged, said);
    check_said(
        strict_config(),
        |request| change_lines(request, |lines| lines.reverse()),
        "rows_come_back_in_order: rows are stored in the order 99, 98,",
    );
    // A server whose answers state what they cover would contradict itself.
    check_said(
        MockConfig { acks: false, ..strict_config() },
        |request| change_lines(request, |lines| drop(lines.pop())),
        "rows_come_back_in_order: row 99 is not stored",
    );
    check_said(
        strict_config(),
        |request| {
            change_lines(request, |lines| {
                lines.iter_mut().for_each(|line| *line = line.replace("naïve", "na?ve"))
            })
        },
        "every_kind_of_value_comes_back: row 0 is read back as",
    );
}

#[test]
fn a_backend_without_authentication_fails() {
    let mock = MockBackend::new(MockConfig { keys: None, ..strict_config() }).unwrap();
    let base_url = mock.base_url().to_owned();
    check(mock, &base_url, &["a_key_that_is_wrong_or_missing"]);
}

#[test]
fn other_violations_fail() {
    let nothing_to_requests = |_: &mut Request<Bytes>| {};
    let nothing_to_answers = |_: &mut Response<Bytes>| {};
    check_broken(
        |request| drop(request.headers_mut().remove(HeaderName::from_static(COLUMNS_HEADER))),
        nothing_to_answers,
        &[
            "strict_columns_refuse_a_binary_row_alone",
            "strict_columns_refuse_the_row_alone",
            "strict_columns_refuse_again_what_they_refused",
        ],
    );
    check_broken(
        nothing_to_requests,
        |answer| replace(answer, "\"errors\"", "\"error\""),
        &[
            "a_key_that_is_wrong_or_missing",
            "a_run_that_was_never_made",
            "a_post_that_is_no_json",
            "a_graphql_request_that_is_no_json",
        ],
    );
    check_broken(
        nothing_to_requests,
        |answer| replace(answer, "\"COMMITTED\"", "\"PENDING\""),
        &["making_a_table_again_changes_nothing"],
    );
    check_broken(
        nothing_to_requests,
        |answer| replace(answer, r#""commitHash":""#, r#""commit":""#),
        &["a_known_table_is_found", "a_table_half_made_is_finished_by_another"],
    );
    check_broken(
        nothing_to_requests,
        |answer| replace(answer, "NaN", "null"),
        &[
            "every_kind_of_value_comes_back",
            "numbers_of_other_clients",
            "odd_texts_and_column_names",
            "binary_rows_equal_lines_of_the_file_stream",
        ],
    );
}
