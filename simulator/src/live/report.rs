//! What live shopping saw.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use endcap_recommender::request::Placement;
use endcap_recommender::response::RecommendationResponse;
use hdrhistogram::Histogram;
use rust_decimal::Decimal;
use serde::Serialize;

use super::client::{Failure, Outcome};
use crate::shopper::{Reaction, Suggestion};

/// What was shown, and what the shoppers did about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Answers.
    pub requests: u64,
    /// Items in them.
    pub shown: u64,
    pub accepted: u64,
    pub clicked: u64,
    pub declined: u64,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    pub calls: u64,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LiveReport {
    pub elapsed_s: f64,
    pub visits_started: u64,
    pub visits_finished: u64,
    /// Begun while too many others were in the shop, and turned away.
    pub visits_dropped: u64,
    pub recommendations: Tally,
    /// Answers without an item.
    pub empty_answers: u64,
    /// Answers by another rung of the ladder, by why.
    pub degraded: BTreeMap<String, u64>,
    /// Calls without an answer, by reason.
    pub recommendation_errors: BTreeMap<String, u64>,
    pub by_version: BTreeMap<String, Tally>,
    pub by_arm: BTreeMap<String, Tally>,
    pub by_placement: BTreeMap<String, Tally>,
    /// By kind of item; `requests` stays 0.
    pub by_kind: BTreeMap<String, Tally>,
    /// Items that the world does not know.
    pub unknown_items: u64,
    pub events_accepted: u64,
    pub events_duplicate: u64,
    pub events_rejected: u64,
    /// Events that were given up, by reason.
    pub events_failed: BTreeMap<String, u64>,
    pub orders: u64,
    pub units: u64,
    /// Money of all orders.
    pub revenue: Decimal,
    pub recommendation_latency: Latency,
    pub event_latency: Latency,
    /// What was said at the first error, for whoever has to find it.
    pub first_error: Option<String>,
    pub first_rejection: Option<String>,
}

impl LiveReport {
    pub fn errors(&self) -> u64 {
        self.recommendation_errors.values().sum::<u64>() + self.events_failed.values().sum::<u64>()
    }
}

struct Inner {
    report: LiveReport,
    /// Microseconds, three digits.
    recommendation_us: Option<Histogram<u64>>,
    event_us: Option<Histogram<u64>>,
}

/// Microseconds up to a minute. (Without bounds it would keep its first range: what is recorded with saturation does not widen it.)
fn histogram() -> Option<Histogram<u64>> {
    Histogram::new_with_bounds(1, 60_000_000, 3).ok()
}

impl Default for Inner {
    fn default() -> Self {
        Self { report: LiveReport::default(), recommendation_us: histogram(), event_us: histogram() }
    }
}

#[derive(Default)]
pub(super) struct Recorder(Mutex<Inner>);

fn note(histogram: &mut Option<Histogram<u64>>, took: Duration) {
    if let Some(histogram) = histogram {
        histogram.saturating_record(took.as_micros().max(1) as u64);
    }
}

fn summary(histogram: Option<&Histogram<u64>>) -> Latency {
    let Some(histogram) = histogram else { return Latency::default() };
    let ms = |us: u64| us as f64 / 1_000.0;
    Latency {
        calls: histogram.len(),
        p50_ms: ms(histogram.value_at_quantile(0.5)),
        p95_ms: ms(histogram.value_at_quantile(0.95)),
        p99_ms: ms(histogram.value_at_quantile(0.99)),
        max_ms: ms(histogram.max()),
    }
}

impl Recorder {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn visit_started(&self) {
        self.inner().report.visits_started += 1;
    }

    pub fn visit_finished(&self) {
        self.inner().report.visits_finished += 1;
    }

    pub fn visit_dropped(&self) {
        self.inner().report.visits_dropped += 1;
    }

    pub fn no_answer(&self, took: Duration, failed: Failure) {
        let mut inner = self.inner();
        note(&mut inner.recommendation_us, took);
        inner.report.first_error.get_or_insert(format!("{}: {}", failed.reason, failed.detail));
        *inner.report.recommendation_errors.entry(failed.reason).or_default() += 1;
    }

    pub fn answer(&self, took: Duration, placement: Placement, answer: &RecommendationResponse) {
        let mut inner = self.inner();
        note(&mut inner.recommendation_us, took);
        let report = &mut inner.report;
        report.empty_answers += u64::from(answer.items.is_empty());
        if let Some(degraded) = &answer.degraded {
            *report.degraded.entry(degraded.why.clone()).or_default() += 1;
        }
        let shown = answer.items.len() as u64;
        for_each_tally(report, placement, answer, |tally| {
            tally.requests += 1;
            tally.shown += shown;
        });
    }

    pub fn reactions(
        &self,
        placement: Placement,
        answer: &RecommendationResponse,
        suggestions: &[Suggestion],
        reactions: &[Reaction],
    ) {
        let mut inner = self.inner();
        let report = &mut inner.report;
        report.unknown_items += (answer.items.len().saturating_sub(suggestions.len())) as u64;
        for (suggestion, reaction) in suggestions.iter().zip(reactions) {
            let count = |tally: &mut Tally| match reaction {
                Reaction::Accepted { .. } => tally.accepted += 1,
                Reaction::Clicked => tally.clicked += 1,
                Reaction::Declined => tally.declined += 1,
                Reaction::Passed | Reaction::Unseen => {}
            };
            for_each_tally(report, placement, answer, count);
            let kind = serde_json::to_value(suggestion.kind).ok().and_then(|kind| kind.as_str().map(str::to_owned));
            let tally = report.by_kind.entry(kind.unwrap_or_default()).or_default();
            tally.shown += 1;
            count(tally);
        }
    }

    pub fn events(&self, took: Duration, count: u64, outcome: Result<Outcome, Failure>) {
        let mut inner = self.inner();
        note(&mut inner.event_us, took);
        let report = &mut inner.report;
        match outcome {
            Ok(outcome) => {
                report.events_accepted += outcome.accepted;
                report.events_duplicate += outcome.duplicates;
                report.events_rejected += outcome.rejected;
                if outcome.rejected > 0 && report.first_rejection.is_none() {
                    report.first_rejection = outcome.first_rejection();
                }
            }
            Err(failed) => {
                report.first_error.get_or_insert(format!("{}: {}", failed.reason, failed.detail));
                *report.events_failed.entry(failed.reason).or_default() += count;
            }
        }
    }

    pub fn order(&self, units: u64, money: Decimal) {
        let mut inner = self.inner();
        inner.report.orders += 1;
        inner.report.units += units;
        inner.report.revenue += money;
    }

    pub fn report(&self, elapsed: Duration) -> LiveReport {
        let inner = self.inner();
        LiveReport {
            elapsed_s: elapsed.as_secs_f64(),
            recommendation_latency: summary(inner.recommendation_us.as_ref()),
            event_latency: summary(inner.event_us.as_ref()),
            ..inner.report.clone()
        }
    }
}

fn for_each_tally(
    report: &mut LiveReport,
    placement: Placement,
    answer: &RecommendationResponse,
    count: impl Fn(&mut Tally),
) {
    count(&mut report.recommendations);
    count(report.by_version.entry(answer.version.clone()).or_default());
    count(report.by_placement.entry(placement.as_str().to_owned()).or_default());
    if let Some(arm) = &answer.arm {
        count(report.by_arm.entry(arm.clone()).or_default());
    }
}
