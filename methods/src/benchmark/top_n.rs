//! What else each user had: steps over the graph of users and items with several weights of the degrees, a low-pass filter of its
//! spectrum, and an autoencoder, blended.

use serde::{Deserialize, Serialize};

use super::{FitError, Method, Outcome, judged, thinned, weights};
use crate::Histories;
use crate::autoencoder::{Autoencoder, AutoencoderSettings};
use crate::format::LightGcn;
use crate::graph::Graph;
use crate::graph::links::{Links, LinksSettings};
use crate::graph::spectrum::{Spectrum, SpectrumSettings};
use crate::protocol::top_n::{AT, hold_out, questions, rows, worth};

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
    /// Of what is held out, and of the bootstrap.
    pub seed: i64,
}

impl Default for TopNSettings {
    fn default() -> Self {
        let links = |spoken, between, reached| LinksSettings { spoken, between, reached, ..LinksSettings::default() };
        Self {
            links: vec![links(0.5, 0.6, 0.4), links(0.7, 0.7, 0.3), links(0.5, 1.0, 0.3)],
            spectra: vec![SpectrumSettings {
                rank: 500,
                user_power: 0.3,
                item_power: 0.3,
                ridge: 0.2,
                reached: 0.15,
                ..SpectrumSettings::default()
            }],
            autoencoders: vec![AutoencoderSettings::default()],
            held_out: 0.2,
            chosen_by: 5_000,
            seed: 1,
        }
    }
}

/// Fits every method.
pub fn methods(histories: &Histories, settings: &TopNSettings, told: &dyn Fn(&str)) -> Result<Vec<Method>, FitError> {
    let graph = Graph::of(histories);
    let mut methods = Vec::new();
    for (at, links) in settings.links.iter().enumerate() {
        let LinksSettings { spoken, between, reached, .. } = links;
        let name = format!("links {spoken} {between} {reached}");
        let weight = if at == 0 { 1.0 } else { 0.0 };
        methods.push(Method::new(&name, weight, Links::of(graph.clone(), *links)));
    }
    for spectrum in &settings.spectra {
        let fitted = Spectrum::of(&graph, *spectrum).map_err(|error| FitError {
            method: "the spectrum",
            why: error.0,
            remedy: "fewer directions than users and items with links make it solvable",
        })?;
        methods.push(Method::new(&format!("spectrum {}", spectrum.rank), 0.3, fitted));
    }
    for (at, settings) in settings.autoencoders.iter().enumerate() {
        let fitted = Autoencoder::fit(histories, settings, &|epoch, loss| {
            told(&format!("autoencoder {}, epoch {}: loss {loss:.4}", at + 1, epoch + 1));
        });
        methods.push(Method::new("autoencoder", 0.3, fitted));
    }
    Ok(methods)
}

/// Chooses on a share of what is known, judges on what is wanted.
pub fn evaluate(data: &LightGcn, settings: &TopNSettings, told: &dyn Fn(&str)) -> Result<Outcome, FitError> {
    let items = data.histories.items;
    let (inner, asked) = hold_out(&data.histories, settings.held_out, settings.seed);
    let asked = thinned(&asked, settings.chosen_by);
    let (weights, validation) = weights(&methods(&inner, settings, told)?, &asked, items, AT, &worth);
    told(&format!("chosen: {weights:?} reach {validation:.4}"));
    let methods = methods(&data.histories, settings, told)?;
    let test = questions(&data.histories, &data.wanted);
    let rows = |name: &str, questions: &[_], lists: &[_]| rows(name, questions, lists, items, settings.seed);
    let rows = judged(&methods, &weights, &test, items, AT, &rows);
    let names = methods.iter().map(|method| method.name.clone());
    Ok(Outcome {
        rows,
        weights: names.zip(weights).collect(),
        validation,
        chosen_by: asked.len(),
        judged_by: test.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::History;

    /// Two groups of users whose items do not meet: what is wanted lies in the own group, and every method stays there.
    #[test]
    fn groups_are_found_by_all_and_threads_change_nothing() {
        let own = |user: u32| -> Vec<u32> {
            (0..12).filter(|item| (item * 5 + user / 2) % 4 != 0).map(|item| item + 12 * (user % 2)).collect()
        };
        let wanted = |user: u32| -> Vec<u32> {
            (0..12).filter(|item| (item * 5 + user / 2) % 4 == 0).map(|item| item + 12 * (user % 2)).collect()
        };
        let histories = Histories { items: 24, users: (0..30).map(|user| History::of_items(own(user))).collect() };
        let data = LightGcn { histories, wanted: (0..30).map(wanted).collect(), items: (0..24).collect() };
        let spectra = vec![SpectrumSettings { rank: 2, ..SpectrumSettings::default() }];
        let autoencoders =
            vec![AutoencoderSettings { dim: 4, batch: 8, epochs: 40, learning_rate: 0.02, ..Default::default() }];
        let settings = TopNSettings { spectra, autoencoders, ..TopNSettings::default() };
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| evaluate(&data, &settings, &|_| ()).unwrap())
        };
        let (one, two) = (run(1), run(2));
        assert_eq!(one, two);
        for row in one.rows.iter().filter(|row| row.metric == "ndcg@20") {
            assert!(row.value > 0.99, "{row:?}");
        }
        assert_eq!(one.judged_by, 30);
    }
}
