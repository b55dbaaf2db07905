//! Medians, quantiles and fairness.

use std::time::Duration;

/// The value that so large a share of the sorted ones does not exceed.
pub(crate) fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    let nth = (last as f64 * share).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a length, rounded"
    )]
    sorted.get(nth as usize).copied().unwrap_or_default()
}

/// The median, the least and the greatest.
pub(crate) fn spread(values: &[f64]) -> [f64; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = |nth: usize| sorted.get(nth).copied().unwrap_or(f64::NAN);
    [
        at(sorted.len() / 2),
        at(0),
        at(sorted.len().saturating_sub(1)),
    ]
}

/// Jain's index of fairness: 1 where all have the same, 1/n where one has all.
///
/// R. Jain, D. Chiu, W. Hawe, "A quantitative measure of fairness", 1984.
pub(crate) fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    sum * sum / (squares * shares.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_between_the_least_and_the_greatest() {
        assert_eq!(
            spread(&[3.0, 1.0, 2.0]).map(f64::to_bits),
            [2.0, 1.0, 3.0].map(f64::to_bits)
        );
    }

    #[test]
    fn quantiles_are_values_that_were_there() {
        let millis: Vec<_> = (1..=101).map(Duration::from_millis).collect();
        assert_eq!(quantile(&millis, 0.5), Duration::from_millis(51));
        assert_eq!(quantile(&millis, 0.99), Duration::from_millis(100));
        assert_eq!(quantile(&[], 0.5), Duration::ZERO);
    }

    #[test]
    fn equal_shares_are_fair_and_one_winner_is_not() {
        assert!((jain(&[2.0; 4]) - 1.0).abs() < 1e-9);
        assert!((jain(&[8.0, 0.0, 0.0, 0.0]) - 0.25).abs() < 1e-9);
    }
}
