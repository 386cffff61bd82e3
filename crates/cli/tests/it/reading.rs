//! Rows of a Rust type, logged to a server and read back.

use serde::{Deserialize, Serialize};
use streamtable::read::{ReadError, Reader};
use streamtable::transport::HyperTransport;
use streamtable::{Columns, Settings, StreamTable, Timestamp};

use crate::support::Home;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Columns)]
struct Request {
    path: String,
    ms: f64,
    user: Option<u64>,
    tags: Vec<String>,
    place: Place,
    outcome: Outcome,
    began: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Columns)]
struct Place {
    x: i32,
    y: Option<i32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Columns)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Served,
    NotFound,
}

fn request(n: u64) -> Request {
    Request {
        path: format!("/{}", n % 7),
        ms: if n == 3 { f64::INFINITY } else { n as f64 / 2.0 },
        user: Some(n).filter(|n| n % 2 == 1),
        tags: (0..n % 3).map(|tag| tag.to_string()).collect(),
        place: Place { x: n as i32, y: Some(7).filter(|_| n.is_multiple_of(2)) },
        outcome: if n.is_multiple_of(2) { Outcome::Served } else { Outcome::NotFound },
        began: Timestamp::from_micros(1_500_000 + n as i64),
    }
}

/// Settings for the server and the key in a home folder.
fn settings(home: &Home) -> Settings {
    let netrc = home.read(".netrc");
    let key = netrc.split_whitespace().skip_while(|word| *word != "password").nth(1).unwrap();
    Settings {
        base_url: home.url.clone().unwrap(),
        api_key: Some(key.parse().unwrap()),
        ..Settings::default()
    }
}

#[tokio::test]
async fn typed_rows_are_read_back_as_they_were_logged() {
    #[derive(Debug, Deserialize)]
    struct Count {
        path: String,
        n: u64,
    }

    let mut home = Home::new();
    let _server = home.serve(&[]);
    let settings = settings(&home);
    let table = StreamTable::builder("me/shop/requests").settings(settings.clone());
    let table = table.print_url(false).open_typed::<Request>().await.unwrap();
    let reader = Reader::new(HyperTransport::new().unwrap(), settings).unwrap();

    let sent: Vec<Request> = (0..2500).map(request).collect();
    table.log_all(&sent[..2000]).await.unwrap();
    table.flush(std::time::Duration::from_secs(30)).await.unwrap();
    let mut tail = reader.tail("shop/requests").rows::<Request>().await.unwrap();
    table.log_all(&sent[2000..]).await.unwrap();
    for expected in &sent[2000..] {
        assert_eq!(&tail.next().await.unwrap().unwrap(), expected);
    }
    table.finish().await.unwrap();

    let scan = reader.scan("me/shop/requests").rows::<Request>().await.unwrap();
    assert_eq!(scan.all().await.unwrap(), sent);
    let sql = "select * from me.shop.requests order by began limit 20";
    let found: Vec<Request> = reader.query(sql).rows().await.unwrap().all().await.unwrap();
    assert_eq!(found, sent[..20]);
    let sql = "select path, count(*) as n from requests group by path order by path";
    let query = reader.query(sql).home("me", "shop");
    let counts: Vec<Count> = query.rows().await.unwrap().all().await.unwrap();
    assert_eq!((counts.len(), counts[0].path.as_str(), counts[0].n), (7, "/0", 358));

    let error = reader.query("select nothing").rows::<Count>().await.unwrap_err();
    assert!(error.to_string().contains("nothing"), "{error}");
    let sql = "select path, 'x' as n from me.shop.requests";
    let mut rows = reader.query(sql).rows::<Count>().await.unwrap();
    let error = rows.next().await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), r#"row 0: column "n" is string "x", expected u64"#);
    let error = reader.scan("me/shop/nothing").rows::<Count>().await.unwrap_err();
    assert!(error.is_not_found() && matches!(error, ReadError::Refused { .. }), "{error}");
}
