//! What a source contains, by its first bytes and its name.

use std::io::{self, Read};
use std::path::Path;

use super::options::{Format, InputError};
use super::stream::Source;

/// Compression of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// Detects the compression. Fails if it is one that is not supported.
    pub(super) fn of(start: &[u8]) -> Result<Self, InputError> {
        let unsupported = |name: &str| {
            Err(InputError::decision(
                format!("this is {name} data"),
                "unpack it first, or compress it with gzip or zstd",
            ))
        };
        match start {
            [0x1f, 0x8b, ..] => Ok(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Ok(Self::Zstd),
            [b'P', b'K', 3, 4, ..] => unsupported("zip"),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => unsupported("bzip2"),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => unsupported("xz"),
            _ => Ok(Self::None),
        }
    }

    /// Decompresses a reader.
    pub(super) fn reader(self, input: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::None => input,
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(input)),
            Self::Zstd => Box::new(zstd::Decoder::new(input)?),
        })
    }

    /// Decompresses the first bytes, as far as they go.
    pub(super) fn sample(self, start: Vec<u8>) -> Vec<u8> {
        if self == Self::None {
            return start;
        }
        let mut sample = Vec::new();
        if let Ok(reader) = self.reader(Box::new(io::Cursor::new(start))) {
            // The sample ends in the middle of the compressed data.
            let _ = reader.take(super::input::MAX_SAMPLE_BYTES as u64).read_to_end(&mut sample);
        }
        sample
    }
}

/// Detects the format, from the content if it is unmistakable, else from the name.
pub(super) fn format(source: &Source, sample: &[u8]) -> Result<Format, InputError> {
    let extension = match source {
        Source::File(path) => extension(path),
        Source::Stdin => String::new(),
    };
    let binary = binary(sample);
    if let Some(format) = binary {
        return Ok(format);
    }
    match extension.as_str() {
        "csv" => return Ok(Format::Csv),
        "tsv" | "tab" => return Ok(Format::Tsv),
        "json" | "jsonl" | "ndjson" => return Ok(Format::Json),
        "parquet" | "arrow" | "feather" | "arrows" if !sample.is_empty() => {
            return Err(InputError::decision(
                format!("the file is called .{extension}, but its content is something else"),
                "name its format with --format",
            ));
        }
        _ => {}
    }
    let text = sample.strip_prefix(b"\xef\xbb\xbf").unwrap_or(sample).trim_ascii_start();
    match text.first() {
        None | Some(b'{' | b'[') => Ok(Format::Json),
        Some(_) => Err(InputError::decision(
            "rows must be JSON objects, and this is something else",
            "name the format with --format csv, tsv, parquet or arrow",
        )),
    }
}

fn binary(sample: &[u8]) -> Option<Format> {
    match sample {
        [b'P', b'A', b'R', b'1', ..] => Some(Format::Parquet),
        [b'A', b'R', b'R', b'O', b'W', b'1', ..] | [0xff, 0xff, 0xff, 0xff, ..] => {
            Some(Format::Arrow)
        }
        _ => None,
    }
}

/// Returns the extension of a file's name in lower case, without that of a compression.
fn extension(path: &Path) -> String {
    let of = |path: &Path| {
        path.extension().and_then(|it| it.to_str()).unwrap_or_default().to_ascii_lowercase()
    };
    match of(path).as_str() {
        "gz" | "gzip" | "zst" | "zstd" => of(Path::new(path.file_stem().unwrap_or_default())),
        extension => extension.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_detected_by_content_then_by_name() {
        let check = |name: &str, sample: &[u8], expected: Option<Format>| {
            let found = format(&Source::File(name.into()), sample);
            assert_eq!(found.ok(), expected, "{name}");
        };
        check("a.csv", b"a,b\n", Some(Format::Csv));
        check("a.csv.gz", b"a,b\n", Some(Format::Csv));
        check("a.txt", b"PAR1...", Some(Format::Parquet));
        check("a.json", b"ARROW1\0\0", Some(Format::Arrow));
        check("a.log", b"\xef\xbb\xbf {\"a\":1}", Some(Format::Json));
        check("a", b"", Some(Format::Json));
        check("a.txt", b"a,b\n", None);
        check("a.parquet", b"a,b\n", None);
    }

    #[test]
    fn unsupported_compression_is_named() {
        assert_eq!(Compression::of(b"\x1f\x8b\x08").unwrap(), Compression::Gzip);
        assert_eq!(Compression::of(b"(\xb5/\xfd").unwrap(), Compression::Zstd);
        assert_eq!(Compression::of(b"BZhello").unwrap(), Compression::None);
        for (start, name) in [(&b"PK\x03\x04"[..], "zip"), (b"BZh91AY", "bzip2")] {
            let error = Compression::of(start).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
