//! The bytes of a source: a file, or a pipe that may be slow.

use std::fmt;
use std::fs;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// Size of the chunks in which a pipe is read.
const CHUNK_BYTES: usize = 64 << 10;

/// Number of bytes of a pipe that are read before its first row.
const SAMPLE_BYTES: usize = 256 << 10;

/// How long to wait for more of the sample after the last bytes of a pipe.
const SAMPLE_WAIT: Duration = Duration::from_millis(500);

/// A source of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Source {
    /// Parses an argument of a command. `-` is standard input.
    pub fn new(path: &Path) -> Self {
        if path == Path::new("-") { Self::Stdin } else { Self::File(path.to_owned()) }
    }

    /// Returns the size in bytes, if it is known.
    pub fn size(&self) -> Option<u64> {
        match self {
            Self::Stdin => None,
            Self::File(path) => {
                path.metadata().ok().filter(fs::Metadata::is_file).map(|it| it.len())
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// The bytes of a source.
pub(super) enum Bytes {
    /// A regular file, which can be read more than once. It is opened for each reading, so that many
    /// files can be inspected before the first one is read.
    File(PathBuf),
    /// A pipe, of which the first bytes were read.
    Pipe(Pipe),
}

impl Bytes {
    /// Opens a source. Waits for the first bytes of a pipe.
    pub(super) fn open(source: &Source) -> io::Result<Self> {
        match source {
            Source::Stdin => Ok(Self::Pipe(Pipe::new(io::stdin())?)),
            Source::File(path) => {
                if fs::metadata(path)?.is_file() {
                    return Ok(Self::File(path.clone()));
                }
                Ok(Self::Pipe(Pipe::new(fs::File::open(path)?)?))
            }
        }
    }

    /// Returns the first bytes.
    pub(super) fn sample(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::File(path) => {
                let mut sample = Vec::new();
                fs::File::open(path)?.take(SAMPLE_BYTES as u64).read_to_end(&mut sample)?;
                Ok(sample)
            }
            Self::Pipe(pipe) => Ok(pipe.sample.clone()),
        }
    }
}

/// A pipe, read by a thread of its own, so that a slow one does not delay its first rows.
pub(super) struct Pipe {
    sample: Vec<u8>,
    chunks: Receiver<io::Result<Vec<u8>>>,
}

impl Pipe {
    fn new(mut input: impl Read + Send + 'static) -> io::Result<Self> {
        let (sender, chunks) = sync_channel(4);
        std::thread::spawn(move || {
            loop {
                let mut chunk = vec![0; CHUNK_BYTES];
                let read = match input.read(&mut chunk) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    read => read,
                };
                let is_end = !matches!(read, Ok(1..));
                let chunk = read.map(|read| {
                    chunk.truncate(read);
                    chunk
                });
                if sender.send(chunk).is_err() || is_end {
                    return;
                }
            }
        });
        let mut pipe = Self { sample: Vec::new(), chunks };
        pipe.fill()?;
        Ok(pipe)
    }

    /// Reads the sample: until it is full, the input ends, or nothing comes for a while.
    fn fill(&mut self) -> io::Result<()> {
        let mut deadline = None;
        while self.sample.len() < SAMPLE_BYTES {
            let chunk = match deadline {
                None => self.chunks.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(deadline) => self
                    .chunks
                    .recv_timeout(Instant::saturating_duration_since(&deadline, Instant::now())),
            };
            match chunk {
                Ok(chunk) => self.sample.extend(chunk?),
                Err(_) => break,
            }
            deadline = Some(Instant::now() + SAMPLE_WAIT);
        }
        Ok(())
    }

    /// Returns all bytes, beginning with the sample.
    pub(super) fn into_read(self) -> impl Read + Send {
        Cursor::new(self.sample)
            .chain(Chunks { current: Cursor::new(Vec::new()), rest: self.chunks })
    }
}

struct Chunks {
    current: Cursor<Vec<u8>>,
    rest: Receiver<io::Result<Vec<u8>>>,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.current.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            match self.rest.recv() {
                Ok(chunk) => self.current = Cursor::new(chunk?),
                Err(_) => return Ok(0),
            }
            if self.current.get_ref().is_empty() {
                return Ok(0);
            }
        }
    }
}

/// Counts the bytes read.
pub(super) struct Counted<R> {
    pub(super) inner: R,
    pub(super) bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
