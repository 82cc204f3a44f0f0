//! Which items a step's softmax runs over where all of them would be too many: the targets and some that are drawn, more often what is had
//! more often, with what that does to the logits taken out again (Bengio and Senécal, IEEE Transactions on Neural Networks 19(4), 2008; the
//! power of the counts: Mikolov et al., NIPS 2013).

use endcap_kernels::sparse::Distinct;
use rand::{Rng, RngExt};

/// Power of an item's count.
const POWER: f64 = 0.75;
/// Least chance whose logarithm is taken.
const LEAST: f64 = 1e-9;

/// Draws items.
#[derive(Clone, Debug)]
pub struct Negatives {
    /// Running sums of the chances that a draw gives each item.
    chances: Vec<f64>,
    /// Items that are drawn each time.
    number: usize,
}

/// What one step's softmax runs over.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// Ascending.
    pub ids: Vec<u32>,
    /// What is added to each item's logit.
    pub correction: Vec<f32>,
}

impl Drawn {
    /// An item's place among them; 0 for one that is not there.
    pub fn place(&self, id: u32) -> u32 {
        self.ids.binary_search(&id).map_or(0, |at| at as u32)
    }
}

impl Negatives {
    /// `counts` says how often each item was had; one more is added, so that each may be drawn.
    pub fn of(counts: impl Iterator<Item = f64>, number: usize) -> Self {
        let chances = counts.scan(0.0, |sum, count| {
            *sum += (count + 1.0).powf(POWER);
            Some(*sum)
        });
        Self { chances: chances.collect(), number }
    }

    /// All targets, and what is drawn beside them.
    pub fn draw(&self, targets: impl Iterator<Item = u32>, random: &mut impl Rng) -> Drawn {
        let all = self.chances.last().copied().unwrap_or(1.0);
        let drawn = (0..self.number).map(|_| {
            let at = random.random_range(0.0..all);
            self.chances.partition_point(|sum| *sum <= at) as u32
        });
        let ids = Distinct::of(&targets.chain(drawn).collect::<Vec<u32>>()).ids;
        let chance = |id: u32| {
            let at = id as usize;
            let before = at.checked_sub(1).and_then(|before| self.chances.get(before)).copied().unwrap_or(0.0);
            (self.chances.get(at).copied().unwrap_or(all) - before) / all
        };
        // Drawn at least once, or there as somebody's target.
        let expected = |id: &u32| -(-(chance(*id) * self.number as f64)).exp_m1();
        let correction = ids.iter().map(|id| -expected(id).max(LEAST).ln() as f32).collect();
        Drawn { ids, correction }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn targets_are_always_there_and_the_frequent_are_drawn_more_often() {
        let negatives = Negatives::of([0.0, 15.0, 0.0, 80.0].into_iter(), 2);
        let mut seen = [0u32; 4];
        for seed in 0..2000 {
            let drawn = negatives.draw([2].into_iter(), &mut ChaCha8Rng::seed_from_u64(seed));
            assert!(drawn.ids.is_sorted() && drawn.ids.get(drawn.place(2) as usize) == Some(&2));
            assert_eq!(drawn, negatives.draw([2].into_iter(), &mut ChaCha8Rng::seed_from_u64(seed)));
            for (id, correction) in drawn.ids.iter().zip(&drawn.correction) {
                // Counts to the power: 1, 8, 1 and 27 of 37 or so.
                let powers = [1.0, 8.0, 1.0, 81f64.powf(0.75)];
                let chance = powers[*id as usize] / powers.iter().sum::<f64>();
                let expected = 1.0 - (-2.0 * chance).exp();
                assert!((f64::from(*correction) + expected.ln()).abs() < 1e-5, "{id}: {correction}");
                seen[*id as usize] += 1;
            }
        }
        assert!(seen[0] > 50 && seen[1] > 4 * seen[0] && seen[3] > seen[1] && seen[2] == 2000, "{seen:?}");
    }
}
