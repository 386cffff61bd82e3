//! A reader for netrc files.

/// Returns the password for the first of `hosts` that has one, otherwise the password of the
/// `default` entry.
///
/// A malformed file is parsed as far as possible.
pub(super) fn password(text: &str, hosts: &[String]) -> Option<String> {
    machine_password(text, hosts).or_else(|| password_of(&entries(text), None))
}

/// Returns the password for the first of `hosts` that has one. Ignores the `default` entry.
pub(super) fn machine_password(text: &str, hosts: &[String]) -> Option<String> {
    let entries = entries(text);
    hosts.iter().find_map(|host| password_of(&entries, Some(host)))
}

fn password_of(entries: &[Entry], machine: Option<&str>) -> Option<String> {
    entries.iter().find(|entry| entry.machine.as_deref() == machine)?.password.clone()
}

#[derive(Default)]
struct Entry {
    /// `None` for the `default` entry.
    machine: Option<String>,
    password: Option<String>,
}

fn entries(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut tokens = tokens(text).into_iter();
    while let Some(token) = tokens.next() {
        match token.as_str() {
            "machine" => entries.push(Entry { machine: tokens.next(), password: None }),
            "default" => entries.push(Entry::default()),
            "login" | "account" => drop(tokens.next()),
            "password" => {
                let password = tokens.next();
                if let Some(entry) = entries.last_mut() {
                    entry.password = password;
                }
            }
            _ => {}
        }
    }
    entries
}

/// Splits the file into words. A word may be enclosed in double quotes. `#` at the start of a word
/// begins a comment, except in a password. A macro ends at the next empty line.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut in_macro = false;
    for line in text.lines() {
        if in_macro {
            in_macro = !line.trim().is_empty();
            continue;
        }
        let mut rest = line.trim_start();
        while !rest.is_empty() {
            let is_password = tokens.last().is_some_and(|token| token == "password");
            if rest.starts_with('#') && !is_password {
                break;
            }
            let (token, after) = match rest.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
                None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
            };
            if token == "macdef" {
                in_macro = true;
                break;
            }
            tokens.push(token.to_owned());
            rest = after.trim_start();
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, host: &str, expected: Option<&str>) {
        assert_eq!(password(text, &[host.to_owned()]).as_deref(), expected);
    }

    #[test]
    fn passwords_are_found() {
        check("machine a login user password k", "a", Some("k"));
        check("machine a\n  login user\n  password k\nmachine b password l", "b", Some("l"));
        check("machine a password k", "b", None);
        check("machine a password k default password d", "b", Some("d"));
        check("machine a login \"my user\" password \"k k\"", "a", Some("k k"));
        check("# machine a password no\nmachine a password #k # note", "a", Some("#k"));
        check("macdef init\nmachine a password no\n\nmachine a password k", "a", Some("k"));
        check("machine a login password password k", "a", Some("k"));
        check("machine", "a", None);
        check("password k", "a", None);
        check("machine a password", "a", None);
    }
}
