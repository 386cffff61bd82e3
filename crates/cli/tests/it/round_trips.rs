//! Rows logged and read back in every format.

use crate::support::Home;

const ROWS: &str = r#"{"path":"/","ms":7.5,"n":1,"ok":true,"note":null}
{"path":"/a, \"b\"","ms":0.25,"n":-2,"ok":false,"note":"two\nlines"}
{"path":"é","ms":1e9,"n":3,"ok":true,"note":"z"}
"#;

const COLUMNS: &str = "path, ms, n, ok, note";

/// Log, query, export, log the export and query again: the rows are the same.
#[test]
fn every_format_round_trips() {
    let mut home = Home::new();
    let server = home.serve(&[]);
    let logged = home.pipe(&["log", "me/shop/t"], ROWS);
    assert!(logged.err.starts_with("View data at: http://127.0.0.1:"), "{}", logged.err);
    assert_eq!(logged.ok(), "me/shop/t: 3 logged, 3 acked, 0 pending, 0 rejected, 0 dropped\n");
    let ask = |home: &Home, table: &str| {
        let sql = format!("select {COLUMNS} from {table}");
        home.run(&["query", "--home", "me/shop", "--format", "jsonl", &sql]).ok()
    };
    let expected = ask(&home, "t");
    assert_eq!(expected.lines().count(), 3);
    assert_eq!(
        expected.lines().next(),
        Some(r#"{"path":"/","ms":7.5,"n":1,"ok":true,"note":null}"#)
    );

    for form in ["jsonl", "json", "csv", "parquet"] {
        let (file, table) = (format!("rows.{form}"), format!("from_{form}"));
        let sql = format!("select {COLUMNS} from me.shop.t");
        home.run(&["export", "--sql", &sql, "-o", &file]).ok();
        home.run(&["log", "--quiet", &format!("shop/{table}"), &file]).ok();
        assert_eq!(ask(&home, &table), expected, "{form}");
    }

    // Whole tables, including the server's own columns; and through a pipe for formats that need no
    // file.
    for form in ["jsonl", "json", "csv", "parquet", "arrow"] {
        let file = format!("all.{form}");
        home.run(&["export", "me/shop/t", "-o", &file]).ok();
        let length = home.path(&file).metadata().unwrap().len();
        assert!(length > 100, "{form}: {length}");
    }
    let piped = home.run(&["export", "me/shop/t"]);
    assert_eq!(piped.out, home.read("all.jsonl"));
    let piped =
        home.pipe(&["log", "--quiet", "--format", "csv", "me/shop/piped"], &home.read("rows.csv"));
    assert_eq!(piped.code, Some(0), "{}", piped.err);
    assert_eq!(ask(&home, "piped"), expected);
    assert_eq!(&std::fs::read(home.path("all.arrow")).unwrap()[..6], b"ARROW1");
    let arrow = home.run(&["query", "select 1 as x", "--format", "arrow"]);
    assert_eq!(&arrow.bytes[..4], b"\xff\xff\xff\xff");
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn tables_schemas_and_queries_are_printed() {
    let mut home = Home::new();
    let _server = home.serve(&[]);
    assert!(home.run(&["tables"]).ok().starts_with("no tables at http://127.0.0.1:"));
    home.pipe(&["log", "--quiet", "me/shop/requests"], ROWS).ok();
    home.pipe(&["log", "--quiet", "--evolve", "me/shop/requests"], "{\"n\":\"x\",\"new\":[1]}\n")
        .ok();

    let tables = home.run(&["tables", "me/shop"]).ok();
    assert!(tables.contains("│ me/shop/requests ┆    4 ┆"), "{tables}");
    assert!(home.run(&["tables", "you"]).ok().starts_with("no tables"));
    let json: serde_json::Value =
        serde_json::from_str(&home.run(&["tables", "--json"]).ok()).unwrap();
    assert_eq!(json[0]["rows"], 4);

    let schema = home.run(&["schema", "shop/requests"]).ok();
    for line in ["│ path      ┆ string ", "│ n         ┆ int | string ", "│ new       ┆ list<int> "]
    {
        assert!(schema.contains(line), "{schema}");
    }
    let history = home.run(&["schema", "--history", "me/shop/requests"]).ok();
    assert!(history.contains("│ n         ┆ int "), "{history}");

    let url = home.run(&["url", "shop/requests"]).ok();
    assert!(url.contains("/?exp=get%28%0A++++%22wandb-artifact%3A%2F%2F%2Fme%2Fshop%2Frequests"));

    // Not on a terminal: the link alone.
    assert_eq!(url.lines().count(), 1, "{url}");
    // A link that logs in once and goes on to the table.
    let link = home.run(&["open", "--print", "shop/requests"]).ok();
    assert!(link.contains("/login?token="), "{link}");
    let next = "&next=%2F%3Fexp%3Dget%2528%250A%2B%2B%2B%2B%2522wandb-artifact";
    assert!(link.contains(next), "{link}");

    // A mixed column shows the non-null field, and numbers are aligned right.
    let table =
        home.run(&["query", "select n, ms from me.shop.requests where path is null or n.n > 0"]);
    let table = table.ok();
    insta::assert_snapshot!(without_time(&table));
    let cut = home.run(&["query", "--max-rows", "2", "select n.n from me.shop.requests"]).ok();
    assert!(cut.contains("(the first 2 rows, "), "{cut}");
    let sql = home
        .pipe(&["query", "-", "--format", "csv"], "select count(*) as n\nfrom me.shop.requests");
    assert_eq!(sql.ok(), "n\n4\n");
}

fn without_time(table: &str) -> String {
    let (table, note) = table.split_once("\n(").unwrap();
    format!("{table}\n({}, …)", note.split_once(", ").unwrap().0)
}

/// Invalid rows are reported with their line; all other rows are logged.
#[test]
fn invalid_rows_are_reported_and_skipped() {
    let mut home = Home::new();
    let _server = home.serve(&[]);
    let bad = "{\"a\":1}\nnope\n\n{\"a\":2,\"b\":3}\n[1]\n{\"a\":[]}\n{\"a\":4}\n";
    let logged = home.pipe(&["log", "me/shop/bad"], bad);
    assert_eq!(logged.code, Some(1));
    assert_eq!(
        logged.out,
        "me/shop/bad: 2 logged, 2 acked, 0 pending, 0 rejected, 0 dropped; 2 refused\n"
    );
    // The link is printed with the first batch, which depends on when the input pauses.
    let (links, reported): (Vec<&str>, Vec<&str>) =
        logged.err.lines().partition(|line| line.starts_with("View data at: "));
    assert_eq!(links.len(), 1, "{links:#?}");
    for (line, start) in reported.iter().zip([
        "warning: standard input:2: invalid JSON",
        "warning: standard input:4: column \"b\"",
        "warning: standard input:5: not a JSON object",
        "warning: standard input:6: column \"a\"",
        "error: 4 rows refused; use --evolve to add columns",
    ]) {
        assert!(line.starts_with(start), "{reported:#?}");
    }
    assert_eq!(reported.len(), 5);

    home.write("a.csv", "id,zip\n1,123\n2\n");
    let logged = home.run(&["log", "--text", "zip", "me/shop/csv", "a.csv"]);
    assert_eq!(logged.code, Some(1));
    assert!(logged.err.contains("warning: a.csv:3: 1 cells for 2 columns"), "{}", logged.err);
    let zip = home.run(&["query", "--format", "json", "select zip from me.shop.csv"]).ok();
    assert_eq!(zip, "[\n{\"zip\":\"123\"}\n]\n");
}

/// Media files are written next to the export, under the paths in its cells.
#[test]
fn media_files_are_exported_next_to_the_rows() {
    let mut home = Home::new();
    home.run(&["demo", "--rows", "12", "--rate", "1000", "--data", "data"]).ok();
    let _server = home.serve(&[]);
    let key = home.run(&["keys", "--data", "data", "add", "--entity", "demo", "--read"]).ok();
    let export = |args: &[&str]| {
        let mut command = home.command(args);
        command.env("WANDB_API_KEY", key.trim());
        crate::support::finish(command.spawn().unwrap())
    };
    let exported = export(&["export", "demo/mnist/digits", "-o", "out.jsonl"]);
    assert_eq!(exported.code, Some(0), "{}", exported.err);
    assert!(exported.err.starts_with("out.jsonl: 12 rows, "), "{}", exported.err);
    assert!(exported.err.contains(", 12 media files next to it"), "{}", exported.err);
    for line in home.read("out.jsonl").lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let path = row["image"]["path"].as_str().unwrap();
        let picture = std::fs::read(home.path(path)).unwrap();
        assert_eq!(&picture[1..4], b"PNG");
    }
    let refused = export(&["log", "demo/mnist/digits", "out.jsonl"]);
    assert!(refused.code == Some(1), "a read-only key was able to log: {}", refused.out);
}
