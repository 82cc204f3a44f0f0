//! Methods for the next click of a session.

use std::collections::BTreeMap;

use super::{Named, best, blend, worth_of};
use crate::blend::{Blend, Scale, choose};
use crate::boost::{BoostSettings, Boosted};
use crate::follows::{Follows, FollowsSettings, Steps};
use crate::learned::facts::Clicks;
use crate::learned::{Features, Learned, Views, learn};
use crate::popularity::{Popularity, PopularitySettings};
use crate::protocol::session::{AT, questions, reciprocal_rank};
use crate::session::{SessionKnn, SessionKnnSettings};
use crate::taste::Clicked;
use crate::{Histories, History, Scorer};

/// Settings of all methods and of their blend.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionSettings {
    /// As it is compared with published numbers.
    pub knn: SessionKnnSettings,
    /// The one that the blend has.
    pub tuned_knn: SessionKnnSettings,
    /// What the newest click leads to.
    pub next: FollowsSettings,
    /// What the newest clicks lead to.
    pub later: FollowsSettings,
    pub clicked: Clicked,
    /// Weights of the blend, by method.
    pub weights: BTreeMap<String, f32>,
    pub ranker: BoostSettings,
}

const NEXT: FollowsSettings = FollowsSettings {
    steps: Steps::Items,
    reach: 1,
    gap_decay: 1.0,
    last: 1,
    last_decay: 1.0,
    shrinkage: 1.0,
    discount: 0.0,
    keep: 1000,
};

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            knn: SessionKnnSettings::default(),
            tuned_knn: SessionKnnSettings { newest: 1500, neighbours: 300, last: 4, ..SessionKnnSettings::default() },
            next: NEXT,
            later: FollowsSettings { reach: 10, gap_decay: 0.7, last: 3, last_decay: 0.5, ..NEXT },
            clicked: Clicked::default(),
            weights: BTreeMap::from([("tuned_knn".to_owned(), 1.0), ("later".to_owned(), 1.0)]),
            ranker: BoostSettings::default(),
        }
    }
}

/// The fitted methods.
pub struct SessionMethods {
    knn: SessionKnn,
    tuned_knn: SessionKnn,
    next: Follows,
    later: Follows,
    clicked: Clicked,
    popularity: Popularity,
}

impl SessionMethods {
    pub fn fit(sessions: &Histories, settings: &SessionSettings) -> Self {
        Self {
            knn: SessionKnn::fit(sessions, settings.knn),
            tuned_knn: SessionKnn::fit(sessions, settings.tuned_knn),
            next: Follows::fit(sessions, settings.next),
            later: Follows::fit(sessions, settings.later),
            clicked: settings.clicked,
            popularity: Popularity::fit(sessions, PopularitySettings::default()),
        }
    }

    /// Every method that is usable alone.
    pub fn all(&self) -> Vec<Named<'_>> {
        vec![
            ("popularity", &self.popularity),
            ("clicked", &self.clicked),
            ("next", &self.next),
            ("later", &self.later),
            ("knn", &self.knn),
            ("tuned_knn", &self.tuned_knn),
        ]
    }

    pub fn blend(&self, weights: &BTreeMap<String, f32>) -> Blend<'_> {
        blend(&self.all(), weights, Scale::Highest)
    }

    fn views<'a>(&'a self, features: &'a Features) -> Views<'a> {
        Views::new(self.all().into_iter().map(|(_, scorer)| scorer).collect(), features)
    }

    /// The methods and the ranker over them.
    pub fn ranked<'a>(&'a self, features: &'a Features, ranker: &'a Boosted) -> Learned<'a> {
        Learned::new(self.views(features), ranker)
    }
}

/// How what the methods say becomes numbers. `sessions` is what they were fitted on.
pub fn features(sessions: &Histories) -> Features {
    Features { scales: vec![Scale::Share, Scale::Highest], facts: Box::new(Clicks::fit(sessions)), named_only: true }
}

/// Learns the ranker on the next clicks of the newest sessions, with methods that were fitted on the older ones.
pub fn learn_ranker(sessions: &Histories, settings: &SessionSettings) -> Boosted {
    let (older, newest) = hold_out(sessions, &[]);
    let mut asked = questions(&newest);
    for question in &mut asked {
        question.targets.truncate(1);
    }
    let methods = SessionMethods::fit(&older, settings);
    learn(&methods.views(&features(&older)), &asked, sessions.items, settings.ranker)
}

/// Share of the sessions that settings are chosen by.
const HELD: usize = 10;

/// The newest sessions, to choose by, and the older ones, to learn from while choosing. All sessions for validation are among the
/// newest: alone they are too few to tell settings apart.
fn hold_out(sessions: &Histories, valid: &[History]) -> (Histories, Vec<History>) {
    let mut all: Vec<History> = sessions.users.iter().chain(valid).cloned().collect();
    let time = |session: &History| session.baskets.iter().filter_map(|basket| basket.at).max();
    all.sort_by_key(time);
    let held = all.split_off(all.len() - (all.len() / HELD).max(valid.len()).min(all.len()));
    (Histories { items: sessions.items, users: all }, held)
}

/// Chooses settings and weights by the newest sessions before the test; nothing else is looked at. The published settings stay.
pub fn tune(sessions: &Histories, valid: &[History]) -> SessionSettings {
    let (older, held) = hold_out(sessions, valid);
    let (sessions, asked) = (&older, questions(&held));
    let items = sessions.items;
    let worth = |list: &[u32], targets: &[u32]| reciprocal_rank(list, targets);
    let value = |scorer: &dyn Scorer| worth_of(scorer, &asked, items, AT, &worth);
    let mut settings = SessionSettings::default();
    // One setting after the other.
    let base = settings.tuned_knn;
    let lasts = [2, 3, 4, 6, 10].map(|last| SessionKnnSettings { last, ..base });
    settings.tuned_knn = best(lasts, |tried| value(&SessionKnn::fit(sessions, tried))).unwrap_or(base);
    let base = settings.tuned_knn;
    let idfs = [1.0, 0.0, 0.5, 2.0].map(|idf| SessionKnnSettings { idf, ..base });
    settings.tuned_knn = best(idfs, |tried| value(&SessionKnn::fit(sessions, tried))).unwrap_or(base);
    let base = settings.tuned_knn;
    let decays = [0.1, 0.2, 0.3].map(|match_decay| SessionKnnSettings { match_decay, ..base });
    settings.tuned_knn = best(decays, |tried| value(&SessionKnn::fit(sessions, tried))).unwrap_or(base);
    let base = settings.tuned_knn;
    let sizes = [(500, 50), (500, 100), (1500, 300), (5000, 1000)];
    let sizes = sizes.map(|(newest, neighbours)| SessionKnnSettings { newest, neighbours, ..base });
    settings.tuned_knn = best(sizes, |tried| value(&SessionKnn::fit(sessions, tried))).unwrap_or(base);
    let sure = [(1.0, 0.0), (5.0, 0.0), (20.0, 0.0), (1.0, 0.3)];
    let next = sure.map(|(shrinkage, discount)| FollowsSettings { shrinkage, discount, ..NEXT });
    settings.next = best(next, |tried| value(&Follows::fit(sessions, tried))).unwrap_or(settings.next);
    let far = [(5, 0.5, 2, 0.5), (10, 0.7, 3, 0.5), (10, 0.8, 5, 0.7)];
    let later = far.into_iter().flat_map(|(reach, gap_decay, last, last_decay)| {
        sure.map(|(shrinkage, discount)| FollowsSettings {
            reach,
            gap_decay,
            last,
            last_decay,
            shrinkage,
            discount,
            ..NEXT
        })
    });
    settings.later = best(later, |tried| value(&Follows::fit(sessions, tried))).unwrap_or(settings.later);
    let methods = SessionMethods::fit(sessions, &settings);
    let start = BTreeMap::from([("tuned_knn".to_owned(), 1.0)]);
    let (weights, _) = choose(&methods.blend(&start).parts, &asked, items, AT, 0.3, &worth);
    let named = methods.all().into_iter().zip(weights).filter(|(_, weight)| *weight > 0.0);
    settings.weights = named.map(|((name, _), weight)| (name.to_owned(), weight)).collect();
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{lists, session};

    #[test]
    fn the_newest_sessions_are_held_out() {
        let at = |at: i64| History { baskets: vec![crate::Basket { items: vec![at as u32], at: Some(at) }] };
        let sessions = Histories { items: 30, users: (0..19).map(at).collect() };
        let (older, held) = hold_out(&sessions, &[at(20)]);
        assert_eq!((older.users.len(), held), (18, vec![at(18), at(20)]));
    }

    #[test]
    fn tuning_finds_what_follows_and_repeats() {
        // After an item comes the next of its ring of five.
        let session = |at: u32| {
            let ring = 5 * (at % 4);
            History::of_items((0..4).map(|step| ring + (at / 4 + step) % 5).collect())
        };
        let sessions = Histories { items: 20, users: (0..80).map(session).collect() };
        let valid: Vec<History> = (80..100).map(session).collect();
        let settings = tune(&sessions, &valid);
        assert_eq!(settings, tune(&sessions, &valid));
        let methods = SessionMethods::fit(&sessions, &settings);
        let asked = questions(&valid);
        let (features, ranker) = (features(&sessions), learn_ranker(&sessions, &settings));
        assert_eq!(ranker, learn_ranker(&sessions, &settings));
        for scorer in [&methods.blend(&settings.weights) as &dyn Scorer, &methods.ranked(&features, &ranker)] {
            let lists = lists(scorer, &asked, 20, AT);
            let rows = session::rows("m", &asked, &lists, 20, 1);
            assert!(rows[0].value > 0.99, "{rows:?}");
        }
    }
}
