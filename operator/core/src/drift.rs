//! Drift: facts of one window in, a judgement out. A signal drifts when the effect is large, larger than what the sample size alone
//! explains, and still so among all signals that were tested (Benjamini and Hochberg, 1995). One window proves nothing: hysteresis is
//! for the trigger.

use endcap_crds::reasons::{condition, event};
use endcap_crds::recommender_model::monitoring::{Monitoring, Signal as Kind, Statistic};
use endcap_crds::recommender_model::status::{DriftStatus, WorstDrift};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use statrs::distribution::{ChiSquared, ContinuousCDF, Normal};

use crate::conditions::{self, Said};
use crate::decide::Deciding;
use crate::observed::Figure;
use crate::plan::About;
use crate::text::{decimal, number};

/// Population stability index that counts as drift when the policy names none.
pub const PSI_LIMIT: f64 = 0.2;
/// Kolmogorov-Smirnov distance that counts as drift when the policy names none.
pub const KS_LIMIT: f64 = 0.1;
/// False discoveries among the signals of a window.
pub const FALSE_DISCOVERY_RATE: f64 = 0.01;
const SAMPLES: i64 = 500;

/// What insights measured over one window.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    pub version: String,
    pub from: Timestamp,
    pub to: Timestamp,
    pub signals: Vec<Signal>,
    pub ctr: Option<Change>,
    pub coverage: Option<Change>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    pub kind: Kind,
    pub feature: Option<String>,
    pub statistic: Statistic,
    pub value: f64,
    /// The rate in the reference, of rates.
    pub reference: Option<f64>,
    pub n_ref: i64,
    pub n_cur: i64,
    /// Bins of a PSI.
    pub bins: i32,
}

/// A figure now and before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    pub now: Figure,
    pub before: Figure,
}

/// What a window says.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    pub is_drifted: bool,
    /// Name, statistic, value, limit: of those that drifted the one furthest beyond its limit, else the one nearest to it.
    pub worst: Option<(String, &'static str, f64, f64)>,
    pub samples: i64,
}

struct Tested {
    name: String,
    statistic: &'static str,
    value: f64,
    limit: f64,
    p: f64,
    /// Beyond its limit, whatever chance says.
    is_large: bool,
}

/// Judges one window.
pub fn judge(window: &Window, monitoring: &Monitoring) -> Judged {
    let mut tested: Vec<Tested> = window.signals.iter().filter_map(|signal| test(signal, monitoring)).collect();
    let drops = [("ctr", window.ctr, &monitoring.ctr), ("coverage", window.coverage, &monitoring.coverage)];
    tested.extend(
        drops
            .into_iter()
            .filter_map(|(name, change, limit)| drop_of(name, change?, limit.max_drop_percent, limit.min_samples)),
    );
    let significant = benjamini_hochberg(&tested.iter().map(|one| one.p).collect::<Vec<_>>(), FALSE_DISCOVERY_RATE);
    let verdicts: Vec<(bool, &Tested)> =
        tested.iter().zip(significant).map(|(one, significant)| (one.is_large && significant, one)).collect();
    let is_drifted = verdicts.iter().any(|verdict| verdict.0);
    let beyond = |one: &Tested| one.value / one.limit.max(1e-9);
    let worst =
        verdicts.iter().filter(|verdict| verdict.0 == is_drifted).max_by(|a, b| beyond(a.1).total_cmp(&beyond(b.1)));
    let of_signals = window.signals.iter().map(|signal| signal.n_cur).max().unwrap_or(0);
    Judged {
        is_drifted,
        worst: worst.map(|(_, one)| (one.name.clone(), one.statistic, one.value, one.limit)),
        samples: of_signals.max(window.ctr.map_or(0, |change| change.now.n)),
    }
}

fn test(signal: &Signal, monitoring: &Monitoring) -> Option<Tested> {
    let wanted = monitoring.drift.iter().find(|wanted| {
        wanted.signal == signal.kind
            && wanted.statistic == signal.statistic
            && wanted.feature.as_ref().is_none_or(|feature| Some(feature.as_str()) == signal.feature.as_deref())
    });
    // A list of signals is the whole list.
    if wanted.is_none() && !monitoring.drift.is_empty() {
        return None;
    }
    if signal.n_cur < wanted.map_or(SAMPLES, |wanted| wanted.min_samples) || signal.n_cur <= 0 {
        return None;
    }
    let limit = wanted.and_then(|wanted| wanted.threshold.as_ref()).and_then(number);
    let name = signal.feature.clone().unwrap_or_else(|| format!("{:?}", signal.kind));
    let (n_ref, n_cur) = (signal.n_ref.max(1) as f64, signal.n_cur as f64);
    Some(match signal.statistic {
        Statistic::Psi => {
            let freedom = f64::from((signal.bins - 1).max(1));
            let scale = 1.0 / n_ref + 1.0 / n_cur;
            let chi = ChiSquared::new(freedom).ok()?;
            let limit = limit.unwrap_or(PSI_LIMIT).max(chi.inverse_cdf(0.999) * scale);
            let p = chi.sf(signal.value / scale);
            Tested { name, statistic: "psi", value: signal.value, limit, p, is_large: signal.value > limit }
        }
        Statistic::Ks => {
            let limit = limit.unwrap_or(KS_LIMIT);
            let p = kolmogorov(signal.value, n_ref * n_cur / (n_ref + n_cur));
            Tested { name, statistic: "ks", value: signal.value, limit, p, is_large: signal.value > limit }
        }
        Statistic::Rate => {
            let before = signal.reference?;
            let limit = limit.unwrap_or((2.0 * before).max(before + 0.01));
            let pooled = ((before * n_ref + signal.value * n_cur) / (n_ref + n_cur)).clamp(1e-9, 1.0 - 1e-9);
            let se = (pooled * (1.0 - pooled) * (1.0 / n_ref + 1.0 / n_cur)).sqrt();
            let p = Normal::standard().sf((signal.value - before) / se);
            Tested { name, statistic: "rate", value: signal.value, limit, p, is_large: signal.value > limit }
        }
    })
}

/// A relative drop against what was before; the value is the drop in percent.
fn drop_of(name: &str, change: Change, max_percent: i32, samples: i64) -> Option<Tested> {
    let Change { now, before } = change;
    if now.n < samples || before.value <= 0.0 {
        return None;
    }
    let drop = 100.0 * (before.value - now.value) / before.value;
    let se = now.se.hypot(before.se);
    let p = if se > 0.0 { Normal::standard().sf((before.value - now.value) / se) } else { 1.0 };
    let limit = f64::from(max_percent);
    Some(Tested { name: name.to_owned(), statistic: "drop_percent", value: drop, limit, p, is_large: drop > limit })
}

/// Which of some p-values stand when so many were tested.
pub fn benjamini_hochberg(p: &[f64], rate: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    let value = |at: usize| p.get(at).copied().unwrap_or(1.0);
    order.sort_by(|a, b| value(*a).total_cmp(&value(*b)));
    let count = order.iter().enumerate().filter(|(rank, at)| value(**at) <= rate * (rank + 1) as f64 / p.len() as f64);
    let cut = count.map(|(rank, _)| rank + 1).max().unwrap_or(0);
    let mut stands = vec![false; p.len()];
    for at in order.into_iter().take(cut) {
        if let Some(slot) = stands.get_mut(at) {
            *slot = true;
        }
    }
    stands
}

/// Tail of the Kolmogorov distribution, with the correction of Stephens (1970) for samples that are not large.
fn kolmogorov(distance: f64, n: f64) -> f64 {
    let root = n.sqrt();
    let x = (root + 0.12 + 0.11 / root) * distance;
    let sum: f64 = (1..=100)
        .map(|k: i32| {
            let sign = if k % 2 == 1 { 2.0 } else { -2.0 };
            sign * (-2.0 * f64::from(k).powi(2) * x * x).exp()
        })
        .sum();
    sum.clamp(0.0, 1.0)
}

/// Folds the newest window into the status, once.
pub(crate) fn look(cx: &mut Deciding<'_>) {
    let Some(active) = cx.active().map(str::to_owned) else { return };
    let mut drift = cx.plan.status.drift.clone().unwrap_or_default();
    let window = cx.seen.insights.as_ref().and_then(|insights| insights.drift.clone());
    let Some(window) = window.filter(|window| window.version == active) else { return };
    if drift.last_checked_at.as_ref().is_some_and(|last| last.0 >= window.to) {
        return;
    }
    let monitoring = &cx.seen.model.spec.monitoring;
    let judged = judge(&window, monitoring);
    let before = drift.consecutive.unwrap_or(0);
    // What was measured before the active version served everybody speaks of another one.
    let is_settling = cx.plan.status.rollout.is_some() || cx.running_experiment.is_some();
    let consecutive = if judged.is_drifted && !is_settling { before + 1 } else { 0 };
    drift = DriftStatus {
        last_checked_at: Some(Time(window.to)),
        worst: judged.worst.as_ref().map(|(name, stat, value, limit)| WorstDrift {
            name: name.as_str().into(),
            stat: (*stat).into(),
            value: decimal(*value),
            threshold: decimal(*limit),
        }),
        consecutive: Some(consecutive),
        samples: Some(judged.samples),
    };
    let needed = cx.seen.model.spec.retraining.on_drift.consecutive_windows;
    let text = judged.worst.map_or_else(
        || format!("nothing could be judged: {} samples", judged.samples),
        |(name, stat, value, limit)| {
            format!(
                "{name} {stat} {value:.3} (limit {limit:.3}), {consecutive} of {needed} windows, n={}",
                judged.samples
            )
        },
    );
    let is_detected = consecutive >= needed;
    if is_detected && before < needed {
        cx.plan.warn(About::Model, event::DRIFT_DETECTED, text.clone());
    }
    let why = if is_detected { "Drifted" } else { "WithinLimits" };
    let said = Said::new(condition::DRIFT_DETECTED, is_detected, why, text);
    conditions::set(&mut cx.plan.status.conditions, &said, cx.seen.model.generation, cx.now);
    cx.plan.status.drift = Some(drift);
}
