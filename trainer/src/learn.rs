//! From a loaded dataset to a model: backtest -> tune -> fit, each phase kept in a checkpoint. `train` publishes what comes out,
//! `evaluate` asks it about a period that it has not seen.

use std::collections::BTreeMap;
use std::time::Instant;

use endcap_recommender::candidates::Signal;
use endcap_recommender::fitted::{Deep, Model, OBJECTS};
use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoints;
use crate::deep::{self, DeepOptions, Keep, Place};
use crate::fit::SimilarOptions;
use crate::load::{Dataset, View};
use crate::options::{Architecture, Hyper};
use crate::progress::{Phase, Progress, check};
use crate::report::{PhaseRun, Run};
use crate::tune::{Active, Tuned, Window};
use crate::{TrainError, fit, machine, tune};

/// What learning depends on beside the data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearnOptions {
    pub architecture: Architecture,
    pub hyper: Hyper,
    pub seed: i64,
    /// Where the validation window begins (seconds since 1970); chosen by its length when none is given.
    pub validate_from_s: Option<i64>,
}

/// What was learned.
#[derive(Debug)]
pub struct Learned {
    pub model: Model,
    pub tuned: Tuned,
    pub facts: FitFacts,
}

/// Numbers of the final fit, for the report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FitFacts {
    /// Orders with more products than were counted.
    pub capped: u64,
    /// Mean loss of the two-tower network by epoch.
    pub deep_losses: Vec<f32>,
}

/// Carries options, checkpoints and progress through the phases.
pub(crate) struct Learner<'a> {
    pub options: LearnOptions,
    /// What a new version is compared with.
    pub active: Option<Active>,
    pub checkpoints: Checkpoints,
    pub progress: &'a dyn Progress,
    pub run: Run,
    /// Where the two-tower network learns.
    pub place: Place,
}

/// Steps of the learned tables' fit.
const SIMILAR_STEPS: u64 = 4;

/// One checkpoint file that a network keeps its state in between epochs.
struct DeepState<'a> {
    checkpoints: &'a Checkpoints,
    name: String,
}

impl Keep for DeepState<'_> {
    fn read(&self) -> Option<Vec<u8>> {
        self.checkpoints.read(&self.name)
    }

    fn write(&self, state: &[u8]) -> Result<(), TrainError> {
        self.checkpoints.write(&self.name, state)
    }
}

/// Whether the network has a place in what is served.
fn keeps_deep(tuned: &Tuned) -> bool {
    let blended = tuned.settings.weights.values().any(|weights| weights.contains_key(&Signal::Deep));
    blended || tuned.components.iter().all(|component| component.name != "deep" || component.kept)
}

/// What ratings before a moment add to products' logits; empty where they are not worth it.
fn liking(data: &Dataset, tuned: &Tuned, until_s: i64) -> Vec<f32> {
    if tuned.rating_weight == 0.0 {
        return Vec::new();
    }
    let mut liking = fit::liking(&data.ratings, data.catalogue.len(), until_s);
    for liked in &mut liking {
        *liked *= tuned.rating_weight;
    }
    liking
}

impl Learner<'_> {
    pub fn timed<T>(
        &mut self,
        phase: Phase,
        work: impl FnOnce(&mut Self) -> Result<(T, bool), TrainError>,
    ) -> Result<T, TrainError> {
        check(self.progress, phase)?;
        let started = Instant::now();
        let (result, resumed) = work(self)?;
        self.progress.end(phase);
        self.run.phases.push(PhaseRun {
            phase: phase.as_str().to_owned(),
            seconds: started.elapsed().as_secs_f64(),
            peak_resident_bytes: machine::peak_bytes(),
            resident_bytes: machine::resident_bytes(),
            resumed,
        });
        Ok(result)
    }

    pub fn learn(&mut self, data: &Dataset) -> Result<Learned, TrainError> {
        let settings = tune::settings_of(data, &self.options.hyper);
        let window = match self.options.validate_from_s {
            Some(from_s) => Window::from(data.sales.view(), from_s),
            None => tune::choose(data.sales.view(), self.options.hyper.validation_days),
        };
        let tuned = match window {
            Ok(window) => {
                let model = self.timed(Phase::Backtest, |this| this.backtest(data, window))?;
                self.timed(Phase::Tune, |this| this.tune(data, window, model))?
            }
            Err(why) => tune::skipped(settings, None, why),
        };
        let (model, facts) = self.timed(Phase::Fit, |this| this.fit(data, &tuned))?;
        let tuned = match (&self.active, tuned.window) {
            (Some(_), Some(window)) => self.timed(Phase::Compare, |this| this.compare(data, window, tuned))?,
            _ => tuned,
        };
        Ok(Learned { model, tuned, facts })
    }

    /// Passes of the two-tower network over some sales.
    fn passes(&self, sales: View<'_>) -> u32 {
        if self.options.architecture == Architecture::Hybrid { self.options.hyper.deep_passes(sales.len()) } else { 0 }
    }

    fn learns_similar(&self) -> bool {
        self.options.architecture != Architecture::Rules
    }

    /// The generators as they would have been when the window began.
    fn backtest(&self, data: &Dataset, window: Window) -> Result<(Model, bool), TrainError> {
        let (before, _) = data.sales.view().split_at(window.from_s);
        self.progress.begin(Phase::Backtest, 1 + SIMILAR_STEPS + u64::from(self.passes(before)));
        if let Some(model) = self.read_model("backtest") {
            return Ok((model, true));
        }
        let settings = tune::settings_of(data, &self.options.hyper);
        let mut model = tune::fit_before(data, before, &settings, &self.options.hyper);
        self.progress.advance(1);
        self.add_learned(&mut model, data, before, Phase::Backtest, true)?;
        self.write_model("backtest", &model)?;
        Ok((model, false))
    }

    /// Adds what is learned beyond counts; returns the network's losses.
    fn add_learned(
        &self,
        model: &mut Model,
        data: &Dataset,
        sales: View<'_>,
        phase: Phase,
        with_deep: bool,
    ) -> Result<Vec<f32>, TrainError> {
        let hyper = &self.options.hyper;
        if !self.learns_similar() {
            return Ok(Vec::new());
        }
        check(self.progress, phase)?;
        let options = SimilarOptions {
            basket_ridge: hyper.basket_ridge,
            customer_ridge: hyper.customer_ridge,
            ease_products: hyper.ease_products,
            ..SimilarOptions::default()
        };
        let done = || self.progress.advance(1);
        let customers = data.customers.len();
        model.similar = fit::similar(&data.catalogue, sales, customers, hyper.max_order_products, &options, &done)?;
        if self.passes(sales) == 0 || !with_deep {
            return Ok(Vec::new());
        }
        let (deep, losses) = self.deep(data, sales, phase)?;
        model.deep = Some(deep);
        Ok(losses)
    }

    fn deep(&self, data: &Dataset, sales: View<'_>, phase: Phase) -> Result<(Deep, Vec<f32>), TrainError> {
        let hyper = &self.options.hyper;
        let options = DeepOptions { dim: hyper.deep_dimensions, epochs: self.passes(sales), ..DeepOptions::default() };
        let keep = DeepState { checkpoints: &self.checkpoints, name: format!("deep-{}", phase.as_str()) };
        let done = || {
            self.progress.advance(1);
            check(self.progress, phase)
        };
        let how = deep::How { options, seed: self.options.seed, place: self.place.clone() };
        deep::fit(&data.catalogue, sales, data.customers.len(), &how, &keep, &done)
    }

    fn tune(&self, data: &Dataset, window: Window, model: Model) -> Result<(Tuned, bool), TrainError> {
        self.progress.begin(Phase::Tune, tune::steps(self.options.architecture));
        if let Some(tuned) = self.checkpoints.read_json::<Tuned>("tuned") {
            return Ok((tuned, true));
        }
        let tuned = tune::tune(data, model, window, &self.options, self.progress)?;
        self.checkpoints.write_json("tuned", &tuned)?;
        // Read back: JSON may move the last bit of a number, and a resumed training must see the very same ones.
        Ok((self.checkpoints.read_json("tuned").unwrap_or(tuned), false))
    }

    fn fit(&self, data: &Dataset, tuned: &Tuned) -> Result<((Model, FitFacts), bool), TrainError> {
        let products = data.catalogue.len() as u64;
        let deep_kept = keeps_deep(tuned);
        let epochs = if deep_kept { u64::from(self.passes(data.sales.view())) } else { 0 };
        self.progress.begin(Phase::Fit, products + 3 + SIMILAR_STEPS + epochs * (products / 10).max(1));
        if let (Some(model), Some(facts)) = (self.read_model("fit"), self.checkpoints.read_json("fit-facts")) {
            return Ok(((model, facts), true));
        }
        let (mut model, mut facts) = self.count(data, tuned)?;
        facts.deep_losses = self.add_learned(&mut model, data, data.sales.view(), Phase::Fit, deep_kept)?;
        if let Some(ranker) = &tuned.ranker {
            let mut ranker = ranker.clone();
            ranker.traits = fit::traits(&model.catalogue, data.sales.view(), &model.repeat);
            ranker.liking = liking(data, tuned, i64::MAX);
            model.ranker = Some(ranker);
        }
        self.write_model("fit", &model)?;
        self.checkpoints.write_json("fit-facts", &facts)?;
        Ok(((model, facts), false))
    }

    /// The active version was fitted later than the backtest, which is no fair opponent: a twin is fitted on what the active one knew.
    /// (Its ranker is the new one, which has learned from some of these questions: a small advantage.)
    fn compare(&self, data: &Dataset, window: Window, mut tuned: Tuned) -> Result<(Tuned, bool), TrainError> {
        let from_s = self.active.as_ref().map_or(window.from_s, |active| tune::unseen(active, window));
        let (before, inside) = data.sales.view().split_at(from_s);
        self.progress.begin(Phase::Compare, 2 + SIMILAR_STEPS + u64::from(self.passes(before)));
        if let Some(tuned) = self.checkpoints.read_json::<Tuned>("compared") {
            return Ok((tuned, true));
        }
        let Some(active) = &self.active else { return Ok((tuned, false)) };
        if !inside.is_empty() {
            let mut twin = tune::fit_before(data, before, &tuned.settings, &self.options.hyper);
            self.progress.advance(1);
            self.add_learned(&mut twin, data, before, Phase::Compare, keeps_deep(&tuned))?;
            if let Some(ranker) = &tuned.ranker {
                let mut ranker = ranker.clone();
                ranker.traits = fit::traits(&twin.catalogue, before, &twin.repeat);
                ranker.liking = liking(data, &tuned, from_s);
                twin.ranker = Some(ranker);
            }
            tune::compare_with_active(active, twin, data, from_s, self.options.seed, &mut tuned);
        }
        self.progress.advance(1);
        self.checkpoints.write_json("compared", &tuned)?;
        Ok((self.checkpoints.read_json("compared").unwrap_or(tuned), false))
    }

    /// The fits that count.
    fn count(&self, data: &Dataset, tuned: &Tuned) -> Result<(Model, FitFacts), TrainError> {
        let (hyper, progress) = (&self.options.hyper, self.progress);
        let sales = data.sales.view();
        let baskets = fit::Baskets::of_sales(sales, data.catalogue.len(), hyper.max_order_products);
        let associations = fit::associations(&baskets, hyper.neighbours, &|| progress.advance(1));
        let facts = FitFacts { capped: baskets.capped, ..FitFacts::default() };
        drop(baskets);
        check(progress, Phase::Fit)?;
        let popularity = fit::popularity(data, sales, tuned.settings.trend_half_life_days);
        progress.advance(1);
        check(progress, Phase::Fit)?;
        let repeat = fit::repeat(&data.catalogue, sales, data.customers.len());
        progress.advance(1);
        check(progress, Phase::Fit)?;
        let habits = fit::habits(data, sales, &fit::declared_tiers(data));
        progress.advance(1);
        let model = Model {
            catalogue: data.catalogue.clone(),
            associations,
            popularity,
            repeat,
            habits,
            settings: tuned.settings.clone(),
            ..Model::default()
        };
        Ok((model, facts))
    }

    fn write_model(&self, name: &str, model: &Model) -> Result<(), TrainError> {
        let objects = model.to_objects()?;
        for (object, bytes) in &objects {
            self.checkpoints.write(&format!("{name}-{object}"), bytes)?;
        }
        let names: Vec<&str> = objects.iter().map(|(object, _)| *object).collect();
        let list = serde_json::to_vec(&names).map_err(|source| TrainError::Json { what: "a checkpoint", source })?;
        self.checkpoints.write(&format!("{name}-objects"), &list)
    }

    fn read_model(&self, name: &str) -> Option<Model> {
        let names: Vec<String> = self.checkpoints.read_json(&format!("{name}-objects"))?;
        let mut objects = BTreeMap::new();
        for object in OBJECTS.iter().filter(|object| names.iter().any(|name| name == *object)) {
            objects.insert((*object).to_owned(), self.checkpoints.read(&format!("{name}-{object}"))?);
        }
        Model::from_objects(&objects, "").ok()
    }
}
