//! The destination of a command's result: standard output, or a file that is replaced atomically.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::failure::Failure;

/// The destination of a result.
///
/// A file is written under a temporary name and renamed by [`finish`](Self::finish), so that a
/// partial file is never visible. Dropping an unfinished output deletes the temporary file.
pub(crate) enum Output {
    /// Standard output.
    Stdout(BufWriter<Stdout>),
    /// A regular file.
    File { path: PathBuf, temporary: BufWriter<NamedTempFile> },
    /// A target that is not a regular file, such as `/dev/null`; it is written directly.
    Device { path: PathBuf, file: BufWriter<File> },
}

impl Output {
    /// Opens a file, or standard output if there is no path or it is `-`.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Self::Stdout(BufWriter::new(io::stdout())));
        };
        let failed = |error: io::Error| Failure::writing(path.display(), &error);
        if path.is_dir() {
            return Err(Failure::failed(format!("{} is a folder", path.display())));
        }
        if path.exists() && !path.is_file() {
            let file = File::options().write(true).open(path).map_err(failed)?;
            return Ok(Self::Device { path: path.to_owned(), file: BufWriter::new(file) });
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".streamtable-").suffix(".part");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // The default mode of new files; the umask is applied by the system.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let temporary = builder.tempfile_in(folder).map_err(failed)?;
        Ok(Self::File { path: path.to_owned(), temporary: BufWriter::new(temporary) })
    }

    /// Returns whether the output is a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self, Self::Stdout(stdout) if stdout.get_ref().is_terminal())
    }

    /// Writes bytes.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.write_all(bytes).map_err(|error| self.failed(&error))
    }

    /// Writes bytes and flushes them.
    pub(crate) fn put_now(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.put(bytes)?;
        self.flush().map_err(|error| self.failed(&error))
    }

    /// Flushes the output and renames the temporary file to its final name.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        self.flush().map_err(|error| self.failed(&error))?;
        if let Self::File { path, temporary } = self {
            let place = |error: io::Error| Failure::writing(path.display(), &error);
            let temporary = temporary.into_inner().map_err(|error| place(error.into_error()))?;
            temporary.persist(&path).map_err(|error| place(error.error))?;
        }
        Ok(())
    }

    fn failed(&self, error: &io::Error) -> Failure {
        match self {
            Self::Stdout(_) => Failure::writing("to standard output", error),
            Self::File { path, .. } | Self::Device { path, .. } => {
                Failure::writing(path.display(), error)
            }
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(inner) => inner.write(bytes),
            Self::File { temporary, .. } => temporary.write(bytes),
            Self::Device { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(inner) => inner.flush(),
            Self::File { temporary, .. } => temporary.flush(),
            Self::Device { file, .. } => file.flush(),
        }
    }
}

/// Prints a line to standard output.
pub(crate) fn print(text: impl std::fmt::Display) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    written.map_err(|error| Failure::writing("to standard output", &error))
}
