//! Items like those that were had, by their attributes: cosine with inverse document frequencies (Lops, de Gemmis and Semeraro, "Content-based
//! recommender systems", Recommender Systems Handbook, 2011), tilted towards what many had. It knows items that nobody had yet.

use serde::{Deserialize, Serialize};

use crate::{Histories, History, Scorer};

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContentSettings {
    /// An item of the history counts this much less for each later one.
    pub decay: f32,
    /// Likeness is multiplied by (occurrences + 1) to this power.
    pub popularity: f32,
    /// Likeness to each item of the history is raised to this power.
    pub sharpness: f32,
}

impl Default for ContentSettings {
    fn default() -> Self {
        Self { decay: 0.7, popularity: 0.5, sharpness: 2.0 }
    }
}

/// Attributes and how often items were had.
#[derive(Clone, Debug)]
pub struct Content {
    settings: ContentSettings,
    /// For each item its attributes with unit-length weights, for each attribute its items.
    of_item: Vec<Vec<(u32, f32)>>,
    of_attribute: Vec<Vec<(u32, f32)>>,
    tilt: Vec<f32>,
}

impl Content {
    /// `attributes` names each item's attributes; it may be shorter than the items.
    pub fn fit(histories: &Histories, attributes: &[Vec<u32>], settings: ContentSettings) -> Self {
        let most = attributes.iter().flatten().max().map_or(0, |most| *most as usize + 1);
        let mut named = vec![0.0f32; most];
        for attribute in attributes.iter().flatten() {
            if let Some(count) = named.get_mut(*attribute as usize) {
                *count += 1.0;
            }
        }
        let rarity = |attribute: u32| {
            let count = named.get(attribute as usize).copied().unwrap_or(0.0);
            (1.0 + attributes.len() as f32 / (1.0 + count)).ln()
        };
        let of_item: Vec<Vec<(u32, f32)>> = attributes
            .iter()
            .map(|own| {
                let mut own = own.clone();
                own.sort_unstable();
                own.dedup();
                let length = own.iter().map(|attribute| rarity(*attribute).powi(2)).sum::<f32>().sqrt();
                own.into_iter().map(|attribute| (attribute, rarity(attribute) / length)).collect()
            })
            .collect();
        let mut of_attribute = vec![Vec::new(); most];
        for (item, own) in (0u32..).zip(&of_item) {
            for (attribute, weight) in own {
                if let Some(items) = of_attribute.get_mut(*attribute as usize) {
                    items.push((item, *weight));
                }
            }
        }
        let mut tilt = vec![1.0f32; histories.items];
        for item in histories.users.iter().flat_map(History::items) {
            if let Some(count) = tilt.get_mut(item as usize) {
                *count += 1.0;
            }
        }
        for count in &mut tilt {
            *count = count.powf(settings.popularity);
        }
        Self { settings, of_item, of_attribute, tilt }
    }
}

impl Scorer for Content {
    fn score(&self, _: Option<usize>, history: &History, scores: &mut [f32]) {
        scores.fill(0.0);
        let mut likeness = vec![0.0f32; scores.len()];
        let mut weight = 1.0;
        for item in history.items().rev() {
            likeness.fill(0.0);
            for (attribute, own) in self.of_item.get(item as usize).map_or(&[][..], Vec::as_slice) {
                for (other, theirs) in self.of_attribute.get(*attribute as usize).map_or(&[][..], Vec::as_slice) {
                    if let Some(sum) = likeness.get_mut(*other as usize) {
                        *sum += own * theirs;
                    }
                }
            }
            for (score, likeness) in scores.iter_mut().zip(&likeness).filter(|(_, likeness)| **likeness > 0.0) {
                *score += weight * likeness.powf(self.settings.sharpness);
            }
            weight *= self.settings.decay;
        }
        for (score, tilt) in scores.iter_mut().zip(&self.tilt) {
            *score *= tilt;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn likeness_by_hand() {
        let histories = Histories { items: 4, users: vec![History::of_items(vec![2, 2, 2])] };
        // Items 0 and 1 share all, 2 shares the frequent attribute with them, 3 has none.
        let attributes = [vec![0, 1], vec![1, 0], vec![0], vec![]];
        let settings = ContentSettings { decay: 0.5, popularity: 1.0, sharpness: 2.0 };
        let fitted = Content::fit(&histories, &attributes, settings);
        let mut scores = vec![9.0; 4];
        fitted.score(None, &History::of_items(vec![0]), &mut scores);
        let (frequent, rare) = ((1.0f32 + 4.0 / 4.0).ln(), (1.0f32 + 4.0 / 3.0).ln());
        let cosine = frequent / (frequent * frequent + rare * rare).sqrt();
        for (score, expected) in scores.iter().zip([1.0, 1.0, 4.0 * cosine * cosine, 0.0]) {
            assert!((score - expected).abs() < 1e-5, "{scores:?}");
        }
    }
}
