//! Warnings of background threads, on standard error.
//!
//! They come from threads that Python does not know, so they cannot use Python's `logging`: while
//! the interpreter shuts down, such a thread could wait for the GIL for ever.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

/// Installs the subscriber for warnings and errors, unless the program has one already.
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
        // A single write, so that lines of several threads do not mix.
        write_stderr(format!("streamtable {level}: {message}{fields}\n").as_bytes());
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(self.wanted.into())
    }
}

/// Writes to the current standard error.
///
/// Does not use `std::io::stderr`, because another thread may hold its lock when the process forks.
#[cfg(unix)]
fn write_stderr(line: &[u8]) {
    use std::os::fd::AsFd;
    if let Ok(stderr) = std::io::stderr().as_fd().try_clone_to_owned() {
        let _ = std::fs::File::from(stderr).write_all(line);
    }
}

#[cfg(not(unix))]
fn write_stderr(line: &[u8]) {
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
