//! Association rules, counted exactly.

use std::time::Instant;

use endcap_methods::format;
use endcap_methods::measure::Row;
use endcap_methods::rules::{frequent_itemsets, rules};

use crate::read::File;
use crate::report::{Report, Settings};
use crate::{BenchmarkError, EvaluateOptions};

/// What a rule must reach.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Threshold {
    /// Share of the baskets that hold all of its items.
    pub support: f64,
    pub confidence: f64,
    /// Items on both sides together; 1 allows an empty left side.
    pub items: usize,
}

impl std::str::FromStr for Threshold {
    type Err = String;

    /// `support/confidence` or `support/confidence/items`.
    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        let share = |text: &str| text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
        let found = match parts.as_slice() {
            [support, confidence] => share(support).zip(share(confidence)).map(|both| (both, 1)),
            [support, confidence, items] => share(support).zip(share(confidence)).zip(items.parse().ok()),
            _ => None,
        };
        let ((support, confidence), items) =
            found.ok_or("write support/confidence/items, such as 0.006/0.25/2; shares are from 0 to 1")?;
        if support <= 0.0 {
            return Err("a support of 0 asks for every set of items there could be: write a share above 0".to_owned());
        }
        Ok(Self { support, confidence, items })
    }
}

/// No basket has more items that are worth a set of their own.
const MOST_ITEMS: usize = 32;

const PROTOCOL: &str = "baskets as sets of items; itemsets of any length whose share of the baskets is at least the support, by exact \
count; rules with one item on the right whose confidence is at least the threshold; nothing is sampled or approximated";

pub fn evaluate(options: &EvaluateOptions) -> Result<Report, BenchmarkError> {
    let path = if options.data.is_dir() { options.data.join("baskets.csv") } else { options.data.clone() };
    if let Some(tuned) = &options.tuned {
        return Err(BenchmarkError::Option {
            what: "--tuned",
            value: tuned.display().to_string(),
            remedy: "counting has no settings: leave it out, and choose with --threshold",
        });
    }
    let file = File::open(&path, "name a file with one basket a line, or a folder with baskets.csv")?;
    let read = format::rules(file.as_text())?;
    let started = Instant::now();
    let mut rows = Vec::new();
    for threshold in &options.thresholds {
        let itemsets = frequent_itemsets(&read.baskets, threshold.support, MOST_ITEMS);
        let found = rules(&itemsets, read.baskets.len(), threshold.confidence, threshold.items);
        let longest = itemsets.iter().map(|set| set.items.len()).max().unwrap_or(0);
        let model =
            format!("support {} confidence {} items {}", threshold.support, threshold.confidence, threshold.items);
        for (metric, value) in [("rules", found.len()), ("itemsets", itemsets.len()), ("longest", longest)] {
            let value = value as f64;
            rows.push(Row {
                model: model.clone(),
                metric: metric.to_owned(),
                value,
                low: value,
                high: value,
                n: read.baskets.len() as u64,
            });
        }
    }
    Ok(Report {
        task: options.task.as_str(),
        main: "rules".to_owned(),
        settings: Settings {
            seed: options.seed,
            threads: options.threads,
            questions: options.thresholds.len() as u64,
            users: read.baskets.len() as u64,
            items: read.items.len() as u64,
            protocol: PROTOCOL,
            chosen: "as given".to_owned(),
            methods: serde_json::to_value(&options.thresholds)
                .map_err(|source| BenchmarkError::Json { what: "the thresholds", source })?,
        },
        rows,
        leads: Vec::new(),
        seconds: vec![("count".to_owned(), started.elapsed().as_secs_f64())],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_read_and_refused_with_a_remedy() {
        let read = |text: &str| text.parse::<Threshold>();
        assert_eq!(read("0.01/0.5"), Ok(Threshold { support: 0.01, confidence: 0.5, items: 1 }));
        assert_eq!(read("0.01/0.5/2"), Ok(Threshold { support: 0.01, confidence: 0.5, items: 2 }));
        assert!(read("0/0.5").unwrap_err().contains("write a share above 0"));
        for wrong in ["0.1", "1.5/0.5", "0.1/x", "0.1/0.2/-1", "1/1/1/1"] {
            assert!(read(wrong).unwrap_err().contains("support/confidence/items"), "{wrong}");
        }
    }
}
