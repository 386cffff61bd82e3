//! Each type of value, as a page receives it.

use arrow::datatypes::{DataType, TimeUnit};
use serde_json::{Value, json};

use super::proto::{Config, SortOp, ViewPort};
use super::{TABLE, columns, filter, number, sort, text};
use crate::live::page::Page;
use crate::support::Running;

#[tokio::test]
async fn each_type_of_value_is_shown() {
    let server = Running::start().await;
    let image = r#"{"_type":"image-file","path":"media/images/a b.png","format":"png","size":9,"width":2,"height":3}"#;
    let first = format!(
        r#"{{"b":true,"i":7,"big":9007199254740993,"x":NaN,"s":"é","u":1,"l":[1,"a"],"t":"2024-05-01T00:00:00.001234Z","m":{image}}}"#
    );
    let second = r#"{"b":null,"i":-8,"big":1,"x":-Infinity,"s":null,"u":"one","l":{"a":1},"t":null,"m":null}"#;
    let third =
        format!(r#"{{"b":false,"i":9,"big":-3,"x":1.5,"s":"","u":{image},"l":null,"m":null}}"#);
    server.log(TABLE, &[&first, second, &third]).await;
    let mut page = Page::open(&server).await;
    let schema = page.schema(TABLE).await.unwrap();
    let types: Vec<(&str, i32)> = schema.iter().map(|(name, ty)| (name.as_str(), *ty)).collect();
    let (text_type, float, bool_type) = (0, 4, 5);
    assert_eq!(
        types[1..types.len() - 3],
        [
            ("b", bool_type),
            ("i", float),
            ("big", text_type),
            ("x", float),
            ("s", text_type),
            ("u", text_type),
            ("l", text_type),
            ("t", text_type),
            ("m", text_type),
        ]
    );
    let names = ["b", "i", "big", "x", "s", "u", "l", "m"];
    let shown = page.show(TABLE, columns(&names)).await.unwrap();
    assert_eq!(shown["b"], json!([true, null, false]));
    assert_eq!(shown["i"], json!([7.0, -8.0, 9.0]));
    assert_eq!(shown["big"], json!(["9007199254740993", "1", "-3"]));
    assert_eq!(shown["x"], json!(["NaN", "-Infinity", 1.5]));
    assert_eq!(shown["s"], json!(["é", null, ""]));
    assert_eq!(shown["l"], json!([r#"[1,"a"]"#, r#"{"a":1}"#, null]));
    assert_eq!((&shown["u"][0], &shown["u"][1]), (&json!("1"), &json!("one")));
    let media = |cell: &Value| -> Value { serde_json::from_str(cell.as_str().unwrap()).unwrap() };
    for cell in [&shown["m"][0], &shown["u"][2]] {
        let media = media(cell);
        assert_eq!((&media["_type"], &media["width"]), (&json!("image-file"), &json!(2)));
        // Only the W&B protocol has files.
        let url =
            cfg!(feature = "wandb").then_some("/files/me/shop/requests/media/images/a%20b.png");
        assert_eq!(media["url"].as_str(), url);
    }

    // Values that are shown as text are sorted and compared by their actual value.
    let order = async |page: &mut Page, config: Config| {
        page.show(TABLE, config).await.unwrap()["i"].clone()
    };
    let by_big = Config { sort: sort("big", SortOp::Asc), ..columns(&["i"]) };
    assert_eq!(order(&mut page, by_big).await, json!([9.0, -8.0, 7.0]));
    let big = |op, value| Config { filter: vec![filter("big", op, &[value])], ..columns(&["i"]) };
    assert_eq!(order(&mut page, big("==", text("9007199254740993"))).await, json!([7.0]));
    assert_eq!(order(&mut page, big("==", text("9007199254740992"))).await, json!([]));
    assert_eq!(order(&mut page, big("<", number(0.0))).await, json!([9.0]));
    let not_a_number =
        Config { filter: vec![filter("x", "==", &[text("NaN")])], ..columns(&["i"]) };
    assert_eq!(order(&mut page, not_a_number).await, json!([7.0]));
    let mixed = Config { filter: vec![filter("u", "==", &[text("one")])], ..columns(&["i"]) };
    assert_eq!(order(&mut page, mixed).await, json!([-8.0]));
    let wrong = Config { filter: vec![filter("i", ">", &[text("much")])], ..columns(&["i"]) };
    assert!(page.show(TABLE, wrong).await.unwrap_err().contains("much"));

    // Values of each type can be grouped and sorted.
    for (name, _) in schema {
        let grouped = Config { group_by: vec![name.clone()], ..columns(&["i"]) };
        let shown = page.show(TABLE, grouped).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(shown["i"][0], 8.0, "{name}");
        let sorted = Config { sort: sort(&name, SortOp::Desc), ..columns(&["i"]) };
        let shown = page.show(TABLE, sorted).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(shown["i"].as_array().unwrap().len(), 3, "{name}");
    }
}

#[tokio::test]
async fn windows_have_the_expected_arrow_types() {
    let server = Running::start().await;
    server.log(TABLE, &[r#"{"b":true,"i":7,"s":"x"}"#, r#"{"b":true,"i":8,"s":"x"}"#]).await;
    let mut page = Page::open(&server).await;
    page.make(TABLE, "v", columns(&["timestamp", "b", "i", "s"])).await.unwrap();
    let viewport = ViewPort { start_row: Some(1), end_row: Some(2), ..ViewPort::default() };
    let batch = page.arrow("v", viewport).await;
    let texts = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let expected = [
        DataType::Timestamp(TimeUnit::Millisecond, None),
        DataType::Boolean,
        DataType::Float64,
        texts.clone(),
    ];
    let types: Vec<_> = batch.schema().fields().iter().map(|it| it.data_type().clone()).collect();
    assert_eq!((batch.num_rows(), types), (1, expected.to_vec()));
    let viewport = ViewPort { start_column: Some(2), end_column: Some(3), ..viewport };
    assert_eq!(page.arrow("v", viewport).await.schema().field(0).name(), "i");

    let grouped = Config { group_by: vec!["s".to_owned()], ..columns(&["i"]) };
    page.make(TABLE, "g", grouped).await.unwrap();
    let batch = page.arrow("g", ViewPort::default()).await;
    assert_eq!(*batch.schema().field(0).data_type(), texts);
    assert_eq!(batch.schema().field(0).name(), "__ROW_PATH_0__");
    assert_eq!(batch.num_rows(), 2);
}
