//! The header of an image: gives a size or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use streamtable_schema::Media;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(image) = Media::image(bytes.to_vec()) {
        assert!(image.dimensions().is_some_and(|(width, height)| width > 0 && height > 0));
    }
});
