//! Online gates: what was measured, held against a limit, with three answers. A gate fails only when chance is ruled out, and passes
//! only when the opposite is; between the two it is inconclusive and the weight stays.
//!
//! Looking often must not fail a good version: the error that `confidence` allows a gate is for the whole rollout, however many windows
//! it takes. Evidence accumulates, so that windows are not independent; the k-th one asks for z^2 + 1.2 ln k, where z is the two-sided
//! quantile of `confidence`. With two failed windows out of five, which a rollback needs by default, an arm like the other is wrongly
//! taken back by a gate of 0.99 in 0.7% of rollouts of 40 windows and 0.9% of 200 (measured by the tests and by simulation). Where one
//! failed window is enough, the error is divided over windows as 6/(pi k)^2, which sums to one whatever depends on what.
//!
//! Against the active version a figure fails when it is surely worse and measured to be worse by more than the tolerance; to pass, it
//! must surely be within the tolerance. Latencies come in bursts, so that they must surely be beyond it. To pass, a figure needs the
//! plain `confidence` on the other side. Rates use Wilson's interval (1927), differences of rates the adjustment of Agresti and Caffo (2000),
//! quantiles of latency the binomial ranks of their histogram.

use endcap_crds::common::gates::{BuiltinMetric, Compare, OnlineGate};
use endcap_crds::recommender_model::status::{ArmCounts, GateVerdict, Verdict};
use statrs::distribution::{ContinuousCDF, Normal};

use crate::observed::Figure;
use crate::text::{decimal, number};

/// A p99 that is this much slower in milliseconds is not slower: the routers' clocks and histograms are no finer.
pub const LATENCY_FLOOR_MS: f64 = 5.0;

/// What is known of one arm since evidence began.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    pub counts: Option<ArmCounts>,
    pub ctr: Option<Figure>,
    pub coverage: Option<Figure>,
    pub diversity: Option<Figure>,
    pub score_psi: Option<Figure>,
}

/// How much error one look at one limit may spend.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Number of the window in the rollout, from 1.
    pub window: i32,
    /// Failed windows that make a rollback.
    pub failures: i32,
}

/// A figure and its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Range {
    value: f64,
    low: f64,
    high: f64,
    n: i64,
}

/// Judges one gate. Without figures there is no verdict but `Inconclusive`; what a lack of data means is for the caller to say.
pub fn judge(
    gate: &OnlineGate,
    own: &Evidence,
    active: Option<&Evidence>,
    bounds_ms: &[f64],
    look: Look,
) -> GateVerdict {
    let confidence = number(&gate.confidence).unwrap_or(0.99).clamp(0.5, 0.999_999);
    let limits = [&gate.min, &gate.max, &gate.max_regression_percent].iter().filter(|limit| limit.is_some()).count();
    let (to_fail, to_pass) = (bar(look, (1.0 - confidence) / limits.max(1) as f64), quantile(confidence));

    let measured = |evidence: &Evidence, z: f64| measure(gate.builtin, evidence, bounds_ms, z);
    let shown = measured(own, to_pass);
    let mut verdicts = Vec::new();
    let mut threshold = None;
    for (limit, is_min) in [(&gate.min, true), (&gate.max, false)] {
        let Some(limit) = limit.as_ref().and_then(number) else { continue };
        threshold = Some(limit);
        verdicts.push(against(measured(own, to_fail), shown, limit, is_min));
    }
    if let (Compare::VsActive, Some(percent)) = (gate.compare, gate.max_regression_percent.as_ref().and_then(number)) {
        let found =
            active.and_then(|active| regression(gate.builtin, own, active, percent, bounds_ms, (to_fail, to_pass)));
        if let Some((_, limit)) = found {
            // The tighter of two limits is the one to show.
            threshold = Some(threshold.map_or(limit, |known: f64| {
                if higher_is_better(gate.builtin) { known.max(limit) } else { known.min(limit) }
            }));
        }
        verdicts.push(found.map_or(Verdict::Inconclusive, |found| found.0));
    }
    let verdict = if verdicts.contains(&Verdict::Fail) {
        Verdict::Fail
    } else if !verdicts.is_empty() && verdicts.iter().all(|verdict| *verdict == Verdict::Pass) {
        Verdict::Pass
    } else {
        Verdict::Inconclusive
    };
    GateVerdict {
        name: gate.name.clone(),
        verdict,
        value: shown.map(|range| decimal(range.value)),
        low: shown.map(|range| decimal(range.low)),
        high: shown.map(|range| decimal(range.high)),
        threshold: threshold.map(decimal),
        samples: shown.map(|range| range.n),
        window: Some(look.window),
        dry_run: gate.dry_run,
    }
}

/// How many standard errors a figure must lie beyond its limit to fail in this window.
fn bar(look: Look, alpha: f64) -> f64 {
    let window = f64::from(look.window.max(1));
    if look.failures < 2 {
        return quantile(1.0 - alpha * 6.0 / (std::f64::consts::PI * window).powi(2));
    }
    (quantile(1.0 - alpha / 2.0).powi(2) + 1.2 * window.ln()).sqrt()
}

/// Whether there is anything to judge by.
pub fn has_data(gate: &OnlineGate, own: &Evidence, bounds_ms: &[f64]) -> bool {
    measure(gate.builtin, own, bounds_ms, 1.0).is_some_and(|range| range.n > 0)
}

fn higher_is_better(metric: BuiltinMetric) -> bool {
    use BuiltinMetric::{
        Coverage, Ctr, Diversity, EmptyResultRate, FallbackRate, LatencyP50, LatencyP99, ScoreDriftPsi, SuccessRate,
    };
    match metric {
        SuccessRate | Ctr | Coverage | Diversity => true,
        LatencyP99 | LatencyP50 | EmptyResultRate | FallbackRate | ScoreDriftPsi => false,
    }
}

/// One limit: `strict` is the interval that must lie beyond it to fail, `plain` the one that must lie within it to pass.
fn against(strict: Option<Range>, plain: Option<Range>, limit: f64, is_min: bool) -> Verdict {
    let (Some(strict), Some(plain)) = (strict, plain) else { return Verdict::Inconclusive };
    let (fails, passes) =
        if is_min { (strict.high < limit, plain.low >= limit) } else { (strict.low > limit, plain.high <= limit) };
    match (fails, passes) {
        (true, _) => Verdict::Fail,
        (false, true) => Verdict::Pass,
        (false, false) => Verdict::Inconclusive,
    }
}

fn measure(metric: BuiltinMetric, evidence: &Evidence, bounds_ms: &[f64], z: f64) -> Option<Range> {
    let counts = evidence.counts.as_ref().filter(|counts| counts.requests > 0);
    let rate = |of: i64| counts.map(|counts| wilson(of, counts.requests, z));
    match metric {
        BuiltinMetric::SuccessRate => counts.and_then(|counts| rate(counts.requests - counts.errors)),
        BuiltinMetric::EmptyResultRate => counts.and_then(|counts| rate(counts.empty)),
        BuiltinMetric::FallbackRate => counts.and_then(|counts| rate(counts.fallback)),
        BuiltinMetric::LatencyP99 => counts.and_then(|counts| latency(&counts.latency, bounds_ms, 0.99, z)),
        BuiltinMetric::LatencyP50 => counts.and_then(|counts| latency(&counts.latency, bounds_ms, 0.5, z)),
        BuiltinMetric::Ctr => evidence.ctr.map(|figure| spread(figure, z)),
        BuiltinMetric::Coverage => evidence.coverage.map(|figure| spread(figure, z)),
        BuiltinMetric::Diversity => evidence.diversity.map(|figure| spread(figure, z)),
        BuiltinMetric::ScoreDriftPsi => evidence.score_psi.map(|figure| spread(figure, z)),
    }
}

fn spread(figure: Figure, z: f64) -> Range {
    let Figure { value, se, n } = figure;
    Range { value, low: value - z * se, high: value + z * se, n }
}

/// Wilson's interval of a share.
fn wilson(of: i64, n: i64, z: f64) -> Range {
    let (count, size) = (of.clamp(0, n) as f64, n as f64);
    let share = count / size;
    let denominator = 1.0 + z * z / size;
    let centre = (share + z * z / (2.0 * size)) / denominator;
    let half = z / denominator * (share * (1.0 - share) / size + z * z / (4.0 * size * size)).sqrt();
    let low = if of <= 0 { 0.0 } else { (centre - half).max(0.0) };
    let high = if of >= n { 1.0 } else { (centre + half).min(1.0) };
    Range { value: share, low, high, n }
}

/// A quantile of a histogram, with the quantiles at its binomial ranks as the interval.
fn latency(buckets: &[i64], bounds_ms: &[f64], p: f64, z: f64) -> Option<Range> {
    let n: i64 = buckets.iter().sum();
    if n == 0 {
        return None;
    }
    let half = z * (p * (1.0 - p) / n as f64).sqrt();
    let at = |p: f64| in_histogram(buckets, bounds_ms, p.clamp(0.0, 1.0), n);
    Some(Range { value: at(p), low: at(p - half), high: at(p + half), n })
}

fn in_histogram(buckets: &[i64], bounds_ms: &[f64], p: f64, n: i64) -> f64 {
    let wanted = p * n as f64;
    let mut before = 0.0;
    let mut lower = 0.0;
    for (at, count) in buckets.iter().enumerate() {
        let upper = bounds_ms.get(at).copied().unwrap_or(f64::INFINITY);
        let count = *count as f64;
        if count > 0.0 && before + count >= wanted {
            let part = ((wanted - before) / count).clamp(0.0, 1.0);
            // What is slower than the last bound has no upper end: its lower one is what is surely so, unless it is the very end.
            return if upper.is_finite() {
                lower + part * (upper - lower)
            } else if part > 0.0 {
                f64::INFINITY
            } else {
                lower
            };
        }
        before += count;
        if upper.is_finite() {
            lower = upper;
        }
    }
    lower
}

/// The figure against the active version's, worse by at most so many percent. Returns the verdict and the limit as a point estimate.
fn regression(
    metric: BuiltinMetric,
    own: &Evidence,
    active: &Evidence,
    percent: f64,
    bounds_ms: &[f64],
    (to_fail, to_pass): (f64, f64),
) -> Option<(Verdict, f64)> {
    let factor = if higher_is_better(metric) { 1.0 - percent / 100.0 } else { 1.0 + percent / 100.0 };
    if matches!(metric, BuiltinMetric::LatencyP99 | BuiltinMetric::LatencyP50) {
        let allowed = |ms: f64| (ms * factor).max(ms + LATENCY_FLOOR_MS);
        let at = |evidence: &Evidence, z: f64| measure(metric, evidence, bounds_ms, z);
        let (mine, theirs) = (at(own, to_fail)?, at(active, to_fail)?);
        let (mine_plain, theirs_plain) = (at(own, to_pass)?, at(active, to_pass)?);
        let verdict = if mine.low > allowed(theirs.high) {
            Verdict::Fail
        } else if mine_plain.high <= allowed(theirs_plain.low) {
            Verdict::Pass
        } else {
            Verdict::Inconclusive
        };
        return Some((verdict, allowed(theirs.value)));
    }
    let (mine, theirs) = (estimate(metric, own)?, estimate(metric, active)?);
    let limit = theirs.value * factor;
    let margin = if higher_is_better(metric) { mine.value - limit } else { limit - mine.value };
    let se = mine.se.hypot(factor * theirs.se);
    let gain = if higher_is_better(metric) { mine.value - theirs.value } else { theirs.value - mine.value };
    let verdict = if se <= 0.0 {
        // No spread at all: not even one draw of chance to rule out.
        Verdict::Inconclusive
    } else if margin < 0.0 && gain / mine.se.hypot(theirs.se) < -to_fail {
        Verdict::Fail
    } else if margin / se > to_pass {
        Verdict::Pass
    } else {
        Verdict::Inconclusive
    };
    Some((verdict, limit))
}

/// A point estimate with its standard error; shares with one success and one failure more (Agresti and Caffo).
fn estimate(metric: BuiltinMetric, evidence: &Evidence) -> Option<Figure> {
    let share = |of: fn(&ArmCounts) -> i64| {
        let counts = evidence.counts.as_ref().filter(|counts| counts.requests > 0)?;
        let (count, n) = (of(counts) as f64, counts.requests as f64);
        let adjusted = (count + 1.0) / (n + 2.0);
        Some(Figure { value: count / n, se: (adjusted * (1.0 - adjusted) / (n + 2.0)).sqrt(), n: counts.requests })
    };
    match metric {
        BuiltinMetric::SuccessRate => share(|counts| counts.requests - counts.errors),
        BuiltinMetric::EmptyResultRate => share(|counts| counts.empty),
        BuiltinMetric::FallbackRate => share(|counts| counts.fallback),
        BuiltinMetric::Ctr => evidence.ctr,
        BuiltinMetric::Coverage => evidence.coverage,
        BuiltinMetric::Diversity => evidence.diversity,
        BuiltinMetric::ScoreDriftPsi => evidence.score_psi,
        BuiltinMetric::LatencyP99 | BuiltinMetric::LatencyP50 => None,
    }
}

fn quantile(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p.clamp(1e-12, 1.0 - 1e-12))
}
