//! GraphQL: ids of other entities, and bounds on the execution of documents.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use streamtable_server::Right;

use crate::support::{Running, basic, send};

const ARTIFACT: &str = "mutation { createArtifact(input: {entityName: \"theirs\",
    projectName: \"p\", artifactTypeName: \"data\", artifactCollectionName: \"c\", digest: \"d\"})
    { artifact { id artifactSequence { id } } } }";

/// Mutations and queries that name an object by its id, which is `$id`.
const BY_ID: &[(&str, &str)] = &[
    ("Run", r#"mutation { upsertBucket(input: {id: "$id", displayName: "x"}) { bucket { id } } }"#),
    ("Project", r#"mutation { upsertModel(input: {id: "$id", description: "x"}) { inserted } }"#),
    ("File", r#"mutation { deleteFiles(input: {files: ["$id"]}) { success } }"#),
    ("Artifact", r#"{ artifact(id: "$id") { digest } }"#),
    ("Artifact", r#"mutation { updateArtifact(input: {artifactID: "$id"}) { artifact { id } } }"#),
    ("Artifact", r#"mutation { deleteArtifact(input: {artifactID: "$id"}) { artifact { id } } }"#),
    ("Artifact", r#"mutation { commitArtifact(input: {artifactID: "$id"}) { artifact { id } } }"#),
    (
        "Artifact",
        r#"mutation { useArtifact(input: {artifactID: "$id", runName: "r"}) { artifact { id } } }"#,
    ),
    (
        "Artifact",
        r#"mutation { createArtifactManifest(input: {artifactID: "$id", name: "m", digest: ""})
            { artifactManifest { id } } }"#,
    ),
    (
        "Artifact",
        r#"mutation { createArtifactFiles(input:
            {artifactFiles: [{artifactID: "$id", name: "a", md5: ""}]}) { files { totalCount } } }"#,
    ),
    (
        "ArtifactManifest",
        r#"mutation { updateArtifactManifest(input: {artifactManifestID: "$id"})
            { artifactManifest { id } } }"#,
    ),
    ("ArtifactCollection", r#"{ artifactCollection(id: "$id") { name } }"#),
];

fn id(kind: &str, number: u32) -> String {
    BASE64_STANDARD.encode(format!("{kind}:{number}"))
}

#[tokio::test]
async fn ids_of_other_entities_look_unknown() {
    let server = Running::start().await;
    server.make_run("theirs", "p", "r").await;
    let artifact = server.ask(ARTIFACT, json!({})).await["createArtifact"]["artifact"].clone();
    assert_eq!(artifact["id"], id("Artifact", 1), "{artifact}");
    let manifest = BY_ID[8].1.replace("$id", &id("Artifact", 1));
    let manifest = server.ask(&manifest, json!({})).await;
    assert_eq!(
        manifest["createArtifactManifest"]["artifactManifest"]["id"],
        id("ArtifactManifest", 1)
    );
    let files = r#"mutation { createRunFiles(input: {entityName: "theirs", projectName: "p",
        runName: "r", files: ["f"]}) { files { uploadUrl } } }"#;
    let files = server.ask(files, json!({})).await;
    let url = files["createRunFiles"]["files"][0]["uploadUrl"].as_str().unwrap().to_owned();
    assert_eq!(send("PUT", &url, &[], "content").await.status, 200);
    for right in [Right::Read, Right::Write, Right::Admin] {
        let key = server.catalog().add_key("other", Some("own"), right).await.unwrap().secret;
        for (kind, document) in BY_ID {
            let ask = async |number| {
                let document = document.replace("$id", &id(kind, number));
                server.ask_as(&key, &document, json!({})).await.json()
            };
            let (foreign, unknown) = (ask(1).await, ask(1_000).await);
            assert_eq!(foreign, unknown, "{document}");
            let text = foreign.to_string();
            assert!(!text.contains("theirs") && !text.contains("\"d\""), "{document}: {text}");
        }
    }
    // Nothing was changed.
    let run = r#"{ project(name: "p", entityName: "theirs")
        { description run(name: "r") { displayName fileCount } } }"#;
    let project = server.ask(run, json!({})).await["project"].clone();
    assert_eq!(
        project,
        json!({ "description": null, "run": { "displayName": "r", "fileCount": 1 } })
    );
}

#[tokio::test]
async fn a_project_is_updated_by_its_id() {
    let server = Running::start().await;
    server.make_run("me", "p", "r").await;
    let ask = async |input: &str| {
        let document = format!(
            "mutation {{ upsertModel(input: {{{input}}}) {{ inserted model {{ name }} }} }}"
        );
        server.ask_as(&server.key, &document, json!({})).await.json()
    };
    let known = ask(&format!("id: \"{}\", description: \"d\"", id("Project", 1))).await;
    let expected = json!({ "inserted": false, "model": { "name": "p" } });
    assert_eq!(known["data"]["upsertModel"], expected, "{known}");
    for (input, part) in [
        (format!("id: \"{}\", name: \"new\"", id("Project", 77)), "project not found"),
        ("id: \"x\", name: \"new\"".to_owned(), "project not found"),
        (
            format!("id: \"{}\", name: \"new\"", id("Project", 1)),
            "cannot delete or rename projects",
        ),
    ] {
        let refused = ask(&input).await;
        let message = refused["errors"][0]["message"].as_str().unwrap_or_default();
        assert!(message.contains(part), "{input}: {refused}");
    }
    let projects = server.ask("{ models { edges { node { name } } } }", json!({})).await;
    assert_eq!(projects["models"]["edges"], json!([{ "node": { "name": "p" } }]));
}

/// A server with a run of 50,000 rows, which are in memory, and a document that reads them 39
/// times.
async fn with_long_document(max_time: Duration) -> (Running, String) {
    let server = Running::start_with(|config| config.wandb.max_document_time = max_time).await;
    server.make_run("me", "p", "r").await;
    let lines: Vec<String> = (0..50_000).map(|n| json!({ "n": n }).to_string()).collect();
    let files = json!({ "wandb-history.jsonl": { "offset": 0, "content": lines } });
    let posted = server.post("me/p/r", &[], &json!({ "files": files }).to_string()).await;
    assert_eq!(posted.status, 200, "{}", posted.text());
    let fields: String = (0..39).map(|i| format!("a{i}: history(samples: 50000) ")).collect();
    let document = format!("{{ project(name: \"p\") {{ run(name: \"r\") {{ {fields} }} }} }}");
    (server, document)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_that_never_wait_end_with_their_time() {
    let (server, document) = with_long_document(Duration::from_millis(300)).await;
    let start = Instant::now();
    let answer = server.ask_as(&server.key, &document, json!({})).await;
    assert_eq!(answer.status, 503, "{:.200}", answer.text());
    assert!(answer.text().contains("longer than 300ms"), "{}", answer.text());
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_end_with_their_caller_and_leave_room_for_others() {
    let (server, document) = with_long_document(Duration::from_secs(600)).await;
    let other = server.catalog().add_key("other", Some("me"), Right::Read).await.unwrap().secret;
    let (auth, url) = (basic(&server.key), format!("{}/graphql", server.url));
    let callers: Vec<_> = (0..64)
        .map(|_| {
            let (auth, url) = (auth.clone(), url.clone());
            let body = json!({ "query": document }).to_string();
            let headers = move || [("authorization", auth.clone())];
            tokio::spawn(async move {
                let headers = headers();
                let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
                send("POST", &url, &headers, body).await.status
            })
        })
        .collect();
    let viewer = async |key: &str| server.ask_as(key, "{ viewer { id } }", json!({})).await.status;
    tokio::time::sleep(Duration::from_millis(300)).await;
    // One key has not taken all places.
    assert_eq!(viewer(&other).await, 200);
    callers.iter().for_each(tokio::task::JoinHandle::abort);
    let start = Instant::now();
    assert_eq!(viewer(&server.key).await, 200);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

#[tokio::test]
async fn fields_that_read_rows_are_counted_higher() {
    let server = Running::start().await;
    server.make_run("me", "p", "r").await;
    let ask = async |count: usize| -> Value {
        let fields: String = (0..count).map(|i| format!("a{i}: history ")).collect();
        let document = format!("{{ project(name: \"p\") {{ run(name: \"r\") {{ {fields} }} }} }}");
        server.ask_as(&server.key, &document, json!({})).await.json()
    };
    assert!(ask(39).await.get("errors").is_none());
    assert!(ask(40).await.to_string().contains("fields after its fragments are expanded"));
}
