//! Serde support for media cells, which serde's data model lacks.

use std::path::PathBuf;

use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};

use super::{Media, MediaKind, MediaSource, StoredFile};

/// The newtype name under which [`Media`] passes through serde.
#[doc(hidden)]
pub const MEDIA_TOKEN: &str = "$streamtable::Media";

/// All fields of a [`Media`] except its bytes: the header of the serialized form.
#[derive(Serialize, Deserialize)]
struct Head {
    kind: MediaKind,
    format: String,
    dimensions: Option<(u32, u32)>,
    caption: Option<String>,
    path: Option<PathBuf>,
    stored: Option<(String, Option<String>, Option<u64>)>,
}

impl Serialize for Media {
    /// Serializes as a newtype around bytes that `unpack` reads. Only this project's serializers
    /// understand them.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (path, stored, bytes) = match &self.source {
            MediaSource::Bytes(bytes) => (None, None, &bytes[..]),
            MediaSource::Path(path) => (Some(path.clone()), None, &[][..]),
            MediaSource::Stored(f) => {
                (None, Some((f.path.clone(), f.sha256.clone(), f.size)), &[][..])
            }
        };
        let head = Head {
            kind: self.kind,
            format: self.format.clone(),
            dimensions: self.dimensions,
            caption: self.caption.clone(),
            path,
            stored,
        };
        let mut packed = serde_json::to_vec(&head).map_err(serde::ser::Error::custom)?;
        packed.push(b'\n');
        packed.extend_from_slice(bytes);
        serializer.serialize_newtype_struct(MEDIA_TOKEN, &PackedBytes(&packed))
    }
}

struct PackedBytes<'a>(&'a [u8]);

impl Serialize for PackedBytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// Reads a cell from the bytes that its `Serialize` wrote: one line of JSON, then the content.
pub(crate) fn unpack(packed: &[u8]) -> Option<Media> {
    let end = packed.iter().position(|&b| b == b'\n')?;
    let head: Head = serde_json::from_slice(&packed[..end]).ok()?;
    let source = match (head.path, head.stored) {
        (Some(path), _) => MediaSource::Path(path),
        (_, Some((path, sha256, size))) => MediaSource::Stored(StoredFile { path, sha256, size }),
        _ => MediaSource::Bytes(Bytes::copy_from_slice(&packed[end + 1..])),
    };
    let media = Media::with_format(head.kind, &head.format, source).ok()?;
    Some(Media { dimensions: head.dimensions, caption: head.caption, ..media })
}
