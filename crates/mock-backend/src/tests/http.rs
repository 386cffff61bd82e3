//! Routing and authentication.

use streamtable_transport::ApiKey;
use streamtable_wire::graphql::{CreateTable, FindTable, Operation, WhoAmI, request_body};
use streamtable_wire::{StreamTableArtifact, file_stream_path};

use super::*;

#[track_caller]
fn check(method: Method, path: &str, headers: &[(&str, &str)], status: u16, message: &str) {
    let bench = Bench::new();
    let answered = bench.local(method, path, headers, "{}");
    bench.expect_violation(answered, status, message);
    assert!(bench.texts().is_empty());
}

const STREAM: &str = "/files/me/shop/requests/file_stream";

#[test]
fn paths_and_methods() {
    let headers = &[AUTHORIZATION, JSON];
    check(Method::POST, "/graphql/", headers, 404, "no such path");
    check(Method::POST, "/graphql?x=1", headers, 404, "no such path");
    check(Method::POST, "/api/graphql", headers, 404, "no such path");
    check(Method::POST, "/files/me/shop/file_stream", headers, 404, "no such path");
    check(Method::GET, "/graphql", headers, 405, "does not support GET");
    check(Method::PUT, STREAM, headers, 405, "does not support PUT");
    check(Method::POST, "/files/me/shop/requests/a.png", headers, 405, "does not support POST");
    check(Method::POST, "/storage/0?signature=x", headers, 405, "does not support POST");
    check(Method::POST, "/files/Me/shop/requests/file_stream", headers, 400, "the entity");
    check(Method::POST, "/files/me/s%3Fp/requests/file_stream", headers, 400, "the project");
    check(Method::POST, "/files/me/shop/a%20b/file_stream", headers, 400, "the table");
    check(Method::POST, "/files/me/shop/other/file_stream", headers, 404, "never created");
}

#[test]
fn content_types() {
    for path in ["/graphql", STREAM] {
        check(Method::POST, path, &[AUTHORIZATION], 415, "application/json");
        check(
            Method::POST,
            path,
            &[AUTHORIZATION, ("content-type", "text/plain")],
            415,
            "\"text/plain\"",
        );
        check(Method::POST, path, &[AUTHORIZATION, JSON, JSON], 400, "content-type occurs twice");
        let gzip = ("content-encoding", "gzip");
        check(Method::POST, path, &[AUTHORIZATION, JSON, gzip], 415, "\"gzip\" is not supported");
    }
    let bench = Bench::new();
    let with_charset = [AUTHORIZATION, ("content-type", "Application/JSON; charset=utf-8")];
    bench.local(Method::POST, STREAM, &with_charset, "{}").unwrap();
    bench.mock.assert_no_violations();
}

#[test]
fn keys() {
    for path in ["/graphql", STREAM] {
        check(Method::POST, path, &[JSON], 401, "no Authorization");
        let authorization = |value| [("authorization", value), JSON];
        check(Method::POST, path, &authorization("Bearer key"), 401, "not Basic");
        check(Method::POST, path, &authorization("Basic key"), 401, "not Basic");
        check(Method::POST, path, &authorization("Basic YXBpOg=="), 401, "not Basic");
        check(Method::POST, path, &authorization("Basic a2V5"), 401, "not Basic");
    }
    check(Method::GET, "/files/me/shop/requests/a.png", &[], 401, "no Authorization");
}

#[test]
fn refusals_of_correct_clients_are_no_violations() {
    let key = |key: &str| ApiKey::new(key).unwrap();
    let keys = Some(vec![(key("key"), "me".to_owned()), (key("other"), "you".to_owned())]);
    let bench = Bench::with(MockConfig { keys, max_body_bytes: 2000, ..MockConfig::default() });
    assert_eq!(bench.ask(&WhoAmI {}).viewer.unwrap().default_entity.unwrap().name, "me");

    // "user:unknown"
    let unknown = [("authorization", "Basic dXNlcjp1bmtub3du"), JSON];
    bench.expect_refusal(bench.local(Method::POST, STREAM, &unknown, "{}"), 401, "unknown");
    // "user:other"
    let other = [("authorization", "Basic dXNlcjpvdGhlcg=="), JSON];
    bench.expect_refusal(bench.local(Method::POST, STREAM, &other, "{}"), 403, "entity \"me\"");
    let find = FindTable::new(&bench.table, &StreamTableArtifact::new(&bench.table));
    let answered = bench.local(Method::POST, GRAPHQL_PATH, &other, request_body(&find));
    bench.expect_refusal(answered, 403, "entity \"me\"");
    let yours: TablePath = "you/p/t".parse().unwrap();
    let create = CreateTable::new(&yours, &StreamTableArtifact::new(&yours));
    bench.expect_refusal(bench.post_graphql(request_body(&create)), 403, "entity \"you\"");
    bench.expect_refusal(bench.post(&[ASYNC], vec![b' '; 2001]), 413, "longer than 2000");
    bench.expect_refusal(
        bench.local(Method::GET, "/files/me/shop/requests/no.png", &[AUTHORIZATION], ""),
        404,
        "no such file",
    );
    bench.mock.assert_no_violations();

    bench.mock.set_keys(None);
    bench.local(Method::POST, STREAM, &other, "{}").unwrap();
    bench.mock.assert_no_violations();
}

#[test]
fn other_hosts_are_unreachable() {
    let bench = Bench::new();
    let headers = &[AUTHORIZATION, JSON];
    for url in ["http://elsewhere.invalid/graphql", "https://mock.invalid/graphql"] {
        let error = bench.send(Method::POST, url, headers, "{}").unwrap_err();
        assert!(matches!(error, TransportError::Unreachable { .. }), "{error:?}");
    }
    assert_eq!(bench.mock.violations().len(), 2);
}

#[test]
fn the_journal_records_all_requests() {
    let bench = Bench::new();
    bench.ask(&WhoAmI {});
    bench.post_rows(3, &["{}", "{}"]).unwrap();
    let journal: Vec<String> = bench.mock.journal().iter().map(ToString::to_string).collect();
    assert_eq!(
        journal,
        [
            "0 POST /graphql StreamTableWhoAmI 200".to_owned(),
            format!("1 POST {} rows 3..5 200", file_stream_path(&bench.table)),
        ]
    );
    assert_eq!(bench.mock.count(crate::RequestKind::Graphql), 1);
    assert_eq!(bench.mock.count_operation(WhoAmI::NAME), 1);
}
