//! The fallback ladder of one question: arm -> active version -> pack. It always ends in an answer.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use endcap_eventlog::event::ShownItem;
use endcap_recommender::response::{Degraded, Item, Kind, Rung};
use endcap_recommender::{RecommendationRequest, RecommendationResponse};
use http::HeaderValue;
use tokio::sync::Semaphore;

use super::call::{Question, Why, ask_arm};
use super::counters::{Counters, one};
use super::endpoint::HttpClient;
use super::pack::PackHolder;
use super::routing::{RoutedArm, Routing};
use crate::table::Fallback;

/// What a question is answered with.
pub struct Outcome {
    pub json: Bytes,
    pub version: String,
    pub shown: Vec<ShownItem>,
    /// Which rung helped, and why it had to.
    pub degraded: Option<(Rung, Why)>,
}

pub struct Ladder {
    pub client: HttpClient,
    pub pack: Arc<PackHolder>,
    pub counters: Arc<Counters>,
    /// Questions at predictors at once; more are answered by the pack.
    pub room: Semaphore,
}

pub struct Asked<'a> {
    pub routing: &'a Routing,
    pub assigned: &'a Arc<RoutedArm>,
    pub request: &'a RecommendationRequest,
    pub body: &'a Bytes,
    pub request_id: &'a str,
    pub started: Instant,
}

impl Ladder {
    pub async fn answer(&self, asked: &Asked<'_>) -> Outcome {
        let Asked { routing, assigned, .. } = asked;
        let why = match self.room.try_acquire() {
            Err(_) => {
                one(&self.counters.overloaded);
                Why::RouterOverloaded
            }
            Ok(_permit) => match self.ask(asked).await {
                Ok(outcome) => return outcome,
                Err(why) => why,
            },
        };
        if routing.table.fallback == Fallback::StableThenPopularity
            && let Some((pack, items)) = self.pack.recommend(routing, asked.request)
        {
            one(&self.counters.pack);
            return Self::own(asked, why, pack.version.clone(), PackHolder::currency(&pack), items);
        }
        // Nobody may answer, or nobody can yet: an honest empty list, never an error.
        Self::own(asked, why, assigned.version.clone(), None, Vec::new())
    }

    /// The arm, then the active version.
    async fn ask(&self, asked: &Asked<'_>) -> Result<Outcome, Why> {
        let Asked { routing, assigned, started, .. } = *asked;
        // What the pack needs to answer within the promise.
        let reserve = routing.timeout.mul_f64(0.08).clamp(Duration::from_millis(3), Duration::from_millis(20));
        let until = started + routing.timeout.saturating_sub(reserve);
        let active = routing.active();
        let has_active = routing.table.fallback != Fallback::None && active.version != assigned.version;
        let arm_until = if has_active { started + routing.timeout.mul_f64(0.6) } else { until };
        let request_id = HeaderValue::from_str(asked.request_id).map_err(|_| Why::PredictorError)?;
        let mut question = Question { body: asked.body, request_id: &request_id, assigned, instead: None };
        let why = match ask_arm(&self.client, routing, assigned, &question, arm_until).await {
            Ok(answer) => {
                return Ok(Outcome {
                    json: answer.json,
                    version: assigned.version.clone(),
                    shown: answer.shown,
                    degraded: None,
                });
            }
            Err(why) => why,
        };
        one(&assigned.counts.errors);
        if !has_active {
            return Err(why);
        }
        question.instead = Some(why);
        match ask_arm(&self.client, routing, active, &question, until).await {
            Ok(answer) => Ok(Outcome {
                json: answer.json,
                version: active.version.clone(),
                shown: answer.shown,
                degraded: Some((Rung::Active, why)),
            }),
            Err(_) => Err(why),
        }
    }

    fn own(asked: &Asked<'_>, why: Why, version: String, currency: Option<String>, items: Vec<Item>) -> Outcome {
        let shown = items.iter().map(shown).collect();
        let response = RecommendationResponse {
            request_id: asked.request_id.to_owned(),
            model: asked.routing.table.model.clone(),
            version: version.clone(),
            arm: Some(asked.assigned.name.clone()),
            experiment: asked.assigned.experiment.clone(),
            degraded: Some(Degraded { from: Rung::Pack, why: why.as_str().to_owned() }),
            currency,
            items,
        };
        let json = serde_json::to_vec(&response).map(Bytes::from).unwrap_or_default();
        Outcome { json, version, shown, degraded: Some((Rung::Pack, why)) }
    }
}

/// Counts what became of a question in the arm that was assigned.
pub fn count(assigned: &RoutedArm, outcome: &Outcome, took: Duration, timeout: Duration) {
    let counts = &assigned.counts;
    let add = |counter: &AtomicU64, when: bool| {
        if when {
            one(counter);
        }
    };
    one(&counts.requests);
    add(&counts.fallback, outcome.degraded.is_some());
    add(&counts.empty, outcome.shown.is_empty());
    add(&counts.late, took > timeout);
    counts.observe(took);
}

fn shown(item: &Item) -> ShownItem {
    ShownItem {
        product_id: item.product_id.clone(),
        rank: item.rank,
        kind: kind_name(item.kind).to_owned(),
        score: item.score,
        propensity: item.propensity,
        offer_id: item.offer.as_ref().map(|offer| offer.offer_id.clone()),
    }
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::CrossSell => "cross_sell",
        Kind::UpsellQuantity => "upsell_quantity",
        Kind::UpsellProduct => "upsell_product",
        Kind::Reorder => "reorder",
        Kind::Popular => "popular",
    }
}
