//! What a customer's own history says.

use super::{Detail, HistoryOrder, Scratch, Signal};
use crate::fitted::Model;

/// Half-lives of the short and the long memory, in days.
const SHORT_DAYS: f32 = 15.0;
const LONG_DAYS: f32 = 240.0;
/// Products of a history that `taste` starts from: those that weigh most.
const TASTE_PRODUCTS: usize = 150;

fn faded(age_days: f32, half_life_days: f32) -> f32 {
    (-age_days.max(0.0) / half_life_days).exp2()
}

/// A customer's own frequency with exponential decay (the idea of recency groups in TIFU-kNN, Hu et al., SIGIR 2020), times how due
/// the product is: little right after it was bought, most at its usual interval.
pub(super) fn personal(model: &Model, history: &[HistoryOrder], scratch: &mut Scratch) {
    let half_life = model.settings.history_half_life_days.max(1.0);
    let sum = |half_life: f32| history.iter().map(|order| faded(order.age_days, half_life)).sum::<f32>();
    let (total, short, long) = (sum(half_life), sum(SHORT_DAYS).max(1e-12), sum(LONG_DAYS).max(1e-12));
    if total <= 0.0 {
        return;
    }
    let with_details = model.ranker.is_some();
    // Newest last: the last one that is seen of a product gives its age.
    let mut last_age: Vec<(u32, f32)> = Vec::new();
    for order in history {
        let weight = faded(order.age_days, half_life) / total;
        for (product, _) in &order.lines {
            scratch.add(*product, Signal::Personal, weight);
            last_age.push((*product, order.age_days));
            if with_details {
                scratch.add_detail(*product, Detail::PersonalNew, faded(order.age_days, SHORT_DAYS) / short);
                scratch.add_detail(*product, Detail::PersonalOld, faded(order.age_days, LONG_DAYS) / long);
                scratch.add_detail(*product, Detail::BoughtShare, 1.0 / history.len() as f32);
            }
        }
    }
    last_age.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    last_age.dedup_by_key(|entry| entry.0);
    for (product, age_days) in last_age {
        let due = due(model.repeat.interval_days(product), age_days);
        if let Some(candidate) = scratch.candidate(product) {
            if let Some(slot) = candidate.signals.get_mut(Signal::Personal as usize) {
                *slot *= due * (0.5 + model.repeat.repeat_rate(product));
            }
            for (detail, value) in [(Detail::LastAge, age_days.max(0.0).ln_1p()), (Detail::Due, due)] {
                if let Some(slot) = candidate.details.get_mut(detail as usize) {
                    *slot = value;
                }
            }
        }
    }
}

/// How due a product is: 0.4 right after it was bought, 1 at its usual interval, a little less long after.
pub fn due(interval_days: Option<f32>, age_days: f32) -> f32 {
    let Some(interval) = interval_days else { return 0.8 };
    let phase = (age_days / interval).max(0.0);
    if phase < 1.0 { 0.4 + 0.6 * phase } else { 0.7 + 0.3 * (-(phase - 1.0) / 3.0).exp() }
}

/// What buyers of the customer's products also buy; each product counts once, by its newest order.
pub(super) fn taste(model: &Model, history: &[HistoryOrder], scratch: &mut Scratch) {
    if model.similar.customers.is_empty() {
        return;
    }
    let half_life = model.settings.history_half_life_days.max(1.0);
    let mut bought: Vec<(u32, f32)> = history
        .iter()
        .flat_map(|order| order.lines.iter().map(|(product, _)| (*product, faded(order.age_days, half_life))))
        .collect();
    bought.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
    bought.dedup_by_key(|entry| entry.0);
    bought.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    for (product, weight) in bought.into_iter().take(TASTE_PRODUCTS) {
        for entry in model.similar.customers.row(product) {
            scratch.add(entry.product, Signal::Taste, weight * entry.weight);
        }
    }
}
