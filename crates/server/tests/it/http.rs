//! Pages and browser sessions.

use serde_json::{Value, json};

use crate::support::{Running, basic, send};

/// The link printed by weave 0.24.
fn link(server: &Running) -> String {
    let expression = "get%28%0A++++%22wandb-artifact%3A%2F%2F%2Fme%2Fp%2Fr%3Alatest%2Fobj%22%29%0A\
        ++.rows";
    format!("{}/?exp={expression}", server.url)
}

#[tokio::test]
async fn weave_links_open_the_page_of_their_table() {
    let server = Running::start().await;
    server.append("me/p/r", r#"{"note":"<b>x</b>","n":7}"#).await;

    let link = link(&server);
    let asks = send("GET", &link, &[], "").await;
    assert_eq!(asks.status, 401);
    assert!(asks.text().contains("API key"), "{}", asks.text());
    let page = send("GET", &link, &[("authorization", &basic(&server.key))], "").await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("<title>me/p/r – StreamTable</title>"), "{}", page.text());
    let start = start_of(&page.text());
    assert_eq!(
        start,
        json!({
            "embed": false, "view": "panel", "entity": "me", "project": "p", "table": "r",
            "expr": "get(\n    \"wandb-artifact:///me/p/r:latest/obj\")\n  .rows",
            "writes": true,
        })
    );
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'; script-src 'self' 'wasm-unsafe-eval';"),
        "{policy}"
    );
    assert!(!policy.contains("'unsafe-eval'") && policy.ends_with("frame-ancestors 'none'"));

    let other = link.replace("%2Fr%3A", "%2Fother%3A");
    let auth = basic(&server.key);
    assert_eq!(send("GET", &other, &[("authorization", &auth)], "").await.status, 404);
    let wrong = send("GET", &format!("{}/?exp=get%28", server.url), &[], "").await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains("line 1, column 5"), "{}", wrong.text());
}

/// Returns the start data embedded in a page.
fn start_of(page: &str) -> Value {
    let (_, rest) = page.split_once(r#"<script type="application/json" id="start">"#).unwrap();
    serde_json::from_str(rest.split("</script>").next().unwrap()).unwrap()
}

#[tokio::test]
async fn pages_contain_their_start_data() {
    let server = Running::start().await;
    server.append("me/p/r", r#"{"n":7}"#).await;
    let auth = basic(&server.key);
    let get = async |path: &str| {
        send("GET", &format!("{}{path}", server.url), &[("authorization", &auth)], "").await
    };
    let start = async |path: &str| start_of(&get(path).await.text());
    let home = |entity: Value, project: Value| json!({ "embed": false, "view": "home", "entity": entity, "project": project, "writes": true, "runs": cfg!(feature = "wandb") });
    assert_eq!(start("/").await, home(Value::Null, Value::Null));
    assert_eq!(start("/me").await, home("me".into(), Value::Null));
    assert_eq!(start("/me/p").await, home("me".into(), "p".into()));
    let board =
        json!({ "view": "board", "entity": "me", "project": "p", "board": "b c", "writes": true });
    let with = |embed: bool| {
        let mut board = board.clone();
        board["embed"] = embed.into();
        board
    };
    assert_eq!(start("/me/p/boards/b%20c").await, with(false));
    assert_eq!(start("/embed?board=me%2Fp%2Fb+c").await, with(true));
    assert_eq!(get("/embed").await.status, 400);
    let (_, query) =
        link(&server).split_once('?').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let framed = get(&format!("/embed?{query}")).await;
    assert_eq!(start_of(&framed.text())["embed"], true);
    let policy = framed.header("content-security-policy");
    assert!(
        policy.ends_with("frame-ancestors 'self' http://localhost:* http://127.0.0.1:*"),
        "{policy}"
    );

    // Invalid names are not found, and nothing is revealed without a key.
    assert_eq!(get("/me/p%3Fq/boards/x/y").await.status, 404);
    assert_eq!(get("/NO").await.status, 404);
    for path in ["/", "/me", "/me/p", "/me/p/boards/b", "/embed?board=me/p/b"] {
        let url = format!("{}{path}", server.url);
        assert_eq!(send("GET", &url, &[], "").await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn page_assets_are_served_and_cached() {
    let server = Running::start().await;
    let (root, auth) = (format!("{}/", server.url), basic(&server.key));
    let page = send("GET", &root, &[("authorization", &auth)], "").await.text();
    let script = page.split('"').find(|it| it.starts_with("/assets/app-") && it.ends_with(".js"));
    let url = format!("{}{}", server.url, script.unwrap());
    let fetch = async |headers: &[(&str, &str)]| send("GET", &url, headers, "").await;

    let plain = fetch(&[]).await;
    assert_eq!(plain.status, 200);
    assert_eq!(plain.header("content-encoding"), "");
    assert_eq!(plain.header("cache-control"), "public, max-age=31536000, immutable");
    assert!(plain.header("content-type").starts_with("text/javascript"));
    assert!(plain.header("content-security-policy").contains("'wasm-unsafe-eval'"));
    let brotli = fetch(&[("accept-encoding", "gzip, br")]).await;
    assert_eq!(brotli.header("content-encoding"), "br");
    assert!(brotli.body.len() < plain.body.len() / 2);
    let gzip = fetch(&[("accept-encoding", "gzip")]).await;
    assert_eq!(gzip.header("content-encoding"), "gzip");
    let mut unzipped = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&gzip.body[..]), &mut unzipped)
        .unwrap();
    assert_eq!(unzipped, plain.body);
    let again = fetch(&[("if-none-match", plain.header("etag"))]).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(server.get("/assets/../Cargo.toml").await.status, 404);
    assert_eq!(server.get("/assets/nothing.js").await.status, 404);
}

#[tokio::test]
async fn links_of_other_clients_are_redirected() {
    let server = Running::start().await;
    for path in ["/weave/wandb/me/p/table/r", "/browse/wandb/me/p/table/r"] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 307);
        assert_eq!(format!("{}{}", server.url, answer.header("location")), link(&server));
    }
    assert_eq!(server.get("/nothing/here/at/all").await.status, 404);
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn browser_sessions_log_in_and_out() {
    let server = Running::start().await;
    let login = format!("{}/login", server.url);
    let form = ("content-type", "application/x-www-form-urlencoded");
    let wrong = send("POST", &login, &[form], "key=nonsense&next=/").await;
    assert_eq!((wrong.status, wrong.header("set-cookie")), (401, ""));

    let body = format!("key={}&next=%2F%2Fevil.example", server.key);
    let right = send("POST", &login, &[form], body).await;
    assert_eq!((right.status, right.header("location")), (303, "/"));
    let cookie = right.header("set-cookie").to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    let root = format!("{}/", server.url);
    assert_eq!(send("GET", &root, &[("cookie", cookie)], "").await.status, 200);
    assert_eq!(send("GET", &root, &[], "").await.status, 401);

    // A change by a browser must come from a page of the same origin.
    let keys = format!("{}/api/keys", server.url);
    let json = ("content-type", "application/json");
    let new = r#"{"name":"n","right":"read"}"#;
    let own = ("origin", server.url.as_str());
    let status = async |headers: &[(&str, &str)]| {
        let headers = [&[("cookie", cookie), json], headers].concat();
        send("POST", &keys, &headers, new).await.status
    };
    assert_eq!(status(&[own]).await, 201);
    assert_eq!(status(&[]).await, 401);
    assert_eq!(status(&[("origin", "https://evil.example")]).await, 403);

    let logout = format!("{}/logout", server.url);
    assert_eq!(send("POST", &logout, &[("cookie", cookie), own], "").await.status, 303);
    assert_eq!(send("GET", &root, &[("cookie", cookie)], "").await.status, 401);
}

#[tokio::test]
async fn a_login_link_opens_only_one_session() {
    let server = Running::start().await;
    let auth = basic(&server.key);
    let links = format!("{}/api/login-links", server.url);
    let made = send("POST", &links, &[("authorization", &auth)], "").await;
    let link = made.json()["url"].as_str().unwrap().to_owned();
    // Mail scanners and link previews open links, too.
    for method in ["HEAD", "GET", "GET"] {
        let page = send(method, &link, &[], "").await;
        assert_eq!((page.status, page.header("set-cookie")), (200, ""));
        assert_eq!(page.header("cache-control"), "no-store");
        assert!(page.header("content-security-policy").ends_with("frame-ancestors 'none'"));
    }
    let page = send("GET", &format!("{link}&next=%2F%3Fa%22b"), &[], "").await.text();
    let token = link.split_once("token=").unwrap().1;
    for part in [
        "<form method=\"post\" action=\"/login\">",
        &format!("name=\"token\" value=\"{token}\""),
        "name=\"next\" value=\"/?a&quot;b\"",
        "<button autofocus",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }

    // Only the button of that page starts the session.
    let login = format!("{}/login", server.url);
    let open = async |headers: &[(&str, &str)]| {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let body = format!("token={token}&next=%2Fme%2Fp");
        send("POST", &login, &[&form, headers].concat(), body).await
    };
    assert_eq!(open(&[]).await.status, 403);
    assert_eq!(open(&[("origin", "http://evil.example")]).await.status, 403);
    assert_eq!(open(&[("origin", "null")]).await.status, 403);
    let own = [("origin", server.url.as_str())];
    let first = open(&own).await;
    assert_eq!((first.status, first.header("location")), (303, "/me/p"));
    let cookie = first.header("set-cookie").split(';').next().unwrap();
    assert_eq!(send("GET", &server.url, &[("cookie", cookie)], "").await.status, 200);
    let second = open(&own).await;
    assert_eq!((second.status, second.header("set-cookie")), (401, ""));
    assert_eq!(send("GET", &link, &[], "").await.status, 401);
    // A frame that is loaded again still has the used link, and the browser is logged in.
    let again = send("GET", &format!("{link}&next=%2Fembed"), &[("cookie", cookie)], "").await;
    assert_eq!((again.status, again.header("location")), (303, "/embed"));

    // A browser that is already logged in is redirected, and the link stays valid.
    let made = send("POST", &links, &[("authorization", &auth)], "").await;
    let link =
        format!("{}&next=%2Fembed%3Fboard%3Dme%2Fp%2Fb", made.json()["url"].as_str().unwrap());
    let on = send("GET", &link, &[("cookie", cookie)], "").await;
    assert_eq!((on.status, on.header("location")), (303, "/embed?board=me/p/b"));
    // A link to an embedded page may be confirmed in a frame.
    let framed = send("GET", &link, &[], "").await;
    let policy = framed.header("content-security-policy");
    assert!(policy.ends_with("'self' http://localhost:* http://127.0.0.1:*"), "{policy}");
}

#[tokio::test]
async fn every_response_has_one_date() {
    let server = Running::start().await;
    for path in ["/healthz", "/nothing/here/at/all", "/style.css"] {
        let answer = server.get(path).await;
        assert_eq!(answer.headers.get_all("date").iter().count(), 1, "{path}");
    }
}

#[tokio::test]
async fn an_intact_server_is_ready() {
    let server = Running::start().await;
    let answer = send("GET", &format!("{}/readyz", server.url), &[], "").await;
    assert_eq!(answer.status, 200);
    let expected = json!({
        "ready": true, "problems": [], "tables_with_problems": 0, "store_problems": {},
    });
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn rejected_rows_are_counted_and_the_first_are_listed() {
    let server = Running::start().await;
    let url = format!("{}/api/tables/me/p/t/rows", server.url);
    let rows = "{a:1}\n".repeat(1500) + "{\"a\":1}\n";
    let answer = send("POST", &url, &[("authorization", &basic(&server.key))], rows).await.json();
    assert_eq!((&answer["stored"], &answer["rejected_rows"]), (&1.into(), &1500.into()));
    let rejected = answer["rejected"].as_array().unwrap();
    assert_eq!((rejected.len(), &rejected[999]["line"]), (1000, &999.into()));
    assert_eq!(answer["next_line"], 1501);
}

#[tokio::test]
async fn rows_of_an_export_are_stored_without_the_columns_of_the_server() {
    let server = Running::start().await;
    let auth = basic(&server.key);
    let rows = |table: &str| format!("{}/api/tables/me/p/{table}/rows", server.url);
    let post = async |table: &str, rows_of: String| {
        send("POST", &rows(table), &[("authorization", &auth)], rows_of).await.json()
    };
    post("t", "{\"a\":1.50,\"b\":[1,null]}\n{\"a\":2,\"b\":[]}".to_owned()).await;
    let read = async |table: &str| {
        let text = send("GET", &rows(table), &[("authorization", &auth)], "").await.text();
        text.lines().map(|row| serde_json::from_str(row).unwrap()).collect::<Vec<Value>>()
    };
    let exported = read("t").await;
    assert_eq!(exported[0]["_position"], 0);
    let answer = post("copy", json!(exported).to_string()).await;
    assert_eq!((&answer["stored"], &answer["rejected_rows"]), (&2.into(), &0.into()));
    let note = answer["notes"][0].as_str().unwrap();
    assert!(note.starts_with("columns that the server assigns anew"), "{note}");
    let copied = read("copy").await;
    for (row, copy) in exported.iter().zip(&copied) {
        for column in ["timestamp", "a", "b", "_line"] {
            assert_eq!(copy[column], row[column], "{column}");
        }
        assert_ne!(copy["_writer"], row["_writer"]);
    }
}
