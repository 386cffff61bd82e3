//! Writes API keys to the netrc file in the form that `wandb login` uses and all clients read.
//!
//! Reading is done by the client crate (`streamtable::Settings`).

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use streamtable_transport::{ApiKey, Origin};

use crate::failure::Failure;

/// The user name that `wandb login` writes.
const LOGIN: &str = "user";

/// Stores a key for a server and returns the path of the file.
///
/// The current SDK looks up its server as `host:port`, older ones by the host name only: both
/// entries are added or replaced. The rest of the file is unchanged.
pub(crate) fn keep(origin: &Origin, key: &ApiKey) -> Result<PathBuf, Failure> {
    let path = path()?;
    let failed = |error: io::Error| {
        Failure::failed(format!("cannot store the key in {}: {error}", path.display()))
    };
    // Resolve symbolic links, so that a linked netrc file stays a link.
    let path = std::fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
    let mut text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error)),
    };
    for machine in machines(origin) {
        text = with_entry(&text, &machine, key.expose());
    }
    write(&path, &text).map_err(failed)?;
    Ok(path)
}

/// Returns the machine names under which clients look up a server.
fn machines(origin: &Origin) -> Vec<String> {
    let with_port = format!("{}:{}", origin.host(), origin.port());
    let mut names = vec![origin.host().to_owned()];
    // If the URL has no port, the SDK looks up the name without a port; our client tries both.
    if origin.authority() != origin.host() {
        names.insert(0, with_port);
    }
    names
}

/// Returns `$NETRC` if set, otherwise `~/.netrc`, or `~/_netrc` if only that file exists.
fn path() -> Result<PathBuf, Failure> {
    let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(path) = var("NETRC") {
        return Ok(path.into());
    }
    let home = var("HOME").or_else(|| var("USERPROFILE"));
    let home =
        PathBuf::from(home.ok_or_else(|| {
            Failure::failed("cannot store the key: neither NETRC nor HOME is set")
        })?);
    let (usual, other) = (home.join(".netrc"), home.join("_netrc"));
    Ok(if !usual.exists() && other.exists() { other } else { usual })
}

/// Writes a temporary file with owner-only permissions and renames it to `path`.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    // Temporary files are created with mode 0600.
    let mut file = tempfile::Builder::new().prefix(".netrc-").tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // The server's first key is nowhere else: a power cut must not bring the old file back. Only POSIX
    // systems open folders as files.
    if cfg!(unix) { std::fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Returns the text with exactly one entry for the machine. The entry replaces the machine's first
/// one. If there is none, it goes before the `default` entry, because many programs stop reading
/// there, or to the end.
fn with_entry(text: &str, machine: &str, key: &str) -> String {
    let entry = format!("machine {machine}\n  login {LOGIN}\n  password {key}\n");
    let spans = spans(text);
    let (mut out, mut is_placed) = (String::with_capacity(text.len() + entry.len()), false);
    let mut at = 0;
    let place = |out: &mut String| {
        if !out.is_empty() && !out.ends_with('\n') {
            out.push('\n');
        }
        out.push_str(&entry);
    };
    for span in spans {
        out.push_str(&text[at..span.start]);
        at = span.start;
        match span.machine.as_deref() {
            Some(name) if name == machine => {
                if !is_placed {
                    place(&mut out);
                    is_placed = true;
                }
                at = span.end;
            }
            None if !is_placed => {
                place(&mut out);
                is_placed = true;
            }
            _ => {}
        }
    }
    out.push_str(&text[at..]);
    if !is_placed {
        place(&mut out);
    }
    out
}

/// An entry of the file: from its first word to the next entry, comment or macro.
struct Span {
    /// `None` for the `default` entry.
    machine: Option<String>,
    start: usize,
    end: usize,
}

fn spans(text: &str) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut is_open = false;
    let mut words = Words { text, at: 0, in_password: false };
    while let Some((start, word)) = words.next() {
        match word {
            "machine" => {
                let (end, name) =
                    words.next().map_or((text.len(), ""), |(at, w)| (at + w.len(), w));
                spans.push(Span { machine: Some(name.trim_matches('"').to_owned()), start, end });
                is_open = true;
            }
            "default" => {
                spans.push(Span { machine: None, start, end: start + word.len() });
                is_open = true;
            }
            "login" | "account" | "password" if is_open => {
                words.in_password = word == "password";
                let end = words.next().map_or(text.len(), |(at, w)| at + w.len());
                words.in_password = false;
                if let Some(last) = spans.last_mut() {
                    last.end = end;
                }
            }
            "macdef" => {
                words.skip_macro();
                is_open = false;
            }
            _ => {}
        }
    }
    // An entry includes the line end after it.
    for span in &mut spans {
        let rest = &text[span.end..];
        let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\r']).len();
        if rest[blank..].starts_with('\n') {
            span.end += blank + 1;
        }
    }
    spans
}

/// The words of the file, separated by whitespace. `#` at the start of a word begins a comment,
/// except in a password. A word may be enclosed in double quotes.
struct Words<'a> {
    text: &'a str,
    at: usize,
    in_password: bool,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<(usize, &'a str)> {
        loop {
            let rest = &self.text[self.at..];
            let start = self.at + (rest.len() - rest.trim_start().len());
            let rest = &self.text[start..];
            if rest.is_empty() {
                return None;
            }
            if rest.starts_with('#') && !self.in_password {
                self.at = start + rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            let length = match rest.strip_prefix('"').and_then(|quoted| quoted.find('"')) {
                Some(end) => end + 2,
                None => rest.find(char::is_whitespace).unwrap_or(rest.len()),
            };
            self.at = start + length;
            return Some((start, &rest[..length]));
        }
    }

    /// Skips a macro, which ends at the next empty line.
    fn skip_macro(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.find("\n\n").map_or(rest.len(), |end| end + 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: &str, after: &str) {
        assert_eq!(with_entry(before, "h:1", "KEY"), after);
    }

    const ENTRY: &str = "machine h:1\n  login user\n  password KEY\n";

    #[test]
    fn entries_are_added_or_replaced() {
        check("", ENTRY);
        check("machine a login b password c\n", &format!("machine a login b password c\n{ENTRY}"));
        check("machine a login b password c", &format!("machine a login b password c\n{ENTRY}"));
        check("machine h:1 login b password c\n", ENTRY);
        check("machine h:1\n\tlogin b\n\tpassword #c # note\n", &format!("{ENTRY} # note\n"));
        check(
            "# mine\nmachine h:1\n  login user\n  password old\nmachine z password y\n",
            &format!("# mine\n{ENTRY}machine z password y\n"),
        );
        check(
            "machine h:1 password a machine b password c\nmachine h:1 password d\n",
            &format!("{ENTRY} machine b password c\n"),
        );
    }

    #[test]
    fn other_parts_of_the_file_are_unchanged() {
        check("machine h password a\n", &format!("machine h password a\n{ENTRY}"));
        check("default login a password b\n", &format!("{ENTRY}default login a password b\n"));
        check(
            "macdef init\nmachine h:1 password no\n\nmachine h:1 password b\n",
            &format!("macdef init\nmachine h:1 password no\n\n{ENTRY}"),
        );
        check("machine a password machine\n", &format!("machine a password machine\n{ENTRY}"));
        check("machine \"h:1\" password \"a b\"\n", ENTRY);
    }

    #[test]
    fn machine_names_include_the_port_if_the_url_has_one() {
        for (url, expected) in [
            ("http://127.0.0.1:8080", vec!["127.0.0.1:8080", "127.0.0.1"]),
            ("https://tables.example", vec!["tables.example"]),
            ("http://[::1]:80", vec!["[::1]"]),
        ] {
            assert_eq!(machines(&url.parse().unwrap()), expected);
        }
    }
}
