//! What an evaluation found, in one shape for all tasks.

use endcap_methods::measure::{Interval, Row, paired};
use serde::Serialize;

/// The whole report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub task: &'static str,
    /// What models are compared by.
    pub main: String,
    pub settings: Settings,
    pub rows: Vec<Row>,
    /// What the last model has over each other one, on the same questions.
    pub leads: Vec<Lead>,
    pub seconds: Vec<(String, f64)>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Settings {
    pub seed: i64,
    pub threads: usize,
    pub questions: u64,
    pub users: u64,
    pub items: u64,
    pub protocol: &'static str,
    /// Where the methods' settings come from.
    pub chosen: String,
    pub methods: serde_json::Value,
}

/// A paired difference with its 95% interval.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lead {
    pub model: String,
    pub against: String,
    pub metric: String,
    pub difference: f64,
    pub low: f64,
    pub high: f64,
}

impl Lead {
    pub fn new(model: &str, against: &str, metric: &str, own: &[f64], other: &[f64], seed: i64) -> Self {
        let (difference, Interval { low, high }) = paired(own, other, seed);
        Self { model: model.to_owned(), against: against.to_owned(), metric: metric.to_owned(), difference, low, high }
    }
}

impl Report {
    /// Models in the order of their first row.
    pub fn models(&self) -> Vec<&str> {
        in_order(self.rows.iter().map(|row| row.model.as_str()))
    }

    /// Metrics in the order of their first row.
    pub fn metrics(&self) -> Vec<&str> {
        in_order(self.rows.iter().map(|row| row.metric.as_str()))
    }

    pub fn find(&self, model: &str, metric: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.model == model && row.metric == metric)
    }
}

fn in_order<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut all: Vec<&str> = Vec::new();
    for name in names {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

/// Leads of the last of `values` over the others: names with one value a question.
pub fn leads(metric: &str, values: &[(String, Vec<f64>)], seed: i64) -> Vec<Lead> {
    let Some(((own, best), others)) = values.split_last() else { return Vec::new() };
    others.iter().map(|(name, other)| Lead::new(own, name, metric, best, other, seed)).collect()
}

/// A number of 4 digits, whole where it is a count.
pub fn number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() >= 2.0 { format!("{value:.0}") } else { format!("{:.4}", value + 0.0) }
}

#[cfg(test)]
mod tests {
    use endcap_methods::measure::mean;

    use super::*;

    #[test]
    fn the_last_model_leads_by_what_it_has_more() {
        let values = vec![("a".to_owned(), vec![0.0, 1.0]), ("b".to_owned(), vec![1.0, 1.0])];
        let found = leads("m", &values, 1);
        let [lead] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((lead.model.as_str(), lead.against.as_str(), lead.metric.as_str()), ("b", "a", "m"));
        assert!((lead.difference - 0.5).abs() < 1e-12 && (mean(&[lead.low, lead.high]) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn counts_are_whole() {
        assert_eq!([number(410.0), number(0.5), number(1.0)], ["410", "0.5000", "1.0000"]);
    }
}
