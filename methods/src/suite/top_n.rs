//! What else each user had: steps over the graph of users and items with several weights of the degrees, a low-pass filter of its
//! spectrum, and an autoencoder, blended, and a ranker over all of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fitted::{FitError, Fitted, Ranker, thinned};
use crate::Histories;
use crate::autoencoder::{Autoencoder, AutoencoderSettings};
use crate::boost::BoostSettings;
use crate::graph::Graph;
use crate::graph::links::{Links, LinksSettings};
use crate::graph::spectrum::{Spectrum, SpectrumSettings};
use crate::protocol::top_n::{AT, hold_out, worth};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopNSettings {
    pub links: Vec<LinksSettings>,
    pub spectra: Vec<SpectrumSettings>,
    pub autoencoders: Vec<AutoencoderSettings>,
    /// Share of each user's items that is held out to choose by.
    pub held_out: f64,
    /// About so many users are asked while weights are chosen.
    pub chosen_by: usize,
    /// Of what is held out.
    pub seed: i64,
    /// Weights of the blend, by method.
    pub weights: BTreeMap<String, f32>,
    /// The ranker learns from about so many of the held-out questions; 0: there is none.
    pub ranked_by: usize,
    pub ranker: BoostSettings,
}

impl Default for TopNSettings {
    fn default() -> Self {
        let links = |spoken, between, reached| LinksSettings { spoken, between, reached, ..LinksSettings::default() };
        let spectrum = |rank, ridge| SpectrumSettings {
            rank,
            user_power: 0.3,
            item_power: 0.3,
            ridge,
            reached: 0.15,
            ..SpectrumSettings::default()
        };
        Self {
            links: vec![links(0.5, 0.6, 0.4), links(0.7, 0.7, 0.3), links(0.5, 1.0, 0.3), links(1.0, 0.8, 0.1)],
            spectra: vec![spectrum(500, 0.2), spectrum(1_500, 0.1)],
            autoencoders: Vec::new(),
            held_out: 0.2,
            chosen_by: 5_000,
            seed: 1,
            weights: BTreeMap::from([("links".to_owned(), 1.0), ("spectrum".to_owned(), 0.3)]),
            ranked_by: 12_000,
            ranker: BoostSettings::default(),
        }
    }
}

/// Fits every method. `told` hears what goes on.
pub fn fit(histories: &Histories, settings: &TopNSettings, told: &dyn Fn(&str)) -> Result<Fitted, FitError> {
    let graph = Graph::of(histories);
    let mut fitted = Fitted::default();
    for (at, links) in settings.links.iter().enumerate() {
        fitted.push("links", at, Links::of(graph.clone(), *links));
    }
    for (at, spectrum) in settings.spectra.iter().enumerate() {
        let spectrum = Spectrum::of(&graph, *spectrum).map_err(|error| FitError {
            method: "the spectrum",
            why: error.0,
            remedy: "fewer directions make it solvable",
        })?;
        fitted.push("spectrum", at, spectrum);
    }
    for (at, settings) in settings.autoencoders.iter().enumerate() {
        let autoencoder = Autoencoder::fit(histories, settings, &|epoch, loss| {
            told(&format!("autoencoder {}, epoch {}: loss {loss:.4}", at + 1, epoch + 1));
        });
        fitted.push("autoencoder", at, autoencoder);
    }
    Ok(fitted)
}

/// Chooses the weights of the blend on a share of these that is held out; the methods' settings stay.
pub fn tune(histories: &Histories, settings: &TopNSettings, told: &dyn Fn(&str)) -> Result<TopNSettings, FitError> {
    let (left, asked) = hold_out(histories, settings.held_out, settings.seed);
    let asked = thinned(asked, settings.chosen_by);
    let fitted = fit(&left, settings, told)?;
    let weights = fitted.weights(&[("links", 1.0)], &asked, histories.items, AT, &worth);
    told(&format!("chosen by {} questions: {weights:?}", asked.len()));
    Ok(TopNSettings { weights, ..settings.clone() })
}

/// Learns the ranker on the share that is held out, with methods that were fitted without it.
pub fn learn_ranker(
    histories: &Histories,
    settings: &TopNSettings,
    told: &dyn Fn(&str),
) -> Result<Option<Ranker>, FitError> {
    if settings.ranked_by == 0 {
        return Ok(None);
    }
    let (left, asked) = hold_out(histories, settings.held_out, settings.seed);
    let asked = thinned(asked, settings.ranked_by);
    let ranker = fit(&left, settings, told)?.learn_ranker(&left, &asked, settings.ranker);
    told(&format!("ranker: {} trees from {} questions", ranker.trees(), asked.len()));
    Ok(Some(ranker.on(histories)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;
    use crate::History;
    use crate::protocol::top_n::{questions, rows};

    /// Two groups of users whose items do not meet: what is wanted lies in the own group, and every method stays there.
    #[test]
    fn groups_are_found_by_all_and_threads_change_nothing() {
        let of = |user: u32, wanted: bool| -> Vec<u32> {
            let own = (0..12).filter(|item| (item * 5 + user / 2).is_multiple_of(4) == wanted);
            own.map(|item| item + 12 * (user % 2)).collect()
        };
        let histories =
            Histories { items: 24, users: (0..30).map(|user| History::of_items(of(user, false))).collect() };
        let asked = questions(&histories, &(0..30).map(|user| of(user, true)).collect::<Vec<_>>());
        let spectra = vec![SpectrumSettings { rank: 2, ..SpectrumSettings::default() }];
        let autoencoders = vec![AutoencoderSettings {
            dim: 4,
            batch: 8,
            epochs: 60,
            learning_rate: 0.02,
            ..AutoencoderSettings::default()
        }];
        let settings = TopNSettings { spectra, autoencoders, ..TopNSettings::default() };
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let tuned = tune(&histories, &settings, &|_| ()).unwrap();
                let ranker = learn_ranker(&histories, &tuned, &|_| ()).unwrap();
                let fitted = fit(&histories, &tuned, &|_| ()).unwrap();
                let found = fitted.lists(&tuned.weights, ranker.as_ref(), &asked, 24, AT);
                (tuned, found)
            })
        };
        let (one, two) = (run(1), run(2));
        assert_eq!(one, two);
        assert_eq!(asked.len(), 30);
        for (name, lists) in &one.1 {
            let rows = rows(name, &asked, lists, 24, 1);
            assert!(rows[1].metric == "ndcg@20" && rows[1].value > 0.99, "{rows:?}");
        }
    }
}
