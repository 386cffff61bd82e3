use syn::parse_str;

use crate::case::Case;
use crate::expand::columns;

/// Checks the error for a type; an empty text means that there is none.
#[track_caller]
fn check(item: &str, error: &str) {
    let expanded = columns(&parse_str(item).unwrap());
    let found = expanded.err().map(|error| error.to_string()).unwrap_or_default();
    let is_expected = if error.is_empty() { found.is_empty() } else { found.contains(error) };
    assert!(is_expected, "{item}: {found:?}");
}

#[test]
fn attributes_that_change_no_column_are_accepted() {
    check("struct A { #[serde(default, alias = \"b\")] a: u8, #[doc = \"x\"] b: u8 }", "");
    check("#[serde(deny_unknown_fields, bound(serialize = \"\"))] struct A { a: u8 }", "");
    check("struct A { #[serde(skip, skip_serializing_if = \"f\")] a: u8 }", "remove it");
    check("struct A { #[serde(skip, with = \"f\")] a: u8 }", "");
}

#[test]
fn errors_name_the_field_and_what_to_write() {
    check(
        "struct A { #[serde(skip_serializing_if = \"Option::is_none\")] user: Option<u8> }",
        "leaves the column of `user` out of some rows: remove it; `None` is logged as null",
    );
    check(
        "struct A { #[serde(with = \"humantime_serde\")] took: Duration }",
        "the type that `humantime_serde` writes for `took` is not known: add #[columns(as = Type)]",
    );
    check(
        "struct A { #[serde(with = \"humantime_serde\")] #[columns(as = String)] took: Duration }",
        "",
    );
    check("struct A { #[serde(with = \"streamtable::timestamp\")] at: SystemTime }", "");
    check(
        "struct A { a: u8, #[serde(rename = \"a\")] b: u8 }",
        "`b` is the second column \"a\": rename one with #[serde(rename = \"…\")]",
    );
    check("enum A { Unit, New(u8) }", "write #[serde(tag = \"kind\")] above the enum");
    check("#[serde(tag = \"kind\")] enum A { Unit, New { n: u8 } }", "");
    check("#[serde(tag = \"n\")] enum A { Unit, New { n: u8 } }", "second column \"n\"");
    check("#[serde(tag = \"kind\")] enum A { Two(u8, u8) }", "name them");
    check("#[serde(rename_all = \"Title Case\")] struct A { a: u8 }", "not a case that serde has");
    check("#[serde(remote = \"B\")] struct A { a: u8 }", "`remote`");
    check("struct A { #[columns(like = String)] a: u8 }", "expected `as = Type`");
    check("struct A { #[columns(as = 7)] a: u8 }", "expected a type, such as `String`");
    check("#[columns(as = String)] struct A { a: u8 }", "belongs to a field");
    check("enum A {}", "has no values");
    check("union A { a: u8 }", "use an enum");
}

#[test]
fn names_change_as_in_serde() {
    #[track_caller]
    fn check(case: &str, field: &str, variant: &str) {
        let case = Case::parse(&parse_str(&format!("{case:?}")).unwrap()).unwrap();
        assert_eq!((case.field("first_user_id"), case.variant("NotFound")), {
            (field.to_owned(), variant.to_owned())
        });
    }
    check("lowercase", "first_user_id", "notfound");
    check("UPPERCASE", "FIRST_USER_ID", "NOTFOUND");
    check("PascalCase", "FirstUserId", "NotFound");
    check("camelCase", "firstUserId", "notFound");
    check("snake_case", "first_user_id", "not_found");
    check("SCREAMING_SNAKE_CASE", "FIRST_USER_ID", "NOT_FOUND");
    check("kebab-case", "first-user-id", "not-found");
    check("SCREAMING-KEBAB-CASE", "FIRST-USER-ID", "NOT-FOUND");
}
