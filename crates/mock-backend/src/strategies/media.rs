use proptest::prelude::*;
use streamtable_schema::{Media, MediaKind};
use streamtable_wire::media_file;

use super::text;
use crate::png;

/// Small images in memory, as PNG files.
pub fn image() -> impl Strategy<Value = Media> {
    let caption = prop::option::of(text());
    (1..9_u32, 1..9_u32, any::<u8>(), caption).prop_map(|(width, height, shade, caption)| {
        let image = Media::image(png(width, height, shade)).expect("a valid PNG");
        match caption {
            Some(caption) => image.with_caption(caption),
            None => image,
        }
    })
}

/// References to media whose files are assumed to be stored with the table.
pub fn stored_media(kind: MediaKind) -> impl Strategy<Value = Media> {
    let format = match kind {
        MediaKind::Image => "png",
        MediaKind::Audio => "wav",
        MediaKind::Video => "mp4",
        MediaKind::Html => "html",
        MediaKind::Markdown => "md",
    };
    let sized = matches!(kind, MediaKind::Image | MediaKind::Video);
    let dimensions = prop::option::of((1..5000_u32, 1..5000_u32));
    (any::<u64>(), dimensions, prop::option::of(text())).prop_map(
        move |(content, dimensions, caption)| {
            let file = media_file(kind, format, &content.to_be_bytes());
            let dimensions = dimensions.filter(|_| sized);
            let media = Media::stored(kind, format, dimensions, file).expect("a usual format");
            match caption {
                Some(caption) => media.with_caption(caption),
                None => media,
            }
        },
    )
}
