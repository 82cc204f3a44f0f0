//! 100,000 random requests to random shops under random policies: nothing that the rules forbid is ever returned. The judge here reads the
//! raw facts itself and shares no code with the pipeline's rules.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::HashSet;

use common::*;
use endcap_recommender::candidates::Scratch;
use endcap_recommender::fitted::Model;
use endcap_recommender::live::{CustomerState, Declines, SessionState, ShelfState};
use endcap_recommender::pipeline::{CompiledPolicy, Facts, Person, recommend};
use endcap_recommender::policy::{Backordered, Policy, UpsellMode, WhenStale};
use endcap_recommender::request::{Placement, RecommendationRequest, WantedKind};
use endcap_recommender::response::{Item, Kind, StockStatus};
use endcap_recommender::shelf::Shelf;
use rand::prelude::*;
use rand_chacha::ChaCha8Rng;
use rust_decimal::Decimal;

struct Judge<'a> {
    model: &'a Model,
    shelf: &'a ShelfState,
    policy: &'a Policy,
    customer: Option<&'a CustomerState>,
    session: Option<&'a SessionState>,
    request: &'a RecommendationRequest,
}

impl Judge<'_> {
    fn cart(&self) -> Vec<String> {
        let known = |id: &str| self.model.catalogue.find(id).is_some();
        if self.request.cart.is_empty() {
            let cart = self.session.map_or(&[][..], |session| &session.cart);
            cart.iter().map(|(id, _)| id.to_string()).filter(|id| known(id)).collect()
        } else {
            self.request.cart.iter().map(|line| line.product_id.to_string()).filter(|id| known(id)).collect()
        }
    }

    fn price(&self, id: &str) -> Option<Decimal> {
        let at = self.model.catalogue.find(id).unwrap();
        self.shelf.prices.get(id).copied().or_else(|| self.model.catalogue.list_price(at))
    }

    /// All that is wrong with an item.
    fn objections(&self, item: &Item) -> Vec<&'static str> {
        let mut wrong = Vec::new();
        let id = item.product_id.as_str();
        let at = self.model.catalogue.find(id).unwrap();
        let cart = self.cart();
        let in_cart = cart.iter().any(|product| product == id);
        if in_cart != (item.kind == Kind::UpsellQuantity) {
            wrong.push("in the cart");
        }
        if self.request.product_id.as_deref() == Some(id) && item.kind != Kind::UpsellQuantity {
            wrong.push("the product that is looked at");
        }
        if !self.shelf.active.get(id).copied().unwrap_or_else(|| self.model.catalogue.is_active(at)) {
            wrong.push("inactive");
        }
        if self.price(id).is_none_or(|price| price <= Decimal::ZERO) {
            wrong.push("no price");
        }
        self.stock(item, &mut wrong);
        let blocklist = &self.policy.blocklist;
        let category = |at: u32| self.model.catalogue.category_ids.get(at as usize).to_owned();
        let categories = [category(self.model.catalogue.category(at)), category(self.model.catalogue.subcategory(at))];
        let brand = self.model.catalogue.brand_ids.get(self.model.catalogue.brand(at) as usize);
        if blocklist.products.iter().any(|blocked| blocked.as_str() == id)
            || blocklist.categories.iter().any(|blocked| categories.contains(blocked))
            || blocklist.brands.iter().any(|blocked| blocked == brand)
        {
            wrong.push("blocked");
        }
        // What is looked at counts as held: it is about to be.
        let held: Vec<String> =
            cart.iter().cloned().chain(self.request.product_id.as_ref().map(ToString::to_string)).collect();
        let holds =
            |other: &str| self.model.catalogue.find(other).is_some() && held.iter().any(|product| product == other);
        if blocklist.pairs.iter().any(|pair| (&*pair.a == id && holds(&pair.b)) || (&*pair.b == id && holds(&pair.a))) {
            wrong.push("forbidden pair");
        }
        let since = NOW_S - 336 * 3_600;
        let often = |times: Option<&Declines>, limit: u32| {
            times.is_some_and(|times| times.at_s.iter().filter(|at| **at > since).count() >= limit as usize)
        };
        let rules = &self.policy.over_promotion;
        let declined = [self.customer.map(|c| &c.declined_products), self.session.map(|s| &s.declined_products)];
        if declined.into_iter().flatten().any(|declined| often(declined.get(id), rules.decline_limit)) {
            wrong.push("declined");
        }
        let shown = [self.customer.map(|c| &c.shown), self.session.map(|s| &s.shown)];
        if rules.frequency_cap.is_some_and(|cap| shown.into_iter().flatten().any(|shown| often(shown.get(id), cap))) {
            wrong.push("over its frequency cap");
        }
        if let Some(hint) = &item.offer {
            let offer = &self.shelf.offers[&hint.offer_id];
            if offer.valid_from.is_some_and(|from| from > now()) || offer.valid_to.is_some_and(|to| to <= now()) {
                wrong.push("an offer outside its window");
            }
            let declined = [self.customer.map(|c| &c.declined_offers), self.session.map(|s| &s.declined_offers)];
            if declined.into_iter().flatten().any(|declined| often(declined.get(&hint.offer_id), rules.decline_limit)) {
                wrong.push("a declined offer");
            }
            if hint.saves < Decimal::ZERO || hint.line_total < Decimal::ZERO || hint.add <= Decimal::ZERO {
                wrong.push("nonsense in the offer's arithmetic");
            }
        }
        match item.kind {
            Kind::UpsellQuantity if item.suggested_quantity <= item.in_cart => {
                wrong.push("suggests no more than there is");
            }
            Kind::UpsellQuantity
                if self.policy.upsell_mode == UpsellMode::OfferGrid && item.reason.code != "offer_within_reach" =>
            {
                wrong.push("upsell without an offer");
            }
            Kind::UpsellProduct => {
                let instead = item.instead_of.as_ref().unwrap();
                let mut lines = self.request.cart.iter().filter(|line| line.product_id == *instead);
                let paid = lines.find_map(|line| line.unit_price);
                if self.price(id) <= paid.or_else(|| self.price(instead)) {
                    wrong.push("a better product that is not dearer");
                }
            }
            _ => {}
        }
        let crosses = self
            .policy
            .placements
            .iter()
            .any(|placement| placement.name == self.request.placement && placement.cross_category);
        if crosses && item.kind != Kind::UpsellQuantity {
            let subcategory = |id: &str| self.model.catalogue.find(id).map(|at| self.model.catalogue.subcategory(at));
            if held.iter().filter(|other| holds(other)).any(|other| subcategory(other) == subcategory(id)) {
                wrong.push("of a subcategory that is in the cart");
            }
        }
        wrong
    }

    fn stock(&self, item: &Item, wrong: &mut Vec<&'static str>) {
        let Some(level) = self.shelf.stock.get(&item.product_id) else { return };
        let is_stale = NOW_S - level.as_of.as_second() > 24 * 3_600;
        if is_stale && self.policy.stock.when_stale == WhenStale::Exclude {
            wrong.push("its stock level is too old");
            return;
        }
        let promised = level.backordered.is_some_and(|n| n > Decimal::ZERO);
        if level.on_hand <= Decimal::ZERO {
            if !promised {
                wrong.push("out of stock");
            } else if self.policy.stock.backordered == Backordered::Exclude {
                wrong.push("backordered");
            } else if item.stock != StockStatus::Backordered {
                wrong.push("not said to be backordered");
            }
        } else if item.suggested_quantity > level.on_hand && item.suggested_quantity > Decimal::ONE {
            wrong.push("suggests more than is on hand");
        }
    }

    /// Whether any product could lawfully be recommended at all.
    fn something_is_lawful(&self, shelf: &Shelf) -> bool {
        (0..self.model.catalogue.len() as u32).any(|at| {
            let id = self.model.catalogue.id(at);
            let item = Item {
                rank: 1,
                product_id: id.into(),
                name: String::new(),
                kind: Kind::Popular,
                score: 0.0,
                unit_price: shelf.price(at),
                stock: StockStatus::Backordered,
                suggested_quantity: Decimal::ONE,
                in_cart: Decimal::ZERO,
                offer: None,
                instead_of: None,
                reason: endcap_recommender::response::Reason {
                    code: String::new(),
                    text: String::new(),
                    evidence: serde_json::Map::default(),
                },
                propensity: 1.0,
            };
            self.objections(&item).is_empty()
        })
    }
}

#[test]
fn a_hundred_thousand_random_requests_return_nothing_that_the_rules_forbid() {
    let mut rng = ChaCha8Rng::seed_from_u64(seed());
    let mut scratch = Scratch::default();
    let (mut items, mut with_offer, mut empty) = (0usize, 0usize, 0usize);
    let mut kinds = HashSet::new();
    for _ in 0..100 {
        let products = rng.random_range(20..300);
        let model = model(&mut rng, products);
        let state = shelf_state(&mut rng, products);
        let shelf = Shelf::new(&model.catalogue, &state);
        for _ in 0..20 {
            let raw = policy(&mut rng, products);
            let policy = CompiledPolicy::new(raw.clone(), &model);
            let (customer, session) = (customer(&mut rng, products), session(&mut rng, products));
            for _ in 0..50 {
                let request = request(&mut rng, products);
                let customer = request.customer_id.as_ref().map(|_| &customer);
                let session = request.session_id.as_ref().map(|_| &session);
                let facts = Facts {
                    model: &model,
                    shelf: &shelf,
                    policy: &policy,
                    person: Person { customer, session },
                    now: now(),
                };
                let list = recommend(&facts, &request, &mut scratch);
                let judge = Judge { model: &model, shelf: &state, policy: &raw, customer, session, request: &request };
                for item in &list {
                    let wrong = judge.objections(item);
                    assert!(wrong.is_empty(), "{wrong:?}: {item:?}\nfor {request:?}\nunder {raw:?}");
                    kinds.insert(item.kind);
                    with_offer += usize::from(item.offer.is_some());
                }
                let distinct: HashSet<_> = list.iter().map(|item| &item.product_id).collect();
                assert_eq!(distinct.len(), list.len(), "a product stands twice");
                let ranks: Vec<u32> = list.iter().map(|item| item.rank).collect();
                assert_eq!(ranks, (1..=list.len() as u32).collect::<Vec<_>>());
                let offers = list.iter().filter(|item| item.offer.is_some()).count();
                assert!(offers <= raw.over_promotion.max_offer_items as usize, "{offers} items with an offer");
                if let Some(limit) = request.limit {
                    assert!(list.len() <= limit as usize);
                }
                if list.is_empty() {
                    empty += 1;
                    // After a purchase what was just bought is held too; the judge does not know that.
                    let judged = request.placement != Placement::PostPurchase;
                    assert!(
                        !judged || !judge.something_is_lawful(&shelf),
                        "an empty list, though something could be recommended: {request:?}"
                    );
                }
                items += list.len();
            }
        }
    }
    println!(
        "100000 requests, {items} items, {with_offer} with an offer, {empty} lists empty because nothing was lawful"
    );
    assert_eq!(kinds.len(), 5, "every kind must have come up, or this proves little: {kinds:?}");
    assert!(with_offer > 1_000);
}

#[test]
fn kinds_that_were_asked_for_come_alone_when_there_are_any() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let model = model(&mut rng, 200);
    let shelf = Shelf::new(&model.catalogue, &ShelfState::default());
    let policy = CompiledPolicy::new(Policy::default(), &model);
    let customer =
        std::iter::repeat_with(|| customer(&mut rng, 200)).find(|customer| customer.orders.len() > 2).unwrap();
    let facts = Facts {
        model: &model,
        shelf: &shelf,
        policy: &policy,
        person: Person { customer: Some(&customer), session: None },
        now: now(),
    };
    let mut asked = request(&mut rng, 200);
    asked.placement = Placement::Home;
    asked.cart = vec![];
    asked.kinds = vec![WantedKind::Reorder];
    // Asked of today: a moment before the history would know no reorders.
    asked.context.at = None;
    asked.limit = None;
    let list = recommend(&facts, &asked, &mut Scratch::default());
    assert!(!list.is_empty() && list.iter().all(|item| item.kind == Kind::Reorder), "{list:?}");
    let again = recommend(&facts, &asked, &mut Scratch::default());
    assert_eq!(list, again, "the same question has the same answer");
}
