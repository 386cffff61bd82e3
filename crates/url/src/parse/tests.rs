use super::*;

const ROWS: &str = "get(\n    \"wandb-artifact:///e/p/t:latest/obj\")\n  .rows";

/// Checks that `steps` print as `printed`.
#[track_caller]
fn check(steps: &str, printed: &str) {
    let expr: Expr = format!("{ROWS}{steps}").parse().unwrap();
    assert_eq!(expr.to_string(), format!("{ROWS}{printed}"));
}

#[track_caller]
fn filters(filter: &str, printed: &str) {
    check(&format!(".filter((row) => {filter})"), &format!("\n  .filter((row) => {printed})"));
}

#[test]
fn steps() {
    check("", "");
    check(" \n\t", "");
    check(".limit(0)", "\n  .limit(0)");
    check(" . limit ( 18446744073709551615 ) ", "\n  .limit(18446744073709551615)");
    check("['a'] [ \"b\" ]", r#"["a"]["b"]"#);
    check(".sort((row)=>[],[])", "\n  .sort((row) => [], [])");
    check(
        r#".sort((row)=>[row["a"],row[""]],["desc","asc"])["x"].limit(1)"#,
        "\n  .sort((row) => [row[\"a\"], row[\"\"]], [\"desc\", \"asc\"])[\"x\"]\n  .limit(1)",
    );
}

#[test]
fn comparisons() {
    for op in ["==", "!=", "<", "<=", ">", ">="] {
        let printed = format!("row[\"a\"] {op} 1");
        filters(&printed, &printed);
        filters(&format!("row['a']{op}1"), &printed);
    }
    filters("row['a'] != row['b']", r#"row["a"] != row["b"]"#);
    filters("1 == 2", "1 == 2");
    filters("row\n['a']\n.contains ('b')", r#"row["a"].contains("b")"#);
}

#[test]
fn logic() {
    let clauses = |text: &str| text.replace(|c: char| c.is_ascii_uppercase(), "row[\"&\"] == 1");
    let check = |text: &str, printed: &str| filters(&clauses(text), &clauses(printed));
    check("A and B or C and D", "A and B or C and D");
    check("A && B || C", "A and B or C");
    check("(A and (B and C)) and D", "A and B and C and D");
    check("A or (B or C)", "A or B or C");
    check("(A or B) and C", "(A or B) and C");
    check("A and (B or C)", "A and (B or C)");
    check("((A))", "A");
    check("!(A)", "!(A)");
    check("!(!(A or B) and C)", "!(!(A or B) and C)");
    check("! ! (A)", "!!(A)");
    filters("!row['a'].contains('b')", r#"!row["a"].contains("b")"#);
    filters("!(row['a'].contains('b'))", r#"!row["a"].contains("b")"#);
}

#[track_caller]
fn literal(text: &str, printed: &str) {
    filters(&format!("row['a'] == {text}"), &format!("row[\"a\"] == {printed}"));
}

#[test]
fn literals() {
    literal("null", "null");
    literal("true", "true");
    literal("false", "false");
    literal("NaN", "NaN");
    literal("Infinity", "Infinity");
    literal("-Infinity", "-Infinity");
    literal("007", "7");
    literal("-0", "0");
    literal("9223372036854775808", "9223372036854775808");
    literal("1.0", "1.0");
    literal("-0.0", "-0.0");
    literal("1e3", "1000.0");
    literal("1E-9", "1e-9");
    literal("0.1", "0.1");
    literal("12345678901234567890.0", "1.2345678901234567e19");

    literal("''", r#""""#);
    literal(r#"'say "é"'"#, r#""say \"é\"""#);
    literal("'a\nb'", r#""a\nb""#);
    literal(r#""\"\'\\\/\b\f\n\r\t""#, r#""\"'\\/\u0008\u000c\n\r\t""#);
    literal(r#""\u0041\u00e9\uD83D\uDE00\u0000""#, r#""Aé😀\u0000""#);
}

#[track_caller]
fn refuses(text: &str, message: &str) {
    assert_eq!(text.parse::<Expr>().unwrap_err().to_string(), message);
}

#[test]
fn invalid_starts() {
    refuses("", "line 1, column 1: expected `get`, found the end");
    refuses("\n getter()", "line 2, column 2: expected `get`, found 'g'");
    refuses("get 'x'", "line 1, column 5: expected `(`, found '\\''");
    refuses("get(\n  x)", "line 2, column 3: expected a string, found 'x'");
    refuses("get(\"é", "line 1, column 5: this string has no closing quote");
    // Characters that could garble a terminal are escaped.
    refuses("\u{202e}get", r"line 1, column 1: expected `get`, found '\u{202e}'");
    refuses(
        "get('')",
        "line 1, column 5: a table's address has the form \
             wandb-artifact:///entity/project/table:version/obj",
    );
    refuses(
        "get('wandb-artifact:///E/p/t:latest/obj')",
        "line 1, column 5: the entity \"E\" contains 'E'; it may contain a-z, 0-9, _ and -",
    );
    let get = "get('wandb-artifact:///e/p/t:latest/obj'";
    refuses(get, "line 1, column 41: expected `)`, found the end");
    refuses(&format!("{get})"), "line 1, column 42: expected `.rows`, found the end");
    refuses(&format!("{get}).row"), "line 1, column 43: expected `.rows`, found 'r'");
    refuses(
        &" ".repeat(MAX_TEXT_BYTES + 1),
        "line 1, column 1: the expression has 65537 bytes, at most 65536 are allowed",
    );
}

/// Checks the error of `steps` on a line of their own, which is line 4.
#[track_caller]
fn refuses_step(steps: &str, message: &str) {
    refuses(&format!("{ROWS}\n{steps}"), &format!("line 4, {message}"));
}

#[test]
fn invalid_steps() {
    refuses_step("x", "column 1: expected `.`, `[` or the end, found 'x'");
    refuses_step(".x", "column 2: expected `filter`, `limit` or `sort`, found 'x'");
    refuses_step(".limits(1)", "column 2: expected `filter`, `limit` or `sort`, found 'l'");
    refuses_step(".limit()", "column 8: expected a number of rows, found ')'");
    refuses_step(".limit(-1)", "column 8: expected a number of rows, found '-'");
    refuses_step(".limit(1.5)", "column 8: expected a number of rows, found '1'");
    refuses_step(".limit(18446744073709551616)", "column 8: expected a number of rows, found '1'");
    refuses_step(".limit(1", "column 9: expected `)`, found the end");
    refuses_step("[1]", "column 2: expected a string, found '1'");
    refuses_step("['a'", "column 5: expected `]`, found the end");
    refuses_step(
        ".sort((row) => [row['a'], row['b']], ['asc'])",
        "column 38: expected one direction for each column; 2 columns have 1",
    );
    refuses_step(
        ".sort((row) => [row['a']], ['up'])",
        "column 29: expected `\"asc\"` or `\"desc\"`, found '\\''",
    );
    refuses_step(".sort((row) => [row['a'],], [])", "column 26: expected `row`, found ']'");
    refuses_step(".sort((row) => [row['a'] 1", "column 26: expected `,` or `]`, found '1'");
}

/// Checks the error of a filter on a line of its own, which is line 5.
#[track_caller]
fn refuses_filter(filter: &str, message: &str) {
    let text = format!("{ROWS}\n.filter((row) =>\n{filter}");
    refuses(&text, &format!("line 5, {message}"));
}

#[test]
fn invalid_filters() {
    refuses_filter("", "column 1: expected a column or a value, found the end");
    refuses_filter(")", "column 1: expected a column or a value, found ')'");
    refuses_filter("nullable", "column 1: expected a column or a value, found 'n'");
    refuses_filter("col['a']", "column 1: expected a column or a value, found 'c'");
    refuses_filter("row.a", "column 4: expected `[`, found '.'");
    refuses_filter("row['a'])", "column 9: expected a comparison, found ')'");
    refuses_filter("row['a'] = 1", "column 10: expected a comparison, found '='");
    refuses_filter("row['a'] == ", "column 13: expected a column or a value, found the end");
    refuses_filter("1 == 1 == 1", "column 8: expected `)`, found '='");
    refuses_filter("1 == 1 android", "column 8: expected `)`, found 'a'");
    refuses_filter("(1 == 1", "column 8: expected `)`, found the end");
    refuses_filter("row['a'].includes('x')", "column 10: expected `contains`, found 'i'");
    refuses_filter("row['a'].contains(1)", "column 19: expected a string, found '1'");
    refuses_filter(
        "!row['a'] == 1",
        "column 11: expected `.contains`, or parentheses around the negated comparison, \
             found '='",
    );
    refuses_filter("1e == 1", "column 1: expected a number, found '1'");
    refuses_filter("- 1 == 1", "column 1: expected a number, found '-'");
    refuses_filter("-inf == 1", "column 1: expected a number, found '-'");
    let large = "this number is too large: an integer has 128 bits, a float ends before 1.8e308";
    refuses_filter("1e309 == 1", &format!("column 1: {large}"));
    refuses_filter(&"9".repeat(40), &format!("column 1: {large}"));
    refuses_filter("\"a\nb", "column 1: this string has no closing quote");
    for escape in [r"\x41", r"\ ", r"\u12g4", r"\uD83D", r"\uD83D\u0041", r"\uDE00\uD83D"] {
        refuses_filter(
            &format!("'é{escape}' == 1"),
            "column 3: expected an escape as in JSON; a backslash itself is written `\\\\`",
        );
    }
}

#[test]
fn depth() {
    let nested = |depth| format!("{}1 == 1{}", "(".repeat(depth), ")".repeat(depth));
    filters(&nested(MAX_FILTER_DEPTH), "1 == 1");
    refuses_filter(
        &nested(MAX_FILTER_DEPTH + 1),
        "column 66: parentheses and negations nest deeper than 64",
    );
    refuses_filter(
        &"!".repeat(MAX_TEXT_BYTES / 2),
        "column 66: parentheses and negations nest deeper than 64",
    );
    // A long chain is not nested.
    let chain = ["1 == 1"; 5000].join(" or ");
    filters(&chain, &chain);
}
