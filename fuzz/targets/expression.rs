//! The `?exp=` parameter of a link: gives a tree that prints as itself, or an error at the position
//! of a character.
#![no_main]

use libfuzzer_sys::fuzz_target;
use streamtable_url::{Expr, parse_query};

fuzz_target!(|text: &str| {
    match text.parse::<Expr>() {
        Ok(expr) => assert_eq!(expr.to_string().parse(), Ok(expr)),
        Err(error) => assert!(text.is_char_boundary(error.position)),
    }
    let _ = parse_query(text);
});
