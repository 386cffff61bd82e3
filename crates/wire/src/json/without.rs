//! Removes members of an object without parsing and writing the others.

use streamtable_schema::Value;

use super::parse::{JsonError, parse_object};
use super::write_str;

/// Returns an object without its members of the given names, and whether it had any. The texts of
/// the other values are copied.
///
/// ```
/// use streamtable_wire::json;
///
/// let (text, found) = json::without(r#"{"a": 1e3, "_line": 7}"#, &["_line"])?;
/// assert_eq!((text.as_str(), found), (r#"{"a":1e3}"#, true));
/// # Ok::<(), json::JsonError>(())
/// ```
pub fn without(text: &str, names: &[&str]) -> Result<(String, bool), JsonError> {
    let mut values = Vec::new();
    // The index of each value replaces the value.
    let members = parse_object(text, |parser, room| {
        let before = parser.rest();
        parser.value(room)?;
        values.push(&before[..before.len() - parser.rest().len()]);
        Ok(Value::Int(values.len() as i128 - 1))
    })?;
    let mut out = Vec::with_capacity(text.len());
    let mut is_found = false;
    out.push(b'{');
    for (name, value) in &members {
        if names.contains(&name.as_ref()) {
            is_found = true;
            continue;
        }
        if out.len() > 1 {
            out.push(b',');
        }
        write_str(&mut out, name);
        out.push(b':');
        if let Value::Int(number) = value {
            out.extend_from_slice(values[*number as usize].as_bytes());
        }
    }
    out.push(b'}');
    Ok((String::from_utf8_lossy(&out).into_owned(), is_found))
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str, is_found: bool) {
        assert_eq!(without(text, &["_a", "_b"]), Ok((expected.to_owned(), is_found)));
    }

    #[test]
    fn members_are_removed_by_their_unescaped_names() {
        check("{}", "{}", false);
        check(r#" { "x" : [ 1, {"_a":2} ] } "#, r#"{"x":[ 1, {"_a":2} ]}"#, false);
        check(r#"{"_a":1,"x":NaN,"_b":{}}"#, r#"{"x":NaN}"#, true);
        check(r#"{"\u005fa":1}"#, "{}", true);
        // A repeated name has its last value.
        check(r#"{"x":1,"_a":0,"x":2.50}"#, r#"{"x":2.50}"#, true);
        assert!(without("[1]", &[]).is_err());
        assert!(without(r#"{"a":1"#, &[]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn the_other_members_keep_their_values(document in crate::strategies::document()) {
            let serde_json::Value::Object(members) = document else { return Ok(()) };
            let text = serde_json::to_string(&members)?;
            let removed = members.keys().next().cloned().unwrap_or_default();
            let others = members.iter().filter(|(name, _)| **name != removed);
            let others: serde_json::Map<_, _> =
                others.map(|(name, value)| (name.clone(), value.clone())).collect();
            let expected = (parse(&serde_json::to_string(&others)?)?, !members.is_empty());
            let (text, found) = without(&text, &[&removed])?;
            proptest::prop_assert_eq!((parse(&text)?, found), expected);
        }
    }
}
