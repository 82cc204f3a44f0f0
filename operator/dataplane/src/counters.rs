//! Sums of what routers count, across their restarts.

use std::collections::BTreeMap;

use endcap_crds::recommender_model::status::ArmCounts;
use endcap_operator_core::observed::Counters;
use serde_json::Value;

/// Requests, errors, fallbacks, empty answers and latency buckets by arm and version.
type ByArm = BTreeMap<(String, String), Vec<i64>>;

/// What was counted since this program began. Another start begins another series, which the core is told by its name.
#[derive(Debug)]
pub struct Sums {
    epoch: String,
    /// By router: the start that its counts belong to, and the counts of it that are in the sums.
    known: BTreeMap<String, (String, ByArm)>,
    totals: ByArm,
    bounds: Vec<f64>,
}

impl Default for Sums {
    fn default() -> Self {
        Self {
            epoch: uuid::Uuid::new_v4().to_string(),
            known: BTreeMap::new(),
            totals: BTreeMap::new(),
            bounds: Vec::new(),
        }
    }
}

impl Sums {
    /// Adds what is new in the routers' reports.
    pub fn add(&mut self, reports: &[(String, Value)]) -> Counters {
        for (router, report) in reports {
            let start = report.get("start_id").and_then(Value::as_str).unwrap_or_default();
            let before = self
                .known
                .remove(router)
                .filter(|(known, _)| known == start)
                .map(|(_, counts)| counts)
                .unwrap_or_default();
            let mut now = BTreeMap::new();
            for arm in report.get("arms").and_then(Value::as_array).into_iter().flatten() {
                let text = |key: &str| arm.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                let number = |key: &str| arm.get(key).and_then(Value::as_i64).unwrap_or(0);
                let buckets = arm
                    .pointer("/latency/buckets")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_i64);
                let counts: Vec<i64> =
                    ["requests", "errors", "fallback", "empty"].into_iter().map(number).chain(buckets).collect();
                if let Some(bounds) = arm.pointer("/latency/le_ms").and_then(Value::as_array) {
                    self.bounds = bounds.iter().filter_map(Value::as_f64).collect();
                }
                let key = (text("arm"), text("version"));
                let sum = self.totals.entry(key.clone()).or_default();
                sum.resize(counts.len().max(sum.len()), 0);
                let old = before.get(&key);
                for (at, (sum, count)) in sum.iter_mut().zip(&counts).enumerate() {
                    *sum += (count - old.and_then(|old| old.get(at)).unwrap_or(&0)).max(0);
                }
                now.insert(key, counts);
            }
            self.known.insert(router.clone(), (start.to_owned(), now));
        }
        let arms = self.totals.iter().map(|((arm, version), counts)| {
            let at = |place: usize| counts.get(place).copied().unwrap_or(0);
            ArmCounts {
                arm: arm.as_str().into(),
                version: version.as_str().into(),
                requests: at(0),
                errors: at(1),
                fallback: at(2),
                empty: at(3),
                latency: counts.iter().skip(4).copied().collect(),
            }
        });
        Counters { epoch: self.epoch.clone(), bounds_ms: self.bounds.clone(), arms: arms.collect() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn report(start: &str, requests: i64) -> Value {
        json!({"start_id": start, "arms": [{"arm": "active", "version": "s-v1", "requests": requests, "errors": 0, "fallback": 0, "empty": 0,
            "latency": {"le_ms": [1.0], "buckets": [requests, 0]}}]})
    }

    #[test]
    fn sums_rise_over_restarts_and_never_twice() {
        let mut sums = Sums::default();
        let first = sums.add(&[("a".to_owned(), report("1", 10)), ("b".to_owned(), report("9", 5))]);
        assert_eq!(first.arms.first().unwrap().requests, 15);
        assert_eq!(sums.add(&[("a".to_owned(), report("1", 12))]).arms.first().unwrap().requests, 17);
        let later = sums.add(&[("a".to_owned(), report("2", 3)), ("b".to_owned(), report("9", 6))]);
        assert_eq!(later.arms.first().unwrap().requests, 21);
        assert_eq!(later.arms.first().unwrap().latency, [21, 0]);
        assert_eq!(later.epoch, first.epoch);
    }
}
