//! `endcap evaluate`: cuts a test period off, learns from what came before it as a training does, and asks about it. What ranks here is
//! [`endcap_recommender::ranking::rank`], which is what the predictor ranks with.

pub mod measure;
mod page;
pub mod program;
pub mod protocol;
mod quantity;
mod table;

use std::path::PathBuf;
use std::time::Instant;

use endcap_recommender::candidates::{SIGNALS, Scratch, Signal, candidates};
use endcap_recommender::fitted::Model;
use endcap_recommender::ranking::{rank, situation_of};
use endcap_tables::DatasetManifest;
use rayon::prelude::*;
use serde::Serialize;

pub use measure::{AT, Row, judge};
pub use protocol::{Asked, Task, Test};

use crate::TrainError;
use crate::checkpoint::Checkpoints;
use crate::deep::Place;
use crate::learn::{LearnOptions, Learned, Learner};
use crate::load::{Cut, Dataset, load_cut};
use crate::progress::{Phase, Progress};
use crate::report::{PhaseRun, Run};
use crate::tune::{Comparison, Component, Tuned, paired, speaks};

/// What is evaluated, on what.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluateOptions {
    /// Folder of a canonical dataset.
    pub data: PathBuf,
    pub task: Task,
    pub learn: LearnOptions,
    /// The test period. Nothing from its start on is learned from.
    pub cut: Cut,
    pub threads: usize,
    /// Folder for checkpoints.
    pub work: PathBuf,
}

/// The whole report.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    pub task: &'static str,
    pub settings: Settings,
    pub rows: Vec<Row>,
    /// NDCG@10 of what is served less that of each generator, on the same questions.
    pub differences: Vec<Comparison>,
    /// What each component was worth on the validation window, and whether it stayed.
    pub components: Vec<Component>,
    pub phases: Vec<PhaseRun>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Settings {
    pub dataset_sha256: String,
    pub architecture: &'static str,
    pub seed: i64,
    pub threads: usize,
    pub validate_from: String,
    pub test_from: String,
    /// Exclusive.
    pub test_until: String,
    pub questions: u64,
    pub test_orders: u64,
    pub test_orders_left_out: u64,
    pub unrankable_targets: u64,
    pub orders_learned_from: u64,
    pub products: u64,
    pub protocol: &'static str,
    pub hyperparameters: String,
    pub model: endcap_recommender::fitted::Settings,
    /// Median and 99th percentile of one ranking on one thread.
    pub rank_p50_ms: f64,
    pub rank_p99_ms: f64,
}

const PROTOCOL: &str = "full ranking over all products sold before the test; an order is its distinct products in line order; visible is \
only what was ordered before the test; NDCG with binary gains, ideal over min(10, targets); recall over all targets; ties by product id; \
95% intervals by bootstrap over questions (1,000 resamples); everything chosen on the validation window";

/// The model that an evaluation asks, and what it was learned from.
#[derive(Debug)]
pub struct Prepared {
    pub data: Dataset,
    pub learned: Learned,
    run: Run,
}

/// Loads with the test period cut off and learns.
pub fn prepare(options: &EvaluateOptions, progress: &dyn Progress) -> Result<Prepared, TrainError> {
    let threads = options.threads.max(1);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|source| TrainError::Threads { threads, source })?;
    let digest = DatasetManifest::open(&options.data)?.digest();
    let key =
        format!("evaluate-{}", crate::train::key_of(&digest, &(format!("{:?} {:?}", options.learn, options.cut)))?);
    let place = Place::processor();
    let mut learner = Learner {
        options: options.learn,
        active: None,
        checkpoints: Checkpoints::open(&options.work, &key)?,
        progress,
        run: Run { threads, device: place.name().to_owned(), ..Run::default() },
        place,
    };
    let (data, learned) = pool.install(|| {
        let data = learner
            .timed(Phase::Load, |this| Ok((load_cut(&options.data, Some(options.cut), this.progress)?, false)))?;
        let learned = learner.learn(&data)?;
        Ok::<_, TrainError>((data, learned))
    })?;
    let Learner { checkpoints, run, .. } = learner;
    checkpoints.clear();
    Ok(Prepared { data, learned, run })
}

/// The best products of a question, as the predictor would rank them.
pub fn list(task: Task, model: &Model, asked: &Asked, scratch: &mut Scratch) -> Vec<u32> {
    let wanted = |product: u32| {
        model.associations.item_orders(product) > 0 && protocol::is_wanted(task, model, &asked.question, product)
    };
    let ranked = rank(model, &asked.question, &[1.0; SIGNALS], &wanted, scratch);
    ranked.into_iter().take(AT).map(|ranked| ranked.product).collect()
}

/// The best products by one generator alone.
fn alone(task: Task, model: &Model, asked: &Asked, signal: Signal, scratch: &mut Scratch) -> Vec<u32> {
    let mut best = endcap_kernels::TopK::new(AT);
    for candidate in candidates(model, &asked.question, scratch) {
        let value = candidate.signal(signal);
        if value != 0.0
            && model.associations.item_orders(candidate.product) > 0
            && protocol::is_wanted(task, model, &asked.question, candidate.product)
        {
            best.push(candidate.product, value);
        }
    }
    best.into_sorted().into_iter().map(|(product, _)| product).collect()
}

/// Learns, asks and measures.
pub fn evaluate(options: &EvaluateOptions, progress: &dyn Progress) -> Result<Evaluation, TrainError> {
    let prepared = prepare(options, progress)?;
    let Prepared { data, learned, run } = &prepared;
    let Learned { model, tuned, .. } = learned;
    let task = options.task;
    if task == Task::QuantityUpsell {
        return quantity_upsell(options, &prepared);
    }
    let test = protocol::test(task, data, model);
    if test.asked.is_empty() {
        return Err(TrainError::Option {
            what: "--test-from".to_owned(),
            value: time(options.cut.from_s),
            remedy: format!(
                "{} orders lie in the test period and none makes a {} question; choose dates with orders of known customers",
                test.orders,
                task.as_str()
            ),
        });
    }
    let seed = options.learn.seed;
    let lists = |of: &(dyn Fn(&Asked, &mut Scratch) -> Vec<u32> + Sync)| -> Vec<Vec<u32>> {
        test.asked.par_iter().map_init(Scratch::default, |scratch, asked| of(asked, scratch)).collect()
    };
    let served = lists(&|asked, scratch| list(task, model, asked, scratch));
    let ndcg = |lists: &[Vec<u32>]| -> Vec<f64> {
        lists.iter().zip(&test.asked).map(|(list, asked)| judge(list, &asked.targets)[0]).collect()
    };
    let served_ndcg = ndcg(&served);
    let (mut rows, mut differences) = (Vec::new(), Vec::new());
    let mut add = |name: &str, lists: &[Vec<u32>]| {
        rows.extend(measure::rows(name, model, &test.asked, lists, seed));
        let (difference, interval) = paired(&served_ndcg, &ndcg(lists), seed);
        differences.push(Comparison {
            against: name.to_owned(),
            situation: None,
            metric: "ndcg@10".to_owned(),
            difference,
            low: interval.low,
            high: interval.high,
            n: served_ndcg.len() as u64,
        });
    };
    let situation = test.asked.first().map(|asked| situation_of(&asked.question));
    for signal in Signal::ALL {
        if situation.is_some_and(|situation| speaks(model, signal, situation)) {
            let own = lists(&|asked, scratch| alone(task, model, asked, signal, scratch));
            // A generator that says nothing at all (a season that was never seen) is no row of zeros.
            if own.iter().any(|list| !list.is_empty()) {
                add(signal.name(), &own);
            }
        }
    }
    if model.ranker.is_some() {
        let blend = Model { ranker: None, ..model.clone() };
        add("blend", &lists(&|asked, scratch| list(task, &blend, asked, scratch)));
    }
    rows.extend(measure::rows("hybrid", model, &test.asked, &served, seed));
    let (rank_p50_ms, rank_p99_ms) = latency(task, model, &test.asked);
    Ok(Evaluation {
        task: task.as_str(),
        settings: settings(options, data, tuned, model, &test, [rank_p50_ms, rank_p99_ms]),
        rows,
        differences,
        components: tuned.components.clone(),
        phases: run.phases.clone(),
    })
}

fn quantity_upsell(options: &EvaluateOptions, prepared: &Prepared) -> Result<Evaluation, TrainError> {
    let Prepared { data, learned: Learned { model, tuned, .. }, run } = prepared;
    let (asked, test) = quantity::ask(data, model);
    if asked.is_empty() {
        return Err(TrainError::Option {
            what: "--test-until".to_owned(),
            value: time(options.cut.until_s),
            remedy: "no line of the test stands just below a price break and is followed by another order of the product; choose a longer test"
                .to_owned(),
        });
    }
    let (rows, differences) = quantity::measure(&asked, options.learn.seed);
    Ok(Evaluation {
        task: options.task.as_str(),
        settings: Settings {
            questions: asked.len() as u64,
            protocol: quantity::PROTOCOL,
            ..settings(options, data, tuned, model, &test, [0.0; 2])
        },
        rows,
        differences,
        components: Vec::new(),
        phases: run.phases.clone(),
    })
}

fn latency(task: Task, model: &Model, asked: &[Asked]) -> (f64, f64) {
    let mut scratch = Scratch::default();
    let mut times: Vec<f64> = asked
        .iter()
        .map(|asked| {
            let started = Instant::now();
            std::hint::black_box(list(task, model, asked, &mut scratch));
            started.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    times.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or(0.0);
    (at(0.5), at(0.99))
}

fn time(at_s: i64) -> String {
    jiff::Timestamp::from_second(at_s).map_or_else(|_| at_s.to_string(), |at| at.to_string())
}

fn settings(
    options: &EvaluateOptions,
    data: &Dataset,
    tuned: &Tuned,
    model: &Model,
    test: &Test,
    [rank_p50_ms, rank_p99_ms]: [f64; 2],
) -> Settings {
    Settings {
        dataset_sha256: data.digest.clone(),
        architecture: options.learn.architecture.as_str(),
        seed: options.learn.seed,
        threads: options.threads,
        validate_from: tuned.window.map_or_else(String::new, |window| time(window.from_s)),
        test_from: time(options.cut.from_s),
        test_until: time(options.cut.until_s),
        questions: test.asked.len() as u64,
        test_orders: test.orders,
        test_orders_left_out: test.orders_left_out,
        unrankable_targets: test.unrankable_targets,
        orders_learned_from: data.sales.heads.len() as u64,
        products: data.catalogue.len() as u64,
        protocol: PROTOCOL,
        hyperparameters: format!("{:?}", options.learn.hyper),
        model: model.settings.clone(),
        rank_p50_ms,
        rank_p99_ms,
    }
}
