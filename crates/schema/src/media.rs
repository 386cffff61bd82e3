//! Media cells: images, audio, video and documents in a row.

mod pack;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bytes::Bytes;
use imagesize::ImageType;
use serde::{Deserialize, Serialize};

pub use pack::MEDIA_TOKEN;
pub(crate) use pack::unpack;

/// The kind of content in a media cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    /// An image.
    Image,
    /// Audio.
    Audio,
    /// Video.
    Video,
    /// An HTML document.
    Html,
    /// A Markdown document.
    Markdown,
}

impl MediaKind {
    /// Every kind, in the order of `Ord`.
    pub const ALL: [Self; 5] = [Self::Image, Self::Audio, Self::Video, Self::Html, Self::Markdown];

    /// Returns the kind's lower-case name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Html => "html",
            Self::Markdown => "markdown",
        }
    }
}

impl fmt::Display for MediaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for MediaKind {
    type Err = MediaError;

    fn from_str(text: &str) -> Result<Self, MediaError> {
        let kind = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        kind.ok_or_else(|| MediaError::UnknownKind { kind: text.to_owned() })
    }
}

/// A media cell: its bytes or their location, and the metadata known without decoding.
///
/// ```
/// use streamtable_schema::Media;
///
/// let error = Media::image(&b"<svg/>"[..]).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "these 6 bytes are not an image of a known format; give an encoded one, such as PNG or JPEG"
/// );
///
/// let note = Media::markdown("**hot**").with_caption("the reviewer's note");
/// assert_eq!(note.format(), "md");
/// # Ok::<(), streamtable_schema::MediaError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    kind: MediaKind,
    format: String,
    dimensions: Option<(u32, u32)>,
    caption: Option<String>,
    source: MediaSource,
}

/// Location of a media cell's bytes.
#[derive(Clone, PartialEq, Eq)]
pub enum MediaSource {
    /// In memory.
    Bytes(Bytes),
    /// In a file, which is read when the row is logged.
    Path(PathBuf),
    /// Stored with the table's other files, under a name derived from the content.
    Stored(StoredFile),
}

/// A file stored with a table, named by its content.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StoredFile {
    /// The path within the table's files, with `/` between folders.
    pub path: String,
    /// The SHA-256 of the bytes, 64 lower-case hexadecimal digits. Legacy clients do not send it.
    pub sha256: Option<String>,
    /// The length in bytes. Legacy clients do not send it.
    pub size: Option<u64>,
}

impl Media {
    /// Makes an image cell from an encoded image (PNG, JPEG, GIF, WebP, BMP, TIFF, AVIF, …).
    ///
    /// Reads format, width and height from the header and does not decode the pixels. Returns
    /// [`MediaError::NotAnImage`] if the format is unknown or the size in the header is
    /// implausible.
    pub fn image(bytes: impl Into<Bytes>) -> Result<Self, MediaError> {
        let bytes = bytes.into();
        let Some((format, dimensions)) = header(&bytes) else {
            return Err(MediaError::NotAnImage { bytes: bytes.len() });
        };
        let image = Self::new(MediaKind::Image, format, MediaSource::Bytes(bytes));
        Ok(Self { dimensions: Some(dimensions), ..image })
    }

    /// Makes an audio cell. `format` is the usual file extension, such as `wav` or `mp3`.
    pub fn audio(bytes: impl Into<Bytes>, format: &str) -> Result<Self, MediaError> {
        Self::with_format(MediaKind::Audio, format, MediaSource::Bytes(bytes.into()))
    }

    /// Makes a video cell. `format` is the usual file extension, such as `mp4` or `webm`.
    pub fn video(bytes: impl Into<Bytes>, format: &str) -> Result<Self, MediaError> {
        Self::with_format(MediaKind::Video, format, MediaSource::Bytes(bytes.into()))
    }

    /// Makes a cell that shows an HTML document.
    pub fn html(text: impl Into<String>) -> Self {
        Self::new(MediaKind::Html, "html", MediaSource::Bytes(text.into().into()))
    }

    /// Makes a cell that shows a Markdown document.
    pub fn markdown(text: impl Into<String>) -> Self {
        Self::new(MediaKind::Markdown, "md", MediaSource::Bytes(text.into().into()))
    }

    /// Makes a cell from a file. The file extension gives the format.
    ///
    /// The file is read when the row is logged, not here. If it is missing by then, or is not a
    /// valid image, the row is refused. Returns [`MediaError::BadFormat`] if the path has no usable
    /// extension.
    pub fn from_path(kind: MediaKind, path: impl Into<PathBuf>) -> Result<Self, MediaError> {
        let path = path.into();
        let format = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let format = format.to_ascii_lowercase();
        Self::with_format(kind, &format, MediaSource::Path(path))
    }

    /// Makes a cell that refers to a file already stored with the table.
    ///
    /// `dimensions` are the width and height of an image or video in pixels, if known.
    pub fn stored(
        kind: MediaKind,
        format: &str,
        dimensions: Option<(u32, u32)>,
        file: StoredFile,
    ) -> Result<Self, MediaError> {
        Ok(Self { dimensions, ..Self::with_format(kind, format, MediaSource::Stored(file))? })
    }

    /// Adds a caption.
    #[must_use]
    pub fn with_caption(mut self, caption: impl Into<String>) -> Self {
        self.caption = Some(caption.into());
        self
    }

    /// Returns the kind of content.
    pub fn kind(&self) -> MediaKind {
        self.kind
    }

    /// Returns the format: a file extension in lower case, such as `png`.
    pub fn format(&self) -> &str {
        &self.format
    }

    /// Returns the width and height in pixels, if known.
    pub fn dimensions(&self) -> Option<(u32, u32)> {
        self.dimensions
    }

    /// Returns the caption.
    pub fn caption(&self) -> Option<&str> {
        self.caption.as_deref()
    }

    /// Returns the location of the bytes.
    pub fn source(&self) -> &MediaSource {
        &self.source
    }

    /// Returns the cell with `bytes` as its content. Metadata read from the bytes replaces metadata
    /// derived from the path.
    ///
    /// Fails if the cell is an image and the bytes are not.
    pub fn with_bytes(self, bytes: Bytes) -> Result<Self, MediaError> {
        Ok(match self.kind {
            MediaKind::Image => Self { caption: self.caption, ..Self::image(bytes)? },
            _ => Self { source: MediaSource::Bytes(bytes), ..self },
        })
    }

    fn new(kind: MediaKind, format: &str, source: MediaSource) -> Self {
        Self { kind, format: format.to_owned(), dimensions: None, caption: None, source }
    }

    fn with_format(kind: MediaKind, format: &str, source: MediaSource) -> Result<Self, MediaError> {
        // The format becomes part of a file name.
        let is_usable = matches!(format.len(), 1..=16)
            && format.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if !is_usable {
            return Err(MediaError::BadFormat { format: format.to_owned() });
        }
        Ok(Self::new(kind, format, source))
    }
}

impl fmt::Debug for MediaSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Path(path) => f.debug_tuple("Path").field(path).finish(),
            Self::Stored(file) => f.debug_tuple("Stored").field(file).finish(),
        }
    }
}

/// Maximum plausible side length of an image, in pixels.
///
/// Some formats have a magic number of only two letters: any text that begins with `BM` looks like
/// a BMP, and four of its letters would be read as a width.
const MAX_SIDE: u32 = 100_000_000;

/// Reads the format and the size of an image from its header.
fn header(bytes: &[u8]) -> Option<(&'static str, (u32, u32))> {
    let format = imagesize::image_type(bytes).ok()?;
    let size = imagesize::blob_size(bytes).ok()?;
    let side = |pixels: usize| {
        let mut pixels = u32::try_from(pixels).ok()?;
        if format == ImageType::Bmp {
            // Negative if the rows are stored from top to bottom.
            pixels = pixels.cast_signed().unsigned_abs();
        }
        (1..=MAX_SIDE).contains(&pixels).then_some(pixels)
    };
    Some((extension(format), (side(size.width)?, side(size.height)?)))
}

fn extension(format: ImageType) -> &'static str {
    match format {
        ImageType::Png => "png",
        ImageType::Jpeg => "jpg",
        ImageType::Gif => "gif",
        ImageType::Webp => "webp",
        ImageType::Bmp => "bmp",
        ImageType::Tiff => "tiff",
        ImageType::Heif(imagesize::Compression::Av1) => "avif",
        ImageType::Heif(_) => "heic",
        ImageType::Jxl => "jxl",
        ImageType::Ico => "ico",
        _ => "img",
    }
}

/// The reason why bytes or a file cannot become a media cell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// The bytes do not start with the header of a known image format.
    #[error(
        "these {bytes} bytes are not an image of a known format; give an encoded one, such as PNG \
         or JPEG"
    )]
    NotAnImage {
        /// The number of bytes.
        bytes: usize,
    },
    /// The format is not a short file extension of lower-case letters and digits.
    #[error(
        "{format:?} is not a media format; give a lower-case file extension, such as png, wav or mp4"
    )]
    BadFormat {
        /// The format as given.
        format: String,
    },
    /// The file could not be read when its row was logged.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error message of the operating system.
        reason: String,
    },
    /// The file is larger than the upload limit.
    #[error("the file has {bytes} bytes; the limit is {limit}")]
    TooLarge {
        /// The file's length.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The name is not that of a media kind.
    #[error(
        "{kind:?} is not a kind of media; the kinds are image, audio, video, html and markdown"
    )]
    UnknownKind {
        /// The name as given.
        kind: String,
    },
}

impl MediaError {
    /// Makes the error for a file that could not be read.
    pub fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        Self::Unreadable { path: path.to_owned(), reason: error.to_string() }
    }
}
