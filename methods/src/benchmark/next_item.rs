//! The next item of each user, leave last out: rules from item to item, likeness of attributes, steps over the graph, a linear autoencoder,
//! and a causal transformer (several networks from different first values, whose probabilities are averaged), blended.

use serde::{Deserialize, Serialize};

use super::{FitError, Method, Outcome, judged, thinned, weights};
use crate::content::{Content, ContentSettings};
use crate::ease::{Ease, EaseSettings};
use crate::format::Sequences;
use crate::graph::links::{Links, LinksSettings};
use crate::pairs::{Pairs, PairsSettings};
use crate::protocol::next_item::{AT, hold_out, rows, worth};
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
    /// Of the bootstrap.
    pub seed: i64,
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
            seed: 1,
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
pub fn methods(
    histories: &Histories,
    attributes: &[Vec<u32>],
    settings: &NextItemSettings,
    told: &dyn Fn(&str),
) -> Result<Vec<Method>, FitError> {
    let mut methods = Vec::new();
    let name = |kind: &str, at: usize| if at == 0 { kind.to_owned() } else { format!("{kind} {}", at + 1) };
    let weight = |at: usize| if at == 0 { 0.3 } else { 0.0 };
    for (at, pairs) in settings.pairs.iter().enumerate() {
        methods.push(Method::new(&name("pairs", at), weight(at), Pairs::fit(histories, pairs)));
    }
    for (at, content) in settings.content.iter().enumerate().filter(|_| !attributes.is_empty()) {
        methods.push(Method::new(&name("content", at), 0.0, Content::fit(histories, attributes, *content)));
    }
    for (at, links) in settings.links.iter().enumerate() {
        methods.push(Method::new(&name("links", at), 0.0, Links::fit(histories, *links)));
    }
    for (at, ease) in settings.ease.iter().enumerate() {
        let fitted = Ease::fit(histories, ease).map_err(|error| FitError {
            method: "EASE",
            why: error.0,
            remedy: "a larger ridge makes it solvable",
        })?;
        methods.push(Method::new(&name("ease", at), weight(at), fitted));
    }
    let networks = (0..settings.networks).map(|at| {
        let own = TransformerSettings { seed: settings.transformer.seed + u64::from(at), ..settings.transformer };
        Transformer::fit(histories, attributes, &own, &mut |epoch, network| {
            let loss = network.losses.last().copied().unwrap_or(0.0);
            told(&format!("network {} of {}, epoch {}: loss {loss:.4}", at + 1, settings.networks, epoch + 1));
        })
    });
    if settings.networks > 0 {
        methods.push(Method::new("transformer", 1.0, Mean(networks.collect())));
    }
    Ok(methods)
}

/// Chooses on the second last items, judges on the last.
pub fn evaluate(data: &Sequences, settings: &NextItemSettings, told: &dyn Fn(&str)) -> Result<Outcome, FitError> {
    let items = data.histories.items;
    let (train, test) = hold_out(&data.histories);
    let (inner, asked) = hold_out(&train);
    let asked = thinned(&asked, settings.chosen_by);
    let (weights, validation) = {
        let methods = methods(&inner, &data.attributes, settings, told)?;
        weights(&methods, &asked, items, AT, &worth)
    };
    told(&format!("chosen: {weights:?} reach {validation:.4}"));
    let methods = methods(&train, &data.attributes, settings, told)?;
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

    /// After item n comes item n + 1 of a ring: every method finds it, and so does the blend; threads change nothing.
    #[test]
    fn a_ring_is_learned_by_all() {
        let users = (0..80u32).map(|user| History::of_items((0..7).map(|at| (user + at) % 20).collect()));
        let histories = Histories { items: 20, users: users.collect() };
        let data = Sequences { histories, attributes: Vec::new(), items: (0..20).collect() };
        let settings = NextItemSettings {
            transformer: TransformerSettings {
                dim: 8,
                inner: 8,
                epochs: 30,
                batch: 8,
                learning_rate: 0.01,
                dropout: 0.1,
                ..Default::default()
            },
            networks: 2,
            ease: vec![EaseSettings { ridge: 1.0, ..Default::default() }],
            ..Default::default()
        };
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| evaluate(&data, &settings, &|_| ()).unwrap())
        };
        let (one, two) = (run(1), run(2));
        assert_eq!(one, two);
        let ndcg =
            |model: &str| one.rows.iter().find(|row| row.model == model && row.metric == "ndcg@10").unwrap().value;
        assert!(ndcg("pairs") > 0.9 && ndcg("transformer") > 0.9 && ndcg("blend") > 0.9, "{:?}", one.rows);
        assert_eq!((one.chosen_by, one.judged_by), (80, 80));
    }
}
