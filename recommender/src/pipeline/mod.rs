//! One question to one list: situate -> candidates -> blend -> rules -> upsell and offers -> mix and diversity -> reasons.

mod blend;
mod compiled;
mod hints;
mod mix;
mod reason;
mod rules;
mod situate;
mod upsell;

use jiff::Timestamp;
use rust_decimal::Decimal;

pub use compiled::CompiledPolicy;
pub use rules::{Forbidden, Rules};
pub use situate::{CartEntry, Situated};

use crate::candidates::{SIGNALS, Scratch};
use crate::fitted::Model;
use crate::live::{CustomerState, SessionState};
use crate::request::RecommendationRequest;
use crate::response::{Item, Kind};
use crate::shelf::Shelf;
use blend::Scored;

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
    pub policy: &'a CompiledPolicy,
    pub person: Person<'a>,
    /// When the question came; `context.at`, the moment that it is about, overrides it everywhere.
    pub now: Timestamp,
}

/// One item before it is dressed for the answer.
#[derive(Clone, Debug)]
pub(crate) struct Pick {
    pub product: u32,
    pub kind: Kind,
    pub score: f32,
    pub suggested: Decimal,
    pub in_cart: Decimal,
    pub offer: Option<crate::response::OfferHint>,
    pub instead_of: Option<u32>,
    pub reason: crate::response::Reason,
}

/// Answers a valid request. The list keeps every rule of the policy; it is empty only where nothing may be recommended at all.
pub fn recommend(facts: &Facts<'_>, request: &RecommendationRequest, scratch: &mut Scratch) -> Vec<Item> {
    let situated = Situated::new(facts, request);
    let rules = Rules::new(facts, &situated);
    let mix = mix::Mix::of(facts, request);

    let wanted = |product: u32| rules.forbids_beside_cart(product).is_none();
    let scored = blend::score(facts, &situated, request.placement, &wanted, scratch);
    let (main, mut fill) = choose(facts, &situated, &rules, &mix, scored);
    let mut upsells = upsell::picks(facts, &situated, &rules, &mix);
    mix::cap_offers(facts.policy, &mut upsells);
    if main.len() + fill.len() < mix.limit {
        fill.extend(anything_lawful(facts, &rules, mix.limit));
    }

    let mut picks = mix::compose(&mix, upsells, &main, &fill, |scored| dress(facts, &situated, &rules, scored));
    hints::attach(facts, &situated, &mut picks);
    picks.truncate(mix.limit);
    picks.into_iter().enumerate().map(|(at, pick)| item(facts, &situated, &rules, at, pick)).collect()
}

/// The lawful candidates that the mix wants, best first, and those that fill a list that would be short.
fn choose(
    facts: &Facts<'_>,
    situated: &Situated<'_>,
    rules: &Rules<'_>,
    mix: &mix::Mix,
    mut scored: Vec<Scored>,
) -> (Vec<Scored>, Vec<Scored>) {
    // Nobody reads past the first few: rules are checked for as many as a diverse list can need.
    let enough = mix.limit * 6 + 40;
    scored.sort_unstable_by(|a, b| b.value.total_cmp(&a.value).then(a.product.cmp(&b.product)));
    let (mut main, mut fill, mut pushed_down) = (Vec::new(), Vec::new(), Vec::new());
    for candidate in scored {
        if main.len() >= enough {
            break;
        }
        if rules.forbids(candidate.product).is_some() {
            continue;
        }
        let label = mix.label(situated, &candidate);
        let labelled = Scored { kind: label.unwrap_or_else(|| candidate.natural_kind(situated)), ..candidate };
        let list = match label {
            Some(_) if rules.is_pushed_down(candidate.product) => &mut pushed_down,
            Some(_) => &mut main,
            None => &mut fill,
        };
        if list.len() < enough {
            list.push(labelled);
        }
    }
    let mut main = mix::diversify(facts.model, main, mix.limit, mix.diversity);
    main.extend(pushed_down);
    fill.sort_by_key(|candidate| rules.is_pushed_down(candidate.product));
    (main, fill)
}

/// When the rules leave next to nothing of the candidates: whatever may be recommended, the most popular first.
fn anything_lawful(facts: &Facts<'_>, rules: &Rules<'_>, enough: usize) -> Vec<Scored> {
    let rest = 0..facts.model.catalogue.len() as u32;
    let products = facts.model.popularity.top.iter().copied().chain(rest);
    products
        .filter(|product| rules.forbids(*product).is_none())
        .map(|product| {
            let score = facts.model.popularity.recent(product);
            Scored { product, score, value: score, parts: [0.0; SIGNALS], kind: Kind::Popular }
        })
        .take(enough * 2)
        .collect()
}

fn dress(facts: &Facts<'_>, situated: &Situated<'_>, rules: &Rules<'_>, scored: &Scored) -> Pick {
    let suggested = situated.suggested_quantity(facts, scored.product);
    let on_hand = rules.on_hand(scored.product);
    let suggested =
        on_hand.filter(|on_hand| *on_hand > Decimal::ZERO).map_or(suggested, |on_hand| suggested.min(on_hand));
    Pick {
        product: scored.product,
        kind: scored.kind,
        score: scored.score.clamp(0.0, 1.0),
        suggested: situate::whole_unless_splittable(facts.model, scored.product, suggested),
        in_cart: Decimal::ZERO,
        offer: None,
        instead_of: None,
        reason: reason::of(facts, situated, scored),
    }
}

fn item(facts: &Facts<'_>, situated: &Situated<'_>, rules: &Rules<'_>, at: usize, pick: Pick) -> Item {
    let catalogue = &facts.model.catalogue;
    Item {
        rank: at as u32 + 1,
        product_id: catalogue.id(pick.product).into(),
        name: catalogue.name(pick.product).to_owned(),
        kind: pick.kind,
        score: (f64::from(pick.score) * 1e6).round() / 1e6,
        unit_price: situated.price_in_cart(pick.product).or_else(|| facts.shelf.price(pick.product)),
        stock: rules.stock_status(pick.product, pick.suggested),
        suggested_quantity: pick.suggested,
        in_cart: pick.in_cart,
        offer: pick.offer,
        instead_of: pick.instead_of.map(|product| catalogue.id(product).into()),
        reason: pick.reason,
        propensity: 1.0,
    }
}
