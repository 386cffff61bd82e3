//! Minimal images.

use std::io::Write;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

/// Returns a PNG file that is a single shade of grey.
///
/// ```
/// use streamtable_schema::Media;
///
/// let image = Media::image(streamtable_mock_backend::png(4, 3, 128))?;
/// assert_eq!((image.format(), image.dimensions()), ("png", Some((4, 3))));
/// # Ok::<(), streamtable_schema::MediaError>(())
/// ```
pub fn png(width: u32, height: u32, shade: u8) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend_from_slice(&width.to_be_bytes());
    header.extend_from_slice(&height.to_be_bytes());
    // Eight bits per pixel, greyscale, and the only methods that exist.
    header.extend_from_slice(&[8, 0, 0, 0, 0]);

    // Each line starts with its filter type: none.
    let line: Vec<u8> =
        std::iter::once(0).chain(std::iter::repeat_n(shade, width as usize)).collect();
    let mut pixels = ZlibEncoder::new(Vec::new(), Compression::fast());
    let written = (0..height).try_for_each(|_| pixels.write_all(&line));
    let pixels = written.and_then(|()| pixels.finish()).expect("a vector takes all");

    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, data) in [(b"IHDR", &header), (b"IDAT", &pixels), (b"IEND", &Vec::new())] {
        file.extend_from_slice(&(data.len() as u32).to_be_bytes());
        let mut crc = Crc::new();
        crc.update(name);
        crc.update(data);
        file.extend_from_slice(name);
        file.extend_from_slice(data);
        file.extend_from_slice(&crc.sum().to_be_bytes());
    }
    file
}
