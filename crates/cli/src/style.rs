//! Messages on standard error, coloured on a terminal.

use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write};

/// Prints an error in one line.
pub(crate) fn error(reason: impl Display) {
    say("error", "1;31", &reason);
}

/// Prints a warning in one line.
pub(crate) fn warn(reason: impl Display) {
    say("warning", "1;33", &reason);
}

/// Prints a note.
pub(crate) fn note(text: impl Display) {
    // Ignore the error: standard error is closed.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Returns whether a stream is a terminal that should be coloured.
pub(crate) fn has_colours(stream: &impl IsTerminal) -> bool {
    let refuses = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    stream.is_terminal() && !refuses && !is_dumb
}

/// A text that is bold if colours are enabled.
pub(crate) struct Bold<'a> {
    pub(crate) text: &'a str,
    pub(crate) colours: bool,
}

impl Display for Bold<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.colours {
            true => write!(f, "\u{1b}[1m{}\u{1b}[0m", self.text),
            false => f.write_str(self.text),
        }
    }
}

fn say(word: &str, colour: &str, text: &dyn Display) {
    let mut stderr = io::stderr();
    // One line, whatever characters a server or a file put into the text.
    let text = printable(&text.to_string());
    let _ = match has_colours(&stderr) {
        true => writeln!(stderr, "\u{1b}[{colour}m{word}\u{1b}[0m: {text}"),
        false => writeln!(stderr, "{word}: {text}"),
    };
}

/// Escapes characters that would move the cursor or change the colours of a terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Bidirectional control characters can disguise a text.
        let is_hidden = c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match is_hidden {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        for (text, expected) in [
            ("plain é ✓", "plain é ✓"),
            ("a\nb\tc", "a\\nb\\tc"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("\u{202e}abc", "\\u{202e}abc"),
            ("\u{9b}31m", "\\u{9b}31m"),
        ] {
            assert_eq!(printable(text), expected);
        }
    }
}
