//! Candidates and their signals: what each generator says of each product, before anything is weighed.
//!
//! * `confidence`: mean over the cart of the shrunk share of orders with that product that also hold the candidate.
//! * `excess`: how much more often than independence within season and order size they are bought together, as a cosine.
//! * `personal`: the customer's own frequency, newer orders counting more, times how due the product is.
//! * `recent`, `season`, `segment`: popularity, see [`crate::fitted::Popularity`].
//! * `viewed`: looked at in this visit, and what goes with it.
//! * `similar`: learned item-to-item weights from the cart, newer lines counting more ([`Similar::baskets`]).
//! * `taste`: learned item-to-item weights from all that the customer bought ([`Similar::customers`]).
//! * `follows`: entered soon after the newest lines ([`Similar::follows`]).
//! * `content`: names and attributes like those of the cart, or of the history where there is no cart.
//! * `deep`: the two-tower network's odds against its own first choice.
//!
//! [`Similar::baskets`]: crate::fitted::Similar::baskets
//! [`Similar::customers`]: crate::fitted::Similar::customers
//! [`Similar::follows`]: crate::fitted::Similar::follows

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde::{Deserialize, Serialize};

use crate::fitted::{Model, NONE};

mod personal;
mod together;

pub use personal::due;
pub use together::{confidence, excess};

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
    Similar,
    Taste,
    Follows,
    Content,
    Deep,
}

pub const SIGNALS: usize = 12;

impl Signal {
    pub const ALL: [Self; SIGNALS] = [
        Self::Confidence,
        Self::Excess,
        Self::Personal,
        Self::Recent,
        Self::Season,
        Self::Segment,
        Self::Viewed,
        Self::Similar,
        Self::Taste,
        Self::Follows,
        Self::Content,
        Self::Deep,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Confidence => "confidence",
            Self::Excess => "excess",
            Self::Personal => "personal",
            Self::Recent => "recent",
            Self::Season => "season",
            Self::Segment => "segment",
            Self::Viewed => "viewed",
            Self::Similar => "similar",
            Self::Taste => "taste",
            Self::Follows => "follows",
            Self::Content => "content",
            Self::Deep => "deep",
        }
    }
}

/// What generators say beside their signals; only the ranker reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// `similar` with all lines of the cart alike.
    SimilarEven,
    /// The highest confidence of any line instead of the mean.
    ConfidenceMost,
    /// `follows` of the newest line alone, and of the whole cart.
    FollowsLast,
    FollowsAll,
    /// The customer's frequency with a short and a long memory, without how due it is.
    PersonalNew,
    PersonalOld,
    /// Share of the customer's orders with the product.
    BoughtShare,
    /// ln(1 + days) since the customer bought it; 0 where never.
    LastAge,
    /// How due it is.
    Due,
    /// `content` of the newest three lines alone, and of the history.
    ContentLast,
    ContentHistory,
    /// Share of the cart in the product's subcategory.
    CartCategory,
    /// Distance of the logarithms of the product's price and the cart's mean price.
    PriceDistance,
}

pub const DETAILS: usize = 13;

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
    pub details: [f32; DETAILS],
}

impl Candidate {
    pub fn detail(&self, detail: Detail) -> f32 {
        self.details.get(detail as usize).copied().unwrap_or(0.0)
    }

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
            self.found.push(Candidate { product, signals: [0.0; SIGNALS], details: [0.0; DETAILS] });
        }
        self.found.get_mut(*place as usize)
    }

    fn add(&mut self, product: u32, signal: Signal, value: f32) {
        if let Some(slot) = self.candidate(product).and_then(|candidate| candidate.signals.get_mut(signal as usize)) {
            *slot += value;
        }
    }

    fn raise(&mut self, product: u32, signal: Signal, value: f32) {
        if let Some(slot) = self.candidate(product).and_then(|candidate| candidate.signals.get_mut(signal as usize)) {
            *slot = slot.max(value);
        }
    }

    fn add_detail(&mut self, product: u32, detail: Detail, value: f32) {
        if let Some(slot) = self.candidate(product).and_then(|candidate| candidate.details.get_mut(detail as usize)) {
            *slot += value;
        }
    }

    fn raise_detail(&mut self, product: u32, detail: Detail, value: f32) {
        if let Some(slot) = self.candidate(product).and_then(|candidate| candidate.details.get_mut(detail as usize)) {
            *slot = slot.max(value);
        }
    }
}

/// How many products of a popularity list are candidates.
const POPULAR_CANDIDATES: usize = 400;
const SEGMENT_CANDIDATES: usize = 60;
/// How many of the two-tower network's first choices are candidates.
const DEEP_CANDIDATES: usize = 200;

/// All candidates of a question with their signals, in no particular order. Details are filled where the model has a ranker.
pub fn candidates<'s>(model: &Model, question: &Question, scratch: &'s mut Scratch) -> &'s [Candidate] {
    scratch.begin(model.catalogue.len());
    together::associations(model, &question.anchors, scratch);
    together::viewed(model, &question.viewed, scratch);
    together::learned(model, question, scratch);
    personal::personal(model, &question.history, scratch);
    personal::taste(model, &question.history, scratch);
    for product in model.popularity.top.iter().take(POPULAR_CANDIDATES) {
        scratch.candidate(*product);
    }
    segments(model, &question.segments, scratch);
    deep(model, question, scratch);
    for candidate in &mut scratch.found {
        let recent = model.popularity.recent(candidate.product);
        let season = model.popularity.season(model.catalogue.subcategory(candidate.product), question.month);
        if let Some(slot) = candidate.signals.get_mut(Signal::Recent as usize) {
            *slot = recent;
        }
        if let Some(slot) = candidate.signals.get_mut(Signal::Season as usize) {
            *slot = recent * (season - 1.0);
        }
    }
    if model.ranker.is_some() {
        together::cart_details(model, &question.anchors, &mut scratch.found);
    }
    &scratch.found
}

/// The network's first choices join the candidates; every candidate gets its odds against the first choice.
fn deep(model: &Model, question: &Question, scratch: &mut Scratch) {
    let Some(deep) = &model.deep else { return };
    let query = deep.query(question);
    let first = deep.items.top(&query, DEEP_CANDIDATES);
    let Some(most) = first.first().map(|(_, score)| *score) else { return };
    for (product, _) in &first {
        scratch.candidate(*product);
    }
    for candidate in &mut scratch.found {
        let odds = (deep.score(&query, candidate.product) - most).min(0.0).exp();
        if let Some(slot) = candidate.signals.get_mut(Signal::Deep as usize) {
            *slot = odds;
        }
    }
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
