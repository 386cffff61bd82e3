use serde_json::value::RawValue;
use streamtable_schema::{ColumnPolicy, Schema, TablePath, row};

use super::*;
use crate::{HistoryKeys, StreamTableArtifact};

fn table() -> TablePath {
    TablePath::new("stacey", "my mesa", "my_stream_table").unwrap()
}

fn upload(name: &str) -> Upload {
    Upload {
        upload_url: Some(format!("http://127.0.0.1:1/{name}?signed")),
        upload_headers: Some(vec!["Content-Type:application/json".into()]),
    }
}

/// Pins the bytes of a request and of a response, and parses both.
#[track_caller]
fn check<O>(operation: &O, answer: &O::Answer)
where
    O: Operation + PartialEq + std::fmt::Debug,
    O::Answer: PartialEq + std::fmt::Debug,
{
    let (request, body) = (request_body(operation), answer_body::<O>(answer));
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    insta::assert_snapshot!(O::NAME, format!("{}\n\n{}", text(&request), text(&body)));
    assert_eq!(parse_answer::<O>(&body).as_ref(), Ok(answer));

    let parsed = GraphqlRequest::parse(&request).unwrap();
    assert_eq!(&parsed.variables_of::<O>().unwrap().unwrap(), operation);
    assert!(O::DOCUMENT.contains(&format!(" {}", O::NAME)));
    for variable in variables(parsed.variables.as_deref()) {
        let declared = O::DOCUMENT.matches(&format!("${variable}:")).count();
        let used = O::DOCUMENT.matches(&format!("${variable}")).count();
        assert!(declared == 1 && used > 1, "${variable}");
    }
    // The variables are parsed only if the document is exactly ours.
    let other = GraphqlRequest { query: format!("{} ", parsed.query), ..parsed.clone() };
    assert!(other.variables_of::<O>().is_none());
    let more = RawValue::from_string(r#"{"stray":1}"#.into()).unwrap();
    let other = GraphqlRequest { variables: Some(more), ..parsed };
    assert!(other.variables_of::<O>().unwrap().is_err());
}

fn variables(raw: Option<&RawValue>) -> Vec<String> {
    let variables = serde_json::from_str(raw.map_or("{}", RawValue::get));
    let variables: serde_json::Map<String, serde_json::Value> = variables.unwrap();
    variables.keys().cloned().collect()
}

#[test]
fn login() {
    let owner = Viewer { default_entity: Some(Named { name: "stacey".into() }) };
    check(&WhoAmI {}, &WhoAmIAnswer { viewer: Some(owner) });
    let feature = |name: &str, is_enabled| Feature { name: name.into(), is_enabled };
    let features = vec![feature("FILESTREAM_GZIP", true), feature("CLIENT_IDS", false)];
    let answer = ServerFeaturesAnswer { server_info: Some(ServerInfo { features }) };
    check(&ServerFeatures {}, &answer);
    assert!(answer.has(crate::GZIP_FEATURE) && !answer.has("CLIENT_IDS") && !answer.has("OTHER"));
    assert!(!ServerFeaturesAnswer { server_info: None }.has(crate::GZIP_FEATURE));
}

#[test]
fn find() {
    let mut schema = Schema::new(ColumnPolicy::Strict);
    schema.admit(&row! { "path" => "/", "ms" => 7 }).unwrap();
    let membership = FoundMembership { commit_hash: Some("c0ffee".into()) };
    let answer = FindTableAnswer {
        project: Some(FoundProject {
            run: Some(FoundRun { history_keys: Some(HistoryKeys::new(&schema, 1)) }),
            artifact_collection: Some(FoundCollection { artifact_membership: Some(membership) }),
        }),
    };
    check(&FindTable::new(&table(), &StreamTableArtifact::new(&table())), &answer);
    assert!(answer.has_artifact() && answer.run().is_some());
    for part in [
        r#"{"project":null}"#,
        r#"{"project":{"run":null,"artifactCollection":null}}"#,
        r#"{"project":{"artifactCollection":{"artifactMembership":null}}}"#,
        r#"{"project":{"artifactCollection":{"artifactMembership":{"commitHash":null}}}}"#,
    ] {
        let answer: FindTableAnswer = serde_json::from_str(part).unwrap();
        assert!(!answer.has_artifact() && answer.run().is_none());
    }
}

#[test]
fn create() {
    let latest_artifact = Some(Identified { id: "QTow".into() });
    let artifact = Artifact {
        id: "QTox".into(),
        state: "PENDING".into(),
        artifact_sequence: Some(ArtifactSequence { latest_artifact }),
    };
    let answer = CreateTableAnswer {
        upsert_bucket: Some(UpsertedRun { bucket: Some(Named { name: table().table().into() }) }),
        create_artifact: Some(CreatedArtifact { artifact: Some(artifact.clone()) }),
    };
    check(&CreateTable::new(&table(), &StreamTableArtifact::new(&table())), &answer);
    assert_eq!(answer.artifact(), Some(&artifact));
    assert!(!artifact.is_committed());
    assert_eq!(artifact.base_id().as_deref(), Some("QTow"));
    let fresh = r#"{"id":"x","state":"COMMITTED","artifactSequence":{"latestArtifact":null}}"#;
    let fresh: Artifact = serde_json::from_str(fresh).unwrap();
    assert!(fresh.is_committed() && fresh.base_id().is_none());
}

#[test]
fn fill() {
    let artifact = Artifact { id: "QTox".into(), state: "PENDING".into(), artifact_sequence: None };
    let content = StreamTableArtifact::new(&table());
    let (_, digest) = content.manifest(&artifact.id);
    let manifest = ArtifactManifest { id: "TTox".into(), file: Some(upload("manifest")) };
    let answer = CreateManifestAnswer {
        create_artifact_manifest: Some(CreatedManifest {
            artifact_manifest: Some(manifest.clone()),
        }),
    };
    check(&CreateManifest::new(&table(), &artifact, Some(&digest)), &answer);
    assert_eq!(answer.manifest(), Some(&manifest));
    let first = CreateManifest::new(&table(), &artifact, None);
    assert_eq!((first.digest.as_str(), first.with_upload), ("", false));

    let nodes = content.files.iter().map(|file| ArtifactFileNode {
        display_name: Some(file.path.into()),
        artifact: Some(Identified { id: artifact.id.clone() }),
        upload_url: upload(file.path).upload_url,
        upload_headers: None,
    });
    let files = CreatedFiles { files: nodes.collect() };
    let answer = CreateArtifactFilesAnswer { create_artifact_files: Some(files) };
    check(&CreateArtifactFiles::new(&artifact.id, &manifest.id, &content), &answer);

    let committed = CommittedArtifact { artifact: Some(Identified { id: artifact.id.clone() }) };
    let answer = CommitArtifactAnswer { commit_artifact: Some(committed) };
    check(&CommitArtifact { artifact: artifact.id }, &answer);
}

#[test]
fn files() {
    let name = "media/images/a.png";
    let files = vec![RunFile { name: name.into(), upload_url: upload(name).upload_url }];
    let created = CreatedRunFiles { upload_headers: Some(Vec::new()), files };
    let answer = CreateRunFilesAnswer { create_run_files: Some(created) };
    check(&CreateRunFiles::new(&table(), vec![name.into(), "b\"é".into()]), &answer);
}

#[test]
fn rows() {
    let history = vec![r#"{"a":1}"#.to_owned(), r#"{"a":NaN}"#.to_owned()];
    let run = Some(ReadRun { history });
    let answer = ReadRowsAnswer { project: Some(ReadProject { run }) };
    check(&ReadRows::new(&table(), 0, u64::MAX, 2), &answer);
}

#[test]
fn requests_of_other_clients() {
    #[track_caller]
    fn check(body: &str, name: Option<&str>, has_variables: bool) {
        let request = GraphqlRequest::parse(body.as_bytes()).unwrap();
        assert_eq!(request.operation_name.as_deref(), name);
        assert_eq!(request.variables.is_some(), has_variables);
        assert!(request.variables_of::<WhoAmI>().is_none());
    }
    check(r#"{"query":"query Viewer { viewer { id } }"}"#, None, false);
    check(
        r#"{"query": "q", "variables": {"name": "t", "historyStep": null}, "extra": 1.5}"#,
        None,
        true,
    );
    check(
        r#"{"operationName":"StreamTableWhoAmI","query":"q","variables":null}"#,
        Some(WhoAmI::NAME),
        false,
    );
    check(r#"{"operationName":null,"query":"q","variables":[1]}"#, None, true);
    let bare = format!(
        r#"{{"operationName":"StreamTableWhoAmI","query":{}}}"#,
        serde_json::to_string(WhoAmI::DOCUMENT).unwrap()
    );
    let bare = GraphqlRequest::parse(bare.as_bytes()).unwrap();
    assert_eq!(bare.variables_of::<WhoAmI>().unwrap().unwrap(), WhoAmI {});
    for body in ["", "{}", "[]", r#"["n","q",null]"#, r#"{"query":null}"#, r#"{"query":["q"]}"#] {
        assert!(GraphqlRequest::parse(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn answers() {
    #[track_caller]
    fn check(body: &str, expected: Result<Option<&str>, &str>) {
        let entity = |answer: WhoAmIAnswer| Some(answer.viewer?.default_entity?.name);
        let answer = parse_answer::<WhoAmI>(body.as_bytes()).map(entity);
        let answer = answer.map_err(|error| error.to_string());
        assert_eq!(answer, expected.map(|name| name.map(str::to_owned)).map_err(str::to_owned));
    }
    let owned = r#""data":{"viewer":{"id":7,"defaultEntity":{"name":"me","x":1.5}}}"#;
    check(&format!("{{{owned}}}"), Ok(Some("me")));
    check(&format!(r#"{{{owned},"errors":null,"extensions":{{"cost":1}}}}"#), Ok(Some("me")));
    check(&format!(r#"{{{owned},"errors":[]}}"#), Ok(Some("me")));
    check(r#"{"data":{"viewer":null}}"#, Ok(None));
    check(r#"{"data":{"viewer":{"defaultEntity":null}}}"#, Ok(None));

    let refused = "the server refused: input: boom";
    check(r#"{"errors":[{"message":"input: boom","extensions":{"code":401}}]}"#, Err(refused));
    check(r#"{"errors":["input: boom"],"data":null}"#, Err(refused));
    check(
        &format!(r#"{{{owned},"errors":[{{"message":"a"}},"b",{{"code":1}},null,2]}}"#),
        Err(
            "the server refused: a; b; an error without a message; an error without a message; an error without a message",
        ),
    );
    let unreadable = |body: &str| {
        let error = parse_answer::<WhoAmI>(body.as_bytes()).unwrap_err();
        assert!(matches!(error, GraphqlError::Unreadable { .. }), "{error}");
        assert!(error.to_string().len() < 300);
    };
    for body in
        ["", "null", "[]", "{}", "<html>", r#"{"data":null}"#, r#"{"data":[]}"#, r#"{"data":7}"#]
    {
        unreadable(body);
    }
    // Answers to other questions.
    for body in [r#"{"data":{}}"#, r#"{"data":[null]}"#, r#"{"data":{"project":null}}"#] {
        unreadable(body);
    }
    unreadable(&format!(r#"{{"data":{:?}}}"#, "x".repeat(100_000)));
}

#[test]
fn errors() {
    #[track_caller]
    fn check(body: &[u8], expected: &[&str]) {
        assert_eq!(error_messages(body), expected);
    }
    let body = error_body("a \"bad\" key");
    assert_eq!(body, br#"{"errors":[{"message":"a \"bad\" key"}]}"#);
    check(&body, &["a \"bad\" key"]);
    check(br#"{"errors":["plain",{"message":"m","path":["a",1]}]}"#, &["plain", "m"]);
    check(br#"{"error":"no list"}"#, &[]);
    check(br#"{"errors":null}"#, &[]);
    check(b"<html>", &[]);
    check(b"[[\"x\"]]", &[]);
    assert_eq!(
        parse_answer::<WhoAmI>(&body),
        Err(GraphqlError::Refused { messages: vec!["a \"bad\" key".into()] })
    );
}
