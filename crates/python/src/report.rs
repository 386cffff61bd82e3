//! What the background has to say, on standard error.
//!
//! It is written from threads that Python does not know, so it cannot go through Python's `logging`:
//! at the interpreter's end such a thread could wait for it for ever.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

/// Has warnings and errors told from now on. Whoever was there first stays.
pub(crate) fn begin() {
    let wanted = match std::env::var("STREAMTABLE_LOG").as_deref() {
        Ok("off") => return,
        Ok("error") => Level::ERROR,
        Ok("info") => Level::INFO,
        Ok("debug") => Level::DEBUG,
        _ => Level::WARN,
    };
    let _ = tracing::subscriber::set_global_default(Report { wanted });
}

struct Report {
    wanted: Level,
}

impl Subscriber for Report {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.wanted && metadata.target().starts_with("streamtable")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        let Line { message, fields } = line;
        // One write, so that lines of several threads do not mix.
        say(format!("streamtable {level}: {message}{fields}\n").as_bytes());
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(self.wanted.into())
    }
}

/// Writes to standard error, wherever it leads by now.
///
/// Not by way of `std::io::stderr`, whose lock a thread may hold when the process forks.
#[cfg(unix)]
fn say(line: &[u8]) {
    use std::os::fd::AsFd;
    if let Ok(stderr) = std::io::stderr().as_fd().try_clone_to_owned() {
        let _ = std::fs::File::from(stderr).write_all(line);
    }
}

#[cfg(not(unix))]
fn say(line: &[u8]) {
    let _ = std::io::stderr().write_all(line);
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, ", {name}: {value:?}"),
        };
    }
}
