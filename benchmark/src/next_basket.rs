//! The next basket of each user.

use std::path::Path;
use std::time::Instant;

use endcap_methods::blend::Question;
use endcap_methods::format::{self, Baskets};
use endcap_methods::measure::{Ideal, judge};
use endcap_methods::protocol::{lists, next_basket};
use endcap_methods::suite::next_basket::{
    NextBasketMethods, NextBasketSettings, features, learn_ranker, tune as choose,
};
use endcap_methods::{Histories, Scorer};

use crate::program::settings_of;
use crate::read::{File, ending};
use crate::report::{Report, Settings, leads};
use crate::{BenchmarkError, EvaluateOptions};

const PAST: &str = "a folder of the layout Baskets holds one file *_history.json and one *_future.json";

const PROTOCOL: &str = "each user's last basket is asked for, by all users; every item is ranked and none left out; recall over all \
targets; NDCG with binary gains and the ideal over all targets; ties to the smaller item id; 95% intervals by bootstrap over users \
(1,000 resamples); settings, weights and the ranker are chosen and learned on each user's last basket but that one";

/// The past alone, from a file or a folder.
fn past(data: &Path) -> Result<File, BenchmarkError> {
    let path = if data.is_dir() { ending(data, "_history.json", PAST)? } else { data.to_owned() };
    File::open(&path, PAST)
}

/// Chooses settings from the past. The future is not opened.
pub fn tune(data: &Path) -> Result<String, BenchmarkError> {
    let past = past(data)?;
    let read = format::baskets(past.as_text(), None)?;
    serde_json::to_string_pretty(&choose(&read.histories))
        .map_err(|source| BenchmarkError::Json { what: "the settings", source })
}

pub fn evaluate(options: &EvaluateOptions) -> Result<Report, BenchmarkError> {
    let started = Instant::now();
    let past = past(&options.data)?;
    let future = File::open(&ending(&options.data, "_future.json", PAST)?, PAST)?;
    let Baskets { histories, next, items, .. } = format::baskets(past.as_text(), Some(future.as_text()))?;
    let (settings, chosen): (NextBasketSettings, String) = settings_of(options)?;
    let questions = next_basket::questions(&histories, &next);
    let mut seconds = vec![("load".to_owned(), started.elapsed().as_secs_f64())];
    let started = Instant::now();
    let ranker = learn_ranker(&histories, &settings);
    let methods = NextBasketMethods::fit(&histories, &settings);
    seconds.push(("fit".to_owned(), started.elapsed().as_secs_f64()));
    let started = Instant::now();
    let features = features(&histories);
    let (blend, ranked) = (methods.blend(&settings.weights), methods.ranked(&features, &ranker));
    let mut all: Vec<(&str, &dyn Scorer)> = methods.all();
    all.push(("blend", &blend));
    all.push(("ranker", &ranked));
    let found = ask(&all, &questions, &histories, options.seed);
    seconds.push(("ask".to_owned(), started.elapsed().as_secs_f64()));
    Ok(Report {
        task: options.task.as_str(),
        main: format!("recall@{}", next_basket::AT),
        settings: Settings {
            seed: options.seed,
            threads: options.threads,
            questions: questions.len() as u64,
            users: histories.users.len() as u64,
            items: items.len() as u64,
            protocol: PROTOCOL,
            chosen,
            methods: serde_json::to_value(&settings)
                .map_err(|source| BenchmarkError::Json { what: "the settings", source })?,
        },
        rows: found.0,
        leads: leads(&format!("recall@{}", next_basket::AT), &found.1, options.seed),
        seconds,
    })
}

type Found = (Vec<endcap_methods::measure::Row>, Vec<(String, Vec<f64>)>);

/// Rows of each method, and its recall by question.
fn ask(all: &[(&str, &dyn Scorer)], questions: &[Question], histories: &Histories, seed: i64) -> Found {
    let mut rows = Vec::new();
    let mut values = Vec::new();
    for (name, scorer) in all {
        let lists = lists(*scorer, questions, histories.items, next_basket::AT);
        rows.extend(next_basket::rows(name, questions, &lists, histories.items, seed));
        let recall = |(list, question): (&Vec<u32>, &Question)| {
            judge(list, &question.targets, next_basket::AT, Ideal::AllTargets).recall
        };
        values.push(((*name).to_owned(), lists.iter().zip(questions).map(recall).collect()));
    }
    (rows, values)
}
