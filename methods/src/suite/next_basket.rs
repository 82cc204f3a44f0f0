//! Methods for the next basket.

use std::collections::BTreeMap;

use super::{Named, best, blend, worth_of};
use crate::blend::{Blend, Question, Scale, choose};
use crate::boost::{BoostSettings, Boosted};
use crate::follows::{Follows, FollowsSettings, Steps};
use crate::learned::facts::Repeats;
use crate::learned::{Features, Learned, Views, learn};
use crate::neighbours::{Nearness, TifuKnn, TifuSettings};
use crate::popularity::{Popularity, PopularitySettings};
use crate::protocol::next_basket::{AT, hold_out, worth};
use crate::taste::{Personal, Recency};
use crate::upcf::{UpCf, UpCfSettings};
use crate::{Histories, Scorer};

/// Settings of all methods and of what stands on them.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NextBasketSettings {
    pub popularity: PopularitySettings,
    /// Popularity of late.
    pub lately: PopularitySettings,
    pub personal: Recency,
    pub tifu: TifuSettings,
    pub upcf: UpCfSettings,
    /// What the newest basket leads to.
    pub next: FollowsSettings,
    /// What everything in the history leads to.
    pub later: FollowsSettings,
    /// Weights of the blend, by method.
    pub weights: BTreeMap<String, f32>,
    pub ranker: BoostSettings,
}

impl Default for NextBasketSettings {
    fn default() -> Self {
        let later = FollowsSettings {
            reach: 3,
            gap_decay: 0.7,
            last: 10,
            last_decay: 0.8,
            discount: 0.2,
            ..Default::default()
        };
        Self {
            popularity: PopularitySettings::default(),
            lately: PopularitySettings { decay: 0.3 },
            personal: Recency::default(),
            tifu: TifuSettings { neighbours: 900, own: 0.1, ..TifuSettings::default() },
            upcf: UpCfSettings::default(),
            next: FollowsSettings { discount: 0.2, ..FollowsSettings::default() },
            later,
            weights: BTreeMap::from([("tifu".to_owned(), 1.0), ("upcf".to_owned(), 0.3), ("later".to_owned(), 0.3)]),
            ranker: BoostSettings::default(),
        }
    }
}

/// The fitted methods.
pub struct NextBasketMethods {
    popularity: Popularity,
    lately: Popularity,
    personal: Personal,
    tifu: TifuKnn,
    crowd: TifuKnn,
    upcf: UpCf,
    next: Follows,
    later: Follows,
}

impl NextBasketMethods {
    pub fn fit(histories: &Histories, settings: &NextBasketSettings) -> Self {
        let tifu = TifuKnn::fit(histories, settings.tifu);
        Self {
            popularity: Popularity::fit(histories, settings.popularity),
            lately: Popularity::fit(histories, settings.lately),
            personal: Personal { recency: settings.personal },
            crowd: tifu.with(TifuSettings { own: 0.0, ..settings.tifu }),
            tifu,
            upcf: UpCf::fit(histories, settings.upcf),
            next: Follows::fit(histories, settings.next),
            later: Follows::fit(histories, settings.later),
        }
    }

    /// Every method that is usable alone. `crowd` is TIFU-kNN's neighbours without the user's own part.
    pub fn all(&self) -> Vec<Named<'_>> {
        vec![
            ("popularity", &self.popularity),
            ("lately", &self.lately),
            ("personal", &self.personal),
            ("tifu", &self.tifu),
            ("crowd", &self.crowd),
            ("upcf", &self.upcf),
            ("next", &self.next),
            ("later", &self.later),
        ]
    }

    pub fn blend(&self, weights: &BTreeMap<String, f32>) -> Blend<'_> {
        blend(&self.all(), weights, Scale::Share)
    }

    /// What the ranker sees.
    fn views<'a>(&'a self, features: &'a Features) -> Views<'a> {
        Views::new(self.all().into_iter().map(|(_, scorer)| scorer).collect(), features)
    }

    /// The methods and the ranker over them.
    pub fn ranked<'a>(&'a self, features: &'a Features, ranker: &'a Boosted) -> Learned<'a> {
        Learned::new(self.views(features), ranker)
    }
}

/// How what the methods say becomes numbers. `histories` is what they were fitted on.
pub fn features(histories: &Histories) -> Features {
    Features { scales: vec![Scale::Share], facts: Box::new(Repeats::fit(histories)), named_only: false }
}

/// Learns the ranker on each user's last basket, with methods that were fitted without it.
pub fn learn_ranker(histories: &Histories, settings: &NextBasketSettings) -> Boosted {
    let (left, questions) = hold_out(histories);
    let methods = NextBasketMethods::fit(&left, settings);
    learn(&methods.views(&features(&left)), &questions, histories.items, settings.ranker)
}

/// One question in so many is asked while single methods are tuned.
const SOME: usize = 3;

/// Chooses settings and weights by each user's last basket, one method after the other; nothing else than `histories` is looked at.
pub fn tune(histories: &Histories) -> NextBasketSettings {
    let (left, all) = hold_out(histories);
    let some: Vec<Question> = all.iter().step_by(SOME).cloned().collect();
    let items = histories.items;
    let value = |scorer: &dyn Scorer| worth_of(scorer, &some, items, AT, &worth);
    let mut settings = NextBasketSettings::default();
    let decays = [1.0, 0.8, 0.5, 0.2].map(|decay| PopularitySettings { decay });
    settings.popularity = best(decays, |tried| value(&Popularity::fit(&left, tried))).unwrap_or(settings.popularity);
    settings.personal = best(recencies(), |recency| value(&Personal { recency })).unwrap_or(settings.personal);
    settings.tifu = tune_tifu(&left, &value).unwrap_or(settings.tifu);
    settings.upcf = best(upcfs(), |tried| value(&UpCf::fit(&left, tried))).unwrap_or(settings.upcf);
    let next = follows(1, 1.0, 1, 1.0);
    settings.next = best(next, |tried| value(&Follows::fit(&left, tried))).unwrap_or(settings.next);
    let later = [(3, 0.7), (10, 0.9)].into_iter().flat_map(|(reach, decay)| follows(reach, decay, 10, 0.8));
    settings.later = best(later, |tried| value(&Follows::fit(&left, tried))).unwrap_or(settings.later);
    let methods = NextBasketMethods::fit(&left, &settings);
    let start = BTreeMap::from([("tifu".to_owned(), 1.0)]);
    let (weights, _) = choose(&methods.blend(&start).parts, &some, items, AT, 0.3, &worth);
    let named = methods.all().into_iter().zip(weights).filter(|(_, weight)| *weight > 0.0);
    settings.weights = named.map(|((name, _), weight)| (name.to_owned(), weight)).collect();
    settings
}

fn recencies() -> impl Iterator<Item = Recency> {
    [(7, 0.9, 0.7), (7, 0.9, 0.9), (20, 1.0, 0.8)].into_iter().map(|(groups, within_decay, group_decay)| Recency {
        groups,
        within_decay,
        group_decay,
    })
}

/// The vectors first, then how neighbours are found and weigh.
fn tune_tifu(left: &Histories, value: &dyn Fn(&dyn Scorer) -> f64) -> Option<TifuSettings> {
    let mut found: Option<(f64, TifuSettings)> = None;
    for recency in recencies() {
        let fitted = TifuKnn::fit(left, TifuSettings { recency, ..TifuSettings::default() });
        let ways = [
            (Nearness::Cosine, 900, 0.3),
            (Nearness::Euclidean, 300, 0.7),
            (Nearness::Euclidean, 300, 0.3),
            (Nearness::Euclidean, 300, 0.15),
            (Nearness::Euclidean, 900, 0.2),
            (Nearness::Euclidean, 900, 0.1),
        ];
        let ways = ways.map(|(nearness, neighbours, own)| TifuSettings { recency, neighbours, nearness, own });
        for settings in ways {
            let value = value(&fitted.with(settings));
            if found.is_none_or(|(best, _)| value > best) {
                found = Some((value, settings));
            }
        }
    }
    found.map(|(_, settings)| settings)
}

fn upcfs() -> impl Iterator<Item = UpCfSettings> {
    let tried = [(5, 0.25, 5.0), (5, 0.5, 2.0), (5, 0.5, 3.0), (20, 0.5, 2.0), (5, 0.7, 2.0)];
    tried.into_iter().map(|(recency, asymmetry, locality)| UpCfSettings {
        recency,
        asymmetry,
        locality,
        neighbours: 1000,
    })
}

fn follows(reach: usize, gap_decay: f32, last: usize, last_decay: f32) -> impl Iterator<Item = FollowsSettings> {
    [(10.0, 0.0), (10.0, 0.2), (10.0, 0.4)].into_iter().map(move |(shrinkage, discount)| FollowsSettings {
        steps: Steps::Baskets,
        reach,
        gap_decay,
        last,
        last_decay,
        shrinkage,
        discount,
        keep: 1000,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::History;
    use crate::protocol::{lists, next_basket};

    /// Users of two kinds, each with ten pairs that follow one another; a user begins somewhere and has five of them.
    fn histories() -> Histories {
        let user = |at: u32| {
            let first = |turn: u32| 20 * (at % 2) + 2 * ((turn + at / 2) % 10);
            History::of_baskets((0..5).map(|turn| vec![first(turn), first(turn) + 1]))
        };
        Histories { items: 40, users: (0..60).map(user).collect() }
    }

    #[test]
    fn tuning_and_learning_find_what_is_there_and_repeat() {
        let histories = histories();
        let settings = tune(&histories);
        assert_eq!(settings, tune(&histories));
        assert!(!settings.weights.is_empty());
        let ranker = learn_ranker(&histories, &settings);
        assert_eq!(ranker, learn_ranker(&histories, &settings));
        let methods = NextBasketMethods::fit(&histories, &settings);
        let (_, questions) = hold_out(&histories);
        let features = features(&histories);
        for scorer in [&methods.blend(&settings.weights) as &dyn Scorer, &methods.ranked(&features, &ranker)] {
            let lists = lists(scorer, &questions, histories.items, AT);
            let rows = next_basket::rows("m", &questions, &lists, histories.items, 1);
            assert!(rows[0].value > 0.99, "the pair that comes next stands in every list: {rows:?}");
        }
    }

    #[test]
    fn settings_read_back_and_refuse_what_they_do_not_know() {
        let settings = NextBasketSettings::default();
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<NextBasketSettings>(&text).unwrap(), settings);
        let other = text.replacen("\"popularity\"", "\"popularty\"", 1);
        let error = serde_json::from_str::<NextBasketSettings>(&other).unwrap_err().to_string();
        assert!(error.contains("popularty") && error.contains("expected"), "{error}");
    }
}
