//! What customers' ratings are worth on top of the ranker.

use rayon::prelude::*;

use super::component::{Component, Parts};
use super::hybrid::{Shown, judge};
use super::{Tuned, mean};

/// What a star above the mean may add to a product's logit.
const WEIGHTS: [f32; 5] = [0.0, 0.25, 0.5, 1.0, 2.0];

fn raised(shown: &Shown, logits: &[f32], liking: &[f32], weight: f32) -> Vec<f32> {
    let own = |product: &u32| weight * liking.get(*product as usize).copied().unwrap_or(0.0);
    shown.products.iter().zip(logits).map(|(product, logit)| logit + own(product)).collect()
}

/// The weight with the best mean; of equals the smallest.
fn best(by_weight: &[Vec<f64>], counts: impl Fn(usize) -> bool) -> usize {
    let mean_of = |values: &Vec<f64>| {
        let own = values.iter().enumerate().filter(|(at, _)| counts(*at)).map(|(_, value)| *value);
        mean(&own.collect::<Vec<f64>>())
    };
    let (mut best, mut most) = (0, f64::MIN);
    for (at, mean) in by_weight.iter().map(mean_of).enumerate() {
        if mean > most {
            (best, most) = (at, mean);
        }
    }
    best
}

/// Measures what ratings add, and adds it to the logits where it is surely something; writes a row of the ablation table and returns the
/// weight (0 where they stay out). A question is judged with the weight that was best on the other parts' questions. Without ratings
/// nothing is measured.
pub(super) fn learn(
    shown: &[Shown],
    logits: &mut [Vec<f32>],
    liking: &[f32],
    parts: &Parts,
    seed: i64,
    tuned: &mut Tuned,
) -> f32 {
    if liking.iter().all(|liked| *liked == 0.0) {
        return 0.0;
    }
    let judged: Vec<(&Shown, &Vec<f32>)> =
        shown.iter().zip(logits.iter()).filter(|(shown, _)| shown.case.is_some()).collect();
    let ndcg = |weight: f32| -> Vec<f64> {
        let each = |(shown, logits): &(&Shown, &Vec<f32>)| judge(shown, &raised(shown, logits, liking, weight)).ndcg();
        judged.par_iter().map(each).collect()
    };
    let by_weight: Vec<Vec<f64>> = WEIGHTS.into_iter().map(ndcg).collect();
    let of = |weight: usize, at: usize| by_weight.get(weight).and_then(|all| all.get(at)).copied().unwrap_or(0.0);
    let folds: Vec<u8> = judged.iter().map(|(shown, _)| shown.list.fold).collect();
    let chosen = |fold: u8| best(&by_weight, |at| folds.get(at) != Some(&fold));
    let by_fold: Vec<usize> = (0..crate::ranker::FOLDS).map(chosen).collect();
    // What was not found in any list counts as nothing on both sides.
    let mut with: Vec<Vec<f64>> = parts.iter().map(|(_, size)| vec![0.0; *size]).collect();
    let mut without = with.clone();
    for (at, (shown, _)) in judged.iter().enumerate() {
        let weight = by_fold.get(usize::from(shown.list.fold)).copied().unwrap_or(0);
        for (all, weight) in [(&mut with, weight), (&mut without, 0)] {
            let slot = shown.case.and_then(|(place, case)| all.get_mut(place)?.get_mut(case));
            if let Some(slot) = slot {
                *slot = of(weight, at);
            }
        }
    }
    let component = Component::new("ratings", &with.concat(), &without.concat(), parts, seed).if_sure();
    let kept = component.kept;
    tuned.components.push(component);
    let weight = if kept { WEIGHTS.get(best(&by_weight, |_| true)).copied().unwrap_or(0.0) } else { 0.0 };
    if weight > 0.0 {
        for (shown, logits) in shown.iter().zip(logits) {
            *logits = raised(shown, logits, liking, weight);
        }
    }
    weight
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use endcap_recommender::fitted::{Settings, Situation};
    use rand::seq::SliceRandom;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::ranker::List;
    use crate::tune::skipped;

    const PRODUCTS: u32 = 200;
    const ROWS: usize = 30;

    /// Questions of random logits whose answer is the candidate that is liked most, or any where nothing is liked.
    fn questions(liking: &[f32]) -> (Vec<Shown>, Vec<Vec<f32>>) {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let mut question = |at: usize| {
            let mut products: Vec<u32> = (0..PRODUCTS).collect();
            products.shuffle(&mut random);
            products.truncate(ROWS);
            let any = random.random_range(0..ROWS as u32);
            let liked = |at: &u32| liking.get(*products.get(*at as usize)? as usize).copied();
            let most = (0..ROWS as u32).max_by(|a, b| liked(a).unwrap_or(0.0).total_cmp(&liked(b).unwrap_or(0.0)));
            let right = if liking.is_empty() { any } else { most.unwrap() };
            let list = List { right: vec![right], fold: (at % 3) as u8, ..List::default() };
            let case = Some((0, at));
            let shown = Shown { list, products, targets: 1, case, situation: Situation::CartKnown };
            (shown, (0..ROWS).map(|_| random.random_range(-1.0..1.0)).collect())
        };
        (0..300).map(&mut question).unzip()
    }

    fn learned(asked: &[f32], told: &[f32]) -> (f32, Tuned, bool) {
        let (shown, mut logits) = questions(asked);
        let before = logits.clone();
        let mut tuned = skipped(Settings::default(), None, String::new());
        let weight = learn(&shown, &mut logits, told, &vec![("cart_known", shown.len())], 42, &mut tuned);
        (weight, tuned, logits != before)
    }

    #[test]
    fn ratings_that_tell_something_are_kept_and_others_are_not() {
        let mut random = ChaCha8Rng::seed_from_u64(6);
        let liking: Vec<f32> = (0..PRODUCTS).map(|_| random.random_range(-1.0..1.0)).collect();
        let (weight, tuned, changed) = learned(&liking, &liking);
        assert!(weight > 0.0 && changed && tuned.components.iter().all(|one| one.kept && one.difference > 0.05));

        // Answers that have nothing to do with them.
        let (weight, tuned, changed) = learned(&[], &liking);
        assert!(weight == 0.0 && !changed && tuned.components.iter().all(|one| !one.kept), "{:?}", tuned.components);

        // Without ratings there is nothing to measure.
        let (weight, tuned, changed) = learned(&liking, &[]);
        assert!(weight == 0.0 && !changed && tuned.components.is_empty());
    }
}
