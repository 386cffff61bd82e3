//! The media type under which a file is served.

/// Media type of unknown files.
const UNKNOWN: &str = "application/octet-stream";

/// Media types by file name extension.
const TYPES: [(&str, &str); 37] = [
    ("aac", "audio/aac"),
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("csv", "text/csv; charset=utf-8"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("heic", "image/heic"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("json", "application/json"),
    ("jsonl", "application/jsonl; charset=utf-8"),
    ("jxl", "image/jxl"),
    ("log", "text/plain; charset=utf-8"),
    ("m4a", "audio/mp4"),
    ("md", "text/plain; charset=utf-8"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("npz", "application/zip"),
    ("ogg", "audio/ogg"),
    ("opus", "audio/ogg"),
    ("parquet", "application/vnd.apache.parquet"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("txt", "text/plain; charset=utf-8"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("yaml", "text/plain; charset=utf-8"),
    ("yml", "text/plain; charset=utf-8"),
    ("zip", "application/zip"),
];

/// Returns the media type for a file name. The content is ignored: responses tell browsers not to
/// guess the type from it.
pub(crate) fn mimetype(path: &str) -> &'static str {
    let Some((_, end)) = path.rsplit_once('.') else { return UNKNOWN };
    let end = end.to_ascii_lowercase();
    TYPES.iter().find(|(known, _)| *known == end).map_or(UNKNOWN, |(_, ty)| ty)
}

/// Returns whether a browser would run code in the file if it opened the file directly.
pub(super) fn is_active(mimetype: &str) -> bool {
    ["text/html", "image/svg+xml", "application/pdf"].iter().any(|ty| mimetype.starts_with(ty))
}

/// Returns whether a browser may show the file inline.
pub(super) fn is_shown(mimetype: &str) -> bool {
    ["image/", "audio/", "video/", "text/plain", "application/json"]
        .iter()
        .any(|ty| mimetype.starts_with(ty))
        && !is_active(mimetype)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_follow_the_extension() {
        #[track_caller]
        fn check(path: &str, ty: &str, shown: bool, active: bool) {
            let found = mimetype(path);
            assert_eq!((found, is_shown(found), is_active(found)), (ty, shown, active));
        }
        check("media/a.PNG", "image/png", true, false);
        check("a.svg", "image/svg+xml", false, true);
        check("a.html", "text/html; charset=utf-8", false, true);
        check("a.js", UNKNOWN, false, false);
        check("a", UNKNOWN, false, false);
        check("a.html.", UNKNOWN, false, false);
        check("a.xhtml", UNKNOWN, false, false);
    }
}
