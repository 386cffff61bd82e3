//! The settings files of the Python clients.

/// Returns the value of a key in the section `[default]`, parsed like Python's configparser.
pub(super) fn default_section<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut section = "";
    let mut found = None;
    for line in text.lines().map(str::trim) {
        if line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if section == "default"
            && let Some((name, value)) = line.split_once(['=', ':'])
            && name.trim().eq_ignore_ascii_case(key)
        {
            // The last occurrence wins.
            found = Some(value.trim()).filter(|value| !value.is_empty());
        }
    }
    found
}
