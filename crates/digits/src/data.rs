//! The digits and their images.

use flate2::read::GzDecoder;

use crate::DigitsError;

/// The width and height of an image in pixels.
const SIDE: u32 = 8;

/// The darkest grey in the data.
pub(crate) const MAX_INK: u8 = 16;

/// A hand-written digit.
pub(crate) struct Digit {
    /// 8×8 grey values from 0 to 16, row by row.
    pub(crate) pixels: [u8; 64],
    /// The digit that it shows.
    pub(crate) label: u8,
}

/// Reads all digits, which are embedded in the program.
pub(crate) fn read() -> Result<Vec<Digit>, DigitsError> {
    let packed = &include_bytes!("digits.csv.gz")[..];
    let csv = csv::ReaderBuilder::new().has_headers(false).from_reader(GzDecoder::new(packed));
    let damaged = |reason: String| DigitsError::Data { reason };
    csv.into_deserialize()
        .map(|line| {
            let values: Vec<u8> = line.map_err(|error| damaged(error.to_string()))?;
            match values.split_last() {
                Some((&label @ 0..=9, pixels)) => {
                    let pixels = pixels.try_into();
                    let pixels =
                        pixels.map_err(|_| damaged("a line does not have 64 pixels".into()))?;
                    Ok(Digit { pixels, label })
                }
                _ => Err(damaged("a line has no digit".into())),
            }
        })
        .collect()
}

/// Encodes a digit's image as a grey PNG.
pub(crate) fn to_png(pixels: &[u8; 64]) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, SIDE, SIDE);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let greys = pixels.map(|ink| ((u16::from(ink) * 255) / u16::from(MAX_INK)) as u8);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&greys)?;
    writer.finish()?;
    Ok(bytes)
}
