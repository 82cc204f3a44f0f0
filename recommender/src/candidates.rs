//! Candidates and their signals: what each generator says of each product, before anything is weighed.
//!
//! * `confidence`: mean over the cart of the shrunk share of orders with that product that also hold the candidate.
//! * `excess`: how much more often than independence within season and order size they are bought together, as a cosine.
//! * `personal`: the customer's own frequency, newer orders counting more, times how due the product is.
//! * `recent`, `season`, `segment`: popularity, see [`crate::fitted::Popularity`].
//! * `viewed`: looked at in this visit, and what goes with it.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde::{Deserialize, Serialize};

use crate::fitted::{Associations, Model, NONE};

/// What generators say. The names are those of `placements[].weights` in a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    Confidence,
    Excess,
    Personal,
    Recent,
    Season,
    Segment,
    Viewed,
}

pub const SIGNALS: usize = 7;

impl Signal {
    pub const ALL: [Self; SIGNALS] =
        [Self::Confidence, Self::Excess, Self::Personal, Self::Recent, Self::Season, Self::Segment, Self::Viewed];

    pub fn name(self) -> &'static str {
        match self {
            Self::Confidence => "confidence",
            Self::Excess => "excess",
            Self::Personal => "personal",
            Self::Recent => "recent",
            Self::Season => "season",
            Self::Segment => "segment",
            Self::Viewed => "viewed",
        }
    }
}

/// One past order by dense indexes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistoryOrder {
    pub age_days: f32,
    pub lines: Vec<(u32, f32)>,
}

/// A question in the model's own terms. Products that the catalogue does not know are left out before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Question {
    /// What the answer should go with: the cart, or what stands for it.
    pub anchors: Vec<u32>,
    /// Newest last.
    pub history: Vec<HistoryOrder>,
    /// Viewed in this visit, newest last.
    pub viewed: Vec<u32>,
    /// Indexes into [`crate::fitted::Popularity::segment_keys`].
    pub segments: Vec<u32>,
    /// Month (1 to 12) that the question is about.
    pub month: i8,
}

/// Month and hour of a moment in UTC, the zone of the tables.
pub fn month_and_hour(at: Timestamp) -> (i8, i8) {
    let at: Zoned = at.to_zoned(TimeZone::UTC);
    (at.month(), at.hour())
}

/// A product and what each generator says of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    pub product: u32,
    pub signals: [f32; SIGNALS],
}

impl Candidate {
    pub fn signal(&self, signal: Signal) -> f32 {
        self.signals.get(signal as usize).copied().unwrap_or(0.0)
    }
}

/// Work space that is reused from question to question, so that a question costs nothing per product of the catalogue.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    /// Place of a product in `found`, valid where `stamp` is the current question's.
    place: Vec<u32>,
    stamp: Vec<u32>,
    question: u32,
    found: Vec<Candidate>,
}

impl Scratch {
    fn begin(&mut self, products: usize) {
        if self.stamp.len() != products || self.question == u32::MAX {
            self.place = vec![0; products];
            self.stamp = vec![0; products];
            self.question = 0;
        }
        self.question += 1;
        self.found.clear();
    }

    fn candidate(&mut self, product: u32) -> Option<&mut Candidate> {
        let at = product as usize;
        let stamp = self.stamp.get_mut(at)?;
        let place = self.place.get_mut(at)?;
        if *stamp != self.question {
            *stamp = self.question;
            *place = self.found.len() as u32;
            self.found.push(Candidate { product, signals: [0.0; SIGNALS] });
        }
        self.found.get_mut(*place as usize)
    }

    fn add(&mut self, product: u32, signal: Signal, value: f32) {
        if let Some(slot) = self.candidate(product).and_then(|candidate| candidate.signals.get_mut(signal as usize)) {
            *slot += value;
        }
    }
}

/// How many products of a popularity list are candidates.
const POPULAR_CANDIDATES: usize = 400;
const SEGMENT_CANDIDATES: usize = 60;

/// All candidates of a question with their signals, in no particular order.
pub fn candidates<'s>(model: &Model, question: &Question, scratch: &'s mut Scratch) -> &'s [Candidate] {
    scratch.begin(model.catalogue.len());
    associations(model, &question.anchors, scratch);
    viewed(model, &question.viewed, scratch);
    personal(model, &question.history, scratch);
    for product in model.popularity.top.iter().take(POPULAR_CANDIDATES) {
        scratch.candidate(*product);
    }
    segments(model, &question.segments, scratch);
    for candidate in &mut scratch.found {
        let recent = model.popularity.recent(candidate.product);
        let season = model.popularity.season(model.catalogue.subcategory(candidate.product), question.month);
        let [.., recent_slot, season_slot, _, _] = &mut candidate.signals;
        *recent_slot = recent;
        *season_slot = recent * (season - 1.0);
    }
    &scratch.found
}

/// Share of the orders with `product` that also hold its partner, believed the more the more orders there are.
pub fn confidence(associations: &Associations, shrinkage: f32, product: u32, both: u32, partner_share: f32) -> f32 {
    (both as f32 + shrinkage * partner_share) / (associations.item_orders(product) as f32 + shrinkage)
}

/// How much more often than by chance two products are bought together, as a cosine; 0 where it is not more.
pub fn excess(
    associations: &Associations,
    shrinkage: f32,
    product: u32,
    partner: u32,
    both: u32,
    expected: f32,
) -> f32 {
    let one = associations.item_orders(product) as f32 + shrinkage;
    let other = associations.item_orders(partner) as f32 + shrinkage;
    // One standard deviation of a Poisson count is taken off, so that a single order proves nothing.
    ((both as f32 - expected - expected.max(1.0).sqrt()) / (one * other).sqrt()).max(0.0)
}

fn associations(model: &Model, anchors: &[u32], scratch: &mut Scratch) {
    let shrinkage = model.settings.confidence_shrinkage;
    let each = 1.0 / (anchors.len().max(1) as f32);
    for anchor in anchors {
        for neighbour in model.associations.neighbours.row(*anchor) {
            let (partner, both) = (neighbour.product, neighbour.both);
            let share = model.popularity.share(partner);
            // What the product's popularity alone would give is `recent`'s business.
            let confidence = confidence(&model.associations, shrinkage, *anchor, both, share);
            scratch.add(partner, Signal::Confidence, each * confidence);
            let excess = excess(&model.associations, shrinkage, *anchor, partner, both, neighbour.expected);
            scratch.add(partner, Signal::Excess, excess * each.sqrt());
        }
    }
}

fn viewed(model: &Model, viewed: &[u32], scratch: &mut Scratch) {
    let shrinkage = model.settings.confidence_shrinkage;
    let mut weight = 1.0;
    for product in viewed.iter().rev().take(10) {
        scratch.add(*product, Signal::Viewed, weight);
        for neighbour in model.associations.neighbours.row(*product) {
            let excess =
                excess(&model.associations, shrinkage, *product, neighbour.product, neighbour.both, neighbour.expected);
            scratch.add(neighbour.product, Signal::Viewed, weight * excess);
        }
        weight *= 0.7;
    }
}

/// A customer's own frequency with exponential decay (the idea of recency groups in TIFU-kNN, Hu et al., SIGIR 2020), times how due
/// the product is: little right after it was bought, most at its usual interval.
fn personal(model: &Model, history: &[HistoryOrder], scratch: &mut Scratch) {
    let half_life = model.settings.history_half_life_days.max(1.0);
    let total: f32 = history.iter().map(|order| (-order.age_days.max(0.0) / half_life).exp2()).sum();
    if total <= 0.0 {
        return;
    }
    // Newest last: the last one that is seen of a product gives its age.
    let mut last_age: Vec<(u32, f32)> = Vec::new();
    for order in history {
        let weight = (-order.age_days.max(0.0) / half_life).exp2() / total;
        for (product, _) in &order.lines {
            scratch.add(*product, Signal::Personal, weight);
            last_age.push((*product, order.age_days));
        }
    }
    last_age.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    last_age.dedup_by_key(|entry| entry.0);
    for (product, age_days) in last_age {
        if let Some(candidate) = scratch.candidate(product)
            && let Some(slot) = candidate.signals.get_mut(Signal::Personal as usize)
        {
            *slot *= due(model.repeat.interval_days(product), age_days) * (0.5 + model.repeat.repeat_rate(product));
        }
    }
}

/// How due a product is: 0.4 right after it was bought, 1 at its usual interval, a little less long after.
pub fn due(interval_days: Option<f32>, age_days: f32) -> f32 {
    let Some(interval) = interval_days else { return 0.8 };
    let phase = (age_days / interval).max(0.0);
    if phase < 1.0 { 0.4 + 0.6 * phase } else { 0.7 + 0.3 * (-(phase - 1.0) / 3.0).exp() }
}

fn segments(model: &Model, segments: &[u32], scratch: &mut Scratch) {
    let known: Vec<u32> = segments.iter().copied().filter(|segment| *segment != NONE).collect();
    let each = 1.0 / (known.len().max(1) as f32);
    for segment in known {
        for entry in model.popularity.segments.row(segment).iter().take(SEGMENT_CANDIDATES) {
            scratch.add(entry.product, Signal::Segment, each * entry.share);
        }
    }
}
