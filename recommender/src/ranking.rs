//! From a question to ranked products: the blend of all signals, and the hybrid ranker over the best of them. The pipeline and the
//! evaluation both rank here, so that what is served is what was measured.

use crate::candidates::{Candidate, DETAILS, Detail, Question, SIGNALS, Scratch, Signal, candidates};
use crate::fitted::{Layers, Model, Ranker, Settings, Situation};

/// Columns of [`Ranker::traits`]: shares of recent orders with half-lives of 3, 7, 14, 30 and 90 days (square roots), logarithm of the
/// price, ln(1 + days since first sold), how late in an order it is entered (-0.5 to 0.5), repeat rate.
pub const TRAITS: usize = 9;
/// The generator that each trait belongs to.
pub const TRAIT_SIGNALS: [Signal; TRAITS] = [
    Signal::Recent,
    Signal::Recent,
    Signal::Recent,
    Signal::Recent,
    Signal::Recent,
    Signal::Content,
    Signal::Recent,
    Signal::Follows,
    Signal::Personal,
];

/// Of these the ranker sees the square root and the share of the list's highest value.
const SHAPED_SIGNALS: [Signal; 11] = [
    Signal::Confidence,
    Signal::Excess,
    Signal::Personal,
    Signal::Recent,
    Signal::Segment,
    Signal::Viewed,
    Signal::Similar,
    Signal::Taste,
    Signal::Follows,
    Signal::Content,
    Signal::Deep,
];
const SHAPED_DETAILS: [(Detail, Signal); 10] = [
    (Detail::SimilarEven, Signal::Similar),
    (Detail::ConfidenceMost, Signal::Confidence),
    (Detail::FollowsLast, Signal::Follows),
    (Detail::FollowsAll, Signal::Follows),
    (Detail::PersonalNew, Signal::Personal),
    (Detail::PersonalOld, Signal::Personal),
    (Detail::BoughtShare, Signal::Personal),
    (Detail::ContentLast, Signal::Content),
    (Detail::ContentHistory, Signal::Content),
    (Detail::CartCategory, Signal::Content),
];
const PLAIN_DETAILS: [(Detail, Signal); 3] =
    [(Detail::LastAge, Signal::Personal), (Detail::Due, Signal::Personal), (Detail::PriceDistance, Signal::Content)];
const SHAPED: usize = SHAPED_SIGNALS.len() + SHAPED_DETAILS.len();
const CONTEXT: usize = 7;
/// Inputs of the ranker: shaped values twice, `season`, plain details, whether the customer ever bought it, traits, context, rank in
/// the blend.
pub const INPUTS: usize = SHAPED * 2 + 1 + PLAIN_DETAILS.len() + 1 + TRAITS + CONTEXT + 1;

/// The generator that each input rests on; none for the context and the blend's rank.
pub fn input_signals() -> [Option<Signal>; INPUTS] {
    let shaped = SHAPED_SIGNALS.into_iter().chain(SHAPED_DETAILS.into_iter().map(|(_, signal)| signal));
    let mut all = [None; INPUTS];
    let named = shaped
        .flat_map(|signal| [signal, signal])
        .chain([Signal::Season])
        .chain(PLAIN_DETAILS.into_iter().map(|(_, signal)| signal))
        .chain([Signal::Personal])
        .chain(TRAIT_SIGNALS);
    for (slot, signal) in all.iter_mut().zip(named) {
        *slot = Some(signal);
    }
    all
}

/// A product with its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked {
    pub product: u32,
    /// How likely it is wanted, about 0 to 1.
    pub score: f32,
    /// Weighed signals: what each generator contributed to the blend.
    pub parts: [f32; SIGNALS],
}

/// The weights of a situation as an array in the order of [`Signal::ALL`].
pub fn weights(settings: &Settings, situation: Situation) -> [f32; SIGNALS] {
    let weights = settings.weights.get(&situation);
    Signal::ALL.map(|signal| weights.and_then(|weights| weights.get(&signal)).copied().unwrap_or(0.0))
}

pub fn situation_of(question: &Question) -> Situation {
    Situation::of(question.anchors.is_empty(), !question.history.is_empty())
}

/// Scores all candidates that `wanted` lets through, best first; ties by product. `factors` scale what each generator says.
pub fn rank(
    model: &Model,
    question: &Question,
    factors: &[f32; SIGNALS],
    wanted: &dyn Fn(u32) -> bool,
    scratch: &mut Scratch,
) -> Vec<Ranked> {
    let situation = situation_of(question);
    let weights = weights(&model.settings, situation);
    let found = candidates(model, question, scratch);
    let mut blended: Vec<(Ranked, u32)> = Vec::with_capacity(found.len());
    for (at, candidate) in (0u32..).zip(found).filter(|(_, candidate)| wanted(candidate.product)) {
        let mut parts = candidate.signals;
        for ((part, weight), factor) in parts.iter_mut().zip(weights).zip(factors) {
            *part *= weight * factor;
        }
        blended.push((Ranked { product: candidate.product, score: parts.iter().sum(), parts }, at));
    }
    blended.sort_unstable_by(|(a, _), (b, _)| order(a, b));
    let Some(ranker) = model.ranker.as_ref().filter(|ranker| ranker.serves(situation)) else {
        return blended.into_iter().map(|(ranked, _)| ranked).collect();
    };

    let best: Vec<Candidate> = blended
        .iter()
        .take(ranker.depth)
        .filter_map(|(_, at)| found.get(*at as usize))
        .map(|candidate| scaled(candidate, factors))
        .collect();
    let mut rows = Vec::new();
    inputs(ranker, question, &best, &mut rows);
    ranker.standardise(&mut rows);
    let logits = ranker.logits(&rows, &mut Layers::default());
    let (top, rest) = blended.split_at_mut(best.len());
    let (mut least, mut blend_least) = (1.0f32, f32::MAX);
    for ((ranked, _), logit) in top.iter_mut().zip(logits) {
        blend_least = blend_least.min(ranked.score);
        // Views are not in the orders that the ranker learned from: the blend's word on them stands beside its own.
        let viewed = ranked.parts.get(Signal::Viewed as usize).copied().unwrap_or(0.0);
        ranked.score = ranker.probability(situation, logit + ranker.liking_of(ranked.product)) + viewed;
        least = least.min(ranked.score);
    }
    // What the ranker did not look at comes after what it did, in the blend's order.
    for (ranked, _) in rest {
        ranked.score = least * (ranked.score / blend_least.max(f32::MIN_POSITIVE)).clamp(0.0, 1.0);
    }
    let mut all: Vec<Ranked> = blended.into_iter().map(|(ranked, _)| ranked).collect();
    if let Some(top) = all.get_mut(..best.len()) {
        top.sort_unstable_by(order);
    }
    all
}

/// Best first; ties by product.
pub fn order(a: &Ranked, b: &Ranked) -> std::cmp::Ordering {
    b.score.total_cmp(&a.score).then(a.product.cmp(&b.product))
}

fn scaled(candidate: &Candidate, factors: &[f32; SIGNALS]) -> Candidate {
    let mut scaled = *candidate;
    for (value, factor) in scaled.signals.iter_mut().zip(factors) {
        *value *= factor;
    }
    for (detail, signal) in SHAPED_DETAILS.into_iter().chain(PLAIN_DETAILS) {
        let factor = factors.get(signal as usize).copied().unwrap_or(1.0);
        if let Some(value) = scaled.details.get_mut(detail as usize).filter(|_| (factor - 1.0).abs() > f32::EPSILON) {
            *value *= factor;
        }
    }
    scaled
}

/// The best candidates of the blend in the ranker's depth, as they are scored and as they are learned from.
pub fn shortlist(
    model: &Model,
    question: &Question,
    depth: usize,
    wanted: &dyn Fn(u32) -> bool,
    scratch: &mut Scratch,
) -> Vec<Candidate> {
    let weights = weights(&model.settings, situation_of(question));
    let found = candidates(model, question, scratch);
    let mut best = endcap_kernels::TopK::new(depth);
    let mut place = Vec::with_capacity(found.len());
    for (at, candidate) in (0u32..).zip(found).filter(|(_, candidate)| wanted(candidate.product)) {
        let score: f32 = candidate.signals.iter().zip(weights).map(|(signal, weight)| signal * weight).sum();
        best.push(candidate.product, score);
        place.push((candidate.product, at));
    }
    place.sort_unstable();
    let at = |product: u32| place.binary_search_by_key(&product, |entry| entry.0).ok().and_then(|at| place.get(at));
    let best = best.into_sorted().into_iter();
    best.filter_map(|(product, _)| found.get(at(product)?.1 as usize)).copied().collect()
}

/// Appends one row of [`INPUTS`] for each candidate of a list. The list is all that is ranked, in the blend's order: shares of its
/// highest values are taken, and ranks.
pub fn inputs(ranker: &Ranker, question: &Question, list: &[Candidate], rows: &mut Vec<f32>) {
    let shaped = |candidate: &Candidate| {
        let mut values = [0.0f32; SHAPED];
        let signals = SHAPED_SIGNALS.into_iter().map(|signal| candidate.signal(signal));
        let details = SHAPED_DETAILS.into_iter().map(|(detail, _)| candidate.detail(detail));
        for (slot, value) in values.iter_mut().zip(signals.chain(details)) {
            *slot = value.max(0.0);
        }
        values
    };
    let mut highest = [1e-6f32; SHAPED];
    for candidate in list {
        for (most, value) in highest.iter_mut().zip(shaped(candidate)) {
            *most = most.max(value);
        }
    }
    let context = context(question);
    rows.reserve(list.len() * INPUTS);
    for (rank, candidate) in list.iter().enumerate() {
        for (value, most) in shaped(candidate).into_iter().zip(highest) {
            rows.push(value.sqrt());
            rows.push(value / most);
        }
        rows.push(candidate.signal(Signal::Season) * 100.0);
        rows.extend(PLAIN_DETAILS.into_iter().map(|(detail, _)| candidate.detail(detail)));
        rows.push(f32::from(u8::from(candidate.detail(Detail::BoughtShare) > 0.0)));
        rows.extend_from_slice(ranker.traits_of(candidate.product));
        rows.extend_from_slice(&context);
        rows.push((rank as f32).ln_1p());
    }
}

fn context(question: &Question) -> [f32; CONTEXT] {
    let mut context = [0.0; CONTEXT];
    let [situations @ .., cart, orders, since] = &mut context;
    if let Some(slot) = situations.get_mut(situation_of(question) as usize) {
        *slot = 1.0;
    }
    *cart = (question.anchors.len() as f32).ln_1p();
    *orders = (question.history.len() as f32).ln_1p();
    *since = question.history.last().map_or(0.0, |order| order.age_days.max(0.0).ln_1p());
    context
}

const _: () = assert!(DETAILS == SHAPED_DETAILS.len() + PLAIN_DETAILS.len());
