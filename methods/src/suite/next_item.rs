//! The next item of each user, leave last out: rules from item to item, likeness of attributes, steps over the graph, a linear autoencoder,
//! and a causal transformer (several networks from different first values, whose probabilities are averaged), blended.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fitted::{FitError, Fitted, thinned};
use crate::content::{Content, ContentSettings};
use crate::ease::{Ease, EaseSettings};
use crate::graph::links::{Links, LinksSettings};
use crate::pairs::{Pairs, PairsSettings};
use crate::protocol::next_item::{AT, hold_out, worth};
use crate::transformer::{Transformer, TransformerSettings};
use crate::{Histories, History, Scorer};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NextItemSettings {
    pub pairs: Vec<PairsSettings>,
    /// Asked where items have attributes.
    pub content: Vec<ContentSettings>,
    pub links: Vec<LinksSettings>,
    pub ease: Vec<EaseSettings>,
    pub transformer: TransformerSettings,
    /// Networks that are averaged, each from a seed of its own; 0: no transformer.
    pub networks: u32,
    /// About so many questions are asked while weights are chosen.
    pub chosen_by: usize,
    /// Weights of the blend, by method.
    pub weights: BTreeMap<String, f32>,
}

impl Default for NextItemSettings {
    fn default() -> Self {
        Self {
            pairs: vec![
                PairsSettings::default(),
                PairsSettings { from: 0.3, second: 0.3, ..PairsSettings::default() },
                PairsSettings {
                    fall: 0.3,
                    back: 0.8,
                    from: 0.8,
                    to: 0.2,
                    decay: 0.8,
                    second: 1.0,
                    ..PairsSettings::default()
                },
            ],
            content: vec![ContentSettings::default(), ContentSettings { sharpness: 4.0, ..ContentSettings::default() }],
            links: vec![LinksSettings { reached: 0.3, ..LinksSettings::default() }],
            ease: vec![EaseSettings { ridge: 50.0, decay: 0.75, ..EaseSettings::default() }],
            transformer: TransformerSettings::default(),
            networks: 1,
            chosen_by: 10_000,
            weights: BTreeMap::from([("pairs".to_owned(), 1.0), ("transformer".to_owned(), 1.0)]),
        }
    }
}

/// The mean of what several networks say (Lakshminarayanan et al., "Simple and scalable predictive uncertainty estimation using deep
/// ensembles", NeurIPS 2017).
struct Mean(Vec<Transformer>);

impl Scorer for Mean {
    fn score(&self, who: Option<usize>, history: &History, scores: &mut [f32]) {
        let mut own = vec![0.0; scores.len()];
        scores.fill(0.0);
        for network in &self.0 {
            network.score(who, history, &mut own);
            for (score, own) in scores.iter_mut().zip(&own) {
                *score += own;
            }
        }
    }
}

/// Fits every method. `told` hears what goes on.
pub fn fit(
    histories: &Histories,
    attributes: &[Vec<u32>],
    settings: &NextItemSettings,
    told: &dyn Fn(&str),
) -> Result<Fitted, FitError> {
    let mut fitted = Fitted::default();
    for (at, pairs) in settings.pairs.iter().enumerate() {
        fitted.push("pairs", at, Pairs::fit(histories, pairs));
    }
    for (at, content) in settings.content.iter().enumerate().filter(|_| !attributes.is_empty()) {
        fitted.push("content", at, Content::fit(histories, attributes, *content));
    }
    for (at, links) in settings.links.iter().enumerate() {
        fitted.push("links", at, Links::fit(histories, *links));
    }
    for (at, ease) in settings.ease.iter().enumerate() {
        let ease = Ease::fit(histories, ease).map_err(|error| FitError {
            method: "EASE",
            why: error.0,
            remedy: "a larger ridge makes it solvable",
        })?;
        fitted.push("ease", at, ease);
    }
    let networks = (0..settings.networks).map(|at| {
        let own = TransformerSettings { seed: settings.transformer.seed + u64::from(at), ..settings.transformer };
        Transformer::fit(histories, attributes, &own, &mut |epoch, network| {
            let loss = network.losses.last().copied().unwrap_or(0.0);
            told(&format!("network {} of {}, epoch {}: loss {loss:.4}", at + 1, settings.networks, epoch + 1));
        })
    });
    if settings.networks > 0 {
        fitted.push("transformer", 0, Mean(networks.collect()));
    }
    Ok(fitted)
}

/// Chooses the weights of the blend on each user's last item of these, which must not hold the test's; the methods' settings stay.
pub fn tune(
    histories: &Histories,
    attributes: &[Vec<u32>],
    settings: &NextItemSettings,
    told: &dyn Fn(&str),
) -> Result<NextItemSettings, FitError> {
    let (left, asked) = hold_out(histories);
    let asked = thinned(asked, settings.chosen_by);
    let fitted = fit(&left, attributes, settings, told)?;
    let start = [("pairs", 1.0), ("transformer", 1.0)];
    let weights = fitted.weights(&start, &asked, histories.items, AT, &worth);
    told(&format!("chosen by {} questions: {weights:?}", asked.len()));
    Ok(NextItemSettings { weights, ..settings.clone() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;
    use crate::protocol::next_item::rows;

    /// After item n comes item n + 1 of a ring: every method of sequences finds it, and so does the blend; threads change nothing.
    #[test]
    fn a_ring_is_learned_by_all() {
        let users = (0..80u32).map(|user| History::of_items((0..7).map(|at| (user + at) % 20).collect()));
        let (train, asked) = hold_out(&Histories { items: 20, users: users.collect() });
        let settings = NextItemSettings {
            transformer: TransformerSettings {
                dim: 8,
                inner: 8,
                epochs: 30,
                batch: 8,
                learning_rate: 0.01,
                dropout: 0.1,
                ..TransformerSettings::default()
            },
            networks: 2,
            ..NextItemSettings::default()
        };
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let tuned = tune(&train, &[], &settings, &|_| ()).unwrap();
                let found = fit(&train, &[], &tuned, &|_| ()).unwrap().lists(&tuned.weights, None, &asked, 20, AT);
                (tuned, found)
            })
        };
        let (one, two) = (run(1), run(2));
        assert_eq!(one, two);
        for (name, lists) in one.1.iter().filter(|(name, _)| ["pairs", "transformer", "blend"].contains(&name.as_str()))
        {
            let rows = rows(name, &asked, lists, 20, 1);
            assert!(rows[0].metric == "ndcg@10" && rows[0].value > 0.9, "{rows:?}");
        }
    }
}
