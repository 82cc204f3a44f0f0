//! What else each user had.

use std::path::Path;
use std::time::Instant;

use endcap_methods::format::{self, LightGcn};
use endcap_methods::measure::{Ideal, judge};
use endcap_methods::protocol::top_n::{AT, questions, rows};
use endcap_methods::suite::top_n::{TopNSettings, fit, learn_ranker, tune as choose};

use crate::next_item::tell;
use crate::program::settings_of;
use crate::read::{File, within};
use crate::report::{Report, Settings, leads};
use crate::{BenchmarkError, EvaluateOptions};

const FILES: &str =
    "a folder of the layout LightGcn holds one train.txt and one test.txt, itself or in folders right below it";

const PROTOCOL: &str = "what is in the test is asked for, of each user that has some; every item is ranked but those that are known of the \
user; recall over all targets; NDCG with binary gains and the ideal over min(20, targets); ties to the smaller item id; 95% intervals by \
bootstrap over users (1,000 resamples); weights are chosen and the ranker is learned on a share of the training items that is held out";

/// Chooses weights on a share of the training items. The test is not opened.
pub fn tune(data: &Path) -> Result<String, BenchmarkError> {
    let train = File::open(&within(data, "train.txt", FILES)?, FILES)?;
    let read = format::light_gcn(train.as_text(), None)?;
    let chosen = choose(&read.histories, &TopNSettings::default(), &tell)?;
    serde_json::to_string_pretty(&chosen).map_err(|source| BenchmarkError::Json { what: "the settings", source })
}

pub fn evaluate(options: &EvaluateOptions) -> Result<Report, BenchmarkError> {
    let started = Instant::now();
    let [train, test] = ["train.txt", "test.txt"]
        .map(|name| within(&options.data, name, FILES).and_then(|path| File::open(&path, FILES)));
    let (train, test) = (train?, test?);
    let LightGcn { histories, wanted, items } = format::light_gcn(train.as_text(), Some(test.as_text()))?;
    let (settings, chosen): (TopNSettings, String) = settings_of(options)?;
    let questions = questions(&histories, &wanted);
    let mut seconds = vec![("load".to_owned(), started.elapsed().as_secs_f64())];
    let started = Instant::now();
    let ranker = learn_ranker(&histories, &settings, &tell)?;
    let fitted = fit(&histories, &settings, &tell)?;
    seconds.push(("fit".to_owned(), started.elapsed().as_secs_f64()));
    let started = Instant::now();
    let (mut found, mut values) = (Vec::new(), Vec::new());
    for (name, lists) in fitted.lists(&settings.weights, ranker.as_ref(), &questions, histories.items, AT) {
        found.extend(rows(&name, &questions, &lists, histories.items, options.seed));
        let recall =
            lists.iter().zip(&questions).map(|(list, asked)| judge(list, &asked.targets, AT, Ideal::Reachable).recall);
        values.push((name, recall.collect::<Vec<f64>>()));
    }
    seconds.push(("ask".to_owned(), started.elapsed().as_secs_f64()));
    let main = format!("recall@{AT}");
    Ok(Report {
        task: options.task.as_str(),
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
        rows: found,
        leads: leads(&main, &values, options.seed),
        main,
        seconds,
    })
}
