//! k-means (Lloyd, IEEE Trans. Inf. Theory 28(2), 1982) with k-means++ seeding (Arthur and Vassilvitskii, SODA 2007), and how much two
//! partitions agree: the adjusted Rand index (Hubert and Arabie, J. Classification 2, 1985).

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Passes over the points at most; partitions change little after a dozen.
const PASSES: usize = 40;
/// Seedings tried; the tightest clusters win.
const SEEDINGS: usize = 3;

/// Points in rows of `dimensions` numbers each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points {
    pub dimensions: usize,
    pub values: Vec<f64>,
}

impl Points {
    pub fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks_exact(self.dimensions.max(1))
    }

    pub fn len(&self) -> usize {
        self.values.len() / self.dimensions.max(1)
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub fn row(&self, at: usize) -> &[f64] {
        self.values.get(at * self.dimensions..(at + 1) * self.dimensions).unwrap_or(&[])
    }

    /// The rows at these places, in this order.
    pub fn pick(&self, places: &[usize]) -> Self {
        Self {
            dimensions: self.dimensions,
            values: places.iter().flat_map(|at| self.row(*at).iter().copied()).collect(),
        }
    }
}

fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// The nearest centre and its squared distance; the first of equals.
pub fn nearest<'a>(centres: impl Iterator<Item = &'a [f64]>, point: &[f64]) -> (usize, f64) {
    centres
        .enumerate()
        .map(|(at, centre)| (at, squared(centre, point)))
        .fold((0, f64::INFINITY), |best, found| if found.1 < best.1 { found } else { best })
}

/// The cluster of each point.
pub fn assign(centres: &Points, points: &Points) -> Vec<usize> {
    points.rows().map(|point| nearest(centres.rows(), point).0).collect()
}

/// Centres drawn with chances by their squared distance to those drawn before.
fn seeds(points: &Points, k: usize, random: &mut ChaCha8Rng) -> Points {
    let mut places = vec![random.random_range(0..points.len())];
    let mut distances = vec![f64::INFINITY; points.len()];
    while places.len() < k {
        let newest = points.row(*places.last().unwrap_or(&0));
        let mut sum = 0.0;
        for (distance, point) in distances.iter_mut().zip(points.rows()) {
            *distance = distance.min(squared(newest, point));
            sum += *distance;
        }
        let mut left = random.random::<f64>() * sum;
        let drawn = distances.iter().position(|distance| {
            left -= distance;
            left < 0.0
        });
        places.push(drawn.unwrap_or(points.len() - 1));
    }
    points.pick(&places)
}

/// Moves centres to the means of their points until nothing changes; returns the sum of squared distances too.
fn settle(points: &Points, mut centres: Points) -> (Points, f64) {
    let (k, dimensions) = (centres.len(), points.dimensions);
    let mut owners: Vec<usize> = vec![usize::MAX; points.len()];
    let mut spread = f64::INFINITY;
    for _ in 0..PASSES {
        let (mut sums, mut counts) = (vec![0.0; k * dimensions], vec![0u64; k]);
        let mut moved = false;
        spread = 0.0;
        for (owner, point) in owners.iter_mut().zip(points.rows()) {
            let (own, distance) = nearest(centres.rows(), point);
            moved |= *owner != own;
            *owner = own;
            spread += distance;
            if let Some(count) = counts.get_mut(own) {
                *count += 1;
            }
            for (sum, value) in sums.iter_mut().skip(own * dimensions).zip(point) {
                *sum += value;
            }
        }
        if !moved {
            break;
        }
        let places = centres.values.chunks_exact_mut(dimensions.max(1)).zip(sums.chunks_exact(dimensions.max(1)));
        for ((centre, sum), count) in places.zip(&counts) {
            // A centre without points stays where it is.
            if *count > 0 {
                centre.iter_mut().zip(sum).for_each(|(value, sum)| *value = sum / *count as f64);
            }
        }
    }
    (centres, spread)
}

/// `k` centres; the tightest of several seedings. Empty where there are fewer points than centres.
pub fn fit(points: &Points, k: usize, random: &mut ChaCha8Rng) -> Points {
    if points.is_empty() || points.len() < k || k == 0 {
        return Points { dimensions: points.dimensions, values: Vec::new() };
    }
    let mut best: Option<(Points, f64)> = None;
    for _ in 0..SEEDINGS {
        let found = settle(points, seeds(points, k, random));
        if best.as_ref().is_none_or(|(_, spread)| found.1 < *spread) {
            best = Some(found);
        }
    }
    best.map(|(centres, _)| centres).unwrap_or_default()
}

/// 1 for equal partitions, about 0 for unrelated ones. Partitions of one and the same single cluster agree.
pub fn adjusted_rand(one: &[usize], other: &[usize]) -> f64 {
    let (rows, columns) = (one.iter().max().map_or(0, |k| k + 1), other.iter().max().map_or(0, |k| k + 1));
    let mut both = vec![0u64; rows * columns];
    let (mut of_one, mut of_other) = (vec![0u64; rows], vec![0u64; columns]);
    for (a, b) in one.iter().zip(other) {
        both[a * columns + b] += 1;
        of_one[*a] += 1;
        of_other[*b] += 1;
    }
    let pairs = |counts: &[u64]| counts.iter().map(|n| (n * n.saturating_sub(1)) as f64 / 2.0).sum::<f64>();
    let all = pairs(&[one.len() as u64]);
    let (together, a, b) = (pairs(&both), pairs(&of_one), pairs(&of_other));
    let expected = if all > 0.0 { a * b / all } else { 0.0 };
    let most = (a + b) / 2.0;
    if (most - expected).abs() < 1e-12 { 1.0 } else { (together - expected) / (most - expected) }
}

/// Mean simplified silhouette: like Rousseeuw's (1987) with distances to centres in place of mean distances to members (Vendramin,
/// Campello and Hruschka, Statistical Analysis and Data Mining 3(4), 2010). From -1 to 1.
pub fn silhouette(centres: &Points, points: &Points) -> f64 {
    let each = points.rows().map(|point| {
        let (mut first, mut second) = (f64::INFINITY, f64::INFINITY);
        for centre in centres.rows() {
            let distance = squared(centre, point).sqrt();
            if distance < first {
                (first, second) = (distance, first);
            } else {
                second = second.min(distance);
            }
        }
        if second.is_finite() && second > 0.0 { (second - first) / second } else { 0.0 }
    });
    each.sum::<f64>() / points.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    /// Three clouds around (0, 0), (10, 0) and (0, 10), one after the other in turns.
    fn clouds(random: &mut ChaCha8Rng) -> Points {
        let values = (0..300).flat_map(|at| {
            let (x, y) = [(0.0, 0.0), (10.0, 0.0), (0.0, 10.0)][at % 3];
            [x + random.random::<f64>(), y + random.random::<f64>()]
        });
        Points { dimensions: 2, values: values.collect() }
    }

    #[test]
    fn clouds_are_found() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let points = clouds(&mut random);
        let centres = fit(&points, 3, &mut random);
        let truth: Vec<usize> = (0..300).map(|at| at % 3).collect();
        assert!((adjusted_rand(&truth, &assign(&centres, &points)) - 1.0).abs() < 1e-12);
        assert!(silhouette(&centres, &points) > 0.9);
        assert!(fit(&points.pick(&[0, 1]), 3, &mut random).is_empty());
    }

    /// Hubert and Arabie's index by hand: pairs together in both 2, in the first 6, in the second 4, of 15 pairs.
    #[test]
    fn the_rand_index_by_hand() {
        let found = adjusted_rand(&[0, 0, 0, 1, 1, 1], &[0, 0, 1, 1, 2, 2]);
        let expected = 6.0 * 3.0 / 15.0;
        assert!((found - (2.0 - expected) / (4.5 - expected)).abs() < 1e-12, "{found}");
        assert!((adjusted_rand(&[0, 1, 1], &[1, 0, 0]) - 1.0).abs() < 1e-12);
        assert!((adjusted_rand(&[0, 0], &[0, 0]) - 1.0).abs() < 1e-12);
    }
}
