//! Monitors: states, rows and messages, with real receivers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use serde_json::{Value, json};
use streamtable_server::Right;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::support::{Answer, Running, basic, send};

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// An HTTP server that keeps the requests that it accepts.
struct Receiver {
    url: String,
    taken: Arc<parking_lot::Mutex<Vec<Taken>>>,
    status: Arc<AtomicU16>,
}

#[derive(Clone, Debug)]
struct Taken {
    headers: http::HeaderMap,
    body: Bytes,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?token=s3cret", listener.local_addr().unwrap());
        let (taken, status) = (Arc::default(), Arc::new(AtomicU16::new(200)));
        let receiver = Self { url, taken: Arc::clone(&taken), status: Arc::clone(&status) };
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (taken, status) = (Arc::clone(&taken), Arc::clone(&status));
                let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let (taken, status) = (Arc::clone(&taken), Arc::clone(&status));
                    async move {
                        let (parts, body) = request.into_parts();
                        let body = body.collect().await?.to_bytes();
                        let status = status.load(Ordering::SeqCst);
                        if status == 200 {
                            taken.lock().push(Taken { headers: parts.headers, body });
                        }
                        let response = http::Response::builder()
                            .status(status)
                            .header("location", "http://127.0.0.1:1/elsewhere");
                        Ok::<_, hyper::Error>(response.body(Full::new(Bytes::new())).unwrap())
                    }
                });
                let io = hyper_util::rt::TokioIo::new(stream);
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(io, service),
                );
            }
        });
        receiver
    }

    /// Returns all events that arrived, and checks that none arrived twice.
    fn events(&self) -> Vec<Value> {
        let taken = self.taken.lock();
        let bodies = taken.iter().map(|it| serde_json::from_slice::<Value>(&it.body).unwrap());
        let events: Vec<Value> =
            bodies.flat_map(|body| body["events"].as_array().unwrap().clone()).collect();
        let mut ids: Vec<&str> = events.iter().map(|it| it["id"].as_str().unwrap()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), events.len(), "{events:?}");
        events
    }

    /// Returns the states that were reported of a monitor's group, in order.
    fn states(&self, monitor: &str) -> Vec<String> {
        let path = format!("me/shop/{monitor}");
        let events = self.events();
        let of = events.iter().filter(|event| event["monitor"] == path.as_str());
        of.map(|event| event["to"].as_str().unwrap().to_owned()).collect()
    }
}

/// A mail server that keeps the messages that it accepts.
struct Mailbox {
    port: u16,
    mails: Arc<parking_lot::Mutex<Vec<String>>>,
}

impl Mailbox {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mails = Arc::default();
        let mailbox = Self { port, mails: Arc::clone(&mails) };
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(converse(stream, Arc::clone(&mails)));
            }
        });
        mailbox
    }
}

/// Speaks as much of SMTP (RFC 5321) as a sender needs.
async fn converse(
    stream: tokio::net::TcpStream,
    mails: Arc<parking_lot::Mutex<Vec<String>>>,
) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 mail.example ESMTP\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let answer: &[u8] = match line.split(' ').next().unwrap_or_default() {
            "EHLO" => b"250-mail.example\r\n250 8BITMIME\r\n",
            "MAIL" | "RCPT" => b"250 ok\r\n",
            "DATA" => {
                write.write_all(b"354 go on\r\n").await?;
                let mut mail = String::new();
                while let Some(line) = lines.next_line().await? {
                    if line == "." {
                        break;
                    }
                    mail.push_str(&line);
                    mail.push('\n');
                }
                mails.lock().push(mail);
                b"250 accepted\r\n"
            }
            "QUIT" => b"221 bye\r\n",
            _ => b"502 unknown\r\n",
        };
        write.write_all(answer).await?;
    }
    Ok(())
}

impl Running {
    async fn ask_api(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.ask_api_as(&self.key, method, path, body).await
    }

    async fn ask_api_as(&self, key: &str, method: &str, path: &str, body: &Value) -> Answer {
        let headers = [("authorization", &*basic(key)), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        send(method, &format!("{}{path}", self.url), &headers, body).await
    }

    async fn make_monitor(&self, name: &str, document: &Value) {
        let answer = self.ask_api("PUT", &format!("/api/monitors/me/shop/{name}"), document).await;
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
    }

    async fn make_target(&self, name: &str, document: &Value) {
        let answer = self.ask_api("PUT", &format!("/api/targets/me/shop/{name}"), document).await;
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
    }

    async fn states(&self) -> Vec<(String, String)> {
        let list = self.get("/api/monitors/me/shop").await.json();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let list = list.as_array().unwrap();
        list.iter().map(|it| (text(&it["name"]), text(&it["state"]))).collect()
    }

    /// Waits until each of the monitors has been evaluated and has a state.
    async fn wait_for(&self, monitors: &[&str], state: &str) {
        let has = |states: &[(String, String)], name: &str| {
            states.iter().any(|(own, its)| own == name && its == state)
        };
        let started = Instant::now();
        loop {
            let states = self.states().await;
            if monitors.iter().all(|name| has(&states, name)) {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "waits for {state}: {states:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Returns the transitions of each monitor, from `_monitors`: monitor, group, from, to.
    async fn transitions(&self) -> Vec<[String; 4]> {
        let sql = "select monitor, \"group\" as g, \"from\" as f, \"to\" as t \
                   from \"me/shop/_monitors\" order by _line";
        let answer = self.ask_api("POST", "/api/query", &json!({ "sql": sql })).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let rows = answer.json();
        let text = |row: &Value, name: &str| row[name].as_str().unwrap_or("-").to_owned();
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| ["monitor", "g", "f", "t"].map(|name| text(row, name))).collect()
    }
}

async fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Returns the time as RFC 3339.
fn instant() -> String {
    jiff::Timestamp::now().to_string()
}

fn monitor(window: &Value, condition: &Value) -> Value {
    json!({
        "format": 1, "title": "Watch", "table": "me/shop/requests", "window": window,
        "every": "1s", "condition": condition,
    })
}

/// Ten rows with a latency, a path and a text.
fn rows(ms: u32, path: &str, text: &str) -> String {
    (0..10).map(|i| format!("{}\n", json!({ "ms": ms + i, "path": path, "text": text }))).collect()
}

async fn start() -> Running {
    Running::start_with(|config| config.monitors.allow_private_targets = true).await
}

/// Each kind of condition fires and recovers once, in its table and at its targets, with a restart of
/// the server while it fires.
#[tokio::test]
async fn each_kind_fires_and_recovers_once_across_a_restart() {
    let (receiver, mailbox) = (Receiver::start().await, Mailbox::start().await);
    let mut server = start().await;
    server.make_target("default", &json!({ "kind": "webhook", "url": receiver.url })).await;
    server
        .make_target(
            "mail",
            &json!({
                "kind": "email", "server": "127.0.0.1", "port": mailbox.port, "security": "none",
                "from": "monitors@shop.example", "to": ["ops@shop.example"],
            }),
        )
        .await;
    let before = instant();
    let good = rows(50, "/a", "fine");
    for _ in 0..2 {
        server.append("me/shop/requests", &good).await;
    }
    tokio::time::sleep(Duration::from_millis(5)).await;
    let reference = json!({ "reference": { "from": before, "to": instant() } });
    tokio::time::sleep(Duration::from_millis(5)).await;
    server.append("me/shop/beats", "{\"a\":1}").await;

    let last = json!({ "rows": 10 });
    let drift = |column: &str, method: &str| {
        json!({ "kind": "drift", "column": column, "method": method, "against": reference,
            "min_rows": 5, "above": 0.5 })
    };
    let mut documents = vec![
        (
            "threshold",
            json!({ "kind": "threshold", "value": "avg(ms)", "above": 100, "recover": 80 }),
        ),
        ("change", json!({ "kind": "change", "value": "avg(ms)", "above": 0.5 })),
        ("ks", drift("ms", "ks")),
        ("psi", drift("ms", "psi")),
        ("js", drift("path", "js")),
        ("match", json!({ "kind": "match", "column": "text", "pattern": "^err", "above": 0.5 })),
        ("sql", json!({ "kind": "sql", "expression": "count(*) filter (where ms > 150) > 5" })),
        (
            "query",
            json!({ "kind": "sql",
            "query": "select max(ms) as value from (select ms from requests order by _timestamp desc limit 5)",
            "above": 150 }),
        ),
    ];
    let names: Vec<&str> = documents.iter().map(|(name, _)| *name).collect();
    for (name, condition) in &mut documents {
        let mut document = monitor(&last, condition);
        if *name == "threshold" {
            document["notify"] = json!(["default", "mail"]);
            document["severity"] = json!("critical");
        }
        server.make_monitor(name, &document).await;
    }
    let mut silent = monitor(&json!({ "last": "3s" }), &json!({ "kind": "no_rows" }));
    silent["table"] = json!("me/shop/beats");
    server.make_monitor("no_rows", &silent).await;

    server.wait_for(&names, "ok").await;
    server.append("me/shop/requests", &rows(200, "/b", "error")).await;
    server.wait_for(&[&names[..], &["no_rows"]].concat(), "firing").await;
    server.restart().await;
    server.wait_for(&[&names[..], &["no_rows"]].concat(), "firing").await;
    for _ in 0..2 {
        server.append("me/shop/requests", &good).await;
    }
    server.wait_for(&names, "ok").await;
    server.append("me/shop/beats", "{\"a\":2}").await;
    eventually("no_rows recovers", || (receiver.states("no_rows").len() == 2).then_some(())).await;
    // It would fire again.
    server.ask_api("DELETE", "/api/monitors/me/shop/no_rows", &Value::Null).await;
    server.restart().await;
    server.wait_for(&names, "ok").await;

    for name in names.iter().chain(&["no_rows"]) {
        let found = eventually("messages arrive", || {
            Some(receiver.states(name)).filter(|states| states.len() >= 2)
        });
        assert_eq!(found.await, ["firing", "ok"], "{name}");
    }
    let mut transitions = server.transitions().await;
    for name in names.iter().chain(&["no_rows"]) {
        let of = |[monitor, ..]: &&[String; 4]| monitor == name;
        let found: Vec<_> =
            transitions.iter().filter(of).map(|[_, _, f, t]| [&**f, &**t]).collect();
        assert_eq!(found, [["ok", "firing"], ["firing", "ok"]], "{name}");
    }
    transitions.dedup();
    assert_eq!(transitions.len(), 2 * (names.len() + 1));
    let mails = eventually("mails arrive", || {
        Some(mailbox.mails.lock().clone()).filter(|mails| mails.len() >= 2)
    });
    let mails = mails.await;
    assert_eq!(mails.len(), 2, "{mails:#?}");
    assert!(mails[0].contains("Subject: FIRING [critical] Watch"), "{}", mails[0]);
    assert!(mails[1].contains("Subject: RECOVERED [critical] Watch"), "{}", mails[1]);
    assert!(mails[0].contains("To: ops@shop.example"), "{}", mails[0]);
}

/// A message that cannot be delivered waits, also across a restart, and then arrives once; messages of
/// one evaluation arrive together, signed.
#[tokio::test]
async fn messages_wait_in_a_durable_queue_and_are_signed() {
    let receiver = Receiver::start().await;
    let mut server = start().await;
    let target = json!({ "kind": "webhook", "url": receiver.url, "secret": "s3cret" });
    server.make_target("default", &target).await;
    receiver.status.store(503, Ordering::SeqCst);
    server
        .append("me/shop/requests", &format!("{}{}", rows(500, "/a", ""), rows(500, "/b", "")))
        .await;
    let mut document = monitor(
        &json!({ "rows": 20 }),
        &json!({ "kind": "threshold", "value": "max(ms)", "above": 100 }),
    );
    document["group_by"] = json!("path");
    server.make_monitor("slow", &document).await;
    server.wait_for(&["slow"], "firing").await;
    let failed = async |server: &Running| {
        server.get("/api/targets/me/shop/default").await.json()["error"].clone()
    };
    let started = Instant::now();
    while failed(&server).await.is_null() {
        assert!(started.elapsed() < PATIENCE, "the failure is not shown");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(failed(&server).await, "the server answered 503");
    server.restart().await;
    receiver.status.store(200, Ordering::SeqCst);
    eventually("the message arrives", || (!receiver.events().is_empty()).then_some(())).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;

    let taken = receiver.taken.lock().clone();
    assert_eq!(taken.len(), 1, "{taken:#?}");
    let groups: Vec<Value> = receiver.events().iter().map(|it| it["group"].clone()).collect();
    assert_eq!(groups, ["/a", "/b"]);
    let header = |name: &str| taken[0].headers[name].to_str().unwrap().to_owned();
    let signed = [header("x-streamtable-timestamp").as_bytes(), b".", &taken[0].body].concat();
    assert_eq!(header("x-streamtable-signature"), format!("sha256={}", hmac("s3cret", &signed)));
    assert_eq!(server.transitions().await.len(), 2);
}

fn hmac(key: &str, text: &[u8]) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = <Hmac<sha2::Sha256> as KeyInit>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Targets on the server's own network are refused, however they are written, and redirects are not
/// followed. Secrets are shown nowhere.
#[tokio::test]
async fn targets_cannot_reach_the_servers_network_and_show_no_secrets() {
    let (receiver, mailbox) = (Receiver::start().await, Mailbox::start().await);
    let mut server = Running::start().await;
    let port = receiver.url.split([':', '/']).nth(4).unwrap().to_owned();
    let test = async |server: &Running| {
        let answer =
            server.ask_api("POST", "/api/targets/me/shop/default/test", &Value::Null).await;
        assert!(!answer.text().contains("s3cret"), "{}", answer.text());
        answer.json()
    };
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433"] {
        let url = format!("http://{host}:{port}/s3cret");
        server.make_target("default", &json!({ "kind": "slack", "url": url })).await;
        let result = test(&server).await;
        assert_eq!(result["sent"], false, "{host}");
        let error = result["error"].as_str().unwrap();
        assert!(error.contains("no public address"), "{host}: {error}");
        let shown = server.get("/api/targets/me/shop").await;
        assert!(!shown.text().contains("s3cret"), "{}", shown.text());
    }
    let mail = json!({
        "kind": "email", "server": "localhost", "port": mailbox.port, "security": "none",
        "from": "a@b.example", "to": ["c@d.example"],
    });
    server.make_target("default", &mail).await;
    assert!(test(&server).await["error"].as_str().unwrap().contains("no public address"));
    server.make_target("default", &json!({ "kind": "command" })).await;
    assert!(test(&server).await["error"].as_str().unwrap().contains("not enabled"));
    assert!(receiver.taken.lock().is_empty() && mailbox.mails.lock().is_empty());

    server.start_again(|config| config.monitors.allow_private_targets = true).await.unwrap();
    // Without TLS, a message is sent only if the target says so.
    let mut mail = mail;
    mail["security"] = json!("starttls");
    server.make_target("default", &mail).await;
    assert!(test(&server).await["error"].as_str().unwrap().contains("STARTTLS"));
    assert!(mailbox.mails.lock().is_empty());
    server.make_target("default", &json!({ "kind": "slack", "url": receiver.url })).await;
    assert_eq!(test(&server).await["sent"], true);
    assert_eq!(receiver.taken.lock().len(), 1);
    receiver.status.store(307, Ordering::SeqCst);
    let result = test(&server).await;
    assert_eq!(
        (&result["sent"], &result["error"]),
        (&json!(false), &json!("the server answered 307"))
    );
}

/// The operator's command gets the message.
#[cfg(unix)]
#[tokio::test]
async fn the_operators_command_gets_the_message() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (script, out) = (folder.path().join("run"), folder.path().join("out"));
    std::fs::write(&script, format!("#!/bin/sh\ncat > '{}'\n", out.display())).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
    let server = Running::start_with(|config| config.monitors.command = Some(script.clone())).await;
    server.make_target("run", &json!({ "kind": "command" })).await;
    let result = server.ask_api("POST", "/api/targets/me/shop/run/test", &Value::Null).await.json();
    assert_eq!(result["sent"], true, "{result}");
    let got: Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    assert_eq!(got["events"][0]["title"], "Test of the target run");
}

#[tokio::test]
async fn documents_are_versioned_and_rights_are_checked() {
    let server = Running::start().await;
    let path = "/api/monitors/me/shop/slow";
    let document = monitor(
        &json!({ "rows": 10 }),
        &json!({ "kind": "threshold", "value": "max(ms)", "above": 100 }),
    );
    let put = async |expected: &str, document: &Value| {
        let headers = [("authorization", &*basic(&server.key)), ("if-match", expected)];
        send("PUT", &format!("{}{path}", server.url), &headers, document.to_string()).await.status
    };
    assert_eq!(put("\"1\"", &document).await, 412);
    server.make_monitor("slow", &document).await;
    assert_eq!(put("\"1\"", &document).await, 200);
    assert_eq!(put("\"1\"", &document).await, 412);
    let found = server.get(path).await;
    assert_eq!((found.json(), found.header("etag")), (document.clone(), "\"2\""));

    let wrong = async |field: &str, value: Value, part: &str| {
        let mut document = document.clone();
        document[field] = value;
        let answer = server.ask_api("PUT", path, &document).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.text().contains(part), "{}", answer.text());
    };
    wrong("where", json!("ms >"), "`where`").await;
    wrong("group_by", json!("(select 1)"), "`group_by`").await;
    wrong("table", json!("you/shop/requests"), "`table`").await;
    wrong("condition", json!({ "kind": "threshold", "value": "x" }), "`condition.above`").await;

    let key = async |entity, right| {
        server.catalog().add_key("k", Some(entity), right).await.unwrap().secret
    };
    let (reader, other) = (key("me", Right::Read).await, key("you", Right::Admin).await);
    let target = json!({ "kind": "command" });
    server.make_target("t", &target).await;
    for (method, path, body, by_reader, by_other) in [
        ("GET", path, &Value::Null, 200, 404),
        ("GET", "/me/shop/monitors", &Value::Null, 200, 404),
        ("GET", "/me/shop/monitors/slow", &Value::Null, 200, 404),
        ("GET", "/api/monitors/me/shop", &Value::Null, 200, 404),
        ("GET", "/api/targets/me/shop/t", &Value::Null, 200, 404),
        ("PUT", path, &document, 403, 404),
        ("DELETE", path, &Value::Null, 403, 404),
        ("POST", "/api/monitors/me/shop/slow/test", &Value::Null, 403, 404),
        ("POST", "/api/monitors/me/shop", &document, 200, 404),
        ("POST", "/api/monitors/me/shop/slow/silence", &json!({ "for": "1h" }), 403, 404),
        ("PUT", "/api/targets/me/shop/t", &target, 403, 404),
        ("POST", "/api/targets/me/shop/t/test", &Value::Null, 403, 404),
        ("DELETE", "/api/targets/me/shop/t", &Value::Null, 403, 404),
    ] {
        let status = async |key| server.ask_api_as(key, method, path, body).await.status;
        assert_eq!(status(&reader).await, by_reader, "{method} {path}");
        assert_eq!(status(&other).await, by_other, "{method} {path}");
    }
}

/// A test evaluates without side effects; a silence delays messages, but not transitions; `/metrics` has
/// the monitors that the caller may read.
#[tokio::test]
async fn tests_silences_and_metrics() {
    let receiver = Receiver::start().await;
    let server = start().await;
    server.make_target("default", &json!({ "kind": "webhook", "url": receiver.url })).await;
    server.append("me/shop/requests", &rows(500, "/a", "")).await;
    let document = monitor(
        &json!({ "rows": 10 }),
        &json!({ "kind": "threshold", "value": "max(ms)", "above": 100 }),
    );
    let tried = server.ask_api("POST", "/api/monitors/me/shop", &document).await.json();
    assert_eq!(
        (&tried["groups"][0]["state"], &tried["groups"][0]["value"]),
        (&json!("firing"), &json!(509.0))
    );
    let mut infinite = document.clone();
    for (value, expected) in
        [("max(ms) / 0", json!("Infinity")), ("0 - max(ms) / 0", json!("-Infinity"))]
    {
        infinite["condition"]["value"] = json!(value.replace("max(ms)", "CAST(max(ms) AS DOUBLE)"));
        let tried = server.ask_api("POST", "/api/monitors/me/shop", &infinite).await.json();
        assert_eq!(tried["groups"][0]["value"], expected, "{tried}");
    }
    let mut wrong = document.clone();
    wrong["condition"]["value"] = json!("max(nothing)");
    let tried = server.ask_api("POST", "/api/monitors/me/shop", &wrong).await.json();
    assert!(tried["error"].as_str().unwrap().contains("nothing"), "{tried}");
    assert_eq!(server.states().await, []);

    // Saved while no rows are bad, so that the silence comes first.
    server.append("me/shop/requests", &rows(1, "/a", "")).await;
    server.make_monitor("slow", &document).await;
    let silence = json!({ "for": "1h", "reason": "release" });
    let answer = server.ask_api("POST", "/api/monitors/me/shop/slow/silence", &silence).await;
    assert_eq!(answer.json()[0]["reason"], "release");
    server.append("me/shop/requests", &rows(500, "/a", "")).await;
    server.wait_for(&["slow"], "firing").await;
    let listed = server.get("/api/monitors/me/shop").await.json();
    assert_eq!(listed[0]["silenced"], true);
    assert_eq!(
        (&listed[0]["value"], &listed[0]["bounds"]),
        (&json!(509.0), &json!({ "above": 100.0 }))
    );
    assert!(listed[0]["since"].is_string(), "{listed}");
    let metrics = server.get("/metrics").await.text();
    let line = "ALERTS{alertname=\"slow\",alertstate=\"firing\",project=\"me/shop\",severity=\"warning\"} 1";
    assert!(metrics.contains(line), "{metrics}");
    let other = server.catalog().add_key("k", Some("you"), Right::Read).await.unwrap().secret;
    let metrics = server.ask_api_as(&other, "GET", "/metrics", &Value::Null).await.text();
    assert!(!metrics.contains("slow\""), "{metrics}");

    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(receiver.events(), Vec::<Value>::new());
    server.ask_api("DELETE", "/api/monitors/me/shop/slow/silence", &Value::Null).await;
    eventually("it is reported", || (receiver.states("slow") == ["firing"]).then_some(())).await;

    // An error is a state, and names what is wrong.
    server.make_monitor("wrong", &wrong).await;
    server.wait_for(&["wrong"], "error").await;
    let state = server.get("/api/monitors/me/shop/wrong/state").await.json();
    assert!(state["groups"][0]["error"].as_str().unwrap().contains("nothing"), "{state}");
}

/// A result holds without new rows only as long as time alone does not change it.
#[tokio::test]
async fn states_change_with_time_alone() {
    let server = start().await;
    server.append("me/shop/requests", &rows(5, "/", "fine")).await;
    let count = json!({ "kind": "change", "value": "count(*)", "below": -0.5, "recover": -0.2 });
    server.make_monitor("change", &monitor(&json!({ "last": "3s" }), &count)).await;
    let old = json!({ "kind": "threshold", "value": "count(*)", "above": 5 });
    let since = json!({ "since": "2020-01-01T00:00:00Z" });
    let mut clock = monitor(&since, &old);
    clock["where"] = json!("_timestamp < now() - interval '2 seconds'");
    clock["no_data"] = json!("ok");
    server.make_monitor("clock", &clock).await;
    server.wait_for(&["change"], "firing").await;
    server.wait_for(&["clock"], "firing").await;
    // Both windows are empty in the end.
    server.wait_for(&["change"], "ok").await;
}

/// Slow queries of one entity delay the monitors of another one by one query, not by all.
#[tokio::test]
async fn monitors_of_an_entity_do_not_wait_for_all_of_another() {
    let server = start().await;
    server.append("me/shop/requests", &rows(5, "/", "fine")).await;
    let other = server.catalog().add_key("k", Some("you"), Right::Write).await.unwrap().secret;
    for i in 0..30 {
        let query =
            format!("select sum(sqrt(value)) + {i} as value from generate_series(1, 30000000)");
        let mut slow = monitor(
            &json!({ "last": "1m" }),
            &json!({ "kind": "sql", "query": query, "above": 0 }),
        );
        slow["table"] = json!("you/p/t");
        let path = format!("/api/monitors/you/p/slow{i}");
        let answer = server.ask_api_as(&other, "PUT", &path, &slow).await;
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
    }
    let mean = json!({ "kind": "threshold", "value": "avg(ms)", "above": 1 });
    server.make_monitor("mine", &monitor(&json!({ "rows": 10 }), &mean)).await;
    server.wait_for(&["mine"], "firing").await;
    let list = server.ask_api_as(&other, "GET", "/api/monitors/you/p", &Value::Null).await.json();
    let evaluated = list.as_array().unwrap().iter().filter(|it| !it["evaluated"].is_null());
    assert!(evaluated.count() < 30, "all of the other entity were evaluated first");
}

/// A mail server that never ends its greeting takes little memory.
#[tokio::test]
async fn a_mail_server_cannot_send_without_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sent = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut sent = 0;
        while stream.write_all(&[b'2'; 1 << 16]).await.is_ok() {
            sent += 1 << 16;
        }
        sent
    });
    let server = start().await;
    let target = json!({
        "kind": "email", "server": "127.0.0.1", "port": port, "security": "none",
        "from": "monitors@shop.example", "to": ["ops@shop.example"],
    });
    server.make_target("mail", &target).await;
    server.ask_api("POST", "/api/targets/me/shop/mail/test", &Value::Null).await;
    // The system buffers some of it.
    let sent: u64 = sent.await.unwrap();
    assert!(sent < 64 << 20, "{sent}");
}

#[tokio::test]
async fn a_silence_ends() {
    let server = start().await;
    let count = json!({ "kind": "threshold", "value": "count(*)", "above": 5 });
    server.make_monitor("m", &monitor(&json!({ "last": "1m" }), &count)).await;
    for span in ["9999999w", "367d"] {
        let path = "/api/monitors/me/shop/m/silence";
        let answer = server.ask_api("POST", path, &json!({ "for": span })).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.text().contains("at most 366 days"), "{}", answer.text());
    }
}

/// Alerts of W&B's SDK are rows of `_monitors`, and go to the target `default`.
#[cfg(feature = "wandb")]
#[tokio::test]
async fn alerts_of_runs_are_recorded_and_reported() {
    let receiver = Receiver::start().await;
    let server = start().await;
    server.make_target("default", &json!({ "kind": "webhook", "url": receiver.url })).await;
    server.make_run("me", "shop", "r1").await;
    let mutation = "mutation A($e: String, $p: String) { notifyScriptableRunAlert(input: {
        entityName: $e, projectName: $p, runName: \"r1\", title: \"Low\", text: \"0.1\",
        severity: WARN, waitDuration: 60000000000 }) { success } }";
    let done = server.ask(mutation, json!({ "e": "me", "p": "shop" })).await;
    assert_eq!(done["notifyScriptableRunAlert"]["success"], true);
    let events = eventually("the alert arrives", || {
        Some(receiver.events()).filter(|events| !events.is_empty())
    });
    let event = &events.await[0];
    assert_eq!((&event["title"], &event["message"]), (&json!("Low"), &json!("0.1")));
    assert_eq!((&event["severity"], &event["monitor"]), (&json!("warning"), &json!("me/shop/r1")));
    let started = Instant::now();
    while server.get("/api/tables/me/shop/_monitors").await.status != 200 {
        assert!(started.elapsed() < PATIENCE, "there is no row");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(
        server.transitions().await,
        [["wandb.alert", "r1", "-", "firing"].map(str::to_owned)]
    );
}

/// Measures how 1,000 monitors on ten tables affect appends of 5,000 rows per second. Prints the
/// figures; run it alone, in release.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
#[expect(clippy::print_stdout, reason = "the figures are what the measurement reports")]
async fn a_thousand_monitors_and_five_thousand_rows_a_second() {
    let server = start().await;
    let without = ingest(&server, 20).await;
    for i in 0..1_000 {
        let mut document = monitor(
            &json!({ "last": "1m" }),
            &json!({ "kind": "threshold", "value": format!("avg(ms) + {}", i / 10), "above": 1e9 }),
        );
        document["table"] = json!(format!("me/load/t{}", i % 10));
        document["every"] = json!("15s");
        server.make_monitor(&format!("m{i}"), &document).await;
    }
    let with = ingest(&server, 40).await;
    let list = server.get("/api/monitors/me/shop").await.json();
    let evaluated = list.as_array().unwrap().iter().filter(|it| !it["evaluated"].is_null()).count();
    println!("without: {without:?}\nwith 1,000 monitors: {with:?}\nevaluated: {evaluated}");
    assert_eq!(evaluated, 1_000);
}

/// The latencies of appends.
#[derive(Debug)]
#[expect(dead_code, reason = "printed")]
struct Ingest {
    rows_per_second: f64,
    p50: Duration,
    p99: Duration,
    max: Duration,
}

/// Appends 5,000 rows per second to ten tables, and then as many as possible for some seconds.
async fn ingest(server: &Running, seconds: u64) -> Ingest {
    let rows: String = (0..50).map(|i| format!("{{\"ms\":{i},\"path\":\"/a\"}}\n")).collect();
    let (mut latencies, mut count) = (Vec::new(), 0);
    let started = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    while started.elapsed() < Duration::from_secs(seconds) {
        tick.tick().await;
        let at = Instant::now();
        server.append(&format!("me/load/t{}", count % 10), &rows).await;
        latencies.push(at.elapsed());
        count += 1;
    }
    let took = started.elapsed().as_secs_f64();
    latencies.sort();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    Ingest {
        rows_per_second: (count * 50) as f64 / took,
        p50: at(0.5),
        p99: at(0.99),
        max: at(1.0),
    }
}
