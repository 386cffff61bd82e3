//! The nearest-centroid classifier: a digit is classified by its closest average image.

use streamtable_schema::Row;

use crate::data::Digit;

/// The average image of each digit.
pub(crate) struct Centroids {
    means: [[f64; 64]; 10],
}

/// The classifier's result for an image.
pub(crate) struct Judgement {
    /// The digit.
    pub(crate) prediction: u8,
    /// The probability of each digit, by name.
    pub(crate) scores: Row,
}

impl Centroids {
    /// Learns the average images from examples.
    pub(crate) fn learn<'a>(examples: impl Iterator<Item = &'a Digit>) -> Self {
        let (mut means, mut counts) = ([[0.0; 64]; 10], [0.0; 10]);
        for Digit { pixels, label } in examples {
            let label = usize::from(*label);
            counts[label] += 1.0;
            for (sum, &pixel) in means[label].iter_mut().zip(pixels) {
                *sum += f64::from(pixel);
            }
        }
        for (mean, count) in means.iter_mut().zip(counts) {
            mean.iter_mut().for_each(|sum| *sum /= f64::max(count, 1.0));
        }
        Self { means }
    }

    /// Classifies an image.
    pub(crate) fn judge(&self, pixels: &[u8; 64]) -> Judgement {
        let distances = self.means.map(|mean| {
            let squares = mean.iter().zip(pixels).map(|(m, &p)| (m - f64::from(p)).powi(2));
            squares.sum::<f64>()
        });
        let nearest = distances.iter().copied().fold(f64::INFINITY, f64::min);
        // Softmax over distances; 100 is about the spread of one digit's images.
        let weights = distances.map(|d| ((nearest - d) / 100.0).exp());
        let total: f64 = weights.iter().sum();
        let prediction = distances.iter().position(|&d| d == nearest).unwrap_or(0) as u8;
        let scores = weights.iter().enumerate().map(|(i, w)| (i.to_string(), w / total));
        Judgement { prediction, scores: scores.collect() }
    }
}
