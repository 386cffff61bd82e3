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
        "me/shop/bad: 3 logged, 3 acked, 0 pending, 0 rejected, 0 dropped; 1 refused\n"
    );
    // The link is printed with the first batch, which depends on when the input pauses.
    let (links, reported): (Vec<&str>, Vec<&str>) =
        logged.err.lines().partition(|line| line.starts_with("View data at: "));
    assert_eq!(links.len(), 1, "{links:#?}");
    for (line, start) in reported.iter().zip([
        "warning: standard input:2: invalid JSON",
        "warning: standard input:4: column \"b\"",
        "warning: standard input:5: not a JSON object",
        "error: 3 rows refused; use --evolve to add columns",
    ]) {
        assert!(line.starts_with(start), "{reported:#?}");
    }
    assert_eq!(reported.len(), 4);

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

/// Rows with every kind of cell, in columns of one kind and of several.
const CELLS: &str = r#"{"t":"","f":NaN,"s":"007","b":true,"l":[1,null,2],"o":{"k":"v"},"u":1,"x":null}
{"t":null,"f":Infinity,"s":"true","b":false,"l":[],"o":{"k":null},"u":"one","x":null}
{"t":" pad ","f":-0.0,"s":"1e5","b":null,"l":null,"o":null,"u":2.5,"x":null}
{"t":"q\"uo,te\nnl","f":5e-324,"s":"2026-01-02T03:04:05Z","b":true,"l":[7],"o":{"k":"w"},"u":null,"x":null}
{"t":"=1+2","f":1e308,"s":"NaN","b":true,"l":[7],"o":{"k":"w"},"u":true,"x":null}
"#;

/// The output of each reader of a table can be logged again, and gives the same rows.
#[test]
fn what_readers_write_is_logged_again() {
    let mut home = Home::new();
    let _server = home.serve(&[]);
    home.pipe(&["log", "--evolve", "-q", "me/shop/a"], CELLS).ok();
    let sql = |table: &str| {
        format!("select timestamp, t, f, s, b, l, o, u, x from me.shop.{table} order by _line")
    };
    let rows = |table: &str| home.run(&["query", "--format", "jsonl", &sql(table)]).ok();
    let types = |table: &str| {
        let columns = home.run(&["schema", "--json", &format!("me/shop/{table}")]).ok();
        let columns: serde_json::Value = serde_json::from_str(&columns).unwrap();
        let columns = columns.as_array().unwrap().iter();
        let mut types: Vec<String> =
            columns.map(|it| format!("{}: {}", it["name"], it["type"])).collect();
        types.sort();
        types
    };
    let (expected, expected_types) = (rows("a"), types("a"));
    assert!(expected.contains(r#""l":[1,null,2],"o":{"k":"v"},"u":1.0,"#), "{expected}");
    for file in ["a.parquet", "a.arrow", "a.json", "a.jsonl", "q.parquet", "q.arrow", "q.json"] {
        match file.starts_with('a') {
            true => home.run(&["export", "me/shop/a", "-q", "-o", file]).ok(),
            false => home.run(&["query", "-o", file, &sql("a")]).ok(),
        };
        let table = file.replace('.', "_");
        let logged = home.run(&["log", "--evolve", &format!("me/shop/{table}"), file]);
        assert_eq!(logged.code, Some(0), "{file}: {}", logged.err);
        assert_eq!(rows(&table), expected, "{file}");
        if !file.contains("json") {
            assert_eq!(types(&table), expected_types, "{file}");
        }
    }
    let tail = home.run(&["tail", "-n", "100", "me/shop/a"]).ok();
    home.pipe(&["log", "--evolve", "-q", "me/shop/tailed"], &tail).ok();
    assert_eq!(rows("tailed"), expected, "tail");

    // CSV does not tell an empty text from null, and has JSON texts of lists and structs.
    home.run(&["export", "me/shop/a", "-q", "-o", "a.csv"]).ok();
    home.run(&["log", "-q", "me/shop/csv", "a.csv"]).ok();
    let csv = rows("csv");
    let first = r#""t":null,"f":"NaN","s":"007","b":true,"l":"[1,null,2]","o":"{\"k\":\"v\"}","u":"1.0","x":null}"#;
    assert!(csv.lines().next().unwrap().ends_with(first), "{csv}");
}

/// Rows that could not be delivered are logged again from the files that have them.
#[test]
fn spooled_and_rejected_rows_are_logged_again() {
    let mut home = Home::new();
    let _server = home.serve(&[]);
    home.pipe(&["log", "--evolve", "-q", "--offline", "me/shop/a"], CELLS).ok();
    home.run(&["spool", "export", "-o", "spooled.jsonl"]).ok();
    home.run(&["log", "--evolve", "-q", "me/shop/b", "spooled.jsonl"]).ok();
    home.run(&["sync"]).ok();
    let rows = |table: &str, columns: &str| {
        let sql = format!("select timestamp, {columns} from me.shop.{table} order by _line");
        home.run(&["query", "--format", "jsonl", &sql]).ok()
    };
    let all = "t, f, s, b, l, o, u, x";
    assert_eq!(rows("b", all), rows("a", all));

    // The server rejects rows that were spooled without knowing the table's columns.
    home.pipe(&["log", "-q", "me/shop/c"], "{\"other\":1}\n").ok();
    let bad = "{\"n\":1,\"t\":\"\",\"o\":{\"k\":[NaN]}}\n{\"n\":2,\"t\":null,\"o\":null}\n";
    home.pipe(&["log", "-q", "--offline", "me/shop/c"], bad).ok();
    assert_eq!(home.run(&["sync"]).code, Some(1));
    let mut folders = vec![home.path("state")];
    let mut found = None;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.file_name().unwrap().to_str() {
                Some("rejected.jsonl") => found = Some(path),
                _ if path.is_dir() => folders.push(path),
                _ => {}
            }
        }
    }
    let file = found.unwrap();
    home.run(&["log", "-q", "me/shop/d", file.to_str().unwrap()]).ok();
    let found = home.run(&["query", "--format", "jsonl", "select n, t, o from me.shop.d"]).ok();
    assert_eq!(
        found,
        "{\"n\":1,\"t\":\"\",\"o\":{\"k\":[\"NaN\"]}}\n{\"n\":2,\"t\":null,\"o\":null}\n"
    );
}

/// Whichever client creates a table, the command appends to it, and a `timestamp` that is no time keeps its
/// name in every reader.
#[test]
fn the_time_of_a_row_is_no_column() {
    let mut home = Home::new();
    let _server = home.serve(&[]);
    let rows = "{\"timestamp\":1788970985,\"n\":1}\n{\"timestamp\":1788970986,\"n\":2}\n";
    let logged = home.pipe(&["log", "me/shop/own"], rows);
    assert_eq!(logged.err.matches("column \"timestamp\": a number").count(), 1, "{}", logged.err);
    let found = home.run(&["query", "--format", "csv", "select timestamp, n from me.shop.own"]);
    assert_eq!(found.ok(), "timestamp,n\n1788970985,1\n1788970986,2\n");
    let tail = home.run(&["tail", "me/shop/own"]).ok();
    assert!(tail.lines().all(|row| row.contains("\"_timestamp\":\"20")), "{tail}");
    assert!(tail.contains("\"timestamp\":1788970985,\"n\":1}"), "{tail}");
    let text = home.run(&["tail", "--format", "text", "me/shop/own"]).ok();
    assert!(text.contains("timestamp=1788970985  n=1"), "{text}");
    home.run(&["export", "me/shop/own", "-q", "-o", "own.csv"]).ok();
    home.run(&["log", "-q", "me/shop/again", "own.csv"]).ok();
    let found = home.run(&["query", "--format", "csv", "select timestamp, n from me.shop.again"]);
    assert_eq!(found.ok(), "timestamp,n\n1788970985,1\n1788970986,2\n");
    let schema = home.run(&["schema", "me/shop/own"]).ok();
    assert!(schema.contains("│ timestamp ┆ int "), "{schema}");

    let logged = home.pipe(&["log", "--timestamp", "s", "me/shop/times"], rows);
    assert!(!logged.err.contains("timestamp"), "{}", logged.err);
    let sql = "select timestamp, n from me.shop.times where timestamp > '2026-09-09T16:23:05Z'";
    let found = home.run(&["query", "--format", "csv", sql]).ok();
    assert_eq!(found, "timestamp,n\n2026-09-09T16:23:06.000000Z,2\n");
}

/// Two instants that differ by less than a microsecond become equal only with a word about it.
#[test]
fn instants_finer_than_a_microsecond() {
    let mut home = Home::new();
    let _server = home.serve(&[]);
    let times = ["2026-03-04T05:06:07.000001250Z", "2026-03-04T05:06:07.000001750Z"];
    let of_type = |time| format!("select arrow_cast('{time}', 'Timestamp(ns, \"UTC\")') as at");
    let sql = times.map(of_type).join(" union all ");
    home.run(&["query", &sql, "-o", "fine.parquet"]).ok();
    let logged = home.run(&["log", "me/shop/parquet", "fine.parquet"]);
    assert!(logged.err.contains("column \"at\": instants finer than"), "{}", logged.err);
    assert!(logged.ok().contains("2 logged, 2 acked"));

    home.write("fine.csv", &format!("at,n\n{},1\n{},2\n", times[0], times[1]));
    home.run(&["log", "me/shop/csv", "fine.csv"]).ok();
    let rows = home.run(&["query", "--format", "csv", "select at from me.shop.csv order by n"]);
    assert_eq!(rows.ok().lines().skip(1).collect::<Vec<_>>(), times);
}
