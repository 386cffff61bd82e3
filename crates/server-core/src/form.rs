//! Forms and query strings.

/// Returns a field of a form or of a query string: the first one with this name.
pub fn form_value(form: &str, name: &str) -> Option<String> {
    let mut pairs = form.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(found, _)| *found == name)?;
    streamtable_url::form_decode(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_values_are_decoded() {
        assert_eq!(form_value("a=b&key=x%20y+z&key=2", "key").as_deref(), Some("x y z"));
        assert_eq!(form_value("a=b", "key"), None);
    }
}
