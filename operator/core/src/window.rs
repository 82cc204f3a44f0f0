//! Windows: when gates are looked at, and what they see. Evidence is counted from the step's beginning; a window closes at the later
//! of the policy's interval and its number of requests of the candidate, counted since the window was opened.

use endcap_crds::common::gates::OnlineGate;
use endcap_crds::promotion_policy::online::{NoData, Online};
use endcap_crds::recommender_model::status::{ArmCounts, GateVerdict, GateWindow, Verdict};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::gates::{Evidence, Look, has_data, judge};
use crate::observed::{Counters, Insights, after, span};

/// Who is judged against whom.
#[derive(Debug, Clone, Copy)]
pub struct Sides<'a> {
    pub arm: &'a str,
    pub version: &'a str,
    /// The arm to compare with; none when nobody else serves.
    pub other: Option<(&'a str, &'a str)>,
}

/// What a look at the open window found.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// There are no counts: nothing is judged and nothing moves.
    Blind,
    /// Not there yet: what is missing.
    Open(String),
    Closed(Vec<GateVerdict>),
}

/// Opens a window, with what routers have counted so far as the baseline of the evidence.
pub fn open(counters: &Counters, sides: Sides<'_>, number: i32, failed: Vec<i32>, now: Timestamp) -> GateWindow {
    let wanted = [Some((sides.arm, sides.version)), sides.other];
    let baseline = wanted.into_iter().flatten().filter_map(|(arm, version)| find(counters, arm, version)).collect();
    GateWindow {
        number,
        started_at: Time(now),
        since: Time(now),
        judged_at: None,
        epoch: counters.epoch.as_str().into(),
        samples_at: find(counters, sides.arm, sides.version).map_or(0, |counts| counts.requests),
        baseline,
        failed,
    }
}

fn find(counters: &Counters, arm: &str, version: &str) -> Option<ArmCounts> {
    counters.arms.iter().find(|counts| counts.arm.as_str() == arm && counts.version.as_str() == version).cloned()
}

/// What has been counted since evidence began.
pub fn evidence(
    window: &GateWindow,
    counters: &Counters,
    insights: Option<&Insights>,
    arm: &str,
    version: &str,
) -> Evidence {
    let now = find(counters, arm, version);
    let before = window.baseline.iter().find(|counts| counts.arm.as_str() == arm && counts.version.as_str() == version);
    let counts = now.map(|now| match before {
        Some(before) => less(&now, before),
        None => now,
    });
    let figures = insights
        .and_then(|insights| insights.arms.iter().find(|figures| figures.arm == arm && figures.version == version))
        .cloned()
        .unwrap_or_default();
    Evidence {
        counts,
        ctr: figures.ctr,
        coverage: figures.coverage,
        diversity: figures.diversity,
        score_psi: figures.score_psi,
    }
}

fn less(now: &ArmCounts, before: &ArmCounts) -> ArmCounts {
    let latency =
        now.latency.iter().enumerate().map(|(at, count)| (count - before.latency.get(at).unwrap_or(&0)).max(0));
    ArmCounts {
        arm: now.arm.clone(),
        version: now.version.clone(),
        requests: (now.requests - before.requests).max(0),
        errors: (now.errors - before.errors).max(0),
        fallback: (now.fallback - before.fallback).max(0),
        empty: (now.empty - before.empty).max(0),
        latency: latency.collect(),
    }
}

/// How the policy asks to be judged.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    pub gates: &'a [OnlineGate],
    pub online: &'a Online,
}

/// Looks at the open window. A series of counts that began anew (all routers were replaced at once) opens evidence anew.
pub fn look(
    window: &mut GateWindow,
    rules: Rules<'_>,
    counters: Option<&Counters>,
    insights: Option<&Insights>,
    sides: Sides<'_>,
    now: Timestamp,
) -> Found {
    let online = rules.online;
    let due = after(window.started_at.0, span(&online.interval));
    let Some(counters) = counters else {
        return if now >= due { without_data(rules, window.number) } else { Found::Blind };
    };
    if window.epoch.as_str() != counters.epoch {
        *window = open(counters, sides, window.number, window.failed.clone(), now);
        return Found::Open("counting began anew".to_owned());
    }
    let own = evidence(window, counters, insights, sides.arm, sides.version);
    let requests = find(counters, sides.arm, sides.version).map_or(0, |counts| counts.requests) - window.samples_at;
    if now < due {
        return Found::Open(format!("the window is open until {}", due.strftime("%H:%M:%S")));
    }
    if requests <= 0 && online.min_samples > 0 && online.no_data != NoData::Hold {
        return without_data(rules, window.number);
    }
    if requests < online.min_samples {
        let took = now.duration_since(window.started_at.0).as_secs_f64();
        let rate = requests.max(0) as f64 / took.max(1e-3);
        let left = (online.min_samples - requests) as f64 / rate;
        let when = if left.is_finite() {
            format!("about {} at this rate", seconds(left))
        } else {
            "no traffic yet".to_owned()
        };
        return Found::Open(format!(
            "{requests} of {} requests of the candidate in this window; {when}",
            online.min_samples
        ));
    }
    let other = sides.other.map(|(arm, version)| evidence(window, counters, insights, arm, version));
    let at = Look { window: window.number, failures: online.failure_limit };
    let verdicts = rules.gates.iter().map(|gate| {
        let mut verdict = judge(gate, &own, other.as_ref(), &counters.bounds_ms, at);
        if !has_data(gate, &own, &counters.bounds_ms) {
            verdict.verdict = lack(online.no_data);
        }
        verdict
    });
    Found::Closed(verdicts.collect())
}

fn lack(no_data: NoData) -> Verdict {
    match no_data {
        NoData::Hold => Verdict::Inconclusive,
        NoData::Fail => Verdict::Fail,
        NoData::Pass => Verdict::Pass,
    }
}

fn without_data(rules: Rules<'_>, number: i32) -> Found {
    if rules.online.no_data == NoData::Hold {
        return Found::Blind;
    }
    let verdict = |gate: &OnlineGate| GateVerdict {
        name: gate.name.clone(),
        verdict: lack(rules.online.no_data),
        value: None,
        low: None,
        high: None,
        threshold: None,
        samples: Some(0),
        window: Some(number),
        dry_run: gate.dry_run,
    };
    Found::Closed(rules.gates.iter().map(verdict).collect())
}

/// The worst verdict of those that count; without gates everything passes.
pub fn worst(verdicts: &[GateVerdict]) -> (Verdict, Option<&GateVerdict>) {
    let of = |wanted: Verdict| verdicts.iter().find(|verdict| !verdict.dry_run && verdict.verdict == wanted);
    if let Some(found) = of(Verdict::Fail) {
        return (Verdict::Fail, Some(found));
    }
    if let Some(found) = of(Verdict::Inconclusive) {
        return (Verdict::Inconclusive, Some(found));
    }
    (Verdict::Pass, verdicts.iter().find(|verdict| !verdict.dry_run))
}

pub(crate) fn seconds(seconds: f64) -> String {
    if seconds < 90.0 {
        format!("{seconds:.0} s")
    } else if seconds < 5_400.0 {
        format!("{:.0} min", seconds / 60.0)
    } else {
        format!("{:.1} h", seconds / 3_600.0)
    }
}
