//! How much better a product was rated than products are.

use crate::load::Rated;

/// Ratings of middling value that every product is thought to have: one happy customer proves little.
const SHRINKAGE: f64 = 5.0;

/// By product its mean rating less the mean of all, shrunk towards nothing; 0 where nobody rated it. A customer's newest rating of a
/// product counts. Only ratings before `until_s` do. Empty where there are none.
pub fn liking(ratings: &[Rated], products: usize, until_s: i64) -> Vec<f32> {
    // They are in order of customer, product and time.
    let before: Vec<&Rated> = ratings.iter().filter(|rated| rated.at_s < until_s).collect();
    let newest: Vec<&Rated> = before
        .chunk_by(|a, b| (a.customer, a.product) == (b.customer, b.product))
        .filter_map(|same| same.last().copied())
        .collect();
    if newest.is_empty() {
        return Vec::new();
    }
    let mean = newest.iter().map(|rated| f64::from(rated.value)).sum::<f64>() / newest.len() as f64;
    let mut sums = vec![(0.0f64, 0.0f64); products];
    for rated in newest {
        if let Some((sum, count)) = sums.get_mut(rated.product as usize) {
            *sum += f64::from(rated.value) - mean;
            *count += 1.0;
        }
    }
    sums.into_iter().map(|(sum, count)| (sum / (count + SHRINKAGE)) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rated(customer: u32, product: u32, at_s: i64, value: f32) -> Rated {
        Rated { customer, product, at_s, value }
    }

    #[test]
    fn only_a_customers_newest_rating_before_the_moment_counts() {
        let ratings = [rated(0, 0, 10, 1.0), rated(0, 0, 20, 5.0), rated(1, 1, 10, 2.0), rated(2, 1, 99, 5.0)];
        // Mean of 5 and 2 is 3.5: each is 1.5 away, one rating among five middling ones.
        let expected = [1.5 / 6.0, -1.5 / 6.0, 0.0];
        for (liked, expected) in liking(&ratings, 3, 50).iter().zip(expected) {
            assert!((liked - expected).abs() < 1e-6, "{liked} is not {expected}");
        }
        assert!(liking(&ratings, 3, 10).is_empty());
    }
}
