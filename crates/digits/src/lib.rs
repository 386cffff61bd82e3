//! 1,797 hand-written digits, with what a small classifier makes of them, as rows.
//!
//! The digits are part of the program; nothing is read or downloaded. See the README for where they
//! come from.
//!
//! ```
//! use streamtable_digits::Digits;
//!
//! let digits = Digits::read()?;
//! let right = (0..digits.len()).filter(|&i| digits.judge(i).is_ok_and(|it| it.is_right)).count();
//! assert_eq!((digits.len(), right), (1797, 1606));
//! # Ok::<(), streamtable_digits::DigitsError>(())
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

/// The digits, and who judges them.
pub struct Digits {
    digits: Vec<Digit>,
    /// Each half is judged by what the other half taught, so no digit is judged by itself.
    teachers: [Centroids; 2],
}

/// A digit and what the classifier makes of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// `image`, a picture; `truth` and `prediction`, from 0 to 9; `scores`, how probable each digit
    /// is; `latency_ms`, how long the judging took.
    pub row: Row,
    /// Whether the prediction is the truth.
    pub is_right: bool,
}

/// Why there is no digit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DigitsError {
    /// The program's own data is damaged.
    #[error("the digits cannot be read: {reason}")]
    Data {
        /// What is wrong with it.
        reason: String,
    },
    /// The picture cannot be made.
    #[error("cannot encode a picture")]
    Picture(#[from] png::EncodingError),
    /// The picture is none.
    #[error(transparent)]
    Media(#[from] MediaError),
}

impl std::fmt::Debug for Digits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Digits").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Digits {
    /// Reads the digits, and learns from them.
    pub fn read() -> Result<Self, DigitsError> {
        let digits = data::read()?;
        let (even, odd) = (digits.iter().step_by(2), digits.iter().skip(1).step_by(2));
        let teachers = [Centroids::learn(odd), Centroids::learn(even)];
        Ok(Self { digits, teachers })
    }

    /// Returns how many there are.
    #[expect(clippy::len_without_is_empty, reason = "they are never none")]
    pub fn len(&self) -> usize {
        self.digits.len()
    }

    /// Judges one of them; behind the last comes the first again.
    pub fn judge(&self, index: usize) -> Result<Judged, DigitsError> {
        let index = index % self.len();
        let digit = &self.digits[index];
        let start = Instant::now();
        let judgement = self.teachers[index % 2].judge(&digit.pixels);
        let latency_ms = start.elapsed().as_secs_f64() * 1e3;
        let is_right = judgement.prediction == digit.label;
        let row = row! {
            "image" => Media::image(data::to_png(&digit.pixels)?)?,
            "truth" => digit.label,
            "prediction" => judgement.prediction,
            "scores" => judgement.scores,
            "latency_ms" => latency_ms,
        };
        Ok(Judged { row, is_right })
    }
}
