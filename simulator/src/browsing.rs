//! Sessions of the web shop and the app: what was looked at, put into the cart, taken out again and left behind.

use endcap_recommender::request::Channel;

use crate::basket::Visitor;
use crate::dice::{Dice, below, chance, dot, normal, poisson, unit};
use crate::market::{Line, Market, Purchase};
use crate::truth::{CustomerNo, ProductNo};

/// GA4 e-commerce names, and our own `rate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    ViewItem,
    Search,
    AddToCart,
    RemoveFromCart,
    BeginCheckout,
    Purchase,
    Rate,
}

impl Act {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ViewItem => "view_item",
            Self::Search => "search",
            Self::AddToCart => "add_to_cart",
            Self::RemoveFromCart => "remove_from_cart",
            Self::BeginCheckout => "begin_checkout",
            Self::Purchase => "purchase",
            Self::Rate => "rate",
        }
    }
}

/// `amount_cents` is money; for a rating it is hundredths of stars.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub at_s: i64,
    pub act: Act,
    pub product: Option<ProductNo>,
    pub quantity: Option<u32>,
    pub amount_cents: Option<i64>,
}

#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub customer: CustomerNo,
    /// Not logged in: the rows name no customer.
    pub anonymous: bool,
    pub device: &'static str,
    pub channel: Channel,
    pub referrer: &'static str,
    pub steps: Vec<Step>,
}

struct Recorder<'a> {
    steps: Vec<Step>,
    at_s: i64,
    dice: &'a mut Dice,
}

impl Recorder<'_> {
    fn step(&mut self, act: Act, product: Option<ProductNo>, quantity: Option<u32>, amount_cents: Option<i64>) {
        self.at_s += 3 + below(self.dice, 45) as i64;
        self.steps.push(Step { at_s: self.at_s, act, product, quantity, amount_cents });
    }

    /// Looks at a product, sometimes after a search, often beside what could stand in for it.
    fn look(&mut self, market: &Market, product: ProductNo) {
        if chance(self.dice, 0.12) {
            self.step(Act::Search, None, None, None);
        }
        let others = market.truth.product(product).map_or(&[][..], |item| &item.substitutes);
        if chance(self.dice, 0.25)
            && let Some(&other) = others.get(below(self.dice, others.len()))
        {
            self.step(Act::ViewItem, Some(other), None, None);
        }
        self.step(Act::ViewItem, Some(product), None, None);
    }
}

fn device(channel: Channel, dice: &mut Dice) -> &'static str {
    match (channel, unit(dice)) {
        (Channel::Mobile, _) => "phone",
        (_, part) if part < 0.72 => "desktop",
        (_, part) if part < 0.85 => "tablet",
        _ => "phone",
    }
}

fn referrer(dice: &mut Dice) -> &'static str {
    match unit(dice) {
        part if part < 0.45 => "direct",
        part if part < 0.75 => "search",
        part if part < 0.88 => "newsletter",
        _ => "social",
    }
}

/// The session that ends in an order at `purchase.at_s`, and the ratings some weeks later.
pub(crate) fn order_session(
    market: &Market,
    purchase: &Purchase<'_>,
    lines: &[Line],
    customer: CustomerNo,
    anonymous: bool,
    dice: &mut Dice,
) -> Session {
    let (device, referrer) = (device(purchase.channel, dice), referrer(dice));
    let mut recorder = Recorder { steps: Vec::with_capacity(lines.len() * 3 + 4), at_s: 0, dice };
    for line in lines {
        recorder.look(market, line.product);
        recorder.step(Act::AddToCart, Some(line.product), Some(line.quantity), Some(line.unit_cents));
        if chance(recorder.dice, 0.03) {
            // Something is put in and taken out again.
            let others = market.truth.product(line.product).map_or(&[][..], |item| &item.substitutes);
            if let Some(&other) = others.first() {
                recorder.step(Act::AddToCart, Some(other), Some(1), None);
                recorder.step(Act::RemoveFromCart, Some(other), Some(1), None);
            }
        }
    }
    recorder.step(Act::BeginCheckout, None, None, Some(lines.iter().map(Line::cents).sum()));
    recorder.at_s += 30;
    // The clock of the steps ended where the order was placed.
    let shift = purchase.at_s - recorder.at_s;
    let Recorder { mut steps, dice, .. } = recorder;
    for step in &mut steps {
        step.at_s += shift;
    }
    for line in lines {
        let (quantity, amount) = (Some(line.quantity), Some(line.cents()));
        steps.push(Step {
            at_s: purchase.at_s,
            act: Act::Purchase,
            product: Some(line.product),
            quantity,
            amount_cents: amount,
        });
    }
    for line in lines {
        if !chance(dice, 0.03) {
            continue;
        }
        let later = purchase.at_s + 86_400 * (4 + below(dice, 20) as i64);
        let liking =
            market.truth.product(line.product).map_or(0.0, |item| dot(&purchase.customer.tastes.taste, &item.taste));
        let stars = (3.9 + 0.9 * liking + 0.8 * normal(dice)).round().clamp(1.0, 5.0) as i64;
        if later < market.truth.spec.end_s() {
            steps.push(Step {
                at_s: later,
                act: Act::Rate,
                product: Some(line.product),
                quantity: None,
                amount_cents: Some(stars * 100),
            });
        }
    }
    Session { customer, anonymous, device, channel: purchase.channel, referrer, steps }
}

/// A session one to three days before a visit that leaves without an order: only looks, or a cart that is left behind. What is left
/// behind is part of what will be ordered and part of what will not.
pub(crate) fn abandoned_session(
    market: &Market,
    visitor: &Visitor<'_>,
    purchase: &Purchase<'_>,
    lines: &[Line],
    customer: CustomerNo,
    dice: &mut Dice,
) -> Session {
    let (device, referrer) = (device(purchase.channel, dice), referrer(dice));
    let anonymous = chance(dice, 0.35);
    let start_s = purchase.at_s - 86_400 * (1 + below(dice, 3) as i64);
    let start_s = start_s.max(market.truth.spec.start_s());
    let leaves_cart = chance(dice, 0.5);
    let mut recorder = Recorder { steps: Vec::new(), at_s: start_s, dice };
    for line in lines.iter().take(4) {
        if chance(recorder.dice, 0.5) {
            recorder.look(market, line.product);
            if leaves_cart && chance(recorder.dice, 0.6) {
                recorder.step(Act::AddToCart, Some(line.product), Some(line.quantity), Some(line.unit_cents));
            }
        }
    }
    for _ in 0..=poisson(recorder.dice, 2.5) {
        let need =
            crate::dice::pick_weighted(recorder.dice, &visitor.tastes.needs, |need| need.1).map_or(0, |need| need.0);
        let Some(product) = market.truth.shelf.pick(need, visitor.day, recorder.dice) else { continue };
        recorder.look(market, product);
        if leaves_cart && chance(recorder.dice, 0.3) {
            recorder.step(
                Act::AddToCart,
                Some(product),
                Some(1),
                market.truth.product(product).map(|item| item.price_cents),
            );
        }
    }
    if leaves_cart && chance(recorder.dice, 0.3) {
        recorder.step(Act::BeginCheckout, None, None, None);
    }
    // Whatever happens here happens before the order.
    let steps = recorder.steps.into_iter().filter(|step| step.at_s < purchase.at_s).collect();
    Session { customer, anonymous, device, channel: purchase.channel, referrer, steps }
}
