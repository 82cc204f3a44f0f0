//! The next click of each session.

use std::collections::HashSet;
use std::path::Path;
use std::time::Instant;

use endcap_methods::format;
use endcap_methods::protocol::{lists, session};
use endcap_methods::suite::session::{SessionMethods, SessionSettings, features, learn_ranker, tune as choose};
use endcap_methods::{History, Scorer};

use crate::program::settings_of;
use crate::read::File;
use crate::report::{Report, Settings, leads};
use crate::{BenchmarkError, EvaluateOptions};

const FILES: &str = "a folder of the layout Sessions holds train.txt, test.txt and, to choose by, valid.txt";

const PROTOCOL: &str = "after each click but the last of a test session the clicks so far are known; MRR and HR of the next click; \
recall over all clicks that follow; NDCG over them with the first two ranks undiscounted and log2(rank) from there on; every item of \
the training sessions is ranked; ties to the smaller item id; 95% intervals by bootstrap over questions (1,000 resamples); settings and \
weights are chosen on the newest training and validation sessions, the ranker is learned on the newest training sessions; what is asked has learned from the training sessions alone";

/// Chooses settings from the training and the validation sessions. The test sessions are not opened.
pub fn tune(data: &Path) -> Result<String, BenchmarkError> {
    let [train, valid] = ["train.txt", "valid.txt"].map(|name| File::open(&data.join(name), FILES));
    let (train, valid) = (train?, valid?);
    let read = format::sessions(train.as_text(), Some(valid.as_text()), None)?;
    serde_json::to_string_pretty(&choose(&read.train, &read.valid))
        .map_err(|source| BenchmarkError::Json { what: "the settings", source })
}

pub fn evaluate(options: &EvaluateOptions) -> Result<Report, BenchmarkError> {
    let started = Instant::now();
    let [train, test] = ["train.txt", "test.txt"].map(|name| File::open(&options.data.join(name), FILES));
    let (train, test) = (train?, test?);
    let read = format::sessions(train.as_text(), None, Some(test.as_text()))?;
    let (settings, chosen): (SessionSettings, String) = settings_of(options)?;
    let questions = session::questions(&read.test);
    let known = read.train.users.iter().flat_map(History::items).collect::<HashSet<u32>>().len();
    let mut seconds = vec![("load".to_owned(), started.elapsed().as_secs_f64())];
    let started = Instant::now();
    let ranker = learn_ranker(&read.train, &settings);
    let methods = SessionMethods::fit(&read.train, &settings);
    seconds.push(("fit".to_owned(), started.elapsed().as_secs_f64()));
    let started = Instant::now();
    let blend = methods.blend(&settings.weights);
    let mut all: Vec<(&str, &dyn Scorer)> = methods.all();
    all.push(("blend", &blend));
    let features = features(&read.train);
    let ranked = methods.ranked(&features, &ranker);
    all.push(("ranker", &ranked));
    let mut rows = Vec::new();
    let mut values = Vec::new();
    for (name, scorer) in all {
        let lists = lists(scorer, &questions, read.train.items, session::AT);
        rows.extend(session::rows(name, &questions, &lists, known, options.seed));
        let ranks = lists.iter().zip(&questions).map(|(list, asked)| session::reciprocal_rank(list, &asked.targets));
        values.push((name.to_owned(), ranks.collect::<Vec<f64>>()));
    }
    seconds.push(("ask".to_owned(), started.elapsed().as_secs_f64()));
    let main = format!("mrr@{}", session::AT);
    Ok(Report {
        task: options.task.as_str(),
        settings: Settings {
            seed: options.seed,
            threads: options.threads,
            questions: questions.len() as u64,
            users: read.train.users.len() as u64,
            items: known as u64,
            protocol: PROTOCOL,
            chosen,
            methods: serde_json::to_value(&settings)
                .map_err(|source| BenchmarkError::Json { what: "the settings", source })?,
        },
        rows,
        leads: leads(&main, &values, options.seed),
        main,
        seconds,
    })
}
