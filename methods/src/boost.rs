//! Regression trees, boosted, that put the right items of a list first.
//!
//! Gradient boosting (Friedman, Annals of Statistics 29(5), 2001) with second-order leaves (Chen and Guestrin, KDD 2016) over binned
//! features, on the listwise softmax loss (ListNet: Cao, Qin, Liu, Tsai and Li, ICML 2007): within a list the scores' softmax is pulled
//! to the distribution that shares 1 among the targets, so that a list with many targets weighs as much as one with few. Sums run in a
//! fixed order for each feature, so that the number of threads does not show.

use rayon::prelude::*;

/// Settings of [`Boosted::fit`].
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoostSettings {
    pub trees: usize,
    pub depth: usize,
    pub rate: f32,
    /// Added to the curvature of a leaf: the larger, the smaller its value.
    pub ridge: f32,
    /// Least curvature of a leaf.
    pub least: f32,
}

impl Default for BoostSettings {
    fn default() -> Self {
        Self { trees: 150, depth: 6, rate: 0.1, ridge: 1.0, least: 2.0 }
    }
}

/// Most values of a feature that are told apart.
const BINS: usize = 64;

/// Lists of candidates with their features.
#[derive(Clone, Debug, Default)]
pub struct Lists {
    /// Columns of one value a candidate.
    pub features: Vec<Vec<f32>>,
    /// What each candidate should get of its list's share of 1; 0 where it is no target.
    pub share: Vec<f32>,
    /// Where each list ends, ascending.
    pub ends: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Leaf(f32),
    /// Below or at the threshold goes to the first child; the second one stands behind it.
    Split {
        feature: usize,
        threshold: f32,
        child: usize,
    },
}

/// A sum of trees.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Boosted {
    trees: Vec<Vec<Node>>,
}

/// One node while a tree grows.
#[derive(Clone, Copy, Debug)]
struct Open {
    /// Its place among the nodes.
    node: usize,
    gradient: f64,
    curvature: f64,
}

#[derive(Clone, Copy, Debug)]
struct Cut {
    gain: f64,
    feature: usize,
    bin: usize,
    left: (f64, f64),
}

/// Row of a closed node.
const CLOSED: u16 = u16::MAX;

impl Boosted {
    /// Learns from lists. `judge` is asked after every tree with the number of trees and what they sum to; the trees up to the best
    /// answer are kept, and the search ends when `patience` trees brought nothing.
    pub fn fit(lists: &Lists, settings: BoostSettings, patience: usize, judge: &mut dyn FnMut(&Self) -> f64) -> Self {
        let rows = lists.share.len();
        let thresholds: Vec<Vec<f32>> = lists.features.par_iter().map(|column| thresholds(column)).collect();
        let binned: Vec<Vec<u8>> = lists
            .features
            .par_iter()
            .zip(&thresholds)
            .map(|(column, cuts)| column.iter().map(|value| cuts.partition_point(|cut| cut < value) as u8).collect())
            .collect();
        let mut fitted = Self::default();
        let mut sums = vec![0.0f32; rows];
        let (mut best, mut kept) = (judge(&fitted), 0);
        for _ in 0..settings.trees {
            let slopes = slopes(lists, &sums);
            let (nodes, leaf_of_row) = grow(&binned, &thresholds, &slopes, settings);
            for (sum, leaf) in sums.iter_mut().zip(&leaf_of_row) {
                if let Some(Node::Leaf(value)) = nodes.get(*leaf as usize) {
                    *sum += value;
                }
            }
            fitted.trees.push(nodes);
            let found = judge(&fitted);
            if found > best {
                (best, kept) = (found, fitted.trees.len());
            } else if fitted.trees.len() >= kept + patience {
                break;
            }
        }
        fitted.trees.truncate(kept);
        fitted
    }

    pub fn trees(&self) -> usize {
        self.trees.len()
    }

    /// What the newest tree alone says, for sums that are kept up by the caller.
    pub fn newest(&self, features: &[f32]) -> f32 {
        self.trees.last().map_or(0.0, |tree| of_tree(tree, features))
    }

    pub fn predict(&self, features: &[f32]) -> f32 {
        self.trees.iter().map(|tree| of_tree(tree, features)).sum()
    }
}

fn of_tree(nodes: &[Node], features: &[f32]) -> f32 {
    let mut at = 0;
    loop {
        match nodes.get(at) {
            Some(Node::Split { feature, threshold, child }) => {
                let value = features.get(*feature).copied().unwrap_or(0.0);
                at = child + usize::from(value > *threshold);
            }
            Some(Node::Leaf(value)) => return *value,
            None => return 0.0,
        }
    }
}

/// Cuts at equal shares of the values, at most one fewer than there are bins.
fn thresholds(column: &[f32]) -> Vec<f32> {
    let step = (column.len() / 100_000).max(1);
    let mut values: Vec<f32> = column.iter().step_by(step).copied().collect();
    values.sort_unstable_by(f32::total_cmp);
    let mut cuts: Vec<f32> = (1..BINS).filter_map(|at| values.get(at * values.len() / BINS).copied()).collect();
    cuts.dedup();
    // Nothing lies above the last value.
    if cuts.last() == values.last() {
        cuts.pop();
    }
    cuts
}

/// Gradient and curvature of the loss by candidate.
fn slopes(lists: &Lists, sums: &[f32]) -> Vec<(f32, f32)> {
    let starts = std::iter::once(0).chain(lists.ends.iter().copied());
    let bounds: Vec<(usize, usize)> = starts.zip(lists.ends.iter().copied()).collect();
    let of_list = |(from, to): (usize, usize)| -> Vec<(f32, f32)> {
        let sums = sums.get(from..to).unwrap_or_default();
        let share = lists.share.get(from..to).unwrap_or_default();
        let highest = sums.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers: Vec<f32> = sums.iter().map(|sum| (sum - highest).exp()).collect();
        let all: f32 = powers.iter().sum();
        let slope = |(power, share): (&f32, &f32)| {
            let chance = power / all;
            (chance - share, (chance * (1.0 - chance)).max(1e-8))
        };
        powers.iter().zip(share).map(slope).collect()
    };
    bounds.into_par_iter().map(of_list).collect::<Vec<_>>().concat()
}

fn value_of(gradient: f64, curvature: f64, settings: BoostSettings) -> f32 {
    (-gradient / (curvature + f64::from(settings.ridge))) as f32 * settings.rate
}

/// One tree, level by level, and the leaf of each row.
fn grow(
    binned: &[Vec<u8>],
    thresholds: &[Vec<f32>],
    slopes: &[(f32, f32)],
    settings: BoostSettings,
) -> (Vec<Node>, Vec<u16>) {
    let total =
        slopes.iter().fold((0.0f64, 0.0f64), |sum, slope| (sum.0 + f64::from(slope.0), sum.1 + f64::from(slope.1)));
    let mut nodes = vec![Node::Leaf(value_of(total.0, total.1, settings))];
    let mut open = vec![Open { node: 0, gradient: total.0, curvature: total.1 }];
    // Which open node a row is in, and which node it ends in.
    let mut place = vec![0u16; slopes.len()];
    let mut leaf = vec![0u16; slopes.len()];
    for _ in 0..settings.depth {
        let of_feature = |(feature, column): (usize, &Vec<u8>)| cuts(feature, column, slopes, &place, &open, settings);
        let by_feature: Vec<Vec<Option<Cut>>> = binned.par_iter().enumerate().map(of_feature).collect();
        let mut next: Vec<Open> = Vec::new();
        // By open node: the cut, and the places of the children among the open ones.
        let mut taken: Vec<Option<(Cut, u16)>> = Vec::with_capacity(open.len());
        for (at, own) in open.iter().enumerate() {
            let all = by_feature.iter().filter_map(|cuts| cuts.get(at).copied().flatten());
            // The first of equals, so that the order of the features decides.
            let best = all.fold(None, |best: Option<Cut>, cut| match best {
                Some(best) if best.gain >= cut.gain => Some(best),
                _ => Some(cut),
            });
            let Some(cut) = best else {
                taken.push(None);
                continue;
            };
            let child = nodes.len();
            let right = (own.gradient - cut.left.0, own.curvature - cut.left.1);
            taken.push(Some((cut, next.len() as u16)));
            for (side, (gradient, curvature)) in [cut.left, right].into_iter().enumerate() {
                nodes.push(Node::Leaf(value_of(gradient, curvature, settings)));
                next.push(Open { node: child + side, gradient, curvature });
            }
            let threshold = thresholds.get(cut.feature).and_then(|cuts| cuts.get(cut.bin)).copied().unwrap_or(0.0);
            if let Some(slot) = nodes.get_mut(own.node) {
                *slot = Node::Split { feature: cut.feature, threshold, child };
            }
        }
        for (row, (place, leaf)) in place.iter_mut().zip(&mut leaf).enumerate() {
            let Some(Some((cut, first))) = taken.get(*place as usize) else {
                *place = CLOSED;
                continue;
            };
            let bin = binned.get(cut.feature).and_then(|column| column.get(row)).copied().unwrap_or(0);
            *place = first + u16::from(usize::from(bin) > cut.bin);
            *leaf = next.get(*place as usize).map_or(*leaf, |open| open.node as u16);
        }
        if next.is_empty() {
            break;
        }
        open = next;
    }
    (nodes, leaf)
}

/// The best cut by one feature of each open node.
fn cuts(
    feature: usize,
    column: &[u8],
    slopes: &[(f32, f32)],
    place: &[u16],
    open: &[Open],
    settings: BoostSettings,
) -> Vec<Option<Cut>> {
    let mut bins = vec![(0.0f64, 0.0f64); open.len() * BINS];
    for ((bin, place), (gradient, curvature)) in column.iter().zip(place).zip(slopes) {
        if *place != CLOSED
            && let Some(slot) = bins.get_mut(*place as usize * BINS + *bin as usize)
        {
            slot.0 += f64::from(*gradient);
            slot.1 += f64::from(*curvature);
        }
    }
    let worth = |gradient: f64, curvature: f64| gradient * gradient / (curvature + f64::from(settings.ridge));
    let of_node = |(bins, own): (&[(f64, f64)], &Open)| {
        let mut best: Option<Cut> = None;
        let mut left = (0.0, 0.0);
        for (bin, sums) in bins.iter().enumerate().take(BINS - 1) {
            left = (left.0 + sums.0, left.1 + sums.1);
            let right = (own.gradient - left.0, own.curvature - left.1);
            if left.1 < f64::from(settings.least) || right.1 < f64::from(settings.least) {
                continue;
            }
            let gain = worth(left.0, left.1) + worth(right.0, right.1) - worth(own.gradient, own.curvature);
            if gain > best.map_or(1e-6, |best| best.gain) {
                best = Some(Cut { gain, feature, bin, left });
            }
        }
        best
    };
    bins.chunks(BINS).zip(open).map(of_node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lists of three in which the target has the middle value of the first feature; the second one is noise.
    fn lists() -> Lists {
        let mut lists = Lists { features: vec![Vec::new(), Vec::new()], ..Lists::default() };
        for list in 0..200u32 {
            for (at, share) in [0.0, 1.0, 0.0].into_iter().enumerate() {
                lists.features[0].push((at as u32 * 10 + list % 7) as f32);
                lists.features[1].push((list * 31 % 17 + at as u32) as f32);
                lists.share.push(share);
            }
            lists.ends.push(lists.share.len());
        }
        lists
    }

    fn right(fitted: &Boosted) -> f64 {
        let first = |value: f32| fitted.predict(&[value, 3.0]);
        let wins = (0..7).filter(|at| {
            let at = *at as f32;
            first(10.0 + at) > first(at) && first(10.0 + at) > first(20.0 + at)
        });
        wins.count() as f64
    }

    #[test]
    fn what_lies_between_is_learned_and_no_more_trees_are_kept_than_help() {
        let settings = BoostSettings { trees: 40, depth: 2, ..BoostSettings::default() };
        let fitted = Boosted::fit(&lists(), settings, 5, &mut right);
        assert!((right(&fitted) - 7.0).abs() < 1e-12, "{fitted:?}");
        assert!((1..40).contains(&fitted.trees()));
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let lists = Lists { features: Vec::new(), share: vec![0.5, 0.0, 0.5, 1.0, 0.0], ends: vec![3, 5] };
        let sums = vec![0.3f32, -0.2, 0.9, 0.1, 0.4];
        let loss = |sums: &[f32]| -> f64 {
            [(0, 3), (3, 5)]
                .into_iter()
                .map(|(from, to)| {
                    let all: f64 = sums[from..to].iter().map(|sum| f64::from(*sum).exp()).sum();
                    (from..to).map(|at| -f64::from(lists.share[at]) * (f64::from(sums[at]) - all.ln())).sum::<f64>()
                })
                .sum()
        };
        for (at, (gradient, _)) in slopes(&lists, &sums).into_iter().enumerate() {
            let mut moved = sums.clone();
            moved[at] += 1e-2;
            let above = loss(&moved);
            moved[at] -= 2e-2;
            let found = (above - loss(&moved)) / 2e-2;
            assert!((found - f64::from(gradient)).abs() < 1e-3, "{found}, not {gradient}");
        }
    }

    #[test]
    fn one_thread_and_two_give_the_same_trees() {
        let fit = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Boosted::fit(&lists(), BoostSettings::default(), 5, &mut right))
        };
        assert_eq!(fit(1), fit(2));
    }
}
