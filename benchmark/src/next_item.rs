//! The next item of each user.

use std::path::Path;
use std::time::Instant;

use endcap_methods::format::{self, Sequences};
use endcap_methods::measure::{Ideal, judge};
use endcap_methods::protocol::next_item::{AT, hold_out, rows};
use endcap_methods::suite::next_item::{NextItemSettings, fit, tune as choose};

use crate::program::settings_of;
use crate::read::File;
use crate::report::{Report, Settings, leads};
use crate::{BenchmarkError, EvaluateOptions};

const FILE: &str = "name a file of the layout Sequences: a line a user, `user item item ...`, oldest first";

const PROTOCOL: &str = "each user's last item is asked for, where three or more are known; every item is ranked but those that the user \
had; NDCG with one target; ties to the smaller item id; 95% intervals by bootstrap over users (1,000 resamples); settings and weights are \
chosen on each user's second last item";

/// Sequences, and beside NAME.txt the attributes of NAME_item2attributes.json where there is such a file.
fn read(path: &Path) -> Result<Sequences, BenchmarkError> {
    let file = File::open(path, FILE)?;
    let stem = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let beside = path.with_file_name(format!("{stem}_item2attributes.json"));
    let attributes = if beside.is_file() { Some(File::open(&beside, FILE)?) } else { None };
    Ok(format::sequences(file.as_text(), attributes.as_ref().map(File::as_text))?)
}

/// What a long fit tells goes to the error stream.
pub(crate) fn tell(line: &str) {
    eprintln!("{line}");
}

/// Chooses weights on the second last items. The last items are cut off before anything is fitted.
pub fn tune(data: &Path) -> Result<String, BenchmarkError> {
    let read = read(data)?;
    let (train, _) = hold_out(&read.histories);
    let chosen = choose(&train, &read.attributes, &NextItemSettings::default(), &tell)?;
    serde_json::to_string_pretty(&chosen).map_err(|source| BenchmarkError::Json { what: "the settings", source })
}

pub fn evaluate(options: &EvaluateOptions) -> Result<Report, BenchmarkError> {
    let started = Instant::now();
    let Sequences { histories, attributes, items } = read(&options.data)?;
    let (settings, chosen): (NextItemSettings, String) = settings_of(options)?;
    let (train, questions) = hold_out(&histories);
    let mut seconds = vec![("load".to_owned(), started.elapsed().as_secs_f64())];
    let started = Instant::now();
    let fitted = fit(&train, &attributes, &settings, &tell)?;
    seconds.push(("fit".to_owned(), started.elapsed().as_secs_f64()));
    let started = Instant::now();
    let (mut found, mut values) = (Vec::new(), Vec::new());
    for (name, lists) in fitted.lists(&settings.weights, None, &questions, histories.items, AT) {
        found.extend(rows(&name, &questions, &lists, histories.items, options.seed));
        let ndcg =
            lists.iter().zip(&questions).map(|(list, asked)| judge(list, &asked.targets, AT, Ideal::Reachable).ndcg);
        values.push((name, ndcg.collect::<Vec<f64>>()));
    }
    seconds.push(("ask".to_owned(), started.elapsed().as_secs_f64()));
    let main = format!("ndcg@{AT}");
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
