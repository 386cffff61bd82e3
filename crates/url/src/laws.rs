//! Property tests: laws that hold for every expression and every text.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use streamtable_name::TablePath;

use crate::*;

/// Generates any text, often with unusual characters.
fn text() -> impl Strategy<Value = String> {
    let odd = select(
        "\"'\\\n\r\t\0\u{7f}\u{85}\u{2028}\u{202e}/u[]()!.+%&=#é😀".chars().collect::<Vec<_>>(),
    );
    vec(prop_oneof![odd, any::<char>()], 0..6).prop_map(String::from_iter)
}

fn source() -> impl Strategy<Value = ArtifactUri> {
    let names = ("[a-z0-9_-]{1,4}", r"[^/\\#?%:\p{Cc}]{1,6}", "[A-Za-z0-9_.-]{1,6}");
    let table = names.prop_filter_map("a name of dots", |(entity, project, table)| {
        TablePath::new(&entity, &project, &table).ok()
    });
    let version = prop_oneof![Just("latest".to_owned()), r"[^/\\#?%:\p{Cc}]{1,6}"];
    (table, version, proptest::option::of(text())).prop_map(|(table, version, suffix)| {
        let suffix = suffix.map_or(String::new(), |suffix| format!("#{suffix}"));
        format!("wandb-artifact:///{table}:{version}/obj{suffix}").parse().unwrap()
    })
}

fn operand() -> impl Strategy<Value = Operand> {
    prop_oneof![
        text().prop_map(Operand::Column),
        prop_oneof![
            Just(Literal::Null),
            any::<bool>().prop_map(Literal::Bool),
            any::<i128>().prop_map(Literal::Int),
            any::<i8>().prop_map(|n| Literal::Int(n.into())),
            proptest::num::f64::ANY.prop_map(Literal::Float),
            any::<i8>().prop_map(|n| Literal::Float(f64::from(n) / 4.0)),
            text().prop_map(Literal::String),
        ]
        .prop_map(Operand::Literal),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    let leaf = prop_oneof![
        3 => (operand(), select(&Comparison::ALL[..]), operand())
            .prop_map(|(left, op, right)| Filter::Compare { left, op, right }),
        1 => (text(), text()).prop_map(|(column, text)| Filter::Contains { column, text }),
    ];
    leaf.prop_recursive(6, 24, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|filter| !filter),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a.and(b)),
            (inner.clone(), inner).prop_map(|(a, b)| a.or(b)),
        ]
    })
}

fn expr() -> impl Strategy<Value = Expr> {
    let direction = select(vec![Direction::Asc, Direction::Desc]);
    let key = (text(), direction).prop_map(|(column, direction)| SortKey { column, direction });
    let step = prop_oneof![
        filter().prop_map(Step::Filter),
        any::<u64>().prop_map(Step::Limit),
        text().prop_map(Step::Pick),
        vec(key, 0..4).prop_map(Step::Sort),
    ];
    (source(), vec(step, 0..4)).prop_map(|(source, steps)| Expr { source, steps })
}

/// Generates a sequence of tokens in any order.
fn soup() -> impl Strategy<Value = String> {
    let tokens = "get ( ) [ ] . , ! == < >= = => row rows filter sort limit contains and or && || \
        null true NaN -Infinity 1 -2.5e3 1e999 .5 \"a\" 'b' \"asc\" \" ' \\ \\u00 \n é (row) \
        get(\"wandb-artifact:///e/p/t:latest/obj\").rows .filter((row)=> row[\"a\"]";
    let tokens: Vec<_> = tokens.split(' ').collect();
    (vec(select(tokens), 0..30), select(vec!["", " "])).prop_map(|(tokens, gap)| tokens.join(gap))
}

/// Generates an expression's text with a few characters removed, doubled or replaced.
fn mutated() -> impl Strategy<Value = String> {
    let change = (any::<Index>(), 0..3_usize, text());
    (expr(), vec(change, 1..4)).prop_map(|(expr, changes)| {
        let mut chars: Vec<char> = expr.to_string().chars().collect();
        for (at, kept, put) in changes {
            let at = at.index(chars.len() + 1);
            let end = (at + kept).min(chars.len());
            chars.splice(at..end, put.chars());
        }
        chars.into_iter().collect()
    })
}

/// Checks that any text gives either an error at the position of a character, or a tree that its
/// printed form parses to again.
#[track_caller]
fn check_text(text: &str) {
    match text.parse::<Expr>() {
        Ok(expr) => assert_eq!(expr.to_string().parse(), Ok(expr)),
        Err(error) => {
            let before = text.get(..error.position).expect("the place of a character");
            assert_eq!(error.line, before.split('\n').count());
            assert!(error.to_string().starts_with("line "));
        }
    }
    for link in [format!("/?{text}"), format!("/?exp={text}"), text.to_owned()] {
        let _ = (parse_link(&link), table_of_path(&link), link.parse::<BaseUrl>());
    }
}

proptest! {
    #[test]
    fn parse_inverts_print(expr in expr()) {
        prop_assert_eq!(expr.to_string().parse::<Expr>(), Ok(expr));
    }

    #[test]
    fn links_carry_expressions(expr in expr()) {
        let url = expr_url(&"https://x.example/a".parse().unwrap(), &expr);
        prop_assert!(url.bytes().all(|b| b.is_ascii_graphic()));
        prop_assert_eq!(parse_link(&url), Ok(expr));
    }

    #[test]
    fn addresses_round_trip(source in source()) {
        prop_assert_eq!(source.to_string().parse::<ArtifactUri>(), Ok(source));
    }

    #[test]
    fn decode_inverts_encode(text in text()) {
        prop_assert_eq!(form_decode(&form_encode(&text)), Ok(text));
    }

    #[test]
    fn any_text_gives_a_tree_or_an_error(text in "(?s).*") {
        check_text(&text);
    }

    #[test]
    fn any_tokens_give_a_tree_or_an_error(text in soup()) {
        check_text(&text);
    }

    #[test]
    fn any_mutation_gives_a_tree_or_an_error(text in mutated()) {
        check_text(&text);
    }
}
