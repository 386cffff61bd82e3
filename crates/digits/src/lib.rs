//! 1,797 hand-written digits and the results of a small classifier, as rows.
//!
//! The digits are embedded in the program; nothing is read or downloaded. The README names their
//! source.
//!
//! ```
//! use streamtable_digits::{Digits, DigitsError};
//!
//! fn main() -> Result<(), DigitsError> {
//!     let digits = Digits::read()?;
//!     let is_right = |&i: &usize| digits.judge(i).is_ok_and(|it| it.is_right);
//!     let right = (0..digits.len()).filter(is_right).count();
//!     assert_eq!((digits.len(), right), (1797, 1606));
//!     Ok(())
//! }
//! ```

mod classifier;
mod data;

use std::time::Instant;

use streamtable_schema::{Media, MediaError, Row, row};

use classifier::Centroids;
use data::Digit;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The digits and their classifiers.
pub struct Digits {
    digits: Vec<Digit>,
    /// Each half of the digits is classified by what the other half taught, so no digit is
    /// classified by itself.
    teachers: [Centroids; 2],
    /// Classifies digits that are not among these.
    all: Centroids,
}

/// A digit and the classifier's result.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// `image`; `truth` and `prediction`, from 0 to 9; `scores`, the probability of each digit;
    /// `latency_ms`, the time that classification took.
    pub row: Row,
    /// Whether the prediction is correct.
    pub is_right: bool,
}

/// The reason why a digit cannot be produced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DigitsError {
    /// The embedded data is damaged.
    #[error("the digits cannot be read: {reason}")]
    Data {
        /// The reason.
        reason: String,
    },
    /// The image cannot be encoded.
    #[error("cannot encode an image")]
    Picture(#[from] png::EncodingError),
    /// The image is not valid.
    #[error(transparent)]
    Media(#[from] MediaError),
}

impl std::fmt::Debug for Digits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Digits").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Digits {
    /// Reads the digits and trains the classifiers.
    pub fn read() -> Result<Self, DigitsError> {
        let digits = data::read()?;
        let (even, odd) = (digits.iter().step_by(2), digits.iter().skip(1).step_by(2));
        let teachers = [Centroids::learn(odd), Centroids::learn(even)];
        let all = Centroids::learn(digits.iter());
        Ok(Self { digits, teachers, all })
    }

    /// Returns the number of digits.
    #[expect(clippy::len_without_is_empty, reason = "there is always at least one")]
    pub fn len(&self) -> usize {
        self.digits.len()
    }

    /// Classifies the digit at `index`. Indexes wrap around at the end.
    pub fn judge(&self, index: usize) -> Result<Judged, DigitsError> {
        let index = index % self.len();
        let digit = &self.digits[index];
        judge(&self.teachers[index % 2], &digit.pixels, digit.label)
    }

    /// Classifies a digit that somebody drew: `truth`, as 8×8 grey values from 0 to 16, row by row.
    /// Larger values count as 16.
    ///
    /// The digits that the classifiers learned from were cut out and scaled to the full height.
    pub fn judge_drawing(&self, pixels: &[u8; 64], truth: u8) -> Result<Judged, DigitsError> {
        judge(&self.all, &pixels.map(|ink| ink.min(data::MAX_INK)), truth)
    }
}

fn judge(teacher: &Centroids, pixels: &[u8; 64], truth: u8) -> Result<Judged, DigitsError> {
    let start = Instant::now();
    let judgement = teacher.judge(pixels);
    let latency_ms = start.elapsed().as_secs_f64() * 1e3;
    let is_right = judgement.prediction == truth;
    let row = row! {
        "image" => Media::image(data::to_png(pixels)?)?,
        "truth" => truth,
        "prediction" => judgement.prediction,
        "scores" => judgement.scores,
        "latency_ms" => latency_ms,
    };
    Ok(Judged { row, is_right })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawings_are_read_with_what_all_digits_taught() {
        let digits = Digits::read().unwrap();
        let judge = |digit: &Digit| digits.judge_drawing(&digit.pixels, digit.label).unwrap();
        let right = digits.digits.iter().filter(|digit| judge(digit).is_right).count();
        assert_eq!(right, 1626);
        let digit = &digits.digits[0];
        let louder = digit.pixels.map(|ink| if ink == data::MAX_INK { u8::MAX } else { ink });
        let cells = |judged: Judged| (judged.row["image"].clone(), judged.row["scores"].clone());
        let loud = digits.judge_drawing(&louder, digit.label).unwrap();
        assert_eq!(cells(loud), cells(judge(digit)));
    }
}
