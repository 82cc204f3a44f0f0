//! A few lists as they would be shown, with their reasons: for carts of the products that sell most, and for an empty one. Nobody's
//! history is asked with, since a card can be read by anyone.

use endcap_recommender::Policy;
use endcap_recommender::candidates::Scratch;
use endcap_recommender::pipeline::{CompiledPolicy, Facts, Person, recommend};
use endcap_recommender::request::{CartLine, Context, Placement, RecommendationRequest};
use endcap_recommender::shelf::Shelf;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::CardFacts;

/// Carts of one product, beside the empty one.
const CARTS: usize = 3;
const ITEMS: u32 = 5;

/// Asked at the end of the data, with the stock and the offers of then, under no rules of the business.
pub(super) fn of(facts: &CardFacts<'_>) -> Vec<Value> {
    let model = &facts.learned.model;
    let Some(now) = facts.trained_on.max_time else { return Vec::new() };
    let shelf = Shelf::new(&model.catalogue, &facts.data.shelf);
    let policy = CompiledPolicy::new(Policy::default(), model);
    let asked = Facts { model, shelf: &shelf, policy: &policy, person: Person::default(), now };
    let popular = model.popularity.top.iter().copied().take(CARTS);
    let carts = popular.map(Some).chain([None]);
    let mut scratch = Scratch::default();
    let mut one = |product: Option<u32>| {
        let line = |product: u32| CartLine {
            product_id: model.catalogue.id(product).into(),
            quantity: Decimal::ONE,
            unit_price: None,
        };
        let request = RecommendationRequest {
            placement: Placement::OrderEntry,
            customer_id: None,
            session_id: None,
            cart: product.map(line).into_iter().collect(),
            product_id: None,
            context: Context::default(),
            occasion: None,
            kinds: Vec::new(),
            limit: Some(ITEMS),
        };
        let items = recommend(&asked, &request, &mut scratch);
        let items = items.into_iter().map(|item| {
            json!({"product": item.product_id, "name": item.name, "kind": item.kind, "score": item.score, "reason": item.reason.text})
        });
        let items: Vec<Value> = items.collect();
        let cart = product
            .map(|product| json!({"product": model.catalogue.id(product), "name": model.catalogue.name(product)}));
        json!({"cart": cart.into_iter().collect::<Vec<Value>>(), "items": items})
    };
    carts.map(&mut one).collect()
}
