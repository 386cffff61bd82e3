use proptest::prelude::*;
use streamtable_schema::{TIMESTAMP_COLUMN, TablePath};
use streamtable_wire::RESERVED_COLUMNS;

use super::text;

/// Names of columns and fields: mostly simple ones, and some unusual ones.
///
/// Reserved names and `timestamp`, which every row has, are excluded. So is `_type`: with certain
/// texts, a struct would look like a cell of the protocol.
pub fn column_name() -> impl Strategy<Value = String> {
    let plain = "[a-z]{1,3}";
    let odd = prop::sample::select(vec![
        "",
        " ",
        ".",
        "a.b",
        "a/b",
        "a\\.b",
        "\"",
        "é",
        "_",
        "_val",
        "_t",
        "0",
        "-1",
        "NaN",
        "null",
        "select",
        "a b",
        "\u{202e}x",
        "\n",
        "$streamtable",
        "[]",
        "constructor",
    ]);
    prop_oneof![6 => plain.boxed(), 2 => odd.prop_map(str::to_owned).boxed(), 1 => text().boxed()]
        .prop_filter("a name that is taken", |name| {
            !RESERVED_COLUMNS.contains(&name.as_str())
                && name != TIMESTAMP_COLUMN
                && name != "_type"
        })
}

/// Valid table names of one, two or three parts.
pub fn table_name() -> impl Strategy<Value = String> {
    let entity = "[a-z0-9_-]{1,12}";
    let project = "[A-Za-z0-9_. é()&-]{1,16}".prop_filter("dots", |name| not_dots(name));
    let table = "[A-Za-z0-9_.-]{1,24}".prop_filter("dots", |name| not_dots(name));
    (prop::option::of((prop::option::of(entity), project)), table).prop_map(|(parts, table)| {
        match parts {
            None => table,
            Some((None, project)) => format!("{project}/{table}"),
            Some((Some(entity), project)) => format!("{entity}/{project}/{table}"),
        }
    })
}

/// Paths of tables.
pub fn table_path() -> impl Strategy<Value = TablePath> {
    let name = |pattern| Strategy::prop_filter(pattern, "dots", |name: &String| not_dots(name));
    ("[a-z0-9_-]{1,12}", name("[A-Za-z0-9_. é-]{1,16}"), name("[A-Za-z0-9_.-]{1,24}")).prop_map(
        |(entity, project, table)| {
            TablePath::new(&entity, &project, &table).expect("made of what is allowed")
        },
    )
}

/// Invalid table names: too many parts, an empty part, or a part that is too long or contains an
/// invalid character.
pub fn bad_table_name() -> impl Strategy<Value = String> {
    let part = "[a-z]{1,8}";
    prop_oneof![
        prop::collection::vec(part, 4..7).prop_map(|parts| parts.join("/")),
        (part, part).prop_map(|(a, b)| format!("{a}//{b}")),
        part.prop_map(|part| format!("/{part}")),
        part.prop_map(|part| format!("{part}/")),
        Just(String::new()),
        (129..300_usize).prop_map(|length| "x".repeat(length)),
        (part, "[ @:%\u{e9}\u{0}\\\\]").prop_map(|(part, bad)| format!("{part}{bad}")),
        (part, "[\\\\#?%:\u{7}]", part).prop_map(|(a, bad, b)| format!("{a}{bad}{a}/{b}")),
        (part, "[A-Z. é]", part).prop_map(|(a, bad, b)| format!("{a}{bad}/{b}/{b}")),
        Just("..".to_owned()),
        Just("p/.".to_owned()),
        Just("../t".to_owned()),
    ]
}

fn not_dots(name: &str) -> bool {
    !matches!(name, "." | "..")
}
