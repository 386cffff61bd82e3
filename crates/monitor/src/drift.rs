//! How far a distribution has moved from a reference.

/// Number of bins into which numbers are divided: deciles of the reference.
pub const BINS: usize = 10;

/// Added to each count, so that an empty bin gives a finite result.
const SMOOTHING: f64 = 0.5;

/// Returns the population stability index of two histograms over the same bins.
///
/// 0 for equal distributions; above 0.2 counts as a significant change. Counts are smoothed, so that
/// a bin that is empty on one side gives a finite result.
pub fn psi(reference: &[f64], current: &[f64]) -> f64 {
    let smooth = |counts: &[f64]| -> Vec<f64> {
        let total: f64 = counts.iter().map(|count| count + SMOOTHING).sum();
        counts.iter().map(|count| (count + SMOOTHING) / total).collect()
    };
    let pairs = smooth(reference).into_iter().zip(smooth(current));
    pairs.map(|(p, q)| (q - p) * (q / p).ln()).sum()
}

/// Returns the Jensen–Shannon distance of two histograms over the same bins: 0 for equal
/// distributions, 1 for those that have no bin in common.
pub fn jensen_shannon(reference: &[f64], current: &[f64]) -> f64 {
    let shares = |counts: &[f64]| -> Vec<f64> {
        let total: f64 = counts.iter().sum();
        counts.iter().map(|count| count / total).collect()
    };
    let (p, q) = (shares(reference), shares(current));
    let to_middle = |one: f64, other: f64| {
        if one > 0.0 { one * (2.0 * one / (one + other)).log2() } else { 0.0 }
    };
    let sum: f64 = p.iter().zip(&q).map(|(&p, &q)| to_middle(p, q) + to_middle(q, p)).sum();
    // Rounding may leave the range.
    (sum / 2.0).clamp(0.0, 1.0).sqrt()
}

/// Returns the Kolmogorov–Smirnov statistic of two samples: the largest difference between their
/// cumulative distributions, from 0 to 1. Both samples must be sorted.
pub fn kolmogorov_smirnov(reference: &[f64], current: &[f64]) -> f64 {
    let (mut i, mut j, mut largest) = (0, 0, 0.0_f64);
    while i < reference.len() && j < current.len() {
        let at = reference[i].min(current[j]);
        // Equal values are passed on both sides before the difference is taken.
        i += reference[i..].iter().take_while(|&&value| value <= at).count();
        j += current[j..].iter().take_while(|&&value| value <= at).count();
        let share = |passed: usize, all: &[f64]| passed as f64 / all.len() as f64;
        largest = largest.max((share(i, reference) - share(j, current)).abs());
    }
    largest
}

/// Divides two sorted samples into bins that are the deciles of the first, and returns the counts.
pub fn histograms(reference: &[f64], current: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let mut edges: Vec<f64> =
        (1..BINS).filter_map(|i| reference.get(i * reference.len() / BINS).copied()).collect();
    edges.dedup();
    let count = |sample: &[f64]| -> Vec<f64> {
        let mut counts = vec![0.0; edges.len() + 1];
        for value in sample {
            counts[edges.partition_point(|edge| edge <= value)] += 1.0;
        }
        counts
    };
    (count(reference), count(current))
}

/// Aligns the counts of two sets of categories, each sorted by name.
pub fn align(reference: &[(String, f64)], current: &[(String, f64)]) -> (Vec<f64>, Vec<f64>) {
    let names: std::collections::BTreeSet<&str> =
        reference.iter().chain(current).map(|(name, _)| name.as_str()).collect();
    let counts = |of: &[(String, f64)]| {
        let find = |name: &&str| {
            of.binary_search_by(|(own, _)| own.as_str().cmp(name)).map_or(0.0, |i| of[i].1)
        };
        names.iter().map(find).collect()
    };
    (counts(reference), counts(current))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
    }

    /// The expected values follow from the definitions: a few terms each, computed by hand.
    #[test]
    fn known_distances() {
        check(kolmogorov_smirnov(&[1.0, 2.0, 3.0], &[4.0, 5.0]), 1.0);
        check(kolmogorov_smirnov(&[1.0, 2.0, 2.0, 3.0], &[2.0, 2.0, 3.0, 3.0]), 0.25);
        check(kolmogorov_smirnov(&[1.0, 2.0, 3.0, 4.0], &[1.5, 2.5, 2.6]), 0.5);
        check(jensen_shannon(&[1.0, 0.0], &[0.0, 1.0]), 1.0);
        check(jensen_shannon(&[1.0, 1.0], &[1.0, 1.0]), 0.0);
        check(jensen_shannon(&[1.0, 0.0], &[0.5, 0.5]), 0.557_923_2);
        check(psi(&[50.0, 50.0], &[50.0, 50.0]), 0.0);
        check(psi(&[499.5, 499.5], &[249.5, 749.5]), 0.274_653_072);
    }

    #[test]
    fn categories_are_aligned_by_name() {
        let of = |pairs: &[(&str, f64)]| -> Vec<(String, f64)> {
            pairs.iter().map(|&(name, count)| (name.to_owned(), count)).collect()
        };
        let (a, b) = align(&of(&[("a", 1.0), ("c", 2.0)]), &of(&[("b", 3.0), ("c", 4.0)]));
        assert_eq!((a, b), (vec![1.0, 0.0, 2.0], vec![0.0, 3.0, 4.0]));
    }

    proptest! {
        #[test]
        fn distances_are_bounded_symmetric_and_zero_for_equal_samples(
            mut a in prop::collection::vec(-1e3..1e3_f64, 1..60),
            mut b in prop::collection::vec(-1e3..1e3_f64, 1..60),
        ) {
            a.sort_by(f64::total_cmp);
            b.sort_by(f64::total_cmp);
            let ks = kolmogorov_smirnov(&a, &b);
            prop_assert!((0.0..=1.0).contains(&ks));
            prop_assert!((ks - kolmogorov_smirnov(&b, &a)).abs() < 1e-12);
            prop_assert_eq!(kolmogorov_smirnov(&a, &a), 0.0);
            let (p, q) = histograms(&a, &b);
            prop_assert_eq!(p.iter().sum::<f64>(), a.len() as f64);
            prop_assert_eq!(q.iter().sum::<f64>(), b.len() as f64);
            let js = jensen_shannon(&p, &q);
            prop_assert!((0.0..=1.0).contains(&js) && psi(&p, &q) >= 0.0);
            prop_assert!((js - jensen_shannon(&q, &p)).abs() < 1e-9);
            prop_assert!(jensen_shannon(&p, &p) < 1e-6 && psi(&p, &p) < 1e-12);
        }
    }
}
