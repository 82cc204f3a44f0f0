//! Randomness: one `ChaCha` stream per thing that is drawn, so that neither order nor threads matter.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson, StandardNormal};

/// What a stream is for. The numbers are part of the output: never reorder.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub(crate) enum Stream {
    Ranges = 1,
    Products = 2,
    Relations = 3,
    People = 4,
    Tastes = 5,
    History = 6,
    Offers = 7,
    Supply = 8,
    Planted = 9,
    Flyers = 10,
    Places = 11,
    TasteChange = 12,
    Live = 13,
    Arrivals = 14,
}

pub(crate) type Dice = ChaCha8Rng;

pub(crate) fn dice(seed: u64, stream: Stream, index: u64) -> Dice {
    let mut dice = ChaCha8Rng::seed_from_u64(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(stream as u64));
    dice.set_stream(index);
    dice
}

pub(crate) fn unit(dice: &mut impl rand::Rng) -> f32 {
    dice.random::<f32>()
}

pub(crate) fn chance(dice: &mut impl rand::Rng, probability: f32) -> bool {
    dice.random::<f32>() < probability
}

pub(crate) fn between(dice: &mut impl rand::Rng, low: f32, high: f32) -> f32 {
    low + (high - low) * dice.random::<f32>()
}

/// A whole number below `n` (0 when `n` is 0).
pub(crate) fn below(dice: &mut impl rand::Rng, n: usize) -> usize {
    if n == 0 { 0 } else { dice.random_range(0..n) }
}

pub(crate) fn normal(dice: &mut impl rand::Rng) -> f32 {
    StandardNormal.sample(dice)
}

/// Log-normal with this median.
pub(crate) fn lognormal(dice: &mut impl rand::Rng, median: f32, sigma: f32) -> f32 {
    median * (sigma * normal(dice)).exp()
}

pub(crate) fn poisson(dice: &mut impl rand::Rng, mean: f32) -> usize {
    if mean <= 0.0 {
        return 0;
    }
    Poisson::new(mean).map_or(0, |distribution| distribution.sample(dice) as usize)
}

/// Picks from weights that were summed up; `None` when they sum to nothing.
pub(crate) fn pick_cumulative(dice: &mut impl rand::Rng, cumulative: &[f32]) -> Option<usize> {
    let total = *cumulative.last()?;
    if total <= 0.0 {
        return None;
    }
    let at = dice.random::<f32>() * total;
    Some(cumulative.partition_point(|&sum| sum <= at).min(cumulative.len() - 1))
}

/// Picks one of `items` by `weight`; `None` when there is nothing to pick.
pub(crate) fn pick_weighted<'a, T>(
    dice: &mut impl rand::Rng,
    items: &'a [T],
    weight: impl Fn(&T) -> f32,
) -> Option<&'a T> {
    let total: f32 = items.iter().map(&weight).sum();
    if total <= 0.0 {
        return None;
    }
    let mut at = dice.random::<f32>() * total;
    for item in items {
        at -= weight(item);
        if at < 0.0 {
            return Some(item);
        }
    }
    items.last()
}

/// A random direction.
pub(crate) fn direction(dice: &mut impl rand::Rng) -> [f32; crate::truth::DIMENSIONS] {
    let mut vector = [0.0; crate::truth::DIMENSIONS];
    for value in &mut vector {
        *value = normal(dice);
    }
    normalised(vector)
}

pub(crate) fn normalised<const N: usize>(mut vector: [f32; N]) -> [f32; N] {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt().max(1e-6);
    for value in &mut vector {
        *value = tidy(*value / length);
    }
    vector
}

pub(crate) fn mix<const N: usize>(parts: &[(f32, [f32; N])]) -> [f32; N] {
    let mut sum = [0.0; N];
    for (weight, part) in parts {
        sum.iter_mut().zip(part).for_each(|(value, other)| *value += weight * other);
    }
    normalised(sum)
}

pub(crate) fn dot<const N: usize>(a: &[f32; N], b: &[f32; N]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Four digits after the point: what is written to the truth files is exactly what the world uses.
pub(crate) fn tidy(value: f32) -> f32 {
    (value * 10_000.0).round() / 10_000.0
}
