//! Hostile GraphQL.

use serde_json::json;

use crate::generator::Generator;

/// Chooses the body of a request.
pub(crate) fn body(random: &mut Generator) -> Vec<u8> {
    let n = [10, 30, 200, 2_000, 50_000][random.below(5) as usize];
    let document = match random.below(12) {
        0 => doubling(n.min(2_000)),
        1 => format!("{{{}}}", aliases(n)),
        2 => "{a".repeat(n) + &"}".repeat(n),
        3 => "{".repeat(n),
        4 => format!("{{viewer(a:{}1{})}}", "[".repeat(n), "]".repeat(n)),
        5 => format!("{{viewer(a:{}1{})}}", "{a:".repeat(n), "}".repeat(n)),
        6 => format!("query($a:{}Int{}){{viewer{{id}}}}", "[".repeat(n), "]".repeat(n)),
        7 => "query{...a} fragment a on Query{...b} fragment b on Query{...a}".to_owned(),
        8 => format!("{{viewer{{id {}}}}}", "@include(if:true)".repeat(n)),
        9 => format!("{{__schema{{types{}}}}}", "{fields{type{fields{name}}}}".repeat(1 + n % 3)),
        10 => format!("{{viewer(a:\"{}\"){{id}}}}", "\\u0000\u{202e}".repeat(n)),
        _ => format!("{{{}}}", "...on Query{viewer{id}} ".repeat(n)),
    };
    match random.below(6) {
        0 => {
            let deep = "[".repeat(n) + &"]".repeat(n);
            let document = json!(document);
            format!("{{\"query\":{document},\"variables\":{{\"a\":{deep}}}}}").into_bytes()
        }
        1 => {
            let variables: serde_json::Map<_, _> =
                (0..n).map(|i| (format!("v{i}"), json!(i))).collect();
            json!({ "query": "{viewer{id}}", "variables": variables }).to_string().into_bytes()
        }
        _ => json!({ "query": document }).to_string().into_bytes(),
    }
}

fn aliases(n: usize) -> String {
    (0..n).map(|i| format!("a{i}:viewer{{id}} ")).collect()
}

/// Fragments of which each uses the next one twice.
fn doubling(n: usize) -> String {
    let mut document = "query{...f0}".to_owned();
    for i in 0..n {
        let next = i + 1;
        document.push_str(&format!(" fragment f{i} on Query{{...f{next} ...f{next}}}"));
    }
    document + &format!(" fragment f{n} on Query{{viewer{{id}}}}")
}
